"""Slides predicted straight from files: what no model knows is refused with words, what is unusual is noted."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image

from histoloop.progress import finish
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.prediction.predict_files import predict_files

if TYPE_CHECKING:
    from pathlib import Path


def test_fluorescence_is_refused_with_its_channels_and_the_rest_is_predicted(tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "Ki-67"]}}
    planes = np.random.default_rng(0).integers(0, 4096, (2, 96, 128), np.uint16)
    tifffile.imwrite(folder / "cells.ome.tif", planes, ome=True, metadata=metadata)
    Image.new("RGB", (96, 96), (200, 120, 180)).save(folder / "tissue.png")
    (folder / "notes.txt").write_text("no slide", encoding="utf-8")
    report = finish(predict_files([folder], out=tmp_path / "out", model=DEFAULT_MODEL, device="cpu"))
    assert report.predicted == 1
    ((file, reason),) = report.failed
    assert file.endswith("cells.ome.tif")
    assert "not a brightfield picture (channels: DAPI, Ki-67)" in reason
    assert not (tmp_path / "out" / "cells.ome-mask.png").exists()
    with (tmp_path / "out" / "summary.csv").open(encoding="utf-8", newline="") as table:
        rows = {row["slide"].rsplit("/", 1)[-1]: row for row in csv.DictReader(table)}
    assert rows["cells.ome.tif"]["status"] == "failed"
    assert rows["tissue.png"]["status"] == "predicted"
    ((passed_over, why),) = report.passed_over
    assert passed_over.endswith("notes.txt")
    assert why
