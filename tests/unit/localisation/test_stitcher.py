from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.localisation.stitcher import foreground_of, mask_from_maps, mask_of_classes, upsample

SCHEME = ClassScheme(
    labels=(LabelClass("a", "gland"), LabelClass("b", "tumour"), LabelClass("c", "gland")),
    masks=(MaskClass("gland", "#00ff00"), MaskClass("tumour", "#ff0000")),
)


def some_maps(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, 4, 5)).astype(np.float32)


def test_enlarging_equals_torch_bilinear_without_aligned_corners() -> None:
    maps = some_maps()
    expected = functional.interpolate(
        torch.from_numpy(maps)[None], scale_factor=8, mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(upsample(maps, stride_px=8, x=0, y=0, width=40, height=32), expected[0], atol=1e-6)


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 20), st.integers(1, 10), st.integers(1, 12))
def test_a_window_equals_the_same_part_of_the_whole(x: int, y: int, width: int, height: int) -> None:
    foreground = np.random.default_rng(1).random((32, 40)).astype(np.float32)
    whole = mask_from_maps(foreground, some_maps(), SCHEME, threshold=0.3, stride_px=8)
    part = mask_from_maps(
        foreground[y : y + height, x : x + width], some_maps(), SCHEME, threshold=0.3, stride_px=8, x=x, y=y
    )
    np.testing.assert_array_equal(part, whole[y : y + height, x : x + width])


def test_labels_of_one_mask_class_add_up() -> None:
    maps = np.log(np.array([0.3, 0.4, 0.3], np.float32)).reshape(3, 1, 1)
    mask = mask_from_maps(np.ones((4, 4), np.float32), maps, SCHEME, threshold=0.5, stride_px=4)
    assert (mask == 1).all()  # gland: 0.3 + 0.3 against tumour: 0.4


def test_a_cell_is_named_by_those_around_it() -> None:
    maps = np.zeros((3, 9, 9), np.float32)
    maps[0] = 1.0
    maps[:, 4, 4] = (0.0, 3.0, 0.0)  # one cell that is rather of b
    everywhere = np.ones((72, 72), np.float32)
    alone = mask_from_maps(everywhere, maps, SCHEME, threshold=0.5, stride_px=8, average_cells=0)
    assert alone[36, 36] == 2
    assert (mask_from_maps(everywhere, maps, SCHEME, threshold=0.5, stride_px=8) == 1).all()
    maps[:, :, 5:] = np.array([0.0, 3.0, 0.0])[:, None, None]
    sides = mask_from_maps(everywhere, maps, SCHEME, threshold=0.5, stride_px=8)
    assert (sides[:, :24] == 1).all()  # a side that is of b throughout stays so
    assert (sides[:, 56:] == 2).all()


def test_cells_that_were_not_predicted_name_nothing() -> None:
    maps = np.zeros((3, 6, 6), np.float32)
    maps[:, 2, 2] = (0.0, 1.0, 0.0)  # b has 0.58 there; cells of nothing would have 2/3 for the two labels of gland
    everywhere = np.ones((48, 48), np.float32)
    assert (mask_from_maps(everywhere, maps, SCHEME, threshold=0.5, stride_px=8) == 2).all()


def test_ties_go_to_the_lowest_class_and_background_stays_background() -> None:
    two = ClassScheme(labels=SCHEME.labels[:2], masks=SCHEME.masks)
    foreground = np.array([[0.9, 0.5]], np.float32)
    mask = mask_from_maps(foreground, np.zeros((2, 1, 1), np.float32), two, threshold=0.5, stride_px=2)
    assert mask.tolist() == [[1, 0]]


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_the_threshold_decides_what_is_foreground(threshold: float) -> None:
    foreground = np.linspace(0, 1, 32, dtype=np.float32).reshape(1, 32)
    mask = mask_from_maps(foreground, some_maps(), SCHEME, threshold=threshold, stride_px=8)
    assert ((mask > 0) == (foreground > threshold)).all()


def test_the_mask_of_classes_is_the_argmax_over_background_and_classes() -> None:
    # background 0.4, then: a class ahead of it, both behind it, a class ahead of the other
    classes = np.array([[[0.55, 0.35, 0.1]], [[0.05, 0.25, 0.5]]], np.float32)
    assert mask_of_classes(classes, threshold=0.5).tolist() == [[1, 0, 2]]


def test_of_equal_classes_the_lowest_is_taken_and_background_wins_a_tie() -> None:
    assert mask_of_classes(np.array([[[0.4]], [[0.4]]], np.float32), threshold=0.5).tolist() == [[1]]
    assert mask_of_classes(np.array([[[0.25]], [[0.25]], [[0.25]]], np.float32), threshold=0.5).tolist() == [[0]]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 0.8]), st.integers(2, 5))
def test_a_threshold_moves_the_border_with_the_background_alone(seed: int, threshold: float, count: int) -> None:
    drawn = np.random.default_rng(seed).dirichlet(np.ones(count + 1), size=(4, 5)).astype(np.float32)
    background, classes = drawn[..., 0], np.moveaxis(drawn[..., 1:], -1, 0)
    found = mask_of_classes(classes, threshold=threshold)
    assert np.array_equal(found[found > 0], classes.argmax(axis=0)[found > 0] + 1)
    odds = classes.max(axis=0) / background
    sure = np.abs(odds - threshold / (1 - threshold)) > 1e-4
    assert np.array_equal((found > 0)[sure], (odds > threshold / (1 - threshold))[sure])


def test_the_foreground_of_classes_is_their_sum_and_never_more_than_one() -> None:
    classes = np.array([[[0.25, 0.75]], [[0.5, 0.2505]]], np.float32)
    assert foreground_of(classes).tolist() == [[0.75, 1.0]]
    assert foreground_of(classes[0]) is not None
    assert np.array_equal(foreground_of(classes[0]), classes[0])
