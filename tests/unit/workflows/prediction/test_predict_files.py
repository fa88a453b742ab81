"""Slides predicted straight from files: what no model knows is refused with words, what is unusual is noted."""

from __future__ import annotations

import csv
import dataclasses
import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from histoloop.errors import DataError, PlaceError
from histoloop.inference.predictor import SlidePrediction
from histoloop.localisation import bands
from histoloop.progress import finish
from histoloop.slides.reader import open_slide
from histoloop.slides.tiling import Window
from histoloop.store.presence import claimed
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.prediction import predict_files as module
from histoloop.workflows.prediction import predict_slide
from histoloop.workflows.prediction.cohort import Shard, leave_row
from histoloop.workflows.prediction.predict_files import FilesReport, predict_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.progress import Work
    from histoloop.slides.reader import Slide
    from histoloop.slides.tissue import TissueMask
    from histoloop.store.maps import MapWriter


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


# --- one failure, one row: with a model that only pretends ------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures."""
    (tmp_path / "slides").mkdir()
    for name in "abc":
        Image.new("RGB", (96, 64), (200, 120, 180)).save(tmp_path / "slides" / f"{name}.png")
    return tmp_path / "slides"


@pytest.fixture
def predict(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FilesReport]:
    """Predict the pictures; `failing` are errors by name, raised as the slide is predicted."""
    loaded = module.open_model(DEFAULT_MODEL, device="cpu")

    def run(failing: dict[str, BaseException] | None = None, *, slides: Path = pictures, **options: Any) -> FilesReport:
        def pretend(
            slide: Slide, _model: object, *, sink: MapWriter, specimen: TissueMask, precision: str
        ) -> Work[SlidePrediction]:
            if error := (failing or {}).get(slide.path.name):
                raise error
            yield module.Progress("Predicting", 0, 1)
            core = Window(0, 0, sink.columns * sink.stride_px, sink.rows * sink.stride_px)
            labels = len(loaded.card.scheme.labels)
            foreground = np.indices((core.height, core.width)).sum(axis=0) % 90 < 50
            sink.write(core, foreground.astype(np.float32), np.zeros((labels, sink.rows, sink.columns)))
            return SlidePrediction(None, np.eye(labels, dtype=np.float32)[0], "", 1, 0.0)

        monkeypatch.setattr(module, "open_model", lambda *_arguments, **_options: loaded)
        monkeypatch.setattr(predict_slide, "predict_maps", pretend)
        return finish(predict_files([slides], out=tmp_path / "out", model="m", **options))

    return run


def rows(out: Path) -> list[tuple[str, str]]:
    with (out / "summary.csv").open(encoding="utf-8", newline="") as table:
        return [(row["slide"].rsplit("/", 1)[-1], row["status"]) for row in csv.DictReader(table)]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(), OSError(errno.EIO, "Input/output error"), RuntimeError("a decoder"), ZeroDivisionError(),
        UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates"), RecursionError(), KeyError("tile"),
    ],
    ids=repr,
)  # fmt: skip
def test_whatever_is_raised_for_one_slide_has_its_row_and_the_others_go_on(
    predict: Callable[..., FilesReport], tmp_path: Path, error: Exception
) -> None:
    report = predict({"b.png": error})
    assert report.predicted == 2
    assert [name.rsplit("/", 1)[-1] for name, _reason in report.failed] == ["b.png"]
    assert rows(tmp_path / "out") == [("a.png", "predicted"), ("b.png", "failed"), ("c.png", "predicted")]
    assert not list((tmp_path / "out").glob("b*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")], ids=repr)
def test_what_was_done_before_the_end_is_kept(
    predict: Callable[..., FilesReport], tmp_path: Path, error: BaseException
) -> None:
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else PlaceError):
        predict({"b.png": error})
    assert rows(tmp_path / "out") == [("a.png", "predicted")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-mask.png", "a.geojson", "summary.csv"]
    assert len(predict().rows) == 2  # the others
    assert len(rows(tmp_path / "out")) == 3


def test_a_mask_that_cannot_be_written_leaves_no_outlines_either(
    predict: Callable[..., FilesReport], tmp_path: Path
) -> None:
    (tmp_path / "out" / "b-mask.png").mkdir(parents=True)
    ((_name, reason),) = predict().failed
    assert "b-mask.png cannot be written" in reason
    assert not (tmp_path / "out" / "b.geojson").exists()


def test_files_made_in_bands_are_those_of_the_mask_that_is_held_whole(
    predict: Callable[..., FilesReport], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = predict()
    loaded = module.open_model(DEFAULT_MODEL, device="cpu")
    with open_slide(pictures / "a.png") as slide:
        predicted = finish(predict_slide.predict_slide(slide, loaded))
    predict_slide.write_mask(tmp_path / "mask.png", predicted)
    predict_slide.write_polygons(tmp_path / "a.geojson", predicted)
    assert predicted.mask.any()
    assert (tmp_path / "out" / "a-mask.png").read_bytes() == (tmp_path / "mask.png").read_bytes()
    assert (tmp_path / "out" / "a.geojson").read_bytes() == (tmp_path / "a.geojson").read_bytes()
    areas = report.rows[0].mask_area_px
    assert areas is not None
    assert sum(areas.values()) == (predicted.mask > 0).sum() * predicted.downsample**2
    monkeypatch.setattr("histoloop.workflows.contents.masks.BAND_ROWS", 32)
    monkeypatch.setattr(bands, "BAND_ROWS", 32)
    predict()
    assert (tmp_path / "out" / "a.geojson").read_bytes() == (tmp_path / "a.geojson").read_bytes()
    with Image.open(tmp_path / "out" / "a-mask.png") as picture:
        assert np.array_equal(np.asarray(picture), predicted.mask)


def test_a_folder_with_nothing_to_predict_is_an_error_that_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no slide or picture"):
        finish(predict_files([tmp_path / "empty"], out=tmp_path / "out", model=DEFAULT_MODEL, device="cpu"))
    assert not (tmp_path / "out").exists()


def test_a_file_that_nobody_understands_fails_in_the_table(
    predict: Callable[..., FilesReport], pictures: Path, tmp_path: Path
) -> None:
    (pictures / "d.isyntax").write_bytes(b"a scanner's own")
    ((_name, reason),) = predict().failed
    assert reason == "its file extension is not that of a slide format"
    assert rows(tmp_path / "out")[-1] == ("d.isyntax", "failed")


# --- a folder that has results already --------------------------------------------------------------------------------


def test_results_of_other_slides_in_the_folder_stay_and_slides_of_one_name_are_kept_apart(
    predict: Callable[..., FilesReport], tmp_path: Path
) -> None:
    predict()
    (tmp_path / "more").mkdir()
    for name in ("a", "d"):
        Image.new("RGB", (96, 64), (120, 120, 180)).save(tmp_path / "more" / f"{name}.png")
    report = predict(slides=tmp_path / "more")
    names = ["a.png", "b.png", "c.png", "a.png", "d.png"]
    assert rows(tmp_path / "out") == [(name, "predicted") for name in names]
    assert {path.name for path in (tmp_path / "out").glob("*.geojson")} == {
        "a.geojson",
        "b.geojson",
        "c.geojson",
        "more-a.geojson",
        "d.geojson",
    }
    assert "goes on with the 3 rows of other slides" in report.notes[0]


def test_a_slide_whose_name_is_not_utf_8_is_known_by_its_row(
    predict: Callable[..., FilesReport], pictures: Path, tmp_path: Path
) -> None:
    try:
        (pictures / "b.png").rename(pictures / "b\udce4.png")
    except (OSError, UnicodeError):
        pytest.skip("this system has no such names")
    predict()
    report = predict()
    assert not report.rows
    assert len(report.done_before) == len(rows(tmp_path / "out")) == 3
    assert report.notes == ()


def test_a_project_is_not_taken_for_a_folder_of_slides(predict: Callable[..., FilesReport], tmp_path: Path) -> None:
    (tmp_path / "slides" / "project.db").touch()
    with pytest.raises(DataError, match="is a project"):
        predict()
    assert not (tmp_path / "out").exists()


def test_slides_are_not_predicted_again_by_the_same_model_and_settings(
    predict: Callable[..., FilesReport], tmp_path: Path
) -> None:
    predict({"b.png": RuntimeError("a disk")})
    before = (tmp_path / "out" / "a.geojson").stat().st_mtime_ns
    report = predict()
    assert [row.slide.rsplit("/", 1)[-1] for row in report.rows] == ["b.png"]
    assert [row.path.name for row in report.done_before] == ["a.png", "c.png"]
    assert (tmp_path / "out" / "a.geojson").stat().st_mtime_ns == before
    assert sorted(rows(tmp_path / "out")) == [(f"{name}.png", "predicted") for name in "abc"]
    assert report.notes == ()


def test_what_changed_since_is_predicted_again(
    predict: Callable[..., FilesReport], pictures: Path, tmp_path: Path
) -> None:
    predict()
    Image.new("RGB", (96, 64), (20, 120, 180)).save(pictures / "a.png")  # another slide of the name
    os.utime(pictures / "b.png", (1, 1))  # older than what was predicted, and the same
    (tmp_path / "out" / "c-mask.png").unlink()
    names = [row.slide.rsplit("/", 1)[-1] for row in predict().rows]
    assert names == ["a.png", "c.png"]
    assert len(predict(mpp=0.5).rows) == 3
    assert len(predict(mpp=0.5).rows) == 0
    assert len(predict(mpp=0.5, again=True).rows) == 3
    assert len(predict(mpp=0.5, precision="exact").rows) == 3  # those were in half precision
    assert len(predict(mpp=0.5, precision="exact").rows) == 0
    assert len(rows(tmp_path / "out")) == 3


def test_a_row_that_was_not_written_whole_is_predicted_again(
    predict: Callable[..., FilesReport], tmp_path: Path
) -> None:
    predict()
    table = tmp_path / "out" / "summary.csv"
    table.write_bytes(table.read_bytes()[:-9])
    assert [row.slide.rsplit("/", 1)[-1] for row in predict().rows] == ["c.png"]
    assert len(rows(tmp_path / "out")) == 3


def test_a_table_of_the_version_before_goes_on(predict: Callable[..., FilesReport], tmp_path: Path) -> None:
    predict()
    table = tmp_path / "out" / "summary.csv"
    with table.open(encoding="utf-8", newline="") as file:
        kept = [row[:-3] for row in csv.reader(file)]
    kept[1] = [cell.replace("a.png", "x.png").replace("a.geojson", "x.geojson") for cell in kept[1]]
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(kept)
    report = predict()
    assert len(report.rows) == 3  # nothing tells with which settings they were predicted
    assert [name for name, _status in rows(tmp_path / "out")] == ["x.png", "a.png", "b.png", "c.png"]
    assert "goes on with the 1 rows of other slides" in report.notes[0]


# --- parts of a cohort ------------------------------------------------------------------------------------------------


def test_parts_predict_all_slides_between_them_and_the_whole_run_joins_their_tables(
    predict: Callable[..., FilesReport], pictures: Path, tmp_path: Path
) -> None:
    (pictures / "more").mkdir()
    Image.new("RGB", (96, 64), (90, 120, 180)).save(pictures / "more" / "a.png")  # the name of a slide of another part
    second = predict(shard=Shard(2, 2))
    assert [row.slide.rsplit("/", 1)[-1] for row in second.rows] == ["b.png", "a.png"]
    assert second.summary == tmp_path / "out" / "shards" / "2-of-2" / "summary.csv"
    first = predict({"c.png": RuntimeError("a disk")}, shard=Shard(1, 2))
    assert [(row.slide.rsplit("/", 1)[-1], row.status) for row in first.rows] == [
        ("a.png", "predicted"),
        ("c.png", "failed"),
    ]
    assert not (tmp_path / "out" / "summary.csv").exists()
    joined = predict()
    assert [row.slide.rsplit("/", 1)[-1] for row in joined.rows] == ["c.png"]
    assert len(joined.done_before) == 3
    assert sorted(rows(tmp_path / "out")) == [(f"{name}.png", "predicted") for name in "aabc"]
    assert len(list((tmp_path / "out").glob("*.geojson"))) == 4
    assert not (tmp_path / "out" / "shards").exists()


def test_a_part_that_is_being_predicted_is_not_joined(predict: Callable[..., FilesReport], tmp_path: Path) -> None:
    predict(shard=Shard(1, 2))
    part = tmp_path / "out" / "shards" / "1-of-2"
    with claimed(part) as granted:
        assert granted
        with pytest.raises(PlaceError, match="Another command is writing to"):
            predict()
    assert len(predict().rows) == 1


# --- a worker that was done before whoever writes the table knew ------------------------------------------------------


def test_a_slide_whose_row_was_left_is_not_predicted_again(predict: Callable[..., FilesReport], tmp_path: Path) -> None:
    out = tmp_path / "out"
    (done, *_others) = predict().rows
    (out / "summary.csv").unlink()
    (out / "rows").mkdir()
    leave_row(out, "a", done)
    leave_row(out, "b", dataclasses.replace(done, settings="others"))
    report = predict({"a.png": RuntimeError("is not predicted")})
    assert report.failed == ()
    assert sorted(rows(out)) == [(f"{name}.png", "predicted") for name in "abc"]
    assert not (out / "rows").exists()


def test_a_summary_of_a_model_with_other_classes_is_set_aside(
    predict: Callable[..., FilesReport], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.csv").write_text("slide,p_Benign,path,files\nx.svs,1,x.svs,a.geojson;a-mask.png\n")
    report = predict()
    assert (tmp_path / "out" / "summary-1.csv").read_text().startswith("slide,p_Benign")
    assert len(rows(tmp_path / "out")) == 3
    assert not (tmp_path / "out" / "a.geojson").exists()  # the name of another slide's
    assert "is kept as" in report.notes[0]


def test_two_commands_do_not_write_into_one_folder_at_once(predict: Callable[..., FilesReport], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with claimed(tmp_path / "out") as granted:
        assert granted
        with pytest.raises(PlaceError, match="Another command is writing to"):
            predict()
    assert list((tmp_path / "out").iterdir()) == []
    assert predict().predicted == 3
