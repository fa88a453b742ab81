"""Where the tumour is on a slide, from a mask picture, a mask slide or outlines, region by region."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import DataError
from histoloop.exchange.mask_pictures import open_mask_picture
from histoloop.exchange.mask_placing import place_picture
from histoloop.exchange.mask_values import is_two_valued, meaning_of
from histoloop.exchange.outlines.classes import assign_classes
from histoloop.exchange.outlines.filling import FilledOutlines
from histoloop.exchange.outlines.placing import Ground, bounds_of, place_areas
from histoloop.exchange.outlines.read import OUTLINE_SUFFIXES, holds_outlines, read_outlines
from histoloop.slides.find import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.exchange.mask_pictures import MaskPicture
    from histoloop.exchange.mask_placing import PlacedPicture
    from histoloop.exchange.mask_values import Meaning
    from histoloop.geometry import Region
    from histoloop.slides.reader import Slide

MASK_SUFFIXES = PICTURE_SUFFIXES | OUTLINE_SUFFIXES

_TUMOUR_NAMES = (
    "tumour", "metastasis", "metastases", "metastatic", "cancer", "carcinoma", "malignant",
    "_0", "_1",  # groups of CAMELYON16; what is in _2 was cut out of these
)  # fmt: skip
_OTHER_NAMES = ("normal", "benign", "exclusion", "background", "stroma", "necrosis", "other", "_2")
_VALUES = {name: int(name in _TUMOUR_NAMES) for name in (*_TUMOUR_NAMES, *_OTHER_NAMES)}
_TUMOUR = ClassScheme(labels=(LabelClass("metastatic", "tumour"),), masks=(MaskClass("tumour", "#d1495b"),))

_SEARCHED_PX = 400_000_000


class TumourMask(Protocol):
    """Tumour of a slide; `notes` are sentences on what was assumed and left out."""

    notes: tuple[str, ...]

    def is_empty(self) -> bool:
        """Whether there is none at all."""
        ...

    def tumour(self, region: Region) -> NDArray[np.bool_]:
        """(height, width) of a level-0 region inside the slide, at level-0 resolution."""
        ...


@contextmanager
def open_tumour_mask(path: Path, slide: Slide, *, value: int | None = None) -> Iterator[TumourMask]:
    """The mask of a slide. Pictures may be smaller than the slide by a constant factor; tiled TIFFs are read in pieces.

    `value` is the mask value of tumour in pictures, None for all but 0. Outlines count from where their program does
    (exchange/outlines/placing.py); areas of other classes (normal, exclusion, ...) are cut out of larger ones.
    DataError names what does not fit.
    """
    if holds_outlines(path):
        yield _Outlines(path, slide)
        return
    with open_mask_picture(path) as picture:
        yield _Picture(place_picture(picture, slide.extent, _ground(slide)), _meaning(picture, value))


def _ground(slide: Slide) -> Ground:
    return Ground(slide.path.name, slide.extent, bounds_of(slide.properties, slide.extent), slide.mpp)


def _meaning(picture: MaskPicture, value: int | None) -> Meaning:
    """What is tumour in a picture: all foreground, or one value; of black and white, 1 is white.

    Pictures as large as slides are not looked through beforehand.
    """
    if value is None and picture.is_colour:
        return meaning_of(picture, _TUMOUR, foreground=1)
    if value is None:
        return lambda pixels: (pixels != 0).astype(np.uint8)
    if picture.is_colour:
        raise DataError(
            f"{picture.path} has colours, and no value {value}.",
            advice="Save it with one grey value per class, or leave --mask-value out where it has one colour on black.",
        )
    is_small = picture.width * picture.height <= _SEARCHED_PX
    if value == 1 and is_small and is_two_valued(picture.values()):
        return lambda pixels: (pixels != 0).astype(np.uint8)
    return lambda pixels: (pixels == value).astype(np.uint8)


class _Picture:
    """A mask picture."""

    def __init__(self, placed: PlacedPicture, meaning: Meaning) -> None:
        self._placed, self._meaning = placed, meaning
        self.notes: tuple[str, ...] = (placed.assumed,) if placed.assumed else ()

    def is_empty(self) -> bool:
        return not any(self._meaning(band).any() for band in self._placed.picture.bands())

    def tumour(self, region: Region) -> NDArray[np.bool_]:
        found = np.zeros((region.height, region.width), np.bool_)
        inside = region.intersection(self._placed.region)
        if inside is not None:
            rows = slice(inside.y - region.y, inside.bottom - region.y)
            columns = slice(inside.x - region.x, inside.right - region.x)
            found[rows, columns] = self._meaning(self._placed.read(inside)) > 0
        return found


class _Outlines:
    """Areas of tumour, less those of other classes in them."""

    def __init__(self, path: Path, slide: Slide) -> None:
        outlines = read_outlines(path)
        assigned = assign_classes(outlines, path, _VALUES)
        if assigned.skipped and not assigned.areas:
            raise DataError(
                f"{path} has no outline that can be used: {_counted(assigned.skipped)}.",
                advice="Give its outlines of tumour the class tumour.",
            )
        placed = place_areas(assigned.areas, outlines, path, _ground(slide))
        left_out = f"left out: {_counted(assigned.skipped)}" if assigned.skipped else ""
        self.notes: tuple[str, ...] = tuple(filter(None, (placed.assumed, left_out)))
        self._filled = FilledOutlines(placed.areas)

    def is_empty(self) -> bool:
        return not any(area.value == 1 for area in self._filled.areas)

    def tumour(self, region: Region) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self._filled.read(region) == 1
        return found


def _counted(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in skipped.items())
