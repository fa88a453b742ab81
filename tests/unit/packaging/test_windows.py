"""The Windows installer, as far as it can be looked at without Windows."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from installers.frozen import exe_options
from installers.program import REPOSITORY
from installers.windows import INNO_LANGUAGES, inno_include, program_id, version_info, write_windows_parts

SCRIPT = REPOSITORY / "packaging" / "windows" / "histoloop.iss"

_spec = importlib.util.spec_from_file_location("inno", Path(__file__).with_name("inno.py"))
assert _spec is not None
assert _spec.loader is not None
inno = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(inno)


@pytest.fixture(params=[frozenset(), frozenset({"Large", "Sign"})], ids=["plain", "large and signed"])
def script(request, program):
    return inno.read(SCRIPT, include=inno_include(program), defined=request.param)


def test_it_installs_for_the_user_without_an_administrator(script):
    assert script.setup["PrivilegesRequired"] == "lowest"
    assert script.setup["DefaultDirName"] == r"{autopf}\HistoLoop"
    for entry in script.entries["Registry"]:
        assert entry["Root"] == "HKA"
    for section in ("Files", "Icons"):
        for entry in script.entries[section]:
            place = entry.get("DestDir") or entry["Name"]
            assert place.startswith(("{app}", "{group}", "{autodesktop}")), place


def test_it_speaks_the_languages_of_the_window(script, program):
    assert {entry["Name"] for entry in script.entries["Languages"]} == set(INNO_LANGUAGES.values())
    assert set(INNO_LANGUAGES) == {texts.language for texts in program.menu}
    for texts in program.menu:
        assert f"{INNO_LANGUAGES[texts.language]}.Associate={texts.associate}" in inno_include(program)


def test_it_is_the_installer_of_this_version(script, program):
    assert script.setup["AppVersion"] == script.setup["VersionInfoVersion"] == program.version
    assert script.setup["OutputBaseFilename"] == f"histoloop-{program.version}-windows-x64"
    assert re.fullmatch(r"\{\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}", script.setup["AppId"])


def test_every_kind_of_file_leads_to_the_window(script, program):
    entries = {(entry["Subkey"], entry["ValueName"]): entry["ValueData"] for entry in script.entries["Registry"]}
    for kind in program.types:
        name = program_id(kind, program)
        command = entries[(rf"Software\Classes\{name}\shell\open\command", "")]
        assert command == r'"{app}\histoloop-gui.exe" "%1"'
        for extension in kind.extensions:
            assert (rf"Software\Classes\.{extension}\OpenWithProgids", name) in entries
            assert ((rf"Software\Classes\.{extension}", "") in entries) == kind.ours


def test_what_it_writes_to_the_registry_goes_when_it_is_removed(script):
    removed = {
        entry["Subkey"] for entry in script.entries["Registry"] if "uninsdeletekey" in entry.get("Flags", "").split()
    }
    for entry in script.entries["Registry"]:
        key = entry["Subkey"]
        own = any(key == parent or key.startswith(parent + "\\") for parent in removed)
        assert own or "uninsdeletevalue" in entry["Flags"], key


def test_keys_of_others_are_never_removed_whole(script):
    for entry in script.entries["Registry"]:
        if re.fullmatch(r"Software\\Classes\\\.\w+(\\OpenWithProgids)?", entry["Subkey"]):
            assert "uninsdeletekey" not in entry["Flags"].split()


def test_removing_it_never_touches_projects(script):
    assert "UninstallDelete" not in script.entries
    assert "UninstallRun" not in script.entries
    assert [entry["Name"] for entry in script.entries["InstallDelete"]] == [r"{app}\_internal"]
    entries = [entry for entries in script.entries.values() for entry in entries]
    assert not any("{localappdata}" in value.lower() for entry in entries for value in entry.values())


def test_tasks_and_their_uses_agree(script):
    names = {entry["Name"] for entry in script.entries["Tasks"]}
    used = {entry["Tasks"] for entries in script.entries.values() for entry in entries if "Tasks" in entry}
    assert used <= names


def test_a_silent_installation_starts_nothing_and_asks_nothing(script):
    assert all("skipifsilent" in entry["Flags"].split() for entry in script.entries["Run"])
    assert script.setup["PrivilegesRequiredOverridesAllowed"] == "commandline"


def test_the_start_menu_has_the_program(script):
    assert r"{group}\HistoLoop" in [entry["Name"] for entry in script.entries["Icons"]]


def test_above_the_limit_of_one_file_it_lies_in_slices(program):
    large = inno.read(SCRIPT, include=inno_include(program), defined=frozenset({"Large"}))
    assert large.setup["DiskSpanning"] == "yes"
    assert "SignTool" not in large.setup


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[Stup]\n", "no section"),
        ("[Setup]\nno directive\n", "no directive"),
        ("#ifdef X\n", "not closed"),
        ('[Files]\nSource: "a"; Source: "b"\n', "given twice"),
    ],
)
def test_mistakes_in_a_script_are_found(tmp_path, text, wrong):
    (tmp_path / "a.iss").write_text(text)
    with pytest.raises(ValueError, match=wrong):
        inno.read(tmp_path / "a.iss", include="")


def test_the_version_resource_is_one_expression_of_known_names(program):
    names = {node.func.id for node in ast.walk(ast.parse(version_info(program))) if isinstance(node, ast.Call)}
    assert names == {
        "VSVersionInfo",
        "FixedFileInfo",
        "StringFileInfo",
        "StringTable",
        "StringStruct",
        "VarFileInfo",
        "VarStruct",
    }
    assert f"'FileVersion', '{program.version}'" in version_info(program)


def test_the_parts_that_script_and_spec_name_are_written(program, tmp_path, monkeypatch):
    monkeypatch.setattr("installers.frozen.PARTS", tmp_path)
    options = exe_options("win32")
    assert {Path(path).name for path in options.values()} == {"histoloop.ico", "version_info.txt"}
    assert all(Path(path).is_file() for path in options.values())
    write_windows_parts(tmp_path / "again", program)
    assert (tmp_path / "again" / "program.iss").read_bytes().startswith(b"\xef\xbb\xbf")  # Inno reads it as UTF-8


def test_on_linux_the_programs_have_neither():
    assert exe_options("linux") == {}
