"""Long work in the child process."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from histoloop.gui.work import tasks
from histoloop.gui.work.failure import ignore
from histoloop.gui.work.jobs import NICENESS, Job, JobRunner, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.gui.work.failure import Failure

JOB_MS = 120_000


@pytest.fixture
def runner(qtbot) -> Iterator[JobRunner]:
    runner = JobRunner()
    yield runner
    runner.shut_down()


def demo(folder: Path) -> Job:
    return Job("Making the demo project", tasks.make_demo, {"folder": folder, "seed": 0})


def looking(on_done: Callable[[object], object] = ignore) -> Job:
    return Job("Looking", tasks.examine, on_done=on_done)


def looked(runner: JobRunner, qtbot) -> bool:
    """Whether the runner carries out another job."""
    with qtbot.waitSignal(runner.ended, timeout=JOB_MS) as ended:
        runner.submit(looking())
    return ended.args[1] is Outcome.DONE


def child() -> psutil.Process:
    """The jobs' process, not the resource tracker that Python starts beside it."""
    (found,) = [process for process in psutil.Process().children() if "spawn_main" in " ".join(process.cmdline())]
    return found


def test_a_jobs_result_arrives_and_the_next_follows(runner: JobRunner, qtbot) -> None:
    results, ended = [], []
    runner.ended.connect(lambda job, outcome: ended.append((job, outcome, len(results))))
    jobs = [looking(lambda findings: results.append(findings)) for _job in range(2)]
    for job in jobs:
        runner.submit(job)
    assert len(runner.waiting) == 1
    qtbot.waitUntil(lambda: runner.current is None, timeout=JOB_MS)
    assert ended == [(jobs[0], Outcome.DONE, 1), (jobs[1], Outcome.DONE, 2)]
    assert {finding.name for finding in results[0]} >= {"Python", "OpenSlide"}


def test_an_error_of_a_job_arrives_with_its_advice(runner: JobRunner, tmp_path: Path, qtbot) -> None:
    failures: list[Failure] = []
    arguments = {"folder": tmp_path, "slide_ids": None, "device": "cpu"}
    job = Job("Predicting", tasks.predict, arguments, on_failed=failures.append)
    with qtbot.waitSignal(runner.ended, timeout=JOB_MS) as ended:
        runner.submit(job)
    assert ended.args == [job, Outcome.FAILED]
    assert str(tmp_path) in failures[0].message
    assert "project.db" in failures[0].advice


def test_a_mistake_in_the_program_is_told_and_the_runner_goes_on(runner: JobRunner, qtbot) -> None:
    failures: list[Failure] = []
    with qtbot.waitSignal(runner.ended, timeout=JOB_MS):
        runner.submit(Job("Broken", tasks.make_demo, {"folder": 3, "seed": 0}, on_failed=failures.append))
    assert "log" in failures[0].advice
    assert looked(runner, qtbot)


def test_cancel_stops_what_runs_and_forgets_what_waits(runner: JobRunner, tmp_path: Path, qtbot) -> None:
    steps = []
    runner.progressed.connect(lambda _job, step: steps.append(step))
    runner.submit(demo(tmp_path / "project"))
    runner.submit(looking())
    qtbot.waitUntil(lambda: len(steps) > 2, timeout=JOB_MS)
    with qtbot.waitSignal(runner.ended, timeout=JOB_MS) as ended:
        runner.cancel()
    assert ended.args[1] is Outcome.CANCELLED
    assert runner.current is None
    assert runner.waiting == ()
    assert looked(runner, qtbot)


def test_a_job_that_is_dropped_ends_as_cancelled_and_those_behind_it_go_on(
    runner: JobRunner, tmp_path: Path, qtbot
) -> None:
    ended = []
    runner.ended.connect(lambda job, outcome: ended.append((job, outcome)))
    steps = []
    runner.progressed.connect(lambda _job, step: steps.append(step))
    runs, waits, last = demo(tmp_path / "project"), looking(), looking()
    for job in (runs, waits, last):
        runner.submit(job)
    qtbot.waitUntil(lambda: len(steps) > 2, timeout=JOB_MS)
    runner.drop(waits)
    runner.drop(runs)
    qtbot.waitUntil(lambda: runner.current is None, timeout=JOB_MS)
    assert ended == [(waits, Outcome.CANCELLED), (runs, Outcome.CANCELLED), (last, Outcome.DONE)]
    runner.drop(last)
    assert looked(runner, qtbot)


def test_a_child_that_is_killed_fails_its_job_and_a_new_one_takes_the_next(
    runner: JobRunner, tmp_path: Path, qtbot
) -> None:
    steps, failures = [], []
    runner.progressed.connect(lambda _job, step: steps.append(step))
    runner.submit(replace(demo(tmp_path / "project"), on_failed=failures.append))
    qtbot.waitUntil(lambda: len(steps) > 0, timeout=JOB_MS)
    with qtbot.waitSignal(runner.ended, timeout=JOB_MS) as ended:
        child().kill()
    assert ended.args[1] is Outcome.FAILED
    assert "ended unexpectedly" in failures[0].message
    assert looked(runner, qtbot)


@pytest.mark.skipif(os.name != "posix", reason="niceness is a number on POSIX only")
def test_the_child_lets_the_window_go_first_and_ends_with_the_runner(runner: JobRunner, tmp_path: Path, qtbot) -> None:
    steps = []
    runner.progressed.connect(lambda _job, step: steps.append(step))
    runner.submit(demo(tmp_path / "project"))
    qtbot.waitUntil(lambda: len(steps) > 0, timeout=JOB_MS)
    process = child()
    assert process.nice() == min(19, psutil.Process().nice() + NICENESS)
    runner.shut_down()
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
