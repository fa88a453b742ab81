"""Long work, run to its end or as part of longer work."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from histoloop.progress import Progress, Stage, TimeLeft, finish, in_words, mapped, staged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.progress import Work


def counting(closed: list[bool], *, to: int = 2) -> Work[str]:
    try:
        for number in range(to):
            yield Progress("Counting", number, to, "a message", {"loss": 0.5})
    finally:
        closed.append(True)
    return "done"


def test_mapped_work_reports_what_is_made_of_its_steps_and_gives_its_result() -> None:
    steps: list[Progress] = []
    work = mapped(counting([]), lambda step: Progress("Other", step.done + 10, 20))
    assert finish(work, steps.append) == "done"
    assert [(step.stage, step.done, step.total) for step in steps] == [("Other", 10, 20), ("Other", 11, 20)]


def test_closing_mapped_work_closes_the_work_itself() -> None:
    closed: list[bool] = []
    work = mapped(counting(closed), lambda step: step)
    next(work)
    assert not closed
    work.close()
    assert closed == [True]


def test_the_steps_of_one_of_several_are_parts_of_the_whole() -> None:
    steps: list[Progress] = []
    assert finish(staged(counting([], to=4), number=2, of=5), steps.append) == "done"
    assert [step.done for step in steps] == [2, 2.25, 2.5, 2.75]
    assert {(step.stage, step.total, step.message) for step in steps} == {("Counting", 5, "a message")}
    assert steps[0].figures == {"loss": 0.5}


def test_an_error_of_mapped_work_is_passed_on() -> None:
    def broken() -> Work[None]:
        yield Progress("Breaking", 0, 1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        finish(mapped(broken(), lambda step: step))


# --- the time that is left --------------------------------------------------------------------------------------------

Trace = list[tuple[float, Progress]]
"""When steps came, in seconds, and what they were."""


def of_slides(sizes: Sequence[float]) -> Trace:
    """Slides of very different sizes, each opened (2 s) and predicted tile by tile, their pace a little uneven."""
    rng, now, done, trace = random.Random(0), 0.0, 0.0, []
    for number, size in enumerate(sizes):
        now += 2.0
        for tile in range(21):
            trace.append((now, Progress(f"Predicting {number}", done + size * tile / 20, sum(sizes))))
            now += size / 20 * rng.uniform(0.6, 1.4)
        done += size
    return trace


def of_epochs(*, stage: str = "Learning", begins: float = 0.0, pace: float = 1.0) -> Trace:
    """Twenty epochs of ten batches, the first five batches five times as slow, each epoch validated for 4 s."""
    now, trace = begins, []
    for batch in range(201):
        trace.append((now, Progress(stage, batch / 10, 20)))
        now += pace * ((5.0 if batch < 5 else 1.0) + (4.0 if batch % 10 == 9 else 0.0))
    return trace


def wrong_by(trace: Trace, earlier: Sequence[Stage] = (), *, of: float = 0.1) -> float:
    """The largest factor by which the time left is wrong between a share of the time and the last twentieth of it.

    Where nothing is said it is wrong without bounds.
    """
    left, end = TimeLeft(earlier), trace[-1][0]
    factors = []
    for now, step in trace:
        estimate, truth = left.after(step, now), end - now
        if of * end <= now <= 0.95 * end:
            factors.append(math.inf if not estimate else max(estimate / truth, truth / estimate))
    return max(factors)


def test_after_the_first_tenth_the_time_left_is_right_within_a_factor_of_two() -> None:
    assert wrong_by(of_slides([40, 3, 3, 120, 5, 5, 60, 80, 4, 90])) < 2
    assert wrong_by(of_slides([20.0] * 30)) < 2
    assert wrong_by(of_epochs()) < 2


@pytest.mark.parametrize("pace", [0.5, 1.0, 3.0])
def test_stages_still_to_come_take_as_long_as_last_time_at_the_pace_of_today(pace: float) -> None:
    parts = ((1.0, "Reading"), (2.5, "Learning"), (1.2, "Measuring"))
    trace, begins = [], 0.0
    for share, stage in parts:
        trace += of_epochs(stage=stage, begins=begins, pace=pace * share)
        begins = trace[-1][0]
    last_time, before = [], 0.0
    for share, stage in parts:
        seconds = of_epochs(stage=stage, pace=share)[-1][0]
        last_time.append(Stage(stage, seconds))
        before += seconds
    assert wrong_by(trace, last_time) < 2
    assert wrong_by(trace, []) > 2  # the stages to come are not known


def test_a_short_stage_that_takes_longer_than_last_time_says_little_of_a_long_one() -> None:
    last_time = [Stage("Reading", 1.0), Stage("Learning", 60.0)]
    left = TimeLeft(last_time)
    left.after(Progress("Reading", 0, 4), 0.0)
    left.after(Progress("Reading", 3, 4), 2.5)
    begun = left.after(Progress("Learning", 0, 20), 3.0)
    assert begun is not None
    assert 60.0 < begun < 90.0


def test_a_stage_that_takes_longer_than_last_time_is_not_taken_to_be_over() -> None:
    left = TimeLeft([Stage("Reading", 1.0)])
    left.after(Progress("Reading", 0, 8), 0.0)
    assert left.after(Progress("Reading", 1, 8), 1.2) == pytest.approx(7 / 8)


def test_a_stage_with_less_to_do_than_last_time_is_expected_to_take_less_and_the_others_are_not() -> None:
    last_time = [Stage("Comparing", 48.0, 100.0), Stage("Reading", 3.0, 4.0)]
    left = TimeLeft(last_time)
    assert left.after(Progress("Comparing", 0, 40), 0.0) == pytest.approx(48 * 0.4 + 3)
    assert left.after(Progress("Comparing", 20, 40), 9.6) == pytest.approx(9.6 + 3)
    assert left.after(Progress("Reading", 0, 4), 19.2) == pytest.approx(3)
    assert left.stages(20.0) == [Stage("Comparing", 19.2, 40), Stage("Reading", pytest.approx(0.8), 4)]


def test_nothing_is_said_too_early_and_a_stage_that_begins_anew_is_measured_anew() -> None:
    left = TimeLeft()
    assert left.after(Progress("train", 0, 10), 0.0) is None
    assert left.after(Progress("train", 1, 10), 1.0) is None
    assert left.after(Progress("train", 2, 10), 4.0) == pytest.approx(16.0)
    assert left.after(Progress("predict", 0, 10), 5.0) is None
    assert left.after(Progress("predict", 5, 10), 9.0) == pytest.approx(4.0)
    assert not left.knows_all
    assert left.stages(10.0) == [Stage("train", 5.0, 10), Stage("predict", 5.0, 10)]


def test_slide_after_slide_is_one_stage() -> None:
    left = TimeLeft()
    assert left.after(Progress("slide 1", 0, 4), 0.0) is None
    assert left.after(Progress("slide 2", 1, 4), 10.0) == pytest.approx(30.0)
    assert left.after(Progress("slide 3", 2, 4), 20.0) == pytest.approx(20.0)
    assert left.stages(20.0) == [Stage("slide 1", 20.0, 4)]


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (59, "59 s"), (61, "1 min 01 s"), (3700, "1 h 01 min")])
def test_durations_are_told_in_words(seconds: float, text: str) -> None:
    assert in_words(seconds) == text
