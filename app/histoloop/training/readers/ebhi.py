"""EBHI-Seg: a folder per class with `image/` and `label/`, with or without a split.csv."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from histoloop.errors import suggestion
from histoloop.slides.find import PICTURE_SUFFIXES
from histoloop.training.readers.classes import EBHI_SCHEME
from histoloop.training.readers.sources import PART_NAMES, Listing, Problems, TileSource
from histoloop.training.readers.tables import is_file, read_table, require_columns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EBHI_MPP = 1.15
"""Estimated, since the data set does not state it: whole glands in its 'Normal' fields have a median equivalent
diameter of 61 px (n = 125), those of healthy GlaS fields 71.7 um (n = 302)."""

_MASK_LEVEL = 127
_COLUMNS = ("image", "mask", "class", "case", "split")
_CASE = re.compile(r"[A-Za-z]+\d+")


def is_ebhi(folder: Path) -> bool:
    """Whether a folder has classes of EBHI-Seg, each with `image/` and `label/`."""
    classes = [folder / name for name in EBHI_SCHEME.label_names if (folder / name).is_dir()]
    return bool(classes) and all((path / "image").is_dir() and (path / "label").is_dir() for path in classes)


def list_ebhi(folder: Path) -> Listing:
    """Its tiles by split.csv, whose splits are by case, or, where there is none, as they lie in the folders.

    A case is then the start of the file name: GT2012149 of GT2012149-1-400-001.png. DataError names what is wrong.
    """
    table = folder / "split.csv"
    sources = _by_table(table) if table.is_file() else _by_folder(folder)
    return Listing(
        name="EBHI-Seg",
        path=folder,
        sources=tuple(sources),
        scheme=EBHI_SCHEME,
        mpp=EBHI_MPP,
        mask_level=_MASK_LEVEL,
        licence="CC BY 4.0",
        attribution=(
            "Trained on EBHI-Seg: Shi et al., 'EBHI-Seg: A novel enteroscope biopsy histopathological hematoxylin "
            "and eosin image dataset for image segmentation tasks', Frontiers in Medicine 2023, CC BY 4.0."
        ),
        notes=(
            f"The resolution of {EBHI_MPP} um per pixel is an estimate from gland diameters; "
            "the data set does not state it."
        ),
    )


def _by_table(path: Path) -> Iterator[TileSource]:
    table = read_table(path)
    require_columns(table, _COLUMNS)
    problems = Problems(path)
    seen: dict[str, int] = {}
    for row in table.rows:
        where, before = f"line {row.line}", len(problems)
        if row["split"].lower() not in PART_NAMES:
            near = suggestion(row["split"], PART_NAMES)
            problems.add(where, f"the split {row['split']!r} is unknown{near}", advice="Use train, val or test.")
        for column in ("image", "mask"):
            if not row[column] or not is_file(path.parent / row[column]):
                problems.add(where, f"there is no {column} {row[column]!r}", advice="Copy the missing files.")
        if row["image"] in seen:
            what = f"{row['image']} is in line {seen[row['image']]} already"
            problems.add(where, what, advice="Keep one row for each picture.")
        seen.setdefault(row["image"], row.line)
        if len(problems) == before:
            yield TileSource(
                name=row["image"],
                where=f"{path.name}, line {row.line}",
                picture=path.parent / row["image"],
                label=row["class"],
                mask=path.parent / row["mask"],
                case=row["case"],
                part=PART_NAMES[row["split"].lower()],
            )
    problems.raise_any()


def _by_folder(folder: Path) -> Iterator[TileSource]:
    problems = Problems(folder)
    for label in EBHI_SCHEME.label_names:
        pictures = sorted((folder / label / "image").glob("*")) if (folder / label).is_dir() else []
        for picture in pictures:
            if picture.suffix.lower() not in PICTURE_SUFFIXES or picture.name.startswith("."):
                continue
            name = picture.relative_to(folder).as_posix()
            mask = folder / label / "label" / f"{picture.stem}.png"
            case = _CASE.match(picture.stem)
            if not mask.is_file():
                problems.add(name, f"there is no {mask.relative_to(folder).as_posix()}", advice="Copy the masks too.")
                continue
            yield TileSource(
                name=name,
                where=name,
                picture=picture,
                label=label,
                mask=mask,
                case=case.group().upper() if case else "",
            )
    problems.raise_any()
