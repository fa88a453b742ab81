"""Tables as CSV: a summary with a row per slide, the areas of all polygons, and what people stated.

A table grows row by row, each on the disk before the next one is worked on: after a crash it states what was done.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import histoloop
from histoloop.exchange.plain_text import plain_text
from histoloop.exchange.writing import export_to
from histoloop.geometry import Region
from histoloop.store.files import write_beside
from histoloop.store.records import is_unlike, predicted_names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from histoloop.annotations.records import ClassScheme
    from histoloop.localisation.contours import Polygon


UNLIKE = "it is unlike the training data of the model: what was predicted means nothing for it, and no label is given"
"""For the message of such a slide."""

_ESCAPED = re.compile(r"\\(ud[89a-f][0-9a-f]{2})")
"""What `_in_utf_8` writes for a byte that is no UTF-8."""


@dataclass(frozen=True, slots=True)
class TableStyle:
    """How a table is written: what parts its cells, what its decimal sign is, and whether a byte order mark begins it.

    Excel opens a file by double click as the language of the computer has it: in German and French cells are parted by
    semicolons and decimals by commas, and without the mark names with accents are garbled.
    """

    separator: str = ","
    decimal: str = "."
    mark: bool = False


PLAIN = TableStyle()
"""For programs: R, Python, LibreOffice."""

TABLE_STYLES: Mapping[str, TableStyle] = {
    "csv": PLAIN,
    "excel": TableStyle(mark=True),
    "excel-semicolon": TableStyle(";", ",", mark=True),
}


@dataclass(frozen=True, slots=True)
class SlideSummary:
    """A slide's row. Areas are level-0 pixels; `mpp` None leaves the columns in square micrometres empty.

    `slide` is what it is called, `path` its file (empty: `slide` is), `label` the label that a person gave to it, empty
    without, `files` the names of the files that were written of it, `model_hash` the SHA-256 of the model's weights,
    `unlike` how far it is from the training data (above 1: unlike it, and label and probabilities are withheld),
    `mpp_from` where its resolution is from, `numbers` what the network computed in, `fingerprint` the content of the
    slide that was predicted, `settings` with which, `time` when that began (ISO-8601, UTC).
    """

    slide: str
    status: str
    message: str = ""
    model: str = ""
    mpp: float | None = None
    probabilities: Mapping[str, float] | None = None
    tissue_area_px: float | None = None
    mask_area_px: Mapping[str, float] | None = None
    label: str = ""
    path: str = ""
    files: tuple[str, ...] = ()
    model_hash: str = ""
    unlike: float | None = None
    mpp_from: str = ""
    numbers: str = ""
    fingerprint: str = ""
    settings: str = ""
    time: str = ""

    @property
    def predicted_class(self) -> str:
        """The predicted label, or labels with semicolons between; empty without a prediction that means something."""
        if is_unlike(self.unlike):
            return ""
        return ";".join(predicted_names(self.probabilities or {}))


def mask_areas(counts: Mapping[int, int], scheme: ClassScheme, *, downsample: float) -> dict[str, float]:
    """Level-0 pixels per mask class of a mask with so many pixels per value, `downsample` level-0 pixels wide each."""
    return {name: float(counts.get(value, 0)) * downsample**2 for value, name in enumerate(scheme.mask_names, start=1)}


class _Table:
    """A CSV file that grows; a context manager. A file that was there is replaced when the block begins, by `rows`.

    Methods raise ExportError, which names the file; a row that could not be written whole is taken back.
    """

    def __init__(
        self, path: Path, header: Sequence[str], rows: Sequence[Sequence[str]] = (), *, style: TableStyle = PLAIN
    ) -> None:
        self.path, self._header, self._rows, self._style = path, header, rows, style

    def __enter__(self) -> Self:
        with export_to(self.path):
            mark = codecs.BOM_UTF8 if self._style.mark else b""
            write_beside(self.path, mark + _as_text([self._header, *self._rows], self._style))
            self._file = self.path.open("ab", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _append(self, rows: Iterable[Sequence[object]]) -> None:
        """Write rows to the end, flushed to the disk."""
        content, before = _as_text(rows, self._style), self._file.tell()
        with export_to(self.path):
            try:
                while content:
                    content = content[self._file.write(content) :]
                os.fsync(self._file.fileno())
            except BaseException:
                with suppress(OSError):
                    self._file.truncate(before)
                    self._file.seek(before)
                raise


class SummaryTable(_Table):
    """One row per slide: class, probability per label, areas of tissue and of each mask class, label a person gave.

    The column `path` is of no other slide; `files` are the files written of it, with semicolons between. `earlier` are
    rows of an earlier table of the same columns, which stay.
    """

    def __init__(
        self, path: Path, scheme: ClassScheme, *, earlier: Iterable[EarlierRow] = (), style: TableStyle = PLAIN
    ) -> None:
        super().__init__(path, _summary_header(scheme), [row.cells for row in earlier], style=style)
        self._scheme = scheme

    def add(self, row: SlideSummary) -> None:
        """Append the row of a slide."""
        self._append([_summary_row(row, self._scheme)])


@dataclass(frozen=True, slots=True)
class EarlierRow:
    """A row of a summary that is there already, as its cells."""

    cells: tuple[str, ...]
    names: tuple[str, ...]
    """Of the columns."""

    def cell(self, column: str) -> str:
        """What stands in a column, without the apostrophe that keeps it from being a formula; empty without it."""
        return self.cells[self.names.index(column)].lstrip("'") if column in self.names else ""

    @property
    def path(self) -> Path:
        """The file of the slide."""
        return Path(_as_on_disk(self.cell("path") or self.cell("slide"))).absolute()

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that were written of the slide."""
        return tuple(filter(None, _as_on_disk(self.cell("files")).split(";")))

    @property
    def stem(self) -> str:
        """What those names begin with; empty where nothing was written."""
        return self.files[0].removesuffix(".geojson") if self.files else ""


@dataclass(frozen=True, slots=True)
class EarlierSummary:
    """The rows of a summary that is there already. `fits`: with the columns of this run, so that rows can stay."""

    rows: tuple[EarlierRow, ...]
    fits: bool


def earlier_summary(path: Path, scheme: ClassScheme) -> EarlierSummary | None:
    """The summary that is at `path`; None where there is none, or no row in it.

    A last row that was not written whole is left out. A table of an earlier version, without the last columns, fits.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        header, *rows = csv.reader(io.StringIO(text, newline=""))
    except (OSError, ValueError, csv.Error):
        return None
    if rows and (not text.endswith("\n") or len(rows[-1]) < len(header)):
        rows.pop()
    wanted = _summary_header(scheme)
    known = header == wanted[: len(header)] and len(header) >= len(wanted) - _ADDED
    fits = known and all(len(row) == len(header) for row in rows)
    names = tuple(wanted if fits else header)
    cells = [(*row, *[""] * (len(names) - len(row))) for row in rows]
    return EarlierSummary(tuple(EarlierRow(row, names) for row in cells), fits) if rows else None


def row_as_cells(row: SlideSummary, scheme: ClassScheme) -> EarlierRow:
    """A row as it would stand in a summary."""
    (cells,) = csv.reader(io.StringIO(_as_text([_summary_row(row, scheme)]).decode("utf-8"), newline=""))
    return EarlierRow(tuple(cells), tuple(_summary_header(scheme)))


_ADDED = 3
"""So many of the last columns are missing in tables of the version before."""


def _summary_header(scheme: ClassScheme) -> list[str]:
    return [
        "slide",
        "predicted_class",
        *(f"p_{name}" for name in scheme.label_names),
        "tissue_area_um2",
        *(f"area_{name}_um2" for name in scheme.mask_names),
        "tissue_area_px",
        *(f"area_{name}_px" for name in scheme.mask_names),
        "mpp",
        "model",
        "status",
        "message",
        "label",
        "path",
        "files",
        "model_sha256",
        "program",
        "unlike_training_data",
        "distance_from_training_data",
        "mpp_from",
        "numbers",
        "fingerprint",
        "settings",
        "time",
    ]


def _summary_row(row: SlideSummary, scheme: ClassScheme) -> list[object]:
    shares = {} if is_unlike(row.unlike) else row.probabilities or {}
    areas = row.mask_area_px or {}
    pixels = [row.tissue_area_px, *(areas.get(name) for name in scheme.mask_names)]
    return [
        row.slide,
        row.predicted_class,
        *(_number(shares.get(name), 6) for name in scheme.label_names),
        *(_number(_square_um(area, row.mpp), 1) for area in pixels),
        *(_number(area, 0) for area in pixels),
        _number(row.mpp, 6),
        row.model,
        row.status,
        row.message,
        row.label,
        row.path or row.slide,
        ";".join(row.files),
        row.model_hash,
        f"HistoLoop {histoloop.__version__}" if row.model_hash else "",
        "" if row.unlike is None else "yes" if is_unlike(row.unlike) else "no",
        _number(row.unlike, 3),
        row.mpp_from,
        row.numbers,
        row.fingerprint,
        row.settings,
        row.time,
    ]


@dataclass(frozen=True, slots=True)
class AssessmentRow:
    """What a person stated of a region, or of a whole slide (`of` is 'region' or 'slide'): label and size, and a mask.

    `path` is the file of the slide, `size` the foreground fraction, `size_from` 'person' or 'mask' (empty without one);
    `counts` is 'region' or 'strokes', what of the mask counts.
    """

    slide: str
    of: str
    region: Region
    label: str | None
    size: float | None
    size_from: str
    has_mask: bool
    held_out: bool
    person: str
    time: str
    path: str
    counts: str = "region"


class AssessmentsTable(_Table):
    """One row per annotated region and labelled slide: place in level-0 pixels, label, size, by whom and when."""

    def __init__(self, path: Path, *, style: TableStyle = PLAIN) -> None:
        header = ["slide", "of", "x_px", "y_px", "width_px", "height_px"]
        super().__init__(
            path,
            [*header, "label", "size", "size_from", "mask", "counts", "held_out", "person", "time", "path"],
            style=style,
        )

    def add(self, rows: Iterable[AssessmentRow]) -> None:
        """Append the rows of a slide."""
        self._append(map(_assessment_row, rows))


def _assessment_row(row: AssessmentRow) -> list[object]:
    region = row.region
    return [
        row.slide,
        row.of,
        *(region.x, region.y, region.width, region.height),
        row.label or "",
        _number(row.size, 4),
        row.size_from,
        "yes" if row.has_mask else "no",
        row.counts if row.has_mask else "",
        "yes" if row.held_out else "no",
        row.person,
        row.time,
        row.path,
    ]


class AreasTable(_Table):
    """One row per polygon of each slide: class, centre, area, and who drew it."""

    def __init__(self, path: Path, scheme: ClassScheme, *, style: TableStyle = PLAIN) -> None:
        header = ["slide", "polygon", "class", "centre_x_px", "centre_y_px", "area_um2", "area_px", "path"]
        super().__init__(path, [*header, "drawn_by", "person"], style=style)
        self._scheme = scheme

    def add(self, slide: str, polygons: Iterable[PolygonRow], *, mpp: float | None, path: str) -> None:
        """Append the polygons of a slide, whose file is `path`; without `mpp` areas in um^2 stay empty."""
        self._append(
            [*_area_row(slide, number, polygon, self._scheme, mpp), path, polygon.drawn_by, polygon.person]
            for number, polygon in enumerate(polygons, start=1)
        )


class PolygonRow(NamedTuple):
    """What `areas.csv` says of a polygon: mask value, middle of its box and area in level-0 pixels, who drew it.

    `drawn_by` is 'person', 'accepted' (the model's, left as it was), 'model' or 'person and model'; '' where not known.
    """

    value: int
    centre_x: float
    centre_y: float
    area_px: float
    drawn_by: str = ""
    person: str = ""


def polygon_row(polygon: Polygon, *, drawn_by: str = "", person: str = "") -> PolygonRow:
    """The row of a polygon."""
    x, y = (polygon.exterior.min(axis=0) + polygon.exterior.max(axis=0)) / 2
    return PolygonRow(polygon.value, float(x), float(y), polygon.area_px, drawn_by, person)


def _area_row(slide: str, number: int, polygon: PolygonRow, scheme: ClassScheme, mpp: float | None) -> list[object]:
    return [
        slide,
        number,
        scheme.shown_as(polygon.value).name,
        _number(polygon.centre_x, 1),
        _number(polygon.centre_y, 1),
        _number(_square_um(polygon.area_px, mpp), 1),
        _number(polygon.area_px, 1),
    ]


def _square_um(area_px: float | None, mpp: float | None) -> float | None:
    return None if area_px is None or mpp is None else area_px * mpp**2


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else _Number(f"{value:.{digits}f}")


class _Number(str):
    """A number in digits, whose decimal sign is that of the table."""

    __slots__ = ()


def _as_text(rows: Iterable[Sequence[object]], style: TableStyle = PLAIN) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", delimiter=style.separator)

    def cell_text(cell: object) -> object:
        if isinstance(cell, _Number):
            return cell.replace(".", style.decimal)
        return plain_text(_in_utf_8(cell)) if isinstance(cell, str) else cell

    for row in rows:
        writer.writerow([cell_text(cell) for cell in row])
    return text.getvalue().encode("utf-8")


def _in_utf_8(text: str) -> str:
    """The text with escapes in place of the bytes of a name that is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _as_on_disk(text: str) -> str:
    """The name that `_in_utf_8` made the text of."""
    return _ESCAPED.sub(lambda found: chr(int(found[1][1:], 16)), text)
