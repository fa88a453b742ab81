# Installs the installer in dist\ silently for this user, starts the program, removes it, and looks at what is left.
# Run on Windows from the repository's root: powershell -File packaging\windows\test_installer.ps1
$ErrorActionPreference = 'Stop'

$setup = Get-ChildItem dist\histoloop-*-windows-x64.exe | Select-Object -First 1
if (-not $setup) { throw 'There is no installer in dist. Build it first (packaging\README.md).' }
$program = Join-Path $env:LOCALAPPDATA 'Programs\HistoLoop'
$projects = Join-Path $env:TEMP 'histoloop-home'
$env:HISTOLOOP_HOME = $projects

function Invoke-Checked([string] $file, [string[]] $arguments) {
    $done = Start-Process -FilePath $file -ArgumentList $arguments -Wait -PassThru -NoNewWindow
    if ($done.ExitCode -ne 0) { throw "$file $arguments ended with $($done.ExitCode)" }
}

Invoke-Checked $setup.FullName @('/VERYSILENT', '/SUPPRESSMSGBOXES', '/NORESTART', '/CURRENTUSER', '/LOG=install.log')
Invoke-Checked "$program\histoloop.exe" @('doctor', '--json')
Invoke-Checked "$program\histoloop.exe" @('demo', '--rounds', '1', '--seed', '0', '--project', "$projects\demo")

$command = (Get-ItemProperty 'HKCU:\Software\Classes\HistoLoop.Project\shell\open\command').'(default)'
if ($command -ne "`"$program\histoloop-gui.exe`" `"%1`"") { throw "A double click on a project runs: $command" }

$window = Start-Process "$program\histoloop-gui.exe" -ArgumentList "$projects\demo\project.histoloop" -PassThru
$deadline = (Get-Date).AddMinutes(3)
do {
    Start-Sleep -Seconds 1
    $window.Refresh()
    if ($window.HasExited) { throw "The window ended with $($window.ExitCode)" }
} until ($window.MainWindowTitle -like '*demo*HistoLoop*' -or (Get-Date) -gt $deadline)
if ($window.MainWindowTitle -notlike '*demo*HistoLoop*') { throw "No window after 3 minutes: '$($window.MainWindowTitle)'" }
[void] $window.CloseMainWindow()
if (-not $window.WaitForExit(60000)) { throw 'The window did not close' }

Invoke-Checked "$program\unins000.exe" @('/VERYSILENT', '/SUPPRESSMSGBOXES', '/NORESTART')
$deadline = (Get-Date).AddMinutes(2)  # the uninstaller goes on in a copy of itself
while ((Test-Path $program) -and (Get-Date) -lt $deadline) { Start-Sleep -Seconds 1 }
if (Test-Path $program) { throw "Something is left in ${program}: $(Get-ChildItem -Recurse $program | Select-Object -First 5)" }
if (Test-Path 'HKCU:\Software\Classes\HistoLoop.Project') { throw 'The file type is left in the registry' }
if (-not (Test-Path "$projects\demo\project.db")) { throw 'The project is gone: removing the program must leave it' }
'Installed, started, removed; the project is still there.'
