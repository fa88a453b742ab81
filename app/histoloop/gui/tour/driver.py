"""What drives the window on its tour: waits, asks, paints and answers as a person would, and takes the pictures."""

from __future__ import annotations

import itertools
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QWidget

from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.language import tr
from histoloop.slides.synthetic import SyntheticTissue
from histoloop.store.files import write_beside
from histoloop.workflows.demo_project import specifications

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.annotations.records import Mask
    from histoloop.gui.panels.ask_options import HowToAsk
    from histoloop.gui.window.main_window import MainWindow
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord
    from histoloop.workflows.contents.rounds import CandidateModel

SEED = 0
PATIENCE_S = 600.0
"""How long the window may do nothing that a wait is for: a job that goes on is waited for, however slow."""

TOUR = "tour.json"


class TourError(Exception):
    """The window did not come to where the tour wanted it in time."""


@dataclass(frozen=True, slots=True)
class Step:
    """A picture of the tour, how long the step took, and the kinds of widgets that can be seen."""

    picture: str
    what: str
    seconds: float
    widgets: tuple[str, ...]


class Tour:
    """The window on its way, and the steps so far; its verbs are the other files of this room.

    The demo project is made in `out/project`, its export in `out/export`, or where these are there in `project-2` and
    so on. `size_px` is (width, height) in device-independent pixels.
    """

    def __init__(self, out: Path, window: MainWindow, *, theme: str, size_px: tuple[int, int]) -> None:
        self.theme, self.size_px = theme, size_px
        self.out, self.project_folder, self.export_folder = out, free(out / "project"), free(out / "export")
        self.window = window
        self.steps: list[Step] = []
        self.figures: dict[str, object] = {}
        self._last = self._moved = time.monotonic()
        window.session.jobs.progressed.connect(self._on_progress)
        self._truth = {name: SyntheticTissue(spec) for name, spec in specifications(SEED).items()}

    # --- what a person does -------------------------------------------------------------------------------------------

    def ask(self, how: HowToAsk) -> None:
        """Ask by a strategy, and wait for the questions and the slide of the first one."""
        window, options = self.window, self.window.queue_panel.options
        options.strategy.setCurrentIndex(options.strategy.findData(how.strategy))
        options.count.setValue(how.count)
        window.actions_["ask"].trigger()
        self.wait(lambda: window.session.jobs.current is None, "the questions")
        self.wait(lambda: not window.opener.busy, "the slide of the first question")
        self.settle()

    def show_slide(self, slide_id: int) -> None:
        """Show a slide, as a whole."""
        self.window.slides_panel.choose(slide_id)
        self.wait(lambda: self.window.opener.current == slide_id, "the slide to show")
        self.window.viewer.fit()
        self.settle()

    def answer(self, count: int) -> None:
        """Paint so many questions, from the one in hand on, as they should be."""
        window = self.window
        for _question in range(count):
            truth, before = self.truth_in_hand(), self.active_id()
            window.viewer.replace_mask(truth)
            window.annotation_panel.choose_class(int(max(1, truth.max())))
            self.wait_until_saved("the painting")
            window.actions_["finish"].trigger()
            self.wait(lambda before=before: self.active_id() != before, "the region to be finished")  # type: ignore[misc]
        self.settle()

    def another_round(self, *, propagation: bool) -> CandidateModel:
        """Answer what is asked and retrain quickly."""
        window, options = self.window, self.window.training_panel.options
        window.actions_["next_question"].trigger()
        self.answer(len(window.session.queries()))
        options.pace.setCurrentIndex(options.pace.findData("quick"))
        options.propagation.setChecked(propagation)
        window.actions_["retrain"].trigger()
        self.wait(lambda: window.session.jobs.current is None, "the retraining")
        candidate = self.candidate()
        self.settle()
        return candidate

    # --- what there is ------------------------------------------------------------------------------------------------

    @property
    def project(self) -> Project:
        """The project that is open."""
        project = self.window.session.project
        if project is None:
            raise TourError("no project is open")
        return project

    def candidate(self) -> CandidateModel:
        """What came of the retraining."""
        candidate = self.window.session.candidate()
        if candidate is None:
            raise TourError(self.window.banner.text.text() or "no candidate came of the retraining")
        return candidate

    def active_id(self) -> int | None:
        """The region in hand by id, if there is one."""
        active = self.window.session.active
        return None if active is None else active.record.id

    def opened(self) -> AnnotationRecord:
        """The region in hand, once it can be painted; if the window asks about work in its place, begin a new one."""
        self.wait(self._is_open, "the region to open")
        active = self.window.session.active
        if active is None:
            raise TourError("no region is open")
        return active.record

    def _is_open(self) -> bool:
        for dialog in self.window.findChildren(ChoiceDialog):
            if dialog.isVisible():
                dialog.answers[-1].click()
        return self.window.viewer.annotating is not None

    def truth_in_hand(self) -> Mask:
        """The mask that the region in hand should have."""
        record = self.opened()
        self.settle()
        slide = self.project.slides.get(record.slide_id)
        return self._truth[slide.name].read(record.region)[1]

    # --- waiting, pictures, results -----------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Turn the event loop until something is so; a TourError once nothing has moved for `PATIENCE_S`."""
        self._moved = time.monotonic()
        while not condition():
            QCoreApplication.processEvents()
            time.sleep(0.005)
            if time.monotonic() > self._moved + PATIENCE_S:
                raise TourError(f"waited too long for {what}")
            if self.window.banner.text.objectName() == "problem" and self.window.banner.isVisible():
                raise TourError(self.window.banner.text.text())

    def _on_progress(self, *_job_and_step: object) -> None:
        self._moved = time.monotonic()

    def wait_until_saved(self, what: str) -> None:
        """Wait until the panel says that the region in hand is saved."""
        self.wait(lambda: self.window.annotation_panel.saved.text() == tr("Saved"), f"{what} to be saved")

    def settle(self) -> None:
        """Wait until the viewer is sharp and everything is laid out."""
        self.wait(lambda: not any(pane.opener.busy for pane in self.window.split.panes()), "the slide to open")
        self.window.split.wait_until_loaded()
        for _turn in range(5):
            QCoreApplication.processEvents()

    def picture(self, name: str, what: str, *, of: QWidget | None = None) -> None:
        """Keep the window, or another one, as it is now."""
        QCoreApplication.processEvents()
        file = f"{len(self.steps) + 1:02d}-{name}.png"
        shown = of or self.window
        shown.grab().save(str(self.out / file))
        now = time.monotonic()
        self.steps.append(Step(file, what, round(now - self._last, 1), _kinds_shown(shown)))
        self._last = now

    def write(self) -> None:
        """Keep what the tour saw."""
        content = {"steps": [asdict(step) for step in self.steps], "figures": self.figures}
        write_beside(self.out / TOUR, json.dumps(content, indent=2) + "\n")


def free(folder: Path) -> Path:
    """A folder of this name, or with a number behind it, that is not there yet."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([folder], numbered) if not os.path.lexists(each))


def _kinds_shown(window: QWidget) -> tuple[str, ...]:
    """Names of the classes of the widgets of a window that can be seen now."""
    return tuple(sorted({type(widget).__name__ for widget in window.findChildren(QWidget) if widget.isVisible()}))
