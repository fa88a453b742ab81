"""What runs in the background, as it is seen: in the bar at the bottom, and in the tab whose work it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.work.jobs import Outcome, Place
from histoloop.progress import Stage

if TYPE_CHECKING:
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.panels.job_bar import JobBar
    from histoloop.gui.panels.queue_panel import QueuePanel
    from histoloop.gui.panels.training_panel import TrainingPanel
    from histoloop.gui.window.sides.work_tabs import WorkTabs
    from histoloop.gui.work.jobs import Job, JobRunner
    from histoloop.progress import Progress


STAGES = "stages"
"""The setting that keeps how long the stages of jobs took."""
MOST_KINDS = 20


class JobControl(QObject):
    """Wires the jobs to the bar and the tabs. `changed` is emitted when something else can be done now.

    `trained` is emitted when a training has ended, in whatever way.
    """

    changed = Signal()
    trained = Signal()

    def __init__(
        self,
        *,
        jobs: JobRunner,
        bar: JobBar,
        tabs: WorkTabs,
        queue: QueuePanel,
        training: TrainingPanel,
        settings: Settings,
    ) -> None:
        super().__init__(tabs)
        self._jobs, self._bar, self._tabs, self._queue, self._training = jobs, bar, tabs, queue, training
        self._settings = settings

    def connect_all(self) -> None:
        """Begin to listen."""
        self._jobs.started.connect(self._on_started)
        self._jobs.progressed.connect(self._on_progressed)
        self._jobs.busy_changed.connect(self._on_busy_changed)
        self._jobs.ended.connect(self._on_ended)
        self._bar.stop_requested.connect(self.cancel)

    def cancel(self) -> None:
        """Stop what runs in the background."""
        self._bar.stopping()
        self._jobs.cancel()

    def _on_started(self, job: Job) -> None:
        self._bar.begin(job.title, earlier=self._earlier_stages(job), in_parts=job.place is not Place.NOWHERE)
        if job.place is Place.TRAINING:
            self._training.begin()
            self._tabs.bring_up(self._tabs.training)
        self.changed.emit()

    def _on_progressed(self, job: Job, step: Progress) -> None:
        self._bar.show_step(step)
        if job.place is Place.TRAINING and step.figures:
            self._training.add_figures(step.figures)

    def _earlier_stages(self, job: Job) -> list[Stage]:
        """Those of the last job of this kind on this machine that was done."""
        try:
            kept = self._kept_stages().get(_kind(job), ())
            return [Stage(str(name), *(float(figure) for figure in figures)) for name, *figures in kept]
        except (TypeError, ValueError):
            return []

    def _kept_stages(self) -> dict[str, list[list[str | float]]]:
        try:
            kept = json.loads(self._settings.text(STAGES) or "{}")
        except ValueError:
            return {}
        return kept if isinstance(kept, dict) else {}

    def _keep_stages(self, job: Job) -> None:
        kept = self._kept_stages()
        kept.pop(_kind(job), None)
        kept[_kind(job)] = [[one.name, round(one.seconds, 2), round(one.amount, 2)] for one in self._bar.stages()]
        self._settings.set(STAGES, json.dumps(dict(list(kept.items())[-MOST_KINDS:])))

    def _on_ended(self, job: Job, outcome: Outcome) -> None:
        if outcome is Outcome.DONE and job.place is not Place.NOWHERE:
            self._keep_stages(job)
        if job.place is Place.TRAINING:
            self._training.end(stopped=outcome is not Outcome.DONE)
            self.trained.emit()
            self._tabs.bring_up(self._tabs.training)
        elif job.place is Place.QUESTIONS and (shown := self._queue.shown_ids()):
            self._tabs.bring_up(self._tabs.questions)
            self._queue.select(shown[0])

    def _on_busy_changed(self, busy: bool) -> None:
        if not busy:
            self._bar.end()
        self.changed.emit()


def _kind(job: Job) -> str:
    """What makes jobs take the same stages: the task, how it is done, and how many questions are wanted."""
    how = [str(job.arguments[name]) for name in ("how", "strategy", "count", "device") if name in job.arguments]
    return " ".join((job.task.__name__, *how))
