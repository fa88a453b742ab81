"""All annotations in a list: filtered, gone to, reopened, deleted and brought back, with mouse and keyboard."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import Qt

from histoloop.annotations.records import AnnotationStatus, Counts, Origin, Patch
from histoloop.geometry import Region
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.store.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.panels.annotations_panel import AnnotationsPanel
    from histoloop.gui.window.main_window import MainWindow

SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")
SIDE = 128


def shoot(window: MainWindow, name: str) -> None:
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


def annotate(folder: Path, count: int) -> None:
    """Annotations by two persons: strokes by Ada, whole regions by Bo, in turns; on two slides; the last is a draft."""
    with Project.open(folder) as project:
        slides = project.slides.all()
        for number in range(count):
            person, counts = ("Ada", Counts.STROKES) if number % 2 == 0 else ("Bo", Counts.REGION)
            region = Region(40 + 150 * (number % 10), 40 + 10 * (number // 10), SIDE, SIDE)
            mask = np.zeros((SIDE, SIDE), np.uint8)
            draft = project.drafts.start(
                slides[number % 2].id, region, mask=mask, origin_model=None, person=person, counts=counts
            )
            plane = np.full((40, 60), 1 + number % 2, np.uint8)
            project.drafts.append_patch(draft.id, Patch(30, 20, plane, np.full_like(plane, np.uint8(Origin.HUMAN))))
            if number < count - 1:
                project.drafts.finish(draft.id, AnnotationStatus.DONE)


def show(window: MainWindow, folder: Path, qtbot) -> AnnotationsPanel:
    """The list, with all that is read of what is in sight."""
    window.session.person = "Ada"
    assert window.session.open_project(folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=30_000)
    window.actions_["all_annotations"].trigger()
    panel = window.annotations_panel
    qtbot.waitUntil(lambda: panel.isVisible() and window.details.idle, timeout=60_000)
    return panel


@pytest.fixture
def panel(window: MainWindow, project_folder: Path, qtbot) -> AnnotationsPanel:
    annotate(project_folder, 6)
    return show(window, project_folder, qtbot)


def texts(panel: AnnotationsPanel) -> list[str]:
    model = panel.list.model()
    return [model.index(number, 0).data() for number in range(model.rowCount())]


def test_a_project_without_annotations_says_how_to_begin(window: MainWindow, project_folder: Path, qtbot) -> None:
    panel = show(window, project_folder, qtbot)
    assert "Nothing is annotated yet" in panel.summary.text()
    assert not panel.list.isVisible()
    assert not panel.delete.isVisible()


def test_a_row_says_what_was_annotated_by_whom_and_what_counts(window: MainWindow, panel, qtbot) -> None:
    qtbot.waitUntil(lambda: "…" not in "".join(texts(panel)))
    shoot(window, "annotation-list")
    newest, done = texts(panel)[0], texts(panel)[1]
    assert newest.startswith("malignant.tiff\nDraft · Whole region\ntumour 600 µm²")
    assert "\nBo · 20" in newest
    assert done.startswith("benign.tiff\nDone · Only my strokes\ngland 600 µm²\nAda · 20")
    assert panel.summary.text() == "6 annotations"
    assert not panel.list.model().index(0, 0).data(Qt.ItemDataRole.DecorationRole).isNull()


@pytest.mark.parametrize(
    ("box", "value", "left"),
    [
        ("state_filter", "draft", 1),
        ("state_filter", "held out", 1),
        ("person_filter", "Bo", 3),
        ("class_filter", "tumour", 3),
    ],
)
def test_filters_leave_what_fits(panel: AnnotationsPanel, qtbot, box: str, value: str, left: int) -> None:
    qtbot.waitUntil(lambda: "…" not in "".join(texts(panel)))
    chosen = getattr(panel, box)
    chosen.setCurrentIndex(chosen.findData(value))
    assert len(panel.shown_ids()) == left
    assert panel.summary.text() == f"{left} of 6 annotations"


def test_the_list_is_sorted_by_slide_person_and_state(panel: AnnotationsPanel, qtbot) -> None:
    newest = panel.shown_ids()
    listed = {each.record.id: each for each in panel._given}
    panel.select(newest[2])
    for words, key in (
        ("By slide", lambda number: listed[number].slide.name),
        ("By person", lambda number: listed[number].record.person),
        ("By state", lambda number: ["draft", "done", "held out"].index(listed[number].state)),
    ):
        panel.order.setCurrentIndex(panel.order.findText(words))
        assert panel.shown_ids() == sorted(newest, key=key), words
        assert panel.selected_ids() == [newest[2]]
    panel.order.setCurrentIndex(panel.order.findText("Newest first"))
    assert panel.shown_ids() == newest


def test_a_text_that_fits_nothing_says_so(panel: AnnotationsPanel, qtbot) -> None:
    qtbot.keyClicks(panel.text_filter, "benign")
    assert len(panel.shown_ids()) == 3
    qtbot.keyClicks(panel.text_filter, "xx")
    assert panel.shown_ids() == []
    assert panel.summary.text() == "No annotation matches these filters."


def test_return_goes_to_the_region_on_its_slide(window: MainWindow, panel: AnnotationsPanel, qtbot) -> None:
    record = window.session.project.annotations.get(panel.shown_ids()[0])
    panel.select(record.id)
    panel.list.setFocus()
    qtbot.keyClick(panel.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.opener.current == record.slide_id, timeout=20_000)
    qtbot.waitUntil(lambda: abs(window.viewer.camera().x - record.region.centre[0]) < 1)


def test_what_is_reopened_is_painted_on(window: MainWindow, panel: AnnotationsPanel, qtbot) -> None:
    chosen = panel.shown_ids()[1]
    record = window.session.project.annotations.get(chosen)
    panel.select(chosen)
    qtbot.mouseClick(panel.reopen, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.viewer.annotating == record.region, timeout=20_000)
    assert window.session.active.record.continues == chosen
    assert window.paint_control.counts is Counts.STROKES
    assert np.count_nonzero(window.viewer.painted_mask == 1) == 40 * 60


def test_several_are_deleted_after_a_question_and_come_back(window: MainWindow, panel: AnnotationsPanel, qtbot) -> None:
    before = panel.shown_ids()
    panel.list.setFocus()
    panel.select(before[1])
    qtbot.keyClick(panel.list, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert panel.selected_ids() == before[1:3]
    qtbot.keyClick(panel.list, Qt.Key.Key_Delete)
    dialog = window.findChild(ChoiceDialog)
    assert dialog.text.text() == "Delete 2 annotations?"
    shoot(window, "annotation-delete")
    qtbot.keyClick(dialog, Qt.Key.Key_Return)  # which is Cancel
    qtbot.waitUntil(lambda: window.findChild(ChoiceDialog) is None)
    assert panel.shown_ids() == before
    qtbot.mouseClick(panel.delete, Qt.MouseButton.LeftButton)
    dialog = window.findChild(ChoiceDialog)
    qtbot.mouseClick(dialog.answers[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.shown_ids() == [before[0], *before[3:]])
    assert {each.id for each in window.session.project.annotations.finished()} == set(before[3:])
    window.actions_["undo"].trigger()
    qtbot.waitUntil(lambda: panel.shown_ids() == before)


def test_the_draft_in_hand_is_left_before_it_is_deleted(window: MainWindow, panel: AnnotationsPanel, qtbot) -> None:
    window.session.person = "Bo"
    draft = panel.shown_ids()[0]
    window.session.annotating.go_on(draft)
    qtbot.waitUntil(lambda: window.viewer.annotating is not None, timeout=20_000)
    window.actions_["all_annotations"].trigger()
    panel.select(draft)
    qtbot.mouseClick(panel.delete, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(window.findChild(ChoiceDialog).answers[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: draft not in panel.shown_ids())
    assert window.viewer.annotating is None


def test_a_read_only_project_can_be_looked_at_alone(panel: AnnotationsPanel) -> None:
    panel.select(panel.shown_ids()[0])
    panel.set_read_only("Somebody else has it open.")
    assert panel.go_to.isEnabled()
    assert not panel.reopen.isEnabled()
    assert not panel.delete.isEnabled()


def test_hundreds_of_annotations_are_listed_without_waiting_for_their_masks(
    window: MainWindow, project_folder: Path, qtbot
) -> None:
    annotate(project_folder, 300)
    panel = show(window, project_folder, qtbot)
    qtbot.waitUntil(lambda: window.details.idle, timeout=60_000)
    pictures = [panel.list.model().index(number, 0).data(Qt.ItemDataRole.DecorationRole) for number in range(300)]
    drawn = sum(picture.toImage().pixelColor(30, 30).alpha() > 0 for picture in pictures)
    assert 0 < drawn < 40
    window.annotations_control.show()
    assert len(panel.shown_ids()) == 300
