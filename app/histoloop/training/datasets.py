"""Data sets as they come on disk, read into training tiles."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import DataError
from histoloop.progress import Progress, Work
from histoloop.training.samples import TrainingTile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

GLAND = MaskClass("gland", "#2a9d8f")
TUMOUR = MaskClass("tumour", "#d1495b")

EBHI_SCHEME = ClassScheme(
    labels=(
        LabelClass("Normal", "gland"),
        LabelClass("Polyp", "gland"),
        LabelClass("Low-grade IN", "gland"),
        LabelClass("High-grade IN", "tumour"),
        LabelClass("Serrated adenoma", "gland"),
        LabelClass("Adenocarcinoma", "tumour"),
    ),
    masks=(GLAND, TUMOUR),
)

EBHI_MPP = 1.15
"""Estimated, since the data set does not state it: whole glands in its 'Normal' fields have a median equivalent
diameter of 61 px (n = 125), those of healthy GlaS fields 71.7 um (n = 302)."""

_MASK_LEVEL = 127


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Tiles of a data set in its own split, with what a model's card must say of it."""

    name: str
    scheme: ClassScheme
    mpp: float
    training: tuple[TrainingTile, ...]
    validation: tuple[TrainingTile, ...]
    licence: str
    attribution: str
    notes: str


def read_ebhi(folder: Path) -> Work[DataSet]:
    """EBHI-Seg: a folder per class with `image/` and `label/`, and split.csv (train or val by case).

    DataError names the first row that does not fit.
    """
    table = folder / "split.csv"
    if not table.is_file():
        raise DataError(f"{folder} has no split.csv.", advice="Point to the folder of EBHI-Seg that holds split.csv.")
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    tiles: dict[str, list[TrainingTile]] = {"train": [], "val": []}
    for number, row in enumerate(rows):
        if number % 100 == 0:
            yield Progress("Reading EBHI-Seg", number, len(rows))
        _split_of(tiles, row, table).append(_read_tile(folder, row, table))
    shared = {tile.case for tile in tiles["train"]} & {tile.case for tile in tiles["val"]}
    if shared:
        raise DataError(
            f"{table}: {len(shared)} cases are in both train and val, such as {min(shared)}.",
            advice="Split by case, or the figures mean nothing.",
        )
    return DataSet(
        name="EBHI-Seg",
        scheme=EBHI_SCHEME,
        mpp=EBHI_MPP,
        training=tuple(tiles["train"]),
        validation=tuple(tiles["val"]),
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


def _split_of(tiles: dict[str, list[TrainingTile]], row: dict[str, str], table: Path) -> list[TrainingTile]:
    try:
        return tiles[row["split"]]
    except KeyError:
        raise DataError(f"{table}: the split {row.get('split')!r} is unknown.", advice="Use train or val.") from None


def _read_tile(folder: Path, row: dict[str, str], table: Path) -> TrainingTile:
    try:
        label = EBHI_SCHEME.label_names.index(row["class"])
        pixels = np.asarray(Image.open(folder / row["image"]).convert("RGB"))
        mask = np.asarray(Image.open(folder / row["mask"]).convert("L")) > _MASK_LEVEL
        return TrainingTile(pixels, label, mask, row["image"], row["case"])
    except (KeyError, ValueError, OSError, UnidentifiedImageError) as error:
        raise DataError(
            f"{table}: the row of {row.get('image')!r} cannot be read: {error}.",
            advice="Check that the class is known and that picture and mask are there and of one size.",
        ) from error


def lend_masks(tiles: Sequence[TrainingTile], *, fraction: float, seed: int) -> list[TrainingTile]:
    """The tiles whose masks may be used: at most `fraction` of all, the same share of every label class, seeded."""
    rng = np.random.default_rng(seed)
    chosen = sorted(
        index for members in _by_label(tiles) for index in rng.permutation(members)[: int(fraction * len(members))]
    )
    return [tiles[index] for index in chosen]


def _by_label(tiles: Sequence[TrainingTile]) -> Iterator[list[int]]:
    for label in sorted({-1 if tile.label is None else tile.label for tile in tiles}):
        yield [index for index, tile in enumerate(tiles) if (-1 if tile.label is None else tile.label) == label]


def colour_statistics(tiles: Sequence[TrainingTile]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per colour plane, values in [0, 1], from every fourth row and column."""
    pixels = np.concatenate([tile.pixels[::4, ::4].reshape(-1, 3) for tile in tiles]) / 255.0
    return pixels.mean(axis=0).tolist(), pixels.std(axis=0).tolist()
