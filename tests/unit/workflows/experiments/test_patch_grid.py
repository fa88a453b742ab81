"""Patches of whole slides: grids, tissue, and the calibration of metastatic ones (thesis, section 2.1.2.3)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.geometry import Region
from histoloop.workflows.experiments.patch_grid import (
    PatchSettings,
    abundant_wanted,
    calibrate,
    patch_grid,
    tissue_fraction,
)

THESIS = PatchSettings()


def test_the_grid_holds_whole_patches_side_by_side() -> None:
    grid = list(patch_grid(25, 10, patch_px=10))
    assert grid == [Region(0, 0, 10, 10), Region(10, 0, 10, 10)]
    assert list(patch_grid(9, 50, patch_px=10)) == []


def test_tissue_of_stained_and_of_blank_patches() -> None:
    patch = np.full((64, 64, 3), 244, np.uint8)
    assert tissue_fraction(patch) == 0
    patch[:, :32] = (190, 90, 150)
    assert tissue_fraction(patch) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("edge", "share", "wanted"),
    [
        (14_912, 0.01, 149),
        (9_512, 0.01, 95),
        (6_988, 0.01, 70),
        (20, 0.01, 1),
        (0, 0.01, 0),
        (500, 0.0, 0),
        (10, 2, 20),
    ],
)
def test_abundant_patches_are_a_share_of_those_of_the_edge(edge: int, share: float, wanted: int) -> None:
    assert abundant_wanted(edge, PatchSettings(abundant_share=share)) == wanted


def test_all_of_the_edge_are_kept_bounds_included_and_none_below() -> None:
    assert calibrate([0.19, 0.2, 0.35, 0.5], THESIS, seed=0) == [1, 2, 3]


def test_bins_are_drawn_alike_however_full_they_are() -> None:
    rng = np.random.default_rng(0)
    edge = [0.3] * 300
    rare, common = rng.uniform(0.6001, 0.6499, 400).tolist(), [1.0] * 4000
    chosen = calibrate([*edge, *rare, *common], PatchSettings(abundant_share=1.0), seed=1)
    of_rare = sum(300 <= index < 700 for index in chosen)
    assert len(chosen) == 600
    assert 110 < of_rare < 190


def test_a_bin_that_is_used_up_leaves_its_share_to_the_others() -> None:
    chosen = calibrate([0.3] * 10 + [0.62] * 2 + [0.97] * 50, PatchSettings(abundant_share=1.0), seed=0)
    assert len(chosen) == 20


@given(st.lists(st.floats(0, 1), max_size=80), st.floats(0, 2), st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_calibration_keeps_each_patch_once_and_as_many_as_wanted(
    fractions: list[float], share: float, seed: int
) -> None:
    plan = PatchSettings(abundant_share=share)
    chosen = calibrate(fractions, plan, seed=seed)
    edge = [i for i, value in enumerate(fractions) if 0.2 <= value <= 0.5]
    abundant = [i for i, value in enumerate(fractions) if value > 0.5]
    assert chosen == sorted(set(chosen)) == calibrate(fractions, plan, seed=seed)
    assert set(edge) <= set(chosen) <= {*edge, *abundant}
    assert len(chosen) - len(edge) == min(abundant_wanted(len(edge), plan), len(abundant))


@pytest.mark.parametrize(
    "wrong",
    [
        {"patch_px": 0}, {"tissue_min": 1.2}, {"tumour_min": 0.0}, {"tumour_min": 0.6}, {"abundant_share": -1.0},
        {"bin_width": 0.0},
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PatchSettings(**wrong)  # type: ignore[arg-type]
