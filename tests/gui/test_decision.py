"""The decision about a new model: what can be told, what was gained and lost, and which regions measure."""

from __future__ import annotations

import functools
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from histoloop.annotations.records import rgb
from histoloop.geometry import Region
from histoloop.gui.canvas.composing import OverlayStyle, overlay_of
from histoloop.gui.canvas.gained_lost import GAINED, LOST, gained_and_lost
from histoloop.gui.panels.rounds_list import RoundsList
from histoloop.gui.window import menus
from histoloop.slides.tiling import Window
from histoloop.store.cards import load_card
from histoloop.store.maps import MapWriter
from histoloop.store.records import ModelStatus
from histoloop.workflows import annotate
from histoloop.workflows.contents.history import PastModel
from histoloop.workflows.contents.rounds import CandidateModel, ClassFigure

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow

LEFT = Qt.MouseButton.LeftButton


def shown(window: MainWindow, candidate: CandidateModel) -> tuple[str, str, str]:
    """How the verdict, *Keep* and *Roll back* are shown."""
    window.training_panel.show_candidate(candidate, {1: "tumour", 2: "stroma"})
    decision = window.training_panel.decision
    return decision.verdict.objectName(), decision.keep.objectName(), decision.roll_back.objectName()


def test_with_few_regions_a_fall_is_not_red_and_keep_is_not_the_first_choice(window: MainWindow) -> None:
    few = CandidateModel(2, 1, 0.809, 0.771, 1, 4)
    assert shown(window, few) == ("muted", "", "")
    assert window.training_panel.decision.verdict.text().startswith("Too few to tell: 1 region is held out (-0.038).")
    assert shown(window, CandidateModel(2, 1, 0.771, 0.809, 1, 4)) == ("muted", "primary", "")


def test_better_and_worse_are_shown_as_such_where_the_interval_says_so(window: MainWindow) -> None:
    assert shown(window, CandidateModel(2, 1, 0.7, 0.8, 9, 30, change=(0.02, 0.18))) == ("good", "primary", "")
    worse = CandidateModel(2, 1, 0.8, 0.7, 9, 30, change=(-0.18, -0.02))
    assert shown(window, worse) == ("bad", "", "primary")
    text = window.training_panel.decision.verdict.text()
    assert text == "Worse on 9 held-out regions: -0.100, 95% interval -0.18 to -0.02."


def test_what_was_not_measured_speaks_for_neither(window: MainWindow) -> None:
    assert shown(window, CandidateModel(2, 1, None, None, 0, 2)) == ("muted", "", "")
    assert window.training_panel.decision.dice.isHidden()


def test_every_class_has_its_figures_and_one_that_is_gone_has_none(window: MainWindow) -> None:
    classes = (ClassFigure(1, 0.5, 0.75), ClassFigure(2, None, 0.4), ClassFigure(9, 0.1, 0.2))
    shown(window, CandidateModel(2, 1, 0.7, 0.8, 3, 9, classes=classes))
    table = window.training_panel.decision.classes
    assert table.lines == [("Tumour", "0.500 \N{RIGHTWARDS ARROW} 0.750"), ("Stroma", "0.400")]
    shown(window, CandidateModel(2, 1, 0.7, 0.8, 3, 9))
    assert table.isHidden()


def test_the_third_region_is_said_to_measure_the_model_before_it_is_painted(painting: MainWindow, qtbot) -> None:
    judging, annotating = painting.annotation_panel.judging, painting.session.annotating
    said = []
    finished = painting.session.project.annotations.finished
    for question in range(3):
        qtbot.waitUntil(lambda: annotating.active is not None, timeout=60_000)
        region = annotating.active.record.region
        qtbot.waitUntil(lambda region=region: painting.viewer.annotating == region, timeout=60_000)
        qtbot.waitUntil(painting.actions_["finish"].isEnabled, timeout=60_000)
        said.append(judging.isVisible())
        press(painting, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda question=question: len(finished()) == question + 1, timeout=60_000)
        qtbot.waitUntil(lambda region=region: painting.viewer.annotating != region, timeout=60_000)
    assert said == [False, False, True]
    assert "measure" in judging.text()
    assert [record.held_out for record in painting.session.project.annotations.finished()] == said


def test_gained_and_lost_are_told_by_class() -> None:
    new, old = np.array([[0, 1, 1, 2, 0]], np.uint8), np.array([[0, 0, 1, 1, 1]], np.uint8)
    gained, lost = gained_and_lost(new, old)
    assert gained.tolist() == [[False, True, False, True, False]]
    assert lost.tolist() == [[False, False, False, True, True]]
    pixels = np.full((1, 5, 3), 200, np.uint8)
    shown = overlay_of(OverlayStyle(), mask=new, foreground=None, changes=(new, old)).over(pixels)
    colours = [tuple(map(int, pixel)) for pixel in shown[0]]
    grey = (200, 200, 200)
    assert colours == [grey, rgb(GAINED), grey, rgb(LOST), rgb(LOST)]


def candidate_of_the_left_half(window: MainWindow, **figures: float) -> int:
    """What a retraining leaves: a model nobody decided about, whose mask of every slide is its left half.

    `figures` are of its round, with those on one region held out.
    """
    project = window.session.project
    base = project.models.current()
    folder = project.models.new_folder(1)
    shutil.copytree(base.folder, folder)
    model = project.models.add(folder.name, hash="candidate", parent=base.id, round=1)
    names, stride = load_card(folder).scheme.label_names, 32
    for slide in project.slides.all():
        maps = project.maps.new_folder(slide.id, model.id)
        with MapWriter(
            maps,
            slide_width=slide.width,
            slide_height=slide.height,
            downsample=2.0,
            labels=names,
            stride_px=stride,
            model_hash=model.hash,
        ) as writer:
            cells = np.zeros((len(names), writer.rows, writer.columns), np.float32)
            whole = np.full((writer.rows * stride, writer.columns * stride), 0.05, np.float32)
            whole[:, : whole.shape[1] // 2] = 0.95
            writer.write(Window(0, 0, whole.shape[1], whole.shape[0]), whole, cells)
        project.maps.add(slide.id, model.id, maps.name)
        project.predictions.add(slide.id, model.id, {name: 1 / len(names) for name in names})
    measured = {"held_out": 1.0, "dice_before": 0.8, "dice": 0.75}
    project.rounds.add(model.id, base.id, {**measured, **figures}, 2, person="Ada")
    window.session.models_changed.emit()
    window.session.maps_changed.emit()
    return model.id


def seen(window: MainWindow, colour: str) -> int:
    """How many pixels of the slide on the screen have exactly a colour."""
    scene = window.viewer.scene
    view = scene.render(scene.slide.extent, 4.0, window.viewer.overlay_style)
    return int((view.pixels == np.array(rgb(colour), np.uint8)).all(axis=2).sum())


def test_a_box_shows_on_the_slide_what_the_new_model_gained_and_lost(opened: MainWindow, qtbot) -> None:
    candidate_of_the_left_half(opened)
    decision = opened.training_panel.decision
    opened.work.bring_up(opened.work.training)
    qtbot.waitUntil(
        lambda: opened.viewer.scene is not None and opened.viewer.scene.compared is not None, timeout=30_000
    )
    assert opened.viewer.wait_until_loaded()
    assert (seen(opened, GAINED), seen(opened, LOST)) == (0, 0)
    qtbot.mouseClick(decision.changes, LEFT, pos=QPoint(8, decision.changes.height() // 2))
    assert decision.changes.isChecked()
    assert decision.legend.isVisible()
    assert seen(opened, GAINED) > 20
    assert seen(opened, LOST) > 20
    qtbot.mouseClick(decision.show_new, LEFT, pos=QPoint(8, decision.show_new.height() // 2))
    assert not decision.changes.isChecked()
    qtbot.mouseClick(decision.roll_back, LEFT)
    qtbot.waitUntil(lambda: not decision.isVisible(), timeout=10_000)
    assert not opened.viewer.overlay_style.changes


@pytest.mark.parametrize("masks", [True, False])
def test_gained_and_lost_show_the_masks_where_they_were_hidden(opened: MainWindow, masks: bool, qtbot) -> None:
    candidate_of_the_left_half(opened)
    opened.overlay_panel.masks.setChecked(masks)
    opened.work.bring_up(opened.work.training)
    decision = opened.training_panel.decision
    qtbot.mouseClick(decision.changes, LEFT, pos=QPoint(8, decision.changes.height() // 2))
    assert opened.viewer.overlay_style.masks
    assert opened.viewer.overlay_style.changes


# --- cross-validation -------------------------------------------------------------------------------------------------


@pytest.fixture
def few(opened: MainWindow, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    """Four painted regions, one of them held out, and a candidate of a quick round that waits."""
    monkeypatch.setattr(menus, "cross_validate", functools.partial(menus.cross_validate, epochs=1))
    project = opened.session.project
    mask = np.zeros((200, 200), np.uint8)
    mask[:100] = 1
    for number in range(4):
        place = Region(300 * number, 200, 200, 200)
        draft = project.drafts.start(opened.opener.current, place, mask=mask, origin_model=None, person="Ada")
        annotate.finish(project, draft.id)
    candidate_of_the_left_half(opened, **{"kind masks quick": 1.0})
    opened.work.bring_up(opened.work.training)
    return opened


def test_a_round_with_few_held_out_regions_is_cross_validated_on_wish(few: MainWindow, qtbot) -> None:
    decision = few.training_panel.decision
    assert decision.cross.isVisible()
    assert not decision.crossed.isVisible()
    qtbot.mouseClick(decision.cross, LEFT)
    assert not decision.cross.isEnabled()  # not a second time while it is measured
    assert decision.keep.isEnabled()
    qtbot.waitUntil(decision.crossed.isVisible, timeout=300_000)
    assert decision.crossed.text().startswith("Cross-validated on 4 painted regions: Dice 0.")
    assert "On 4 of them, new to the model before: 0." in decision.crossed.text()
    assert not decision.cross.isVisible()
    qtbot.mouseClick(decision.keep, LEFT)
    qtbot.waitUntil(lambda: not decision.isVisible(), timeout=10_000)
    assert "Cross-validated on 4 painted regions" in few.training_panel.history.list.item(0).toolTip()


def test_a_round_that_is_rolled_back_while_it_is_cross_validated_keeps_its_figures(few: MainWindow, qtbot) -> None:
    said: list[str] = []
    few.session.notice.connect(said.append)
    few.actions_["cross_validate"].trigger()
    press(few, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: few.session.candidate() is None, timeout=10_000)
    qtbot.waitUntil(lambda: few.session.jobs.current is None, timeout=300_000)
    assert "crossed_dice" in few.session.project.rounds.all()[0].figures
    assert said[-1].startswith("Round 1 is cross-validated: Dice 0.")


# --- the rounds so far ------------------------------------------------------------------------------------------------


def lines(window: MainWindow) -> list[str]:
    shown = window.training_panel.history.list
    return [shown.item(number).text() for number in range(shown.count())]


def test_every_round_is_there_after_a_restart_and_any_of_them_can_be_used_again(
    opened: MainWindow, project_folder: Path, qtbot
) -> None:
    history = opened.training_panel.history
    assert history.isHidden()
    base = opened.session.project.models.current().id
    made = candidate_of_the_left_half(opened)
    opened.work.bring_up(opened.work.training)
    qtbot.mouseClick(history.fold.head, LEFT)
    assert history.list.isVisible()
    assert lines(opened)[0].startswith("Round 1 \N{MIDDLE DOT} waits for a decision \N{MIDDLE DOT} Dice 0.750\n")
    history.list.setCurrentRow(1)
    assert not history.use.isEnabled()
    assert history.use.toolTip() == "Decide about the new model first."
    opened.session.roll_back()
    assert "rolled back" in lines(opened)[0]
    opened.session.close_project()
    assert opened.session.open_project(project_folder)
    opened.work.bring_up(opened.work.training)
    first, start = lines(opened)
    assert first.startswith("Round 1 \N{MIDDLE DOT} rolled back \N{MIDDLE DOT} Dice 0.750\n")
    assert "Ada \N{MIDDLE DOT} from 2 annotations" in first
    assert start.startswith("Start: ")
    assert "in use" in start
    tip = history.list.item(0).toolTip()
    assert "Dice 0.800 \N{RIGHTWARDS ARROW} 0.750 on 1 held-out region" in tip
    history.list.setFocus()
    history.list.setCurrentRow(1)
    QTest.keyClick(history.list, Qt.Key.Key_Up)
    assert history.use.isEnabled()
    qtbot.mouseClick(history.use, LEFT)
    qtbot.waitUntil(lambda: opened.session.project.models.current().id == made, timeout=10_000)
    assert "in use" in lines(opened)[0]
    assert "used before" in lines(opened)[1]
    assert not history.use.isEnabled()
    assert opened.overlay_panel.chooser.model.currentText() == "Round 1 (in use)"
    opened.session.use_again(base)
    assert "in use" in lines(opened)[1]


def test_a_round_is_seen_whole_whoever_made_it_and_however_narrow_the_list_is(qtbot) -> None:
    rounds = RoundsList()
    qtbot.addWidget(rounds)
    made = PastModel(
        2,
        12,
        ModelStatus.KEPT,
        "2026-11-29T20:00:00+00:00",
        person="Dr. Annegret Freifrau von Hohenzollern-Sigmaringen, Institute of Pathology",
        recipe="retrain-quick",
        dice=0.8,
    )
    rounds.show_models([made])
    rounds.resize(240, 400)
    rounds.show()
    QTest.mouseClick(rounds.fold.head, LEFT)
    qtbot.waitUntil(rounds.list.isVisible, timeout=10_000)
    item = rounds.list.item(0)
    assert item.text().endswith("retrain-quick")
    metrics = rounds.list.fontMetrics()
    room = rounds.list.visualItemRect(item)
    words = metrics.boundingRect(room, Qt.TextFlag.TextWordWrap, item.text())
    assert words.height() <= room.height() <= rounds.list.viewport().height()
    assert room.height() > 4 * metrics.lineSpacing()
