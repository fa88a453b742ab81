"""Measure how small a change of a tile changes the label a model gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from histoloop.errors import DataError, ModelError
from histoloop.progress import Progress, Work
from histoloop.training.ddn import DdnSettings, ScoresOf, ddn_steps, robustness_figures
from histoloop.training.outputs import normalise
from histoloop.training.samples import TrainingTile, collate
from histoloop.workflows.reports import RobustnessReport, TileRobustness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.workflows.models import LoadedModel


def measure_robustness(
    model: LoadedModel, tiles: Sequence[TrainingTile], *, settings: DdnSettings, batch_size: int, seed: int
) -> Work[RobustnessReport]:
    """Attack every tile that has a label by DDN; the report is in the order of the tiles.

    Tiles are scored as in evaluation, padded to the stride only; the padding is not attacked and no tile sees its
    batch mates, so that `batch_size` matters for memory alone. `seed` is of the random steps where a network has no
    gradient. DataError without a labelled tile, ModelError for a model that nothing can be measured of.
    """
    labelled = [tile for tile in tiles if tile.label is not None]
    _check(model, labelled)
    stage, generator = f"Attacking {model.card.name}", torch.Generator().manual_seed(seed)
    found: dict[int, TileRobustness] = {}
    yield Progress(stage, 0, len(labelled))
    for chosen in _batches_of_one_size(labelled, batch_size=batch_size, stride_px=model.network.stride_px):
        attack = _attack(model, [labelled[index] for index in chosen], settings, generator)
        outcomes = yield from _told(attack, stage, done=len(found), size=len(chosen), total=len(labelled))
        found |= dict(zip(chosen, outcomes, strict=True))
    report = tuple(found[index] for index in range(len(labelled)))
    figures = robustness_figures([tile.norm_l2 for tile in report], [tile.broken for tile in report])
    return RobustnessReport(report, {"tiles": float(len(report)), **figures})


def _scores_of(model: LoadedModel, valid_BHW: Tensor) -> ScoresOf:
    """The scores of the model's classifier, of tiles in [0, 1] with this padding."""

    def scores(tiles_BCHW: Tensor) -> Tensor:
        normalised_BCHW = normalise(tiles_BCHW, model.card.mean, model.card.std)
        return model.network.look(normalised_BCHW, valid_BHW)[0]

    return scores


def _check(model: LoadedModel, labelled: Sequence[TrainingTile]) -> None:
    if not labelled:
        raise DataError("No tile has a label.", advice="Robustness is measured on tiles whose label is known.")
    if len(model.card.scheme.labels) < 2:
        raise ModelError(
            f"{model.card.name} knows one label only, which no change of a tile can change.",
            advice="Choose a model with two labels or more.",
        )


def _attack(
    model: LoadedModel, tiles: Sequence[TrainingTile], settings: DdnSettings, generator: torch.Generator
) -> Work[list[TileRobustness]]:
    batch = collate(tiles, multiple_px=model.network.stride_px).to(model.device)
    scores_of = _scores_of(model, batch.valid_BHW)
    with torch.inference_mode():
        if not bool(torch.isfinite(scores_of(batch.tiles_BCHW)).all()):
            raise ModelError(
                f"{model.card.name} gives scores that are not numbers.", advice="Choose or train another model."
            )
    result = yield from ddn_steps(
        scores_of, batch.tiles_BCHW, batch.labels_B, settings, valid_BHW=batch.valid_BHW, generator=generator
    )
    names = model.card.scheme.label_names
    rows = zip(tiles, batch.labels_B.tolist(), result.success_B.tolist(), result.norm_B.tolist(), strict=True)
    return [TileRobustness(tile.name, names[label], broken, norm) for tile, label, broken, norm in rows]


def _told(
    attack: Work[list[TileRobustness]], stage: str, *, done: int, size: int, total: int
) -> Work[list[TileRobustness]]:
    """An attack on `size` tiles whose steps are told as progress through all `total`."""
    while True:
        try:
            step = next(attack)
        except StopIteration as stop:
            outcomes: list[TileRobustness] = stop.value
            return outcomes
        message = f"tiles {done + 1} to {done + size} of {total}" if size > 1 else f"tile {done + 1} of {total}"
        yield Progress(stage, done + size * step.fraction, total, message)


def _batches_of_one_size(
    tiles: Sequence[TrainingTile], *, batch_size: int, stride_px: int
) -> Iterator[tuple[int, ...]]:
    """Indices of tiles that have one size once padded to the stride, so that none is padded for another's sake."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    sizes: dict[tuple[int, int], list[int]] = {}
    for index, tile in enumerate(tiles):
        rows, columns = tile.pixels.shape[:2]
        sizes.setdefault((-(-rows // stride_px), -(-columns // stride_px)), []).append(index)
    for members in sizes.values():
        for start in range(0, len(members), batch_size):
            yield tuple(members[start : start + batch_size])
