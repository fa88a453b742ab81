; The Windows installer, for Inno Setup 6.3 or later. For one user, without administrator's rights.
;
;   python -m installers windows                      (packaging\ on PYTHONPATH: icon and program.iss)
;   iscc packaging\windows\histoloop.iss              (/DLarge for the build with CUDA, /DSign for a signed one)
;
; Silent: histoloop-VERSION-windows-x64.exe /VERYSILENT /SUPPRESSMSGBOXES /NORESTART /LOG=install.log
;         (/DIR="C:\some\folder" for another place, /TASKS="" for no file associations)
; Removed silently: "%LOCALAPPDATA%\Programs\HistoLoop\unins000.exe" /VERYSILENT
;
; Projects are in Documents\HistoLoop, settings and logs in %LOCALAPPDATA%\HistoLoop. Nothing here names these
; folders: they are never touched.

#define Parts "..\..\build\installers\windows"
#ifndef Bundle
  #define Bundle "..\..\dist\histoloop"
#endif
#ifndef Output
  #define Output "..\..\dist"
#endif

; names, version, and the registry entries of the file types, made from packaging\program.toml
#include Parts + "\program.iss"

[Setup]
AppId={{6B1B7C3E-6B0D-4C58-9C1B-0C0E9C6D1F5A}
AppName={#ProgramName}
AppVersion={#ProgramVersion}
AppVerName={#ProgramName} {#ProgramVersion}
AppPublisher={#ProgramPublisher}
AppComments={#ProgramSummary}
VersionInfoVersion={#ProgramVersion}
VersionInfoProductName={#ProgramName}
VersionInfoCompany={#ProgramPublisher}
VersionInfoDescription={#ProgramName} Setup
; {autopf} is %LOCALAPPDATA%\Programs in an installation for one user
DefaultDirName={autopf}\{#ProgramName}
DefaultGroupName={#ProgramName}
DisableProgramGroupPage=yes
DisableDirPage=auto
UsePreviousAppDir=yes
; no question about rights is asked; an administrator can say /ALLUSERS on the command line
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=commandline
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
MinVersion=10.0.17763
LicenseFile=..\..\LICENSE
SetupIconFile={#Parts}\histoloop.ico
UninstallDisplayIcon={app}\histoloop-gui.exe
UninstallDisplayName={#ProgramName}
WizardStyle=modern
OutputDir={#Output}
OutputBaseFilename=histoloop-{#ProgramVersion}-windows-x64
; thousands of files: solid blocks compress them better than one by one; level 'fast' halves the time for 5 % more
Compression=lzma2/fast
SolidCompression=yes
LZMANumBlockThreads=4
#ifdef Large
; above 4.2 GB Setup must lie in slices beside its .exe
DiskSpanning=yes
DiskSliceSize=max
#endif
; Explorer learns of new file types without a new login; a running program is asked to close before its files change
ChangesAssociations=yes
CloseApplications=yes
RestartApplications=no
SetupLogging=yes
#ifdef Sign
; iscc "/Shistoloop=signtool sign /fd sha256 /tr %TIMESTAMP_URL% /td sha256 /sha1 %CERTIFICATE_SHA1% $f"
SignTool=histoloop
SignedUninstaller=yes
#endif

[Languages]
Name: "english"; MessagesFile: "compiler:Default.isl"
Name: "german"; MessagesFile: "compiler:Languages\German.isl"
Name: "french"; MessagesFile: "compiler:Languages\French.isl"

[Tasks]
Name: "associate"; Description: "{cm:Associate}"
Name: "desktopicon"; Description: "{cm:CreateDesktopIcon}"; Flags: unchecked

[InstallDelete]
; what an earlier version has laid down and this one does not know; only the program's own folder
Type: filesandordirs; Name: "{app}\_internal"

[Files]
Source: "{#Bundle}\*"; DestDir: "{app}"; Flags: ignoreversion recursesubdirs createallsubdirs
Source: "..\..\LICENSE"; DestDir: "{app}"; DestName: "LICENSE.txt"; Flags: ignoreversion

[Icons]
Name: "{group}\{#ProgramName}"; Filename: "{app}\histoloop-gui.exe"; AppUserModelID: "{#ProgramModelId}"
Name: "{group}\{#ProgramName} demo"; Filename: "{app}\histoloop-gui.exe"; Parameters: "--demo"
Name: "{autodesktop}\{#ProgramName}"; Filename: "{app}\histoloop-gui.exe"; AppUserModelID: "{#ProgramModelId}"; Tasks: desktopicon

[Registry]
; the name in 'Open with', whatever tasks are chosen
Root: HKA; Subkey: "Software\Classes\Applications\histoloop-gui.exe"; ValueType: string; ValueName: "FriendlyAppName"; ValueData: "{#ProgramName}"; Flags: uninsdeletekey
Root: HKA; Subkey: "Software\Classes\Applications\histoloop-gui.exe\shell\open\command"; ValueType: string; ValueName: ""; ValueData: """{app}\histoloop-gui.exe"" ""%1"""
; 'histoloop' in Start > Run and in scripts that use 'start'
Root: HKA; Subkey: "Software\Microsoft\Windows\CurrentVersion\App Paths\histoloop.exe"; ValueType: string; ValueName: ""; ValueData: "{app}\histoloop.exe"; Flags: uninsdeletekey
Root: HKA; Subkey: "Software\Microsoft\Windows\CurrentVersion\App Paths\histoloop-gui.exe"; ValueType: string; ValueName: ""; ValueData: "{app}\histoloop-gui.exe"; Flags: uninsdeletekey

[Run]
Filename: "{app}\histoloop-gui.exe"; Description: "{cm:LaunchProgram,{#ProgramName}}"; Flags: nowait postinstall skipifsilent
