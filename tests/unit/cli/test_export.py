"""The choices of `histoloop export`: slides, classes, files, who drew, tables; and what is wrong with them."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tiny_model import write_tiny_model

from histoloop.annotations.records import Origin
from histoloop.cli import main
from histoloop.geometry import Region
from histoloop.slides.tiling import Window
from histoloop.store.maps import MapWriter
from histoloop.workflows import annotate
from histoloop.workflows.projects import create_project

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

STRIDE = 32
ALL = ("geojson", "png", "tiff")


def predict(project: Project, slide: SlideRecord) -> None:
    """A gland of 40 x 24 pixels, as if the model had found it."""
    model = project.models.current()
    folder = project.maps.new_folder(slide.id, model.id)
    with MapWriter(
        folder,
        slide_width=slide.width,
        slide_height=slide.height,
        downsample=1.0,
        labels=project.scheme.label_names,
        stride_px=STRIDE,
        model_hash=model.hash,
    ) as writer:
        foreground = np.zeros((writer.rows * STRIDE, writer.columns * STRIDE), np.float32)
        foreground[8:32, 16:56] = 1
        labels = np.zeros((2, writer.rows, writer.columns), np.float32)
        labels[0] = 9
        writer.write(Window(0, 0, foreground.shape[1], foreground.shape[0]), foreground, labels)
    project.maps.add(slide.id, model.id, folder.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides with a predicted gland each; on the first one Ada painted a tumour and accepted nothing else."""
    place = tmp_path_factory.mktemp("export")
    model = write_tiny_model(place / "tiny")
    with create_project(place / "project", name="Colon", start=str(model)) as project:
        for seed, name in enumerate(("a.png", "b.png")):
            pixels = np.array((205, 130, 180)) + np.random.default_rng(seed).integers(-25, 26, (96, 160, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(place / name)
            predict(project, project.slides.add(place / name, width=160, height=96, mpp=0.5, vendor="picture"))
        first, region = project.slides.all()[0], Region(100, 40, 20, 20)
        mask = np.full((20, 20), 2, np.uint8)
        draft = project.drafts.start(first.id, region, mask=mask, origin_model=None, person="Ada", origin=Origin.HUMAN)
        annotate.finish(project, draft.id)
    return place / "project"


def classes_in(path: Path) -> list[str]:
    """The classes of the outlines of a file, in order."""
    features = json.loads(path.read_text("utf-8"))["features"]
    return sorted(one["properties"]["classification"]["name"] for one in features)


def names_in(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir() if path.suffix != ".csv")


@pytest.mark.parametrize("name", ["b.png", "a.png"])
def test_slides_that_are_named_are_exported_alone(folder: Path, tmp_path: Path, name: str, capsys) -> None:
    assert main(["export", str(folder), "--out", str(tmp_path), "--slides", name, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == [{"slide": name}]
    stem = name.removesuffix(".png")
    assert names_in(tmp_path) == [f"{stem}-mask.png", f"{stem}-mask.tiff", f"{stem}.geojson"]
    with (tmp_path / "summary.csv").open(encoding="utf-8", newline="") as lines:
        assert [row["slide"] for row in csv.DictReader(lines)] == [name]


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ([], ["gland", "tumour"]),
        (["--classes", "tumour"], ["tumour"]),
        (["--classes", "gland", "tumour"], ["gland", "tumour"]),
        (["--drawn-by", "person"], ["tumour"]),
        (["--drawn-by", "model", "accepted"], ["gland"]),
        (["--classes", "gland", "--drawn-by", "person"], []),
    ],
)
def test_classes_and_hands_that_are_named_are_exported_alone(
    folder: Path, tmp_path: Path, options: list[str], classes: list[str]
) -> None:
    assert main(["export", str(folder), "--out", str(tmp_path), "--slides", "a.png", *options]) == 0
    assert classes_in(tmp_path / "a.geojson") == classes
    values = set(np.unique(np.asarray(Image.open(tmp_path / "a-mask.png"))).tolist()) - {0}
    assert values == {{"gland": 1, "tumour": 2}[one] for one in classes}


@pytest.mark.parametrize("kind", ALL)
def test_files_that_are_named_are_written_alone(folder: Path, tmp_path: Path, kind: str) -> None:
    assert main(["export", str(folder), "--out", str(tmp_path), "--slides", "b.png", "--formats", kind]) == 0
    assert names_in(tmp_path) == [{"geojson": "b.geojson", "png": "b-mask.png", "tiff": "b-mask.tiff"}[kind]]


@pytest.mark.parametrize(
    ("table", "start", "number"),
    [
        ("csv", b"slide,", ".0"),
        ("excel", b"\xef\xbb\xbfslide,", ".0"),
        ("excel-semicolon", b"\xef\xbb\xbfslide;", ",0"),
    ],
)
def test_tables_are_written_as_asked(folder: Path, tmp_path: Path, table: str, start: bytes, number: str) -> None:
    assert main(["export", str(folder), "--out", str(tmp_path), "--slides", "a.png", "--table", table]) == 0
    for name in ("summary.csv", "areas.csv", "annotations.csv"):
        assert (tmp_path / name).read_bytes().startswith(start), name
    separator = start.decode("utf-8-sig")[-1]
    with (tmp_path / "areas.csv").open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter=separator))
    assert {row["drawn_by"]: row["person"] for row in rows} == {"model": "", "person": "Ada"}
    assert any(number in cell for row in rows for cell in row.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--slides", "c.png"], "The project has no slide 'c.png'. It has: a.png, b.png."),
        (["--slides", "a.png", "nowhere"], "The project has no slide 'nowhere'."),
        (["--classes", "stroma"], "The project has no class 'stroma'. It has: gland, tumour."),
    ],
)
def test_names_that_the_project_has_not_are_told_with_those_it_has(
    folder: Path, tmp_path: Path, options: list[str], said: str, capsys
) -> None:
    assert main(["export", str(folder), "--out", str(tmp_path / "out"), *options]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [["--formats", "svg"], ["--drawn-by", "nobody"], ["--table", "ods"], ["--slides"], ["--classes"], ["--formats"],
     ["--drawn-by"]],
)  # fmt: skip
def test_kinds_that_there_are_not_and_empty_choices_are_wrong_usage(
    folder: Path, tmp_path: Path, options: list[str], capsys
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(folder), "--out", str(tmp_path / "out"), *options])
    assert stopped.value.code == 2
    assert options[0] in capsys.readouterr().err
