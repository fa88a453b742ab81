"""A second reader, by mouse and keyboard: asked by name, blinded, compared, and somebody chosen."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import bring_up, press
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QImage, QPainter, QPolygonF
from PySide6.QtTest import QTest

from histoloop.annotations.records import AnnotationStatus, Patch
from histoloop.geometry import Region
from histoloop.gui.canvas.region_marks import BEGUN, REVIEW_MARKS, draw_mark
from histoloop.gui.mouse import drag
from histoloop.gui.panels.slides.slide_row import State
from histoloop.gui.panels.slides.slide_rows import SLIDE_STATE
from histoloop.workflows import annotate
from histoloop.workflows.contents.readings import ReviewState, begin_reading

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow
    from histoloop.store.records import AnnotationRecord

LEFT, SHIFT, CONTROL = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
REGION = Region(400, 300, 300, 200)
SHOTS = os.environ.get("HISTOLOOP_SHOTS", "")


def shoot(widget, name: str) -> None:
    if SHOTS:
        widget.grab().save(f"{SHOTS}/{name}.png")


def name_oneself(window: MainWindow, name: str) -> None:
    """Type a name into the bar and press the button."""
    bring_up(window)
    assert window.person_bar.isVisible()
    window.person_bar.name.setFocus()
    window.person_bar.name.selectAll()
    QTest.keyClicks(window.person_bar.name, name)
    QTest.mouseClick(window.person_bar.keep, LEFT)


@pytest.fixture
def first(opened: MainWindow) -> AnnotationRecord:
    """What Ada painted on the slide on the screen."""
    project = opened.session.project
    mask = np.zeros((REGION.height, REGION.width), np.uint8)
    mask[:100] = 1
    draft = project.drafts.start(opened.opener.current, REGION, mask=mask, origin_model=None, person="Ada")
    record = annotate.finish(project, draft.id)
    opened.session.queries_changed.emit()
    return record


def test_a_person_is_asked_once_for_each_project_and_can_be_changed(opened: MainWindow, qtbot) -> None:
    shoot(opened, "person_bar")
    name_oneself(opened, "Bo")
    assert (opened.session.person, opened.person_bar.isVisible()) == ("Bo", False)
    folder = opened.session.project.folder
    opened.session.close_project()
    opened.session.person = ""
    assert opened.session.open_project(folder)
    qtbot.waitUntil(lambda: opened.opener.current is not None, timeout=60_000)
    assert (opened.session.person, opened.person_bar.isVisible()) == ("Bo", False)


def test_a_second_reader_is_blinded_compared_and_chosen(opened: MainWindow, first: AnnotationRecord, qtbot) -> None:
    session = opened.session
    name_oneself(opened, "Bo")
    press(opened, Qt.Key.Key_N, SHIFT)
    qtbot.waitUntil(lambda: session.active is not None and opened.viewer.annotating == REGION, timeout=60_000)
    assert not session.active.painted.mask.any()
    assert not session.active.predicted.any()
    style = opened.viewer.overlay_style
    assert (style.masks, style.heatmap, style.hatched) == (False, False, False)
    assert opened.actions_["blinded"].isChecked()
    assert opened.annotation_panel.reason.text().startswith("Second reading: you see neither masks")
    press(opened, Qt.Key.Key_A)
    press(opened, Qt.Key.Key_J)
    assert session.active is not None
    assert opened.viewer.tool != "copy"
    assert opened.actions_["accept"].toolTip().endswith("Masks are hidden while you read blinded.")
    press(opened, Qt.Key.Key_J, CONTROL)
    assert opened.annotations_panel.list.model().rowCount() == 0
    press(opened, Qt.Key.Key_B)
    opened.annotation_panel.brush.setValue(60)
    assert opened.viewer.wait_until_loaded()
    drag(opened.viewer.canvas, [opened.viewer.to_canvas(x, 340) for x in range(430, 671, 30)])
    qtbot.waitUntil(lambda: bool(opened.viewer.painted_mask.any()), timeout=30_000)
    shoot(opened, "blinded")
    press(opened, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(session.project.readings.done()) == 1, timeout=60_000)
    assert [one.id for one in session.project.annotations.finished()] == [first.id]
    qtbot.waitUntil(lambda: session.active is None, timeout=30_000)

    press(opened, Qt.Key.Key_G, CONTROL | SHIFT)
    qtbot.waitUntil(lambda: opened.second_reader.dialog is not None, timeout=30_000)
    dialog = opened.second_reader.dialog
    qtbot.waitUntil(lambda: dialog.table.rowCount() == 1, timeout=30_000)
    assert opened.viewer.overlay_style.masks
    shoot(dialog, "agreement")
    assert [dialog.table.item(0, column).text() for column in range(1, 5)] == [
        "Ada",
        "Bo",
        "Readers differ",
        "the first",
    ]
    bring_up(dialog)
    QTest.mouseClick(dialog.second, LEFT)
    qtbot.waitUntil(lambda: dialog.table.item(0, 4).text() == "the second", timeout=30_000)
    assert dialog.table.item(0, 3).text() == "Decided"
    (counts,) = session.project.annotations.finished()
    assert (counts.person, counts.adjudicator) == ("Bo", "Bo")
    QTest.mouseClick(dialog.anew, LEFT)
    qtbot.waitUntil(lambda: session.active is not None, timeout=60_000)
    assert session.active.record.reading_of is None


def test_a_blinded_reading_goes_on_after_a_restart_until_it_is_ended(
    opened: MainWindow, first: AnnotationRecord, qtbot
) -> None:
    name_oneself(opened, "Bo")
    opened.actions_["blinded"].trigger()
    folder = opened.session.project.folder
    opened.session.close_project()
    assert not opened.second_reader.is_blinded
    assert opened.session.open_project(folder)
    qtbot.waitUntil(lambda: opened.opener.current is not None, timeout=60_000)
    assert opened.second_reader.is_blinded
    assert not opened.viewer.overlay_style.masks
    opened.actions_["blinded"].trigger()
    assert opened.viewer.overlay_style.masks
    assert first.person == "Ada"


def read_by_bo(window: MainWindow, first: AnnotationRecord) -> None:
    """Bo reads the region as another class, elsewhere."""
    project = window.session.project
    draft = begin_reading(project, first.id, person="Bo")
    project.drafts.append_patch(draft.id, Patch(0, 0, np.full((REGION.height, REGION.width), 2, np.uint8)))
    annotate.finish(project, draft.id)
    window.session.queries_changed.emit()
    window.session.maps_changed.emit()


def test_what_differs_is_marked_listed_and_walked_to(opened: MainWindow, first: AnnotationRecord, qtbot) -> None:
    name_oneself(opened, "Cy")
    reviews, rows = opened.second_reader.reviews, opened.slides_panel.list.model()
    place = opened.slides_panel._rows.place_of(first.slide_id)
    qtbot.waitUntil(lambda: len(reviews.review.waiting) == 1, timeout=60_000)
    assert rows.index(place, 0).data(SLIDE_STATE).review.waiting == 1
    read_by_bo(opened, first)
    qtbot.waitUntil(lambda: opened.viewer._overlay.reviewed == {REGION: ReviewState.DIFFERS}, timeout=60_000)
    qtbot.waitUntil(lambda: rows.index(place, 0).data(SLIDE_STATE).state is State.DIFFERS, timeout=60_000)
    opened.viewer.fit()
    press(opened, Qt.Key.Key_PageDown, CONTROL | SHIFT)
    assert opened.statusBar().currentMessage() == "Region 1 of 1 to review: Readers differ (Ada, Bo)"
    qtbot.waitUntil(lambda: abs(opened.viewer.camera().x - REGION.centre[0]) < 1, timeout=30_000)
    assert opened.viewer.wait_until_loaded()
    shoot(opened, "differs")
    press(opened, Qt.Key.Key_J, CONTROL)
    panel = opened.annotations_panel
    qtbot.waitUntil(lambda: panel.isVisible() and opened.details.idle, timeout=60_000)
    (text,) = [panel.list.model().index(0, 0).data()]
    assert "Readers differ" in text.splitlines()[1]
    assert text.splitlines()[3].startswith("Ada, Bo")
    for words, found in (("Read twice", [first.id]), ("Readers differ", [first.id]), ("All states", [first.id])):
        panel.state_filter.setCurrentIndex(panel.state_filter.findText(words))
        assert panel.state_filter.currentText() == words
        assert panel.shown_ids() == found
    shoot(opened, "differs-list")
    opened.actions_["blinded"].trigger()
    assert reviews.review.waiting == ()
    assert rows.index(place, 0).data(SLIDE_STATE).state is not State.DIFFERS
    assert not opened.viewer._overlay.shows_review


def test_where_nothing_waits_for_review_the_keys_say_so(opened: MainWindow, qtbot) -> None:
    name_oneself(opened, "Bo")
    press(opened, Qt.Key.Key_PageUp, CONTROL | SHIFT)
    assert opened.banner.text.text().startswith("No region waits for review")


def test_each_state_of_a_region_has_a_line_of_its_own_without_its_colour(qtbot) -> None:
    drawn = set()
    for look in (BEGUN, *REVIEW_MARKS.values()):
        picture = QImage(80, 40, QImage.Format.Format_Grayscale8)
        picture.fill(Qt.GlobalColor.white)
        painter = QPainter(picture)
        draw_mark(painter, QPolygonF(QRectF(10, 5, 60, 30)), dataclasses.replace(look, colour="#000000"))
        painter.end()
        drawn.add(bytes(picture.constBits()))
    assert len(drawn) == 1 + len(REVIEW_MARKS)


def test_a_second_reader_of_the_firsts_name_is_told_whose_name_that_is(
    opened: MainWindow, first: AnnotationRecord, qtbot
) -> None:
    name_oneself(opened, first.person)
    press(opened, Qt.Key.Key_N, SHIFT)
    assert not opened.second_reader.is_blinded
    assert "You annotate as Ada; somebody else sets another name first" in opened.banner.text.text()
    opened.session.person = "Ada B."
    press(opened, Qt.Key.Key_N, SHIFT)
    qtbot.waitUntil(lambda: opened.session.active is not None, timeout=60_000)
    assert opened.session.active.record.reading_of == first.id


def test_without_anything_to_read_that_is_said(opened: MainWindow) -> None:
    name_oneself(opened, "Bo")
    press(opened, Qt.Key.Key_N, SHIFT)
    assert opened.banner.text.text().startswith("No region waits for a second reader")
    assert "You annotate as Bo;" in opened.banner.text.text()
    assert not opened.second_reader.is_blinded


def test_a_long_name_pushes_no_figure_out_of_the_table_of_agreement(
    opened: MainWindow, first: AnnotationRecord, qtbot
) -> None:
    project, long = opened.session.project, "Dr. Annegret Freifrau von Hohenzollern-Sigmaringen, zweite Leserin " * 2
    project.drafts.finish(begin_reading(project, first.id, person=long.strip()).id, AnnotationStatus.DONE)
    press(opened, Qt.Key.Key_G, CONTROL | SHIFT)
    qtbot.waitUntil(lambda: opened.second_reader.dialog is not None, timeout=30_000)
    table = opened.second_reader.dialog.table
    qtbot.waitUntil(lambda: table.rowCount() == 1, timeout=30_000)
    assert table.columnWidth(2) == 150
    assert long[:20] in table.item(0, 2).toolTip()
