"""A folded network predicts what the network itself does, by fewer operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.build import build_network
from histoloop.networks.folded import folded
from histoloop.networks.needed import Box

if TYPE_CHECKING:
    from histoloop.networks.network import SlideNetwork

AVERAGE = PoolingConfig(name="average", modalities=1)
DECODER = (16, 12, 8, 8, 4)
CORE = Box.of(64, 32, 96, 128)
NETWORKS = {
    "one foreground": {"decoder_channels": DECODER},
    "bottlenecks": {"backbone": "resnet50", "decoder_channels": DECODER, "mask_classes": 2},
    "classes": {"backbone": "mobilenet_v2", "decoder_channels": DECODER, "mask_classes": 3},
    "squeeze and excitation": {"backbone": "mobilenet_v3_small", "decoder_channels": ()},
    "stride 16": {"decoder_channels": (), "stride": 16},
    "min-max": {"decoder_channels": (), "minmax": MinMaxConfig(), "labels": 2},
    "timm": {"backbone": "timm/test_resnet", "decoder_channels": DECODER},
}


def network(**changes: object) -> SlideNetwork:
    """With batch norms that do something: their statistics are of noise, their weights random."""
    torch.manual_seed(0)
    made = build_network(NetworkConfig(**{"labels": 3, "pooling": AVERAGE, **changes}))  # type: ignore[arg-type]
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
        made(torch.randn(2, 3, 64, 96))
    return made.eval()


@pytest.mark.parametrize("kind", NETWORKS)
def test_folded_networks_give_the_same_up_to_rounding(kind: str) -> None:
    whole = network(**NETWORKS[kind])
    picture = torch.randn(1, 3, 256, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = (one.forward_core(picture, CORE) for one in (whole, folded(whole)))
    assert found.maps_BKHW.shape == expected.maps_BKHW.shape
    torch.testing.assert_close(found.maps_BKHW, expected.maps_BKHW, rtol=1e-4, atol=1e-4)
    if expected.mask_logits_BLHW is None:
        assert found.mask_logits_BLHW is None
    else:
        torch.testing.assert_close(found.mask_logits_BLHW, expected.mask_logits_BLHW, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["one foreground", "bottlenecks", "classes"])
def test_no_batch_norm_is_left_where_its_convolution_is_known(kind: str) -> None:
    left = [module for module in folded(network(**NETWORKS[kind])).modules() if isinstance(module, nn.BatchNorm2d)]
    assert left == []


def test_folding_leaves_the_network_as_it_is() -> None:
    whole = network(decoder_channels=DECODER)
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    folded(whole)
    after = whole.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(parameter.requires_grad for parameter in whole.parameters())
