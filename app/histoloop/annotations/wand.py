"""What looks like the place that was pointed at, and is connected with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.color import rgb2lab

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEED_PX = 2
"""Half the side of the square whose colour is looked for."""

_TEXTURE_PX, _TEXTURE = 3.0, 1.0
"""How far texture is looked at, and how much it weighs beside colour."""


def unlikeness(pixels: NDArray[np.uint8], place: tuple[int, int]) -> NDArray[np.float32]:
    """How unlike each pixel (H, W) is to the place (x, y): the distance of colour and texture in units of Lab.

    The colour is Lab, smoothed over a pixel; the texture is the standard deviation of its lightness nearby.
    """
    lab = ndimage.gaussian_filter(rgb2lab(pixels).astype(np.float32), (1, 1, 0))
    light = lab[..., 0]
    mean, square = (ndimage.gaussian_filter(each, _TEXTURE_PX) for each in (light, light**2))
    texture = _TEXTURE * np.sqrt(np.maximum(square - mean**2, 0))
    features = np.dstack((lab, texture))
    x, y = place
    seed = features[max(0, y - _SEED_PX) : y + _SEED_PX + 1, max(0, x - _SEED_PX) : x + _SEED_PX + 1]
    away: NDArray[np.float32] = np.linalg.norm(features - np.median(seed, axis=(0, 1)), axis=-1)
    return away


def connected(away: NDArray[np.float32], place: tuple[int, int], tolerance: float) -> NDArray[np.bool_]:
    """(H, W): what is no further away than the tolerance and connected with the place (x, y), which always is."""
    x, y = place
    near = away <= tolerance
    near[y, x] = True
    labels, _count = ndimage.label(near)
    part: NDArray[np.bool_] = labels == labels[y, x]
    return part


def resampled(
    part: NDArray[np.bool_], *, downsample: float, offset: tuple[float, float], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """A part (H, W) of a view as pixels of a mask, of `size` (width, height).

    A pixel of the view is `downsample` mask pixels wide; the first begins at `offset` (x, y) in the mask, and may lie
    outside of it. What the view does not show is not in the part.
    """
    width, height = size
    columns = np.floor((np.arange(width) + 0.5 - offset[0]) / downsample).astype(int)
    rows = np.floor((np.arange(height) + 0.5 - offset[1]) / downsample).astype(int)
    seen = ((rows >= 0) & (rows < part.shape[0]))[:, None] & ((columns >= 0) & (columns < part.shape[1]))
    inside = part[np.clip(rows, 0, part.shape[0] - 1)][:, np.clip(columns, 0, part.shape[1] - 1)]
    shown: NDArray[np.bool_] = inside & seen
    return shown
