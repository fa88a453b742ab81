"""What a person did stays: begun and finished work is opened, decisions are taken back, what is not saved is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from histoloop.annotations.records import AnnotationStatus, Mask, QueryStatus
from histoloop.geometry import Region
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.gui.mouse import click, drag
from histoloop.gui.window.not_saved import LossDialog
from histoloop.store.project import DATABASE, Project
from histoloop.store.project_database import Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtWidgets import QDialog

    from histoloop.gui.window.main_window import MainWindow
    from histoloop.store.records import AnnotationRecord

REGION = Region(300, 200, 240, 200)
BESIDE = Region(400, 250, 240, 200)
"""Shares 140 x 150 pixels with REGION."""


@pytest.fixture
def unasked(window: MainWindow, project_folder: Path, qtbot) -> MainWindow:
    """The window with a project without questions, its first slide on the screen."""
    with Project.open(project_folder) as project:
        project.queries.supersede_open()
    assert window.session.open_project(project_folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=30_000)
    assert window.viewer.wait_until_loaded()
    return window


# --- what a person does -----------------------------------------------------------------------------------------------


def undo(window: MainWindow) -> None:
    press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)


def redo(window: MainWindow) -> None:
    press(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)


def stroke(window: MainWindow, qtbot, *, dy: float = 0) -> Mask:
    """Paint a line with the mouse; the mask as it is then."""
    before = window.viewer.painted_mask
    x, y = window.viewer.annotating.centre
    drag(window.viewer.canvas, [window.viewer.to_canvas(x + 6 * step, y + dy) for step in range(-5, 6)])
    qtbot.waitUntil(lambda: not np.array_equal(window.viewer.painted_mask, before))
    return window.viewer.painted_mask


def until_painting(window: MainWindow, qtbot, region: Region | None = None) -> None:
    qtbot.waitUntil(
        lambda: window.viewer.annotating is not None and region in (None, window.viewer.annotating), timeout=30_000
    )
    assert window.viewer.wait_until_loaded()


def until_back(window: MainWindow, qtbot, record: AnnotationRecord) -> None:
    """Until a region is painted again: other slides may have a region at the same place."""
    until_painting(window, qtbot, record.region)
    qtbot.waitUntil(lambda: window.session.active is not None and window.session.active.record.id == record.id)
    until_painting(window, qtbot, record.region)


def until_saved(window: MainWindow, qtbot) -> None:
    qtbot.waitUntil(lambda: window.annotation_panel.saved.text() == "Saved", timeout=20_000)


def paint(window: MainWindow, qtbot, region: Region = REGION, *, person: str = "Ada") -> Mask:
    """Open a region as somebody, with a mask of no classes but for one stroke of the mouse."""
    window.session.person = person
    window.annotation_panel.brush.setValue(40)
    window.session.annotating.begin_region(window.opener.current, region)
    until_painting(window, qtbot, region)
    press(window, Qt.Key.Key_Backspace, Qt.KeyboardModifier.ControlModifier)
    mask = stroke(window, qtbot)
    until_saved(window, qtbot)
    return mask


def finish(window: MainWindow, qtbot) -> int:
    """Press Return; the id of what is done then. The next question, if there is one, is in hand and left again."""
    record, more = window.session.active.record, window.session.queries()
    press(window, Qt.Key.Key_Return)
    until_gone(window, qtbot, record)
    if any(query.id != record.query_id for query in more):
        until_painting(window, qtbot)
        window.session.annotating.leave()
    return record.id


def until_gone(window: MainWindow, qtbot, record: AnnotationRecord) -> None:
    """Until the region is no longer in hand."""
    qtbot.waitUntil(
        lambda: window.session.active is None or window.session.active.record.id != record.id, timeout=20_000
    )


def look_at(window: MainWindow, region: Region) -> None:
    """Bring a region into sight, nothing in hand, so that R annotates a place that shares pixels with it."""
    window.viewer.show_region(region)
    assert window.viewer.wait_until_loaded()


def question(window: MainWindow, qtbot, kind: type[QDialog] = ChoiceDialog) -> QDialog:
    """The question that is asked."""
    qtbot.waitUntil(lambda: bool(asked(window, kind)), timeout=10_000)
    return asked(window, kind)[0]


def asked(window: MainWindow, kind: type[QDialog] = ChoiceDialog) -> list[QDialog]:
    return [dialog for dialog in window.findChildren(kind) if dialog.isVisible()]


def answer(dialog: QDialog, qtbot, text: str) -> None:
    """Click the button of an answer."""
    (chosen,) = [each for each in dialog.findChildren(QPushButton) if each.text() == text]
    qtbot.mouseClick(chosen, Qt.MouseButton.LeftButton)


def told(window: MainWindow) -> str:
    return window.statusBar().currentMessage()


def status_of(folder: Path, annotation_id: int) -> AnnotationStatus:
    with Project.open(folder) as project:
        return project.annotations.get(annotation_id).status


def mask_that_counts(folder: Path, region: Region = REGION) -> Mask:
    with Project.open(folder) as project:
        (record,) = [each for each in project.annotations.with_mask() if each.region == region]
        return project.annotations.load_mask(record.id)[0]


def reopened(window: MainWindow, folder: Path, qtbot) -> None:
    """The project closed and opened again, as when the program was ended and started."""
    window.session.close_project()
    assert window.session.open_project(folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=30_000)
    assert window.viewer.wait_until_loaded()


# --- (a) a place with work opens that work ----------------------------------------------------------------------------


def test_a_place_that_overlaps_finished_work_is_asked_about_and_opens_it(unasked: MainWindow, qtbot) -> None:
    mask = paint(unasked, qtbot)
    done = finish(unasked, qtbot)
    look_at(unasked, BESIDE)
    press(unasked, Qt.Key.Key_V)
    dialog = question(unasked, qtbot)
    assert "Ada finished a region here" in dialog.text.text()
    assert unasked.viewer.annotating is None
    answer(dialog, qtbot, "Open that region")
    until_painting(unasked, qtbot, REGION)
    assert np.array_equal(unasked.viewer.painted_mask, mask)
    assert unasked.session.active.record.continues == done


def test_a_new_region_can_be_begun_over_finished_work_which_stays(
    unasked: MainWindow, project_folder: Path, qtbot
) -> None:
    mask = paint(unasked, qtbot)
    finish(unasked, qtbot)
    look_at(unasked, BESIDE)
    press(unasked, Qt.Key.Key_V)
    answer(question(unasked, qtbot), qtbot, "Start a new region")
    until_painting(unasked, qtbot)
    assert unasked.viewer.annotating != REGION
    stroke(unasked, qtbot)
    finish(unasked, qtbot)
    assert asked(unasked) == []
    assert np.array_equal(mask_that_counts(project_folder), mask)


def test_escape_opens_nothing(unasked: MainWindow, qtbot) -> None:
    paint(unasked, qtbot)
    finish(unasked, qtbot)
    look_at(unasked, BESIDE)
    press(unasked, Qt.Key.Key_V)
    dialog = question(unasked, qtbot)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: asked(unasked) == [])
    assert unasked.viewer.annotating is None


def test_a_place_that_overlaps_a_draft_is_asked_about_and_goes_on_with_its_strokes(unasked: MainWindow, qtbot) -> None:
    mask = paint(unasked, qtbot)
    press(unasked, Qt.Key.Key_Escape)
    look_at(unasked, BESIDE)
    press(unasked, Qt.Key.Key_V)
    dialog = question(unasked, qtbot)
    assert "You started a region here" in dialog.text.text()
    answer(dialog, qtbot, "Open that region")
    until_painting(unasked, qtbot, REGION)
    assert np.array_equal(unasked.viewer.painted_mask, mask)


def test_a_region_that_was_only_looked_at_is_no_work(unasked: MainWindow, qtbot) -> None:
    unasked.session.annotating.begin_region(unasked.opener.current, REGION)
    until_painting(unasked, qtbot, REGION)
    press(unasked, Qt.Key.Key_Escape)
    look_at(unasked, BESIDE)
    press(unasked, Qt.Key.Key_V)
    until_painting(unasked, qtbot)
    assert asked(unasked) == []


def test_a_question_over_finished_work_is_asked_about(opened: MainWindow, qtbot) -> None:
    query = opened.session.queries()[0]
    over = Region(query.region.x + 20, query.region.y + 20, query.region.width, query.region.height)
    opened.slides_panel.choose(query.slide_id)
    qtbot.waitUntil(lambda: opened.opener.current == query.slide_id, timeout=20_000)
    paint(opened, qtbot, over)
    press(opened, Qt.Key.Key_Return)
    dialog = question(opened, qtbot)
    assert "Ada finished a region here" in dialog.text.text()
    answer(dialog, qtbot, "Start a new region")
    until_painting(opened, qtbot, query.region)


def test_a_question_that_was_answered_elsewhere_is_told_and_opens_the_answer(
    opened: MainWindow, project_folder: Path, qtbot
) -> None:
    query = opened.session.queries()[0]
    mask = np.full((query.region.height, query.region.width), 2, np.uint8)
    with Project.open(project_folder) as project:
        project.annotations.add_with_masks(query.slide_id, [(query.region, mask, mask)], person="Bo", query_id=query.id)
    opened.queue_panel.select(query.id)
    qtbot.mouseClick(opened.queue_panel.open, Qt.MouseButton.LeftButton)
    until_painting(opened, qtbot, query.region)
    assert np.array_equal(opened.viewer.painted_mask, mask)
    assert "Bo finished this region" in told(opened)
    assert query.id not in opened.queue_panel.shown_ids()


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_A])
def test_what_is_finished_is_replaced_only_when_asked_and_comes_back_by_undo(
    unasked: MainWindow, project_folder: Path, qtbot, key: Qt.Key
) -> None:
    mask = paint(unasked, qtbot)
    finish(unasked, qtbot)
    unasked.session.annotating.begin_region(unasked.opener.current, REGION)
    until_painting(unasked, qtbot, REGION)
    stroke(unasked, qtbot, dy=60)
    press(unasked, key)
    dialog = question(unasked, qtbot)
    assert "already finished: by Ada" in dialog.text.text()
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: asked(unasked) == [])
    assert unasked.viewer.annotating == REGION
    assert np.array_equal(mask_that_counts(project_folder), mask)
    press(unasked, key)
    answer(question(unasked, qtbot), qtbot, "Replace it")
    qtbot.waitUntil(lambda: unasked.session.active is None or unasked.session.active.record.region != REGION)
    assert not np.array_equal(mask_that_counts(project_folder), mask)
    undo(unasked)
    until_painting(unasked, qtbot, REGION)
    assert np.array_equal(mask_that_counts(project_folder), mask)


def test_another_persons_draft_is_named_and_stays_hers(unasked: MainWindow, project_folder: Path, qtbot) -> None:
    hers = paint(unasked, qtbot, person="Ada")
    draft = unasked.session.active.record.id
    unasked.session.person = "Bo"
    assert unasked.session.active is None
    query_place = unasked.opener.current
    unasked.question_control._open_place(query_place, REGION)
    dialog = question(unasked, qtbot)
    assert "Ada started this region" in dialog.text.text()
    answer(dialog, qtbot, "Continue with it")
    until_painting(unasked, qtbot, REGION)
    assert np.array_equal(unasked.viewer.painted_mask, hers)
    stroke(unasked, qtbot, dy=60)
    done = finish(unasked, qtbot)
    with Project.open(project_folder) as project:
        assert (project.annotations.get(done).person, project.annotations.get(done).continues) == ("Bo", draft)
        assert project.annotations.get(draft).status is AnnotationStatus.DRAFT
        assert np.array_equal(project.annotations.load_mask(draft)[0], hers)


def test_ones_own_draft_is_begun_without_the_strokes_of_another(unasked: MainWindow, qtbot) -> None:
    paint(unasked, qtbot, person="Ada")
    unasked.session.person = "Bo"
    unasked.question_control._open_place(unasked.opener.current, REGION)
    answer(question(unasked, qtbot), qtbot, "Start your own")
    until_painting(unasked, qtbot, REGION)
    assert np.array_equal(unasked.viewer.painted_mask, unasked.session.active.predicted)
    assert unasked.session.active.record.person == "Bo"


# --- (b) decisions are taken back -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "status", "word"),
    [
        (Qt.Key.Key_Return, AnnotationStatus.DONE, "Done"),
        (Qt.Key.Key_A, AnnotationStatus.DONE, "Done"),
        (Qt.Key.Key_S, AnnotationStatus.SKIPPED, "Skip"),
        (Qt.Key.Key_X, AnnotationStatus.CANNOT_TELL, "Cannot tell"),
    ],
)
def test_a_decision_is_taken_back_with_all_strokes_and_done_again(
    painting: MainWindow, project_folder: Path, qtbot, key: Qt.Key, status: AnnotationStatus, word: str
) -> None:
    record = painting.session.active.record
    mask = stroke(painting, qtbot)
    press(painting, key)
    qtbot.waitUntil(lambda: painting.session.active is not None and painting.session.active.record.id != record.id)
    until_back(painting, qtbot, painting.session.active.record)
    assert status_of(project_folder, record.id) is status
    undo(painting)
    until_back(painting, qtbot, record)
    assert f"Undone on {painting.session.slides()[0].name}" in told(painting) or word in told(painting)
    assert word in told(painting)
    assert np.array_equal(painting.viewer.painted_mask, mask)
    assert record.query_id in painting.queue_panel.shown_ids()
    with Project.open(project_folder) as project:
        assert project.annotations.get(record.id).status is AnnotationStatus.DRAFT
        assert project.queries.get(record.query_id).status is QueryStatus.OPEN
        assert project.annotations.finished() == []
    redo(painting)
    until_gone(painting, qtbot, record)
    assert status_of(project_folder, record.id) is status
    assert "Redone" in told(painting)


def test_the_last_decision_is_taken_back_after_the_program_was_started_again(
    painting: MainWindow, project_folder: Path, qtbot
) -> None:
    record, model = painting.session.active.record, painting.viewer.painted_mask
    mask = stroke(painting, qtbot)
    press(painting, Qt.Key.Key_L)
    given = painting.annotation_panel.assessment()
    press(painting, Qt.Key.Key_Return)
    until_gone(painting, qtbot, record)
    reopened(painting, project_folder, qtbot)
    undo(painting)
    until_back(painting, qtbot, record)
    assert np.array_equal(painting.viewer.painted_mask, mask)
    assert painting.annotation_panel.assessment() == given
    undo(painting)
    assert painting.annotation_panel.assessment() == (None, None)
    undo(painting)
    assert np.array_equal(painting.viewer.painted_mask, model)
    assert not painting.actions_["undo"].isEnabled()
    redo(painting)
    assert np.array_equal(painting.viewer.painted_mask, mask)


def test_strokes_are_taken_back_after_leaving_and_coming_back_and_after_a_restart(
    painting: MainWindow, project_folder: Path, qtbot
) -> None:
    record = painting.session.active.record
    first = stroke(painting, qtbot)
    second = stroke(painting, qtbot, dy=60)
    press(painting, Qt.Key.Key_Escape)
    reopened(painting, project_folder, qtbot)
    painting.session.annotating.begin_query(record.query_id)
    until_back(painting, qtbot, record)
    assert np.array_equal(painting.viewer.painted_mask, second)
    undo(painting)
    assert np.array_equal(painting.viewer.painted_mask, first)
    until_saved(painting, qtbot)
    reopened(painting, project_folder, qtbot)
    painting.session.annotating.begin_query(record.query_id)
    until_back(painting, qtbot, record)
    assert np.array_equal(painting.viewer.painted_mask, first)
    redo(painting)
    assert np.array_equal(painting.viewer.painted_mask, second)


def test_undo_goes_on_in_the_region_before_and_brings_it_into_sight(painting: MainWindow, qtbot) -> None:
    first, model = painting.session.active.record, painting.viewer.painted_mask
    stroke(painting, qtbot)
    press(painting, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: painting.session.active is not None and painting.session.active.record.id != first.id)
    until_back(painting, qtbot, painting.session.active.record)
    undo(painting)
    until_back(painting, qtbot, first)
    assert np.array_equal(painting.viewer.painted_mask, model)
    assert "a change to the mask" in told(painting)


def test_a_question_skipped_in_the_list_is_taken_back_and_brought_into_sight(
    opened: MainWindow, project_folder: Path, qtbot
) -> None:
    chosen = opened.queue_panel.current_id()
    query = opened.session.project.queries.get(chosen)
    qtbot.mouseClick(opened.queue_panel.skip, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: chosen not in opened.queue_panel.shown_ids())
    reopened(opened, project_folder, qtbot)
    opened.slides_panel.choose(next(slide.id for slide in opened.session.slides() if slide.id != query.slide_id))
    qtbot.waitUntil(lambda: opened.opener.current not in (None, query.slide_id), timeout=20_000)
    undo(opened)
    qtbot.waitUntil(lambda: chosen in opened.queue_panel.shown_ids())
    assert opened.queue_panel.current_id() == chosen
    assert "Skip" in told(opened)
    qtbot.waitUntil(lambda: opened.opener.current == query.slide_id, timeout=20_000)
    qtbot.waitUntil(lambda: opened.viewer.visible_region().contains(query.region))
    redo(opened)
    qtbot.waitUntil(lambda: chosen not in opened.queue_panel.shown_ids())


def test_what_another_person_did_is_not_taken_back(painting: MainWindow, project_folder: Path, qtbot) -> None:
    record = painting.session.active.record
    stroke(painting, qtbot)
    finish(painting, qtbot)
    painting.session.person = "Somebody else"
    qtbot.waitUntil(lambda: not painting.actions_["undo"].isEnabled())
    assert status_of(project_folder, record.id) is AnnotationStatus.DONE


def test_strokes_of_a_region_that_was_skipped_are_there_when_it_is_annotated_after_all(
    unasked: MainWindow, qtbot
) -> None:
    mask = paint(unasked, qtbot)
    press(unasked, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: unasked.session.active is None)
    unasked.session.annotating.begin_region(unasked.opener.current, REGION)
    until_painting(unasked, qtbot, REGION)
    assert np.array_equal(unasked.viewer.painted_mask, mask)


def test_a_polygon_that_was_begun_is_closed_by_done_and_not_lost(painting: MainWindow, qtbot) -> None:
    press(painting, Qt.Key.Key_Backspace, Qt.KeyboardModifier.ControlModifier)
    press(painting, Qt.Key.Key_P)
    x, y = painting.viewer.annotating.centre
    record = painting.session.active.record
    for corner in ((x - 40, y - 40), (x + 40, y - 40), (x + 40, y + 40)):
        click(painting.viewer.canvas, painting.viewer.to_canvas(*corner))
    finish(painting, qtbot)
    mask, _origin = painting.session.project.annotations.load_mask(record.id)
    assert (mask > 0).sum() == pytest.approx(80 * 80 / 2, rel=0.1)


# --- (d) what cannot be written ---------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Let the database refuse every change as SQLite does on a full disk, until it is told otherwise."""
    state = {"full": False}
    run = Database.run

    def refuse(database: Database, sql: str, *values: object) -> int:
        if state["full"] and sql.startswith("INSERT INTO"):
            raise OSError(28, "No space left on device")
        return run(database, sql, *values)

    insert = Database.insert

    def refuse_insert(database: Database, table: str, **values: object) -> int:
        if state["full"]:
            with database._explained():
                raise sqlite3.OperationalError("database or disk is full")
        return insert(database, table, **values)

    monkeypatch.setattr(Database, "run", refuse)
    monkeypatch.setattr(Database, "insert", refuse_insert)
    monkeypatch.setattr("histoloop.gui.work.writing.FIRST_PAUSE_S", 0.05)

    def set_full(full: bool) -> None:
        state["full"] = full

    return set_full


def test_a_stroke_that_cannot_be_written_is_shown_and_tried_again_until_it_is(
    painting: MainWindow, project_folder: Path, qtbot, full_disk: Callable[[bool], None]
) -> None:
    record, strip = painting.session.active.record, painting.not_saved
    full_disk(True)
    stroke(painting, qtbot)
    qtbot.waitUntil(strip.isVisible)
    assert "Not saved yet" in strip.text.text()
    assert "disk is full" in strip.text.text()
    assert "1 stroke" in strip.text.text()
    assert painting.annotation_panel.saved.text() == "Not saved yet"
    stroke(painting, qtbot, dy=60)
    qtbot.wait(200)
    assert painting.annotation_panel.saved.text() == "Not saved yet"
    full_disk(False)
    until_saved(painting, qtbot)
    assert not strip.isVisible()
    with Project.open(project_folder) as project:
        assert np.array_equal(project.annotations.load_mask(record.id)[0], painting.viewer.painted_mask)


def test_done_waits_for_the_strokes_and_finishes_with_all_of_them(
    painting: MainWindow, project_folder: Path, qtbot, full_disk: Callable[[bool], None]
) -> None:
    record = painting.session.active.record
    full_disk(True)
    mask = stroke(painting, qtbot)
    press(painting, Qt.Key.Key_Return)
    qtbot.waitUntil(painting.not_saved.isVisible)
    qtbot.wait(200)
    assert status_of(project_folder, record.id) is AnnotationStatus.DRAFT
    full_disk(False)
    until_gone(painting, qtbot, record)
    with Project.open(project_folder) as project:
        assert project.annotations.get(record.id).status is AnnotationStatus.DONE
        assert np.array_equal(project.annotations.load_mask(record.id)[0], mask)


def test_a_database_that_another_program_locks_loses_no_stroke(
    painting: MainWindow, project_folder: Path, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoloop.store.project_database.BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr("histoloop.gui.work.writing.FIRST_PAUSE_S", 0.05)
    reopened(painting, project_folder, qtbot)
    paint(painting, qtbot)
    record = painting.session.active.record
    with closing(sqlite3.connect(project_folder / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        mask = stroke(painting, qtbot, dy=60)
        qtbot.waitUntil(painting.not_saved.isVisible)
        assert "locked" in painting.not_saved.text.text()
        other.execute("ROLLBACK")
    until_saved(painting, qtbot)
    with Project.open(project_folder) as project:
        assert np.array_equal(project.annotations.load_mask(record.id)[0], mask)


@pytest.mark.parametrize("close", ["window", "project"])
def test_closing_names_what_would_be_lost_and_can_wait(
    painting: MainWindow, project_folder: Path, qtbot, full_disk: Callable[[bool], None], close: str
) -> None:
    record, slide = painting.session.active.record, painting.session.slides()[0].name
    full_disk(True)
    mask = stroke(painting, qtbot)
    qtbot.waitUntil(painting.not_saved.isVisible)
    painting.close() if close == "window" else press(painting, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    dialog = question(painting, qtbot, LossDialog)
    assert painting.isVisible()
    assert f"{slide}: 1 stroke" in dialog.text.text()
    answer(dialog, qtbot, "Wait: keep the project open")
    assert painting.isVisible()
    assert painting.session.project is not None
    painting.close() if close == "window" else press(painting, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    question(painting, qtbot, LossDialog)
    full_disk(False)
    qtbot.waitUntil(lambda: painting.session.project is None, timeout=20_000)
    with Project.open(project_folder) as project:
        assert np.array_equal(project.annotations.load_mask(record.id)[0], mask)


def test_what_is_not_saved_can_be_given_up(
    painting: MainWindow, project_folder: Path, qtbot, full_disk: Callable[[bool], None]
) -> None:
    record, before = painting.session.active.record, painting.viewer.painted_mask
    full_disk(True)
    stroke(painting, qtbot)
    qtbot.waitUntil(painting.not_saved.isVisible)
    painting.close()
    answer(question(painting, qtbot, LossDialog), qtbot, "Close and lose the changes")
    qtbot.waitUntil(lambda: painting.session.project is None, timeout=20_000)
    full_disk(False)
    with Project.open(project_folder) as project:
        assert np.array_equal(project.annotations.load_mask(record.id)[0], before)
