"""The open project and what is being done in it. Widgets ask it for what the user wants; it lets workflows do it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, Signal

from histoloop.annotations.records import AnnotationStatus, Mask, Patch
from histoloop.errors import HistoLoopError
from histoloop.gui.work import tasks
from histoloop.gui.work.background import Worker
from histoloop.gui.work.failure import Failure, ignore
from histoloop.gui.work.jobs import Job, JobRunner, Place
from histoloop.gui.work.writing import WrittenProject
from histoloop.language import tr, tr_plural
from histoloop.store.records import AnnotationRecord, QueryRecord, SlideRecord
from histoloop.workflows import annotate, decisions
from histoloop.workflows.add_model import add_model
from histoloop.workflows.contents import rounds
from histoloop.workflows.contents.candidate_regions import REGION_MAP_PX
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.projects import create_project, opened_project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from histoloop.geometry import Region
    from histoloop.store.project import Project
    from histoloop.workflows.contents.rounds import CandidateModel
    from histoloop.workflows.reports import AskReport, ExportReport, ImportReport, PredictReport

Result = TypeVar("Result")

MOST_NAMED = 3
"""Files that a notice names, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class ActiveAnnotation:
    """A region that is being painted: its draft, the mask to go on from, and the model's mask it began with."""

    record: AnnotationRecord
    mask: Mask
    predicted: Mask


@dataclass(frozen=True, slots=True, eq=False)
class _Prediction:
    """A job that predicts slides (None: all) with a model (None: the current one)."""

    job: Job
    slide_ids: frozenset[int] | None
    model_id: int | None


class Session(QObject):
    """One project at a time.

    Reads are quick and happen here; whatever writes masks or takes longer goes through a worker thread, in order, and
    long work through the jobs' child process. What of it concerns a project that was closed meanwhile is dropped.
    Whatever is refused or fails is emitted by `problem` with advice.
    """

    project_changed = Signal()
    slides_changed = Signal()
    maps_changed = Signal()
    queries_changed = Signal()
    models_changed = Signal()
    model_added = Signal(int)
    annotation_started = Signal(object)
    annotation_ended = Signal(object)
    saved = Signal(bool)
    problem = Signal(str, str)
    notice = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.jobs = JobRunner(self)
        self.device = "auto"
        self.person = ""
        self.predict_added = True
        self.how = HowToLearn()
        self.region_map_px = REGION_MAP_PX
        self.random_share = 0.0
        self._project: Project | None = None
        self._written: WrittenProject | None = None  # the same project, for the writer's thread
        self._active: ActiveAnnotation | None = None
        self._writer = Worker(self)
        self._unsaved = 0
        self._predictions: list[_Prediction] = []

    # --- project ----------------------------------------------------------------------------------------------------

    @property
    def project(self) -> Project | None:
        """The open project."""
        return self._project

    def create_project(self, folder: Path, *, name: str, model: str) -> bool:
        """Make and open a project; whether that was possible."""
        return self._open(lambda: create_project(folder, name=name, model=model))

    def open_project(self, folder: Path) -> bool:
        """Open a project; whether that was possible. The one before stays open when not."""
        return self._open(lambda: opened_project(folder))

    def close_project(self) -> None:
        """Close the project once all is written that was to be; jobs on it are cancelled."""
        self._active = None
        if self._project is not None and self._written is not None:
            self.jobs.cancel()
            self._writer.request(self._written.close)
            self._writer.wait()
            self._project.close()
            self._project = self._written = None
            self.project_changed.emit()

    def make_demo(self, folder: Path, *, seed: int = 0) -> None:
        """Make the demo project, then open it and predict its slides."""
        self.jobs.submit(
            Job(
                tr("Making the demo project"),
                tasks.make_demo,
                {"folder": folder, "seed": seed},
                on_done=self._open_and_predict,
                on_failed=self._show_failure,
            )
        )

    def shut_down(self) -> None:
        """Finish what is being written, end jobs, close the project."""
        if self._written is not None:
            self._writer.request(self._written.close)
        self._writer.finish()
        self.jobs.shut_down()
        if self._project is not None:
            self._project.close()
            self._project = self._written = None

    def _open_and_predict(self, folder: Path) -> None:
        if self.open_project(folder):
            self.predict()

    def _open(self, opening: Callable[[], Project]) -> bool:
        try:
            project = opening()
        except HistoLoopError as error:
            self.problem.emit(error.message, error.advice)
            return False
        self.close_project()
        self._project, self._written = project, WrittenProject(project.folder)
        self.project_changed.emit()
        return True

    def remember(self, key: str, value: object) -> None:
        """Keep something small (a JSON value) with the project for the next time it is opened."""
        self._write(functools.partial(_set, key, value))

    # --- slides -----------------------------------------------------------------------------------------------------

    def slides(self) -> list[SlideRecord]:
        """The slides of the project."""
        return [] if self._project is None else self._project.slides.all()

    def add_slides(self, paths: Sequence[Path]) -> None:
        """Bring slides and folders into the project."""
        self._submit(tr("Adding slides"), tasks.add_slides, {"paths": list(paths)}, on_done=self._on_added)

    def predict(self, slide_ids: Sequence[int] | None = None, *, model_id: int | None = None) -> None:
        """Predict slides (None: all) that are not yet, with a model (None: the current one)."""
        wanted = None if slide_ids is None else list(slide_ids)
        job = self._job(
            tr("Predicting"),
            tasks.predict,
            {"slide_ids": wanted, "device": self.device, "model_id": model_id},
            on_done=self._on_predicted,
        )
        if job is not None:
            waiting = [prediction for prediction in self._predictions if prediction.job in self.jobs.unfinished]
            asked = _Prediction(job, None if wanted is None else frozenset(wanted), model_id)
            self._predictions = [*waiting, asked]
            self.jobs.submit(job)

    def will_predict(self, slide_id: int, model_id: int) -> bool:
        """Whether a job that runs or waits predicts a slide with a model."""
        current = None if self._project is None else self._project.models.current().id
        unfinished = self.jobs.unfinished
        return any(
            prediction.job in unfinished
            and (prediction.model_id or current) == model_id
            and (prediction.slide_ids is None or slide_id in prediction.slide_ids)
            for prediction in self._predictions
        )

    def set_mpp(self, slide_ids: Sequence[int], mpp: float) -> None:
        """Say the resolution of slides; their maps were made at another one and are made again."""
        if self._do_each(slide_ids, lambda project, slide_id: project.slides.set_mpp(slide_id, mpp)):
            self.slides_changed.emit()
            self.maps_changed.emit()
            self.predict(slide_ids)

    def set_slide_labels(self, labels: Mapping[int, str | None]) -> None:
        """Say what slides (by id) are as a whole, as the person who sits here; None takes it back."""
        if self._do_each(
            list(labels),
            lambda project, slide_id: project.slides.set_label(slide_id, labels[slide_id], person=self.person),
        ):
            self.slides_changed.emit()

    def remove_slides(self, slide_ids: Sequence[int]) -> None:
        """Take slides out of the project; their files stay."""
        if self._do_each(slide_ids, lambda project, slide_id: project.slides.remove(slide_id)):
            self.slides_changed.emit()
            self.queries_changed.emit()

    def find_moved(self, folder: Path) -> None:
        """Look for missing slides under a folder."""
        if self._project is None:
            return
        missing = self._project.slides.missing()
        found: list[SlideRecord] = []
        if self._do(lambda project: found.extend(project.slides.find_moved(folder))):
            self.slides_changed.emit()
            self.notice.emit(
                tr_plural(
                    "{found} of {count} missing slide found.",
                    "{found} of {count} missing slides found.",
                    len(missing),
                    found=len(found),
                )
            )

    # --- the loop ---------------------------------------------------------------------------------------------------

    def queries(self) -> list[QueryRecord]:
        """The queue: open queries, the one that helps most first."""
        return [] if self._project is None else self._project.queries.open()

    def ask(self, *, strategy: str, count: int) -> None:
        """Choose the regions to ask about, as large and with as many random ones among them as was chosen."""
        self._submit(
            tr("Choosing regions"),
            tasks.ask,
            {
                "strategy": strategy,
                "count": count,
                "seed": 0,
                "region_map_px": self.region_map_px,
                "random_share": self.random_share,
                "device": self.device,
            },
            on_done=self._on_asked,
            place=Place.QUESTIONS,
        )

    def retrain(self, *, epochs: int | None = None) -> None:
        """Retrain on the annotations, in the chosen way; `epochs` other than the recipe's."""
        self._submit(
            tr("Retraining"),
            tasks.retrain,
            {"device": self.device, "seed": 0, "epochs": epochs, "how": self.how},
            on_done=self._on_retrained,
            place=Place.TRAINING,
        )

    def candidate(self) -> CandidateModel | None:
        """The retrained model that waits for a decision."""
        return None if self._project is None else rounds.open_candidate(self._project)

    def keep(self) -> None:
        """Let the candidate replace the current model."""
        candidate = self.candidate()
        if candidate is not None and self._do(lambda project: decisions.keep(project, candidate.model_id)):
            self.models_changed.emit()
            self.slides_changed.emit()
            self.maps_changed.emit()

    def roll_back(self) -> None:
        """Set the candidate aside."""
        candidate = self.candidate()
        if candidate is not None and self._do(lambda project: decisions.roll_back(project, candidate.model_id)):
            self.models_changed.emit()
            self.maps_changed.emit()

    def add_model(self, source: str | Path) -> None:
        """Bring a model into the project, to make masks with; `model_added` is emitted then."""
        self._write(functools.partial(_add_model, source), on_done=self._on_model_added)

    def export(self, out: Path) -> None:
        """Write masks, polygons and areas."""
        self._submit(tr("Exporting"), tasks.export, {"out": out}, on_done=functools.partial(self._on_exported, out))

    # --- annotation -------------------------------------------------------------------------------------------------

    @property
    def active(self) -> ActiveAnnotation | None:
        """What is being painted."""
        return self._active

    def begin_query(self, query_id: int) -> None:
        """Start or resume the annotation of a query's region."""
        if self._project is not None:
            query = self._project.queries.get(query_id)
            self.begin_region(query.slide_id, query.region, query_id)

    def begin_region(self, slide_id: int, region: Region, query_id: int | None = None) -> None:
        """Start or resume the annotation of a region; `annotation_started` is emitted then."""
        self._write(functools.partial(_begin, slide_id, region, query_id, self.person), on_done=self._on_begun)

    def paint(self, patch: Patch) -> None:
        """Journal a change; `saved(True)` is emitted when everything painted so far is on disk."""
        if self._active is not None:
            self._journal(functools.partial(_append, self._active.record.id, patch))

    def assess(self, label: str | None, size: float | None) -> None:
        """Journal label and size of the region as a whole; reported as saved like a stroke."""
        if self._active is not None:
            self._journal(functools.partial(_assess, self._active.record.id, label, size, self.person))

    def finish(self, *, with_mask: bool = True) -> None:
        """Call the region done, with its label and size and, unless `with_mask` is off, its mask."""
        self._end_as(AnnotationStatus.DONE, with_mask=with_mask)

    def skip(self) -> None:
        """Leave the region out: it is not asked again."""
        self._end_as(AnnotationStatus.SKIPPED)

    def cannot_tell(self) -> None:
        """Leave the region out as one nobody could answer."""
        self._end_as(AnnotationStatus.CANNOT_TELL)

    def leave(self) -> None:
        """Stop painting; the draft stays and can be resumed."""
        if self._active is not None:
            ended, self._active = self._active, None
            self.annotation_ended.emit(ended.record)

    def skip_query(self, query_id: int) -> None:
        """Take a query off the queue without opening it."""
        if self._do(lambda project: annotate.skip(project, query_id)):
            self.queries_changed.emit()

    def cannot_tell_query(self, query_id: int) -> None:
        """Take a query off the queue, without opening it, as one nobody could answer."""
        if self._do(lambda project: annotate.cannot_tell(project, query_id)):
            self.queries_changed.emit()

    def _end_as(self, status: AnnotationStatus, *, with_mask: bool = True) -> None:
        if self._active is not None:
            change = functools.partial(_finish, self._active.record.id, status, with_mask)
            self._write(change, on_done=self._on_finished)

    def _journal(self, change: Callable[[Project], None]) -> None:
        self._unsaved += 1
        self.saved.emit(False)
        self._write(change, on_done=self._on_journaled, on_failed=self._show_not_saved)

    def _on_begun(self, active: ActiveAnnotation) -> None:
        self._active = active
        self._unsaved = 0
        self.annotation_started.emit(active)
        self.saved.emit(True)

    def _on_journaled(self, _nothing: None) -> None:
        self._unsaved -= 1
        if self._unsaved == 0:
            self.saved.emit(True)

    def _on_finished(self, record: AnnotationRecord) -> None:
        self._active = None
        self.queries_changed.emit()
        self.annotation_ended.emit(record)

    # --- what comes of jobs and writes --------------------------------------------------------------------------------

    def _on_added(self, report: ImportReport) -> None:
        self.slides_changed.emit()
        count = len(report.failed)
        what = tr_plural("{count} slide was not added.", "{count} slides were not added.", count)
        self._show_failures(what, [(path.name, reason) for path, reason in report.failed])
        if report.recognised:
            first = " ".join(f"{path.name}: {what}." for path, what in report.recognised[:MOST_NAMED])
            self.notice.emit(f"{first} …" if len(report.recognised) > MOST_NAMED else first)
        elif not report.added and not report.failed:
            self.notice.emit(
                tr("These slides are in the project already.") if report.known else tr("No slide was found there.")
            )
        if report.added and self.predict_added:
            self.predict(report.added)

    def _on_predicted(self, report: PredictReport) -> None:
        self.slides_changed.emit()
        self.maps_changed.emit()
        count = len(report.failed)
        what = tr_plural("{count} slide was not predicted.", "{count} slides were not predicted.", count)
        self._show_failures(what, report.failed)

    def _on_asked(self, report: AskReport) -> None:
        self.queries_changed.emit()
        count = len(report.failed)
        what = tr_plural("{count} slide was not asked about.", "{count} slides were not asked about.", count)
        self._show_failures(what, report.failed)

    def _on_retrained(self, _candidate: CandidateModel) -> None:
        self.models_changed.emit()
        self.maps_changed.emit()

    def _on_model_added(self, model_id: int) -> None:
        self.models_changed.emit()
        self.model_added.emit(model_id)

    def _on_exported(self, out: Path, report: ExportReport) -> None:
        files, count = len(report.files), len(report.failed)
        self.notice.emit(
            tr_plural("{count} file written to {folder}.", "{count} files written to {folder}.", files, folder=out)
        )
        what = tr_plural("{count} slide was not exported.", "{count} slides were not exported.", count)
        self._show_failures(what, report.failed)

    def _show_failures(self, what: str, failed: Sequence[tuple[str, str]]) -> None:
        if failed:
            self.problem.emit(what, "\n".join(f"\N{BULLET} {_failure(name, reason)}" for name, reason in failed))

    def _show_failure(self, failure: Failure) -> None:
        self.problem.emit(failure.message, failure.advice)

    def _show_not_written(self, failure: Failure) -> None:
        self.problem.emit(str(failure), "")

    def _show_not_saved(self, failure: Failure) -> None:
        self.problem.emit(" ".join((tr("What you painted or said could not be saved."), str(failure))), "")

    # --- how ----------------------------------------------------------------------------------------------------------

    def _submit(
        self,
        title: str,
        task: Callable[..., Any],
        arguments: Mapping[str, object],
        *,
        on_done: Callable[[Any], object],
        place: Place = Place.NOWHERE,
    ) -> None:
        """Run a task on the project as a job."""
        if (job := self._job(title, task, arguments, on_done=on_done, place=place)) is not None:
            self.jobs.submit(job)

    def _job(
        self,
        title: str,
        task: Callable[..., Any],
        arguments: Mapping[str, object],
        *,
        on_done: Callable[[Any], object],
        place: Place = Place.NOWHERE,
    ) -> Job | None:
        """A job on the project, its result dropped unless the same project is open then; None while none is open."""
        if self._project is None:
            self.problem.emit(tr("No project is open."), tr("Make or open a project first."))
            return None
        folder = self._project.folder

        def done(result: object) -> None:
            if self._project is not None and self._project.folder == folder:
                on_done(result)

        return Job(title, task, {"folder": folder, **arguments}, done, self._show_failure, place)

    def _write(
        self,
        change: Callable[[Project], Result],
        *,
        on_done: Callable[[Result], object] = ignore,
        on_failed: Callable[[Failure], object] | None = None,
    ) -> None:
        """A change by the writer's thread, after those before; its result is dropped when the project is closed."""
        written = self._written
        if written is None:
            return

        def done(result: Result) -> None:
            if self._written is written:
                on_done(result)

        work = functools.partial(written.change, change)
        self._writer.request(work, on_done=done, on_failed=on_failed or self._show_not_written)

    def _do(self, change: Callable[[Project], object]) -> bool:
        """A small change of the project, at once."""
        if self._project is None:
            return False
        try:
            change(self._project)
        except HistoLoopError as error:
            self.problem.emit(error.message, error.advice)
            return False
        return True

    def _do_each(self, slide_ids: Sequence[int], change: Callable[[Project, int], object]) -> bool:
        """A small change of several slides."""
        return all(self._do(functools.partial(_on_slide, slide_id, change)) for slide_id in slide_ids)


def _failure(name: str, reason: str) -> str:
    return reason if name in reason else tr("{slide}: {reason}", slide=name, reason=reason)


def _on_slide(slide_id: int, change: Callable[[Project, int], object], project: Project) -> None:
    change(project, slide_id)


def _begin(slide_id: int, region: Region, query_id: int | None, person: str, project: Project) -> ActiveAnnotation:
    record = annotate.begin(project, slide_id=slide_id, region=region, query_id=query_id, person=person)
    predicted, _model = annotate.starting_mask(project, slide_id, region)
    return ActiveAnnotation(record, project.annotations.load_mask(record.id)[0], predicted)


def _add_model(source: str | Path, project: Project) -> int:
    return add_model(project, source).id


def _set(key: str, value: object, project: Project) -> None:
    project.settings.set(key, value)


def _append(annotation_id: int, patch: Patch, project: Project) -> None:
    project.drafts.append_patch(annotation_id, patch)


def _assess(annotation_id: int, label: str | None, size: float | None, person: str, project: Project) -> None:
    project.drafts.assess(annotation_id, label=label, size=size, person=person)


def _finish(annotation_id: int, status: AnnotationStatus, with_mask: bool, project: Project) -> AnnotationRecord:
    if status is AnnotationStatus.DONE:
        return annotate.finish(project, annotation_id, with_mask=with_mask)
    return project.drafts.finish(annotation_id, status)
