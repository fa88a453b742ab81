"""Features of a frozen backbone: what is kept is what the network saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from histoloop.inference.features import CELL_PX, Features, decode, probability
from histoloop.inference.model import Model
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid
from histoloop.training.features import (
    VIEWS,
    FeatureTile,
    collate_features,
    view_of,
)
from histoloop.training.samples import TrainingTile

CPU = torch.device("cpu")
COLOURS = Colours((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@pytest.fixture(scope="module")
def network() -> Hybrid:
    torch.manual_seed(0)
    config = NetworkConfig(
        labels=2, pooling=PoolingConfig(name="average", modalities=1), decoder_channels=(16, 8, 8, 8, 4)
    )
    return Hybrid(config).eval()


def tile(height: int = 70, width: int = 100, seed: int = 0) -> TrainingTile:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    return TrainingTile(pixels, 1, rng.random((height, width)) > 0.5, f"tile {seed}")


def test_the_decoder_on_kept_features_gives_what_the_whole_network_gives(network: Hybrid) -> None:
    one = tile()
    whole = Model(network, COLOURS, CPU).predict_tile(one.pixels)
    features = Model(network, COLOURS, CPU).features(one.pixels)
    assert network.decoder is not None
    kept = probability(decode(network.decoder, features, device=CPU))
    assert kept.shape == (70, 100)
    np.testing.assert_allclose(kept, whole.foreground(), atol=5e-3)  # features are kept in half precision
    np.testing.assert_allclose(features.scores, whole.scores, atol=1e-5)


def test_features_go_through_a_file_of_tensors_unchanged(network: Hybrid) -> None:
    features = Model(network, COLOURS, CPU).features(tile().pixels)
    again = Features.of_tensors(features.as_tensors())
    assert (again.height, again.width) == (70, 100)
    assert all(torch.equal(one, other) for one, other in zip(features.stages, again.stages, strict=True))
    np.testing.assert_array_equal(again.embedding, features.embedding)


def test_pooled_features_are_means_over_the_cells_that_the_tile_reaches_into(network: Hybrid) -> None:
    features = Model(network, COLOURS, CPU).features(tile().pixels)
    planes = features.stages[-1].float()
    assert planes.shape[-2:] == (3, 4)
    np.testing.assert_allclose(features.embedding, planes.mean(dim=(1, 2)), rtol=1e-5)
    finest = features.stages[0].float()[:, :35, :50]
    np.testing.assert_allclose(features.pooled(0), finest.mean(dim=(1, 2)), rtol=1e-5)


def test_the_eight_views_are_the_symmetries_of_the_square_and_turn_the_mask_along() -> None:
    one = tile(40, 40)
    views = [view_of(one, number, stain=0, seed=0) for number in range(VIEWS)]
    assert len({view.pixels.tobytes() for view in views}) == VIEWS
    for view in views:
        assert view.mask is not None
        assert one.mask is not None
        assert view.mask.sum() == one.mask.sum()
    marked = replace(one, mask=one.pixels[..., 0] > 128)
    for number in range(VIEWS):
        view = view_of(marked, number, stain=0, seed=0)
        np.testing.assert_array_equal(view.mask, view.pixels[..., 0] > 128)


def test_stain_varies_with_the_view_and_the_seed_alone() -> None:
    one = tile(40, 40)
    first, again = (view_of(one, 3, stain=0.1, seed=5).pixels for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != view_of(one, 3, stain=0.1, seed=6).pixels).any()
    assert (first != view_of(one, 3, stain=0, seed=5).pixels).any()


def test_a_crop_takes_mask_and_features_of_the_same_place(network: Hybrid) -> None:
    one = tile(96, 160)
    features = Model(network, COLOURS, CPU).features(one.pixels)
    batch = collate_features([FeatureTile(features, one.mask)], crop_px=64, generator=torch.Generator().manual_seed(1))
    assert batch.masks_BHW.shape == (1, 64, 64)
    assert batch.valid_BHW.all()
    assert one.mask is not None
    places = [
        (y, x)
        for y in range(0, 96 - 63, CELL_PX)
        for x in range(0, 160 - 63, CELL_PX)
        if np.array_equal(one.mask[y : y + 64, x : x + 64], batch.masks_BHW[0].bool().numpy())
    ]
    ((y, x),) = places
    finest = features.stages[0][:, y // 2 : y // 2 + 32, x // 2 : x // 2 + 32].float()
    assert torch.equal(batch.stages[0][0], finest)


def test_a_tile_smaller_than_the_crop_is_padded_and_the_padding_is_not_valid(network: Hybrid) -> None:
    one = tile(40, 50)
    batch = collate_features([FeatureTile(Model(network, COLOURS, CPU).features(one.pixels), one.mask)], crop_px=96)
    assert batch.valid_BHW.sum() == 40 * 50
    assert not batch.masks_BHW[~batch.valid_BHW].any()


@pytest.mark.parametrize("crop_px", [0, 16, 100])
def test_crops_that_are_not_whole_cells_are_refused(network: Hybrid, crop_px: int) -> None:
    one = tile()
    with pytest.raises(ValueError, match="multiple of 32"):
        collate_features([FeatureTile(Model(network, COLOURS, CPU).features(one.pixels), one.mask)], crop_px=crop_px)


def test_dropout_changes_the_decoder_but_not_its_batch_norms(network: Hybrid) -> None:
    features = Model(network, COLOURS, CPU).features(tile().pixels)
    decoder = network.decoder
    assert decoder is not None
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    torch.manual_seed(3)
    first = decode(decoder, features, device=CPU, dropout=0.2)
    second = decode(decoder, features, device=CPU, dropout=0.2)
    torch.manual_seed(3)
    again = decode(decoder, features, device=CPU, dropout=0.2)
    assert (first != second).any()
    np.testing.assert_array_equal(first, again)
    assert all(torch.equal(tensor, before[name]) for name, tensor in decoder.state_dict().items())


def test_what_a_mask_leaves_out_is_not_valid_in_a_batch_and_turns_with_the_views(network: Hybrid) -> None:
    known = np.ones((70, 100), bool)
    known[:, :40] = False
    one = replace(tile(), known=known)
    features = Model(network, COLOURS, CPU).features(one.pixels)
    batch = collate_features([FeatureTile(features, one.mask, known=one.known)], crop_px=96)
    assert not batch.valid_BHW[0, :, :40].any()
    assert batch.valid_BHW[0, :70, 40:96].all()
    turned = view_of(one, 1, stain=0, seed=0)
    assert np.array_equal(turned.known, np.rot90(known))


def test_crops_show_some_of_few_strokes() -> None:
    known = np.zeros((512, 512), np.bool_)
    known[100:200, 100:200] = True
    stages = tuple(torch.zeros(2, side, side) for side in (128, 64, 32, 16))
    features = Features(stages, torch.zeros(2), 512, 512)
    tiles = [FeatureTile(features, np.zeros((512, 512), np.bool_), known=known)] * 40
    batch = collate_features(tiles, crop_px=256, generator=torch.Generator().manual_seed(0))
    assert bool(batch.valid_BHW.flatten(1).any(dim=1).all())
