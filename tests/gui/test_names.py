"""What a person's names, slide names and class names contain is shown, and does nothing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QListWidget, QMenu, QWidget

from histoloop.gui.kit.widgets import button, label, menu_text, plain_tip, visible_name, visible_text
from histoloop.store.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

MS = 20_000
OVERRIDE, CONTROL = "\N{RIGHT-TO-LEFT OVERRIDE}", "\x07"
EVIL = f"<b>bold</b> & =1+1 {CONTROL}{OVERRIDE}gnp.a <img src=x>"
HIDDEN = (CONTROL, OVERRIDE)


@pytest.fixture
def named(window: MainWindow, project_folder: Path, tmp_path: Path, qtbot) -> MainWindow:
    """The window with a project whose slide, class, person and own name are full of signs."""
    with Project.open(project_folder) as project:
        first = project.slides.all()[0]
        file = tmp_path / f"{EVIL.replace('/', '')}.tiff"
        shutil.copy(first.path, file)
        project.slides.relocate(first.id, file)
        project.slides.set_label(first.id, "Normal", person=EVIL)
    database = project_folder / "project.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE project SET name = ?", (EVIL,))
        connection.execute("UPDATE label_class SET name = ? WHERE name = 'Polyp'", (EVIL,))
        connection.execute("UPDATE class SET name = ? WHERE name = 'gland'", (EVIL,))
        connection.execute("UPDATE slide_label SET label = ?", (EVIL,))
        connection.execute("UPDATE query SET class_name = ?", (EVIL,))
    window.session.person = EVIL
    assert window.session.open_project(project_folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=MS)
    return window


def texts(widget: QWidget) -> list[str]:
    """All texts of a widget that a name may be part of."""
    found = [widget.toolTip()]
    if isinstance(widget, QComboBox):
        found += [widget.itemText(n) for n in range(widget.count())]
    if isinstance(widget, QListWidget):
        items = [widget.item(n) for n in range(widget.count())]
        found += [text for item in items for text in (item.text(), item.toolTip())]
    if isinstance(widget, QLabel):
        found.append(widget.text())
    if isinstance(widget, QAbstractButton):
        found.append(widget.text())
    if isinstance(widget, QMenu):
        found += [text for action in widget.actions() for text in (action.text(), action.toolTip())]
    return found


def all_widgets(window: MainWindow) -> list[QWidget]:
    for menu in window.actions_.submenus.values():
        menu.aboutToShow.emit()
    return [window, *window.findChildren(QWidget)]


def check(window: MainWindow) -> int:
    """How many texts hold the name; each of them as a text."""
    seen = 0
    for widget in all_widgets(window):
        for text in texts(widget):
            assert not any(sign in text for sign in HIDDEN), (type(widget).__name__, text)
            seen += "bold" in text
        if isinstance(widget, QLabel) and "bold" in widget.text():
            assert widget.textFormat() is Qt.TextFormat.PlainText or "<b>" not in widget.text(), widget.text()
        if "bold" in widget.toolTip():
            assert "<b>" not in widget.toolTip(), widget.toolTip()
        if isinstance(widget, QMenu):
            for action in widget.actions():
                assert "bold" not in action.text() or "&&" in action.text(), action.text()
        if isinstance(widget, QAbstractButton) and "bold" in widget.text():
            assert "&&" in widget.text(), widget.text()
    return seen


def test_names_full_of_signs_are_text_wherever_they_are_shown(named: MainWindow, qtbot) -> None:
    assert check(named) > 10
    assert "\N{REPLACEMENT CHARACTER}" in named.windowTitle()
    assert "<b>bold</b>" in named.windowTitle()
    named.queue_panel.select(named.session.queries()[0].id)
    named.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: named.viewer.annotating is not None, timeout=MS)
    check(named)
    named.session.annotating.leave()
    named.session.problem.emit(EVIL, EVIL)
    check(named)
    assert "<b>bold</b>" in named.banner.text.text()
    named.session.project.slides.get(1).path.unlink()
    named.slide_control.look_again(frozenset({1}))
    named.slides_panel.choose(1)
    qtbot.waitUntil(lambda: named.opener.trouble is not None, timeout=MS)
    assert "<b>bold" in named.split.first.empty.name.text()
    check(named)


def test_a_label_shows_markup_as_it_is(qtbot) -> None:
    made = label("<b>a</b>")
    qtbot.addWidget(made)
    assert made.textFormat() is Qt.TextFormat.PlainText
    plain = label("a")
    qtbot.addWidget(plain)
    assert made.sizeHint().width() > 3 * plain.sizeHint().width()


def test_an_ampersand_in_a_name_is_no_key_of_a_menu(qtbot) -> None:
    menu = QMenu()
    qtbot.addWidget(menu)
    menu.addAction(menu_text("Tumour & stroma\tCtrl+Q"))
    assert menu.actions()[0].text() == "Tumour && stroma\N{REPLACEMENT CHARACTER}Ctrl+Q"
    made = button(menu_text("A & B"))
    qtbot.addWidget(made)
    assert made.shortcut().isEmpty()


@given(st.text(max_size=30))
@example(EVIL)
@example("שקופית 62")
def test_nothing_hidden_is_left_of_a_name_and_nothing_visible_is_lost(name: str) -> None:
    shown = visible_name(name)
    assert len(shown) == len(name)
    assert not any(sign in shown for sign in (*HIDDEN, "\n", "\t", "\x00"))
    assert all(a == b or b == "\N{REPLACEMENT CHARACTER}" for a, b in zip(name, shown, strict=True))
    assert visible_text(shown) == shown


def test_a_tip_is_the_text_whatever_looks_like_markup() -> None:
    assert plain_tip("a plain tip") == "a plain tip"
    assert plain_tip("<b>x</b>\ny") == "<qt>&lt;b&gt;x&lt;/b&gt;<br>y</qt>"
    assert isinstance(QApplication.instance(), QApplication | None)
