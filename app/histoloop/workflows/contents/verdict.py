"""What the figures of a candidate say about it, and what they cannot say. Needs neither torch nor Qt."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.rounds import ENOUGH

if TYPE_CHECKING:
    from histoloop.workflows.contents.cross_validation import CrossValidated
    from histoloop.workflows.contents.rounds import CandidateModel


class Verdict(Enum):
    """What a comparison on held-out regions lets one say."""

    NOT_MEASURED = auto()
    TOO_FEW = auto()
    NO_CLEAR_DIFFERENCE = auto()
    BETTER = auto()
    WORSE = auto()


def verdict_of(candidate: CandidateModel) -> Verdict:
    """Better or worse only where the 95 % interval of the change says so; see `paired_change`.

    The held-out regions decide, which the candidate itself was measured on; where they do not tell, a cross-validation.
    """
    by_regions = _by_held_out(candidate)
    unclear = by_regions in (Verdict.NOT_MEASURED, Verdict.TOO_FEW)
    crossed = _sign(None if candidate.crossed is None else candidate.crossed.change)
    return crossed if unclear and crossed is not None else by_regions


def _by_held_out(candidate: CandidateModel) -> Verdict:
    if candidate.old_dice is None or candidate.new_dice is None or not candidate.held_out:
        return Verdict.NOT_MEASURED
    if (clear := _sign(candidate.change)) is not None:
        return clear
    return Verdict.TOO_FEW if candidate.held_out < ENOUGH else Verdict.NO_CLEAR_DIFFERENCE


def _sign(change: tuple[float, float] | None) -> Verdict | None:
    """Better or worse where an interval lies on one side of zero."""
    if change is None or change[0] <= 0 <= change[1]:
        return None
    return Verdict.BETTER if change[0] > 0 else Verdict.WORSE


def rose(candidate: CandidateModel) -> bool:
    """Whether the figures are above those of the model before: of the cross-validation, where that compared."""
    crossed = candidate.crossed
    if crossed is not None and crossed.before is not None and crossed.after is not None:
        return crossed.after > crossed.before
    return candidate.old_dice is not None and candidate.new_dice is not None and candidate.new_dice > candidate.old_dice


def crossed_in_words(crossed: CrossValidated | None) -> str:
    """What a cross-validation found, in a sentence or two; empty where there was none."""
    if crossed is None:
        return ""
    low, high = crossed.interval
    found = tr_plural(
        "Cross-validated on {count} painted region: Dice {dice:.3f}, 95% interval {low:.2f} to {high:.2f}.",
        "Cross-validated on {count} painted regions: Dice {dice:.3f}, 95% interval {low:.2f} to {high:.2f}.",
        crossed.regions,
        dice=crossed.dice,
        low=low,
        high=high,
    )
    if crossed.before is None or crossed.after is None or crossed.change is None:
        return f"{found} {tr('The model before has learned from nearly all of them: it cannot be compared.')}"
    compared = tr_plural(
        "On {count} of them, new to the model before: {old:.3f} → {new:.3f} ({change}).",
        "On {count} of them, new to the model before: {old:.3f} → {new:.3f} ({change}).",
        crossed.compared,
        old=crossed.before,
        new=crossed.after,
        change=_as_change(crossed.after - crossed.before, crossed.change),
    )
    return f"{found} {compared}"


def in_words(candidate: CandidateModel) -> str:
    """The verdict in a sentence or two, with the change and its interval where there are such."""
    verdict, count = _by_held_out(candidate), candidate.held_out
    if verdict is not (crossed := verdict_of(candidate)):
        better = crossed is Verdict.BETTER
        return tr("Better by cross-validation.") if better else tr("Worse by cross-validation.")
    if verdict is Verdict.NOT_MEASURED:
        return tr(
            "No annotation is held out yet (the third one will be), so nothing could be measured. Check the "
            "new masks and decide."
        )
    change = _change(candidate)
    if verdict is Verdict.BETTER:
        return tr_plural(
            "Better on {count} held-out region: {change}.",
            "Better on {count} held-out regions: {change}.",
            count,
            change=change,
        )
    if verdict is Verdict.WORSE:
        return tr_plural(
            "Worse on {count} held-out region: {change}.",
            "Worse on {count} held-out regions: {change}.",
            count,
            change=change,
        )
    if verdict is Verdict.NO_CLEAR_DIFFERENCE:
        return tr_plural(
            "No clear difference on {count} held-out region: {change}.",
            "No clear difference on {count} held-out regions: {change}.",
            count,
            change=change,
        )
    return tr_plural(
        "Too few to tell: {count} region is held out ({change}). Look at the new masks and decide.",
        "Too few to tell: {count} regions are held out ({change}). Look at the new masks and decide.",
        count,
        change=change,
    )


def _change(candidate: CandidateModel) -> str:
    assert candidate.old_dice is not None  # by verdict_of
    assert candidate.new_dice is not None
    return _as_change(candidate.new_dice - candidate.old_dice, candidate.change)


def _as_change(change: float, interval: tuple[float, float] | None) -> str:
    change = round(change, 3) + 0.0  # as it is shown; no minus before a zero
    if interval is None:
        return tr("{change:+.3f}", change=change)
    low, high = interval
    return tr("{change:+.3f}, 95% interval {low:+.2f} to {high:+.2f}", change=change, low=low, high=high)
