"""What the figures of a candidate let one say, and what they do not."""

from __future__ import annotations

import pytest

from histoloop.workflows.contents.rounds import CandidateModel, ClassFigure, class_figures
from histoloop.workflows.contents.verdict import Verdict, in_words, verdict_of


def candidate(
    old: float | None, new: float | None, held_out: int, change: tuple[float, float] | None
) -> CandidateModel:
    return CandidateModel(2, 1, old, new, held_out, 6, change=change)


@pytest.mark.parametrize(
    ("held_out", "change", "expected"),
    [
        (1, None, Verdict.TOO_FEW),
        (5, (-0.11, 0.19), Verdict.TOO_FEW),
        (7, (-0.2, 0.01), Verdict.TOO_FEW),
        (8, (-0.01, 0.02), Verdict.NO_CLEAR_DIFFERENCE),
        (5, (0.01, 0.2), Verdict.BETTER),
        (30, (-0.2, -0.01), Verdict.WORSE),
    ],
)
def test_it_is_better_or_worse_only_where_the_interval_says_so(
    held_out: int, change: tuple[float, float] | None, expected: Verdict
) -> None:
    assert verdict_of(candidate(0.7, 0.74, held_out, change)) is expected


def test_without_a_figure_before_nothing_was_compared() -> None:
    assert verdict_of(candidate(None, 0.7, 3, None)) is Verdict.NOT_MEASURED
    assert verdict_of(candidate(None, None, 0, None)) is Verdict.NOT_MEASURED


def test_few_regions_are_said_to_be_too_few_with_the_interval_and_nothing_is_called_worse() -> None:
    said = in_words(candidate(0.809, 0.771, 4, (-0.2, 0.12)))
    assert said == (
        "Too few to tell: 4 regions are held out (-0.038, 95% interval -0.20 to +0.12). "
        "Look at the new masks and decide."
    )
    assert in_words(candidate(0.8, 0.8, 1, None)).startswith("Too few to tell: 1 region is held out (+0.000).")


def test_classes_are_read_from_the_figures_of_a_round_by_their_ids() -> None:
    figures = {"dice": 0.7, "dice of class 3": 0.6, "dice of class 3_before": 0.5, "dice of class 10": 0.9}
    assert class_figures(figures) == (ClassFigure(3, 0.5, 0.6), ClassFigure(10, None, 0.9))
