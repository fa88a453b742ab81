"""The macOS bundle, as far as it can be looked at without macOS."""

from __future__ import annotations

import plistlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from installers import frozen
from installers.program import REPOSITORY

MACOS = REPOSITORY / "packaging" / "macos"


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "PARTS", tmp_path)
    return frozen.app_options()


def test_the_bundle_has_name_icon_and_version(options, program):
    assert options["name"] == "HistoLoop.app"
    assert options["info_plist"]["CFBundleShortVersionString"] == options["version"] == program.version
    assert Path(options["icon"]).read_bytes()[:4] == b"icns"


def test_its_identifier_and_types_are_names_in_apples_form(options, program):
    identifiers = [options["bundle_identifier"], *(kind.uti for kind in program.types)]
    for identifier in identifiers:
        assert re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", identifier)


def test_the_list_of_properties_can_be_written_and_read(options):
    assert plistlib.loads(plistlib.dumps(options["info_plist"])) == options["info_plist"]


def test_what_the_hardened_runtime_must_allow_is_no_more_than_python_needs():
    allowed = plistlib.loads((MACOS / "entitlements.plist").read_bytes())
    assert allowed == {
        "com.apple.security.cs.allow-jit": True,
        "com.apple.security.cs.allow-unsigned-executable-memory": True,
        "com.apple.security.cs.disable-library-validation": True,
    }


@pytest.mark.parametrize("script", sorted(REPOSITORY.glob("packaging/*/*.sh")), ids=lambda path: path.name)
def test_scripts_are_free_of_known_mistakes(script):
    shell = "sh" if script.read_text("utf-8").startswith("#!/bin/sh") else "bash"
    subprocess.run([shell, "-n", script], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed; only the syntax was looked at")
    checked = subprocess.run(["shellcheck", script], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_no_script_holds_a_secret():
    for script in [*REPOSITORY.glob("packaging/*/*.sh"), *REPOSITORY.glob("packaging/*/*.ps1")]:
        assert not re.search(r"(?i)(password|secret|token)\s*=\s*['\"][^$'\"]", script.read_text("utf-8"))
