"""Classifiers: what the maps, the scores and the bias of each label are, and what the background has no part in."""

from __future__ import annotations

import pytest
import torch

from histoloop.network_config import POOLINGS, PoolingConfig
from histoloop.networks.classifier import Classifier


def classifier(pooling: str, *, background: bool = False, stride: int = 32, modalities: int = 2) -> Classifier:
    torch.manual_seed(0)
    config = PoolingConfig(name=pooling, modalities=modalities, hidden=8)  # type: ignore[arg-type]
    made = Classifier(backbone="mobilenet_v2", labels=3, pooling=config, stride=stride, background=background)
    return made.eval()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_scores_are_the_maps_pooled_and_maps_have_a_cell_per_stride(pooling: str) -> None:
    network = classifier(pooling)
    scores_BC, maps_BKHW, features = network(torch.randn(2, 3, 64, 96))
    maps = 6 if "attention" in pooling else 3
    assert scores_BC.shape == (2, 3)
    assert maps_BKHW.shape == (2, maps, 2, 3)
    assert len(features) == 5
    torch.testing.assert_close(network.score(maps_BKHW), scores_BC)


def test_a_finer_stride_gives_finer_maps() -> None:
    assert classifier("average", stride=16)(torch.randn(1, 3, 64, 96)).maps_BKHW.shape == (1, 3, 4, 6)


def test_the_background_is_the_last_map_and_has_no_score() -> None:
    network = classifier("average", background=True)
    scores_BC, maps_BKHW, _ = network(torch.randn(1, 3, 64, 64))
    assert scores_BC.shape == (1, 3)
    assert maps_BKHW.shape == (1, 4, 2, 2)
    torch.testing.assert_close(scores_BC, maps_BKHW[:, :3].mean(dim=(2, 3)))
    maps_BKHW[:, 3] += 100.0
    torch.testing.assert_close(network.score(maps_BKHW), scores_BC)


def test_the_score_of_a_map_is_over_its_valid_cells() -> None:
    network = classifier("average", background=True)
    maps_BKHW = torch.randn(1, 4, 2, 3)
    valid_BHW = torch.tensor([[[True, False, False], [True, True, False]]])
    expected = maps_BKHW[0, :3, valid_BHW[0]].mean(dim=1)
    torch.testing.assert_close(network.score(maps_BKHW, valid_BHW)[0], expected)


@pytest.mark.parametrize("background", [False, True])
def test_the_bias_of_a_label_is_what_a_tile_without_features_scores(background: bool) -> None:
    network = classifier("average", background=background)
    without = network.pooling.classwise(network.head(torch.zeros(1, network.backbone.channels[-1], 1, 1)))
    assert network.label_bias() == pytest.approx(without[0, :3, 0, 0].tolist())


def test_the_bias_of_an_attention_head_is_that_of_its_scores() -> None:
    network = classifier("gated-attention")
    without = network.head(torch.zeros(1, network.backbone.channels[-1], 1, 1))
    assert network.label_bias() == pytest.approx(without[0, :3, 0, 0].tolist())
