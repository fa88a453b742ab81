"""Sentences that send somebody to a menu: it has that entry, in every language."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.pofile import read_po

import histoloop
from histoloop.language import ENGLISH, LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(histoloop.__file__).parent
CATALOGUES = SOURCE.parents[1] / "resources/languages"
OF_NAPARI = "(File > Open)"
WAY = re.compile(r"(\w+) > ['„«\s]*(\w.*)", re.DOTALL)


def menus() -> dict[str, list[str]]:
    """The texts of the entries of each menu, as marked."""
    tree = ast.parse((SOURCE / "gui/window/menus.py").read_text("utf-8"))
    (table,) = (
        node.value for node in tree.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "MENUS"
    )
    assert isinstance(table, ast.Dict)
    return {text: entries for key, rows in zip(table.keys, table.values, strict=True)
            for (text, *_), entries in [(list(marked(key)), list(marked(rows)))]}  # fmt: skip


def marked(tree: ast.AST | None) -> Iterator[str]:
    """The texts in `mark("…")`."""
    for node in ast.walk(tree or ast.Module([], [])):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "mark" and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def plain(text: str) -> str:
    return text.replace("&", "").removesuffix("…")


@pytest.mark.parametrize("code", [language.code for language in LANGUAGES if language.code != ENGLISH.code])
def test_a_way_through_the_menus_is_there_in_english_and_as_translated(code: str) -> None:
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=code)
    said = {str(message.id): str(message.string) for message in catalogue if isinstance(message.id, str)}
    entries = menus()
    ways = [(own, other) for own, other in said.items() if WAY.search(own) and OF_NAPARI not in own]
    assert len(ways) >= 7
    for english, translated in ways:
        for text, words in ((english, str), (translated, said.__getitem__)):
            menu, rest = WAY.search(text).groups()  # type: ignore[union-attr]
            there = [plain(words(entry)) for title in entries if plain(words(title)) == menu
                     for entry in entries[title]]  # fmt: skip
            assert any(rest.startswith(entry) for entry in there), text
