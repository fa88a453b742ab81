"""Measure how small a change of a tile changes the label a model gives it, and state it on the model's card."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from histoloop.errors import DataError, ModelError
from histoloop.inference.model import Model
from histoloop.progress import Progress, Work, mapped
from histoloop.store.cards import Card
from histoloop.training.ddn import DdnSettings, ScoresOf, ddn_steps, robustness_figures
from histoloop.training.measures.intervals import FiguresByCase, figures_by_case
from histoloop.training.samples import TrainingTile, collate
from histoloop.workflows.reports import RobustnessReport, TileRobustness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray


BATCH = 4
"""Tiles attacked at once: a matter of memory alone."""
HEADING = "## Robustness"
_GREY_LEVELS = 255


def attack_figures(
    model: Model,
    card: Card,
    tiles: Sequence[TrainingTile],
    *,
    count: int,
    settings: DdnSettings,
    seed: int,
    target: int | None = None,
) -> Work[FiguresByCase]:
    """Figures named `attack_...` of an attack on `count` tiles of one label, sampled at random; none without any.

    With a `target` the attack is to that label, and on tiles of others.
    """
    labelled = [tile for tile in tiles if len(tile.labels) == 1 and tile.label != target]
    if not labelled:
        return FiguresByCase()
    chosen = sorted(np.random.default_rng(seed).permutation(len(labelled))[:count].tolist())
    report = yield from measure_robustness(
        model, card, [labelled[index] for index in chosen], settings=settings, seed=seed, target=target
    )
    return FiguresByCase(report.figures, report.intervals).named("attack_{}")


def with_robustness(card: Card, figures: FiguresByCase, *, measured_on: str) -> Card:
    """The card with the figures of an attack and a section that explains them; as it is without figures.

    `measured_on` completes 'tiles': 'of the validation part'.
    """
    if not figures.values:
        return card
    found = FiguresByCase(card.figures, card.intervals) | figures.rounded(4)
    text = f"{card.description.rstrip()}\n\n{HEADING}\n\n{_in_words(figures.rounded(4).values, measured_on)}\n"
    return dataclasses.replace(card, figures=found.values, intervals=found.intervals, description=text)


def robustness_of(card: Card) -> FiguresByCase:
    """The figures of an attack that a card has, with their intervals."""

    def own(table: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in table.items() if name.startswith("attack_")}

    return FiguresByCase(own(card.figures), own(card.intervals))


def _in_words(figures: Mapping[str, float], measured_on: str) -> str:
    tiles, steps = figures["attack_tiles"], figures["attack_steps"]
    opening = (
        f"How little must a tile change for the model to give it another label? A search for the smallest change (DDN, "
        f"{steps:.0f} steps) was tried on {tiles:.0f} labelled {'tile' if tiles == 1 else 'tiles'} {measured_on}: "
        f"{figures['attack_clean_accuracy']:.0%} were labelled rightly to begin with, and "
        f"{figures['attack_success_rate']:.0%} were wrong or could be made so."
    )
    if "attack_median_l2" not in figures:
        return f"{opening} A longer search might have done more."
    return (
        f"{opening} Half of those needed a change of no more than {figures['attack_median_l2']:.3g}, the L2 norm: the "
        "square root of the sum of the squared changes of all the tile's red, green and blue values, each between 0 "
        "and 1 (a tile mislabelled as it stands counts with 0). Spread evenly over the tile, that is "
        f"{figures['attack_median_grey_levels']:.2g} of the {_GREY_LEVELS} grey levels of each value. Larger is "
        "better: the smaller the change, the more a label hangs on what nobody can see. Compare norms only of tiles of "
        "one size. The figure says nothing of the masks."
    )


def measure_robustness(
    model: Model,
    card: Card,
    tiles: Sequence[TrainingTile],
    *,
    settings: DdnSettings,
    seed: int,
    batch_size: int = BATCH,
    target: int | None = None,
) -> Work[RobustnessReport]:
    """Attack every tile that has one label by DDN; the report is in the order of the tiles.

    The network of the `model`, in evaluation mode, is that of the `card`, whose figures are not asked for. Figures are
    those of `robustness_figures`, `tiles`, `steps`, and `median_grey_levels`, the median over the same tiles of the
    root mean square change of a value, whose range is 255: unlike norms, those of tiles of several sizes compare.

    Tiles are scored as in evaluation, padded to the stride only; the padding is not attacked and no tile sees its
    batch mates, so that `batch_size` matters for memory alone. `seed` is of the random steps where a network has no
    gradient. With a `target` the attack is to that label: a tile is broken where it is given this one, and there is no
    `clean_accuracy`. DataError without such a tile, ModelError for a model that nothing can be measured of.
    """
    labelled = [tile for tile in tiles if len(tile.labels) == 1]
    _check(card, labelled)
    attacked = _Attacked(model, card)
    stage, generator = f"Attacking {card.name}", torch.Generator().manual_seed(seed)
    found: dict[int, TileRobustness] = {}
    yield Progress(stage, 0, len(labelled))
    for chosen in _batches_of_one_size(labelled, batch_size=batch_size, stride_px=model.network.stride_px):
        attack = attacked.attack([labelled[index] for index in chosen], settings, generator, target)
        step_of = functools.partial(_step, stage, done=len(found), size=len(chosen), total=len(labelled))
        outcomes = yield from mapped(attack, step_of)
        found |= dict(zip(chosen, outcomes, strict=True))
    report = tuple(found[index] for index in range(len(labelled)))

    def figures_of(rows: NDArray[np.intp]) -> dict[str, float]:
        chosen = [report[row] for row in rows]
        figures = robustness_figures([tile.norm_l2 for tile in chosen], [tile.broken for tile in chosen])
        if target is not None:
            del figures["clean_accuracy"]  # a tile given the target as it stands is not one misclassified
        return figures | _median_grey_levels(chosen, [labelled[row] for row in rows])

    figures = figures_by_case(figures_of, [tile.case for tile in labelled])
    extent = {"tiles": float(len(report)), "steps": float(settings.steps)}
    return RobustnessReport(report, {**extent, **figures.values}, figures.intervals)


def _median_grey_levels(report: Sequence[TileRobustness], tiles: Sequence[TrainingTile]) -> dict[str, float]:
    spread = [
        _GREY_LEVELS * outcome.norm_l2 / tile.pixels.size**0.5
        for outcome, tile in zip(report, tiles, strict=True)
        if outcome.broken
    ]
    return {"median_grey_levels": float(np.median(spread))} if spread else {}


def _check(card: Card, labelled: Sequence[TrainingTile]) -> None:
    if not labelled:
        raise DataError(
            "No tile has exactly one label.", advice="Robustness is measured on tiles whose one label is known."
        )
    if len(card.scheme.labels) < 2:
        raise ModelError(
            f"{card.name} knows one label only, which no change of a tile can change.",
            advice="Choose a model with two labels or more.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Attacked:
    """The classifier that is attacked."""

    model: Model
    card: Card

    def scores_of(self, valid_BHW: Tensor) -> ScoresOf:
        """Its scores of tiles in [0, 1] with this padding."""

        def scores(tiles_BCHW: Tensor) -> Tensor:
            normalised_BCHW = self.model.colours.normalise(tiles_BCHW)
            return self.model.network.forward_classifier(normalised_BCHW, valid_BHW)[0]

        return scores

    def attack(
        self, tiles: Sequence[TrainingTile], settings: DdnSettings, generator: torch.Generator, target: int | None
    ) -> Work[list[TileRobustness]]:
        """What becomes of a batch of tiles."""
        batch = collate(tiles, multiple_px=self.model.network.stride_px).to(self.model.device)
        scores_of = self.scores_of(batch.valid_BHW)
        with torch.inference_mode():
            if not bool(torch.isfinite(scores_of(batch.tiles_BCHW)).all()):
                raise ModelError(
                    f"{self.card.name} gives scores that are not numbers.", advice="Choose or train another model."
                )
        result = yield from ddn_steps(
            scores_of,
            batch.tiles_BCHW,
            batch.labels_B if target is None else torch.full_like(batch.labels_B, target),
            settings,
            targeted=target is not None,
            valid_BHW=batch.valid_BHW,
            generator=generator,
        )
        names = self.card.scheme.label_names
        rows = zip(tiles, batch.labels_B.tolist(), result.success_B.tolist(), result.norm_B.tolist(), strict=True)
        return [TileRobustness(tile.name, names[label], broken, norm) for tile, label, broken, norm in rows]


def _step(stage: str, step: Progress, *, done: int, size: int, total: int) -> Progress:
    """A step of the attack on `size` tiles as progress through all `total`."""
    message = f"tiles {done + 1} to {done + size} of {total}" if size > 1 else f"tile {done + 1} of {total}"
    return Progress(stage, done + size * step.fraction, total, message)


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
