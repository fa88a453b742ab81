"""What a model predicts of one tile, at the tile's own size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from histoloop.inference.model import Model
from histoloop.localisation.methods import localisation_methods
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.build import build_network
from histoloop.networks.colours import Colours
from histoloop.networks.minmax import MinMax
from histoloop.training.samples import TrainingTile, collate

if TYPE_CHECKING:
    from histoloop.inference.tile_output import TileOutput
    from histoloop.networks.network import SlideNetwork

COLOURS = Colours((0.6, 0.4, 0.6), (0.2, 0.3, 0.25))
CPU = torch.device("cpu")


def tile(height: int = 50, width: int = 70) -> TrainingTile:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return TrainingTile(pixels, 0, None, "t")


def network(**changes: object) -> SlideNetwork:
    torch.manual_seed(0)
    values = {
        "labels": 3,
        "backbone": "mobilenet_v2",
        "pooling": PoolingConfig(name="average", modalities=1),
        "decoder_channels": (),
        **changes,
    }
    made = build_network(NetworkConfig(**values))  # type: ignore[arg-type]
    for module in made.modules():  # statistics of noise: without any, random weights give constant maps
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        made.forward_classifier(torch.randn(2, 3, 64, 96))
    return made.eval()


def predict(made: SlideNetwork, **options: bool) -> TileOutput:
    return Model(made, COLOURS, CPU).predict_tile(tile().pixels, **options)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"stride": 16},
        {"pooling": PoolingConfig(name="attention", hidden=8)},
        {"pooling": PoolingConfig(name="generalised-mean", modalities=1)},
        {"background": True, "stride": 16},
        {"minmax": MinMaxConfig()},
        {"decoder_channels": (8, 8, 8, 8, 8)},
    ],
    ids=["cam", "fine", "attention", "one-sided", "size", "min-max", "decoder"],
)
def test_every_drawing_of_every_network_has_the_size_of_the_tile(changes: dict[str, object]) -> None:
    made = network(**changes)
    output = predict(made)
    stride = made.stride_px
    assert output.maps.shape == (len(made.config.map_names(("a", "b", "c"))), -(-50 // stride), -(-70 // stride))
    assert output.scores.shape == (3,)
    for name in localisation_methods(made.config):
        for label in (None, 2):
            value = output.foreground(name, label=label)
            assert value.shape == (50, 70)
            assert value.dtype == np.float32
            assert ((value >= 0) & (value <= 1)).all()
    assert output.classes().shape == (50, 70)
    own = output.foreground(localisation_methods(made.config)[0])
    assert np.array_equal(output.foreground(), own)


def test_maps_are_enlarged_and_then_decided() -> None:
    output = replace(predict(network()), maps=np.random.default_rng(1).normal(size=(3, 2, 3)).astype(np.float32))
    enlarged = functional.interpolate(
        torch.from_numpy(output.maps)[None], size=(64, 96), mode="bilinear", align_corners=False
    )[0, :, :50, :70]
    likeliest = enlarged.numpy().argmax(axis=0)
    assert len(np.unique(likeliest)) > 1
    assert np.array_equal(output.classes(), likeliest)
    for label in range(3):
        assert np.array_equal(output.foreground("cam", label=label) > 0.5, likeliest == label)


def test_the_likeliest_label_is_drawn_unless_one_is_given() -> None:
    output = predict(network())
    assert output.label == int(output.scores.argmax())
    assert np.array_equal(output.foreground("cam"), output.foreground("cam", label=output.label))


def test_a_tile_padded_to_the_stride_is_scored_as_the_network_scores_it_padded() -> None:
    made = network()
    padded = COLOURS.normalise(collate([tile()], multiple_px=32).tiles_BCHW)
    with torch.inference_mode():
        scores_BC, maps_BKHW = made.forward_classifier(padded)
    output = predict(made)
    assert_allclose(output.scores, scores_BC[0], rtol=1e-6)
    assert_allclose(output.maps, maps_BKHW[0], rtol=1e-6)
    assert_allclose(output.map_scores, scores_BC[0], rtol=1e-6)


def test_a_min_max_network_names_the_tile_under_its_mask_and_draws_that_mask() -> None:
    made = network(minmax=MinMaxConfig(), labels=2)
    assert isinstance(made, MinMax)
    pixels = COLOURS.normalise(collate([tile(64, 96)], multiple_px=32).tiles_BCHW)
    with torch.inference_mode():
        found = made.predict(pixels)
    output = Model(made, COLOURS, CPU).predict_tile(tile(64, 96).pixels)
    assert_allclose(output.scores, found.scores_BC[0], rtol=1e-5)
    assert_allclose(output.map_scores, found.localizer_scores_BC[0], rtol=1e-5)
    assert_allclose(output.foreground(), found.foreground_BHW[0], atol=1e-3)


def test_the_padding_of_a_min_max_tile_is_no_foreground_and_the_classifier_does_not_see_it() -> None:
    made = network(minmax=MinMaxConfig(), labels=2)
    assert isinstance(made, MinMax)
    batch = collate([tile()], multiple_px=32)
    pixels = COLOURS.normalise(batch.tiles_BCHW)
    with torch.inference_mode():
        found, unaware = made.predict(pixels, batch.valid_BHW), made.predict(pixels)
    assert not found.foreground_BHW[~batch.valid_BHW].any()
    assert unaware.foreground_BHW[~batch.valid_BHW].any()
    output = predict(made)
    assert_allclose(output.scores, found.scores_BC[0], rtol=1e-5)
    assert_allclose(output.map_scores, found.localizer_scores_BC[0], rtol=1e-5)
    assert_allclose(output.foreground(), found.foreground_BHW[0, :50, :70], atol=1e-3)


def test_the_decoder_can_be_left_out_and_is_missed_when_asked_for() -> None:
    made = network(decoder_channels=(8, 8, 8, 8, 8))
    whole, bare = predict(made), predict(made, decode=False)
    assert whole.decoded is not None
    assert bare.decoded is None
    assert np.array_equal(whole.scores, bare.scores)
    with pytest.raises(ValueError, match="no decoder"):
        bare.foreground()
    assert np.array_equal(bare.foreground("cam"), whole.foreground("cam"))


def test_a_window_is_predicted_as_a_tile_of_its_size() -> None:
    for changes in ({}, {"decoder_channels": (8, 8, 8, 8, 8)}):
        model = Model(network(**changes), COLOURS, CPU)
        pixels = tile(64, 96).pixels
        foreground, maps = model.predict_window(pixels)
        output = model.predict_tile(pixels)
        assert_allclose(maps, output.maps, rtol=1e-3, atol=1e-4)
        assert (foreground is None) == (output.decoded is None)
        if foreground is not None:
            assert_allclose(foreground, output.foreground(), rtol=1e-3)


def test_stitched_maps_are_scored_over_their_valid_cells_alone() -> None:
    model = Model(network(), COLOURS, CPU)
    maps = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    valid = np.zeros((4, 5), bool)
    valid[:2, :3] = True
    expected = model.network.score(torch.from_numpy(maps[None, :, :2, :3]))[0].detach()
    assert_allclose(model.score_maps(maps, valid), expected, rtol=1e-5)


def test_a_network_without_a_classifiers_features_says_so() -> None:
    with pytest.raises(ValueError, match="features"):
        Model(network(minmax=MinMaxConfig(), labels=2), COLOURS, CPU).features(tile().pixels)


def test_a_decoder_of_classes_gives_a_plane_of_each_and_their_sum_is_the_foreground() -> None:
    model = Model(network(decoder_channels=(8, 8, 8, 8, 8), mask_classes=3), COLOURS, CPU)
    pixels = tile(64, 96).pixels
    output = model.predict_tile(pixels)
    assert output.decoded is not None
    assert output.decoded.shape == (3, 64, 96)
    assert_allclose(output.foreground(), output.decoded.sum(axis=0), rtol=1e-5)
    masks, _maps = model.predict_window(pixels)
    assert_allclose(masks, output.decoded, rtol=1e-3, atol=1e-6)
