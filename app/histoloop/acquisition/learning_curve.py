"""What the next annotations are likely to be worth, from the Dice figures of the rounds so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST_ROUNDS = 3
LAST_ROUNDS = 6
"""Older rounds say little about the slope now: curves bend."""

CONFIDENCE = 0.8
LEAST_NOISE = 0.01
"""Least standard deviation of a round's Dice: the smallest between seeds on GlaS (label-prop, Table 4: 1.04)."""

FLAT_GAIN = 0.01
"""The next annotations are hardly worth it when even the high estimate of their gain stays under one Dice point."""

FLAT_DOUBLING = 0.02
"""Nor is the curve flat while as many annotations again would bring two points: a small step gains little anywhere."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Change of Dice (-1 to 1) that the next `annotations` may bring: low, middle, high (80 % interval).

    `flat` is the stop hint: high is under 0.01, and the middle for as many annotations again as so far under 0.02.
    """

    low: float
    middle: float
    high: float
    flat: bool
    annotations: int


def expected_gain(
    dice_per_round: Sequence[float],
    annotations_per_round: Sequence[int],
    *,
    coming: int | None = None,
    held_out_per_round: Sequence[int] | None = None,
) -> Gain | None:
    """Gain in Dice from `coming` more annotations (as many as the last step, if None), or None below 3 rounds.

    `dice_per_round` (0 to 1, on held-out annotations), `annotations_per_round` (all that a round learned from, not the
    new ones alone) and `held_out_per_round` (how many regions measured it) go in the order of the rounds; rounds
    without annotations, or measured on none, are left out.

    A straight line of Dice over log(annotations) through the last 6 rounds, by least squares weighted with the held-out
    counts: every doubling is taken to bring the same. That needs two parameters, which is what 3 to 6 points can carry;
    learning curves bend below this line near their ceiling, so the middle is hopeful there. The interval is Student's
    for the slope from the residuals, with 1 to 4 degrees of freedom (wide for 3 rounds, as it should be); the residuals
    count as at least 0.01, for three points in a row may lie on a line by chance. All three are cut to what leaves the
    Dice between 0 and 1. None also when all rounds learned from the same number. ValueError when the lists differ in
    length, a Dice is outside 0 to 1, or `coming` is not positive.
    """
    weights = [1] * len(dice_per_round) if held_out_per_round is None else held_out_per_round
    _check(dice_per_round, annotations_per_round, weights, coming)
    rounds = [
        point
        for point in zip(annotations_per_round, dice_per_round, weights, strict=True)
        if min(point[0], point[2]) > 0
    ][-LAST_ROUNDS:]
    if len(rounds) < FEWEST_ROUNDS or len({annotations for annotations, _, _ in rounds}) < 2:
        return None
    totals = [annotations for annotations, _, _ in rounds]
    last = totals[-1]
    step = coming or max(1, last - totals[-2])
    slope, error = _slope(
        np.log(totals), np.array([dice for _, dice, _ in rounds]), np.array([n for _, _, n in rounds])
    )
    spread = float(stdtrit(len(rounds) - 2, (1 + CONFIDENCE) / 2)) * error
    run = math.log1p(step / last)
    dice = rounds[-1][1]
    low, middle, high = (
        float(np.clip(run * change, -dice, 1 - dice)) for change in (slope - spread, slope, slope + spread)
    )
    flat = high < FLAT_GAIN and math.log(2) * slope < FLAT_DOUBLING
    return Gain(low=low, middle=middle, high=high, flat=flat, annotations=step)


def _check(dice: Sequence[float], annotations: Sequence[int], held_out: Sequence[int], coming: int | None) -> None:
    if not len(dice) == len(annotations) == len(held_out):
        raise ValueError(f"one figure per round, got {len(dice)}, {len(annotations)} and {len(held_out)}")
    if not all(0 <= value <= 1 for value in dice):
        raise ValueError(f"Dice lies between 0 and 1, got {list(dice)}")
    if coming is not None and coming < 1:
        raise ValueError(f"coming must be at least 1, got {coming}")


def _slope(x: Floats, y: Floats, counts: NDArray[np.integer]) -> tuple[float, float]:
    """Slope of the weighted least squares line, and its standard error."""
    weights = counts / counts.mean()
    x = x - np.average(x, weights=weights)
    y = y - np.average(y, weights=weights)
    spread = float(weights @ x**2)
    slope = float(weights @ (x * y)) / spread
    noise = math.sqrt(float(weights @ (y - slope * x) ** 2) / (len(x) - 2))
    return slope, max(noise, LEAST_NOISE) / math.sqrt(spread)


def area_under_curve(per_round: Sequence[float]) -> float:
    """Of a curve over rounds: the trapezoid over their numbers, divided by rounds - 1 (label-prop 4.1).

    A single round is its own area; ValueError without any.
    """
    if not len(per_round):
        raise ValueError("a curve without a round has no area")
    if len(per_round) == 1:
        return float(per_round[0])
    return float(np.trapezoid(per_round) / (len(per_round) - 1))
