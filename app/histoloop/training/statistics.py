"""The statistics of a network's training tiles, by which it knows slides that are unlike them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from histoloop.inference.likeness import ACCEPTED, BLOCK_PX, MARGIN, TrainingStatistics, fit_statistics
from histoloop.language import tr
from histoloop.networks.network import evaluating
from histoloop.progress import Progress
from histoloop.training.augment import vary_stain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.inference.model import Model
    from histoloop.progress import Work
    from histoloop.slides.reader import Pixels
    from histoloop.training.augment import AugmentSettings
    from histoloop.training.samples import TrainingTile

FEWEST_TILES, FEWEST_CASES = 12, 5
"""Of fewer training tiles, or of tiles of fewer cases, nothing is stated: how cases differ is not known."""

VIEWS = 2
"""Besides each tile as it is, at least so many in the stains and scales that the network was trained in."""

FEWEST_VIEWS = 200
"""Of few tiles there are more views each, so many of all of them."""

HELD_OUT = 0.2
_CELL_PX = 32


def learn_statistics(
    model: Model, tiles: Sequence[TrainingTile], augmentation: AugmentSettings, *, seed: int
) -> Work[TrainingStatistics | None]:
    """Statistics of the training tiles of a model, in the views that it learned from.

    None of too few tiles or cases, and where its features tell no tile from another (see `fit_statistics`).

    A fifth of the tiles, whole cases where they have one, is held out to set the threshold.
    """
    if len(tiles) < FEWEST_TILES or len(set(_cases(tiles))) < FEWEST_CASES:
        return None
    count = max(VIEWS, math.ceil(FEWEST_VIEWS / len(tiles)))
    generator = torch.Generator().manual_seed(seed)
    features: list[list[NDArray[np.float32]]] = []
    owners: list[int] = []
    with evaluating(model.network):
        for number, tile in enumerate(tiles):
            yield Progress(tr("Measuring what the training tiles look like"), number, len(tiles))
            views = [tile.pixels, *(_view(tile.pixels, augmentation, generator) for _ in range(count))]
            for view in views:
                features.append(model.block_features(view))
                owners += [number] * len(features[-1][0])
    per_depth = [np.concatenate(depth) for depth in zip(*features, strict=True)]
    apart = _held_out(tiles, seed)[owners]
    groups = np.array([-1 if tile.label is None else tile.label for tile in tiles])[owners]
    return fit_statistics(
        [depth[~apart] for depth in per_depth], groups[~apart], held_out=[depth[apart] for depth in per_depth]
    )


def statistics_figures() -> dict[str, float]:
    """For the card: by which share of held-out training tiles, and with which margin, unlikeness is told."""
    return {"training_like_accepted": ACCEPTED, "training_like_margin": MARGIN}


def with_annotated(statistics: TrainingStatistics, model: Model, tiles: Sequence[TrainingTile]) -> TrainingStatistics:
    """The statistics after a network with this backbone learned from more tiles."""
    with evaluating(model.network):
        found = [model.block_features(tile.pixels, step_px=BLOCK_PX // 2) for tile in tiles]
    return statistics.with_tiles([np.concatenate(depth) for depth in zip(*found, strict=True)]) if found else statistics


def _held_out(tiles: Sequence[TrainingTile], seed: int) -> NDArray[np.bool_]:
    """Which tiles are held out: whole cases, and each tile without one by itself."""
    cases = _cases(tiles)
    order = sorted(set(cases))
    np.random.default_rng(seed).shuffle(order)
    chosen = set(order[: max(1, round(HELD_OUT * len(order)))])
    return np.array([case in chosen for case in cases])


def _cases(tiles: Sequence[TrainingTile]) -> list[str]:
    """The case of each tile; one of its own where it has none."""
    return [tile.case or f"tile {number}" for number, tile in enumerate(tiles)]


def _view(pixels: Pixels, augmentation: AugmentSettings, generator: torch.Generator) -> Pixels:
    """A tile in another stain and scale, whole cells of its middle, as training varies it."""
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    planes = vary_stain(planes, augmentation, generator)
    low, high = math.log(augmentation.scale_min), math.log(augmentation.scale_max)
    scale = math.exp(low + (high - low) * float(torch.rand((), generator=generator)))
    height, width = (max(_CELL_PX, round(side * scale)) for side in pixels.shape[:2])
    planes = functional.interpolate(
        planes, size=(height, width), mode="bilinear", align_corners=False, antialias=scale < 1
    )
    rows, columns = (
        max(_CELL_PX, min(side, own) // _CELL_PX * _CELL_PX)
        for side, own in zip((height, width), pixels.shape[:2], strict=True)
    )
    top, left = (height - rows) // 2, (width - columns) // 2
    view = planes[0, :, top : top + rows, left : left + columns].permute(1, 2, 0)
    return np.asarray((view * 255).round().clamp(0, 255).to(torch.uint8).numpy())
