"""The language in which the window and its reports speak. The command line, model cards and tables stay English.

Texts are English in the source, which is the key of the catalogues in `resources/languages` (GNU gettext):

    tr("{slide} is {width:.2f} mm wide", slide=name, width=2.5)
    tr_plural("{count} region", "{count} regions", len(regions))
    TITLE = mark("First steps")     # a constant: noted for the catalogues, and translated where it is shown: tr(TITLE)

Whole sentences only: what is put together from pieces cannot be translated. `make languages` collects the texts.
"""

from __future__ import annotations

import contextlib
import gettext
import logging
import numbers
import string
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histoloop import paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Language:
    """A language, its ISO 639-1 code, its name in itself, and how it writes numbers."""

    code: str
    name: str
    decimal_point: str = ","
    thousands: str = "."
    percent: str = "\N{NARROW NO-BREAK SPACE}%"


ENGLISH = Language("en", "English", decimal_point=".", thousands=",", percent="%")
LANGUAGES = (
    ENGLISH,
    Language("de", "Deutsch"),
    Language("fr", "Français", thousands="\N{NARROW NO-BREAK SPACE}"),
)


class _Formatter(string.Formatter):
    """Formats as str.format does, with numbers as a language writes them."""

    def __init__(self, language: Language) -> None:
        self._signs = str.maketrans({".": language.decimal_point, ",": language.thousands, "%": language.percent})

    def format_field(self, value: Any, format_spec: str) -> str:
        text: str = super().format_field(value, format_spec)
        return text.translate(self._signs) if isinstance(value, numbers.Real) else text


@dataclass(frozen=True, slots=True)
class _Speech:
    """What is spoken now."""

    language: Language
    catalogue: gettext.NullTranslations
    formatter: _Formatter


_speech = _Speech(ENGLISH, gettext.NullTranslations(), _Formatter(ENGLISH))


def spoken() -> Language:
    """The language of this process; English until `speak`."""
    return _speech.language


def speak(code: str) -> Language:
    """Say everything in this process in the language `code` from now on; in English if it is unknown or unreadable.

    What was translated before stays as it is.
    """
    language = next((language for language in LANGUAGES if language.code == code), ENGLISH)
    catalogue = gettext.NullTranslations()
    if language is not ENGLISH:
        try:
            catalogue = _catalogue(language)
        except (OSError, ValueError, struct.error) as error:  # of a file that is broken or cut off
            _log.warning("the texts in %s cannot be read, English is spoken: %s", language.name, error)
            language = ENGLISH
    speak_by(catalogue, language)
    return language


def in_every_language(message: str) -> tuple[str, ...]:
    """The English message and its translations, whatever is spoken; catalogues that cannot be read are left out."""
    texts = [message]
    for language in LANGUAGES:
        if language is not ENGLISH:
            with contextlib.suppress(OSError, ValueError, struct.error):
                texts.append(_catalogue(language).gettext(message))
    return tuple(texts)


def _catalogue(language: Language) -> gettext.GNUTranslations:
    with (paths.resources() / "languages" / f"{language.code}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def speak_by(catalogue: gettext.NullTranslations, language: Language) -> None:
    """Say everything from now on by a catalogue of one's own."""
    global _speech
    _speech = _Speech(language, catalogue, _Formatter(language))


def best_of(wanted: Sequence[str]) -> str:
    """Code of the first language that is spoken here among locale names ('fr_CA', 'de-DE'), the most wanted first."""
    known = {language.code for language in LANGUAGES}
    codes = (name.replace("-", "_").split("_")[0].lower() for name in wanted)
    return next((code for code in codes if code in known), ENGLISH.code)


def mark(message: str) -> str:
    """The English message itself, noted for the catalogues; `tr` translates it where it is shown."""
    return message


def tr(message: str, /, **values: object) -> str:
    """The message in the language spoken, its {fields} filled in as by str.format; without values braces stay."""
    return _filled(_speech.catalogue.gettext(message) if message else "", values)


def tr_plural(one: str, many: str, count: int, /, **values: object) -> str:
    """The message for `count` things, which is also the field {count}; a language chooses among its own plurals."""
    return _filled(_speech.catalogue.ngettext(one, many, count), {"count": count, **values})


def number(value: float, how: str) -> str:
    """A number alone, formatted as by `format`, as the language spoken writes it."""
    return _speech.formatter.format_field(value, how)


def _filled(message: str, values: Mapping[str, object]) -> str:
    return _speech.formatter.vformat(message, (), values) if values else message
