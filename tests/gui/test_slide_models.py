"""Which model suits which slide: offered beside the choice of a model, found by a job, never switched by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import bring_up
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from histoloop import paths
from histoloop.gui.work import tasks
from histoloop.gui.work.slide_models import Suited
from histoloop.store.cards import load_card
from histoloop.store.model_folder import load_weights, save_model
from histoloop.store.project import Project
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows import decisions
from histoloop.workflows.contents.suited_models import SuitedModels

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow
    from histoloop.gui.work.jobs import Job

JOB_MS = 300_000
BIAS = "decoder.head.bias"


def keep_round(project: Project, number: int, *, moved: float) -> int:
    """A round's model that is kept, the shipped one whose decoder's logit moved so far since its earlier state."""
    shipped = paths.shipped_models() / DEFAULT_MODEL
    folder, weights = project.models.new_folder(number), load_weights(shipped)
    back = {BIAS: np.full_like(weights[BIAS], moved)}
    save_model(folder, load_card(shipped), weights, recipe="", half=True, way_back=back)
    record = project.rounds.add_candidate(
        project.models, folder.name, hash=f"{number}", parent=project.models.current().id, figures={}, annotations=1
    )
    decisions.keep(project, record.model_id)
    return record.model_id


@pytest.fixture
def two_rounds(project_folder: Path) -> tuple[int, int]:
    """Two models in the project: the older moved little late in its training, the one in use far."""
    with Project.open(project_folder) as project:
        return keep_round(project, 1, moved=0.05), keep_round(project, 2, moved=1.0)


def settled(window: MainWindow, qtbot) -> None:
    qtbot.waitUntil(lambda: not any(pane.opener.busy for pane in window.split.panes()), timeout=20_000)


def test_the_model_that_suits_the_slide_is_offered_and_shown_when_taken(
    window: MainWindow, project_folder: Path, two_rounds: tuple[int, int], monkeypatch: pytest.MonkeyPatch, qtbot
) -> None:
    little, far = two_rounds
    submitted: list[Job] = []
    monkeypatch.setattr(window.session.jobs, "submit", submitted.append)
    assert window.session.open_project(project_folder)
    settled(window, qtbot)
    suited, source = window.overlay_panel.suited, window.split.first.source
    assert not suited.ask.isHidden()
    assert suited.text.isHidden()
    assert "few regions may change" in suited.ask.toolTip()  # rounds learned from unlike numbers of regions
    QTest.mouseClick(suited.ask, Qt.MouseButton.LeftButton)
    (job,) = submitted
    assert job.task is tasks.suit_slides
    slides = [slide.id for slide in window.session.slides()]
    job.on_done(SuitedModels((little, far), dict.fromkeys(slides, little)))
    assert suited.ask.isHidden()
    assert source.choice.model.id == far  # an offer: nothing is switched
    assert suited.text.text() == "Of 2 models Round 1 changed least on this slide."
    bring_up(window)
    suited.take.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(suited.take, Qt.Key.Key_Space)
    assert source.choice.model.id == little
    assert suited.text.text() == "Of 2 models this one changed least on this slide."
    assert suited.take.isHidden()
    qtbot.waitUntil(lambda: window.session.project.settings.get("suited models") is not None)
    window.session.close_project()
    assert suited.isHidden()
    assert window.session.open_project(project_folder)
    settled(window, qtbot)
    assert "Round 1 changed least" in suited.text.text()  # kept with the project
    keep_round(window.session.project, 3, moved=0.0)
    window.session.models_changed.emit()
    assert suited.text.isHidden()  # there is a model now that was not compared
    assert not suited.ask.isHidden()


def test_the_models_are_compared_in_the_background(
    window: MainWindow, project_folder: Path, two_rounds: tuple[int, int], qtbot
) -> None:
    assert window.session.open_project(project_folder)
    settled(window, qtbot)
    suited, slide_models = window.overlay_panel.suited, window.session.slide_models
    QTest.mouseClick(suited.ask, Qt.MouseButton.LeftButton)
    assert suited.isHidden()  # nothing to ask for while it runs
    qtbot.waitUntil(lambda: slide_models.is_known, timeout=JOB_MS)
    found = {slide_models.of_slide(slide.id) for slide in window.session.slides()}
    assert found == {Suited(two_rounds[0], 2)}


def test_nothing_is_offered_where_there_is_nothing_to_choose_from(opened: MainWindow) -> None:
    assert opened.overlay_panel.suited.isHidden()


def test_a_slide_that_was_not_compared_says_so(window: MainWindow) -> None:
    suited = window.overlay_panel.suited
    suited.offer(Suited(None, 2), name="", shown=False, can_find=False)
    assert "not compared on this slide" in suited.text.text()
    assert suited.ask.isHidden()
