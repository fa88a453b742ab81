"""The open project and what is being done in it. Widgets tell it what the user wants; it lets workflows do it."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from histoloop.annotations.records import AnnotationStatus, Mask, Patch
from histoloop.errors import HistoLoopError
from histoloop.gui.work import tasks
from histoloop.gui.work.background import LatestWorker
from histoloop.gui.work.jobs import Job, JobRunner
from histoloop.language import tr, tr_plural
from histoloop.store.project import Project
from histoloop.store.records import AnnotationRecord, QueryRecord, SlideRecord
from histoloop.workflows import annotate, decisions
from histoloop.workflows.add_model import add_model
from histoloop.workflows.contents import rounds
from histoloop.workflows.contents.candidates import REGION_MAP_PX
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.projects import create_project, opened_project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from histoloop.geometry import Region
    from histoloop.workflows.contents.rounds import Candidate


@dataclass(frozen=True, slots=True, eq=False)
class ActiveAnnotation:
    """A region that is being painted: its draft, the mask to go on from, and the model's mask it began with."""

    record: AnnotationRecord
    mask: Mask
    predicted: Mask


class Session(QObject):
    """One project at a time.

    Reads are quick and happen here; whatever writes masks or takes longer goes through a worker thread, in order, and
    long work through the jobs' child process. Whatever is refused or fails is told by `problem` with advice.
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
        self.jobs.finished.connect(self._on_job_finished)
        self.jobs.failed.connect(lambda _job, message, advice: self.problem.emit(message, advice))
        self.device = "auto"
        self.person = ""
        self.predict_added = True
        self.how = HowToLearn()
        self.region_map_px = REGION_MAP_PX
        self.random_share = 0.0
        self._project: Project | None = None
        self._active: ActiveAnnotation | None = None
        self._writer = LatestWorker(self)
        self._writer.done.connect(self._on_written)
        self._writer.failed.connect(self._on_write_failed)
        self._number = itertools.count()
        self._first_write = 0  # of the project that is open
        self._unsaved = 0

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
        if self._project is not None:
            self.jobs.cancel()
            self._writer.wait()
            self._first_write = next(self._number)
            self._project.close()
            self._project = None
            self.project_changed.emit()

    def make_demo(self, folder: Path, *, seed: int = 0) -> None:
        """Make the demo project, then open it and predict its slides."""
        job = Job("demo", tr("Making the demo project"), tasks.make_demo, {"folder": folder, "seed": seed})
        self.jobs.submit(job)

    def shut_down(self) -> None:
        """Finish what is being written, end jobs, close the project."""
        self._writer.finish()
        self.jobs.shut_down()
        if self._project is not None:
            self._project.close()
            self._project = None

    def _open(self, opening: Callable[[], Project]) -> bool:
        try:
            project = opening()
        except HistoLoopError as error:
            self.problem.emit(error.message, error.advice)
            return False
        self.close_project()
        self._project = project
        self.project_changed.emit()
        return True

    def remember(self, key: str, value: object) -> None:
        """Keep something small (a JSON value) with the project for the next time it is opened."""
        self._write("remember", functools.partial(_set, key, value))

    # --- slides -----------------------------------------------------------------------------------------------------

    def slides(self) -> list[SlideRecord]:
        """The slides of the project."""
        return [] if self._project is None else self._project.slides()

    def add_slides(self, paths: Sequence[Path]) -> None:
        """Bring slides and folders into the project."""
        self._submit("add slides", tr("Adding slides"), tasks.add_slides, paths=list(paths))

    def predict(self, slide_ids: Sequence[int] | None = None, *, model_id: int | None = None) -> None:
        """Predict slides (None: all) that are not yet, with a model (None: the current one)."""
        wanted = None if slide_ids is None else list(slide_ids)
        self._submit(
            "predict", tr("Predicting"), tasks.predict, slide_ids=wanted, device=self.device, model_id=model_id
        )

    def will_predict(self, slide_id: int, model_id: int) -> bool:
        """Whether a job that runs or waits predicts a slide with a model."""
        current = None if self._project is None else self._project.current_model().id
        jobs = [job for job in self.jobs.unfinished if job.kind == "predict"]
        return any(
            (job.arguments["model_id"] or current) == model_id
            and (job.arguments["slide_ids"] is None or slide_id in job.arguments["slide_ids"])
            for job in jobs
        )

    def set_mpp(self, slide_ids: Sequence[int], mpp: float) -> None:
        """Say the resolution of slides; their maps were made at another one and are made again."""
        if self._do_each(slide_ids, lambda project, slide_id: project.set_mpp(slide_id, mpp)):
            self.slides_changed.emit()
            self.maps_changed.emit()
            self.predict(slide_ids)

    def set_slide_labels(self, labels: Mapping[int, str | None]) -> None:
        """Say what slides (by id) are as a whole, as the person who sits here; None takes it back."""
        if self._do_each(
            list(labels),
            lambda project, slide_id: project.set_slide_label(slide_id, labels[slide_id], person=self.person),
        ):
            self.slides_changed.emit()

    def remove_slides(self, slide_ids: Sequence[int]) -> None:
        """Take slides out of the project; their files stay."""
        if self._do_each(slide_ids, lambda project, slide_id: project.remove_slide(slide_id)):
            self.slides_changed.emit()
            self.queries_changed.emit()

    def find_moved(self, folder: Path) -> None:
        """Look for missing slides under a folder."""
        if self._project is None:
            return
        missing = [slide for slide in self.slides() if not slide.found]
        found: list[SlideRecord] = []
        if self._do(lambda project: found.extend(project.find_moved(folder))):
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
        return [] if self._project is None else self._project.queries()

    def ask(self, *, strategy: str, count: int) -> None:
        """Choose the regions to ask about, as large and with as many random ones among them as was chosen."""
        self._submit(
            "ask",
            tr("Choosing regions"),
            tasks.ask,
            strategy=strategy,
            count=count,
            seed=0,
            region_map_px=self.region_map_px,
            random_share=self.random_share,
            device=self.device,
        )

    def retrain(self, *, epochs: int | None = None) -> None:
        """Retrain on what people said, in the chosen way; `epochs` other than the recipe's."""
        self._submit(
            "retrain",
            tr("Retraining"),
            tasks.retrain,
            device=self.device,
            seed=0,
            epochs=epochs,
            how=self.how,
        )

    def candidate(self) -> Candidate | None:
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
        """Bring a model into the project, to draw masks with; told by `model_added`."""
        self._write("model", functools.partial(_add_model, source))

    def export(self, out: Path) -> None:
        """Write masks, polygons and areas."""
        self._submit("export", tr("Exporting"), tasks.export, out=out)

    # --- annotation -------------------------------------------------------------------------------------------------

    @property
    def active(self) -> ActiveAnnotation | None:
        """What is being painted."""
        return self._active

    def begin_query(self, query_id: int) -> None:
        """Start or resume the annotation of a query's region."""
        if self._project is not None:
            query = self._project.query(query_id)
            self.begin_region(query.slide_id, query.region, query_id)

    def begin_region(self, slide_id: int, region: Region, query_id: int | None = None) -> None:
        """Start or resume the annotation of a region; told by `annotation_started`."""
        self._write("begin", functools.partial(_begin, slide_id, region, query_id, self.person))

    def paint(self, patch: Patch) -> None:
        """Journal a change; `saved(True)` is told when everything painted so far is on disk."""
        if self._active is None:
            return
        self._unsaved += 1
        self.saved.emit(False)
        self._write("patch", functools.partial(_append, self._active.record.id, patch))

    def assess(self, label: str | None, size: float | None) -> None:
        """Journal what the user says of the region as a whole; told as saved like a stroke."""
        if self._active is None:
            return
        self._unsaved += 1
        self.saved.emit(False)
        self._write("patch", functools.partial(_assess, self._active.record.id, label, size, self.person))

    def finish(self, *, with_mask: bool = True) -> None:
        """Call the region done, with what was said of it and, unless told otherwise, its mask."""
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
            self._write("end", functools.partial(_finish, self._active.record.id, status, with_mask))

    # --- how ----------------------------------------------------------------------------------------------------------

    def _submit(self, kind: str, title: str, task: Callable[..., Any], **arguments: object) -> None:
        if self._project is None:
            self.problem.emit(tr("No project is open."), tr("Make or open a project first."))
            return
        self.jobs.submit(Job(kind, title, task, {"folder": self._project.folder, **arguments}))

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

    def _write(self, kind: str, change: Callable[[Project], object]) -> None:
        if self._project is not None:
            work = functools.partial(_in_project, self._project.folder, change)
            self._writer.request(f"{kind} {next(self._number)}", work)

    def _on_written(self, topic: str, result: object) -> None:
        if int(topic.rpartition(" ")[2]) < self._first_write:
            return  # of a project that was closed meanwhile
        if topic.startswith("begin") and isinstance(result, ActiveAnnotation):
            self._active = result
            self._unsaved = 0
            self.annotation_started.emit(result)
            self.saved.emit(True)
        elif topic.startswith("patch"):
            self._unsaved -= 1
            if self._unsaved == 0:
                self.saved.emit(True)
        elif topic.startswith("model") and isinstance(result, int):
            self.models_changed.emit()
            self.model_added.emit(result)
        elif topic.startswith("end"):
            self._active = None
            self.queries_changed.emit()
            self.annotation_ended.emit(result)

    def _on_write_failed(self, topic: str, message: str) -> None:
        if topic.startswith("patch"):
            message = " ".join((tr("What you painted or said could not be saved."), message))
        self.problem.emit(message, "")

    def _on_job_finished(self, job: Job, result: Any) -> None:
        if job.kind == "demo":
            if self.open_project(result):
                self.predict()
        elif self._project is None or job.arguments.get("folder") != self._project.folder:
            return  # the project was closed meanwhile
        elif job.kind == "add slides":
            self._after_adding(result)
        elif job.kind == "predict":
            self.slides_changed.emit()
            self.maps_changed.emit()
            count = len(result.failed)
            what = tr_plural("{count} slide was not predicted.", "{count} slides were not predicted.", count)
            self._tell_failures(what, result.failed)
        elif job.kind == "ask":
            self.queries_changed.emit()
        elif job.kind == "retrain":
            self.models_changed.emit()
            self.maps_changed.emit()
        elif job.kind == "export":
            out, files, count = job.arguments["out"], len(result.files), len(result.failed)
            self.notice.emit(
                tr_plural("{count} file written to {folder}.", "{count} files written to {folder}.", files, folder=out)
            )
            what = tr_plural("{count} slide was not exported.", "{count} slides were not exported.", count)
            self._tell_failures(what, result.failed)

    def _after_adding(self, report: Any) -> None:
        self.slides_changed.emit()
        count = len(report.failed)
        what = tr_plural("{count} slide was not added.", "{count} slides were not added.", count)
        self._tell_failures(what, [(path.name, reason) for path, reason in report.failed])
        if not report.added and not report.failed:
            self.notice.emit(
                tr("These slides are in the project already.") if report.known else tr("No slide was found there.")
            )
        if report.added and self.predict_added:
            self.predict(report.added)

    def _tell_failures(self, what: str, failed: Sequence[tuple[str, str]]) -> None:
        if failed:
            self.problem.emit(what, "\n".join(f"\N{BULLET} {_failure(name, reason)}" for name, reason in failed))


def _failure(name: str, reason: str) -> str:
    return reason if name in reason else tr("{slide}: {reason}", slide=name, reason=reason)


def _on_slide(slide_id: int, change: Callable[[Project, int], object], project: Project) -> None:
    change(project, slide_id)


def _in_project(folder: Path, change: Callable[[Project], object]) -> object:
    with Project.open(folder) as project:
        return change(project)


def _begin(slide_id: int, region: Region, query_id: int | None, person: str, project: Project) -> ActiveAnnotation:
    record = annotate.begin(project, slide_id=slide_id, region=region, query_id=query_id, person=person)
    predicted, _model = annotate.starting_mask(project, slide_id, region)
    return ActiveAnnotation(record, project.load_mask(record.id)[0], predicted)


def _add_model(source: str | Path, project: Project) -> int:
    return add_model(project, source).id


def _set(key: str, value: object, project: Project) -> None:
    project.set_setting(key, value)


def _append(annotation_id: int, patch: Patch, project: Project) -> None:
    project.append_patch(annotation_id, patch)


def _assess(annotation_id: int, label: str | None, size: float | None, person: str, project: Project) -> None:
    project.assess_annotation(annotation_id, label=label, size=size, person=person)


def _finish(annotation_id: int, status: AnnotationStatus, with_mask: bool, project: Project) -> AnnotationRecord:
    if status is AnnotationStatus.DONE:
        return annotate.finish(project, annotation_id, with_mask=with_mask)
    return project.finish_annotation(annotation_id, status)
