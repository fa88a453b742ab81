"""Every installer opens the same files, and the program can read them."""

from __future__ import annotations

import configparser
import plistlib
from xml.etree import ElementTree

import pytest

import histoloop
from histoloop.language import ENGLISH, LANGUAGES
from histoloop.slides.find import SLIDE_SUFFIXES
from histoloop.store.project_file import SUFFIX
from installers import program as module
from installers.desktop import desktop_entry, mime_types
from installers.macos import info_plist
from installers.program import load_program
from installers.windows import inno_include

MIME = "{http://www.freedesktop.org/standards/shared-mime-info}"


def extensions(program) -> set[str]:
    return {extension for kind in program.types for extension in kind.extensions}


def test_the_asked_for_kinds_of_files_are_all_there(program):
    assert {"svs", "ndpi", "mrxs", "scn", "tif", "tiff", SUFFIX.removeprefix(".")} <= extensions(program)


def test_slides_that_are_offered_can_be_read(program):
    slides = {f".{extension}" for kind in program.types if not kind.ours for extension in kind.extensions}
    assert slides <= SLIDE_SUFFIXES


def test_only_the_project_is_taken_for_our_own(program):
    assert [kind.extensions for kind in program.types if kind.ours] == [("histoloop",)]


def test_no_name_is_given_twice(program):
    for key in ("key", "mime", "uti"):
        names = [getattr(kind, key) for kind in program.types]
        assert len(set(names)) == len(names)


def test_the_menu_entry_names_every_kind(program):
    entry = configparser.ConfigParser(interpolation=None, delimiters="=")
    entry.optionxform = str
    entry.read_string(desktop_entry(program, bin_folder=""))
    assert entry["Desktop Entry"]["MimeType"].rstrip(";").split(";") == [kind.mime for kind in program.types]
    assert entry["Desktop Entry"]["Exec"] == "histoloop-gui %F"


def test_the_menu_entry_is_in_the_languages_of_the_window(program):
    assert [texts.language for texts in program.menu] == [language.code for language in LANGUAGES]
    entry = configparser.ConfigParser(interpolation=None, delimiters="=")
    entry.optionxform = str
    entry.read_string(desktop_entry(program, bin_folder=""))
    assert entry["Desktop Entry"]["Comment"] == program.summary
    for code in [language.code for language in LANGUAGES if language is not ENGLISH]:
        assert entry["Desktop Entry"][f"GenericName[{code}]"]
        assert entry["Desktop Entry"][f"Comment[{code}]"]
        assert entry["Desktop Action demo"][f"Name[{code}]"]


def test_the_mime_database_gets_every_kind_that_it_lacks(program):
    root = ElementTree.fromstring(mime_types(program))
    written = {
        kind.get("type"): {glob.get("pattern") for glob in kind.iter(f"{MIME}glob")}
        for kind in root.iter(f"{MIME}mime-type")
    }
    assert written == {
        kind.mime: {f"*.{extension}" for extension in kind.extensions}
        for kind in program.types
        if kind.mime != "image/tiff"
    }


def test_the_mac_bundle_names_every_kind(program):
    plist = plistlib.loads(plistlib.dumps(info_plist(program)))
    named = {uti for kind in plist["CFBundleDocumentTypes"] for uti in kind["LSItemContentTypes"]}
    declared = {
        kind["UTTypeIdentifier"]: kind["UTTypeTagSpecification"]["public.filename-extension"]
        for kind in [*plist["UTExportedTypeDeclarations"], *plist["UTImportedTypeDeclarations"]]
    }
    assert named == {kind.uti for kind in program.types}
    assert {extension for found in declared.values() for extension in found} | {"tif", "tiff"} == extensions(program)
    assert named - set(declared) == {"public.tiff"}  # macOS' own


def test_a_mac_asks_us_first_only_for_projects(program):
    ranks = {kind["CFBundleTypeName"]: kind["LSHandlerRank"] for kind in info_plist(program)["CFBundleDocumentTypes"]}
    assert ranks.pop("HistoLoop project") == "Owner"
    assert set(ranks.values()) == {"Alternate"}


def test_the_windows_registry_gets_every_kind(program):
    text = inno_include(program)
    for extension in extensions(program):
        assert rf'Subkey: "Software\Classes\.{extension}\OpenWithProgids"' in text


def test_the_version_is_the_packages(program):
    assert program.version == histoloop.__version__


def test_a_package_without_a_version_is_refused(tmp_path):
    (tmp_path / "packaging").mkdir()
    source = module.REPOSITORY / "packaging" / "program.toml"
    (tmp_path / "packaging" / "program.toml").write_text(source.read_text("utf-8"), encoding="utf-8")
    (tmp_path / "app" / "histoloop").mkdir(parents=True)
    (tmp_path / "app" / "histoloop" / "__init__.py").write_text("")
    with pytest.raises(ValueError, match="states no version"):
        load_program(tmp_path)


def test_the_desktop_entry_has_the_name_that_windows_carry(program):
    source = (module.REPOSITORY / "app" / "histoloop" / "gui" / "application.py").read_text("utf-8")
    assert f'DESKTOP_ID = "{program.id}"' in source
