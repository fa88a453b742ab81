"""Frozen features are means over a tile's maps; the linear head is the optimum of its objective."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

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
fit_linear_head, pooled_features = _benchmark.fit_linear_head, _benchmark.pooled_features

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


def blobs(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.arange(count) % 3
    centres = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]], float)
    return centres[labels] + rng.normal(size=(count, 4)) + 10, labels


def test_the_head_parts_classes_and_does_so_the_same_way_twice() -> None:
    features, labels = blobs()
    weights, bias = fit_linear_head(features, labels.tolist(), classes=3)
    assert ((features @ weights.T + bias).argmax(axis=1) == labels).mean() > 0.95
    again, _bias = fit_linear_head(features, labels.tolist(), classes=3)
    np.testing.assert_array_equal(weights, again)


def test_no_step_from_the_head_lowers_its_objective() -> None:
    features, labels = blobs()

    def objective(weights: np.ndarray, bias: np.ndarray) -> float:
        logs = log_softmax(features @ weights.T + bias, axis=1)
        return float(-logs[np.arange(len(labels)), labels].mean() + 0.01 / 2 * (weights**2).sum())

    weights, bias = fit_linear_head(features, labels.tolist(), classes=3, decay=0.01)
    least = objective(weights, bias)
    rng = np.random.default_rng(2)
    for _ in range(20):
        step = 0.01 * rng.normal(size=weights.shape)
        assert objective(weights + step, bias) > least
        assert objective(weights, bias + 0.01 * rng.normal(size=3)) > least - 1e-9


def test_a_class_without_labels_is_never_the_likeliest() -> None:
    features, labels = blobs()
    weights, bias = fit_linear_head(features, labels.tolist(), classes=4)
    assert not ((features @ weights.T + bias).argmax(axis=1) == 3).any()


def test_labels_that_do_not_belong_are_refused() -> None:
    features, labels = blobs(6)
    with pytest.raises(ValueError, match="5 labels"):
        fit_linear_head(features, labels[:5].tolist(), classes=3)
    with pytest.raises(ValueError, match=r"0 \.\. 1"):
        fit_linear_head(features, labels.tolist(), classes=2)
