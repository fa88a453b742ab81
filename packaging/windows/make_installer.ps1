# dist\histoloop to dist\histoloop-VERSION-windows-x64.exe, signed when a certificate is named.
# Run on Windows from the repository's root, after `python packaging\bundle.py`. Environment:
#   FLAVOUR            cuda: the installer may be larger than 4.2 GB and then lies in slices; else one .exe
#   CERTIFICATE_SHA1   thumbprint of a code-signing certificate of this user; without it nothing is signed
#   TIMESTAMP_URL      the certificate authority's time-stamp server, needed to sign
$ErrorActionPreference = 'Stop'

function Invoke-Checked([string] $file, [string[]] $arguments) {
    & $file @arguments
    if ($LASTEXITCODE -ne 0) { throw "$file ended with $LASTEXITCODE" }
}

$iscc = @("${env:ProgramFiles(x86)}\Inno Setup 6\ISCC.exe", "$env:ProgramFiles\Inno Setup 6\ISCC.exe",
    "$env:LOCALAPPDATA\Programs\Inno Setup 6\ISCC.exe") | Where-Object { Test-Path $_ } | Select-Object -First 1
if (-not $iscc) { throw 'Inno Setup 6 is not installed.' }

$env:PYTHONPATH = 'packaging'
Invoke-Checked 'python' @('-m', 'installers', 'windows')

$options = @()
if ($env:FLAVOUR -eq 'cuda') { $options += '/DLarge' }
if ($env:CERTIFICATE_SHA1) {
    if (-not $env:TIMESTAMP_URL) { throw 'TIMESTAMP_URL is not set: a signature without a time ends with its certificate.' }
    $signtool = Get-ChildItem "${env:ProgramFiles(x86)}\Windows Kits\10\bin\*\x64\signtool.exe" |
        Sort-Object FullName | Select-Object -Last 1
    if (-not $signtool) { throw 'signtool.exe is not installed (Windows SDK).' }
    $sign = @('sign', '/fd', 'sha256', '/tr', $env:TIMESTAMP_URL, '/td', 'sha256', '/sha1', $env:CERTIFICATE_SHA1)
    foreach ($program in 'histoloop.exe', 'histoloop-gui.exe') {
        Invoke-Checked $signtool.FullName ($sign + "dist\histoloop\$program")
    }
    # $q and $f are Inno Setup's own: a quotation mark, and the file to be signed
    $options += '/DSign', "/Shistoloop=`$q$($signtool.FullName)`$q $($sign -join ' ') `$f"
}
Invoke-Checked $iscc ($options + 'packaging\windows\histoloop.iss')
