"""SimSiam has the projector and predictor of the paper over any backbone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from histoloop.networks.backbones import BACKBONES, build_backbone
from histoloop.networks.simsiam import SimSiam


def kinds(part: nn.Sequential) -> list[type[nn.Module]]:
    return [type(layer) for layer in part]


def test_projector_and_predictor_have_the_layers_of_the_paper() -> None:
    network = SimSiam(build_backbone("mobilenet_v3_small"), projection=16, bottleneck=4)
    hidden = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert kinds(network.projector) == [*hidden, *hidden, nn.Linear, nn.BatchNorm1d]
    assert kinds(network.predictor) == [*hidden, nn.Linear]
    assert network.predictor[0].out_features == 4


@pytest.mark.parametrize("name", sorted(BACKBONES)[:3])
def test_any_backbone_projects_its_pooled_features(name: str) -> None:
    network = SimSiam(build_backbone(name), projection=16, bottleneck=4)
    predictions, projections = network(torch.rand(3, 3, 64, 64))
    assert predictions.shape == projections.shape == (3, 16)
    torch.testing.assert_close(projections.mean(dim=0), torch.zeros(16), atol=1e-5, rtol=0)


def test_the_backbone_keeps_its_own_names() -> None:
    backbone = build_backbone("mobilenet_v3_small")
    network = SimSiam(backbone, projection=16, bottleneck=4)
    own = {name.removeprefix("backbone.") for name in network.state_dict() if name.startswith("backbone.")}
    assert own == set(backbone.state_dict())
