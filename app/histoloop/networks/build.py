"""Build the network that a config describes, and a network with a decoder out of one without."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from histoloop.network_config import NetworkConfig
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.minmax import MinMax

if TYPE_CHECKING:
    from torch import Tensor, nn

    from histoloop.networks.network import SlideNetwork


def build_network(config: NetworkConfig) -> SlideNetwork:
    """With random weights; ValueError for a config that no network fits."""
    return Hybrid(config) if config.minmax is None else MinMax(config)


def with_decoder(network: SlideNetwork) -> Hybrid:
    """The network itself where it has a decoder, else its classifier (or localizer) under a fresh one.

    Backbone and head keep their weights. The stride becomes 32, which the decoder needs; no weight has another shape
    for that.
    """
    if isinstance(network, Hybrid) and network.decoder is not None:
        return network
    channels = NetworkConfig(labels=network.config.labels).decoder_channels
    config = dataclasses.replace(network.config, stride=32, minmax=None, decoder_channels=channels)
    hybrid = Hybrid(config)
    hybrid.classifier.backbone.load_state_dict(network.backbone.state_dict())
    hybrid.classifier.head.load_state_dict(_head(network).state_dict())
    return hybrid


def with_mask_classes(network: SlideNetwork, mask_classes: int) -> Hybrid:
    """The network itself where its decoder gives so many mask classes, else a copy whose decoder does.

    A network without a decoder gets a fresh one (`with_decoder`). A decoder of one foreground keeps its steps and its
    foreground logit z, so that the foreground keeps its probability, sigmoid(z); it is divided among the classes by
    their evidence e (networks/unet.py: Decoder). That begins at 0 as far as it comes from the deepest features, and as
    small random functions of the last step's. Were these 0 too, the classes would hardly be told apart by their fine
    structure: what reaches the decoder's steps of a class's error is multiplied by how the classes' weights differ.

    Between other numbers of classes nothing can be kept but the steps: ValueError.
    """
    hybrid = with_decoder(network)
    if hybrid.config.mask_classes == mask_classes:
        return hybrid
    if hybrid.config.decodes_classes:
        raise ValueError(f"a decoder of {hybrid.config.mask_classes} mask classes cannot become one of {mask_classes}")
    grown = Hybrid(dataclasses.replace(hybrid.config, mask_classes=mask_classes))
    tensors = hybrid.state_dict()
    fresh = grown.state_dict()
    rows_KC11 = _directions(mask_classes, hybrid.config.decoder_channels[-1]).to(tensors["decoder.head.weight"])
    tensors["decoder.head.weight"] = torch.cat([tensors["decoder.head.weight"], rows_KC11])
    tensors["decoder.head.bias"] = functional.pad(tensors["decoder.head.bias"], (0, mask_classes))
    tensors["decoder.context.weight"] = torch.zeros_like(fresh["decoder.context.weight"])
    grown.load_state_dict(tensors)
    return grown.train(hybrid.training)


def _directions(count: int, channels: int) -> Tensor:
    """Weights (count, channels, 1, 1) spread like those of a fresh convolution; the same ones each time."""
    drawn = torch.rand(count, channels, 1, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    spread: Tensor = drawn / channels**0.5
    return spread


def _head(network: SlideNetwork) -> nn.Module:
    if isinstance(network, Hybrid):
        return network.classifier.head
    assert isinstance(network, MinMax)  # there are no others
    return network.localizer.convolution
