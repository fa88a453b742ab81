"""Work spread over processes and over Dask: results as they come, and what becomes of it when a process ends."""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import parts_of_work
import pytest

from histoloop.errors import ClusterError, DataError
from histoloop.workflows.cluster.dask_workers import check_installed
from histoloop.workflows.cluster.spread import Spread, spread_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process")


def outcomes(spread: Spread, function: Callable[[Any], Any], parts: Sequence[Any]) -> dict[Any, Any]:
    return {one.part: one.outcome for one in spread_over(spread, function, parts) if one is not None}


def test_processes_give_the_result_of_every_part() -> None:
    assert outcomes(Spread(jobs=2), parts_of_work.square, range(5)) == {n: n * n for n in range(5)}
    assert outcomes(Spread(jobs=2), parts_of_work.square, []) == {}


def test_a_part_that_fails_is_its_own_result() -> None:
    found = outcomes(Spread(jobs=2), parts_of_work.fail_at_three, [2, 3, 4])
    assert (found[2], found[4]) == (2, 4)
    assert isinstance(found[3], DataError)
    assert str(found[3]) == "Three is no number. Take another."


@posix
def test_a_part_whose_process_ends_is_tried_again_and_the_others_go_on(tmp_path: Path) -> None:
    marks = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert outcomes(Spread(jobs=2), parts_of_work.end_the_process_once, marks) == dict.fromkeys(marks, "done")


@posix
def test_a_part_whose_process_ends_each_time_is_an_error_in_words() -> None:
    found = outcomes(Spread(jobs=1), parts_of_work.end_the_process, ["a"])
    assert isinstance(found["a"], ClusterError)
    assert "exit code -9" in found["a"].message


@posix
def test_closing_ends_the_processes_and_lets_them_clear_up(tmp_path: Path) -> None:
    work = spread_over(Spread(jobs=2), parts_of_work.stay, [str(tmp_path)] * 4)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        assert next(work) is None
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 2
    work.close()
    assert list(tmp_path.iterdir()) == []
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_without_the_extra_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ClusterError) as caught:
        check_installed("local")
    assert "pip install 'histoloop[cluster]'" in caught.value.advice


# --- Dask -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A cluster of two workers on this machine, which anybody may use."""
    distributed = pytest.importorskip("distributed", reason="the extra histoloop[cluster] is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50, memory_limit=0
    ) as cluster:
        yield cluster.scheduler_address


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_dask_gives_the_result_of_every_part(scheduler: str) -> None:
    assert outcomes(Spread(dask=scheduler), parts_of_work.square, range(5)) == {n: n * n for n in range(5)}


@posix
def test_dask_tries_what_a_worker_could_not_do_again(scheduler: str, tmp_path: Path) -> None:
    ended, hung = str(tmp_path / "ended"), str(tmp_path / "hung")
    assert outcomes(Spread(dask=scheduler), parts_of_work.end_the_process_once, [ended]) == {ended: "done"}
    assert outcomes(Spread(dask=scheduler), parts_of_work.fail_once, [hung]) == {hung: "done"}
    found = outcomes(Spread(dask=scheduler), parts_of_work.fail_at_three, [3])
    assert isinstance(found[3], DataError)


def test_workers_of_another_version_are_refused(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("histoloop.__version__", "0.0.1")
    with pytest.raises(ClusterError, match=r"this command has 0\.0\.1"):
        outcomes(Spread(dask=scheduler), parts_of_work.square, [1])


def test_where_no_scheduler_answers_the_error_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra histoloop[cluster] is not installed")
    monkeypatch.setattr("histoloop.workflows.cluster.dask_workers.ANSWER_S", 1)
    with pytest.raises(ClusterError, match="dask scheduler"):
        outcomes(Spread(dask="tcp://127.0.0.1:9"), parts_of_work.square, [1])
