"""Frozen features are means over a tile's maps."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch

from histoloop.network_config import NetworkConfig
from histoloop.networks.backbones import build_backbone
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid

_spec = importlib.util.spec_from_file_location(
    "self_supervised", Path(__file__).resolve().parents[2] / "benchmarks" / "self_supervised.py"
)
assert _spec is not None
assert _spec.loader is not None
_benchmark = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_benchmark)
pooled_features = _benchmark.pooled_features

CPU = torch.device("cpu")
COLOURS = Colours((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


def tiles() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [(64, 64), (64, 64), (96, 64), (64, 64), (40, 50)]
    return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def test_features_are_means_of_the_maps_whatever_the_sizes() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("mobilenet_v3_small")
    some = tiles()
    features = pooled_features(backbone, some, device=CPU, colours=COLOURS)
    assert features.shape == (5, 576)
    assert features.dtype == np.float32
    for index, tile in enumerate(some):
        with torch.inference_mode():
            alone = COLOURS.normalise(torch.from_numpy(tile).permute(2, 0, 1)[None].float() / 255)
            expected = backbone(alone)[-1].mean(dim=(2, 3))[0]
        np.testing.assert_allclose(features[index], expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_network_gives_the_features_of_its_backbone_at_any_stage() -> None:
    torch.manual_seed(0)
    hybrid = Hybrid(NetworkConfig(labels=2, backbone="mobilenet_v3_small", decoder_channels=()))
    hybrid.train()
    of_network = pooled_features(hybrid, tiles(), device=CPU, stage=-2, colours=COLOURS)
    of_backbone = pooled_features(hybrid.backbone, tiles(), device=CPU, stage=-2, colours=COLOURS)
    np.testing.assert_array_equal(of_network, of_backbone)
    assert of_network.shape == (5, 48)


def test_no_tiles_give_no_features() -> None:
    assert pooled_features(build_backbone("mobilenet_v3_small"), [], device=CPU, colours=COLOURS).shape == (0, 576)
