"""What the bundle leaves out is written down with its reason, and nothing of HistoLoop is among it."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import re
import tomllib
from pathlib import Path

import PySide6

from histoloop.language import ENGLISH, LANGUAGES
from needed import modules_of_others, needed_distributions

ROOT = Path(__file__).resolve().parents[3]
EXCLUDED = tomllib.loads((ROOT / "packaging" / "excluded.toml").read_text("utf-8"))
REQUIREMENTS = {
    "viewer": ["Qt.Py>=2", 'winonly; sys_platform == "nowhere"', 'console; extra == "all"'],
    "qt-py": ["viewer"],
    "console": [],
    "winonly": [],
}


def requirements_of(name: str) -> list[str]:
    if name not in REQUIREMENTS:
        raise importlib.metadata.PackageNotFoundError(name)
    return REQUIREMENTS[name]


def test_every_group_that_is_left_out_says_why_and_names_nothing_twice() -> None:
    groups = EXCLUDED["module"] + EXCLUDED["file"]
    assert all(len(group["why"].split()) >= 3 for group in groups)
    names = [name for group in EXCLUDED["module"] for name in group["names"]]
    assert len(names) == len(set(names))


def test_no_module_that_the_program_names_is_left_out() -> None:
    left_out = {name for group in EXCLUDED["module"] for name in group["names"]}
    imported = {
        match
        for file in (ROOT / "app").rglob("*.py")
        for match in re.findall(r"^\s*(?:from|import) ([\w.]+)", file.read_text("utf-8"), re.MULTILINE)
    }
    parts = {".".join(name.split(".")[: end + 1]) for name in imported for end in range(name.count(".") + 1)}
    assert parts & left_out == set()


def test_what_is_needed_follows_requirements_of_this_system_without_extras() -> None:
    assert needed_distributions(["Viewer>1"], requirements_of) == {"viewer", "qt-py"}


def test_what_is_needed_follows_the_extras_that_are_asked_for() -> None:
    assert needed_distributions(["viewer[all]"], requirements_of) == {"viewer", "qt-py", "console"}


def test_what_is_not_installed_is_not_needed() -> None:
    assert needed_distributions(["absent"], requirements_of) == set()


def test_a_module_is_of_others_only_when_nothing_needed_shares_it() -> None:
    owners = {"shared": ["tool", "Qt.Py"], "tool": ["tool"], "qt": ["qt-py"]}
    assert modules_of_others({"qt-py"}, owners) == ["tool"]


def test_of_qts_own_texts_those_of_the_languages_spoken_stay() -> None:
    patterns = [pattern for group in EXCLUDED["file"] for pattern in group["patterns"]]
    folder = Path(PySide6.__file__).parent / "Qt" / "translations"
    names = [f"PySide6/Qt/translations/{path.name}" for path in folder.glob("*.qm")]
    kept = {name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)}
    spoken = {language.code for language in LANGUAGES if language is not ENGLISH}
    assert kept == {f"PySide6/Qt/translations/qtbase_{code}.qm" for code in spoken}
