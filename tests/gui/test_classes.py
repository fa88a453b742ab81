"""The classes of a running project: changed in a dialog, shown at once, taken back; what is painted stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import bring_up, press
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QColorDialog

from histoloop.annotations.records import LEFT_OUT_VALUE
from histoloop.geometry import Region
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.gui.mouse import drag
from histoloop.store.project import Project
from histoloop.store.records import NewQuery
from histoloop.workflows.classes import rename_class, reorder_classes
from histoloop.workflows.projects import opened_project

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.dialogs.classes_dialog import ClassesDialog
    from histoloop.gui.window.main_window import MainWindow

MS = 30_000


def names_of(window: MainWindow) -> tuple[str, ...]:
    return window.session.project.scheme.mask_names


def editor(window: MainWindow, qtbot) -> ClassesDialog:
    window.actions_["classes"].trigger()
    dialog = window.class_control.dialog
    assert dialog is not None
    bring_up(dialog)
    return dialog


def type_name(dialog: ClassesDialog, row: int, name: str, qtbot, *, enter: bool = True) -> None:
    field = dialog.table.rows[row].name
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, name)
    if enter:
        qtbot.keyClick(field, Qt.Key.Key_Return)


def add_class(window: MainWindow, dialog: ClassesDialog, name: str, qtbot) -> None:
    qtbot.mouseClick(dialog.table.add, Qt.MouseButton.LeftButton)
    type_name(dialog, len(dialog.table.rows) - 1, name, qtbot, enter=False)
    QApplication.focusWidget().clearFocus()
    qtbot.waitUntil(lambda: name in names_of(window), timeout=MS)


def answer(dialog: ClassesDialog, qtbot) -> ChoiceDialog:
    """The question that a dialog asks, once it is there."""
    qtbot.waitUntil(lambda: any(each.isVisible() for each in dialog.findChildren(ChoiceDialog)), timeout=MS)
    return next(each for each in dialog.findChildren(ChoiceDialog) if each.isVisible())


def paint(window: MainWindow, value: int, qtbot) -> None:
    """A stroke through the middle of the region in hand, with the class of a key."""
    viewer = window.viewer
    press(window, Qt.Key(Qt.Key.Key_0 + value))
    assert window.annotation_panel.classes.value == value
    region = viewer.annotating
    row = region.y + region.height * value // 4
    before = np.count_nonzero(viewer.painted_mask == value)
    drag(viewer.canvas, [viewer.to_canvas(region.x + region.width * n // 8, row) for n in range(2, 7)])
    qtbot.waitUntil(lambda: np.count_nonzero(viewer.painted_mask == value) > before, timeout=MS)
    qtbot.waitUntil(lambda: window.annotation_panel.saved.text() == "Saved", timeout=MS)


def test_a_class_is_renamed_in_its_place_and_called_so_wherever_it_is_seen(painting: MainWindow, qtbot) -> None:
    dialog = editor(painting, qtbot)
    assert [one.name for one in dialog.table.classes()] == ["gland", "tumour"]
    type_name(dialog, 0, "crypt", qtbot)
    qtbot.waitUntil(lambda: names_of(painting) == ("crypt", "tumour"), timeout=MS)
    assert painting.annotation_panel.classes.button(1).accessibleName() == "Crypt"
    assert "crypt or tumour" in painting.annotation_panel.question.text()
    assert painting.overlay_panel._names == ("crypt", "tumour")
    assert painting.actions_.submenus["paint_class"].actions()[0].text() == "Crypt"


def test_renaming_while_a_region_is_painted_keeps_strokes_and_the_class_in_hand(painting: MainWindow, qtbot) -> None:
    paint(painting, 2, qtbot)
    before, dialog = painting.viewer.painted_mask, editor(painting, qtbot)
    type_name(dialog, 1, "carcinoma", qtbot)
    qtbot.waitUntil(lambda: names_of(painting) == ("gland", "carcinoma"), timeout=MS)
    assert np.array_equal(painting.viewer.painted_mask, before)
    assert painting.annotation_panel.classes.value == 2
    dialog.close()
    paint(painting, 1, qtbot)
    assert painting.paint_control.can_undo


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("tumour", "tumour already exists."),
        ("TUMOUR", "tumour already exists."),
        ("  ", "A class or label needs a name"),
        ("background", "is reserved"),
    ],
)
def test_a_name_that_cannot_be_is_told_while_it_is_typed_and_changes_nothing(
    opened: MainWindow, typed: str, told: str, qtbot
) -> None:
    dialog = editor(opened, qtbot)
    type_name(dialog, 0, typed, qtbot, enter=False)
    assert told in dialog.state.text()
    qtbot.keyClick(dialog.table.rows[0].name, Qt.Key.Key_Return)
    opened.session.wait_until_written(5)
    assert names_of(opened) == ("gland", "tumour")
    type_name(dialog, 0, "crypt", qtbot)
    qtbot.waitUntil(lambda: names_of(opened) == ("crypt", "tumour"), timeout=MS)
    assert dialog.state.text() == ""


def test_return_in_the_last_name_renames_it_and_asks_for_no_other_class(opened: MainWindow, qtbot) -> None:
    dialog = editor(opened, qtbot)
    type_name(dialog, 1, "carcinoma", qtbot)
    qtbot.waitUntil(lambda: names_of(opened) == ("gland", "carcinoma"), timeout=MS)
    assert [row.name.text() for row in dialog.table.rows] == ["gland", "carcinoma"]
    assert dialog.state.text() == ""


def test_a_class_that_is_added_can_be_painted_at_once(painting: MainWindow, qtbot) -> None:
    dialog = editor(painting, qtbot)
    add_class(painting, dialog, "necrosis", qtbot)
    assert names_of(painting) == ("gland", "tumour", "necrosis")
    assert painting.session.project.scheme.masks[2].colour == "#d55e00"
    dialog.close()
    paint(painting, 3, qtbot)
    assert painting.viewer._made.labels.colormap.color_dict[3][0] == pytest.approx(0xD5 / 255)


def test_a_row_without_a_name_adds_no_class_and_is_gone_with_the_dialog(opened: MainWindow, qtbot) -> None:
    dialog = editor(opened, qtbot)
    qtbot.mouseClick(dialog.table.add, Qt.MouseButton.LeftButton)
    assert "A class or label needs a name" in dialog.state.text()
    dialog.close()
    QApplication.processEvents()
    assert len(editor(opened, qtbot).table.rows) == 2
    assert names_of(opened) == ("gland", "tumour")


def test_a_colour_is_that_of_the_class_in_masks_and_buttons_too(
    painting: MainWindow, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = editor(painting, qtbot)
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: QColor("#0072b2"))
    qtbot.mouseClick(dialog.table.rows[0].colour, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: painting.session.project.scheme.masks[0].colour == "#0072b2", timeout=MS)
    qtbot.waitUntil(lambda: painting.overlay_panel.overlay_style.classes[0].colour == "#0072b2", timeout=MS)
    assert painting.viewer._made.labels.colormap.color_dict[1][2] == pytest.approx(0xB2 / 255)


def QColor_of(colour: str) -> QColor:
    return QColor(colour)


def test_another_order_gives_other_keys_and_what_was_painted_stays_of_its_class(painting: MainWindow, qtbot) -> None:
    paint(painting, 2, qtbot)
    before = painting.viewer.painted_mask == 2
    record = painting.session.active.record
    dialog = editor(painting, qtbot)
    dialog.table.rows[1].name.setFocus()
    qtbot.mouseClick(dialog.table.up, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: names_of(painting) == ("tumour", "gland"), timeout=MS)
    qtbot.waitUntil(lambda: painting.viewer.annotating is not None, timeout=MS)
    assert painting.session.active.record.id == record.id
    assert np.array_equal(painting.viewer.painted_mask == 1, before)
    assert painting.annotation_panel.classes.value == 1  # tumour stays in hand
    assert dialog.table.current == 0


def test_before_a_class_is_removed_one_is_told_of_what_and_it_can_be_taken_back(painting: MainWindow, qtbot) -> None:
    dialog = editor(painting, qtbot)
    add_class(painting, dialog, "necrosis", qtbot)
    paint(painting, 3, qtbot)
    painted = painting.viewer.painted_mask == 3
    dialog.table.choose(2)
    qtbot.mouseClick(dialog.table.remove, Qt.MouseButton.LeftButton)
    asked = answer(dialog, qtbot)
    assert asked.text.text() == "Remove necrosis?"
    assert "1 draft" in asked.detail.text()
    assert "ignored" in asked.detail.text()
    qtbot.mouseClick(asked.cancel, Qt.MouseButton.LeftButton)
    assert names_of(painting) == ("gland", "tumour", "necrosis")
    qtbot.mouseClick(dialog.table.remove, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(answer(dialog, qtbot).answers[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: names_of(painting) == ("gland", "tumour"), timeout=MS)
    qtbot.waitUntil(lambda: painting.viewer.annotating is not None, timeout=MS)
    assert set(np.unique(painting.viewer.painted_mask[painted])) <= {0, LEFT_OUT_VALUE}
    assert painting.annotation_panel.classes.value in (1, 2)
    qtbot.mouseClick(dialog.undo, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: names_of(painting) == ("gland", "tumour", "necrosis"), timeout=MS)
    qtbot.waitUntil(lambda: painting.viewer.annotating is not None, timeout=MS)
    assert np.array_equal(painting.viewer.painted_mask == 3, painted)
    assert "necrosis removed" in painting.statusBar().currentMessage()


def test_a_merge_names_both_classes_and_counts_and_the_menu_takes_it_back(painting: MainWindow, qtbot) -> None:
    paint(painting, 1, qtbot)
    paint(painting, 2, qtbot)
    of_both = painting.viewer.painted_mask > 0
    dialog = editor(painting, qtbot)
    dialog.table.choose(0)
    qtbot.mouseClick(dialog.merge, Qt.MouseButton.LeftButton)
    assert [action.text() for action in dialog.targets.actions()] == ["tumour"]
    dialog.targets.actions()[0].trigger()
    dialog.targets.close()
    asked = answer(dialog, qtbot)
    assert asked.text.text() == "Merge gland into tumour?"
    qtbot.mouseClick(asked.answers[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: names_of(painting) == ("tumour",), timeout=MS)
    qtbot.waitUntil(lambda: painting.viewer.annotating is not None, timeout=MS)
    assert np.array_equal(painting.viewer.painted_mask == 1, of_both)
    assert not dialog.table.remove.isEnabled()  # the last class
    assert not dialog.merge.isEnabled()
    dialog.close()
    painting.actions_["undo_classes"].trigger()
    qtbot.waitUntil(lambda: names_of(painting) == ("gland", "tumour"), timeout=MS)
    qtbot.waitUntil(lambda: not painting.actions_["undo_classes"].isEnabled(), timeout=MS)


def test_a_class_that_a_question_waits_for_is_removed_and_the_question_stays(opened: MainWindow, qtbot) -> None:
    asked_before = opened.queue_panel.shown_ids()
    with Project.connect(opened.session.project.folder) as project:
        label = next(label.name for label in project.scheme.labels if label.mask == "tumour")
        slide = project.slides.all()[0]
        project.queries.add([NewQuery(slide.id, Region(8, 8, 64, 64), "random", 9.0, 1, {}, label)])
    opened.session.open_project(opened.session.project.folder)
    qtbot.waitUntil(lambda: len(opened.queue_panel.shown_ids()) == len(asked_before) + 1, timeout=MS)
    waiting = opened.queue_panel.shown_ids()
    dialog = editor(opened, qtbot)
    dialog.table.choose(1)
    qtbot.mouseClick(dialog.table.remove, Qt.MouseButton.LeftButton)
    asked = answer(dialog, qtbot)
    assert "open question" in asked.detail.text()
    qtbot.mouseClick(asked.answers[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: names_of(opened) == ("gland",), timeout=MS)
    assert opened.queue_panel.shown_ids() == waiting
    dialog.close()
    opened.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: opened.viewer.annotating is not None, timeout=MS)
    assert opened.viewer.painted_mask.max() <= 1


def test_a_project_that_is_read_only_offers_no_change_of_classes(opened: MainWindow, project_folder: Path) -> None:
    opened.session.close_project()
    opened.session._open(lambda: opened_project(project_folder, read_only=True))
    assert opened.session.read_only
    assert not opened.actions_["classes"].isEnabled()


def test_the_dialog_goes_with_its_project(opened: MainWindow, qtbot) -> None:
    editor(opened, qtbot)
    opened.session.close_project()
    assert opened.class_control.dialog is None


def test_classes_that_another_program_changed_are_shown_and_the_region_in_hand_goes_on(
    painting: MainWindow, project_folder: Path, qtbot
) -> None:
    paint(painting, 2, qtbot)
    before, record = painting.viewer.painted_mask == 2, painting.session.active.record
    with Project.connect(project_folder) as other:
        rename_class(other, "tumour", "carcinoma")
        reorder_classes(other, ["carcinoma", "gland"])
    painting.session.refresh_if_changed()
    qtbot.waitUntil(lambda: painting.overlay_panel._names == ("carcinoma", "gland"), timeout=MS)
    qtbot.waitUntil(lambda: painting.viewer.annotating is not None, timeout=MS)
    assert painting.session.active.record.id == record.id
    assert np.array_equal(painting.viewer.painted_mask == 1, before)
