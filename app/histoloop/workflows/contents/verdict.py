"""What the figures of a candidate say about it, and what they cannot say. Needs neither torch nor Qt."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from histoloop.language import tr, tr_plural

if TYPE_CHECKING:
    from histoloop.workflows.contents.rounds import CandidateModel

ENOUGH = 8
"""From so many regions on, an interval that holds both signs means that there is no clear difference; with fewer that
nobody can tell yet."""


class Verdict(Enum):
    """What a comparison on held-out regions lets one say."""

    NOT_MEASURED = auto()
    TOO_FEW = auto()
    NO_CLEAR_DIFFERENCE = auto()
    BETTER = auto()
    WORSE = auto()


def verdict_of(candidate: CandidateModel) -> Verdict:
    """Better or worse only where the 95 % interval of the change says so; see `paired_change`."""
    if candidate.old_dice is None or candidate.new_dice is None or not candidate.held_out:
        return Verdict.NOT_MEASURED
    if candidate.change is not None:
        low, high = candidate.change
        if low > 0:
            return Verdict.BETTER
        if high < 0:
            return Verdict.WORSE
    return Verdict.TOO_FEW if candidate.held_out < ENOUGH else Verdict.NO_CLEAR_DIFFERENCE


def in_words(candidate: CandidateModel) -> str:
    """The verdict in a sentence or two, with the change and its interval where there are such."""
    verdict, count = verdict_of(candidate), candidate.held_out
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
    change = round(candidate.new_dice - candidate.old_dice, 3) + 0.0  # as it is shown; no minus before a zero
    if candidate.change is None:
        return tr("{change:+.3f}", change=change)
    low, high = candidate.change
    return tr("{change:+.3f}, 95% interval {low:+.2f} to {high:+.2f}", change=change, low=low, high=high)
