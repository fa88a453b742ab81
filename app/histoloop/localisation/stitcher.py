"""Masks out of maps: the mask classes' probabilities per pixel, or one foreground's and raw label maps per cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax

if TYPE_CHECKING:
    from collections.abc import Iterable

    from histoloop.annotations.records import ForegroundClasses, Mask

Floats = NDArray[np.float32]

NAMING_CELLS = 2.0
"""Standard deviation, in cells of the class maps, over which these are averaged to name the class of a mask: measured
(docs/methods.md). The cell at a pixel is unsure by itself; what a whole picture is named by is wrong where it holds two
classes."""
_TRUNCATED = 4.0
"""A Gaussian ends at so many standard deviations."""


def foreground_of(masks: Floats) -> Floats:
    """Foreground probability (H, W): that itself, or the sum of the mask classes' probabilities (K, H, W)."""
    if masks.ndim == 2:
        return masks
    foreground: Floats = np.minimum(masks.sum(axis=0, dtype=np.float32), np.float32(1))
    return foreground


def mask_of_classes(classes_KHW: Floats, *, threshold: float) -> Mask:
    """Mask (H, W) of the mask classes' probabilities p (K, H, W), the background's being 1 - sum p.

    A pixel takes the likeliest class c (of equals the lowest) where (1 - t) p_c > t (1 - sum p): with the threshold
    t = 1/2 that is the argmax over classes and background, and with one class it is p > t.
    """
    likeliest, probability = _likeliest(classes_KHW, range(1, len(classes_KHW) + 1))
    foreground = (1 - threshold) * probability > threshold * (1 - foreground_of(classes_KHW))
    return likeliest * foreground


def _likeliest(classes: Iterable[Floats], values: Iterable[int]) -> tuple[Mask, Floats]:
    """The value (H, W) of the highest of some planes, of equals the first one's, and the highest (H, W)."""
    planes = iter(zip(classes, values, strict=True))
    first, value = next(planes)
    likeliest, highest = np.full(first.shape, value, np.uint8), first.copy()
    for plane, value in planes:
        np.copyto(likeliest, np.uint8(value), where=plane > highest)
        np.maximum(highest, plane, out=highest)
    return likeliest, highest


def hard_mask(masks: Floats, *, threshold: float) -> NDArray[np.bool_] | Mask:
    """The mask of probabilities: a foreground (H, W), or values of mask classes (K, H, W)."""
    return masks > threshold if masks.ndim == 2 else mask_of_classes(masks, threshold=threshold)


def mask_from_maps(
    foreground_HW: Floats,
    labels_CHW: Floats,
    scheme: ForegroundClasses,
    *,
    threshold: float,
    stride_px: float,
    x: int = 0,
    y: int = 0,
    average_cells: float = NAMING_CELLS,
) -> Mask:
    """Mask (H, W) of a window at map pixels (x, y): 0, or the mask class likeliest around there.

    `labels_CHW` are the raw label maps of the whole slide, one cell per `stride_px` map pixels. They are softmaxed over
    the labels, summed per mask class and averaged around each cell by a Gaussian of `average_cells` standard deviation
    (0: as they are), then upsampled (bilinearly, the maps and never a mask); ties go to the lowest class. Cells that
    were not predicted, whose maps are all 0, say nothing. A window's mask equals the same part of the whole slide's
    mask.
    """
    foreground = foreground_HW > threshold
    if not foreground.any():
        return np.zeros(foreground.shape, np.uint8)
    values = np.array(scheme.foreground_values)
    classes = np.unique(values)
    if len(classes) == 1:
        return np.where(foreground, classes[0], 0).astype(np.uint8)
    rows = _neighbours(y, foreground.shape[0], stride_px, labels_CHW.shape[1])
    columns = _neighbours(x, foreground.shape[1], stride_px, labels_CHW.shape[2])
    reach = round(_TRUNCATED * average_cells)
    top, left = (max(0, int(along.first[0]) - reach) for along in (rows, columns))
    bottom, right = (int(along.second[-1]) + reach + 1 for along in (rows, columns))
    near_CHW = np.asarray(labels_CHW[:, top:bottom, left:right], np.float32)
    weights_CHW = softmax(near_CHW, axis=0) * near_CHW.any(axis=0)
    planes_KHW = np.stack([weights_CHW[values == value].sum(axis=0) for value in classes])
    if average_cells:
        sigmas = (0, average_cells, average_cells)
        planes_KHW = ndimage.gaussian_filter(planes_KHW, sigmas, mode="constant", truncate=_TRUNCATED)
    likeliest, _weight = _likeliest(_enlarged(planes_KHW, rows.less(top), columns.less(left)), classes.tolist())
    return likeliest * foreground


def upsample(maps_CHW: Floats, *, stride_px: float, x: int, y: int, width: int, height: int) -> Floats:
    """Window (C, height, width) at (x, y) of the maps enlarged by `stride_px`, bilinear, align_corners=False."""
    rows = _neighbours(y, height, stride_px, maps_CHW.shape[1])
    columns = _neighbours(x, width, stride_px, maps_CHW.shape[2])
    return _enlarged(maps_CHW, rows, columns)


@dataclass(frozen=True, slots=True, eq=False)
class _Neighbours:
    """Along an axis: the two cells around each pixel, and how far it is from the first to the second, in [0, 1]."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    share: Floats

    def less(self, cells: int) -> _Neighbours:
        """In maps that begin so many cells later."""
        return _Neighbours(self.first - cells, self.second - cells, self.share)


def _neighbours(start: int, count: int, stride: float, cells: int) -> _Neighbours:
    position = np.clip((np.arange(start, start + count) + 0.5) / stride - 0.5, 0, cells - 1)
    first = np.floor(position).astype(np.intp)
    return _Neighbours(first, np.minimum(first + 1, cells - 1), (position - first).astype(np.float32))


def _enlarged(maps_CHW: Floats, rows: _Neighbours, columns: _Neighbours) -> Floats:
    """Bilinear, (C, height, width)."""
    maps_CHW = maps_CHW[:, :, columns.first[0] : columns.second[-1] + 1]
    columns = columns.less(int(columns.first[0]))
    top, bottom = maps_CHW[:, rows.first], maps_CHW[:, rows.second]
    along_rows = top + (bottom - top) * rows.share[:, None]
    left: Floats = np.take(along_rows, columns.first, axis=2)
    enlarged: Floats = np.take(along_rows, columns.second, axis=2)
    enlarged -= left
    enlarged *= columns.share
    enlarged += left
    return enlarged
