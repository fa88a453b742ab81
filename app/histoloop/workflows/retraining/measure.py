"""Measure a candidate on the regions held out, beside the model that it may replace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.training.measures.intervals import FiguresByCase, figures_by_case, paired_change
from histoloop.training.measures.metrics import CountedMasks, judged
from histoloop.workflows.contents.rounds import class_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.training.samples import TrainingTile
    from histoloop.workflows.prediction.loaded_model import LoadedModel

BEFORE = "{}_before"


def measure(
    candidate: LoadedModel, before: LoadedModel | None, tiles: Sequence[TrainingTile], *, class_ids: Sequence[int]
) -> FiguresByCase:
    """Figures of the candidate's masks, as they are shown, on tiles with masks; none without tiles.

    `dice` is the mean Dice of the foreground, with its interval by case. Where the tiles' masks tell the classes of
    `class_ids` (permanent ids, in the order of the mask values), `class_dice` is the mean of the classes' Dice, and
    each class has its own, pooled over the tiles. Those of the model `before` are named so. `change_low` and
    `change_high` bound the change of the mean Dice, see `paired_change`.
    """
    masked = [tile for tile in tiles if tile.mask is not None]
    if not masked:
        return FiguresByCase()
    counted = _count(candidate, masked, len(class_ids))
    figures = _figures(counted, masked, class_ids)
    if before is None:
        return figures
    counted_before = _count(before, masked, len(class_ids))
    figures = _figures(counted_before, masked, class_ids).named(BEFORE) | figures
    change = paired_change(counted_before.dice_of_tiles(), counted.dice_of_tiles())
    return figures if change is None else figures | FiguresByCase({"change_low": change[0], "change_high": change[1]})


def dice_of_tiles(model: LoadedModel, tiles: Sequence[TrainingTile], mask_classes: int) -> list[float]:
    """The Dice of the foreground of a model's masks, as they are shown, on each of some tiles with masks."""
    return _count(model, tiles, mask_classes).dice_of_tiles()


def _count(model: LoadedModel, tiles: Sequence[TrainingTile], mask_classes: int) -> CountedMasks:
    pairs = [
        judged(model.predict_classes(tile.pixels), tile.mask.astype(np.uint8), tile.known)
        for tile in tiles
        if tile.mask is not None
    ]
    return CountedMasks.of(pairs, mask_classes=mask_classes)


def _figures(counted: CountedMasks, tiles: Sequence[TrainingTile], class_ids: Sequence[int]) -> FiguresByCase:
    tells_classes = tiles[0].mask is not None and tiles[0].mask.dtype == np.uint8
    names = ("dice", "class_dice") if tells_classes else ("dice",)

    def figures_of(rows: NDArray[np.intp]) -> dict[str, float]:
        figures = counted.figures(rows)
        return {name: figures[name] for name in names}

    found = figures_by_case(figures_of, [tile.case for tile in tiles])
    if not tells_classes:
        return found
    by_class = zip(class_ids, counted.classes().per_class, strict=True)
    return found | FiguresByCase({class_figure(number): dice for number, dice in by_class if dice is not None})
