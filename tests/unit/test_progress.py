"""Long work, run to its end or as part of longer work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.progress import Progress, finish, mapped, staged

if TYPE_CHECKING:
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
