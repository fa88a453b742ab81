"""What a user does first with the frozen program. A module that was not taken along fails here, and is named."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import histoloop
from histoloop.language import ENGLISH, LANGUAGES
from histoloop.progress import finish
from histoloop.slides.synthetic import SyntheticSpec, write_synthetic_slide

if TYPE_CHECKING:
    from conftest import FrozenProgram

REAL_SLIDE = Path("slides") / "CMU-1-Small-Region.svs"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
COARSE_PX = (48, 32)
LEAST_LIKENESS = 0.8
LEAST_COLOURS = 20


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real slide where there is one, else one of the demo's kind; out of the source tree."""
    folder = tmp_path_factory.mktemp("slides")
    real = Path(os.environ.get("HISTOLOOP_DATA", SHARED)) / REAL_SLIDE
    if real.is_file():
        (folder / real.name).write_bytes(real.read_bytes())
        return folder / real.name
    spec = SyntheticSpec(seed=3, width=1200, height=1000, mpp=0.5, label="malignant")
    finish(write_synthetic_slide(folder / "tumour.tiff", spec))
    return folder / "tumour.tiff"


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of twelve tiles of two classes, each with a mask: a dark disc, reddish in one class."""
    folder = tmp_path_factory.mktemp("data") / "discs"
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:128, :128]
    for part, count in (("train", 4), ("test", 2)):
        for label, colour in (("benign", (60, 40, 180)), ("malignant", (180, 40, 60))):
            (folder / part / label).mkdir(parents=True)
            for number in range(count):
                disc = (rows - rng.integers(40, 88)) ** 2 + (columns - rng.integers(40, 88)) ** 2 < 28**2
                pixels = rng.integers(215, 245, (128, 128, 3)).astype(np.uint8)
                pixels[disc] = colour
                Image.fromarray(pixels).save(folder / part / label / f"{number}.png")
                Image.fromarray(np.uint8(255) * disc).save(folder / part / label / f"{number}_mask.png")
    return folder


def test_the_command_line_tells_its_version(frozen: FrozenProgram) -> None:
    assert frozen.check("--version").strip() == f"histoloop {histoloop.__version__}"


def test_the_texts_of_every_language_came_along(bundle: Path) -> None:
    files = {path.name for path in bundle.rglob("*.[mq][om]")}
    spoken = [language.code for language in LANGUAGES if language is not ENGLISH]
    assert {f"{code}.mo" for code in spoken} | {f"qtbase_{code}.qm" for code in spoken} <= files


def test_the_doctor_finds_every_part_and_no_problem(frozen: FrozenProgram, display: None) -> None:
    findings = {finding["name"]: finding for finding in json.loads(frozen.check("doctor", "--json"))}
    assert {"torch", "napari", "PySide6", "openslide-bin", "OpenSlide", "OpenGL", "GPU", "Models", "Disk"} <= set(
        findings
    )
    assert [finding for finding in findings.values() if finding["state"] == "problem"] == []
    assert findings["OpenGL"]["state"] == "ok"


def test_a_slide_is_predicted(frozen: FrozenProgram, slide: Path, tmp_path: Path) -> None:
    frozen.check("predict", slide, "--out", tmp_path / "out", "--device", "cpu")
    with (tmp_path / "out" / "summary.csv").open(encoding="utf-8") as table:
        (row,) = csv.DictReader(table)
    assert Path(row["slide"]) == slide
    assert row["status"] == "predicted"
    assert len(np.unique(np.asarray(Image.open(tmp_path / "out" / f"{slide.stem}-mask.png")))) > 1
    assert json.loads((tmp_path / "out" / f"{slide.stem}.geojson").read_text("utf-8"))


def test_sessions_are_simulated_in_processes_side_by_side(frozen: FrozenProgram, tiles: Path, tmp_path: Path) -> None:
    frozen.check(
        "simulate", "--data", tiles, "--mpp", 1, "--strategies", "random,entropy", "--seeds", 1, "--rounds", 1,
        "--jobs", 2, "--device", "cpu", "--json", tmp_path / "found.json",
    )  # fmt: skip
    assert len(json.loads((tmp_path / "found.json").read_text("utf-8"))["sessions"]) == 2
    assert (tmp_path / "found.png").is_file()  # drawn by matplotlib


def test_the_window_opens_after_its_splash(frozen: FrozenProgram, display: None, tmp_path: Path) -> None:
    frozen.check("--start-times", tmp_path / "times.json", program="histoloop-gui")
    times = json.loads((tmp_path / "times.json").read_text("utf-8"))
    assert 0 < times["splash_s"] < times["window_s"]


def test_the_tour_takes_the_pictures_that_the_source_takes(frozen_tour: Path, source_tour: Path) -> None:
    assert _pictures(frozen_tour) == _pictures(source_tour)


def test_the_pictures_of_the_tour_show_the_same_widgets(frozen_tour: Path, source_tour: Path) -> None:
    assert _shown(frozen_tour) == _shown(source_tour)


def test_no_picture_of_the_tour_is_blank(frozen_tour: Path) -> None:
    for picture in frozen_tour.glob("*.png"):
        colours = len(np.unique(np.asarray(_pixels(picture, "RGB")).reshape(-1, 3), axis=0))
        assert colours >= LEAST_COLOURS, f"{picture.name} has {colours} colours"


def test_the_pictures_of_the_tour_are_laid_out_alike(frozen_tour: Path, source_tour: Path) -> None:
    alike = {name: _likeness(frozen_tour / name, source_tour / name) for name in _pictures(source_tour)}
    assert {name: value for name, value in alike.items() if value < LEAST_LIKENESS} == {}


def _pictures(tour: Path) -> dict[str, tuple[int, int]]:
    """Size of each picture in pixels, by name."""
    return {picture.name: _pixels(picture, "RGB").size for picture in sorted(tour.glob("*.png"))}


def _pixels(picture: Path, mode: str) -> Image.Image:
    with Image.open(picture) as opened:
        return opened.convert(mode)


def _shown(tour: Path) -> dict[str, list[str]]:
    """The kinds of widgets seen in each picture."""
    return {step["picture"]: step["widgets"] for step in json.loads((tour / "tour.json").read_text("utf-8"))["steps"]}


def _likeness(one: Path, other: Path) -> float:
    """Correlation of the grey values of two pictures seen from afar: panels matter, texts and outlines do not."""
    coarse = [np.asarray(_pixels(path, "L").resize(COARSE_PX), np.float64).ravel() for path in (one, other)]
    return float(np.corrcoef(*coarse)[0, 1])
