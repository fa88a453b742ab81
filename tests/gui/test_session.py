"""What is written in the background: in order, by the project it belongs to, without opening anything anew."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop.annotations.records import AnnotationStatus, Patch
from histoloop.gui.work.background import Worker
from histoloop.gui.work.session import Session
from histoloop.store.parts.drafts import Drafts
from histoloop.store.project import Project
from histoloop.store.project_database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.gui.window.main_window import MainWindow
    from histoloop.gui.work.failure import Failure

PATCH = Patch(3, 2, np.ones((4, 5), np.uint8))


@pytest.fixture
def session(qtbot, project_folder: Path) -> Iterator[Session]:
    session = Session()
    assert session.open_project(project_folder)
    yield session
    session.shut_down()


@pytest.fixture
def worker(qtbot) -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.stop()


def begin(session: Session, qtbot) -> int:
    """Open the first question; the id of its annotation."""
    with qtbot.waitSignal(session.annotating.started, timeout=20_000) as started:
        session.annotating.begin_query(session.queries()[0].id)
    return started.args[0].record.id


def saved_mask(folder: Path, annotation_id: int) -> np.ndarray:
    with Project.open(folder) as project:
        return project.annotations.load_mask(annotation_id)[0]


def test_each_request_hears_of_its_own_end_on_the_thread_that_asked(worker: Worker, qtbot) -> None:
    ends: list[tuple[str, object]] = []
    threads: set[threading.Thread] = set()

    def note(name: str, content: object) -> None:
        threads.add(threading.current_thread())
        ends.append((name, content))

    def fail() -> None:
        raise OSError("no such disk")

    worker.request(lambda: 1, on_done=lambda result: note("first", result))
    worker.request(fail, on_failed=lambda failure: note("second", failure))
    worker.request(lambda: 3, on_done=lambda result: note("third", result))
    qtbot.waitUntil(lambda: len(ends) == 3)
    failure: Failure = ends[1][1]
    assert [name for name, _content in ends] == ["first", "second", "third"]
    assert (ends[0][1], failure.message, ends[2][1]) == (1, "OSError: no such disk", 3)
    assert threads == {threading.main_thread()}


def test_of_a_topic_only_the_newest_request_that_waits_is_done(worker: Worker, qtbot) -> None:
    go, done = threading.Event(), []
    worker.request(go.wait)
    for number in range(3):
        worker.request(lambda number=number: number, on_done=done.append, topic="picture")
    worker.request(lambda: "other", on_done=done.append)
    go.set()
    qtbot.waitUntil(lambda: "other" in done)
    assert done == [2, "other"]


def test_closing_waits_for_what_is_to_be_written_and_drops_what_comes_of_it(
    session: Session, project_folder: Path, qtbot
) -> None:
    annotation_id = begin(session, qtbot)
    before = saved_mask(project_folder, annotation_id)
    heard: list[object] = []
    for signal in (session.annotating.saved, session.annotating.ended, session.queries_changed):
        signal.connect(lambda *content: heard.append(content))
    session.annotating.paint(PATCH)
    session.annotating.finish()
    session.close_project()
    with Project.open(project_folder) as project:
        assert project.annotations.get(annotation_id).status is AnnotationStatus.DONE
    assert not np.array_equal(saved_mask(project_folder, annotation_id), before)
    assert session.open_project(project_folder)
    qtbot.wait(50)
    assert heard == [(False,)]


def test_a_stroke_that_cannot_be_saved_is_never_called_saved(session: Session, qtbot, monkeypatch) -> None:
    begin(session, qtbot)
    qtbot.wait(1)
    told: list[bool] = []
    session.annotating.saved.connect(told.append)

    def full(*_arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Drafts, "append_patch", full)
    with qtbot.waitSignal(session.annotating.not_saved) as problem:
        session.annotating.paint(PATCH)
    assert "the disk is full" in problem.args[0]
    assert told == [False]


def test_a_stroke_opens_no_project_looks_for_no_slide_and_lets_the_window_ask_nothing(
    painting: MainWindow, slides: dict[str, Path], qtbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected, asked, looked_for = [], [], []
    connect, ask, stat = sqlite3.connect, Database.all, os.stat

    def noted_ask(database: Database, sql: str, *values: object, **named: object) -> list[sqlite3.Row]:
        if threading.current_thread() is threading.main_thread():
            asked.append(sql)
        return ask(database, sql, *values, **named)

    monkeypatch.setattr(sqlite3, "connect", lambda *of, **how: (connected.append(of), connect(*of, **how))[1])
    monkeypatch.setattr(os, "stat", lambda path, **how: (looked_for.append(str(path)), stat(path, **how))[1])
    monkeypatch.setattr(Database, "all", noted_ask)
    for value in (1, 2):
        mask = painting.viewer.painted_mask
        mask[:9, :9] = value
        with qtbot.waitSignal(painting.session.annotating.saved, check_params_cb=bool):
            painting.viewer.replace_mask(mask)
    assert connected == asked == []
    assert not {str(path) for path in slides.values()} & set(looked_for)
