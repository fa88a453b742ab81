"""The catalogues of texts: whole, up to date, and saying the same as the English."""

from __future__ import annotations

import gettext
import re
import string
from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from babel.messages.pofile import read_po

import languages
from histoloop.language import ENGLISH, LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from babel.messages.catalog import Catalog, Message

CODES = [language.code for language in LANGUAGES if language is not ENGLISH]
ENDINGS = (".", "…", ":", "?", "!")


@pytest.fixture(scope="module")
def found() -> Catalog:
    return languages.collected()


@pytest.fixture(params=CODES)
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    with (languages.FOLDER / f"{request.param}.po").open("rb") as file:
        return read_po(file, locale=request.param)


def pairs(catalogue: Catalog) -> Iterator[tuple[str, str]]:
    """Each English text and its translation; of plurals, the last English one with each."""
    for message in catalogue:
        if message.id:
            english = message.id if isinstance(message.id, str) else message.id[-1]
            for text in languages.texts_of(message):
                yield english, text


def fields(text: str) -> set[str]:
    return {name for _before, name, _spec, _conversion in string.Formatter().parse(text) if name is not None}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[str, tuple[tuple[str, str | None], ...]]] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag, tuple(attrs)] += 1

    def handle_endtag(self, tag: str) -> None:
        self.seen[f"/{tag}", ()] += 1


def tags(text: str) -> Counter[tuple[str, tuple[tuple[str, str | None], ...]]]:
    parser = _Tags()
    parser.feed(text)
    return parser.seen


def where(catalogue: Catalog, wrong: Callable[[str, str], bool]) -> list[tuple[str, str]]:
    return [(english, text) for english, text in pairs(catalogue) if wrong(english, text)]


def test_texts_are_found_wherever_they_stand() -> None:
    source = """
TITLE = mark("First " "steps")
said = f"<b>{tr('Why?')}</b>" + tr_plural("{count} tile", "{count} tiles", len(tr(TITLE)))
"""
    assert languages.texts_in(source) == ["First steps", "Why?", ("{count} tile", "{count} tiles")]


def test_a_catalogue_has_the_texts_of_the_program_and_no_others(found: Catalog, catalogue: Catalog) -> None:
    assert {message.id for message in catalogue} == {message.id for message in found}, "run make languages"


def test_every_text_is_translated(catalogue: Catalog) -> None:
    def waiting(message: Message) -> bool:
        return bool(message.id) and (message.fuzzy or not all(languages.texts_of(message)))

    assert [message.id for message in catalogue if waiting(message)] == []


def test_a_plural_has_as_many_texts_as_the_language_has_plurals(catalogue: Catalog) -> None:
    plurals = [message for message in catalogue if not isinstance(message.id, str)]
    assert plurals
    assert {len(languages.texts_of(message)) for message in plurals} == {catalogue.num_plurals}


def test_the_compiled_catalogue_says_the_same(catalogue: Catalog) -> None:
    with (languages.FOLDER / f"{catalogue.locale_identifier}.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in catalogue:
        if not message.id:
            continue
        if isinstance(message.id, str):
            assert compiled.gettext(message.id) == message.string
        else:
            said = {compiled.ngettext(*message.id, count) for count in range(200)}
            assert said == set(languages.texts_of(message))


def test_a_translation_has_the_fields_of_the_english(catalogue: Catalog) -> None:
    def wrong(english: str, text: str) -> bool:
        return fields(text) != fields(english)

    assert where(catalogue, wrong) == []


def test_a_translation_formats_its_fields_as_the_english_does(catalogue: Catalog) -> None:
    def specs(text: str) -> set[tuple[str | None, str | None, str | None]]:
        return {(name, spec, conversion) for _text, name, spec, conversion in string.Formatter().parse(text) if name}

    assert where(catalogue, lambda english, text: specs(text) != specs(english)) == []


def test_a_translation_has_the_tags_of_the_english(catalogue: Catalog) -> None:
    assert where(catalogue, lambda english, text: tags(text) != tags(english)) == []


def test_a_translation_has_a_key_of_its_own_where_the_english_has_one(catalogue: Catalog) -> None:
    def key(text: str) -> bool:
        return re.search(r"&\w", text) is not None

    assert where(catalogue, lambda english, text: key(text) != key(english)) == []


def test_percents_are_written_as_the_language_writes_them(found: Catalog, catalogue: Catalog) -> None:
    """As its numbers are (`Language.percent`): 5% in English, and with a narrow space in others."""
    language = next(each for each in LANGUAGES if each.code == catalogue.locale_identifier)

    def wrong(text: str, percent: str) -> bool:
        return any(not text[: end + 1].endswith(percent) for end in _percents(text))

    assert [text for text, _translation in pairs(catalogue) if wrong(text, ENGLISH.percent) or " %" in text] == []
    assert where(catalogue, lambda _english, text: wrong(text, language.percent)) == []


def _percents(text: str) -> list[int]:
    """Where the signs stand that follow a number or a field; those in a format (`{share:.0%}`) are filled in later."""
    return [found.end() - 1 for found in re.finditer(r"[0-9}]\s?%(?!})", text)]


@pytest.mark.parametrize(
    ("code", "typed", "set_in"),
    [
        (
            "fr",
            "Plus : « {name} » ; continuer ?",
            "Plus\u202f: «\u202f{name}\u202f»\u202f; continuer\u202f?",
        ),
        ("fr", "À {time:%H:%M}, https://histoloop.org", "À {time:%H:%M}, https://histoloop.org"),
        ("de", "Mehr: „{name}“ ist offen; weiter?", "Mehr: „{name}“ ist offen; weiter?"),
    ],
)
def test_spaces_before_signs_are_narrow_in_french_whatever_was_typed(code: str, typed: str, set_in: str) -> None:
    assert languages.spaced(typed, code) == set_in


def test_no_line_of_a_french_text_ends_before_a_sign_that_stands_apart(catalogue: Catalog) -> None:
    def wrong(_english: str, text: str) -> bool:
        return re.search("[ \u00a0][:;!?»]|«[ \u00a0]", text) is not None

    if catalogue.locale_identifier == "fr":
        assert where(catalogue, wrong) == []
        assert where(catalogue, lambda _english, text: re.search(r"\w[;?»]|«\w", text) is not None) == []


def test_a_translation_begins_and_ends_like_the_english(catalogue: Catalog) -> None:
    def edges(text: str) -> tuple[bool, bool, str]:
        ending = text.rstrip()[-1:]
        return text[:1].isspace(), text[-1:].isspace(), ending if ending in ENDINGS else ""

    assert where(catalogue, lambda english, text: edges(text) != edges(english)) == []
