"""What of a cohort is predicted already, by which run and where its rows are; what is left, and for whom.

The rows of a run are in `summary.csv`. Those of a part of the cohort (`Shard`) are in `shards/1-of-4/summary.csv`,
until a run of the whole cohort takes them over. A worker that is done with a slide leaves its row as `rows/NAME.json`
until whoever writes the table has it there, so that no slide is predicted twice when either is ended in between.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
import shutil
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoloop.errors import ExportError, SlideError
from histoloop.exchange.naming import unique_stems
from histoloop.exchange.tables import EarlierRow, EarlierSummary, SlideSummary, earlier_summary
from histoloop.exchange.writing import export_to
from histoloop.language import tr
from histoloop.slides.find import files_of_slide
from histoloop.store.files import clear_partial, write_beside
from histoloop.store.fingerprint import fingerprint
from histoloop.store.presence import claimed
from histoloop.workflows.boundary import prepare_folder, results_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from histoloop.annotations.records import ClassScheme

_log = logging.getLogger(__name__)

SUMMARY = "summary.csv"
ROWS, SHARDS = "rows", "shards"
_SURE_AFTER = datetime.timedelta(hours=1)
"""A slide that changed last so long before it was predicted is the one that was predicted, whosever clock said so."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The `number`-th of `of` parts of a cohort, counted from 1: every `of`-th slide in the order of the list."""

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ValueError(f"there is no part {self.number} of {self.of}")

    def has(self, index: int) -> bool:
        """Whether the slide at an index, counted from 0, is in this part."""
        return index % self.of == self.number - 1

    def folder(self, out: Path) -> Path:
        """Where its table lies; `out` of the whole cohort."""
        return out if self.of == 1 else out / SHARDS / f"{self.number}-of-{self.of}"


WHOLE = Shard()


@dataclass(frozen=True, slots=True)
class Cohort:
    """What there is to do: `left` are the slides of this run with the names of their results.

    `kept` are rows of the table that stay, `done` rows of slides of this run. `taken_over` are folders of parts whose
    rows are kept, to be removed once the table has them.
    """

    left: dict[Path, str]
    kept: tuple[EarlierRow, ...]
    done: tuple[EarlierRow, ...]
    taken_over: tuple[Path, ...]
    notes: tuple[str, ...]


@contextmanager
def claimed_table(out: Path, shard: Shard) -> Iterator[Path]:
    """The table of a run, which this command alone writes while the block runs; the folder is made.

    PlaceError where it cannot be written, ExportError where another command writes there, or a part of the cohort is
    being predicted that this run would take over.
    """
    prepare_folder(out)
    folder = shard.folder(out)
    with results_folder(folder), ExitStack() as stack:
        for other in _shards(out) if shard.of == 1 else ():
            if not stack.enter_context(claimed(other)):
                raise ExportError(
                    tr("Another command is writing to {folder}.", folder=other),
                    advice=tr("Wait until it is done, or give another folder."),
                )
        yield folder / SUMMARY


def survey_cohort(
    files: Sequence[Path],
    *,
    out: Path,
    shard: Shard,
    scheme: ClassScheme,
    model_hash: str,
    settings: str,
    again: bool = False,
    but: Iterable[Path] = (),
) -> Cohort:
    """Find what is left to predict of `files` with a model and settings; with `again` all is.

    A slide is done when a row says that this model predicted it with these settings, its results are there, and it is
    still the slide that was predicted. The names of results are such that no run, and no part of one, writes over those
    of another slide; the rows of other slides stay. `but` are files without results that get a row all the same.
    """
    tables, strangers, notes = _earlier_tables(out, shard, scheme)
    rows = {row.path: row for row in _best_last(row for found in tables.values() for row in found)}
    named = {file.absolute(): file for file in files}
    done = {
        path: row
        for path, row in rows.items()
        if not again and path in named and _is_done(named[path], row, out, model_hash, settings)
    }
    undone = [file for file in files if file.absolute() not in done]
    anew = {file.absolute() for file in (*undone, *but)}
    stay = [row.stem for row in (*rows.values(), *strangers) if row.path not in anew and row.stem]
    stems = unique_stems(undone, taken=stay)
    mine = {file for index, file in enumerate(files) if shard.has(index)}
    left = {file: stem for file, stem in stems.items() if file in mine}
    own = rows if shard.of == 1 else {row.path: row for row in _best_last(tables.get(shard.folder(out) / SUMMARY, ()))}
    redone = {file.absolute() for file in (*left, *but)}
    kept = tuple(row for path, row in own.items() if path not in redone)
    if others := sum(row.path not in named for row in kept):
        notes.append(f"{shard.folder(out) / SUMMARY} goes on with the {others} rows of other slides that it has.")
    mine_done = tuple(row for path, row in done.items() if named[path] in mine)
    return Cohort(left, kept, mine_done, tuple(_shards(out)) if shard.of == 1 else (), tuple(notes))


def forget_taken_over(cohort: Cohort) -> None:
    """Remove what the table has now."""
    for folder in cohort.taken_over:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()  # if that was the last


@contextmanager
def rows_folder(out: Path) -> Iterator[None]:
    """Where rows wait for the table, which workers look for: it is there while the block runs, and goes when empty."""
    folder = out / ROWS
    with export_to(folder):
        folder.mkdir(exist_ok=True)
    clear_partial(folder)
    try:
        yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def rows_folder_is_there(out: Path) -> bool:
    """Whether this machine has the folder of a run, on a disk that it shares with whoever writes the table."""
    return (out / ROWS).is_dir()


def leave_row(out: Path, stem: str, row: SlideSummary) -> None:
    """Keep the row of a slide whose results are written, until the table has it; ExportError where it cannot be."""
    path = _row_file(out, stem)
    with export_to(path):
        write_beside(path, json.dumps(dataclasses.asdict(row)))


def left_row(out: Path, stem: str) -> SlideSummary | None:
    """The row that was left of a slide; None without one that can be read."""
    return _read_row(_row_file(out, stem))


def drop_row(out: Path, stem: str) -> None:
    """The table has the row of a slide: what was left of it can go."""
    _row_file(out, stem).unlink(missing_ok=True)


def now() -> str:
    """For the column `time`."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def is_same_work(row: SlideSummary, file: Path, *, model_hash: str, settings: str) -> bool:
    """Whether a row that was left is of this slide, as it is, by this model and with these settings."""
    return (row.model_hash, row.settings) == (model_hash, settings) and _is_unchanged(file, row.fingerprint, row.time)


def _row_file(out: Path, stem: str) -> Path:
    return out / ROWS / f"{stem}.json"


def _read_row(path: Path) -> SlideSummary | None:
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return SlideSummary(**{**kept, "files": tuple(kept["files"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _shards(out: Path) -> list[Path]:
    return sorted(path for path in (out / SHARDS).glob("*-of-*") if path.is_dir())


def _earlier_tables(
    out: Path, shard: Shard, scheme: ClassScheme
) -> tuple[dict[Path, tuple[EarlierRow, ...]], list[EarlierRow], list[str]]:
    """The rows of all tables there are, of parts too; rows that this run cannot go on with, and what became of them."""
    own = shard.folder(out) / SUMMARY
    tables: dict[Path, tuple[EarlierRow, ...]] = {}
    strangers: list[EarlierRow] = []
    notes: list[str] = []
    for table in (out / SUMMARY, *(folder / SUMMARY for folder in _shards(out))):
        found = earlier_summary(table, scheme)
        if found is not None and found.fits:
            tables[table] = found.rows
        elif found is not None:
            strangers += found.rows
            if table == own or shard.of == 1:
                notes.append(_set_aside(out, table, found))
    return tables, strangers, notes


def _best_last(rows: Iterable[EarlierRow]) -> list[EarlierRow]:
    """Of a slide with several rows the last that says it is predicted comes last."""
    return sorted(rows, key=lambda row: row.cell("status") == "predicted")


def _set_aside(out: Path, summary: Path, earlier: EarlierSummary) -> str:
    """Rename a summary that the rows of this run cannot be added to; a note on it."""
    number = 1
    while (aside := out / f"summary-{number}.csv").exists():
        number += 1
    summary.rename(aside)
    _log.info("a summary of %d rows with other columns is set aside", len(earlier.rows))
    return f"{summary} was of a model with other classes: it is kept as {aside}."


def _is_done(file: Path, row: EarlierRow, out: Path, model_hash: str, settings: str) -> bool:
    return (
        row.cell("status") == "predicted"
        and (row.cell("model_sha256"), row.cell("settings")) == (model_hash, settings)
        and bool(row.files)
        and all((out / name).is_file() for name in row.files)
        and _is_unchanged(file, row.cell("fingerprint"), row.cell("time"))
    )


def _is_unchanged(file: Path, known: str, time: str) -> bool:
    """Whether a slide is the one that had a fingerprint at a time; it is read only where its files are newer."""
    try:
        predicted = datetime.datetime.fromisoformat(time)
        states = [each.stat() for each in files_of_slide(file)]
        changed = datetime.datetime.fromtimestamp(max(state.st_mtime for state in states), datetime.UTC)
        if str(states[0].st_size) != known.partition("-")[0]:
            return False
        return changed + _SURE_AFTER < predicted or fingerprint(file) == known
    except (OSError, ValueError, TypeError, SlideError):
        return False
