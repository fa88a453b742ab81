"""What the Windows build needs beside packaging/windows/histoloop.iss: icon, version information, file types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installers.icons import write_ico

if TYPE_CHECKING:
    from pathlib import Path

    from installers.program import FileType, Program


def write_windows_parts(folder: Path, program: Program) -> None:
    """Write histoloop.ico, version_info.txt (for the spec's EXE) and program.iss (for histoloop.iss) to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_ico(folder / "histoloop.ico")
    (folder / "version_info.txt").write_text(version_info(program), encoding="utf-8")
    (folder / "program.iss").write_text(inno_include(program), encoding="utf-8-sig")


def program_id(kind: FileType, program: Program) -> str:
    """The ProgID of a kind of file."""
    return f"{program.name}.{kind.key.capitalize()}"


INNO_LANGUAGES = {"en": "english", "de": "german", "fr": "french"}
"""Names of the languages in histoloop.iss."""


def inno_include(program: Program) -> str:
    """Definitions and registry entries for Inno Setup.

    A type of ours gets HistoLoop as its program; for others HistoLoop joins 'Open with', and what the user has chosen
    stays. HKA is the user's own part of the registry in an installation without admin rights.
    """
    lines = [
        f'#define ProgramName "{program.name}"',
        f'#define ProgramVersion "{program.version}"',
        f'#define ProgramPublisher "{program.publisher}"',
        f'#define ProgramSummary "{program.summary}"',
        f'#define ProgramModelId "{program.id}"',
        "",
        "[CustomMessages]",
        *(f"{INNO_LANGUAGES[texts.language]}.Associate={texts.associate}" for texts in program.menu),
        "",
        "[Registry]",
    ]
    for kind in program.types:
        name = program_id(kind, program)
        lines += [
            _entry(rf"Software\Classes\{name}", value=kind.title, flags="uninsdeletekey"),
            _entry(rf"Software\Classes\{name}\DefaultIcon", value=r"{app}\histoloop-gui.exe,0"),
            _entry(rf"Software\Classes\{name}\shell\open\command", value=r'""{app}\histoloop-gui.exe"" ""%1""'),
        ]
        for extension in kind.extensions:
            key = rf"Software\Classes\.{extension}"
            if kind.ours:
                lines.append(_entry(key, value=name, flags="uninsdeletevalue uninsdeletekeyifempty"))
            lines.append(_entry(rf"{key}\OpenWithProgids", name=name, flags="uninsdeletevalue uninsdeletekeyifempty"))
            lines.append(
                _entry(r"Software\Classes\Applications\histoloop-gui.exe\SupportedTypes", name=f".{extension}")
            )
    return "\n".join(lines) + "\n"


def version_info(program: Program) -> str:
    """The version resource of the executables, as PyInstaller reads it."""
    numbers = (*map(int, program.version.split(".")), 0)
    strings = {
        "CompanyName": program.publisher,
        "FileDescription": program.name,
        "FileVersion": program.version,
        "InternalName": program.package,
        "LegalCopyright": f"{program.publisher}. Apache-2.0.",
        "ProductName": program.name,
        "ProductVersion": program.version,
        "Comments": program.notice,
    }
    said = ", ".join(f"StringStruct({key!r}, {value!r})" for key, value in strings.items())
    return f"""VSVersionInfo(
  ffi=FixedFileInfo(filevers={numbers}, prodvers={numbers}, mask=0x3F, flags=0x0, OS=0x40004, fileType=0x1,
                    subtype=0x0, date=(0, 0)),
  kids=[
    StringFileInfo([StringTable('040904B0', [{said}])]),
    VarFileInfo([VarStruct('Translation', [0x0409, 1200])]),
  ],
)
"""


def _entry(key: str, *, value: str = "", name: str = "", flags: str = "") -> str:
    parts = ["Root: HKA", f'Subkey: "{key}"', "ValueType: string", f'ValueName: "{name}"', f'ValueData: "{value}"']
    parts += [f"Flags: {flags}"] if flags else []
    return "; ".join([*parts, "Tasks: associate"])
