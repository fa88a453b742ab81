"""A project of thousands of slides: only what is in sight is made, and the list can be narrowed down and sorted."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from histoloop.annotations.records import AnnotationStatus
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.store.project import Project
from histoloop.store.records import SlideFile
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project, import_slides

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

COUNT = 2000
MS = 60_000
LABELLED, UNLIKE, PREDICTED, ANNOTATED, MISSING = 3, 5, 7, 11, 13
"""Ids of slides of which there is more to say."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A project of so many slides: the first is one that can be shown, the others are files of a few bytes."""
    place = tmp_path_factory.mktemp("many")
    shown = place / "slide-0.png"
    Image.fromarray(np.random.default_rng(0).integers(60, 250, (200, 300, 3), np.uint8)).save(shown)
    folder = place / "project"
    with create_project(folder, name="Many", start=DEFAULT_MODEL) as project:
        finish(import_slides(project, [shown], mpp=0.5))
        with project.transaction():
            for number in range(1, COUNT):
                path = place / f"slide-{number}.tiff"
                path.write_bytes(number.to_bytes(4, "little"))
                project.slides.add(path, width=1000, height=800, mpp=0.5, vendor="none")
        thumbnails = folder / "thumbnails"
        for number in range(2, COUNT + 1):
            os.link(thumbnails / "slide-1.png", thumbnails / f"slide-{number}.png")
        model = project.models.current().id
        label = project.scheme.label_names[0]
        project.slides.set_label(LABELLED, label, person="Ada")
        project.predictions.add(UNLIKE, model, {label: 0.9}, unlike=1.5)
        project.predictions.add(PREDICTED, model, {label: 0.9})
        draft = project.drafts.start(
            ANNOTATED, Region(0, 0, 12, 9), mask=np.zeros((9, 12), np.uint8), origin_model=None, person="Ada"
        )
        project.drafts.finish(draft.id, AnnotationStatus.DONE)
        project.slides.get(MISSING).path.unlink()
    return folder


@pytest.fixture
def many(window: MainWindow, folder: Path, qtbot) -> MainWindow:
    assert window.session.open_project(folder)
    qtbot.waitUntil(lambda: window.opener.current == 1, timeout=MS)
    qtbot.waitUntil(lambda: window.project_watch.found.get(MISSING) is SlideFile.MISSING, timeout=MS)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=MS)
    return window


def names(window: MainWindow) -> list[str]:
    return [text.splitlines()[0] for text in window.slides_panel.list.texts()]


def choose_in(box, words: str) -> None:
    assert box.findText(words) >= 0, [box.itemText(number) for number in range(box.count())]
    box.setCurrentIndex(box.findText(words))


def test_only_the_rows_in_sight_are_made(many: MainWindow, qtbot, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = many.slides_panel
    asked: set[int] = set()
    rows = panel.list.model()
    real = type(rows).text_at
    monkeypatch.setattr(type(rows), "text_at", lambda self, place: asked.add(place) or real(self, place))
    many.session.slides_changed.emit()
    panel.list.viewport().repaint()
    assert panel.list.count() == COUNT
    assert 0 < len(asked) < 30
    panel.list.scrollToBottom()
    panel.list.viewport().repaint()
    assert COUNT - 1 in asked
    assert len(asked) < 60


def test_thumbnails_are_read_for_what_is_in_sight_off_the_gui_thread_and_once(
    many: MainWindow, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    import histoloop.gui.work.thumbnails as module

    thumbnails = many.slides_panel.thumbnails
    qtbot.waitUntil(lambda: thumbnails.idle, timeout=MS)
    read: list[tuple[str, str]] = []
    real = module.image_of

    def counted(file: Path):
        read.append((file.name, threading.current_thread().name))
        return real(file)

    monkeypatch.setattr(module, "image_of", counted)
    panel = many.slides_panel.list
    panel.scrollToBottom()
    panel.viewport().repaint()
    qtbot.waitUntil(lambda: any(name == f"slide-{COUNT}.png" for name, _thread in read), timeout=MS)
    qtbot.waitUntil(lambda: thumbnails.idle, timeout=MS)
    assert 0 < len(read) < 30
    assert threading.current_thread().name not in {thread for _name, thread in read}
    before = len(read)
    label = many.session.project.scheme.label_names[1]
    many.slide_control.label([COUNT], label)
    panel.viewport().repaint()
    qtbot.waitUntil(lambda: thumbnails.idle, timeout=MS)
    assert panel.texts()[-1].endswith("Said: " + re.sub("_", " ", many.session.slides()[-1].label).strip())
    assert len(read) == before
    many.slide_control.label([COUNT], None)


def test_the_filter_finds_slides_by_name_and_by_label(many: MainWindow, qtbot) -> None:
    filters, panel = many.slides_panel.filters, many.slides_panel
    assert filters.isVisible()
    QTest.keyClicks(filters.text, "SLIDE-199")
    assert names(many) == ["slide-199.tiff", *(f"slide-199{n}.tiff" for n in range(10))]
    assert filters.summary.text() == "11 of 2000 slides"
    filters.text.setText(many.session.slides()[LABELLED - 1].label)
    assert names(many) == ["slide-2.tiff"]
    filters.text.setText("no such slide")
    assert names(many) == []
    assert filters.summary.text() == "No slide fits these filters."
    assert panel.list.isVisible() or filters.isVisible()
    filters.text.clear()
    assert panel.list.count() == COUNT


@pytest.mark.parametrize(
    ("state", "slide_id"),
    [
        ("File not found", MISSING),
        ("Annotated", ANNOTATED),
        ("Unlike the training data", UNLIKE),
        ("Predicted", PREDICTED),
    ],
)
def test_the_filter_finds_slides_by_their_state(many: MainWindow, qtbot, state: str, slide_id: int) -> None:
    choose_in(many.slides_panel.filters.state, state)
    qtbot.waitUntil(lambda: names(many) == [f"slide-{slide_id - 1}.tiff"], timeout=MS)


def test_slides_without_a_label_and_those_that_are_not_predicted_can_be_listed(many: MainWindow) -> None:
    choose_in(many.slides_panel.filters.state, "Without a label")
    assert many.slides_panel.list.count() == COUNT - 1
    choose_in(many.slides_panel.filters.state, "Not predicted")
    assert many.slides_panel.list.count() == COUNT - 4


def test_names_are_sorted_as_people_count_and_states_and_labels_by_their_order(many: MainWindow) -> None:
    filters = many.slides_panel.filters
    choose_in(filters.order, "By name")
    assert names(many)[:4] == ["slide-0.png", "slide-1.tiff", "slide-2.tiff", "slide-3.tiff"]
    assert names(many)[9:12] == ["slide-9.tiff", "slide-10.tiff", "slide-11.tiff"]
    choose_in(filters.order, "By state")
    assert names(many)[:5] == [f"slide-{n - 1}.tiff" for n in (MISSING, ANNOTATED, UNLIKE, PREDICTED)] + ["slide-0.png"]
    choose_in(filters.order, "By label")
    assert names(many)[0] == "slide-2.tiff"
    choose_in(filters.order, "As added")
    assert names(many)[0] == "slide-0.png"


def test_what_is_chosen_stays_so_while_the_list_is_narrowed_down_and_sorted(many: MainWindow, qtbot) -> None:
    panel = many.slides_panel
    panel.choose(1500)
    assert panel.selected_ids() == [1500]
    choose_in(panel.filters.order, "By label")
    assert (panel.current_id(), panel.selected_ids()) == (1500, [1500])
    panel.filters.text.setText("slide-2.tiff")
    assert names(many) == ["slide-2.tiff"]
    assert (panel.current_id(), panel.selected_ids()) == (1500, [1500])
    assert many.opener.wanted == 1500
    panel.filters.text.clear()
    chosen = [index.row() for index in panel.list.selectionModel().selectedIndexes()]
    assert [names(many)[row] for row in chosen] == ["slide-1499.tiff"]


def test_a_slide_that_is_gone_to_while_the_list_hides_it_is_listed_again(many: MainWindow) -> None:
    panel = many.slides_panel
    panel.filters.text.setText("slide-2.tiff")
    panel.choose(900)
    assert panel.filters.text.text() == ""
    assert (panel.current_id(), panel.list.count()) == (900, COUNT)


def test_the_keys_go_on_to_the_next_slide_of_what_is_listed_and_back(many: MainWindow) -> None:
    panel, control = many.slides_panel, Qt.KeyboardModifier.ControlModifier
    panel.filters.text.setText("slide-77")
    panel.choose(772)
    assert names(many)[:3] == ["slide-77.tiff", "slide-770.tiff", "slide-771.tiff"]
    QTest.keyClick(many, Qt.Key.Key_PageDown, control)
    assert panel.current_id() == 773
    for _ in range(2):
        QTest.keyClick(many, Qt.Key.Key_PageUp, control)
    assert panel.current_id() == 771
    for _ in range(3):
        QTest.keyClick(many, Qt.Key.Key_PageUp, control)
    assert panel.current_id() == 78
    QTest.keyClick(panel.list, Qt.Key.Key_Down)
    assert (panel.current_id(), many.opener.wanted) == (771, 771)
    QTest.keyClick(panel.list, Qt.Key.Key_End)
    assert panel.current_id() == 780


def test_a_slide_that_no_longer_fits_the_filter_leaves_the_next_one_in_its_place(many: MainWindow) -> None:
    panel = many.slides_panel
    choose_in(panel.filters.state, "Without a label")
    panel.choose(21)
    many.slide_control.label([21], many.session.project.scheme.label_names[0])
    assert "slide-20.tiff" not in names(many)
    assert panel.current_id() == 21
    QTest.keyClick(many, Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    assert panel.current_id() == 22
    many.slide_control.label([21], None)


def test_an_annotation_that_is_done_shows_in_the_state_of_its_slide(many: MainWindow, folder: Path, qtbot) -> None:
    choose_in(many.slides_panel.filters.state, "Annotated")
    assert names(many) == [f"slide-{ANNOTATED - 1}.tiff"]
    with Project.connect(folder) as project:
        mask = np.zeros((9, 12), np.uint8)
        draft = project.drafts.start(40, Region(0, 0, 12, 9), mask=mask, origin_model=None, person="Bo")
        project.drafts.finish(draft.id, AnnotationStatus.DONE)
        many.session.queries_changed.emit()
        assert names(many) == [f"slide-{ANNOTATED - 1}.tiff", "slide-39.tiff"]
        project.deletions.delete((draft.id,), person="Bo")


def test_no_slides_file_is_looked_for_when_a_region_is_done_or_a_label_given(
    many: MainWindow, qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **how: looked.append(self.name) or stat(self, **how))
    many.session.queries_changed.emit()
    assert [name for name in looked if name.startswith("slide-") and name.endswith(".tiff")] == []


def test_few_slides_need_no_filter(opened: MainWindow) -> None:
    assert opened.slides_panel.list.count() < 8
    assert not opened.slides_panel.filters.isVisible()


def test_the_project_of_the_test_is_as_large_as_it_says(folder: Path) -> None:
    with Project.open(folder, read_only=True) as project:
        assert len(project.slides.all()) == COUNT
        assert json.dumps([slide.id for slide in project.slides.all()]) == json.dumps(list(range(1, COUNT + 1)))
