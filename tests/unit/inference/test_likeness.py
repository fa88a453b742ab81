"""Features far from those of the training tiles are unlike them, at whichever depth; what was learned since is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from histoloop.inference.likeness import BLOCK_PX, MARGIN, Depth, TrainingStatistics, fit_statistics, pooled_blocks

RNG = np.random.default_rng(0)


def gaussian(count: int, *, middle: float = 0.0, width: int = 6) -> np.ndarray:
    """Correlated, with standard deviations from 0.1 to 10."""
    mix = np.linspace(0.1, 10, width)[:, None] * np.linalg.qr(np.random.default_rng(1).normal(size=(width, width)))[0]
    return (RNG.normal(size=(count, width)) @ mix + middle).astype(np.float32)


@pytest.fixture(scope="module")
def statistics() -> TrainingStatistics:
    """Of two depths, and two classes whose middles are 50 apart."""
    groups = np.arange(2000) % 2
    apart = np.arange(1000) % 2
    train = [gaussian(2000) + 50 * groups[:, None], gaussian(2000, width=3)]
    held_out = [gaussian(1000) + 50 * apart[:, None], gaussian(1000, width=3)]
    fitted = fit_statistics([each.astype(np.float32) for each in train], groups, held_out=held_out)
    assert fitted is not None
    return fitted


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan, np.inf])
def test_of_features_that_are_alike_in_all_tiles_or_no_numbers_nothing_is_stated(value: float) -> None:
    """As those of a network from random weights that has hardly learned."""
    features, alike = gaussian(200), np.full((200, 3), value, np.float32)
    groups = np.arange(200) % 2
    assert fit_statistics([features, alike], groups, held_out=[gaussian(50), alike[:50]]) is None
    assert fit_statistics([features, gaussian(200)], groups, held_out=[gaussian(50), gaussian(50)]) is not None


def test_as_many_tiles_as_stated_are_accepted(statistics: TrainingStatistics) -> None:
    colours, textures = (
        depth.distances(each).min(axis=1)
        for depth, each in zip(statistics.depths, [gaussian(5000), gaussian(5000, width=3)], strict=True)
    )
    assert np.mean(colours <= 1) == pytest.approx(0.98, abs=0.01)
    assert np.mean(MARGIN * textures <= 1) == pytest.approx(0.98, abs=0.01)
    distances = statistics.distances([gaussian(5000), gaussian(5000, width=3)])
    assert 0.94 < np.mean(distances <= 1) < 0.98


@pytest.mark.parametrize("depth", [0, 1])
def test_what_is_far_at_one_depth_is_unlike_whatever_the_others_say(statistics: TrainingStatistics, depth: int) -> None:
    features = [gaussian(100), gaussian(100, width=3)]
    features[depth] = features[depth] + np.float32(500)
    assert (statistics.distances(features) > 1).all()


def test_between_two_classes_is_unlike_both(statistics: TrainingStatistics) -> None:
    near = np.array([[0.0] * 6, [50.0] * 6, [25.0] * 6], np.float32)
    first, second, between = statistics.distances([near, np.zeros((3, 3), np.float32)])
    assert max(first, second) < 1 < between


def test_the_distance_is_mahalanobis_per_dimension_of_the_nearest_middle_at_the_farthest_depth() -> None:
    flat = Depth(np.array([[0.0, 0.0], [4.0, 0.0]], np.float32), np.diag([1.0, 0.5]).astype(np.float32), 2.0)
    other = Depth(np.array([[0.0], [0.0]], np.float32), np.eye(1, dtype=np.float32), 1.0)
    found = TrainingStatistics((flat, other), 0.5).distances(
        [np.array([[3.0, 4.0], [0.0, 0.0]], np.float32), np.array([[0.25], [3.0]], np.float32)]
    )
    nearest = np.sqrt((1 + 4) / 2) / 2  # (3, 4) from (4, 0), whitened: (-1, 2)
    np.testing.assert_allclose(found, [nearest / 0.5, 3 / 0.5], rtol=1e-6)


def test_what_was_learned_since_is_no_longer_unlike(statistics: TrainingStatistics) -> None:
    strange = [gaussian(20, middle=500), gaussian(20, width=3, middle=500)]
    assert (statistics.distances(strange) > 1).all()
    after = statistics.with_tiles([each[:4] for each in strange])
    np.testing.assert_allclose(after.distances([each[:4] for each in strange]), 0, atol=1e-2)
    before = [gaussian(50), gaussian(50, width=3)]
    np.testing.assert_allclose(after.distances(before), statistics.distances(before), rtol=1e-4)


def test_statistics_come_back_from_their_arrays(statistics: TrainingStatistics) -> None:
    features = [gaussian(30), gaussian(30, width=3)]
    found = TrainingStatistics.of_arrays(statistics.as_arrays())
    np.testing.assert_allclose(found.distances(features), statistics.distances(features), rtol=1e-6)


@pytest.mark.parametrize("lacking", ["threshold", "depth0.middles", "depth0.scale"])
def test_arrays_that_are_not_of_statistics_are_refused(statistics: TrainingStatistics, lacking: str) -> None:
    arrays = {name: array for name, array in statistics.as_arrays().items() if name != lacking}
    with pytest.raises((KeyError, ValueError)):
        TrainingStatistics.of_arrays(arrays)


def test_blocks_have_the_means_of_their_own_cells() -> None:
    pixels = np.full((512, 768, 3), 100, np.uint8)
    stage = torch.zeros(1, 2, 256, 384)
    stage[0, 0, :128, 128:256] = 3.0
    coarse = torch.arange(16 * 24, dtype=torch.float32).reshape(1, 1, 16, 24)
    features, places = pooled_blocks(pixels, [stage, coarse])
    assert places == [(row, column, BLOCK_PX, BLOCK_PX) for row in (0, 256) for column in (0, 256, 512)]
    np.testing.assert_array_equal(features[1], [[0, 0], [3, 0], [0, 0], [0, 0], [0, 0], [0, 0]])
    expected = [coarse[0, 0, row : row + 8, column : column + 8].mean() for row in (0, 8) for column in (0, 8, 16)]
    np.testing.assert_allclose(features[2][:, 0], expected)


def test_a_tile_smaller_than_a_block_is_one_and_a_last_part_belongs_to_none() -> None:
    stages = [torch.zeros(1, 1, 56, 112)]
    _features, places = pooled_blocks(np.zeros((100, 224, 3), np.uint8), stages)
    assert places == [(0, 0, 100, 224)]
    _features, places = pooled_blocks(np.zeros((300, 500, 3), np.uint8), [torch.zeros(1, 1, 160, 256)])
    assert places == [(0, 0, 256, 256)]


def test_the_colour_of_grey_pixels_is_far_from_that_of_stained_ones_of_the_same_density() -> None:
    noise = RNG.integers(100, 200, (64, 64, 1))
    grey = np.repeat(noise, 3, axis=2).astype(np.uint8)
    stained = np.clip(grey.astype(int) + RNG.integers(-40, 40, grey.shape), 0, 255).astype(np.uint8)
    first, second = (pooled_blocks(each, [torch.zeros(1, 1, 32, 32)])[0][0][0] for each in (grey, stained))
    assert first.shape == (10,)
    np.testing.assert_allclose(first[8:], np.log(0.01), rtol=1e-4)
    assert (second[8:] > np.log(0.1)).all()
