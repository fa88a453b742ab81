"""What is said in another language, and how numbers are written in it."""

from __future__ import annotations

import ast
import gettext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop import language, paths
from histoloop.language import ENGLISH, LANGUAGES, best_of, mark, number, speak, speak_by, spoken, tr, tr_plural

if TYPE_CHECKING:
    from collections.abc import Iterator

FRENCH = next(each for each in LANGUAGES if each.code == "fr")


class Catalogue(gettext.NullTranslations):
    """Two texts in French."""

    def gettext(self, message: str) -> str:
        return {
            "{name} is open": "{name} est ouvert",
            "{width:.2f} mm of {total:,}": "{width:.2f} mm sur {total:,}",
        }.get(message, message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        return "{count} région" if count <= 1 else "{count} régions"


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    speak(ENGLISH.code)


def test_english_is_spoken_until_another_language_is_chosen() -> None:
    assert spoken() is ENGLISH
    assert tr("{name} is open", name="slide.svs") == "slide.svs is open"
    assert tr_plural("{count} region", "{count} regions", 1) == "1 region"
    assert tr_plural("{count} region", "{count} regions", 0) == "0 regions"


def test_a_catalogue_says_it_in_its_language_with_its_own_plurals() -> None:
    speak_by(Catalogue(), FRENCH)
    assert spoken() is FRENCH
    assert tr("{name} is open", name="slide.svs") == "slide.svs est ouvert"
    assert tr_plural("{count} region", "{count} regions", 0) == "0 région"
    assert tr_plural("{count} region", "{count} regions", 2) == "2 régions"


def test_numbers_are_written_as_the_language_does_and_data_as_they_are() -> None:
    assert tr("{width:.2f} mm of {total:,}", width=0.25, total=12500) == "0.25 mm of 12,500"
    speak_by(Catalogue(), FRENCH)
    assert tr("{width:.2f} mm of {total:,}", width=0.25, total=12500) == "0,25 mm sur 12\N{NARROW NO-BREAK SPACE}500"
    assert tr("{width:.2f} mm of {total:,}", width=np.float32(0.25), total=np.int64(12500)).startswith(
        "0,25 mm sur 12\N{NARROW NO-BREAK SPACE}"
    )
    assert tr("{share:.1%}", share=0.125) == "12,5\N{NARROW NO-BREAK SPACE}%"
    assert tr("{name} is open", name="v1.2,a.svs") == "v1.2,a.svs est ouvert"


def test_a_number_alone_is_written_as_the_language_does() -> None:
    assert number(0.5, ".2f") == "0.50"
    assert number(-0.25, "+.0%") == "-25%"
    speak_by(Catalogue(), FRENCH)
    assert number(0.5, ".2f") == "0,50"
    assert number(-0.25, "+.0%") == "-25\N{NARROW NO-BREAK SPACE}%"


def test_no_number_of_the_window_is_written_past_the_language() -> None:
    """An f-string knows no decimal comma; `tr` and `number` do."""
    found = [
        f"{file.name}:{field.lineno}"
        for file in sorted((Path(language.__file__).parent / "gui").rglob("*.py"))
        for text in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(text, ast.JoinedStr)
        for field in text.values
        if isinstance(field, ast.FormattedValue) and field.format_spec is not None
        if ast.unparse(field.format_spec).strip("f'\"")[-1:] in ("f", "g", "%", ",", "e")
    ]
    assert found == []


def test_what_is_not_in_the_catalogue_is_said_in_english() -> None:
    speak_by(Catalogue(), FRENCH)
    assert tr("Another text") == "Another text"
    assert tr("") == ""


def test_braces_in_values_and_in_texts_without_values_stay() -> None:
    assert tr("{name} is open", name="{odd}.svs") == "{odd}.svs is open"
    assert tr("{as it is}") == "{as it is}"


def test_marked_texts_are_english_until_they_are_shown() -> None:
    title = mark("{name} is open")
    speak_by(Catalogue(), FRENCH)
    assert title == "{name} is open"
    assert tr(title) == "{name} est ouvert"


def test_every_language_can_be_spoken() -> None:
    for each in LANGUAGES:
        assert speak(each.code) is each
        assert spoken() is each


@pytest.mark.parametrize("content", [None, b"", b"\xde\x12", b"not a catalogue"])
def test_an_unreadable_catalogue_leaves_the_program_english(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(paths, "resources", lambda: tmp_path)
    (tmp_path / "languages").mkdir()
    if content is not None:
        (tmp_path / "languages" / "fr.mo").write_bytes(content)
    assert speak("fr") is ENGLISH
    assert "Français" in caplog.text


def test_an_unknown_language_is_english() -> None:
    assert speak("tlh") is ENGLISH


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (["fr_CA", "en_US"], "fr"),
        (["fr-FR"], "fr"),
        (["xx", "fr"], "fr"),
        (["C"], "en"),
        ([], "en"),
        (["en_GB", "fr_FR"], "en"),
    ],
)
def test_of_what_the_desktop_wants_the_first_known_language_is_taken(wanted: list[str], code: str) -> None:
    assert best_of(wanted) == code


def test_every_language_has_a_code_and_a_name_of_its_own() -> None:
    assert language.LANGUAGES[0] is ENGLISH
    assert len({each.code for each in LANGUAGES}) == len({each.name for each in LANGUAGES}) == len(LANGUAGES)
