"""How unlike its training tiles a slide is for a network: Mahalanobis distances of pooled features, at every depth.

Lee et al., 'A simple unified framework for detecting out-of-distribution samples and adversarial attacks' (2018):
features of each layer as Gaussians around several middles with one covariance. Here the middles are those of the label
classes, and of each tile that people annotated since; one depth more is the colour of the pixels, where stains differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from histoloop.slides.reader import Pixels

Floats = NDArray[np.float32]

BLOCK_PX = 256
"""Side of what features are pooled over, in pixels that the network reads; less where a tile is smaller."""

ACCEPTED = 0.98
"""Share of the held-out training tiles that lie within the scale of a depth, its margin aside."""

MARGIN = 1.6
"""What the network finds may be so many times farther than that; colours may not. Slides of another laboratory are far
by the first and hardly by the second, other stains by both (docs/results.md)."""

_LEAST_COLOUR = 0.01
_DENSITY: Floats = -np.log((np.arange(256, dtype=np.float32) + 1) / 256)
_SHRINKAGE = 0.05
_RIDGE = 1e-4
_ROUNDING = 1e-6
"""What varies by less than a thousandth of the features' own size is taken to vary so much: that may be rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """One depth: `middles` (M, C) of the features, `whitening` (C, C) makes their covariance the identity.

    `scale` is the distance where likeness ends.
    """

    middles: Floats
    whitening: Floats
    scale: float

    def distances(self, features_NC: Floats) -> Floats:
        """(N, M) Mahalanobis distances to the middles, per dimension and in units of the scale."""
        whitening = self.whitening.astype(np.float64)  # far from all middles, float32 would lose what is between
        features, middles = features_NC @ whitening, self.middles @ whitening
        squares = (features**2).sum(axis=1)[:, None] + (middles**2).sum(axis=1) - 2 * features @ middles.T
        distances: Floats = (np.sqrt(np.maximum(squares, 0) / self.whitening.shape[1]) / self.scale).astype(np.float32)
        return distances


@dataclass(frozen=True, slots=True, eq=False)
class TrainingStatistics:
    """What the features of a network's training tiles are like; `threshold` is where likeness ends, in the scales."""

    depths: tuple[Depth, ...]
    threshold: float

    def distances(self, features: Sequence[Floats]) -> Floats:
        """(N,) of blocks whose features (N, C) are given depth by depth; above 1 is unlike the training tiles.

        Of several depths the distance to a middle is that of the depth where it is largest; the nearest middle counts.
        """
        per_middle = np.stack([depth.distances(own) for depth, own in zip(self.depths, features, strict=True)])
        nearest: Floats = per_middle.max(axis=0).min(axis=1) / np.float32(self.threshold)
        return nearest

    def with_tiles(self, features: Sequence[Floats]) -> TrainingStatistics:
        """The same after learning from more tiles: each block of them is a middle of its own."""
        more = (
            Depth(np.concatenate([depth.middles, own]).astype(np.float32), depth.whitening, depth.scale)
            for depth, own in zip(self.depths, features, strict=True)
        )
        return TrainingStatistics(tuple(more), self.threshold)

    def as_arrays(self) -> dict[str, Floats]:
        """For a file of tensors."""
        arrays = {"threshold": np.array([self.threshold], np.float32)}
        for number, depth in enumerate(self.depths):
            arrays |= {f"depth{number}.middles": depth.middles, f"depth{number}.whitening": depth.whitening}
            arrays[f"depth{number}.scale"] = np.array([depth.scale], np.float32)
        return arrays

    @staticmethod
    def of_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> TrainingStatistics:
        """Back from a file; KeyError or ValueError for what is not of statistics."""
        depths: list[Depth] = []
        while f"depth{len(depths)}.scale" in arrays:
            name = f"depth{len(depths)}"
            middles, whitening = (arrays[f"{name}.{part}"].astype(np.float32) for part in ("middles", "whitening"))
            if middles.ndim != 2 or whitening.shape != (middles.shape[1],) * 2:
                raise ValueError(f"{name} has shapes {middles.shape} and {whitening.shape}")
            depths.append(Depth(middles, whitening, float(arrays[f"{name}.scale"].astype(np.float32)[0])))
        threshold = float(arrays["threshold"].astype(np.float32)[0])
        if not depths or len({len(depth.middles) for depth in depths}) != 1 or not threshold > 0:
            raise ValueError(f"{len(depths)} depths, threshold {threshold}")
        return TrainingStatistics(tuple(depths), threshold)


def fit_statistics(
    features: Sequence[Floats], groups: NDArray[np.intp], *, held_out: Sequence[Floats], accepted: float = ACCEPTED
) -> TrainingStatistics | None:
    """Statistics of training tiles: features (N, C) depth by depth, `groups` (N,) whose means are the middles.

    The first depth is that of the colours. Its scale lets the share `accepted` of the `held_out` tiles pass, of which
    none took part in the means; those of the others let pass what is up to `MARGIN` times as far. None
    where features of a depth are no finite numbers, or alike in all tiles, as those of a network that has hardly
    learned from random weights may be: they tell no tile from another.
    """
    if not all(np.isfinite(each).all() for each in (*features, *held_out)):
        return None
    depths: list[Depth] = []
    for own, apart in zip(features, held_out, strict=True):
        middles = np.stack([own[groups == group].mean(axis=0) for group in np.unique(groups)])
        centred = (own - middles[np.searchsorted(np.unique(groups), groups)]).astype(np.float64)
        covariance = centred.T @ centred / len(own)
        spread = np.diag(covariance)
        floor = _ROUNDING * float(np.mean(np.square(own, dtype=np.float64))) + 1e-12
        covariance = (1 - _SHRINKAGE) * covariance + np.diag(_SHRINKAGE * spread + _RIDGE * spread.mean() + floor)
        values, vectors = np.linalg.eigh(covariance)
        whitening = (vectors / np.sqrt(values)).astype(np.float32)
        unscaled = Depth(middles.astype(np.float32), whitening, 1.0)
        scale = float(np.quantile(unscaled.distances(apart).min(axis=1), accepted)) * (MARGIN if depths else 1.0)
        if not (spread > 0).any() or not 0 < scale < np.inf:
            return None
        depths.append(Depth(unscaled.middles, whitening, scale))
    return TrainingStatistics(tuple(depths), 1.0)


def pooled_blocks(
    pixels: Pixels,
    stages: Sequence[Tensor],
    *,
    step_px: int = BLOCK_PX,
) -> tuple[list[Floats], list[tuple[int, int, int, int]]]:
    """Features (N, C) depth by depth of the blocks of a tile, and where each is: top, left, height, width in pixels.

    `stages` (1, C, h, w) are those of the backbone over `pixels` (H, W, 3), which may be padded at the right and
    bottom; a block begins every `step_px`. A last part of less than a block belongs to none, unless there is no other.
    """
    height, width = pixels.shape[:2]
    places = [
        (row, column, min(BLOCK_PX, height), min(BLOCK_PX, width))
        for row in range(0, max(1, height - BLOCK_PX + 1), step_px)
        for column in range(0, max(1, width - BLOCK_PX + 1), step_px)
    ]
    colours = np.stack([_colour(pixels[y : y + h, x : x + w]) for y, x, h, w in places])
    finest = 2 * stages[0].shape[-1]
    pooled = []
    for stage in stages:
        cell = finest / stage.shape[-1]
        means = [
            stage[0, :, _cells(y, h, cell), _cells(x, w, cell)].permute(1, 2, 0).float().mean(dim=1).mean(dim=0).cpu()
            for y, x, h, w in places  # row by row: channels lie side by side, and both at once is ten times slower
        ]
        pooled.append(torch.stack(means).numpy())
    return [colours, *pooled], places


def _cells(start: int, length: int, cell: float) -> slice:
    first = int(start // cell)
    return slice(first, max(first + 1, int((start + length) // cell)))


def _colour(pixels_HW3: Pixels) -> Floats:
    """(10,) means and spreads of the optical densities of a block, and of their differences between the channels."""
    density_N3 = np.take(_DENSITY, pixels_HW3.reshape(-1, 3))
    first = density_N3[0].copy()
    density_N3 -= first  # of a block of one colour nothing is left to be rounded
    ones = np.ones(len(density_N3), np.float32)
    offset = ones @ density_N3 / len(density_N3)
    density_N3 -= offset
    covariance = (density_N3.T @ density_N3).astype(np.float64) / len(density_N3)
    mean, variances = first + offset, covariance.diagonal()
    apart = variances[:2] + variances[1:] - 2 * covariance.diagonal(1)
    spreads = [np.log(np.sqrt(np.maximum(squares, 0)) + _LEAST_COLOUR) for squares in (variances, apart)]
    return np.concatenate([mean, spreads[0], mean[:2] - mean[1:], spreads[1]]).astype(np.float32)
