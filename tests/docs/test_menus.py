"""The menus that the guide names ("File > Report…") against those of the window. Needs no window."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Page

OF_OTHERS = re.compile(r"File > Export objects as GeoJSON|Security > Report a vulnerability")
"""What stands in menus of QuPath, and of where the sources are; docs/python.md speaks of napari's menus alone."""


@pytest.fixture(scope="session")
def menus(docs: Path) -> dict[str, set[str]]:
    """The entries of each menu of the window, without the marks of a menu, as they stand in its source."""
    tree = ast.parse((docs.parent / "app/histoloop/gui/window/menus.py").read_text(encoding="utf-8"))
    tables = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    (rows,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Dict)
    )
    return {
        _plain(_marked(key)[0]): {
            _plain(text)
            for part in (value, *(tables[n.id] for n in ast.walk(value) if isinstance(n, ast.Name) and n.id in tables))
            for text in _marked(part)
        }
        for key, value in zip(rows.keys, rows.values, strict=True)
        if key is not None
    }


def _marked(node: ast.AST) -> list[str]:
    """The texts that stand in `mark("…")` below a node."""
    return [
        str(argument.value)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "mark"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    ]


def _plain(text: str) -> str:
    return text.replace("&", "").rstrip("…")


def _named(text: str) -> list[tuple[str, str]]:
    """Menu and what follows of each "Menu > entry" of a page."""
    return [(found[1], text[found.end() : found.end() + 60]) for found in re.finditer(r"\b([A-Z]\w+) > [*\[]*", text)]


def test_entries_of_menus_that_a_page_names_are_there(page: Page, menus: dict[str, set[str]]) -> None:
    text = "" if page.name == "python.md" else OF_OTHERS.sub("", re.sub(r"\s+", " ", page.text()))
    for menu, entry in _named(text):
        assert menu in menus, f"{menu} > {entry}"
        assert any(entry.startswith(known) for known in menus[menu]), f"{menu} > {entry}"
    for menu in re.findall(r"\bmenu \*([A-Z]\w+)\*", text):
        assert menu in menus, menu


def test_the_window_speaks_another_language_where_the_guide_says(docs: Path, menus: dict[str, set[str]]) -> None:
    """Who cannot read the menu's name counts the menus: the language is in the last but one."""
    assert "Desktop language" in menus["Settings"]
    assert list(menus)[-2] == "Settings"
    assert "in the last menu but one" in (docs / "tutorial.md").read_text(encoding="utf-8")
