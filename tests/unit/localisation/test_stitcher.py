from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.localisation.stitcher import mask_from_maps, upsample

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
