"""Learn while one paints: a child process of its own that stays warm, and the live masks that it sends.

It never waits for anything that the user does, and nothing waits for it: what else runs goes first.
"""

from __future__ import annotations

import logging
import time
from enum import Enum, auto
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from histoloop.gui.work import tasks
from histoloop.gui.work.jobs import Job, JobRunner, Outcome
from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.live_masks import LiveMap, LiveProgress

if TYPE_CHECKING:
    from histoloop.geometry import Region
    from histoloop.gui.work.failure import Failure
    from histoloop.gui.work.project_desk import ProjectDesk
    from histoloop.progress import Progress
    from histoloop.workflows.contents.live_masks import LiveReport

_log = logging.getLogger(__name__)

SETTLE_MS = 250
"""Several changes within this time are one."""

_MODEL = -1
"""In place of an annotation's id."""

MOST_FAILURES = 3
"""So often in a row the child may fail before it is not tried again."""


class LiveState(Enum):
    """What the live loop does: `WAITING` for something to learn from, `PAUSED` for what else runs."""

    OFF = auto()
    WAITING = auto()
    LEARNING = auto()
    UP_TO_DATE = auto()
    PAUSED = auto()
    FAILED = auto()


class LiveLoop(QObject):
    """Keeps live masks of the slide on the screen up to date with what is painted.

    `told` is emitted with a short sentence about what it does, empty while there is nothing to tell; `state_changed`
    when `state` is another one; `masks_came` with
    the slide whose masks changed; `view_is_new` with it, when all in view is by what was learned last; `there_changed`
    when there are live masks now, or no longer.
    """

    told = Signal(str)
    state_changed = Signal()
    masks_came = Signal(int)
    view_is_new = Signal(int)
    there_changed = Signal()

    def __init__(self, session: ProjectDesk) -> None:
        super().__init__(session)
        self._session = session
        self.jobs = JobRunner(self)
        self.is_on = False
        self.map: LiveMap | None = None
        """The live masks of the slide on the screen."""
        self.state = LiveState.OFF
        self._shown: tuple[int, Region] | None = None  # slide and view
        self._painted: frozenset[tuple[int, str]] = frozenset()
        self._began = 0.0
        self._learning = False
        self._failures = 0
        self._sentence = ""
        self._again = False
        self._asked: tuple[int, Region] | None = None  # the view that the child's work goes by
        self._begin = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._begin.timeout.connect(self._start)
        self.jobs.progressed.connect(self._on_progressed)
        self.jobs.ended.connect(self._on_ended)
        session.project_changed.connect(self.forget)
        session.jobs.busy_changed.connect(self._on_busy)
        for signal in (session.queries_changed, session.slides_changed, session.models_changed):
            signal.connect(self.wake)

    # --- what the window says -----------------------------------------------------------------------------------------

    def switch(self, on: bool) -> None:
        """Learn while one paints, or not; without it there are no live masks."""
        if on != self.is_on:
            self.is_on = on
            self._failures = 0
            if on:
                self._tell_waiting()
                self.wake()
            else:
                self.forget()
                self.jobs.shut_down()
                self._again = self._learning = False

    def look(self, slide_id: int | None, view: Region | None) -> None:
        """What is on the screen now; the masks nearest to it come first."""
        shown = None if slide_id is None or view is None else (slide_id, view)
        if shown == self._shown:
            return
        other_slide = (shown and shown[0]) != (self._shown and self._shown[0])
        self._shown = shown
        if other_slide:
            self._drop_masks()
        if not self._learning:  # what is learned is for any view
            self._want()

    def wake(self) -> None:
        """Something was finished, reopened, deleted or decided: look whether that changes what is learned."""
        painted = self._now_painted()
        if _models_in(painted) != _models_in(self._painted):
            self._drop_masks()
        if painted != self._painted:
            self._painted = painted
            self._want()

    def prepare(self) -> None:
        """A region is being painted: load the model, and look at what is in view, before it is done."""
        if not self._painted and self.jobs.current is None:
            self._want(anyhow=True)

    def forget(self) -> None:
        """Another project, or none, or another model: there are no live masks."""
        self._begin.stop()
        self.jobs.cancel()
        self._painted = frozenset()
        self._drop_masks()
        self._tell_waiting()
        self.wake()

    def shut_down(self) -> None:
        """End the child process."""
        self._begin.stop()
        self.jobs.shut_down()

    # --- the child's work ---------------------------------------------------------------------------------------------

    def _now_painted(self) -> frozenset[tuple[int, str]]:
        """What there is to learn from, by which model and of which classes: another set is another state."""
        project = self._session.project
        if project is None or not self.is_on:
            return frozenset()
        there = {(record.id, record.updated) for record in project.annotations.with_mask()}
        if not there:
            return frozenset()
        classes = ",".join(project.scheme.mask_names)
        return frozenset(there | {(_MODEL, f"{project.models.current().hash} {classes}")})

    def _want(self, *, anyhow: bool = False) -> None:
        """Let the child begin anew, soon, if it may."""
        self._again = anyhow or bool(self._painted)
        if self._again and self.is_on:
            self._begin.start()
        elif not self._painted:
            self.jobs.cancel()
            self._drop_masks()
            self._tell_waiting()

    def _start(self) -> None:
        project = self._session.project
        if project is None or self._shown is None or self._session.read_only or not self.is_on:
            return
        if self._failures >= MOST_FAILURES:
            return
        if self._session.jobs.current is not None:
            self._tell_paused()
            return
        if self.jobs.current is not None:
            self._again = True
            self.jobs.cancel()  # what waits to begin is begun when it has ended
            return
        self._again = False
        self._begin.stop()
        slide_id, view = self._asked = self._shown
        self._began, self._learning = time.monotonic(), True
        arguments = {
            "folder": project.folder,
            "slide_id": slide_id,
            "view": view,
            "device": getattr(self._session, "device", "auto"),
            "afresh": self.map is None,
        }
        job = Job(tr("Learning while you paint"), tasks.learn_live, arguments, self._on_done, self._on_failed)
        self.jobs.submit(job)
        self._tell(LiveState.LEARNING if self._painted else LiveState.WAITING, tr("Getting ready to train…"))

    def _on_progressed(self, _job: Job, step: Progress) -> None:
        if not isinstance(step, LiveProgress):
            return
        self._learning = step.tile is None and not step.in_view
        if self._shown is None:
            return
        if step.regions and self._learning:
            seconds = round(time.monotonic() - self._began)
            what = tr_plural("Learning from {count} region…", "Learning from {count} regions…", step.regions)
            self._tell(LiveState.LEARNING, tr("{what} {seconds} s", what=what, seconds=seconds))
        if step.grid is not None and self._asked != self._shown:  # what was learned, for what is on the screen now
            self._asked = self._shown
            self._want()
        if step.grid is None or step.grid.slide_id != self._shown[0]:
            return
        if step.tile is not None:
            is_first = self.map is None
            if self.map is None:
                self.map = LiveMap(step.grid)
            self.map.add(step.grid, step.tile)
            if is_first:
                self.there_changed.emit()
            self.masks_came.emit(step.grid.slide_id)
        if step.in_view and self.map is not None:
            self._tell(LiveState.UP_TO_DATE, tr("The masks in view are up to date"))
            self.view_is_new.emit(step.grid.slide_id)

    def _on_done(self, report: LiveReport) -> None:
        self._failures = 0
        if report.trouble:
            self._tell(LiveState.FAILED, tr("A region was not used for training: {reason}", reason=report.trouble))
        elif not report.regions:
            self._drop_masks()
            self._tell_waiting()
        else:
            there = tr_plural(
                "Live masks are up to date: learned from {count} region",
                "Live masks are up to date: learned from {count} regions",
                report.regions,
            )
            self._tell(LiveState.UP_TO_DATE, there)

    def _on_failed(self, failure: Failure) -> None:
        self._failures += 1
        _log.warning("the live loop failed: %s", failure)
        if self._failures < MOST_FAILURES:
            self._tell(LiveState.FAILED, tr("Learning while you paint stopped: {reason}", reason=failure.message))
        else:
            self._tell(LiveState.FAILED, tr("Learning while you paint is off after several failures."))
            self._session.problem.emit(
                tr("Learning while you paint stopped: {reason}", reason=failure.message),
                tr("What you paint is saved, and Retrain uses it. Switching this off and on tries again."),
            )

    def _on_ended(self, _job: Job, outcome: Outcome) -> None:
        self._learning = False
        if outcome is Outcome.FAILED:
            return
        if self._again:
            QTimer.singleShot(0, self._start)
        elif outcome is Outcome.DONE and self._painted and self._asked != self._shown:
            self._want()

    def _on_busy(self, busy: bool) -> None:
        """What the user asked for has the processor to itself."""
        if busy:
            if self.jobs.current is not None:
                self._again = True
                self.jobs.cancel()
                self._tell_paused()
        elif self._painted:
            self._want()

    def _tell(self, state: LiveState, sentence: str) -> None:
        before, self.state = self.state, state
        if sentence != self._sentence:
            self._sentence = sentence
            self.told.emit(sentence)
        if state is not before:
            self.state_changed.emit()

    def _tell_waiting(self) -> None:
        """There is nothing to learn from yet, or nobody is to learn."""
        if not self.is_on:
            self._tell(LiveState.OFF, "")
        elif self._session.project is None or self._session.read_only:
            self._tell(LiveState.WAITING, "")
        elif self._painted:
            sentence = tr(
                "What you have painted so far is held out or ignored: live masks will appear after the next region"
            )
            self._tell(LiveState.WAITING, sentence)
        else:
            self._tell(LiveState.WAITING, tr("Live masks will appear after the first finished region"))

    def _tell_paused(self) -> None:
        self._tell(LiveState.PAUSED, tr("Live masks are paused until the current work is done"))

    def _drop_masks(self) -> None:
        if self.map is not None:
            self.map = None
            self.there_changed.emit()


def _models_in(painted: frozenset[tuple[int, str]]) -> set[str]:
    return {text for number, text in painted if number == _MODEL}
