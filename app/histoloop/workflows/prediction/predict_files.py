"""Predict slides straight from files: polygons, a mask picture each, and one summary that grows with them."""

from __future__ import annotations

import dataclasses
import functools
import logging
import socket
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import ClusterError, DataError
from histoloop.exchange.tables import UNLIKE, EarlierRow, SlideSummary, SummaryTable
from histoloop.inference.precision import Precision
from histoloop.inference.predictor import PredictorSettings
from histoloop.language import tr
from histoloop.log import operation
from histoloop.progress import Progress, Work, finish, staged
from histoloop.slides.find import search_slides
from histoloop.slides.reader import open_slide
from histoloop.store.fingerprint import fingerprint
from histoloop.store.project_file import DATABASE
from histoloop.store.records import is_unlike
from histoloop.store.shipped import find_model
from histoloop.store.temporary import place_for_temporary_files
from histoloop.workflows.boundary import prepare_folder, why_it_failed
from histoloop.workflows.cluster.spread import HERE, Spread, spread_over
from histoloop.workflows.contents.slides import resolution_of
from histoloop.workflows.prediction.cohort import (
    WHOLE,
    Cohort,
    Shard,
    claimed_table,
    drop_row,
    forget_taken_over,
    is_same_work,
    leave_row,
    left_row,
    now,
    rows_folder,
    rows_folder_is_there,
    survey_cohort,
)
from histoloop.workflows.prediction.loaded_model import (
    LoadedModel,
    check_trained,
    choose_device,
    device_of_worker,
    load_model,
    open_model,
)
from histoloop.workflows.prediction.predict_slide import predict_to_files

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from histoloop.slides.find import PassedOver, Search
    from histoloop.store.cards import Card

    _News = Generator[Progress | tuple["_SlideTask", SlideSummary], None, None]

_log = logging.getLogger(__name__)

UNKNOWN_MPP = "it states no resolution that a microscope can have (see --mpp): predicted with its pixels as they are"


ESTIMATED_MPP = "its resolution of {mpp:.4g} um per pixel is estimated by its objective"


@dataclass(frozen=True, slots=True)
class _Given:
    """The resolution of slides that state none, and how to predict."""

    mpp: float | None
    from_objective: bool
    precision: Precision


@dataclass(frozen=True, slots=True)
class _SlideTask:
    """All that another process, perhaps of another machine, needs to predict a slide: plain values."""

    file: Path
    stem: str
    out: Path
    model: str
    model_hash: str
    device: str
    given: _Given
    settings: str


@dataclass(frozen=True, slots=True)
class FilesReport:
    """How many slides were predicted, (file, reason) of those that were not, and where the summary is.

    `passed_over` are (file, reason) of what was found in folders and is no slide; `rows` are those that this run wrote,
    in the order of the slides; `done_before` those of slides that were left as they are; `notes` say what became of the
    results of an earlier run.
    """

    predicted: int
    failed: tuple[tuple[str, str], ...]
    summary: Path
    passed_over: tuple[tuple[str, str], ...] = ()
    rows: tuple[SlideSummary, ...] = ()
    notes: tuple[str, ...] = ()
    done_before: tuple[EarlierRow, ...] = ()


def predict_files(
    paths: Sequence[Path],
    *,
    out: Path,
    model: str | Path,
    device: str = "auto",
    mpp: float | None = None,
    mpp_from_objective: bool = False,
    again: bool = False,
    shard: Shard = WHOLE,
    spread: Spread = HERE,
    precision: Precision = "fast",
) -> Work[FilesReport]:
    """Write `<stem>.geojson` and `<stem>-mask.png` per slide and one `summary.csv` into `out`.

    A slide that fails has its row and reason in the summary, and the rest goes on. Each row is on the disk when its
    slide is done. What the same model predicted with the same settings before is left as it is, but with `again`; the
    rows of other slides stay in the summary, and so do their files; a summary with other classes is set aside under
    another name. `mpp` is used for slides that do not state their resolution; with `mpp_from_objective` the estimate by
    their objective comes before. Files of one stem from several folders get their folder's name in front, and names too
    long for results are shortened, which the row states. The `precision` 'fast' takes half precision where the device
    has it; the rows state which numbers were computed in.

    Of a `shard` only its slides are predicted; its table is `shards/I-of-N/summary.csv` until a run of the whole takes
    it over. With `spread` slides are predicted side by side, and rows come in the order in which they are done.
    PlaceError where `out`, or the folder for temporary files, cannot be written; ClusterError where there is nobody to
    spread over; DataError where there is no slide, or a project is named.
    """
    loaded = open_model(model, device=device if spread.is_here else "cpu")
    check_trained(loaded.card)
    if projects := [path for path in paths if (path / DATABASE).is_file()]:
        raise DataError(
            f"{projects[0]} is a project, not a folder of slides.",
            advice="'histoloop query PROJECT' predicts its slides, 'histoloop export PROJECT' writes their masks.",
        )
    search = search_slides(paths)
    if not search.slides and not any(each.is_failure for each in search.passed_over):
        raise DataError("There is no slide or picture in what was named.", advice="Name slide files or folders.")
    scratch = place_for_temporary_files()
    with claimed_table(out, shard) as table:
        prepare_folder(scratch)
        given = _Given(mpp, mpp_from_objective, precision)
        run = _Run(out, loaded, str(model), device, given, (out, scratch))
        return (yield from run.predict(search, table, again=again, shard=shard, spread=spread))


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """What all slides of a run are predicted with."""

    out: Path
    model: LoadedModel
    model_name: str
    device: str
    given: _Given
    places: tuple[Path, ...]

    def predict(self, search: Search, table: Path, *, again: bool, shard: Shard, spread: Spread) -> Work[FilesReport]:
        """Find what is left, predict it, and give each slide its row."""
        failures = [each for each in search.passed_over if each.is_failure]
        not_understood = [each for index, each in enumerate(failures) if shard.has(index)]
        settings = settings_text(self.model.card, self.given)
        cohort = survey_cohort(
            search.slides,
            out=self.out,
            shard=shard,
            scheme=self.model.card.scheme,
            model_hash=self.model.hash,
            settings=settings,
            again=again,
            but=[each.path for each in not_understood],
        )
        rows: dict[Path, SlideSummary] = {}
        with SummaryTable(table, self.model.card.scheme, earlier=cohort.kept) as summary, rows_folder(self.out):
            forget_taken_over(cohort)
            tasks = [self._task(file, stem, settings) for file, stem in cohort.left.items()]
            with closing(self._in_turn(tasks) if spread.is_here else self._spread(tasks, spread)) as predicted:
                for news in predicted:
                    if isinstance(news, Progress):
                        yield news
                        continue
                    task, row = news
                    summary.add(row)
                    drop_row(self.out, task.stem)
                    rows[task.file] = row
            for each in not_understood:
                rows[each.path] = SlideSummary(str(each.path), "failed", each.reason, self.model.card.name)
                summary.add(rows[each.path])
        return _report(cohort, [rows[path] for path in (*cohort.left, *(each.path for each in not_understood))],
                       table, search.passed_over)  # fmt: skip

    def _task(self, file: Path, stem: str, settings: str) -> _SlideTask:
        is_folder = Path(self.model_name).is_dir()
        name = str(Path(self.model_name).absolute()) if is_folder else self.model_name
        out = self.out.absolute()
        return _SlideTask(file, stem, out, name, self.model.hash, self.device, self.given, settings)

    def _in_turn(self, tasks: Sequence[_SlideTask]) -> _News:
        """One slide after the other in this process, with the progress of each."""
        for number, task in enumerate(tasks):
            yield Progress(f"Predicting {task.file.name}", number, len(tasks))
            if (known := _known_row(task)) is not None:
                yield task, known
                continue
            steps = staged(_predict_file(task, self.model), number=number, of=len(tasks))
            try:
                while True:
                    try:
                        step = next(steps)
                    except StopIteration as stop:
                        row = stop.value
                        break
                    yield step
            except Exception as error:
                row = self._failed(task, error)
            finally:
                steps.close()
            yield task, row

    def _spread(self, tasks: Sequence[_SlideTask], spread: Spread) -> _News:
        """Slides side by side elsewhere."""
        stage, done = f"Predicting {len(tasks)} slides", 0
        elsewhere = [dataclasses.replace(task, file=task.file.absolute()) for task in tasks]
        own = dict(zip(elsewhere, tasks, strict=True))
        yield Progress(stage, 0, len(tasks))
        with closing(spread_over(spread, predict_elsewhere, elsewhere)) as finished:
            for one in finished:
                if one is None:
                    yield Progress(stage, done, len(tasks))
                    continue
                task, done = own[one.part], done + 1
                try:
                    row = dataclasses.replace(one.result(), slide=str(task.file))
                except Exception as error:
                    row = self._failed(task, error)
                yield task, row
                yield Progress(stage, done, len(tasks), task.file.name)

    def _failed(self, task: _SlideTask, error: Exception) -> SlideSummary:
        """The row of a slide that failed; PlaceError where nothing can be written any more."""
        reason = why_it_failed(error, writing_to=self.places)
        return SlideSummary(str(task.file), "failed", reason, self.model.card.name, path=str(task.file.absolute()))


def _report(
    cohort: Cohort, rows: Sequence[SlideSummary], table: Path, passed_over: Sequence[PassedOver]
) -> FilesReport:
    failed = tuple((row.slide, row.message) for row in rows if row.status == "failed")
    seen = tuple((str(each.path), each.reason) for each in passed_over if each.why != "hidden" and not each.is_failure)
    return FilesReport(len(rows) - len(failed), failed, table, seen, tuple(rows), cohort.notes, cohort.done)


def settings_text(card: Card, given: _Given, predictor: PredictorSettings | None = None) -> str:
    """All that a prediction hangs on beside the slide and the weights, to be compared with that of another run."""
    how = dataclasses.asdict(predictor or PredictorSettings())
    how.pop("readers")  # changes the time alone
    how["precision"] = given.precision
    what: dict[str, object] = {"mpp": given.mpp, "mpp_from_objective": given.from_objective, "model_mpp": card.mpp}
    what |= {"threshold": card.threshold, **how}
    return ";".join(f"{name}={value}" for name, value in what.items())


# --- one slide ---


def predict_elsewhere(task: _SlideTask) -> SlideSummary:
    """Predict a slide in a process that is there for such tasks, and leave its row beside its results.

    A task that was done before, whose process or command ended before its row was in the table, is not done again.
    """
    if not rows_folder_is_there(task.out):
        raise ClusterError(
            tr("The machine {host} does not have the folder {folder}.", host=socket.gethostname(), folder=task.out),
            advice=tr("Results must go to a disk that all machines of the cluster have, under the same path."),
        )
    with _ONE_SLIDE:
        if (known := _known_row(task)) is not None:
            return known
        try:
            row = finish(_predict_file(task, _model_of(task.model, task.model_hash, task.device)))
            leave_row(task.out, task.stem, row)
        except Exception as error:
            why_it_failed(error, writing_to=(task.out, place_for_temporary_files()))  # PlaceError where that is why
            raise
        return row


_ONE_SLIDE = threading.Lock()
"""A worker with several threads has one model, which predicts one slide at a time."""


@functools.lru_cache(maxsize=1)
def _model_of(name: str, expected: str, device: str) -> LoadedModel:
    """The model of a task, loaded once in a process; ModelError where this machine has another one of the name."""
    return load_model(find_model(name), choose_device(device_of_worker(device)), expected=expected)


def _known_row(task: _SlideTask) -> SlideSummary | None:
    """The row that was left of a slide, where that is of the same work and the results are there."""
    row = left_row(task.out, task.stem)
    if row is None or not is_same_work(row, task.file, model_hash=task.model_hash, settings=task.settings):
        return None
    return row if all((task.out / name).is_file() for name in row.files) else None


def _predict_file(task: _SlideTask, model: LoadedModel) -> Work[SlideSummary]:
    file, target, given = task.file, task.out / task.stem, task.given
    begun, content = now(), fingerprint(file)
    drop_row(task.out, task.stem)  # it may be of another slide of the name
    with open_slide(file) as stated:
        resolved = resolution_of(stated, given=given.mpp, from_objective=given.from_objective)
    mask, polygons = target.with_name(f"{target.name}-mask.png"), target.with_name(f"{target.name}.geojson")
    with open_slide(file, mpp=resolved.mpp) as slide, operation(_log, "a slide", pixels=slide.extent.area):
        predicted = yield from predict_to_files(slide, model, polygons=polygons, mask=mask, precision=given.precision)
    notes = [
        UNLIKE if is_unlike(predicted.unlike) else "",
        predicted.note,
        UNKNOWN_MPP if resolved.mpp is None else "",
        ESTIMATED_MPP.format(mpp=resolved.mpp) if resolved.source == "objective" else "",
    ]
    return SlideSummary(
        slide=str(file),
        status="predicted",
        message="; ".join(filter(None, notes)),
        model=model.card.name,
        mpp=resolved.mpp,
        probabilities=predicted.probabilities,
        tissue_area_px=predicted.tissue_area_px,
        mask_area_px=predicted.mask_area_px,
        files=(polygons.name, mask.name),
        model_hash=model.hash,
        unlike=predicted.unlike,
        mpp_from=resolved.source,
        path=str(file.absolute()),
        fingerprint=content,
        settings=task.settings,
        time=begun,
        numbers=predicted.numbers,
    )
