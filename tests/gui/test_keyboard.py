"""The window without a mouse: the slide moved by arrows, Tab to all parts, every key found, every control named."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from keyboard import bring_up, press
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit

from histoloop.annotations.records import AnnotationStatus
from histoloop.gui.dialogs.keys_dialog import KeysDialog
from histoloop.gui.kit.key_presets import KEY_PRESETS, key_in
from histoloop.gui.window.menus import specs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtGui import QAccessibleInterface
    from PySide6.QtWidgets import QWidget

    from histoloop.gui.window.main_window import MainWindow

SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
SHIFT = Qt.KeyboardModifier.ShiftModifier
NAMED = {
    QAccessible.Role.Button,
    QAccessible.Role.ButtonMenu,
    QAccessible.Role.CheckBox,
    QAccessible.Role.RadioButton,
    QAccessible.Role.ComboBox,
    QAccessible.Role.EditableText,
    QAccessible.Role.SpinBox,
    QAccessible.Role.Slider,
    QAccessible.Role.List,
    QAccessible.Role.Table,
    QAccessible.Role.Tree,
    QAccessible.Role.PageTab,
    QAccessible.Role.MenuItem,
}
"""What a person acts on: a screen reader must be able to say what it is."""


@pytest.mark.parametrize(
    ("key", "x", "y"),
    [(Qt.Key.Key_Left, -1, 0), (Qt.Key.Key_Right, 1, 0), (Qt.Key.Key_Up, 0, -1), (Qt.Key.Key_Down, 0, 1)],
)
def test_arrows_move_the_slide_and_shift_moves_it_further(opened: MainWindow, key: Qt.Key, x: int, y: int) -> None:
    opened.viewer.full_resolution()
    before, seen = opened.viewer.camera(), opened.viewer.canvas_rect.size()
    press(opened, key)
    after = opened.viewer.camera()
    assert after.x - before.x == pytest.approx(0.1 * x * seen.width())
    assert after.y - before.y == pytest.approx(0.1 * y * seen.height())
    press(opened, key, SHIFT)
    assert opened.viewer.camera().x - after.x == pytest.approx(0.5 * x * seen.width())
    assert opened.viewer.camera().y - after.y == pytest.approx(0.5 * y * seen.height())


def test_arrows_move_the_slide_while_a_region_is_painted(painting: MainWindow) -> None:
    before = painting.viewer.camera()
    press(painting, Qt.Key.Key_Right)
    assert painting.viewer.camera().x > before.x
    assert painting.viewer.annotating is not None


def test_tab_leaves_the_slide_and_comes_back_to_it(opened: MainWindow) -> None:
    press(opened, Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is not opened.viewer.canvas
    for _turn in range(300):
        if QApplication.focusWidget() is opened.viewer.canvas:
            break
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
    assert QApplication.focusWidget() is opened.viewer.canvas


def test_a_question_is_asked_for_answered_and_done_by_keys_alone(opened: MainWindow, qtbot) -> None:
    press(opened, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: opened.viewer.annotating is not None, timeout=30_000)
    draft = opened.session.active.record
    press(opened, Qt.Key.Key_2)
    assert opened.viewer.painted_class == 2
    press(opened, Qt.Key.Key_F, SHIFT)
    press(opened, Qt.Key.Key_L)
    press(opened, Qt.Key.Key_Return)
    project = opened.session.project
    qtbot.waitUntil(lambda: project.annotations.get(draft.id).status is AnnotationStatus.DONE, timeout=30_000)
    assert project.annotations.get(draft.id).label is not None


def test_the_page_of_keys_is_searched_as_one_types(window: MainWindow, qtbot) -> None:
    bring_up(window)
    QTest.keyClick(window, Qt.Key.Key_F1)
    dialog = window.findChild(KeysDialog)
    qtbot.waitUntil(dialog.isVisible)
    everything = dialog.shown()
    bring_up(dialog)
    QTest.keyClicks(dialog.search, "brush")
    assert set(dialog.shown()) < set(everything)
    assert "Smaller brush" in dialog.shown()
    assert "Retrain" not in dialog.shown()
    dialog.search.clear()
    QTest.keyClicks(dialog.search, "ctrl+r")
    assert "Retrain" in dialog.shown()
    dialog.search.clear()
    QTest.keyClicks(dialog.search, "xyzzy")
    assert dialog.shown() == []
    assert dialog.none.isVisible()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not dialog.isVisible())


def walk(interface: QAccessibleInterface) -> Iterator[QAccessibleInterface]:
    """All that a screen reader can reach below an element."""
    for index in range(interface.childCount()):
        child = interface.child(index)
        if child is not None and child.isValid():
            yield child
            yield from walk(child)


def is_inside(thing: QWidget) -> bool:
    """Whether it is the list of a box, the cross of a line or of napari's own."""
    parents = []
    while (thing := thing.parent()) is not None:
        parents.append(thing)
    return isinstance(parents[0], QLineEdit) or any(
        isinstance(each, QComboBox) or type(each).__name__ == "QtViewer" for each in parents
    )


def nameless(widget: QWidget) -> list[str]:
    """The controls below a widget that have no name, by their class."""
    found = []
    for each in walk(QAccessible.queryAccessibleInterface(widget)):
        if each.role() not in NAMED or each.text(QAccessible.Text.Name).strip():
            continue
        thing = each.object()
        if thing is None or thing.objectName().startswith("qt_") or thing.isHidden() or is_inside(thing):
            continue  # hidden, or a part of a control that has a name or of a kind that is not ours
        found.append(f"{type(thing).__name__} {thing.objectName()} in {type(thing.parent()).__name__}")
    return found


def test_every_control_of_the_window_has_a_name(window: MainWindow) -> None:
    assert nameless(window) == []


def test_every_control_has_a_name_while_a_region_is_painted(painting: MainWindow) -> None:
    assert nameless(painting) == []


def test_every_control_of_the_dialogs_has_a_name(opened: MainWindow, tmp_path) -> None:
    from histoloop.gui.dialogs.classes_dialog import ClassesDialog
    from histoloop.gui.dialogs.new_project import NewProjectDialog
    from histoloop.gui.dialogs.resolution_dialog import ResolutionDialog

    dialogs = [
        KeysDialog(opened, {}),
        NewProjectDialog(opened, place=tmp_path),
        ResolutionDialog(opened, slides=opened.session.slides()),
        ClassesDialog(opened),
    ]
    missing = {type(dialog).__name__: nameless(dialog) for dialog in dialogs}
    for dialog in dialogs:
        dialog.deleteLater()
    assert not any(missing.values()), missing


@pytest.mark.parametrize("preset", KEY_PRESETS)
def test_no_key_of_a_preset_has_two_meanings(preset: str) -> None:
    keys = [key_in(preset, spec.name, spec.shortcut) for spec in specs() if spec.shortcut]
    keys += [str(number) for number in range(1, 10)] + ["Left", "Right", "Up", "Down", "Space", "Tab"]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_presets_change_keys_of_actions_that_there_are() -> None:
    names = {spec.name for spec in specs() if spec.shortcut}
    for preset, keys in KEY_PRESETS.items():
        assert keys.keys() <= names, preset


def test_the_keys_of_napari_are_chosen_on_the_page_of_keys_and_kept(painting: MainWindow, qtbot, delete_window) -> None:
    press(painting, Qt.Key.Key_W)
    assert painting.viewer.tool == "wand"
    press(painting, Qt.Key.Key_M)
    assert painting.viewer.tool == "pan"
    bring_up(painting)
    QTest.keyClick(painting, Qt.Key.Key_F1)
    dialog = painting.findChild(KeysDialog)
    qtbot.waitUntil(dialog.isVisible)
    bring_up(dialog)
    dialog.preset.setFocus()
    QTest.keyClick(dialog.preset, Qt.Key.Key_Down)
    QTest.keyClicks(dialog.search, "brush")
    columns = {item.text(0): (item.text(1), item.text(2)) for row, item in dialog._items if row.what == "Brush"}
    assert columns == {"Brush": ("B", "P")}
    if SHOTS:
        dialog.grab().save(f"{SHOTS}/keys.png")
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not dialog.isVisible())
    press(painting, Qt.Key.Key_P)
    assert painting.viewer.tool == "brush"
    press(painting, Qt.Key.Key_Z)
    assert painting.viewer.tool == "pan"
    assert painting.actions_["keys_napari"].isChecked()
    assert "(P)" in painting.actions_["tool_brush"].toolTip()
    again = type(painting)(painting.settings)
    assert again.actions_["tool_brush"].shortcut().toString() == "P"
    delete_window(again)


def test_the_menus_choose_the_keys_too_by_their_letters(window: MainWindow, qtbot) -> None:
    bring_up(window)
    QTest.keyClick(window, Qt.Key.Key_T, Qt.KeyboardModifier.AltModifier)
    menu = QApplication.activePopupWidget()
    QTest.keyClick(menu, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: window.actions_["keys_napari"].isChecked())
    assert window.settings.text("keys") == "napari"
    window.actions_["keys_qupath"].trigger()
    assert window.actions_["tool_brush"].shortcut().toString() == "B"
