"""Live masks come tile by tile and are read as the maps of a model are."""

from __future__ import annotations

import numpy as np
import pytest

from histoloop.geometry import Region
from histoloop.slides.tiling import Window
from histoloop.workflows.contents import live_masks
from histoloop.workflows.contents.live_masks import LiveGrid, LiveMap, LiveProgress, LiveTile
from histoloop.workflows.contents.masks import view_classes

GRID = LiveGrid(1, 200, 100, 2.0, ("gland", "tumour"), 1)


def tile(x: int, y: int, width: int, height: int, gland: float = 0.0, tumour: float = 0.0) -> LiveTile:
    planes = np.empty((2, height, width), np.float32)
    planes[0], planes[1] = gland, tumour
    return LiveTile.of(Window(x, y, width, height), planes)


@pytest.fixture
def live() -> LiveMap:
    """Gland in the left half of a slide of 100 x 50 map pixels, tumour in the right one."""
    found = LiveMap(GRID)
    found.add(GRID, tile(0, 0, 64, 64, gland=0.8))
    found.add(GRID, tile(64, 0, 64, 64, tumour=0.6))
    return found


def test_probabilities_come_back_to_a_byte(live: LiveMap) -> None:
    found = live.read_masks(Region(120, 0, 16, 8))
    assert found.shape == (2, 4, 8)
    np.testing.assert_allclose(found[0, :, :4], 0.8, atol=0.5 / 255)
    np.testing.assert_allclose(found[1, :, 4:], 0.6, atol=0.5 / 255)
    assert not found[0, :, 4:].any()


def test_coarser_levels_are_means(live: LiveMap) -> None:
    assert live.level_downsamples == (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
    found = live.read_masks(Region(0, 0, 256, 128), level=5)
    np.testing.assert_allclose(found[0], [[0.8, 0.8, 0, 0]] * 2, atol=0.01)


def test_a_newer_tile_takes_the_place_of_the_older_one(live: LiveMap) -> None:
    live.add(GRID, tile(0, 0, 64, 64, tumour=1.0))
    assert len(live) == 2
    assert not live.read_masks(Region(0, 0, 100, 100))[0].any()


def test_what_no_tile_has_come_for_is_empty_and_not_covered(live: LiveMap) -> None:
    assert live.covers(Region(0, 0, 200, 100))
    assert live.covers(Region(-50, -50, 900, 900))  # past the slide there is nothing to come
    alone = LiveMap(GRID)
    alone.add(GRID, tile(0, 0, 64, 64, gland=1.0))
    assert alone.covers(Region(0, 0, 128, 100))
    assert not alone.covers(Region(0, 0, 129, 100))
    assert not alone.read_masks(Region(130, 0, 50, 50)).any()


def test_memory_is_bounded_by_giving_up_what_came_first(live: LiveMap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_masks, "MOST_BYTES", 1)
    live.add(GRID, tile(0, 64, 64, 64))
    assert len(live) == 1
    assert not live.covers(Region(0, 0, 10, 10))


def test_the_mask_is_the_likeliest_class_above_the_threshold(live: LiveMap) -> None:
    region = Region(100, 20, 56, 20)
    mask = view_classes(live, region, size=(56, 20), threshold=0.5).mask
    assert (mask[:, :24] == 1).all()
    assert (mask[:, 32:] == 2).all()
    assert not view_classes(live, region, size=(56, 20), threshold=0.9).mask.any()


def test_a_step_with_a_tile_or_about_the_view_always_arrives() -> None:
    assert not LiveProgress("learning", 0, 1).must_arrive
    assert LiveProgress("a tile", 0, 1, grid=GRID, tile=tile(0, 0, 64, 64)).must_arrive
    assert LiveProgress("new", 1, 1, in_view=True).must_arrive
