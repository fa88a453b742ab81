"""What the live loop does when regions are finished, the view moves, something else runs, or its child fails.

Without a child: what it would be given to do is looked at here, and test_live.py has the whole of it in the window.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PySide6.QtCore import QObject, Signal

from histoloop.geometry import Region
from histoloop.gui.work.failure import Failure
from histoloop.gui.work.jobs import Job, Outcome
from histoloop.gui.work.live import MOST_FAILURES, LiveLoop, LiveState
from histoloop.slides.tiling import Window
from histoloop.workflows.contents.live_masks import LiveGrid, LiveProgress, LiveReport, LiveTile

if TYPE_CHECKING:
    from histoloop.gui.work.project_desk import ProjectDesk

HERE, THERE = Region(0, 0, 100, 100), Region(500, 0, 100, 100)
GRID = LiveGrid(1, 1000, 1000, 1.0, ("gland", "tumour"), 1)
TILE = LiveTile.of(Window(0, 0, 32, 32), np.ones((2, 32, 32), np.float32))


class Runner(QObject):
    """In place of a child process: keeps the job that it was given until it is told how that ends."""

    progressed = Signal(object, object)
    ended = Signal(object, object)
    busy_changed = Signal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.current: Job | None = None
        self.begun: list[Job] = []

    def submit(self, job: Job) -> None:
        assert self.current is None
        self.current = job
        self.begun.append(job)
        self.busy_changed.emit(True)

    def cancel(self) -> None:
        self._end(Outcome.CANCELLED)

    def shut_down(self) -> None:
        self.current = None

    def step(self, **news: Any) -> None:
        self.progressed.emit(self.current, LiveProgress("stage", 0, 1, **news))

    def done(self, report: LiveReport) -> None:
        job = self.current
        assert job is not None
        job.on_done(report)
        self._end(Outcome.DONE)

    def fail(self) -> None:
        job = self.current
        assert job is not None
        job.on_failed(Failure("The process ended."))
        self._end(Outcome.FAILED)

    def _end(self, outcome: Outcome) -> None:
        job, self.current = self.current, None
        if job is not None:
            self.ended.emit(job, outcome)
            self.busy_changed.emit(False)


class Desk(QObject):
    """In place of a session: a project with as many painted regions as it is told."""

    project_changed = Signal()
    slides_changed = Signal()
    queries_changed = Signal()
    models_changed = Signal()
    problem = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.jobs = Runner(self)
        self.read_only = False
        self.device = "cpu"
        self.painted = 0
        self.model = "a"
        self.project = SimpleNamespace(
            folder=Path("project"),
            annotations=SimpleNamespace(with_mask=self._with_mask),
            models=SimpleNamespace(current=lambda: SimpleNamespace(hash=self.model)),
            scheme=SimpleNamespace(mask_names=("gland", "tumour")),
        )

    def _with_mask(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(id=number, updated="now") for number in range(self.painted)]

    def paint(self) -> None:
        self.painted += 1
        self.queries_changed.emit()


@pytest.fixture
def desk(qapp) -> Desk:
    return Desk()


@pytest.fixture
def live(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> LiveLoop:
    """Switched on, with a slide on the screen."""
    monkeypatch.setattr("histoloop.gui.work.live.JobRunner", Runner)
    monkeypatch.setattr("histoloop.gui.work.live.SETTLE_MS", 0)
    session: ProjectDesk = desk  # type: ignore[assignment]
    made = LiveLoop(session)
    made.switch(True)
    made.look(1, HERE)
    return made


def told_by(live: LiveLoop) -> list[str]:
    lines: list[str] = []
    live.told.connect(lines.append)
    return lines


def begun(live: LiveLoop) -> list[Region]:
    """The view that each beginning went by."""
    return [job.arguments["view"] for job in live.jobs.begun]


def test_nothing_runs_until_a_region_is_finished(live: LiveLoop, desk: Desk, qtbot) -> None:
    qtbot.wait(20)
    assert begun(live) == []
    desk.paint()
    qtbot.waitUntil(lambda: begun(live) == [HERE])
    desk.queries_changed.emit()  # which changes nothing that is learned from
    qtbot.wait(20)
    assert begun(live) == [HERE]


def test_a_region_finished_meanwhile_is_learned_from_at_once(live: LiveLoop, desk: Desk, qtbot) -> None:
    desk.paint()
    qtbot.waitUntil(lambda: len(begun(live)) == 1)
    desk.paint()
    qtbot.waitUntil(lambda: len(begun(live)) == 2)
    assert live.jobs.current is live.jobs.begun[1]


def test_a_move_of_the_view_stops_no_learning_but_what_is_predicted(live: LiveLoop, desk: Desk, qtbot) -> None:
    desk.paint()
    qtbot.waitUntil(lambda: len(begun(live)) == 1)
    live.jobs.step(regions=1)
    live.look(1, THERE)
    qtbot.wait(20)
    assert begun(live) == [HERE]
    live.jobs.step(grid=GRID, tile=TILE, regions=1)
    qtbot.waitUntil(lambda: begun(live) == [HERE, THERE])
    assert not live.jobs.begun[1].arguments["afresh"]


def test_what_is_learned_is_shown_on_the_slide_that_is_on_the_screen_by_then(live: LiveLoop, desk: Desk, qtbot) -> None:
    """Done opens the next question, which is often about another slide."""
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    live.jobs.step(regions=1)
    live.look(None, None)
    live.look(2, THERE)
    live.jobs.step(grid=GRID, tile=TILE, regions=1)
    assert live.map is None
    qtbot.waitUntil(lambda: begun(live) == [HERE, THERE])
    assert live.jobs.begun[1].arguments["slide_id"] == 2


def test_a_slide_that_came_as_the_last_one_was_done_has_its_turn(live: LiveLoop, desk: Desk, qtbot) -> None:
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    live.jobs.step(regions=1)
    live.look(2, THERE)
    live.jobs.done(LiveReport(1, 1, 0, 0))
    qtbot.waitUntil(lambda: begun(live) == [HERE, THERE])


def test_masks_come_tile_by_tile_and_it_is_told_when_the_view_is_new(live: LiveLoop, desk: Desk, qtbot) -> None:
    lines = told_by(live)
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    live.jobs.step(regions=1)
    assert lines[-1].startswith("Learning from 1 region…")
    with qtbot.waitSignals([live.there_changed, live.masks_came]):
        live.jobs.step(grid=GRID, tile=TILE, regions=1)
    with qtbot.waitSignal(live.view_is_new):
        live.jobs.step(grid=GRID, in_view=True, regions=1)
    assert lines[-1] == "The masks in view are up to date"
    live.jobs.done(LiveReport(1, 1, 1, 1))
    assert lines[-1] == "Live masks are up to date: learned from 1 region"
    assert live.map is not None
    assert len(live.map) == 1


def test_masks_of_another_slide_are_not_taken(live: LiveLoop, desk: Desk, qtbot) -> None:
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    live.look(2, HERE)
    live.jobs.step(grid=GRID, tile=TILE, regions=1)
    assert live.map is None


def test_it_stops_for_what_the_user_asked_for_and_goes_on_afterwards(live: LiveLoop, desk: Desk, qtbot) -> None:
    lines = told_by(live)
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    desk.jobs.submit(Job("Retraining", lambda: iter(())))  # type: ignore[arg-type, return-value]
    assert live.jobs.current is None
    desk.paint()
    qtbot.wait(20)
    assert live.jobs.current is None
    assert lines[-1] == "Live masks are paused until the current work is done"
    desk.jobs.cancel()
    qtbot.waitUntil(lambda: live.jobs.current is not None)


def test_it_goes_on_after_something_so_short_that_it_had_not_stopped_yet(live: LiveLoop, desk: Desk, qtbot) -> None:
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    desk.jobs.submit(Job("Examining", lambda: iter(())))  # type: ignore[arg-type, return-value]
    desk.jobs.cancel()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    qtbot.wait(20)
    assert live.jobs.current is not None


def test_another_model_in_use_or_the_last_region_taken_back_ends_the_live_masks(
    live: LiveLoop, desk: Desk, qtbot
) -> None:
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    live.jobs.step(grid=GRID, tile=TILE, regions=1)
    desk.model = "b"
    desk.models_changed.emit()
    assert live.map is None
    qtbot.waitUntil(lambda: len(begun(live)) == 2)
    live.jobs.step(grid=GRID, tile=TILE, regions=1)
    desk.painted = 0
    desk.queries_changed.emit()
    assert live.map is None
    qtbot.waitUntil(lambda: live.jobs.current is None)


def test_a_child_that_fails_is_reported_and_tried_again_with_the_next_region(live: LiveLoop, desk: Desk, qtbot) -> None:
    lines = told_by(live)
    problems: list[str] = []
    desk.problem.connect(lambda message, _advice: problems.append(message))
    for number in range(MOST_FAILURES):
        assert problems == []
        desk.paint()
        qtbot.waitUntil(lambda: live.jobs.current is not None)
        live.jobs.fail()
        assert len(begun(live)) == number + 1
        if number == 0:
            assert lines[-1] == "Learning while you paint stopped: The process ended."
    assert len(problems) == 1
    desk.paint()
    qtbot.wait(20)
    assert len(begun(live)) == MOST_FAILURES
    live.switch(False)
    live.switch(True)
    qtbot.waitUntil(lambda: live.jobs.current is not None)


def test_it_says_what_it_waits_for_learns_from_or_is_paused_by(live: LiveLoop, desk: Desk, qtbot) -> None:
    lines, states = told_by(live), []
    live.state_changed.connect(lambda: states.append(live.state))
    live.switch(False)
    assert (live.state, lines[-1]) == (LiveState.OFF, "")
    live.switch(True)
    assert (live.state, lines[-1]) == (LiveState.WAITING, "Live masks will appear after the first finished region")
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    assert live.state is LiveState.LEARNING
    desk.jobs.submit(Job("Retraining", lambda: iter(())))  # type: ignore[arg-type, return-value]
    assert (live.state, lines[-1]) == (LiveState.PAUSED, "Live masks are paused until the current work is done")
    desk.jobs.cancel()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    live.jobs.done(LiveReport(1, 1, 1, 1))
    assert live.state is LiveState.UP_TO_DATE
    assert states == [
        LiveState.OFF,
        LiveState.WAITING,
        LiveState.LEARNING,
        LiveState.PAUSED,
        LiveState.LEARNING,
        LiveState.UP_TO_DATE,
    ]


def test_where_all_that_is_painted_measures_it_says_that_more_is_needed(live: LiveLoop, desk: Desk, qtbot) -> None:
    lines = told_by(live)
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    live.jobs.done(LiveReport(0, 0, 0, 0))
    assert (live.state, "live masks will appear after the next region" in lines[-1]) == (LiveState.WAITING, True)


def test_switched_off_nothing_is_left(live: LiveLoop, desk: Desk, qtbot) -> None:
    desk.paint()
    qtbot.waitUntil(lambda: live.jobs.current is not None)
    live.jobs.step(grid=GRID, tile=TILE, regions=1)
    live.switch(False)
    assert (live.map, live.jobs.current) == (None, None)
    desk.paint()
    qtbot.wait(20)
    assert live.jobs.current is None
