"""Masks out of maps: in their place at every zoom, with what people painted on top."""

from __future__ import annotations

import math
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.annotations.records import AnnotationStatus, ClassScheme, LabelClass, MaskClass, Origin
from histoloop.geometry import Region
from histoloop.localisation.contours import polygons_of_mask
from histoloop.localisation.stitcher import mask_from_maps
from histoloop.network_config import NetworkConfig
from histoloop.slides.tiling import Window
from histoloop.slides.tissue import TissueMask
from histoloop.store.maps import MapWriter, SlideMap, check_map, open_map
from histoloop.workflows.contents import masks
from histoloop.workflows.contents.masks import (
    choose_method,
    covered_view,
    lay_over,
    map_in_project,
    mask_of_map,
    mask_of_slide,
    predicted_mask,
    view_map,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.annotations.records import Mask
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, SlideRecord


@pytest.fixture
def slide(add_slide: Callable[..., SlideRecord]) -> SlideRecord:
    """A slide of 160 x 96 pixels."""
    return add_slide("a.png")


def noise(height: int = 96, width: int = 160) -> np.ndarray:
    return np.random.default_rng(0).random((height, width)).astype(np.float16).astype(np.float32)


def split_labels(columns: int, rows: int, *, at: int) -> np.ndarray:
    """Label maps: malignant in the cells left of a column, benign from there on."""
    cells = np.zeros((2, rows, columns), np.float32)
    cells[1, :, :at] = 9.0
    cells[0, :, at:] = 9.0
    return cells


# --- a region of a map ------------------------------------------------------------------------------------------------


def test_at_its_own_resolution_a_map_is_shown_as_it_is(
    slide: SlideRecord, add_map: Callable[..., Path], scheme: ClassScheme
) -> None:
    values = noise()
    slide_map = open_map(add_map(slide, values))
    view = view_map(slide_map, scheme, Region(17, 9, 50, 40), size=(50, 40), threshold=0.5)
    part = values[9:49, 17:67]
    np.testing.assert_allclose(view.foreground, part, atol=1e-6)
    assert np.array_equal(view.mask, part > 0.5)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_the_mask_is_where_the_probability_is_above_the_threshold(
    slide: SlideRecord, add_map: Callable[..., Path], scheme: ClassScheme, threshold: float
) -> None:
    slide_map = open_map(add_map(slide, noise()))
    view = view_map(slide_map, scheme, slide.extent, size=(160, 96), threshold=threshold)
    assert np.array_equal(view.mask > 0, view.foreground > threshold)
    assert view.mask.any()
    assert not view.mask.all()


def test_foreground_takes_the_class_of_the_labels_that_are_likeliest_there(
    slide: SlideRecord, add_map: Callable[..., Path], scheme: ClassScheme
) -> None:
    slide_map = open_map(add_map(slide, 1.0, labels=split_labels(5, 3, at=2)))
    mask = predicted_mask(slide_map, scheme, slide.extent, threshold=0.5)
    assert (mask[:, :45] == 2).all()  # the border is where the cells around are as many on both sides
    assert (mask[:, 64:] == 1).all()
    part = predicted_mask(slide_map, scheme, Region(40, 5, 30, 3), threshold=0.5)
    assert part.tolist() == mask[5:8, 40:70].tolist()


def test_the_mask_of_a_region_is_that_part_of_the_mask_of_the_slide(
    slide: SlideRecord, add_map: Callable[..., Path], scheme: ClassScheme
) -> None:
    slide_map = open_map(add_map(slide, noise(), labels=split_labels(5, 3, at=3)))
    whole = mask_of_map(slide_map, scheme, threshold=0.4)
    for region in (slide.extent, Region(1, 2, 3, 4), Region(90, 60, 70, 36)):
        part = predicted_mask(slide_map, scheme, region, threshold=0.4)
        assert np.array_equal(part, whole[region.y : region.bottom, region.x : region.right])


def test_outside_the_slide_there_is_no_foreground(
    slide: SlideRecord, add_map: Callable[..., Path], scheme: ClassScheme
) -> None:
    slide_map = open_map(add_map(slide, 1.0))
    mask = predicted_mask(slide_map, scheme, Region(-8, -5, 20, 15), threshold=0.5)
    expected = np.zeros((15, 20), np.uint8)
    expected[5:, 8:] = 1
    assert np.array_equal(mask, expected)


def test_enlarged_edges_are_smooth_because_probabilities_are_enlarged_and_not_masks(
    slide: SlideRecord, add_map: Callable[..., Path], scheme: ClassScheme
) -> None:
    corner = np.zeros((24, 40), np.float32)
    corner[12:, 20:] = 1.0
    slide_map = open_map(add_map(slide, corner, downsample=4.0))
    view = view_map(slide_map, scheme, Region(70, 40, 20, 16), size=(20, 16), threshold=0.5)
    assert (view.foreground[-1, 0], view.foreground[-1, -1]) == (0, 1)
    steps = np.diff(view.foreground[-1])
    assert (steps >= 0).all()
    assert steps.max() < 0.3
    assert set(np.unique(view.mask)) == {0, 1}


@pytest.mark.parametrize("region", [Region(40, 20, 37, 30), Region(41, 23, 1, 1), Region(0, 66, 160, 30)])
def test_a_view_has_no_seam_to_its_neighbours(
    slide: SlideRecord, add_map: Callable[..., Path], scheme: ClassScheme, region: Region
) -> None:
    slide_map = open_map(add_map(slide, noise(24, 40), downsample=4.0))
    whole = view_map(slide_map, scheme, slide.extent, size=(160, 96), threshold=0.5)
    part = view_map(slide_map, scheme, region, size=(region.width, region.height), threshold=0.5)
    place = np.s_[region.y : region.bottom, region.x : region.right]
    np.testing.assert_allclose(part.foreground, whole.foreground[place], atol=1e-5)


# A map 1100 px long and its two coarser levels: an edge of tissue at column 500, a change of class at column 704.
EDGE, CLASS_EDGE = 500, 704


@pytest.fixture
def long_map(add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]) -> SlideMap:
    foreground = np.zeros((60, 1100), np.float32)
    foreground[:, EDGE:] = 1.0
    slide = add_slide("long.png", width=1100, height=60)
    slide_map = open_map(add_map(slide, foreground, labels=split_labels(35, 2, at=CLASS_EDGE // 32)))
    assert slide_map.level_downsamples == (1.0, 2.0, 4.0)
    return slide_map


@pytest.mark.parametrize("region", [Region(0, 0, 1100, 60), Region(333, 7, 611, 41), Region(-90, -10, 1000, 90)])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7, 2.0, 3.1, 4.0, 9.0])
def test_at_every_zoom_edges_are_where_they_are_on_the_slide(
    long_map: SlideMap, scheme: ClassScheme, region: Region, scale: float
) -> None:
    size = (round(region.width / scale), max(1, round(region.height / scale)))
    view = view_map(long_map, scheme, region, size=size, threshold=0.5)
    assert view.foreground.shape == view.mask.shape == size[::-1]
    row = view.mask[size[1] // 2]
    own = region.width / size[0]
    assert np.argmax(row > 0) == pytest.approx((EDGE - region.x) / own, abs=1.01)
    assert np.argmax(row == 1) == pytest.approx((CLASS_EDGE - region.x) / own, abs=1 + 2 / own)


@pytest.mark.parametrize(("scale", "level"), [(0.5, 0), (1.0, 0), (1.9, 0), (2.0, 1), (3.9, 1), (4.0, 2), (50.0, 2)])
def test_the_coarsest_level_that_is_fine_enough_is_read(
    long_map: SlideMap, scheme: ClassScheme, monkeypatch: pytest.MonkeyPatch, scale: float, level: int
) -> None:
    levels: list[int] = []
    read = SlideMap.read_foreground

    def watched(self: SlideMap, region: Region, *, level: int = 0) -> np.ndarray:
        levels.append(level)
        return read(self, region, level=level)

    monkeypatch.setattr(SlideMap, "read_foreground", watched)
    view_map(long_map, scheme, Region(0, 0, 400, 50), size=(round(400 / scale), round(50 / scale)), threshold=0.5)
    assert levels == [level]


def test_one_pixel_can_be_viewed(long_map: SlideMap, scheme: ClassScheme) -> None:
    view = view_map(long_map, scheme, Region(600, 30, 1, 1), size=(1, 1), threshold=0.5)
    assert view.mask.tolist() == [[2]]


# --- drawings of the class maps --------------------------------------------------------------------------------------


def test_a_label_that_is_asked_for_gives_all_of_its_foreground_its_class(
    slide: SlideRecord, add_map: Callable[..., Path], scheme: ClassScheme
) -> None:
    slide_map = open_map(add_map(slide, 0.0, labels=split_labels(5, 3, at=2)))
    config, probabilities = NetworkConfig(2), {"benign": 0.9, "malignant": 0.1}
    masks = {}
    for label in (None, "malignant"):
        method = choose_method(slide_map, config, "cam", probabilities=probabilities, label=label)
        masks[label] = view_map(slide_map, scheme, slide.extent, size=(160, 96), threshold=0.5, method=method).mask
    expected = np.zeros((96, 160), np.uint8)
    expected[:, 64:] = 1
    assert np.array_equal(masks[None], expected)
    expected = np.zeros((96, 160), np.uint8)
    expected[:, :64] = 2
    assert np.array_equal(masks["malignant"], expected)


def test_the_models_own_drawing_is_the_foreground_that_was_stored(
    slide: SlideRecord, add_map: Callable[..., Path]
) -> None:
    slide_map = open_map(add_map(slide, 0.0))
    assert choose_method(slide_map, NetworkConfig(2), "decoder", probabilities={}) is None
    with pytest.raises(ValueError, match="attention"):
        choose_method(slide_map, NetworkConfig(2), "attention", probabilities={})


def test_only_predicted_cells_are_covered_and_nothing_past_the_map(
    slide: SlideRecord, project: Project, scheme: ClassScheme
) -> None:
    folder = project.maps.new_folder(slide.id, 1)
    with MapWriter(
        folder,
        slide_width=160,
        slide_height=96,
        downsample=1.0,
        labels=scheme.label_names,
        stride_px=32,
        model_hash="x",
    ) as writer:
        writer.write(Window(32, 0, 64, 32), np.ones((32, 64)), np.zeros((2, 1, 2)))
    found = covered_view(open_map(folder), Region(-32, -32, 224, 128), size=(112, 64))
    expected = np.zeros((64, 112), np.bool_)
    expected[16:32, 32:64] = True
    assert np.array_equal(found, expected)


# --- a whole slide ----------------------------------------------------------------------------------------------------


def test_the_mask_of_a_slide_has_its_shape_and_not_that_of_whole_cells(
    add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path], scheme: ClassScheme
) -> None:
    slide = add_slide("odd.png", width=101, height=67)
    for downsample, shape in ((1.0, (67, 101)), (2.3, (29, 44)), (4.0, (17, 25)), (1000.0, (1, 1))):
        slide_map = open_map(add_map(slide, 1.0, downsample=downsample))
        mask = mask_of_map(slide_map, scheme, threshold=0.5)
        assert mask.shape == shape
        assert (mask == 1).all()


def scheme_of(labels: int) -> ClassScheme:
    """So many labels of two mask classes."""
    names = ("gland", "tumour")
    return ClassScheme(
        labels=tuple(LabelClass(f"label {number}", names[number % 2]) for number in range(labels)),
        masks=tuple(MaskClass(name, "#00ff00") for name in names),
    )


def map_of(folder: Path, scheme: ClassScheme, *, width: int, height: int, seed: int = 0) -> SlideMap:
    """Noise of foreground and labels."""
    rng = np.random.default_rng(seed)
    with MapWriter(
        folder, slide_width=width, slide_height=height, downsample=1.0, labels=scheme.label_names, stride_px=16,
        model_hash="made",
    ) as writer:  # fmt: skip
        cells = (writer.rows, writer.columns)
        foreground = rng.random((cells[0] * 16, cells[1] * 16), np.float32)
        labels = rng.normal(size=(len(scheme.labels), *cells)).astype(np.float32)
        writer.write(Window(0, 0, cells[1] * 16, cells[0] * 16), foreground, labels)
    return open_map(folder)


@pytest.mark.parametrize("labels", [1, 2, 3, 5])
@pytest.mark.parametrize("block", [16, 50, 512])
@pytest.mark.parametrize(("width", "height"), [(101, 67), (160, 96), (33, 200)])
def test_a_mask_made_block_by_block_is_that_of_the_whole_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: int, block: int, width: int, height: int
) -> None:
    scheme = scheme_of(labels)
    slide_map = map_of(tmp_path / "map", scheme, width=width, height=height)
    monkeypatch.setattr(masks, "CHUNK_PX", block)
    foreground = np.asarray(slide_map.masks(0)[:height, :width], np.float32)
    whole = mask_from_maps(foreground, slide_map.labels, scheme, threshold=0.4, stride_px=16)
    mask = mask_of_map(slide_map, scheme, threshold=0.4)
    assert mask.tobytes() == whole.tobytes()
    assert mask.shape == (height, width)


def test_the_mask_of_a_slide_takes_a_byte_a_pixel_and_some_blocks(tmp_path: Path) -> None:
    scheme = scheme_of(3)
    slide_map = map_of(tmp_path / "map", scheme, width=2048, height=1536)
    tracemalloc.start()
    try:
        mask = mask_of_map(slide_map, scheme, threshold=0.5)
        polygons_of_mask(np.ones_like(mask))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * mask.size  # 100 bytes a pixel were the floats of the whole slide


def test_before_a_prediction_a_slide_has_no_mask(project: Project, slide: SlideRecord) -> None:
    assert mask_of_slide(project, slide.id) is None


def test_maps_of_another_model_give_no_mask(project: Project, slide: SlideRecord, add_map: Callable[..., Path]) -> None:
    candidate = project.models.add("candidate", hash="candidate", parent=None, round=1)
    add_map(slide, 1.0, model_id=candidate.id)
    assert mask_of_slide(project, slide.id) is None


def test_the_mask_of_a_slide_is_cut_at_the_threshold_of_the_model(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path], make_model: Callable[..., Path]
) -> None:
    make_model(project.models.folder / "other", threshold=0.3)
    project.models.make_current(project.models.add("other", hash="other", parent=None, round=1).id)
    values = noise()
    add_map(slide, values)
    found = mask_of_slide(project, slide.id)
    assert found is not None
    assert np.array_equal(found.mask, values > 0.3)


def annotate(
    project: Project, slide: SlideRecord, region: Region, mask: Mask | int, *, done: bool = True
) -> AnnotationRecord:
    painted = np.full((region.height, region.width), mask, np.uint8) if isinstance(mask, int) else mask
    draft = project.drafts.start(slide.id, region, mask=painted, origin_model=None, person="Ada", origin=Origin.HUMAN)
    return project.drafts.finish(draft.id, AnnotationStatus.DONE) if done else draft


def test_what_people_painted_lies_on_top_background_too(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path]
) -> None:
    add_map(slide, 1.0)
    painted = np.zeros((20, 30), np.uint8)
    painted[:5] = 2
    annotate(project, slide, Region(40, 50, 30, 20), painted)
    found = mask_of_slide(project, slide.id)
    assert found is not None
    expected = np.ones((96, 160), np.uint8)
    expected[50:70, 40:70] = painted
    assert found.downsample == 1.0
    assert np.array_equal(found.mask, expected)


def test_drafts_and_annotations_of_other_slides_do_not_show(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    add_map(slide, 1.0)
    annotate(project, slide, Region(0, 0, 30, 20), 2, done=False)
    annotate(project, add_slide("b.png"), Region(0, 0, 30, 20), 2)
    found = mask_of_slide(project, slide.id)
    assert found is not None
    assert (found.mask == 1).all()


def test_of_two_annotations_the_later_is_on_top(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path]
) -> None:
    add_map(slide, 0.0)
    annotate(project, slide, Region(0, 0, 40, 40), 1)
    annotate(project, slide, Region(20, 20, 40, 40), 2)
    found = mask_of_slide(project, slide.id)
    assert found is not None
    expected = np.zeros((96, 160), np.uint8)
    expected[:40, :40] = 1
    expected[20:60, 20:60] = 2
    assert np.array_equal(found.mask, expected)


def test_annotations_are_laid_onto_a_coarser_mask_in_their_place(
    project: Project, slide: SlideRecord, add_map: Callable[..., Path]
) -> None:
    add_map(slide, 0.0, downsample=4.0)
    annotate(project, slide, Region(40, 20, 24, 16), 2)
    found = mask_of_slide(project, slide.id)
    assert found is not None
    expected = np.zeros((24, 40), np.uint8)
    expected[5:9, 10:16] = 2
    assert found.downsample == 4.0
    assert np.array_equal(found.mask, expected)


# --- laying over ------------------------------------------------------------------------------------------------------


def test_laying_over_at_level_0_replaces_exactly_the_pixels_of_the_region() -> None:
    mask = np.full((5, 7), 9, np.uint8)
    painted = np.arange(6, dtype=np.uint8).reshape(2, 3)
    lay_over(mask, painted, Region(3, 1, 3, 2), downsample=1.0)
    assert mask.tolist() == [
        [9, 9, 9, 9, 9, 9, 9],
        [9, 9, 9, 0, 1, 2, 9],
        [9, 9, 9, 3, 4, 5, 9],
        [9, 9, 9, 9, 9, 9, 9],
        [9, 9, 9, 9, 9, 9, 9],
    ]


def test_the_part_of_a_region_outside_the_mask_falls_away() -> None:
    painted = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)
    mask = np.zeros((4, 4), np.uint8)
    lay_over(mask, painted, Region(-2, -1, 4, 3), downsample=1.0)
    assert mask.tolist() == [[7, 8, 0, 0], [11, 12, 0, 0], [0] * 4, [0] * 4]
    before = mask.copy()
    lay_over(mask, painted, Region(50, 50, 4, 3), downsample=1.0)
    assert np.array_equal(mask, before)


def test_a_coarse_pixel_takes_the_value_in_its_middle() -> None:
    painted = np.zeros((6, 6), np.uint8)
    painted[1, 1], painted[1, 4], painted[4, 1], painted[4, 4] = 1, 2, 3, 4
    mask = np.zeros((2, 2), np.uint8)
    lay_over(mask, painted, Region(0, 0, 6, 6), downsample=3.0)
    assert mask.tolist() == [[1, 2], [3, 4]]


def test_the_mask_may_begin_anywhere_on_the_slide() -> None:
    mask = np.zeros((3, 4), np.uint8)
    lay_over(mask, np.full((2, 2), 5, np.uint8), Region(101, 201, 2, 2), downsample=1.0, origin=(100, 200))
    assert mask.tolist() == [[0, 0, 0, 0], [0, 5, 5, 0], [0, 5, 5, 0]]


places = st.integers(-6, 12)
sizes = st.integers(1, 9)


@settings(deadline=None, max_examples=150)
@given(
    region=st.builds(Region, places, places, sizes, sizes),
    downsample=st.sampled_from([0.5, 1.0, 1.5, 2.0, 2.3]),
    origin=st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
)
def test_a_mask_pixel_changes_when_its_middle_lies_in_the_region_and_to_the_value_there(
    region: Region, downsample: float, origin: tuple[int, int]
) -> None:
    painted = np.arange(1, region.area + 1, dtype=np.uint8).reshape(region.height, region.width)
    mask = np.zeros((6, 7), np.uint8)
    lay_over(mask, painted, region, downsample=downsample, origin=origin)
    for row in range(6):
        for column in range(7):
            x = math.floor(origin[0] + (column + 0.5) * downsample)
            y = math.floor(origin[1] + (row + 0.5) * downsample)
            inside = region.contains(Region(x, y, 1, 1))
            assert mask[row, column] == (painted[y - region.y, x - region.x] if inside else 0)


# --- masks of a decoder that tells classes apart ----------------------------------------------------------------------


@pytest.fixture
def class_map(tmp_path: Path) -> SlideMap:
    """Of 160 x 96 pixels: gland on the left, tumour on the right of a soft border, background below row 64."""
    classes = np.zeros((2, 96, 160), np.float32)
    classes[0, :64], classes[1, :64] = np.linspace(0.9, 0.05, 160), np.linspace(0.05, 0.9, 160)
    with MapWriter(
        tmp_path / "classes",
        slide_width=160,
        slide_height=96,
        downsample=1.0,
        labels=("benign", "malignant"),
        stride_px=32,
        model_hash="aa",
        mask_classes=("gland", "tumour"),
    ) as writer:
        writer.write(Window(0, 0, 160, 96), classes, np.zeros((2, 3, 5), np.float32))
    return open_map(tmp_path / "classes")


def test_a_mask_of_classes_is_the_likeliest_at_each_pixel_whatever_the_class_maps_say(
    class_map: SlideMap, scheme: ClassScheme
) -> None:
    whole = mask_of_map(class_map, scheme, threshold=0.5)
    expected = np.zeros((96, 160), np.uint8)
    expected[:64, :80], expected[:64, 80:] = 1, 2
    assert np.array_equal(whole, expected)
    region = Region(40, 30, 80, 60)
    assert np.array_equal(predicted_mask(class_map, scheme, region, threshold=0.5), expected[30:90, 40:120])


def test_a_view_of_classes_has_a_map_of_each(class_map: SlideMap, scheme: ClassScheme) -> None:
    view = view_map(class_map, scheme, Region(0, 0, 160, 96), size=(80, 48), threshold=0.5)
    assert view.classes is not None
    assert view.classes.shape == (2, 48, 80)
    np.testing.assert_allclose(view.foreground, view.classes.sum(axis=0), rtol=1e-6)
    expected = np.tile(np.linspace(0.9, 0.05, 160)[::2], (26, 1))
    np.testing.assert_allclose(view.classes[0, 2:28, 2:-2], expected[:, 2:-2], atol=0.01)


def test_a_higher_threshold_leaves_more_to_the_background(class_map: SlideMap, scheme: ClassScheme) -> None:
    sizes = [int((mask_of_map(class_map, scheme, threshold=t) > 0).sum()) for t in (0.5, 0.93, 0.99)]
    assert sizes[0] == 64 * 160
    assert sizes[0] > sizes[1] > sizes[2] == 0


# --- glass ------------------------------------------------------------------------------------------------------------

WIDE = {"width": 1200, "height": 300, "until": 400}
"""Tissue over columns 0 to 399, glass from there on."""


def test_a_mask_never_lies_on_glass_and_window_and_export_agree_to_the_pixel(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    slide = add_slide("wide.png", **WIDE)
    add_map(slide, 0.9, labels="malignant", downsample=2.0)
    whole = mask_of_slide(project, slide.id)
    found = map_in_project(project, slide.id)
    assert whole is not None
    assert found is not None
    assert (whole.mask[:, :200] == 2).all()
    assert not whole.mask[:, 208:].any()  # 6 um beside it, and a pixel of the survey
    shown = view_map(found.slide_map, found.classes, slide.extent, size=(600, 150), threshold=0.5)
    np.testing.assert_array_equal(shown.mask, whole.mask)
    np.testing.assert_array_equal(shown.foreground > 0, whole.mask > 0)
    level0 = predicted_mask(found.slide_map, found.classes, slide.extent, threshold=0.5)
    assert (level0[:, :400] == 2).all()
    assert not level0[:, 416:].any()
    assert not covered_view(found.slide_map, slide.extent, size=(600, 150))[:, 208:].any()


def test_what_people_painted_on_glass_stays_as_it_is_painted(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    slide = add_slide("wide.png", **WIDE)
    add_map(slide, 0.9)
    draft = project.drafts.start(
        slide.id, Region(1000, 100, 20, 10), mask=np.full((10, 20), 2, np.uint8), origin_model=None, person="Ada"
    )
    project.drafts.finish(draft.id, AnnotationStatus.DONE)
    found = mask_of_slide(project, slide.id)
    assert found is not None
    assert (found.mask[100:110, 1000:1020] == 2).all()
    assert found.mask[:, 420:].sum() == 2 * 200


def test_the_specimen_that_is_kept_with_a_map_counts_whatever_became_of_the_file(
    project: Project, add_slide: Callable[..., SlideRecord], tmp_path: Path, scheme: ClassScheme
) -> None:
    slide = add_slide("a.png")
    tissue = TissueMask(np.arange(16).reshape(1, 16) < 4, 10.0)
    with MapWriter(
        tmp_path / "map",
        slide_width=slide.width,
        slide_height=slide.height,
        downsample=1.0,
        labels=scheme.label_names,
        stride_px=32,
        model_hash="aa",
        tissue=tissue,
    ) as writer:
        writer.write(Window(0, 0, 160, 96), np.ones((96, 160), np.float32), np.zeros((2, 3, 5), np.float32))
    mask = mask_of_map(open_map(tmp_path / "map"), scheme, threshold=0.5)
    assert mask[:10, :40].all()
    assert not mask[:, 40:].any()
    check_map(tmp_path / "map")


def test_masks_of_a_slide_whose_file_is_gone_lie_where_an_earlier_version_had_them(
    project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    slide = add_slide("gone.png", **{**WIDE, "until": 350})
    add_map(slide, 0.9)
    slide.path.unlink()
    found = mask_of_slide(project, slide.id)
    assert found is not None
    assert found.mask.all()
