"""Long work in the child process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
import pytest

from histoloop.gui.work import tasks
from histoloop.gui.work.jobs import NICENESS, Job, JobRunner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB_MS = 120_000


@pytest.fixture
def runner(qtbot) -> Iterator[JobRunner]:
    runner = JobRunner()
    yield runner
    runner.shut_down()


def demo(folder: Path) -> Job:
    return Job("demo", "Making the demo project", tasks.make_demo, {"folder": folder, "seed": 0})


def looking() -> Job:
    return Job("doctor", "Looking", tasks.examine)


def child() -> psutil.Process:
    """The jobs' process, not the resource tracker that Python starts beside it."""
    (found,) = [process for process in psutil.Process().children() if "spawn_main" in " ".join(process.cmdline())]
    return found


def test_a_jobs_result_arrives_and_the_next_follows(runner: JobRunner, qtbot) -> None:
    results = []
    runner.finished.connect(lambda job, result: results.append((job.kind, result)))
    runner.submit(looking())
    runner.submit(looking())
    assert len(runner.waiting) == 1
    qtbot.waitUntil(lambda: len(results) == 2, timeout=JOB_MS)
    assert [kind for kind, _result in results] == ["doctor", "doctor"]
    assert {finding.name for finding in results[0][1]} >= {"Python", "OpenSlide"}
    assert runner.current is None


def test_an_error_of_a_job_arrives_with_its_advice(runner: JobRunner, tmp_path: Path, qtbot) -> None:
    job = Job("predict", "Predicting", tasks.predict, {"folder": tmp_path, "slide_ids": None, "device": "cpu"})
    with qtbot.waitSignal(runner.failed, timeout=JOB_MS) as failed:
        runner.submit(job)
    _job, message, advice = failed.args
    assert str(tmp_path) in message
    assert "project.db" in advice


def test_a_mistake_in_the_program_is_told_and_the_runner_goes_on(runner: JobRunner, qtbot) -> None:
    with qtbot.waitSignal(runner.failed, timeout=JOB_MS) as failed:
        runner.submit(Job("demo", "Broken", tasks.make_demo, {"folder": 3, "seed": 0}))
    assert "log" in failed.args[2]
    with qtbot.waitSignal(runner.finished, timeout=JOB_MS):
        runner.submit(looking())


def test_cancel_stops_what_runs_and_forgets_what_waits(runner: JobRunner, tmp_path: Path, qtbot) -> None:
    steps = []
    runner.progressed.connect(lambda _job, step: steps.append(step))
    runner.submit(demo(tmp_path / "project"))
    runner.submit(looking())
    qtbot.waitUntil(lambda: len(steps) > 2, timeout=JOB_MS)
    with qtbot.waitSignal(runner.cancelled, timeout=JOB_MS):
        runner.cancel()
    assert runner.current is None
    assert runner.waiting == ()
    with qtbot.waitSignal(runner.finished, timeout=JOB_MS):
        runner.submit(looking())


def test_a_child_that_is_killed_fails_its_job_and_a_new_one_takes_the_next(
    runner: JobRunner, tmp_path: Path, qtbot
) -> None:
    steps = []
    runner.progressed.connect(lambda _job, step: steps.append(step))
    runner.submit(demo(tmp_path / "project"))
    qtbot.waitUntil(lambda: len(steps) > 0, timeout=JOB_MS)
    with qtbot.waitSignal(runner.failed, timeout=JOB_MS) as failed:
        child().kill()
    assert "ended unexpectedly" in failed.args[1]
    with qtbot.waitSignal(runner.finished, timeout=JOB_MS):
        runner.submit(looking())


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
