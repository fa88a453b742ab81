"""Where the tumour is on a slide, from a mask picture, a mask slide or GeoJSON, region by region."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import DataError, SlideError
from histoloop.exchange.geojson import draw_areas, read_geojson_areas
from histoloop.exchange.mask_pictures import read_mask
from histoloop.slides.find import PICTURE_SUFFIXES
from histoloop.slides.reader import Slide, open_slide

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.exchange.geojson import Area
    from histoloop.geometry import Region

GEOJSON_SUFFIXES = frozenset({".geojson", ".json"})
MASK_SUFFIXES = PICTURE_SUFFIXES | GEOJSON_SUFFIXES

_TUMOUR_NAMES = ("tumour", "tumor", "metastasis", "metastases", "metastatic", "cancer", "carcinoma", "malignant")
_OTHER_NAMES = ("normal", "benign", "exclusion", "background", "stroma", "necrosis", "other")
_OUTLINES = ClassScheme(
    labels=(LabelClass("metastatic", "tumour"),),
    masks=tuple(MaskClass(name, "#d1495b") for name in (*_TUMOUR_NAMES, *_OTHER_NAMES)),
)


class TumourMask(Protocol):
    """Tumour of a slide."""

    def is_empty(self) -> bool:
        """Whether there is none at all."""
        ...

    def tumour(self, region: Region) -> NDArray[np.bool_]:
        """(height, width) of a level-0 region inside the slide, at level-0 resolution."""
        ...


@contextmanager
def open_tumour_mask(path: Path, slide: Slide, *, value: int | None = None) -> Iterator[TumourMask]:
    """The mask of a slide. Pictures may be smaller than the slide by a constant factor; pyramids are read in pieces.

    `value` is the mask value of tumour in pictures, None for all but 0. GeoJSON outlines are in level-0 pixels; areas
    of other classes (normal, exclusion, ...) are cut out when they come later. DataError names what does not fit.
    """
    if path.suffix.lower() in GEOJSON_SUFFIXES:
        yield _Outlines(read_geojson_areas(path, _OUTLINES))
        return
    pyramid = _open_pyramid(path)
    if pyramid is None:
        values = read_mask(path)
        yield _Picture(values > 0 if value is None else values == value, slide, path)
        return
    with pyramid:
        yield _Pyramid(pyramid, slide, value)


def _open_pyramid(path: Path) -> Slide | None:
    """A mask that OpenSlide reads piece by piece; None for plain pictures."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        mask = open_slide(path)
    except SlideError:
        return None  # read_mask tells what is wrong
    if mask.vendor == "picture":
        mask.close()
        return None
    return mask


def _another_size(path: Path, width: int, height: int, slide: Slide) -> DataError:
    return DataError(
        f"{path} is {width} x {height} pixels, its slide {slide.path.name} {slide.width} x {slide.height}.",
        advice="Give masks of the size of their slides, or smaller by one factor in both directions.",
    )


class _Picture:
    """A mask in memory, `downsample` level-0 pixels per mask pixel."""

    def __init__(self, mask: NDArray[np.bool_], slide: Slide, path: Path) -> None:
        height, width = mask.shape
        self._mask = mask
        self._downsample = slide.width / width
        if self._downsample < 1 or abs(slide.height / self._downsample - height) > 1:
            raise _another_size(path, width, height, slide)

    def is_empty(self) -> bool:
        return not self._mask.any()

    def tumour(self, region: Region) -> NDArray[np.bool_]:
        rows = self._nearest(region.y, region.height, self._mask.shape[0])
        columns = self._nearest(region.x, region.width, self._mask.shape[1])
        return self._mask[np.ix_(rows, columns)]

    def _nearest(self, start: int, length: int, count: int) -> NDArray[np.intp]:
        middles = (start + np.arange(length) + 0.5) / self._downsample
        nearest: NDArray[np.intp] = np.minimum(middles.astype(np.intp), count - 1)
        return nearest


class _Pyramid:
    """A mask as a slide of its own, of the same size."""

    def __init__(self, mask: Slide, slide: Slide, value: int | None) -> None:
        if mask.level_sizes[0] != slide.level_sizes[0]:
            raise _another_size(mask.path, mask.width, mask.height, slide)
        self._mask = mask
        self._value = value

    def is_empty(self) -> bool:
        return False  # not known without reading all of it

    def tumour(self, region: Region) -> NDArray[np.bool_]:
        values = self._mask.read_region(region).max(axis=2)
        found: NDArray[np.bool_] = values > 0 if self._value is None else values == self._value
        return found


class _Outlines:
    """Polygons; those of a region are found by their bounding boxes."""

    def __init__(self, areas: list[Area]) -> None:
        self._areas = [area for area in areas if area.rings and len(area.rings[0]) > 0]
        self._boxes_N4 = np.array(
            [(*area.rings[0].min(axis=0), *area.rings[0].max(axis=0)) for area in self._areas]
        ).reshape(-1, 4)

    def is_empty(self) -> bool:
        return not any(area.value <= len(_TUMOUR_NAMES) for area in self._areas)

    def tumour(self, region: Region) -> NDArray[np.bool_]:
        left, top, right, bottom = self._boxes_N4.T
        near = (left < region.right) & (right > region.x) & (top < region.bottom) & (bottom > region.y)
        values = draw_areas([self._areas[index] for index in np.flatnonzero(near)], region)
        found: NDArray[np.bool_] = (values > 0) & (values <= len(_TUMOUR_NAMES))
        return found
