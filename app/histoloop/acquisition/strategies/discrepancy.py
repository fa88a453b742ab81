"""Cyclic output discrepancy: how far the outputs moved between the model of a round and that of the round before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import expit, softmax

from histoloop.acquisition.strategy import Evidence, Facts, Floats, Inputs, Needs, Strategy, percent, score_each
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.acquisition.strategy import ScoresAfter
    from histoloop.progress import Work

Outputs = Literal["logit", "softmax"]

SURE_CHANGE = 0.25
"""A pixel's answer changed when its probability moved by more than this."""


def cod(old: NDArray[np.floating], new: NDArray[np.floating], *, outputs: Outputs = "logit") -> float:
    """COD of one region (tod, eq 5): root over the pixels' mean squared change; highest is asked first.

    For class logits (C,) this is the L2 norm of the difference, eq 5 itself. For segmentation logits (C, H, W), of
    background and mask classes, or foreground logits (H, W), it is the L2 norm over channels and pixels divided by the
    root of the number of pixels, so that regions of different size compare: repeating a region side by side does not
    change it.
    """
    return float(np.sqrt(np.mean(discrepancy_map(old, new, outputs=outputs) ** 2)))


def discrepancy_map(old: NDArray[np.floating], new: NDArray[np.floating], *, outputs: Outputs = "logit") -> Floats:
    """The L2 norm over the channels of the change at every pixel, (H, W); a single value for class logits (C,).

    `outputs` says what is compared: the logits (tod, eq 5) or their softmax (the authors' code; it ranks differently).
    A foreground logit (H, W) stands for the pair (background 0, foreground), so its softmax is (1 - p, p). ValueError
    when the shapes differ, are none of these, or a logit is not finite.
    """
    before, after = (np.asarray(logits, np.float64) for logits in (old, new))
    if before.shape != after.shape or before.ndim not in (1, 2, 3) or before.size == 0:
        raise ValueError(f"two outputs of one shape, (C,), (H, W) or (C, H, W), got {before.shape} and {after.shape}")
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise ValueError("logits must be finite")
    if outputs == "logit":
        return _norm(_channels(after) - _channels(before))
    if outputs == "softmax":
        return _norm(_posterior(after) - _posterior(before))
    raise ValueError(f"outputs are 'logit' or 'softmax', got {outputs!r}")


def _channels(logits: Floats) -> Floats:
    return logits[np.newaxis] if logits.ndim == 2 else logits


def _posterior(logits: Floats) -> Floats:
    if logits.ndim == 2:
        return np.stack([expit(-logits), expit(logits)])
    posterior: Floats = softmax(logits, axis=0)
    return posterior


def _norm(change: Floats) -> Floats:
    norm: Floats = np.linalg.norm(change, axis=0)
    return norm


def _score_by(outputs: Outputs, inputs: Inputs) -> Work[ScoresAfter]:
    def change(index: int) -> float:
        before = inputs.earlier_output(index).logits
        return cod(before, inputs.output(index).logits, outputs=outputs)

    return score_each(inputs, change)


def _evidence_by(outputs: Outputs, inputs: Inputs, index: int) -> Evidence:
    """Where the logits moved, relative to the most they did, or where the probability did."""
    new, old = inputs.output(index), inputs.earlier_output(index)
    change = np.abs(new.outcomes - old.outcomes)
    if change.ndim == 3:
        change = change.sum(axis=0) / 2  # the probability that moved from one outcome to another
    share = float((change > SURE_CHANGE).mean())
    if outputs == "softmax":
        return Evidence({"share": share}, strength=np.clip(change, 0, 1))
    moved = discrepancy_map(old.logits, new.logits)
    return Evidence({"share": share}, strength=np.clip(moved / max(float(np.quantile(moved, 0.99)), 1e-9), 0, 1))


def _reason(facts: Facts) -> str:
    if "share" not in facts:
        return tr("The model's prediction for this region has changed since the last round.")
    return tr(
        "The model's prediction has changed over {share} of this region since the last round.",
        share=percent(facts["share"]),
    )


def _strategy(name: str, *, order: int, title: str, sentence: str, source: str, outputs: Outputs) -> Strategy:
    return Strategy(
        name=name,
        order=order,
        title=title,
        sentence=sentence,
        source=source,
        needs=Needs("earlier model", decoder=True),
        score=partial(_score_by, outputs),
        reason=_reason,
        evidence=partial(_evidence_by, outputs),
        caption=mark("Yellow: changed since the last round."),
    )


STRATEGIES = (
    _strategy(
        "cod",
        order=110,
        title=mark("Where the model changed its mind"),
        sentence=mark("Asks where the model's output changed most since the last retraining."),
        source=mark("tod, section IV-B (cyclic output discrepancy, eq 5)"),
        outputs="logit",
    ),
    _strategy(
        "cod-softmax",
        order=120,
        title=mark("Where the mask changed most"),
        sentence=mark(
            "Asks where the predicted mask, not the raw scores behind it, changed most since the last retraining."
        ),
        source=mark("tod, section IV-B (eq 5 on probabilities, as the authors' code has it)"),
        outputs="softmax",
    ),
)
