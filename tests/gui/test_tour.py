"""Where the tour writes: nothing that was there before is taken away; and how long it waits."""

from __future__ import annotations

import itertools
import json
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from histoloop.gui.tour import driver
from histoloop.gui.work.jobs import Job
from histoloop.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from histoloop.gui.window.main_window import MainWindow


class Began(Exception):
    """The tour got as far as the window."""


@pytest.fixture
def tour(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Without the window."""

    def begin() -> None:
        raise Began

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what napari's own imports warn of
        from histoloop.gui.tour import run
    monkeypatch.setattr(run, "make_application", begin)
    return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a minute with each look at it."""
    minutes = itertools.count(0, 60)
    stopped = SimpleNamespace(monotonic=lambda: float(next(minutes)), sleep=lambda _seconds: None)
    monkeypatch.setattr(driver, "time", stopped)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("own", ["project/slides.csv", "export/a.geojson", "01-mine.png", "tour.json", "settings.ini"])
def test_a_folder_that_holds_anything_else_is_refused_and_stays_as_it_is(
    tour: ModuleType, tmp_path: Path, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / own).parent.mkdir(exist_ok=True)
    (tmp_path / own).write_text("mine")
    assert tour.run_tour(tmp_path) == 2
    assert "give a new folder" in capsys.readouterr().err
    assert (tmp_path / own).read_text() == "mine"


def test_an_earlier_tours_pictures_go_and_all_else_stays(tour: ModuleType, tmp_path: Path) -> None:
    steps = [{"picture": "01-welcome.png"}, {"picture": "../02-away.png"}]
    (tmp_path / "tour").mkdir()
    (tmp_path / "tour" / "tour.json").write_text(json.dumps({"steps": steps}))
    kept = ["02-away.png", "tour/01-mine.png", "tour/export/a.geojson", "tour/project/project.db"]
    for name in ("tour/01-welcome.png", *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(Began):
        tour.run_tour(tmp_path / "tour")
    assert names(tmp_path) == kept
    assert driver.free(tmp_path / "tour" / "project") == tmp_path / "tour" / "project-2"


def test_a_new_folder_is_made(tour: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(Began):
        tour.run_tour(tmp_path / "a" / "tour")
    assert (tmp_path / "a" / "tour").is_dir()


def test_a_job_that_goes_on_is_waited_for_however_slow_it_is(window: MainWindow, tmp_path: Path, clock: None) -> None:
    walk = driver.Tour(tmp_path, window, theme="light", size_px=(800, 600))
    turns, job = itertools.count(), Job("Retraining", None)

    def done() -> bool:
        window.session.jobs.progressed.emit(job, Progress("Retraining", 1, 2))
        return next(turns) > 3 * driver.PATIENCE_S / 60

    walk.wait(done, "a job")
    with pytest.raises(driver.TourError, match="waited too long for nothing"):
        walk.wait(lambda: False, "nothing")
