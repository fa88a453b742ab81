"""Slides unlike the training data are marked in place of a label; the objective of a file is offered as an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication

from histoloop.progress import finish
from histoloop.store.records import MppFrom
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project, import_slides

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.gui.dialogs.resolution_dialog import ResolutionDialog
    from histoloop.gui.window.main_window import MainWindow


@pytest.fixture
def cohort(window: MainWindow, tmp_path: Path, qtbot, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    """The window on three slides: like the training data, unlike it, and with an objective in place of a resolution."""
    folder = tmp_path / "slides"
    folder.mkdir()
    for seed, name in enumerate(("colon.tif", "dapi.tif", "scan-of-1998.tif")):
        noise = np.random.default_rng(seed).integers(-12, 13, (300, 300, 3))
        pixels = (np.array((215, 140, 185)) + noise).astype(np.uint8)
        stated = {"description": "Aperio Image Library |AppMag = 40|Time = 09:59:15"}
        if not name.startswith("scan"):
            stated = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(folder / name, pixels, photometric="rgb", metadata=None, **stated)
    with create_project(tmp_path / "project", name="Cohort", start=DEFAULT_MODEL) as project:
        assert len(finish(import_slides(project, [folder])).added) == 3
        names, model = project.scheme.label_names, project.models.current().id
        for slide, unlike in zip(project.slides.all(), (0.6, 1.9, 0.7), strict=True):
            project.predictions.add(slide.id, model, {names[0]: 0.03, names[3]: 0.97}, unlike=unlike)
    monkeypatch.setattr(window.session, "predict", lambda *_args, **_options: None)
    assert window.session.open_project(tmp_path / "project")
    qtbot.waitUntil(lambda: window.opener.current is not None, timeout=30_000)
    return window


def listed(window: MainWindow) -> list[str]:
    """The second line of each slide in the list."""
    return [text.splitlines()[1] for text in window.slides_panel.list.texts()]


def in_dialog(act: Callable[[ResolutionDialog], None]) -> None:
    """Act in the dialog that is about to open."""

    def when_open() -> None:
        dialog = QApplication.activeModalWidget()
        assert dialog is not None
        act(dialog)  # type: ignore[arg-type]

    QTimer.singleShot(300, when_open)


def test_the_list_and_the_details_mark_a_slide_that_is_unlike_the_training_data(cohort: MainWindow, qtbot) -> None:
    assert listed(cohort) == [
        "High-grade IN 97%",
        "Unlike the training data",
        "High-grade IN 97% \N{MIDDLE DOT} resolution unknown",
    ]
    panel, slides = cohort.slides_panel, cohort.session.slides()
    panel.choose(slides[1].id)
    assert panel.details.predicted.text() == "Unlike the training data: no label is given"
    assert "annotated regions of such slides and retrained" in panel.details.predicted.toolTip().replace("\n", " ")
    assert panel.details.meaning.isVisibleTo(panel.details)
    assert "the warning then goes away" in panel.details.meaning.text()
    panel.choose(slides[0].id)
    assert not panel.details.meaning.isVisibleTo(panel.details)
    assert "does not notice tissue of another organ" in panel.details.predicted.toolTip().replace("\n", " ")
    assert panel.details.predicted.text() == "Predicted: High-grade IN (0.97)"
    assert "retrain" not in panel.details.predicted.toolTip()


def test_the_dialog_offers_the_objective_and_the_slide_is_marked_as_estimated(cohort: MainWindow, qtbot) -> None:
    offered: list[str] = []

    def take(dialog: ResolutionDialog) -> None:
        offered.append(dialog.by_objective.text())
        qtbot.mouseClick(dialog.by_objective, Qt.MouseButton.LeftButton)

    in_dialog(take)
    qtbot.mouseClick(cohort.slides_panel.mpp_button, Qt.MouseButton.LeftButton)
    assert offered == ["Estimate from the objective (40x: 0.25 \N{MICRO SIGN}m per pixel)"]
    slide = cohort.session.slides()[2]
    assert (slide.mpp, slide.mpp_from) == (0.25, MppFrom.OBJECTIVE)
    assert listed(cohort)[2] == "Not predicted \N{MIDDLE DOT} resolution estimated"
    cohort.slides_panel.choose(slide.id)
    details = cohort.slides_panel.details
    assert details.resolution.isVisible()
    assert details.resolution.text() == "0.25 \N{MICRO SIGN}m per pixel, estimated from the objective"


def test_a_number_that_is_typed_is_given_and_never_the_estimate(cohort: MainWindow, qtbot) -> None:
    def give(dialog: ResolutionDialog) -> None:
        dialog.mpp.setValue(0.33)
        dialog.accept()

    in_dialog(give)
    qtbot.mouseClick(cohort.slides_panel.mpp_button, Qt.MouseButton.LeftButton)
    slide = cohort.session.slides()[2]
    assert (slide.mpp, slide.mpp_from) == (0.33, MppFrom.GIVEN)
    assert listed(cohort)[2] == "Not predicted"


def test_an_objective_that_is_chosen_is_an_estimate_until_a_number_is_typed(cohort: MainWindow, qtbot) -> None:
    def choose(dialog: ResolutionDialog) -> None:
        twenty = next(made for made in dialog.powers if made.text() == "20x")
        qtbot.mouseClick(twenty, Qt.MouseButton.LeftButton)
        assert dialog.mpp.value() == 0.5
        dialog.accept()

    in_dialog(choose)
    qtbot.mouseClick(cohort.slides_panel.mpp_button, Qt.MouseButton.LeftButton)
    slide = cohort.session.slides()[2]
    assert (slide.mpp, slide.mpp_from) == (0.5, MppFrom.OBJECTIVE)

    def correct(dialog: ResolutionDialog) -> None:
        qtbot.mouseClick(dialog.powers[-1], Qt.MouseButton.LeftButton)
        dialog.mpp.setValue(0.2429)
        dialog.accept()

    cohort.slides_panel.choose(slide.id)
    in_dialog(correct)
    cohort.actions_["set_mpp"].trigger()
    slide = cohort.session.slides()[2]
    assert (slide.mpp, slide.mpp_from) == (0.2429, MppFrom.GIVEN)


def test_no_estimate_is_offered_where_a_file_states_no_objective(cohort: MainWindow, qtbot) -> None:
    shown: list[bool] = []

    def look(dialog: ResolutionDialog) -> None:
        shown.append(dialog.by_objective.isVisible())
        dialog.reject()

    cohort.slides_panel.choose(cohort.session.slides()[0].id)
    in_dialog(look)
    cohort.actions_["set_mpp"].trigger()
    assert shown == [False]
