"""How to ask and how to learn, what a question rests on, and what came of the rounds."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from histoloop.acquisition.advice import FIRST
from histoloop.acquisition.strategies import STRATEGIES
from histoloop.geometry import Region
from histoloop.gui.dialogs.similar_dialog import SimilarDialog
from histoloop.gui.kit.theme import DARK, LIGHT
from histoloop.gui.panels.ask_options import AskOptions, HowToAsk
from histoloop.gui.panels.evidence import EvidenceView
from histoloop.gui.panels.rounds_curve import RoundsCurve
from histoloop.gui.panels.training_curve import TrainingCurve
from histoloop.gui.panels.training_options import PACES, SOURCES, how_to_learn
from histoloop.store.project import Project
from histoloop.store.records import NewQuery
from histoloop.workflows.contents.budget import Advised
from histoloop.workflows.contents.candidate_regions import CandidateRegion
from histoloop.workflows.contents.questions import query_evidence_path, query_thumbnail_path
from histoloop.workflows.contents.rounds import HowToLearn, Measured
from histoloop.workflows.propagate import keep_pseudo_regions

if TYPE_CHECKING:
    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 240_000
NOWHERE = Path("no such picture.png")


def choose(box, name: object) -> None:
    box.setCurrentIndex(box.findData(name))


# --- asking -----------------------------------------------------------------------------------------------------------


def test_every_strategy_can_be_chosen_and_says_what_it_does_and_where_it_is_from(window: MainWindow) -> None:
    options = window.queue_panel.options
    for strategy in STRATEGIES.values():
        choose(options.strategy, strategy.name)
        assert options.strategy.currentText() == strategy.title
        assert options.sentence.text() == strategy.sentence
        assert " et al. 20" in options.strategy.toolTip()
        assert strategy.sentence.split("'")[0] in options.strategy.toolTip()


def test_the_papers_advice_is_a_line_until_one_asks_why(opened: MainWindow) -> None:
    options = opened.queue_panel.options
    choose(options.strategy, "entropy")
    assert options.advice.isVisible()
    assert "ask at random" in options.advice.text()
    assert "Zolfaghari Bengar" not in options.advice.text()
    options.advice.linkActivated.emit("why")
    assert "Zolfaghari Bengar et al. 2021" in options.advice.text()
    assert "Belharbi et al. 2020, section 4.1 (entropy" in options.advice.text()
    options.advice.linkActivated.emit("why")
    choose(options.strategy, "random")
    assert "so would the papers" in options.advice.text()


def test_six_questions_are_in_sight_in_a_window_of_920_px(opened: MainWindow, qtbot) -> None:
    project, panel = opened.session.project, opened.queue_panel
    opened.resize(1480, 920)
    first = project.queries.open()[0]
    places = [Region(300 * number, 0, 280, 280) for number in range(6 - len(project.queries.open()))]
    added = project.queries.add(
        [NewQuery(first.slide_id, place, first.strategy, 0.1, 1, first.evidence, first.class_name) for place in places]
    )
    for query in added:
        shutil.copyfile(query_thumbnail_path(project, first.id), query_thumbnail_path(project, query.id))
    opened.session.queries_changed.emit()
    qtbot.waitUntil(lambda: panel.list.count() == 6)
    QApplication.processEvents()
    last = panel.list.visualItemRect(panel.list.item(5))
    assert panel.list.viewport().rect().contains(last)
    assert panel.open.visibleRegion().boundingRect().height() == panel.open.height()


def test_the_link_to_the_reasons_has_the_colour_of_the_theme(opened: MainWindow) -> None:
    def colours() -> set[int]:
        picture = opened.queue_panel.options.advice.grab().toImage()
        return {picture.pixel(x, y) for x in range(picture.width()) for y in range(picture.height())}

    opened.preferences.set_theme("light")
    assert QColor(LIGHT["accent"]).rgb() in colours()
    opened.preferences.set_theme("dark")
    assert QColor(DARK["accent"]).rgb() in colours()


def test_how_to_ask_is_kept_with_the_project(opened: MainWindow, project_folder: Path) -> None:
    options = opened.queue_panel.options
    assert not options.side.isVisible()
    options.more.head.click()
    assert options.side.isVisible()
    choose(options.strategy, "k-center")
    choose(options.side, 256)
    choose(options.share, 0.25)
    options.count.setValue(9)
    chosen = options.how()
    opened.session.close_project()
    assert options.how() != chosen
    assert opened.session.open_project(project_folder)
    assert options.how() == chosen
    assert (opened.session.region_map_px, opened.session.random_share) == (256, 0.25)


def test_a_strategy_that_the_project_cannot_use_yet_is_told_with_a_way_on(opened: MainWindow, qtbot) -> None:
    before = opened.queue_panel.shown_ids()
    choose(opened.queue_panel.options.strategy, "svm-margin")
    opened.queue_panel.options.ask.click()
    qtbot.waitUntil(lambda: opened.session.jobs.current is None, timeout=JOB_MS)
    assert "'Between two diagnoses' needs 2 annotated regions" in opened.banner.text.text()
    assert "Ask at random first" in opened.banner.text.text()
    assert opened.queue_panel.shown_ids() == before


def test_the_evidence_of_the_chosen_question_is_shown_with_what_one_sees(opened: MainWindow) -> None:
    panel = opened.queue_panel
    assert query_evidence_path(opened.session.project, panel.current_id()).is_file()
    assert panel.evidence.isVisible()
    assert panel.evidence.caption.text() == "Yellow: the model is unsure."
    panel.show_queries((), {}, thumbnail=lambda _id: NOWHERE, evidence=lambda _id: NOWHERE)
    assert not panel.evidence.isVisible()


def test_a_question_without_a_picture_or_at_random_has_no_evidence(opened: MainWindow, qtbot) -> None:
    picture = query_evidence_path(opened.session.project, opened.queue_panel.current_id())
    view = EvidenceView()
    qtbot.addWidget(view)
    view.show_evidence(picture, "cod")
    assert view.isVisibleTo(None)
    assert view.caption.text() == "Yellow: changed since the last round."
    for path, strategy in ((picture, "random"), (NOWHERE, "cod"), (None, "")):
        view.show_evidence(path, strategy)
        assert not view.isVisibleTo(None)


# --- learning ---------------------------------------------------------------------------------------------------------


def test_only_what_goes_together_can_be_chosen(window: MainWindow) -> None:
    options = window.training_panel.options
    on = (True, False)
    for (source, *_), pace, with_similar, steady, goes_on in itertools.product(SOURCES, PACES, on, on, on):
        options.take(HowToLearn())
        options.propagation.setChecked(with_similar)
        options.consistency.setChecked(steady)
        options.continued.setChecked(goes_on)
        choose(options.pace, pace.pace)
        choose(options.learn_from, source)
        how = options.how()
        assert how.learn_from == source
        assert how.pace == (pace.pace if source in pace.goes_with else "full")
        unlabelled = source == "masks" and pace.with_unlabelled
        assert options.propagation.isEnabled() == options.continued.isEnabled() == unlabelled
        assert options.consistency.isEnabled() == (unlabelled or source == "labels")
        assert (how.propagation, how.continued) == (with_similar and unlabelled, goes_on and unlabelled)
        assert how.consistency == (steady and options.consistency.isEnabled())


def test_how_to_learn_is_kept_with_the_project(opened: MainWindow, project_folder: Path) -> None:
    options = opened.training_panel.options
    choose(options.pace, "quick")
    options.propagation.setChecked(True)
    QTest.mouseClick(options.continued, Qt.MouseButton.LeftButton, pos=QPoint(8, options.continued.height() // 2))
    how = HowToLearn("masks", "quick", propagation=True, continued=True)
    assert opened.session.how == how
    opened.session.close_project()
    assert options.how() == HowToLearn()
    assert opened.session.open_project(project_folder)
    assert options.how() == opened.session.how == how


@pytest.mark.parametrize("kept", [None, 3, {"pace": "hasty"}, {"learn_from": "labels", "pace": "quick"}, {"colour": 1}])
def test_a_choice_that_cannot_be_read_is_the_usual_one(kept: object) -> None:
    assert how_to_learn(kept) == HowToLearn()


def test_how_long_a_round_may_take_is_told_once_there_is_something_to_learn(painting: MainWindow, qtbot) -> None:
    panel = painting.training_panel
    assert not panel.estimate.isVisibleTo(panel)
    painting.actions_["finish"].trigger()
    qtbot.waitUntil(lambda: panel.estimate.isVisibleTo(panel), timeout=30_000)
    thorough = panel.estimate.text()
    assert thorough.startswith("Takes about ")
    choose(panel.options.pace, "self-supervised")
    assert "hours" in panel.estimate.text()


def test_the_curve_goes_on_when_a_second_pass_counts_its_epochs_from_one_again(qtbot) -> None:
    curve = TrainingCurve()
    qtbot.addWidget(curve)
    for epoch, loss in ((1, 0.9), (2, 0.7), (3, 0.6), (1, 0.5), (2, 0.4)):
        curve.add({"epoch": epoch, "loss": loss})
    assert curve.epochs("loss") == [1, 2, 3, 4, 5]
    curve.clear()
    curve.add({"epoch": 1, "loss": 0.9, "dice": 0.5})
    assert curve.epochs("dice") == [1]


# --- after the rounds -------------------------------------------------------------------------------------------------


def measured(*dice: float) -> list[Measured]:
    return [Measured(round=number, annotations=5 * number, dice=one, held_out=2) for number, one in enumerate(dice, 1)]


def curve_of(qtbot, rounds: list[Measured]) -> RoundsCurve:
    curve = RoundsCurve()
    qtbot.addWidget(curve)
    curve.show_rounds(rounds)
    return curve


def test_a_curve_needs_two_rounds_and_an_expectation_three(qtbot) -> None:
    for rounds, enough, expected in (((), 0, 0), ((0.6,), 0, 0), ((0.6, 0.7), 1, 0), ((0.6, 0.7, 0.75), 1, 1)):
        curve = curve_of(qtbot, measured(*rounds))
        assert curve.has_enough() == bool(enough)
        assert curve.expected.isVisibleTo(curve) == bool(expected)
        curve.grab()


def test_what_the_next_annotations_may_bring_is_a_range_and_says_what_it_rests_on(qtbot) -> None:
    curve = curve_of(qtbot, measured(0.6, 0.7, 0.75))
    assert curve.expected.text().startswith("The next 5 annotations may change Dice by ")
    assert " to +" in curve.expected.text()
    assert curve.expected.text().endswith("as measured on 2 held-out regions.")
    assert not curve.hint.isVisibleTo(curve)


def test_a_flat_curve_says_that_it_is_time_to_stop(qtbot) -> None:
    rounds = [replace(one, annotations=20 * one.round, held_out=8) for one in measured(*[0.9] * 6)]
    curve = curve_of(qtbot, rounds)
    assert curve.hint.isVisibleTo(curve)
    assert "flat" in curve.hint.text()


def test_a_curve_that_few_held_out_regions_make_flat_is_no_reason_to_stop(qtbot) -> None:
    rounds = [replace(one, annotations=20 * one.round, held_out=7) for one in measured(*[0.9] * 6)]
    curve = curve_of(qtbot, rounds)
    assert curve.expected.text().endswith("as measured on 7 held-out regions.")
    assert not curve.hint.isVisibleTo(curve)


@pytest.fixture
def with_similar(project_folder: Path) -> tuple[Path, int, Region]:
    """A project whose open candidate learned from one similar region, on the slide that is not shown first."""
    with Project.open(project_folder) as project:
        slide = project.slides.all()[-1]
        region = project.queries.open()[0].region
        parent = project.models.current().id
        project.models.add("round-1", hash="abc", parent=parent, round=1)
        project.rounds.add(project.models.all()[-1].id, parent, {"loss": 0.1, "pseudo": 1.0}, 3)
        pixels, mask = np.full((64, 64, 3), 200, np.uint8), np.eye(64, dtype=bool)
        keep_pseudo_regions(
            project, 1, [(CandidateRegion(slide, region, "benign"), "benign.tiff, 9 x 9 at 1, 2", pixels, mask)]
        )
    return project_folder, slide.id, region


def similar_dialogs() -> list[SimilarDialog]:
    return [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, SimilarDialog)]


def test_the_similar_regions_of_a_round_can_be_looked_at_on_their_slides(
    window: MainWindow, with_similar: tuple[Path, int, Region], qtbot
) -> None:
    folder, slide_id, region = with_similar
    assert window.session.open_project(folder)
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=30_000)
    assert window.opener.current != slide_id
    similar = window.training_panel.decision.similar
    assert similar.text() == "Review 1 similar region"
    similar.click()
    (dialog,) = similar_dialogs()
    assert dialog.list.item(0).text().endswith("\nsimilar to benign.tiff, 9 x 9 at 1, 2")
    dialog.list.itemActivated.emit(dialog.list.item(0))
    qtbot.waitUntil(lambda: window.opener.current == slide_id, timeout=30_000)
    seen = window.viewer.visible_region()
    assert seen.intersection(region) == region
    assert seen.area < 40 * region.area
    dialog.close()


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("advised", [FIRST, "random", "entropy"])
def test_any_strategy_can_be_chosen_whatever_is_advised(strategy: str, advised: str, qtbot) -> None:
    options = AskOptions(ask_tip="")
    qtbot.addWidget(options)
    options.show_advice(Advised(advised, 0.0, "why"))
    options.take(HowToAsk(strategy))
    assert options.advice.text()
    assert options.how().strategy == strategy
