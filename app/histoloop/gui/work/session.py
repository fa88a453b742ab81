"""The open project and what is being done in it. Widgets ask it for what the user wants; it lets workflows do it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QObject, QTimer

from histoloop.errors import HistoLoopError
from histoloop.gui.work import tasks
from histoloop.gui.work.annotating import Annotating
from histoloop.gui.work.class_changes import ClassChanges
from histoloop.gui.work.importing import Importing
from histoloop.gui.work.jobs import Job, Place
from histoloop.gui.work.live import LiveLoop
from histoloop.gui.work.project_desk import ProjectDesk
from histoloop.gui.work.report import Report, sections
from histoloop.gui.work.slide_models import SlideModels
from histoloop.gui.work.window_lock import BEAT_S, WINDOW, Holder, WindowLock, signature
from histoloop.gui.work.writing import WrittenProject
from histoloop.language import tr, tr_plural
from histoloop.store.project_file import project_folder
from histoloop.workflows import decisions
from histoloop.workflows.add_model import add_model
from histoloop.workflows.contents import rounds
from histoloop.workflows.contents.candidate_regions import REGION_MAP_PX
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.projects import create_project, opened_project
from histoloop.workflows.reports import PredictReport, SlidePredicted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from histoloop.annotations.records import LabelClass, MaskClass
    from histoloop.gui.work.annotating import ActiveAnnotation
    from histoloop.gui.work.failure import Failure
    from histoloop.progress import Progress
    from histoloop.store.cards import Card
    from histoloop.store.encoders import AddedEncoder
    from histoloop.store.project import Project
    from histoloop.store.records import MppFrom, QueryRecord, SlideRecord
    from histoloop.workflows.contents.export_choices import ExportChoices
    from histoloop.workflows.contents.rounds import CandidateModel
    from histoloop.workflows.reports import AskReport, ExportReport

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class _Prediction:
    """A job that predicts slides (None: all) with a model (None: the current one)."""

    job: Job
    slide_ids: frozenset[int] | None
    model_id: int | None


class Session(ProjectDesk):
    """What can be done with the project that is open, or to open another."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.device = "auto"
        self.predict_exactly = False
        self.predict_added = True
        self.how = HowToLearn()
        self.region_map_px = REGION_MAP_PX
        self.random_share = 0.0
        self.on_screen: int | None = None
        """The slide that is shown: what a retraining gave is seen there first."""
        self.annotating = Annotating(self)
        self.live = LiveLoop(self)
        self.classes = ClassChanges(self, annotating=self.annotating)
        self.slide_models = SlideModels(self, device=lambda: self.device, remember=self.remember)
        self._importing = Importing(self, then=self._predict_added)
        self._predictions: list[_Prediction] = []
        self.jobs.progressed.connect(self._on_progressed)
        self._version = 0
        self._lock: WindowLock | None = None  # of the open project, held or not
        self._beat = QTimer(self, interval=BEAT_S * 1000)
        self._beat.timeout.connect(self._renew_lock)

    # --- project ----------------------------------------------------------------------------------------------------

    @property
    def active(self) -> ActiveAnnotation | None:
        """The region that is being annotated."""
        return self.annotating.active

    @property
    def person(self) -> str:
        """Who sits here, by name; empty while it is not known."""
        return self._person

    @person.setter
    def person(self, name: str) -> None:
        if name != self._person:
            if self._person:
                self.annotating.leave()  # what somebody began stays theirs
            self._person = name
            self.annotating.refresh()

    @property
    def is_trained(self) -> bool:
        """Whether the model in use has learned something that it can predict; reads its card."""
        card = self._card()
        return card is None or card.trained

    @property
    def knows_labels(self) -> bool:
        """Whether the model in use says what a slide is as a whole; reads its card."""
        card = self._card()
        return card is None or (card.trained and card.knows_labels and bool(card.scheme.labels))

    def _card(self) -> Card | None:
        """The card of the model in use; None without a project, and where it cannot be read."""
        if self._project is None:
            return None
        try:
            return self._project.models.current_card()
        except HistoLoopError:
            return None

    def create_project(
        self,
        folder: Path,
        *,
        name: str,
        start: str,
        classes: Sequence[MaskClass] | None = None,
        labels: Sequence[LabelClass] | None = None,
        encoder_only: bool = False,
    ) -> bool:
        """Make and open a project, see `workflows.projects.create_project`; whether that was possible."""
        return self._open(
            lambda: create_project(
                folder, name=name, start=start, classes=classes, labels=labels, encoder_only=encoder_only
            )
        )

    def create_with_new_encoder(
        self,
        folder: Path,
        *,
        name: str,
        weights: Path,
        classes: Sequence[MaskClass],
        labels: Sequence[LabelClass] | None,
        then: Callable[[], object] = lambda: None,
    ) -> None:
        """Add a file of weights to the encoders of this machine, then make and open a project that begins with it.

        `then` is called once that is open.
        """

        def make(added: AddedEncoder) -> None:
            if self.create_project(
                folder, name=name, start=added.name, classes=classes, labels=labels, encoder_only=True
            ):
                then()

        self.jobs.submit(
            Job(
                tr("Adding the encoder"),
                tasks.add_encoder,
                {"source": weights},
                on_done=make,
                on_failed=self._show_failure,
            )
        )

    def open_project(self, folder: Path) -> bool:
        """Open a project; whether that was possible. The one before stays open when not."""
        if project_folder(folder) is None:
            return self._open(lambda: opened_project(folder))
        same = self._lock is not None and self._lock.folder == folder.absolute()
        lock = self._lock if same and self._lock is not None else WindowLock(folder.absolute())
        was_held, is_held = lock.is_held, lock.take()
        if self._open(lambda: opened_project(folder, read_only=not is_held), lock):
            return True
        if not was_held:
            lock.release()
        return False

    def open_for_writing(self) -> None:
        """Open a project that is read-only again, to write it; says so where that is still not possible."""
        if self._project is not None and self.read_only:
            self.open_project(self._project.folder)
            if self.read_only:
                self.notice.emit(tr("The project cannot be opened for writing yet."))

    def why_read_only(self) -> str:
        """Why the open project cannot be changed, and what to do; empty where it can."""
        if self._project is None or not self._project.read_only:
            return ""
        if self._lock is None or self._lock.is_held or self._project.is_fixed:
            try:
                self._project.check_writable()
            except HistoLoopError as error:
                return str(error)
        if self._lock is not None and self._lock.is_free():
            return tr("The other window with this project was closed. Here it is still read-only.")
        return " ".join((str(self._holder()), tr("Here it can be viewed and exported, but not changed.")))

    def _holder(self) -> Holder:
        known = Holder.of(None if self._project is None else self._project.settings.get(WINDOW))
        holds = "" if self._lock is None else self._lock.host()
        return known if holds in ("", known.host) else Holder(host=holds)

    def _renew_lock(self) -> None:
        """Keep the lock; a window that lost it, because its machine was asleep, writes no longer."""
        if self._project is not None and self._lock is not None and not self._lock.renew():
            folder = self._project.folder
            self._lock.abandon()
            self._lock = None
            self.open_project(folder)

    def close_project(self) -> None:
        """Close the project once all is written that was to be; jobs on it are cancelled."""
        if not self.annotating.settled(self.close_project):
            return
        self.annotating.begin()
        if self._project is not None and self._written is not None:
            self.jobs.cancel()
            self.insistence.end()
            self._writer.request(self._written.close)
            self._writer.wait()
            self.insistence.begin()
            self._project.close()
            self._project = self._written = None
            self._let_go()
            self.project_changed.emit()

    @property
    def is_making_demo(self) -> bool:
        """Whether the demo project is being made, or will be."""
        return any(job.task is tasks.make_demo for job in self.jobs.unfinished)

    def make_demo(self, folder: Path, *, seed: int = 0) -> None:
        """Make the demo project, then open it and predict its slides."""
        self.jobs.submit(
            Job(
                tr("Creating the demo project"),
                tasks.make_demo,
                {"folder": folder, "seed": seed},
                on_done=self._open_and_predict,
                on_failed=self._show_failure,
            )
        )

    def shut_down(self) -> None:
        """Finish what is being written, end jobs, close the project."""
        self.insistence.end()
        if self._written is not None:
            self._writer.request(self._written.close)
        self._writer.finish()
        self.jobs.shut_down()
        self.live.shut_down()
        if self._project is not None:
            self._project.close()
            self._project = self._written = None
        self._let_go()

    def _let_go(self) -> None:
        self._beat.stop()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _open_and_predict(self, folder: Path) -> None:
        if self.open_project(folder):
            self.predict()

    def _open(self, opening: Callable[[], Project], lock: WindowLock | None = None) -> bool:
        if not self.annotating.settled(functools.partial(self._open, opening, lock)):
            return False
        try:
            project = opening()
        except HistoLoopError as error:
            self.problem.emit(error.message, error.advice)
            return False
        if lock is not None and lock is self._lock:
            self._lock = None  # it is held on
        self.close_project()
        self._project = project
        self._written = WrittenProject(project.folder, read_only=project.read_only)
        self._version = project.data_version()
        self._lock = lock or WindowLock(project.folder)
        if not project.read_only:
            self._lock.take()
            self._beat.start()
            self.remember(WINDOW, signature(self.person))
        self.annotating.refresh()
        self.classes.begin()
        self.project_changed.emit()
        return True

    def refresh_if_changed(self) -> None:
        """Look again at what there is, where another program has changed the project since it was last looked at."""
        if self._project is not None and (version := self._project.data_version()) != self._version:
            self._version = version
            self.classes.refresh()
            self.slides_changed.emit()
            self.queries_changed.emit()
            self.models_changed.emit()

    def remember(self, key: str, value: object) -> None:
        """Keep something small (a JSON value) with the project, if it can be, for the next time it is opened."""
        if not self.read_only:
            self.write(functools.partial(_set, key, value))

    # --- slides -----------------------------------------------------------------------------------------------------

    def still_there(self, slide_ids: Sequence[int]) -> list[int]:
        """Those slides that the project still has; the others are reported as gone."""
        known = {slide.id for slide in self.slides()}
        gone = [slide_id for slide_id in slide_ids if slide_id not in known]
        if gone:
            self.notice.emit(
                tr_plural(
                    "{count} slide is no longer in the project: another program has removed it.",
                    "{count} slides are no longer in the project: another program has removed them.",
                    len(gone),
                )
            )
            self.slides_changed.emit()
            self.queries_changed.emit()
        return [slide_id for slide_id in slide_ids if slide_id in known]

    def add_slides(self, paths: Sequence[Path]) -> None:
        """Bring slides and folders into the project."""
        self._importing.add(paths)

    def predict(
        self,
        slide_ids: Sequence[int] | None = None,
        *,
        model_id: int | None = None,
        crashed: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Predict slides (None: all) that are not yet, with a model (None: the current one).

        `crashed` are slides with reasons that an attempt before had to leave out: they are reported with the rest.
        """
        wanted = None if slide_ids is None else list(slide_ids)
        job = self._job(
            tr("Predicting"),
            tasks.predict,
            {
                "slide_ids": wanted,
                "device": self.device,
                "model_id": model_id,
                "exactly": self.predict_exactly,
            },
            on_done=functools.partial(self._on_predicted, crashed),
            on_failed=functools.partial(self._on_not_predicted, wanted, model_id, crashed),
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

    def set_resolutions(self, resolutions: Mapping[int, tuple[float, MppFrom]]) -> None:
        """Set um per pixel of slides (by id), and where that is from; their maps are made again at it."""
        slide_ids = list(resolutions)

        def set_one(project: Project, slide_id: int) -> None:
            mpp, source = resolutions[slide_id]
            project.slides.set_mpp(slide_id, mpp, mpp_from=source)

        if self._do_each(slide_ids, set_one):
            self.slides_changed.emit()
            self.maps_changed.emit()
            if self.is_trained:
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
        self.submit(
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
        self.submit(
            tr("Retraining"),
            tasks.retrain,
            {"device": self.device, "seed": 0, "epochs": epochs, "how": self.how, "person": self.person},
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
            for prediction in self._predictions:
                if prediction.model_id == candidate.model_id:
                    self.jobs.drop(prediction.job)
            self.models_changed.emit()
            self.maps_changed.emit()

    def use_again(self, model_id: int) -> None:
        """Let a model that was set aside or replaced predict and ask again."""
        if self._do(lambda project: decisions.use_again(project, model_id)):
            self.models_changed.emit()
            self.slides_changed.emit()
            self.maps_changed.emit()

    def add_model(self, source: str | Path) -> None:
        """Bring a model into the project, to make masks with; `model_added` is emitted then."""
        self.write(functools.partial(_add_model, source), on_done=self._on_model_added)

    def export(self, out: Path, choices: ExportChoices | None = None) -> None:
        """Write masks, polygons and areas, all or what is chosen."""
        done = functools.partial(self._on_exported, out)
        self.submit(tr("Exporting"), tasks.export, {"out": out, "choices": choices}, on_done=done, writes=False)

    # --- what comes of jobs and writes --------------------------------------------------------------------------------

    def _predict_added(self, slide_ids: Sequence[int]) -> None:
        if self.predict_added and self.is_trained:
            self.predict(slide_ids)

    def _on_progressed(self, _job: Job, step: Progress) -> None:
        if isinstance(step, SlidePredicted):
            self.slide_predicted.emit(step.slide_id, step.model_id)

    def _on_predicted(self, crashed: Sequence[tuple[str, str]], report: PredictReport) -> None:
        self.slides_changed.emit()
        self.maps_changed.emit()
        failed = (*crashed, *report.failed)
        what = tr_plural("{count} slide was not predicted.", "{count} slides were not predicted.", len(failed))
        self._show_failures(what, tr("Not predicted"), failed)

    def _on_not_predicted(
        self, wanted: list[int] | None, model_id: int | None, crashed: Sequence[tuple[str, str]], failure: Failure
    ) -> None:
        """Go on without the slide that crashed its reader; each is left out once, so this ends."""
        slides = [slide for slide in self.slides() if wanted is None or slide.id in wanted]
        guilty = [slide for slide in slides if slide.path == failure.file]
        if not guilty:
            self._show_failure(failure)
            return
        others = [slide.id for slide in slides if slide not in guilty]
        left_out = (*crashed, *((slide.name, str(failure)) for slide in guilty))
        if others:
            self.predict(others, model_id=model_id, crashed=left_out)
        else:
            self._on_predicted(left_out, PredictReport((), ()))

    def _on_asked(self, report: AskReport) -> None:
        self.queries_changed.emit()
        count = len(report.failed)
        what = tr_plural("{count} slide was not asked about.", "{count} slides were not asked about.", count)
        if report.why_fewer and not report.failed:
            self.notice.emit(report.why_fewer)
        what = f"{what} {report.why_fewer}".strip()
        self._show_failures(what, tr("Not asked about"), report.failed)

    def _on_retrained(self, candidate: CandidateModel) -> None:
        """Offer the candidate, and let it predict: what is on the screen first, the rest while the user decides."""
        self.models_changed.emit()
        self.maps_changed.emit()
        if self._project is None:
            return
        slides = rounds.slides_to_predict(self._project, on_screen=self.on_screen)
        is_first = self.candidate() is None  # the first model that learned anything is in use at once
        if is_first:
            self.slides_changed.emit()
            self.notice.emit(tr("The first model has been trained on your annotations, and is in use."))
            if self.predict_added:
                others = [slide.id for slide in self.slides() if slide.id not in slides]
                slides += others
        for some in (slides[:1], slides[1:]):
            if some:
                self.predict(some, model_id=candidate.model_id)

    def _on_model_added(self, model_id: int) -> None:
        self.models_changed.emit()
        self.model_added.emit(model_id)

    def _on_exported(self, out: Path, report: ExportReport) -> None:
        files, count = len(report.files), len(report.failed)
        self.notice.emit(
            tr_plural("{count} file written to {folder}.", "{count} files written to {folder}.", files, folder=out)
        )
        what = tr_plural("{count} slide was not exported.", "{count} slides were not exported.", count)
        self._show_failures(what, tr("Not exported"), report.failed)

    def _show_failures(self, what: str, title: str, failed: Sequence[tuple[str, str]]) -> None:
        if failed:
            self.reported.emit(Report(what, sections((title, tuple(failed))), is_problem=True))

    # --- how ----------------------------------------------------------------------------------------------------------

    def _do_each(self, slide_ids: Sequence[int], change: Callable[[Project, int], object]) -> bool:
        """A small change of several slides, those that are still there."""
        there = self.still_there(slide_ids)
        return all(self._do(functools.partial(_on_slide, slide_id, change)) for slide_id in there)


def _on_slide(slide_id: int, change: Callable[[Project, int], object], project: Project) -> None:
    change(project, slide_id)


def _add_model(source: str | Path, project: Project) -> int:
    return add_model(project, source).id


def _set(key: str, value: object, project: Project) -> None:
    project.settings.set(key, value)
