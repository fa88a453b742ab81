"""GlaS, the MICCAI 2015 gland segmentation challenge, in its official folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from histoloop.errors import suggestion
from histoloop.training.readers.classes import GLAS_SCHEME, find_label
from histoloop.training.readers.sources import Listing, Part, Problems, TileSource
from histoloop.training.readers.tables import Row, Table, read_table, require_columns

if TYPE_CHECKING:
    from pathlib import Path

GLAS_MPP = 0.62
"""Zeiss MIRAX MIDI, 20x: 0.62 um per pixel (Sirinukunwattana et al. 2017)."""

_PARTS: dict[str, Part] = {"train": "train", "testA": "test", "testB": "test"}
_NAME = re.compile(r"(train|testA|testB)_(\d+)")
_SUFFIXES = (".bmp", ".png")
_NAME_COLUMN, _PATIENT_COLUMN, _GRADE_COLUMN = "name", "patient id", "grade (glas)"


def find_grades(folder: Path) -> Path | None:
    """The Grade.csv of a GlaS folder; None when it is no such folder."""
    return next((file for file in sorted(folder.iterdir()) if file.name.lower() == "grade.csv"), None)


def list_glas(folder: Path, grades: Path) -> Listing:
    """The pictures `train_1.bmp` (or png), their instance masks `train_1_anno.bmp`, grades and patients.

    Parts that are absent as a whole (test B) may still be in Grade.csv. Names keep their part: 'testA_7'.
    DataError names the lines of Grade.csv that do not fit.
    """
    table = read_table(grades)
    require_columns(table, (_NAME_COLUMN, _PATIENT_COLUMN, _GRADE_COLUMN))
    pictures = _pictures(folder)
    present = {_part_name(name) for name in pictures}
    problems = Problems(grades)
    graded: dict[str, TileSource] = {}
    for row in table.rows:
        source = _source(row, table, pictures, present, graded, problems)
        if source is not None:
            graded[source.name] = source
    named = {row[_NAME_COLUMN] for row in table.rows}
    for name in sorted(pictures.keys() - named):
        problems.add(pictures[name].name, "it has no row", advice="Give every picture a row with patient and grade.")
    problems.raise_any()
    return Listing(
        name="GlaS",
        path=folder,
        sources=tuple(sorted(graded.values(), key=_order)),
        scheme=GLAS_SCHEME,
        mpp=GLAS_MPP,
        case_word="patient",
        licence="research use only",
        attribution=(
            "Trained on GlaS: Sirinukunwattana et al., 'Gland segmentation in colon histology images: The GlaS "
            "challenge contest', Medical Image Analysis 2017; for research only, no commercial use."
        ),
    )


def _pictures(folder: Path) -> dict[str, Path]:
    """Pictures (not masks) by name; of two suffixes the bmp."""
    found = sorted((file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES), reverse=True)
    return {file.stem: file for file in found if _NAME.fullmatch(file.stem)}


def _source(
    row: Row,
    table: Table,
    pictures: dict[str, Path],
    present: set[str],
    graded: dict[str, TileSource],
    problems: Problems,
) -> TileSource | None:
    """The tile of a row; None when its part is not there or something is wrong."""
    name, where = row[_NAME_COLUMN], f"line {row.line}"
    before = len(problems)
    if not _NAME.fullmatch(name):
        problems.add(where, f"the name {name!r} is unknown", advice="Names are train_1, testA_1, testB_1 and so on.")
        return None
    if _part_name(name) not in present:
        return None
    if name in graded:
        problems.add(where, f"{name} was graded before", advice="Keep one row for each picture.")
    if name not in pictures:
        problems.add(where, f"there is no {name}.bmp or {name}.png", advice="Copy the missing pictures, or drop rows.")
    if not row[_PATIENT_COLUMN]:
        problems.add(where, f"{name} has no patient ID", advice="Fill in the patient of every picture.")
    if find_label(row[_GRADE_COLUMN], GLAS_SCHEME) is None:
        near = suggestion(row[_GRADE_COLUMN], GLAS_SCHEME.label_names)
        problems.add(where, f"the grade {row[_GRADE_COLUMN]!r} is unknown{near}", advice="Use benign or malignant.")
    mask = _mask(pictures[name]) if name in pictures else None
    if name in pictures and mask is None:
        problems.add(where, f"there is no mask {name}_anno", advice="Copy the masks beside their pictures.")
    if len(problems) > before:
        return None
    return TileSource(
        name=name,
        where=f"{table.path.name}, line {row.line}",
        picture=pictures[name],
        label=row[_GRADE_COLUMN],
        mask=mask,
        case=row[_PATIENT_COLUMN],
        part=_PARTS[_part_name(name)],
    )


def _mask(picture: Path) -> Path | None:
    suffixes = (picture.suffix, *_SUFFIXES)
    candidates = [picture.with_name(f"{picture.stem}_anno{suffix}") for suffix in suffixes]
    return next((file for file in candidates if file.is_file()), None)


def _part_name(name: str) -> str:
    return name.partition("_")[0]


def _order(source: TileSource) -> tuple[int, int]:
    part, _, number = source.name.partition("_")
    return list(_PARTS).index(part), int(number)
