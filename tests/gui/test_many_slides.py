"""A list of thousands of slides: only what is in sight is made, and it can be narrowed down and sorted."""

from __future__ import annotations

import dataclasses
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import bring_up
from PIL import Image
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu

import histoloop.gui.panels.slides.slide_list as list_room
import histoloop.gui.work.thumbnails as thumbnail_room
from histoloop.annotations.records import AnnotationStatus
from histoloop.geometry import Region
from histoloop.gui.panels.slides.slide_row import Row, State
from histoloop.gui.panels.slides.slide_rows import SLIDE_ID, SLIDE_STATE
from histoloop.gui.panels.slides.slides_panel import SlidesPanel
from histoloop.progress import finish
from histoloop.store.project import Project
from histoloop.store.records import SlideFile, SlideLabel, SlideRecord
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.contents.review import SlideReview
from histoloop.workflows.projects import create_project, import_slides

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.gui.panels.slides.slide_list import SlideList
    from histoloop.gui.window.main_window import MainWindow

COUNT = 2000
MS = 60_000
LABELLED, UNLIKE, PREDICTED, ANNOTATED, MISSING = 3, 5, 7, 11, 13
"""Ids of slides of which there is more to say."""

CONTROL = Qt.KeyboardModifier.ControlModifier


def record(number: int) -> SlideRecord:
    """The slide of an id; its file's number is one less."""
    name = f"slide-{number - 1}.tiff"
    return SlideRecord(
        id=number,
        path=Path("/slides") / name,
        name=name,
        fingerprint=f"4-2-{number}",
        width=1000,
        height=800,
        mpp=0.5,
        vendor="none",
        given_label=SlideLabel("Polyp", "Ada", "2026-01-01T00:00:00.000+00:00") if number == LABELLED else None,
        predicted={"Polyp": 0.9} if number in (UNLIKE, PREDICTED) else None,
        tissue_px=None,
        unlike=1.5 if number == UNLIKE else None,
    )


@pytest.fixture(scope="module")
def thumbnails(tmp_path_factory) -> Path:
    """A folder with a picture for each slide."""
    folder = tmp_path_factory.mktemp("thumbnails")
    first = folder / "slide-1.png"
    Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(first)
    for number in range(2, COUNT + 1):
        os.link(first, folder / f"slide-{number}.png")
    return folder


class Listed:
    """A panel and what it is to show."""

    def __init__(self, panel: SlidesPanel, thumbnails: Path) -> None:
        self.panel, self.thumbnails = panel, thumbnails
        self.slides: Sequence[SlideRecord] = [record(number) for number in range(1, COUNT + 1)]
        self.annotated: Mapping[int, int] = {ANNOTATED: 2}
        self.begun: Mapping[int, int] = {}
        self.review: Mapping[int, SlideReview] = {}
        self.chosen: list[int] = []
        panel.slide_chosen.connect(self.chosen.append)

    def show(self) -> None:
        self.panel.show_slides(
            self.slides,
            self.thumbnails,
            ("Normal", "Polyp"),
            files={MISSING: SlideFile.MISSING},
            annotated=self.annotated,
            begun=self.begun,
            review=self.review,
            you="Ada",
        )

    def names(self) -> list[str]:
        return [text.splitlines()[0] for text in self.panel.list.texts()]

    def label(self, slide_id: int, name: str) -> None:
        given = SlideLabel(name, "Ada", "2026-01-02T00:00:00.000+00:00")
        self.slides = [
            dataclasses.replace(slide, given_label=given) if slide.id == slide_id else slide for slide in self.slides
        ]
        self.show()


@pytest.fixture
def listed(qtbot, thumbnails: Path):
    panel = SlidesPanel(QMenu())
    qtbot.addWidget(panel)
    panel.resize(300, 800)
    made = Listed(panel, thumbnails)
    made.show()
    panel.show()
    qtbot.waitExposed(panel)
    panel.choose(1)
    yield made
    panel.shut_down()


def choose_in(box, words: str) -> None:
    assert box.findText(words) >= 0, [box.itemText(number) for number in range(box.count())]
    box.setCurrentIndex(box.findText(words))


def test_only_the_rows_in_sight_are_made(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[int] = set()
    rows = listed.panel.list.model()
    real = type(rows).text_at
    monkeypatch.setattr(type(rows), "text_at", lambda self, place: asked.add(place) or real(self, place))
    listed.label(2, "Polyp")
    listed.panel.list.viewport().repaint()
    assert listed.panel.list.count() == COUNT
    assert 0 < len(asked) < 30
    listed.panel.list.scrollToBottom()
    listed.panel.list.viewport().repaint()
    assert COUNT - 1 in asked
    assert len(asked) < 60


def test_the_lines_of_a_row_are_written_one_below_the_other(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[list[str]] = []
    real = list_room._draw_lines
    monkeypatch.setattr(
        list_room, "_draw_lines", lambda painter, place, texts: written.append(texts) or real(painter, place, texts)
    )
    listed.panel.list.viewport().repaint()
    assert ["slide-2.tiff", "Not predicted", "Labelled: Polyp"] in written


def test_some_rows_are_seen_however_low_the_panel_is(listed: Listed) -> None:
    listed.panel.resize(280, 300)
    assert listed.panel.list.height() >= 2 * listed.panel.list.visualRect(listed.panel.list.currentIndex()).height()


def test_slides_with_a_region_that_was_begun_are_found_and_those_annotated_stay_so(listed: Listed) -> None:
    listed.begun = {PREDICTED: 1, ANNOTATED: 1}
    listed.show()
    state = listed.panel.filters.state
    state.setCurrentIndex(state.findData(State.BEGUN))
    assert listed.names() == [record(PREDICTED).name, record(ANNOTATED).name]
    rows = listed.panel.list.model()
    assert [rows.data(rows.index(place, 0), SLIDE_STATE).state for place in (0, 1)] == [State.BEGUN, State.BEGUN]
    tip = rows.data(rows.index(1, 0), Qt.ItemDataRole.ToolTipRole)
    assert "2 annotated regions" in tip
    assert "1 region begun" in tip
    state.setCurrentIndex(state.findData(State.ANNOTATED))
    assert listed.names() == [record(ANNOTATED).name]


def test_thumbnails_are_read_for_what_is_in_sight_off_the_gui_thread_and_once(
    listed: Listed, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, pictures = listed.panel.list, listed.panel.thumbnails
    qtbot.waitUntil(lambda: pictures.idle, timeout=MS)
    read: list[tuple[str, str]] = []
    real = thumbnail_room.image_of

    def counted(file: Path):
        read.append((file.name, threading.current_thread().name))
        return real(file)

    monkeypatch.setattr(thumbnail_room, "image_of", counted)
    panel.scrollToBottom()
    panel.viewport().repaint()
    qtbot.waitUntil(lambda: any(name == f"slide-{COUNT}.png" for name, _thread in read), timeout=MS)
    qtbot.waitUntil(lambda: pictures.idle, timeout=MS)
    assert 0 < len(read) < 30
    assert threading.current_thread().name not in {thread for _name, thread in read}
    before = len(read)
    listed.label(COUNT, "Polyp")
    panel.viewport().repaint()
    qtbot.waitUntil(lambda: pictures.idle, timeout=MS)
    assert panel.texts()[-1].endswith("Labelled: Polyp")
    assert len(read) == before


def test_a_thumbnail_that_was_not_there_is_read_when_the_list_is_shown_anew(
    listed: Listed, qtbot, tmp_path: Path
) -> None:
    listed.thumbnails, pictures = tmp_path, listed.panel.thumbnails
    listed.show()
    listed.panel.list.viewport().repaint()
    qtbot.waitUntil(lambda: pictures.idle, timeout=MS)
    assert pictures.of(1, tmp_path / "slide-1.png") is None
    Image.fromarray(np.zeros((20, 10, 3), np.uint8)).save(tmp_path / "slide-1.png")
    listed.show()
    listed.panel.list.viewport().repaint()
    qtbot.waitUntil(lambda: pictures.of(1, tmp_path / "slide-1.png") is not None, timeout=MS)
    assert pictures.of(1, tmp_path / "slide-1.png").height() == 128


def test_a_file_that_is_no_picture_leaves_the_row_without_one(listed: Listed, qtbot, tmp_path: Path) -> None:
    listed.thumbnails, pictures = tmp_path, listed.panel.thumbnails
    (tmp_path / "slide-1.png").write_bytes(b"no picture")
    listed.show()
    listed.panel.list.viewport().repaint()
    qtbot.waitUntil(lambda: pictures.idle, timeout=MS)
    assert pictures.of(1, tmp_path / "slide-1.png") is None
    assert pictures.idle  # it is not tried again with each look


def test_the_filter_finds_slides_by_name_and_by_label(listed: Listed, qtbot) -> None:
    filters = listed.panel.filters
    assert filters.isVisible()
    QTest.keyClicks(filters.text, "SLIDE-199")
    assert listed.names() == ["slide-199.tiff", *(f"slide-199{n}.tiff" for n in range(10))]
    assert filters.summary.text() == "11 of 2000 slides"
    filters.text.setText("polyp")
    assert listed.names() == ["slide-2.tiff"]
    filters.text.setText("no such slide")
    assert listed.names() == []
    assert filters.summary.text() == "No slide matches these filters."
    assert filters.isVisible()
    filters.text.clear()
    assert listed.panel.list.count() == COUNT
    assert not filters.summary.isVisible()


@pytest.mark.parametrize(
    ("state", "slide_id"),
    [
        ("File not found", MISSING),
        ("Annotated", ANNOTATED),
        ("Unlike the training data", UNLIKE),
        ("Predicted", PREDICTED),
    ],
)
def test_the_filter_finds_slides_by_their_state(listed: Listed, state: str, slide_id: int) -> None:
    choose_in(listed.panel.filters.state, state)
    assert listed.names() == [f"slide-{slide_id - 1}.tiff"]


def test_slides_are_found_by_how_two_readers_of_their_regions_stand(listed: Listed) -> None:
    state = listed.panel.filters.state
    listed.annotated = {2: 2, 4: 1, 6: 2}
    listed.review = {2: SlideReview(differs=1, reviewed=1, waiting=1), 4: SlideReview(reviewed=1)}
    listed.review |= {6: SlideReview(reviewed=1), 8: SlideReview(waiting=1)}
    listed.show()
    rows = listed.panel.list.model()
    assert [rows.index(place, 0).data(SLIDE_STATE).state for place in (1, 3, 5, 7)] == [
        State.DIFFERS,
        State.REVIEWED,
        State.ANNOTATED,
        State.NEW,
    ]
    for words, found in (("Readers differ", [1]), ("Reviewed", [1, 3, 5]), ("To review", [1, 7])):
        choose_in(state, words)
        assert listed.names() == [f"slide-{number}.tiff" for number in found], words
    choose_in(state, "All slides")
    tip = rows.index(1, 0).data(Qt.ItemDataRole.ToolTipRole).splitlines()
    assert tip[-3:] == ["2 annotated regions", "1 region where readers differ", "1 reviewed region"]


def test_each_state_of_a_slide_has_a_sign_of_its_own_without_its_colour(listed: Listed) -> None:
    signs = set()
    colours = dict.fromkeys(("faint", "bad", "good", "muted", "accent", "text"), "#000000") | {"base": "#ffffff"}
    for annotated, begun, review in (
        (2, 0, SlideReview()),
        (2, 0, SlideReview(reviewed=2)),
        (2, 0, SlideReview(differs=2)),
        (2, 2, SlideReview()),
    ):
        picture = QImage(30, 60, QImage.Format.Format_Grayscale8)
        picture.fill(Qt.GlobalColor.white)
        painter = QPainter(picture)
        row = Row(record(1), SlideFile.IN_PLACE, annotated, begun, review)
        list_room._draw_sign(painter, QRect(0, 0, 30, 60), row, colours)
        painter.end()
        signs.add(bytes(picture.constBits()))
    assert len(signs) == 4


def test_slides_without_a_label_and_those_that_are_not_predicted_can_be_listed(listed: Listed) -> None:
    choose_in(listed.panel.filters.state, "Without a label")
    assert listed.panel.list.count() == COUNT - 1
    choose_in(listed.panel.filters.state, "Not predicted")
    assert listed.panel.list.count() == COUNT - 4


def test_the_tip_of_a_slide_says_what_its_sign_means(listed: Listed) -> None:
    tips = [listed.panel.list.model().index(number - 1, 0).data(Qt.ItemDataRole.ToolTipRole) for number in (1, 7, 11)]
    assert [tip.splitlines()[-1] for tip in tips] == ["Not predicted", "Predicted", "2 annotated regions"]


def test_names_are_sorted_as_people_count_and_states_and_labels_by_their_order(listed: Listed) -> None:
    order = listed.panel.filters.order
    listed.slides = list(reversed(listed.slides))
    listed.show()
    assert listed.names()[0] == "slide-1999.tiff"
    choose_in(order, "By name")
    assert listed.names()[:3] == ["slide-0.tiff", "slide-1.tiff", "slide-2.tiff"]
    assert listed.names()[9:12] == ["slide-9.tiff", "slide-10.tiff", "slide-11.tiff"]
    choose_in(order, "By state")
    first = [f"slide-{number - 1}.tiff" for number in (MISSING, ANNOTATED, UNLIKE, PREDICTED)]
    assert listed.names()[:5] == [*first, "slide-1999.tiff"]
    choose_in(order, "By label")
    assert listed.names()[:2] == ["slide-2.tiff", "slide-1999.tiff"]
    choose_in(order, "As added")
    assert listed.names()[0] == "slide-1999.tiff"


def in_cases(listed: Listed, folders: Sequence[str]) -> SlideList:
    """The first slides in folders of these names, grouped by case, with the keyboard on the list."""
    listed.slides = [
        dataclasses.replace(slide, path=Path("/slides") / folder / slide.path.name)
        for slide, folder in zip(listed.slides, folders, strict=False)
    ]
    listed.show()
    choose_in(listed.panel.filters.order, "By case")
    bring_up(listed.panel)
    listed.panel.list.setFocus()
    return listed.panel.list


CASES = ("case-12", "case-2", "other", "case-2", "case-12", "case-2")
FOLDED = ["case-2", "case-12", "No case known"]
UNFOLDED = ["case-2", "slide-1.tiff", "slide-3.tiff", "slide-5.tiff", "case-12", "slide-0.tiff", "slide-4.tiff"]
UNFOLDED += ["No case known", "slide-2.tiff"]


def test_slides_of_a_case_stand_below_a_heading_in_natural_order(listed: Listed) -> None:
    in_cases(listed, CASES)
    assert listed.names() == UNFOLDED
    rows = listed.panel.list.model()
    spoken = [rows.index(place, 0).data(Qt.ItemDataRole.AccessibleTextRole) for place in (0, 7)]
    assert spoken == ["case-2, 3 slides", "No case known, 1 slide"]
    heights = [listed.panel.list.visualRect(rows.index(place, 0)).height() for place in (0, 1)]
    assert heights[0] < heights[1] / 2


def test_slides_whose_files_state_a_patient_are_below_a_heading_of_it(listed: Listed) -> None:
    states = ("P-10", "", "P-9", "P-10")
    listed.slides = [
        dataclasses.replace(slide, stated_case=case) for slide, case in zip(listed.slides, states, strict=False)
    ]
    listed.show()
    choose_in(listed.panel.filters.order, "By case")
    assert listed.names() == [
        "P-9",
        "slide-2.tiff",
        "P-10",
        "slide-0.tiff",
        "slide-3.tiff",
        "No case known",
        "slide-1.tiff",
    ]


def test_folders_that_are_called_alike_are_told_apart_by_those_above(listed: Listed) -> None:
    in_cases(listed, ("a/raw", "b/raw", "scans"))
    choose_in(listed.panel.filters.order, "By folder")
    assert listed.names() == ["a/raw", "slide-0.tiff", "b/raw", "slide-1.tiff", "scans", "slide-2.tiff"]
    tip = listed.panel.list.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert tip == "/slides/a/raw"


def test_a_click_on_a_heading_folds_its_slides_and_the_chosen_one_stays(listed: Listed) -> None:
    seen = in_cases(listed, CASES)
    panel = listed.panel
    panel.choose(4)
    shown = len(listed.chosen)
    click_row(seen, 0)
    assert listed.names() == ["case-2", *UNFOLDED[4:]]
    assert (panel.current_id(), panel.selected_ids(), len(listed.chosen)) == (4, [4], shown)
    assert seen.model().index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole) == "case-2, 3 slides, hidden"
    click_row(seen, 0)
    assert listed.names() == UNFOLDED
    assert panel.selected_ids() == [4]
    assert [index.data(SLIDE_ID) for index in seen.selectionModel().selectedIndexes()] == [4]
    click_row(seen, 0, CONTROL)
    assert listed.names() == FOLDED


def test_headings_are_folded_and_left_by_keys(listed: Listed) -> None:
    seen = in_cases(listed, CASES)
    listed.panel.choose(2)
    QTest.keyClick(seen, Qt.Key.Key_Left)
    assert seen.currentIndex().row() == 0
    assert listed.panel.selected_ids() == [2]
    QTest.keyClick(seen, Qt.Key.Key_Left)
    assert listed.names()[:2] == ["case-2", "case-12"]
    QTest.keyClick(seen, Qt.Key.Key_Down)
    assert seen.currentIndex().row() == 1
    assert listed.panel.current_id() == 2
    QTest.keyClick(seen, Qt.Key.Key_Down)
    assert listed.panel.current_id() == 1
    QTest.keyClick(seen, Qt.Key.Key_Up)
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Space):
        before = len(listed.names())
        QTest.keyClick(seen, key)
        assert abs(len(listed.names()) - before) == 2, key
    QTest.keyClick(seen, Qt.Key.Key_Up)
    QTest.keyClick(seen, Qt.Key.Key_Right)
    assert listed.names() == UNFOLDED
    QTest.keyClick(seen, Qt.Key.Key_Right)
    assert listed.panel.current_id() == 2
    QTest.keyClick(seen, Qt.Key.Key_Left)
    QTest.keyClick(seen, Qt.Key.Key_Left, CONTROL)
    assert listed.names() == FOLDED


def test_a_filter_leaves_the_headings_of_what_is_left(listed: Listed) -> None:
    in_cases(listed, CASES)
    listed.panel.filters.text.setText("slide-4")
    assert listed.names() == ["case-12", "slide-4.tiff"]
    assert listed.panel.filters.summary.text() == "1 of 6 slides"
    listed.panel.list.fold_requested.emit("case-12", True)
    assert listed.names() == ["case-12"]
    assert listed.panel.filters.summary.text() == "1 of 6 slides"


def test_steps_and_choices_unfold_the_heading_of_a_slide(listed: Listed) -> None:
    seen = in_cases(listed, CASES)
    listed.panel.choose(6)
    seen.fold_requested.emit(None, True)
    assert listed.names() == FOLDED
    listed.panel.step(1)
    assert listed.panel.current_id() == 1
    assert listed.names() == ["case-2", "case-12", "slide-0.tiff", "slide-4.tiff", "No case known"]
    listed.panel.choose(3)
    assert listed.panel.selected_ids() == [3]
    assert listed.names()[-1] == "slide-2.tiff"
    listed.panel.step(1)
    assert listed.panel.current_id() == 3
    listed.panel.step(-1)
    assert listed.panel.current_id() == 5


def click_row(seen: SlideList, place: int, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.mouseClick(
        seen.viewport(), Qt.MouseButton.LeftButton, modifier, seen.visualRect(seen.model().index(place, 0)).center()
    )


def test_what_is_chosen_stays_so_while_the_list_is_narrowed_down_and_sorted(listed: Listed) -> None:
    panel = listed.panel
    panel.choose(1500)
    choose_in(panel.filters.order, "By label")
    assert (panel.current_id(), panel.selected_ids()) == (1500, [1500])
    panel.filters.text.setText("slide-2.tiff")
    assert listed.names() == ["slide-2.tiff"]
    assert (panel.current_id(), panel.selected_ids()) == (1500, [1500])
    panel.filters.text.clear()
    rows = [index.row() for index in panel.list.selectionModel().selectedIndexes()]
    assert [listed.names()[row] for row in rows] == ["slide-1499.tiff"]
    assert listed.chosen == [1, 1500]


def test_several_that_are_selected_stay_so_in_another_order(listed: Listed) -> None:
    panel = listed.panel
    panel.choose(10)
    QTest.keyClick(panel.list, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert panel.selected_ids() == [10, 11]
    choose_in(panel.filters.order, "By state")
    assert sorted(panel.selected_ids()) == [10, 11]
    choose_in(panel.filters.state, "Annotated")
    assert panel.selected_ids() == [ANNOTATED]


def test_a_slide_that_is_gone_to_while_the_list_hides_it_is_listed_again(listed: Listed) -> None:
    panel = listed.panel
    panel.filters.text.setText("slide-2.tiff")
    panel.choose(900)
    assert panel.filters.text.text() == ""
    assert (panel.current_id(), panel.list.count()) == (900, COUNT)


def test_one_goes_on_to_the_next_slide_of_what_is_listed_and_back(listed: Listed) -> None:
    panel = listed.panel
    panel.filters.text.setText("slide-77")
    panel.choose(772)
    assert listed.names()[:3] == ["slide-77.tiff", "slide-770.tiff", "slide-771.tiff"]
    panel.step(1)
    assert panel.current_id() == 773
    for _ in range(5):
        panel.step(-1)
    assert panel.current_id() == 78
    QTest.keyClick(panel.list, Qt.Key.Key_Down)
    assert panel.current_id() == 771
    QTest.keyClick(panel.list, Qt.Key.Key_End)
    assert panel.current_id() == 780
    panel.step(1)
    assert panel.current_id() == 780


def test_a_slide_that_no_longer_fits_the_filter_leaves_the_next_one_in_its_place(listed: Listed) -> None:
    panel = listed.panel
    choose_in(panel.filters.state, "Without a label")
    panel.choose(21)
    listed.label(21, "Polyp")
    assert "slide-20.tiff" not in listed.names()
    assert (panel.current_id(), panel.selected_ids()) == (21, [21])
    panel.step(1)
    assert panel.current_id() == 22


def test_a_slide_that_is_removed_is_not_chosen_any_more(listed: Listed) -> None:
    panel = listed.panel
    panel.choose(5)
    listed.slides = [slide for slide in listed.slides if slide.id != 5]
    listed.show()
    assert panel.list.count() == COUNT - 1
    assert panel.current_id() != 5
    assert 5 not in panel.selected_ids()


# --- in the window ----------------------------------------------------------------------------------------------------


@pytest.fixture
def many(window: MainWindow, tmp_path: Path, qtbot) -> MainWindow:
    """The window with a project of ten slides: the first can be shown, the others are files of a few bytes."""
    shown, folder = tmp_path / "slide-0.png", tmp_path / "project"
    Image.fromarray(np.random.default_rng(0).integers(60, 250, (200, 300, 3), np.uint8)).save(shown)
    with create_project(folder, name="Many", start=DEFAULT_MODEL) as project:
        finish(import_slides(project, [shown], mpp=0.5))
        for number in range(1, 10):
            path = tmp_path / f"slide-{number}.tiff"
            path.write_bytes(number.to_bytes(4, "little"))
            project.slides.add(path, width=1000, height=800, mpp=0.5, vendor="none")
    (tmp_path / "slide-4.tiff").unlink()
    assert window.session.open_project(folder)
    qtbot.waitUntil(lambda: window.opener.current == 1, timeout=MS)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=MS)
    return window


def test_in_the_window_the_keys_states_and_files_of_the_list_are_those_of_the_project(
    many: MainWindow, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = many.slides_panel
    qtbot.waitUntil(lambda: "File not found" in panel.list.texts()[4], timeout=MS)
    QTest.keyClick(many, Qt.Key.Key_PageDown, CONTROL)
    QTest.keyClick(many, Qt.Key.Key_PageDown, CONTROL)
    assert (panel.current_id(), many.opener.wanted) == (3, 3)
    QTest.keyClick(many, Qt.Key.Key_PageUp, CONTROL)
    assert (panel.current_id(), many.opener.wanted) == (2, 2)
    qtbot.waitUntil(lambda: not many.opener.busy, timeout=MS)  # opening it looks at its file
    choose_in(panel.filters.state, "Annotated")
    assert panel.list.count() == 0
    looked: list[str] = []
    stat = Path.stat
    with Project.connect(many.session.project.folder) as project:
        mask = np.zeros((9, 12), np.uint8)
        draft = project.drafts.start(4, Region(0, 0, 12, 9), mask=mask, origin_model=None, person="Bo")
        project.drafts.finish(draft.id, AnnotationStatus.DONE)
        monkeypatch.setattr(Path, "stat", lambda self, **how: looked.append(self.name) or stat(self, **how))
        many.session.queries_changed.emit()
    assert panel.list.texts()[0].startswith("slide-3.tiff")
    assert [name for name in looked if name.endswith(".tiff")] == []


def test_few_slides_need_no_filter(opened: MainWindow) -> None:
    assert opened.slides_panel.list.count() < 8
    assert not opened.slides_panel.filters.isVisible()
