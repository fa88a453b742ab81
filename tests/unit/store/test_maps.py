"""Maps of slides on disk: what is written is read, also where a network has more maps than labels."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr

from histoloop.errors import PlaceError, ProjectError
from histoloop.geometry import Region
from histoloop.slides.tiling import Window
from histoloop.store.maps import MapWriter, check_map, open_map
from histoloop.store.parts.maps import DAMAGED

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("benign", "malignant")


def writer(folder: Path, **changes: object) -> MapWriter:
    values = {
        "slide_width": 100,
        "slide_height": 60,
        "downsample": 1.0,
        "labels": LABELS,
        "stride_px": 32,
        "model_hash": "aa",
        **changes,
    }
    return MapWriter(folder, **values)  # type: ignore[arg-type]


def some(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float16).astype(np.float32)


def test_more_maps_than_labels_are_kept_and_the_labels_come_first(tmp_path: Path) -> None:
    maps, foreground = some(4, 2, 4), some(64, 128)
    names = (*LABELS, "attention of benign", "attention of malignant")
    with writer(tmp_path / "m", maps=names, label_bias=(0.5, -1.0)) as target:
        target.write(Window(0, 0, 128, 64), foreground, maps)
    found = open_map(tmp_path / "m")
    assert np.array_equal(found.maps[:], maps)
    assert np.array_equal(found.labels, maps[:2])
    assert found.label_names == LABELS
    assert found.label_bias == (0.5, -1.0)
    assert np.array_equal(found.masks()[:], foreground)


def test_without_names_the_maps_are_those_of_the_labels(tmp_path: Path) -> None:
    with writer(tmp_path / "m") as target:
        target.write(Window(0, 0, 128, 64), some(64, 128), some(2, 2, 4))
    found = open_map(tmp_path / "m")
    assert np.array_equal(found.labels, found.maps[:])
    assert found.label_bias == ()


def test_maps_written_before_there_was_a_bias_can_be_read(tmp_path: Path) -> None:
    with writer(tmp_path / "m") as target:
        target.write(Window(0, 0, 128, 64), some(64, 128), some(2, 2, 4))
    group = zarr.open_group(tmp_path / "m", mode="r+")
    for name in ("maps", "label_bias"):
        del group.attrs[name]
    assert open_map(tmp_path / "m").label_bias == ()


def test_names_that_do_not_begin_with_the_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="labels first"):
        writer(tmp_path / "m", maps=("background", *LABELS))
    with pytest.raises(ValueError, match="one bias a label"):
        writer(tmp_path / "m", label_bias=(0.0,))
    assert not any(tmp_path.iterdir())


def test_maps_of_another_number_than_was_named_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="class maps"), writer(tmp_path / "m", maps=(*LABELS, "background")) as target:
        target.write(Window(0, 0, 128, 64), some(64, 128), some(2, 2, 4))
    assert not any(tmp_path.iterdir())


def test_what_was_not_predicted_is_zero_and_not_covered(tmp_path: Path) -> None:
    with writer(tmp_path / "m", maps=(*LABELS, "background")) as target:
        target.write(Window(32, 0, 64, 32), np.ones((32, 64), np.float32), some(3, 1, 2))
    found = open_map(tmp_path / "m")
    covered = np.zeros((2, 4), bool)
    covered[0, 1:3] = True
    assert np.array_equal(found.covered[:], covered)
    read = found.read_foreground(Region(-10, -10, 120, 80))
    assert np.array_equal(read[10:74, 10:138][:32, 32:96], np.ones((32, 64)))
    assert read.sum() == 32 * 64


def test_a_finer_stride_has_more_cells(tmp_path: Path) -> None:
    with writer(tmp_path / "m", stride_px=16) as target:
        target.write(Window(0, 0, 112, 64), some(64, 112), some(2, 4, 7))
    assert open_map(tmp_path / "m").maps.shape == (2, 4, 7)


def test_a_folder_without_maps_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="Predict the slide again"):
        open_map(tmp_path)


# --- mask classes -----------------------------------------------------------------------------------------------------

THREE = ("gland", "tumour", "necrosis")


def shares(*shape: int) -> np.ndarray:
    return np.moveaxis(np.random.default_rng(0).dirichlet(np.ones(4), shape)[..., 1:], -1, 0).astype(np.float16)


def test_mask_classes_are_kept_with_their_names_and_sum_to_the_foreground(tmp_path: Path) -> None:
    classes = shares(64, 128)
    with writer(tmp_path / "m", mask_classes=THREE) as target:
        target.write(Window(0, 0, 128, 64), classes, some(2, 2, 4))
    found = open_map(tmp_path / "m")
    assert found.mask_classes == THREE
    assert np.array_equal(found.masks()[:], classes)
    region = Region(10, 20, 30, 5)
    assert np.array_equal(found.read_masks(region), classes[:, 20:25, 10:40])
    expected = classes[:, 20:25, 10:40].astype(np.float32).sum(axis=0)
    np.testing.assert_allclose(found.read_foreground(region), expected, rtol=1e-6)


def test_one_foreground_is_kept_as_earlier_versions_read_it_and_classes_are_refused_by_them(tmp_path: Path) -> None:
    with writer(tmp_path / "one") as target:
        target.write(Window(0, 0, 128, 64), some(64, 128), some(2, 2, 4))
    with writer(tmp_path / "three", mask_classes=THREE) as target:
        target.write(Window(0, 0, 128, 64), shares(64, 128), some(2, 2, 4))
    one, three = (zarr.open_group(tmp_path / name, mode="r") for name in ("one", "three"))
    assert (one.attrs["histoloop_map"], three.attrs["histoloop_map"]) == (1, 2)
    assert set(one) == {"foreground", "labels", "covered"}
    assert set(three) == {"classes", "labels", "covered"}
    assert open_map(tmp_path / "one").mask_classes == ()
    assert open_map(tmp_path / "one").read_masks(Region(0, 0, 9, 7)).shape == (7, 9)


def test_the_pyramid_of_classes_has_the_means_of_each(tmp_path: Path) -> None:
    side = 544  # more than a chunk
    classes = shares(side, side)
    with writer(tmp_path / "m", slide_width=side, slide_height=side, mask_classes=THREE) as target:
        target.write(Window(0, 0, side, side), classes, some(2, 17, 17))
    found = open_map(tmp_path / "m")
    assert found.level_downsamples == (1.0, 2.0)
    means = classes.astype(np.float32).reshape(3, side // 2, 2, side // 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(found.masks(1)[:], means, atol=1e-3)


def test_without_a_pyramid_there_is_the_finest_level_alone(tmp_path: Path) -> None:
    side = 544
    with writer(tmp_path / "m", slide_width=side, slide_height=side, pyramid=False) as target:
        target.write(Window(0, 0, side, side), some(side, side), some(2, 17, 17))
    found = open_map(tmp_path / "m")
    assert found.level_downsamples == (1.0,)
    assert np.array_equal(found.masks()[:], some(side, side).astype(np.float16))


def test_masks_of_another_number_of_classes_are_refused(tmp_path: Path) -> None:
    for masks in (some(64, 128), shares(64, 128)[:2]):
        with pytest.raises(ValueError, match="masks of shape"), writer(tmp_path / "m", mask_classes=THREE) as target:
            target.write(Window(0, 0, 128, 64), masks, some(2, 2, 4))


def test_maps_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    with writer(tmp_path / "m") as target:
        target.write(Window(0, 0, 128, 64), some(64, 128), some(2, 2, 4))
    zarr.open_group(tmp_path / "m", mode="r+").attrs["histoloop_map"] = 3
    with pytest.raises(ProjectError, match="newer HistoLoop"):
        open_map(tmp_path / "m")


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    """The folder of a map of 1,300 x 1,300 pixels that all have something in them."""
    rng = np.random.default_rng(0)
    with MapWriter(
        tmp_path / "map",
        slide_width=1300,
        slide_height=1300,
        downsample=1.0,
        labels=("a", "b"),
        stride_px=32,
        model_hash="h",
    ) as writer:
        side = writer.rows * 32
        foreground = rng.random((side, side)).astype(np.float32)
        writer.write(Window(0, 0, side, side), foreground, rng.random((2, writer.rows, writer.columns)))
    return tmp_path / "map"


def read_all(folder):
    found = open_map(folder)
    for level in range(len(found.level_downsamples)):
        found.masks(level)[...]
    np.asarray(found.maps, np.float32)
    np.asarray(found.covered, np.bool_)


def chunks(folder, array):
    return sorted(path for path in (folder / array / "c").rglob("*") if path.is_file())


@pytest.mark.parametrize("array", ["foreground/0", "foreground/1", "labels", "covered"])
@pytest.mark.parametrize("damage", ["cut short", "empty", "a changed byte", "of something else"])
def test_a_damaged_part_is_told_in_words_and_marks_the_map(written, array, damage):
    path = chunks(written, array)[-1]
    content = bytearray(path.read_bytes())
    if damage == "a changed byte":
        content[len(content) // 2] ^= 0x10
    path.write_bytes(
        {"cut short": content[: len(content) // 2], "empty": b"", "of something else": b"\0" * 5000}.get(
            damage, content
        )
    )
    with pytest.raises(ProjectError, match="cannot be read") as caught:
        read_all(written)
    assert "Predict the slide again" in caught.value.advice
    assert (written / DAMAGED).exists()
    with pytest.raises(ProjectError):
        check_map(written)


def test_a_missing_part_is_noticed_when_the_map_is_opened(written):
    chunks(written, "foreground/0")[0].unlink()
    with pytest.raises(ProjectError, match="a part of it is missing"):
        open_map(written)


def test_a_whole_map_passes_every_check(written):
    check_map(written)
    read_all(written)
    assert not (written / DAMAGED).exists()


ATTRIBUTES = [
    {"downsample": 0.0},
    {"downsample": -1.0},
    {"downsample": "one"},
    {"downsample": None},
    {"downsample": [1]},
    {"downsample": 1e-9},
    {"slide_width": 10**15},
    {"slide_width": -5},
    {"slide_height": "tall"},
    {"stride_px": 0},
    {"stride_px": 16},
    {"labels": 3},
    {"labels": ["a"] * 5},
    {"label_bias": "x"},
    {"label_bias": [1.0]},
    {"label_bias": [None, 2]},
    {"histoloop_map": "first"},
    {"histoloop_map": 99},
    {"chunks": "many"},
    {"slide_width": 2_000_000, "slide_height": 2_000_000},
]


@pytest.mark.parametrize("change", ATTRIBUTES, ids=str)
def test_attributes_that_cannot_be_are_refused_in_words(written, change):
    path = written / "zarr.json"
    table = json.loads(path.read_text())
    table["attributes"] |= change
    path.write_text(json.dumps(table))
    with pytest.raises(ProjectError, match="cannot be read"):
        open_map(written)


SHAPES = [
    ("labels", {"shape": [2, 10**9, 10**9]}),
    ("labels", {"shape": [1, 41, 41]}),
    ("labels", {"data_type": "float64"}),
    ("covered", {"shape": [41, 40]}),
    ("covered", {"data_type": "int8"}),
    ("foreground/0", {"shape": [10**12, 1312]}),
    ("foreground/1", {"shape": [10, 10]}),
    (
        "foreground/0",
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10**8, 10**8]}}},
    ),
    ("labels", {"node_type": "group"}),
    ("labels", {"codecs": []}),
]


@pytest.mark.parametrize(("array", "change"), SHAPES, ids=str)
def test_arrays_that_do_not_go_together_are_refused_in_words(written, array, change):
    path = written / array / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ProjectError, match="cannot be read"):
        open_map(written)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"zarr_format": 3}', "[" * 100_000, "\0", '{"a": ' + "9" * 20_000 + "}"]
)
@pytest.mark.parametrize("file", ["zarr.json", "labels/zarr.json"])
def test_a_description_that_is_none_is_refused_in_words(written, file, text):
    (written / file).write_text(text)
    with pytest.raises(ProjectError, match="cannot be read"):
        open_map(written)


@pytest.mark.parametrize("moment", ["begin", "write", "end"])
def test_a_disk_that_is_full_is_told_in_words_and_nothing_is_left(tmp_path, monkeypatch, moment):
    def fail(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    def write():
        if moment == "begin":
            monkeypatch.setattr(zarr, "create_group", fail)
        with MapWriter(
            tmp_path / "map",
            slide_width=64,
            slide_height=64,
            downsample=1.0,
            labels=("a",),
            stride_px=32,
            model_hash="h",
        ) as writer:
            if moment == "write":
                monkeypatch.setattr(zarr.Array, "__setitem__", fail)
            writer.write(Window(0, 0, 64, 64), np.ones((64, 64), np.float32), np.ones((1, 2, 2), np.float32))
            monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(PlaceError, match="map cannot be written: No space left on device"):
        write()
    assert list(tmp_path.iterdir()) == []
