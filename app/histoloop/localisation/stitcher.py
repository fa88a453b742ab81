"""Masks out of maps: the mask classes' probabilities per pixel, or one foreground's and raw label maps per cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
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
    foreground = (1 - threshold) * classes_KHW.max(axis=0) > threshold * (1 - foreground_of(classes_KHW))
    return np.where(foreground, classes_KHW.argmax(axis=0) + 1, 0).astype(np.uint8)


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
    weights = np.exp(logits - logits.max(axis=0))
    per_class = np.stack([weights[values == value].sum(axis=0) for value in classes])
    likeliest = classes[per_class.argmax(axis=0)]
    return np.where(foreground, likeliest, 0).astype(np.uint8)


def upsample(maps_CHW: Floats, *, stride_px: float, x: int, y: int, width: int, height: int) -> Floats:
    """Window (C, height, width) at (x, y) of the maps enlarged by `stride_px`, bilinear, align_corners=False."""
    rows, row_share = _neighbours(y, height, stride_px, maps_CHW.shape[1])
    columns, column_share = _neighbours(x, width, stride_px, maps_CHW.shape[2])
    maps_CHW = maps_CHW[:, :, columns[0][0] : columns[1][-1] + 1]
    columns = (columns[0] - columns[0][0], columns[1] - columns[0][0])
    top, bottom = maps_CHW[:, rows[0]], maps_CHW[:, rows[1]]
    along_rows = top + (bottom - top) * row_share[:, None]
    left, right = along_rows[:, :, columns[0]], along_rows[:, :, columns[1]]
    enlarged: Floats = left + (right - left) * column_share
    return enlarged


def _neighbours(
    start: int, count: int, stride: float, cells: int
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], Floats]:
    """The two cells around each pixel, and how far it is from the first to the second, in [0, 1]."""
    position = np.clip((np.arange(start, start + count) + 0.5) / stride - 0.5, 0, cells - 1)
    first = np.floor(position).astype(np.intp)
    return (first, np.minimum(first + 1, cells - 1)), (position - first).astype(np.float32)
