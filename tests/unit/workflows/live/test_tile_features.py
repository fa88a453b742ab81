"""Tiles come nearest to the view first, and their features are made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from histoloop.geometry import Region
from histoloop.inference.features import Features
from histoloop.inference.model import Model
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid
from histoloop.slides.reader import open_slide
from histoloop.slides.tiling import tile_grid
from histoloop.store.array_cache import ArrayCache
from histoloop.workflows.live.tile_features import FeatureMemory, TileFeatures, live_grid, nearest_first

if TYPE_CHECKING:
    from pathlib import Path


def features(megabytes: int) -> Features:
    return Features((torch.zeros(megabytes << 19, 1, 1, dtype=torch.half),), torch.zeros(2), 32, 32)


def test_tiles_in_view_come_first_and_then_the_nearest() -> None:
    grid = tile_grid(slide_width=384, slide_height=64, downsample=2, core_px=32, halo_px=0, stride_px=32)
    order = [(tile.core.x, in_view) for tile, in_view in nearest_first(grid, Region(256, 0, 64, 64))]
    assert order == [(128, True), (96, False), (160, False), (64, False), (32, False), (0, False)]


def test_memory_forgets_what_was_asked_for_longest_ago() -> None:
    memory = FeatureMemory(limit_bytes=3 << 20)
    for name in "abc":
        memory.of(name, lambda: features(1))
    memory.of("a", lambda: pytest.fail("it is held"))
    memory.of("d", lambda: features(1))
    assert (len(memory), memory.size_bytes) == (3, 3 << 20)
    made = []
    memory.of("b", lambda: made.append("b") or features(1))
    assert made == ["b"]


def test_features_of_a_tile_are_made_once_and_kept_on_disk(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    torch.manual_seed(0)
    config = NetworkConfig(
        2, backbone="mobilenet_v2", pooling=PoolingConfig(name="average", modalities=1), decoder_channels=()
    )
    model = Model(Hybrid(config).eval(), Colours((0.5,) * 3, (0.25,) * 3), torch.device("cpu"))
    with open_slide(tmp_path / "a.png", mpp=1.0) as slide:
        grid = live_grid(slide, downsample=1.0)
        assert len(grid.tiles) == 1
        core = grid.tiles[0].core
        cache = ArrayCache(tmp_path / "cache")
        first, place = TileFeatures(model, "k", 4, FeatureMemory(), cache).of(slide, "a", grid, core)
        assert place == core
        whole = model.features(pixels)
        assert all(map(torch.equal, first.stages, whole.stages[-4:]))
        broken = Model(Hybrid(config).eval(), Colours((0.0,) * 3, (1.0,) * 3), torch.device("cpu"))
        again, _place = TileFeatures(broken, "k", 4, FeatureMemory(), cache).of(slide, "a", grid, core)
        assert all(map(torch.equal, first.stages, again.stages))
