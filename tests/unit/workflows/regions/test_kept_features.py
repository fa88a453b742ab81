"""Features are computed once for each tile and view, whoever asks and in whichever run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histoloop.inference.model import Model
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid
from histoloop.store.array_cache import ArrayCache
from histoloop.training.samples import TrainingTile
from histoloop.workflows.regions.kept_features import KeptFeatures

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="average", modalities=1)
    network = Hybrid(NetworkConfig(2, backbone="mobilenet_v2", pooling=pooling, decoder_channels=())).eval()
    return Model(network, Colours((0.5,) * 3, (0.25,) * 3), torch.device("cpu"))


def tile() -> TrainingTile:
    rng = np.random.default_rng(0)
    return TrainingTile(rng.integers(0, 256, (40, 50, 3), np.uint8), 0, rng.random((40, 50)) > 0.5, "a")


def unwanted() -> TrainingTile:
    raise AssertionError("what is kept needs no pixels")


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_tile_is_read_the_first_time_alone(model: Model, in_memory: bool, tmp_path: Path) -> None:
    kept = KeptFeatures(model, ArrayCache(tmp_path), key="k", in_memory=in_memory)
    assert not kept.has("a")
    first = kept.of("a", tile, seed=0)
    assert (kept.has("a"), kept.has("b")) == (True, False)
    assert KeptFeatures(model, ArrayCache(tmp_path), key="k").has("a")
    assert all(map(torch.equal, first.stages, model.features(tile().pixels).stages))
    again = kept.of("a", unwanted, seed=0)
    assert all(map(torch.equal, first.stages, again.stages))
    later = KeptFeatures(model, ArrayCache(tmp_path), key="k").of("a", unwanted, seed=0)
    assert all(map(torch.equal, first.stages, later.stages))


def test_another_classifier_name_view_or_stain_has_features_of_its_own(model: Model, tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path)
    kept = KeptFeatures(model, cache, key="k")
    asked = [
        (kept, "a", 0, 0.0), (kept, "b", 0, 0.0), (kept, "a", 3, 0.0), (kept, "a", 3, 0.1),
        (KeptFeatures(model, cache, key="other"), "a", 0, 0.0),
    ]  # fmt: skip
    for features, name, view, stain in asked:
        features.of(name, tile, seed=0, view=view, stain=stain)
    assert len(list(tmp_path.iterdir())) == len(asked)
    kept.of("a", unwanted, seed=0, stain=0.1)  # the tile as it is has its own stain


def test_views_turn_the_mask_along(model: Model, tmp_path: Path) -> None:
    one = tile()
    views = KeptFeatures(model, ArrayCache(tmp_path), key="k").views("a", one, seed=0, count=4, stain=0.1)
    assert len(views) == 4
    assert np.array_equal(views[0].mask, one.mask)
    for view in views:
        assert view.mask is not None
        assert view.mask.shape == (view.features.height, view.features.width)
        assert view.mask.sum() == one.mask.sum()  # type: ignore[union-attr]
    assert len({view.mask.tobytes() for view in views if view.mask is not None}) == 4
