"""Where the tour writes: nothing that was there before is taken away."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


class Began(Exception):
    """The tour got as far as the window."""


@pytest.fixture
def tour(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Without the window."""

    def begin() -> None:
        raise Began

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what napari's own imports warn of
        from histoloop.gui import tour
    monkeypatch.setattr(tour, "make_application", begin)
    return tour


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
    assert tour._free(tmp_path / "tour" / "project") == tmp_path / "tour" / "project-2"


def test_a_new_folder_is_made(tour: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(Began):
        tour.run_tour(tmp_path / "a" / "tour")
    assert (tmp_path / "a" / "tour").is_dir()
