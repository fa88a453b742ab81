"""Masks out of maps: the mask classes' probabilities per pixel, or one foreground's and raw label maps per cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

    from histoloop.annotations.records import ForegroundClasses, Mask

Floats = NDArray[np.float32]


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
) -> Mask:
    """Mask (H, W) of a window at map pixels (x, y): 0, or the mask class likeliest there.

    `labels_CHW` are the raw label maps of the whole slide, one cell per `stride_px` map pixels. They are upsampled
    (bilinearly, the maps and never a mask), softmaxed over the labels and summed per mask class; ties go to the
    lowest class. A window's mask equals the same part of the whole slide's mask.
    """
    foreground = foreground_HW > threshold
    if not foreground.any():
        return np.zeros(foreground.shape, np.uint8)
    values = np.array(scheme.foreground_values)
    classes = np.unique(values)
    if len(classes) == 1:
        return np.where(foreground, classes[0], 0).astype(np.uint8)
    logits = upsample(labels_CHW, stride_px=stride_px, x=x, y=y, width=foreground.shape[1], height=foreground.shape[0])
    logits -= logits.max(axis=0)
    weights = np.exp(logits, out=logits)
    likeliest, _weight = _likeliest((_sum(weights, values == value) for value in classes), classes.tolist())
    return likeliest * foreground


def _sum(planes: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """The sum (H, W) of some planes."""
    first, *others = np.flatnonzero(chosen)
    total: Floats = planes[first].copy() if others else planes[first]
    for number in others:
        total += planes[number]
    return total


def upsample(maps_CHW: Floats, *, stride_px: float, x: int, y: int, width: int, height: int) -> Floats:
    """Window (C, height, width) at (x, y) of the maps enlarged by `stride_px`, bilinear, align_corners=False."""
    rows, row_share = _neighbours(y, height, stride_px, maps_CHW.shape[1])
    columns, column_share = _neighbours(x, width, stride_px, maps_CHW.shape[2])
    maps_CHW = maps_CHW[:, :, columns[0][0] : columns[1][-1] + 1]
    columns = (columns[0] - columns[0][0], columns[1] - columns[0][0])
    top, bottom = maps_CHW[:, rows[0]], maps_CHW[:, rows[1]]
    along_rows = top + (bottom - top) * row_share[:, None]
    left: Floats = np.take(along_rows, columns[0], axis=2)
    enlarged: Floats = np.take(along_rows, columns[1], axis=2)
    enlarged -= left
    enlarged *= column_share
    enlarged += left
    return enlarged


def _neighbours(
    start: int, count: int, stride: float, cells: int
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], Floats]:
    """The two cells around each pixel, and how far it is from the first to the second, in [0, 1]."""
    position = np.clip((np.arange(start, start + count) + 0.5) / stride - 0.5, 0, cells - 1)
    first = np.floor(position).astype(np.intp)
    return (first, np.minimum(first + 1, cells - 1)), (position - first).astype(np.float32)
