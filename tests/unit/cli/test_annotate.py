"""`histoloop annotate` with files of other programs: what it prints, what it leaves out, how it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image

from histoloop.cli import main
from histoloop.store.project import Project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a slide of 160 x 96 pixels."""
    folder = tmp_path_factory.mktemp("annotate")
    Image.fromarray(np.full((96, 160, 3), (215, 140, 185), np.uint8)).save(folder / "a.png")
    assert main(["import", str(folder / "p"), str(folder / "a.png"), "--mpp", "0.5"]) == 0
    return folder


def outlines(path: Path, *classes: str | None, kind: str = "Polygon") -> Path:
    ring = [[20, 10], [50, 10], [50, 30], [20, 30], [20, 10]]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": kind, "coordinates": [ring] if kind == "Polygon" else ring[0]},
            "properties": {"classification": None if name is None else {"name": name}},
        }
        for name in classes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def annotate(made: Path, file: Path, *options: str) -> int:
    return main(["annotate", str(made / "p"), "--slide", "a.png", "--mask", str(file), "--replace", *options])


def count(made: Path) -> int:
    with Project.open(made / "p") as project:
        return len(project.annotations.all())


def test_what_is_left_out_is_named_and_the_command_ends_as_partly_done(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = outlines(tmp_path / "a.geojson", "Tumor", None)
    assert annotate(made, file, "--json", "-") == 3
    out, err = capsys.readouterr()
    assert f"histoloop: {file}: 1 left out: outlines without a class." in err
    told = json.loads(out)
    assert told["failed"] == [{"slide": str(file), "reason": "1 left out: outlines without a class."}]
    assert told["done"][0]["region"] == [0, 0, 160, 96]
    assert (told["exit_code"], told["meaning"]) == (3, "some failed or were not understood")


def test_a_file_that_is_understood_ends_well(made: Path, tmp_path: Path) -> None:
    assert annotate(made, outlines(tmp_path / "a.geojson", "Tumor", "Ignore*")) == 0


@pytest.mark.parametrize("kind", ["Polygon", "Point"])
def test_a_file_of_which_nothing_can_be_taken_changes_nothing(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    before = count(made)
    assert annotate(made, outlines(tmp_path / "a.geojson", "Weird", kind=kind)) == 1
    assert count(made) == before
    assert ("--map-class" if kind == "Polygon" else "points, which have no area") in capsys.readouterr().err


def test_what_is_finished_is_replaced_only_when_that_is_said(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = outlines(tmp_path / "a.geojson", "Tumor")
    assert annotate(made, file) == 0
    before = count(made)
    assert main(["annotate", str(made / "p"), "--slide", "a.png", "--mask", str(file)]) == 1
    assert "--replace" in capsys.readouterr().err
    assert count(made) == before


def test_classes_are_mapped_and_the_map_is_remembered(made: Path, tmp_path: Path) -> None:
    file = outlines(tmp_path / "a.geojson", "Grade = 3", "Fat")
    assert annotate(made, file, "--map-class", "Grade = 3=tumour", "--map-class", "fat=-") == 3
    assert annotate(made, file) == 3


@pytest.mark.parametrize(
    "options",
    [["--map-class", "a=tumour", "--label", "Polyp"], ["--mask-mpp", "1", "--size", "0.4"], ["--frame", "bounds"]],
)
def test_options_of_masks_need_a_mask(made: Path, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["annotate", str(made / "p"), "--slide", "a.png", *options]) == 2
    assert "go with --mask" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--map-class", "tumour"], ["--map-class", "=a"], ["--map-class", "a="],
                                     ["--mask-mpp", "0"], ["--mask-mpp", "inf"], ["--mask-mpp", "nan"],
                                     ["--mask-mpp", "1e-4"], ["--mask-mpp", "500"], ["--frame", "qupath"]])  # fmt: skip
def test_wrong_options_are_wrong_usage(made: Path, tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        annotate(made, tmp_path / "a.geojson", *options)
    assert caught.value.code == 2


def test_outlines_of_ignore_alone_are_named_where_there_is_nothing_else(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert annotate(made, outlines(tmp_path / "a.geojson", "Ignore*")) == 1
    assert "It contains only outlines of Ignore*." in capsys.readouterr().err


def test_what_lies_outside_of_the_slide_is_left_out_and_told(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = outlines(tmp_path / "a.geojson", "Tumor")
    content = json.loads(file.read_text())
    away = json.loads(json.dumps(content["features"][0]))
    away["geometry"]["coordinates"] = [[[x + 170, y] for x, y in ring] for ring in away["geometry"]["coordinates"]]
    file.write_text(json.dumps({**content, "features": [*content["features"], *content["features"], away]}))
    assert annotate(made, file) == 3
    assert "1 outline lies outside the region." in capsys.readouterr().err


def test_a_black_and_white_mask_says_what_it_was_taken_for(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((96, 160), np.bool_)
    mask[10:40, 10:60] = True
    Image.fromarray(mask).save(tmp_path / "m.png")
    assert annotate(made, tmp_path / "m.png") == 0
    told = "is black and white: white was taken as gland. For another class use --mask-class tumour."
    assert told in capsys.readouterr().err
    assert annotate(made, tmp_path / "m.png", "--mask-class", "tumour") == 0
    assert "black and white" not in capsys.readouterr().err


@pytest.mark.parametrize("region", ["0,0,0,10", "0,0,10,-1", "1,2,3"])
def test_a_region_without_a_pixel_is_wrong_usage(made: Path, region: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["annotate", str(made / "p"), "--slide", "a.png", "--region", region, "--size", "0.5"])
    assert ended.value.code == 2


def test_an_annotation_of_what_is_no_brightfield_picture_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planes = np.random.default_rng(0).integers(0, 4096, (2, 96, 160), np.uint16)
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "Ki-67"]}}
    tifffile.imwrite(tmp_path / "cells.ome.tif", planes, ome=True, metadata=metadata)
    assert main(["import", str(tmp_path / "p"), str(tmp_path / "cells.ome.tif"), "--mpp", "0.5"]) == 0
    place = ["--slide", "cells.ome.tif", "--region", "0,0,50,50"]
    assert main(["annotate", str(tmp_path / "p"), *place, "--size", "0.5"]) == 0
    assert "not a brightfield image (channels: DAPI, Ki-67)" in capsys.readouterr().err
