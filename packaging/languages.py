"""Collects the texts of the program for the catalogues in resources/languages and compiles them (`make languages`).

A new language: an entry in histoloop.language.LANGUAGES, `make languages`, then translate its .po file (Poedit, Weblate
or an editor), and `make languages` once more.
"""

from __future__ import annotations

import ast
import re
import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import histoloop
from histoloop.language import ENGLISH, LANGUAGES
from histoloop.store.files import write_beside

NARROW = "\N{NARROW NO-BREAK SPACE}"
SET_APART = {"fr": re.compile(r"(?<=\S)\s(?=[:;!?»])|(?<=«)\s")}
"""Spaces before signs and inside quotation marks of a language that sets them apart, narrow, where no line ends."""

ROOT = Path(__file__).resolve().parent.parent
SOURCE, FOLDER = ROOT / "app" / "histoloop", ROOT / "resources" / "languages"


def main() -> int:
    """Bring every catalogue up to date and say what is still to be translated."""
    found = collected()
    waiting = 0
    for language in LANGUAGES:
        if language is ENGLISH:
            continue
        catalogue = updated(FOLDER / f"{language.code}.po", found, language.code)
        write_beside(FOLDER / f"{language.code}.po", as_text(catalogue))
        write_beside(FOLDER / f"{language.code}.mo", compiled(catalogue))
        missing = [message for message in catalogue if message.id and not all(texts_of(message))]
        waiting += len(missing)
        print(f"{language.name}: {len(catalogue)} texts, {len(missing)} not translated yet")
    return 1 if waiting else 0


def collected() -> Catalog:
    """All texts of the program, with the files they are in.

    Read from the syntax tree: Babel's own reader sees nothing inside an f-string before Python 3.12.
    """
    found = Catalog(project="HistoLoop", version=histoloop.__version__, charset="utf-8", fuzzy=False)
    for path in sorted(SOURCE.rglob("*.py")):
        for message in texts_in(path.read_text("utf-8")):
            added = found.add(message, locations=[(path.relative_to(SOURCE).as_posix(), 0)])
            added.flags.discard("python-format")  # fields are in braces; a % is one
    return found


def texts_in(source: str) -> list[str | tuple[str, str]]:
    """The texts of a module in the order of its lines: of tr and mark the text, of tr_plural both."""
    calls = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    found: list[str | tuple[str, str]] = []
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        literal = [part.value for part in call.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if name in ("tr", "mark") and literal and literal[0]:
            found.append(literal[0])
        elif name == "tr_plural" and len(literal) == 2:
            found.append((literal[0], literal[1]))
    return found


def updated(path: Path, found: Catalog, code: str) -> Catalog:
    """A catalogue with the texts of the program: what is new is empty, what is gone is dropped."""
    if path.is_file():
        with path.open("rb") as file:
            catalogue = read_po(file, locale=code)
    else:
        catalogue = Catalog(locale=code, fuzzy=False)
    begun = catalogue.creation_date
    catalogue.update(found, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    for message in catalogue:
        said = tuple(spaced(text, code) for text in texts_of(message))
        message.string = said[0] if isinstance(message.id, str) else said
    catalogue.creation_date = catalogue.revision_date = begun
    catalogue.project, catalogue.version = found.project, found.version
    catalogue.header_comment = f"# The texts of HistoLoop in {catalogue.locale.english_name}."
    catalogue.last_translator = catalogue.language_team = catalogue.msgid_bugs_address = "HistoLoop"
    return catalogue


def as_text(catalogue: Catalog) -> bytes:
    """The .po file."""
    file = BytesIO()
    write_po(file, catalogue, width=118, include_lineno=False, sort_by_file=True)
    return file.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """The .mo file that the program reads."""
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def spaced(text: str, code: str) -> str:
    """A text with the spaces of its language, whatever spaces were typed."""
    return SET_APART[code].sub(NARROW, text) if code in SET_APART else text


def texts_of(message: Message) -> tuple[str, ...]:
    """Its translation, or one for each plural; empty texts where there is none yet."""
    said = message.string
    return (said or "",) if isinstance(said, str | None) else tuple(said)


if __name__ == "__main__":
    sys.exit(main())
