"""The round of label propagation: learn from annotated and pseudo-labelled tiles, label these anew (label-prop, 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.progress import Work
    from histoloop.training.samples import TileMask

Fitted = TypeVar("Fitted")

PSEUDO_WEIGHT = 0.1
"""Lambda of label-prop eq 1."""

PASSES = 2
"""With pseudo-masks a round learns twice, so that they are those of its own decoder (label-prop 4.1)."""

MOST_WEIGHT = 1.0
"""All pseudo-labelled tiles together weigh at most as much as all annotated ones; see `weight_of_pseudo`."""


def learn_with_pseudo_labels(
    fit: Callable[[Sequence[TileMask]], Work[Fitted]],
    label: Callable[[Fitted], Sequence[TileMask]],
    masks: Sequence[TileMask],
    *,
    count: int,
) -> Work[tuple[Fitted, Sequence[TileMask]]]:
    """What a round learned, and the masks (H, W) of its `count` pseudo-labelled tiles (Algorithm 1, lines 4 to 10).

    `fit` learns from theta_0 on, from all annotated tiles and the pseudo-labelled ones with the masks given to it;
    `label` masks those anew. `masks` are those of the model of the round before; none where that has not learned yet,
    so that the first pass goes by annotated tiles alone. Without pseudo-labelled tiles one pass is all.
    """
    fitted = yield from fit(masks)
    masks = label(fitted) if count else ()
    for _pass in range(PASSES - 1 if count else 0):
        fitted = yield from fit(masks)
        masks = label(fitted)
    return fitted, masks


def weight_of_pseudo(*, pseudo: int, annotated: int, weight: float = PSEUDO_WEIGHT) -> float:
    """What a pseudo-labelled tile weighs in a step that has as many of them as annotated ones.

    The sums of eq 1 run over all tiles: lambda |P| / |L| gives the same in the mean. It is cut at `MOST_WEIGHT`, which
    the paper's rounds on GlaS stay below (0.74 at most): a pool of hundreds would outweigh what a person painted.
    """
    return min(MOST_WEIGHT, weight * pseudo / annotated)
