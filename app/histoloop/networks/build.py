"""Build the network that a config describes, and a network with a decoder out of one without."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import torch

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

    A network without a decoder gets a fresh one (`with_decoder`). A decoder of one foreground keeps its steps, and its
    head, whose logit is z, becomes one of K + 1: 0 for the background and z - log K + d_c for class c. The d_c are
    random linear functions of the features, of the size of a fresh head's, and sum to 0 over the classes. So the
    foreground keeps its probability but for a little, sigmoid(z + log mean exp d_c), and is divided among the classes
    at random. Were the d_c 0, and the classes equal, nothing could tell them apart for long: what reaches the decoder's
    steps of a class's error is multiplied by how the rows of the head differ.

    Between other numbers of classes nothing can be kept but the steps: ValueError.
    """
    hybrid = with_decoder(network)
    if hybrid.config.mask_classes == mask_classes:
        return hybrid
    if hybrid.config.decodes_classes:
        raise ValueError(f"a decoder of {hybrid.config.mask_classes} mask classes cannot become one of {mask_classes}")
    grown = Hybrid(dataclasses.replace(hybrid.config, mask_classes=mask_classes))
    tensors = hybrid.state_dict()
    weight_1C11, bias_1 = tensors["decoder.head.weight"], tensors["decoder.head.bias"]
    rows_KC11 = weight_1C11 + _directions(mask_classes, weight_1C11.shape[1]).to(weight_1C11)
    parts_K = (bias_1 - math.log(mask_classes)).expand(mask_classes)
    tensors["decoder.head.weight"] = torch.cat([torch.zeros_like(weight_1C11), rows_KC11])
    tensors["decoder.head.bias"] = torch.cat([torch.zeros_like(bias_1), parts_K])
    grown.load_state_dict(tensors)
    return grown.train(hybrid.training)


def _directions(count: int, channels: int) -> Tensor:
    """Weights (count, channels, 1, 1) that sum to 0 over the first axis, spread like those of a fresh convolution.

    The same ones each time.
    """
    drawn = torch.rand(count, channels, 1, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    spread: Tensor = (drawn - drawn.mean(dim=0)) / channels**0.5
    return spread


def _head(network: SlideNetwork) -> nn.Module:
    if isinstance(network, Hybrid):
        return network.classifier.head
    assert isinstance(network, MinMax)  # there are no others
    return network.localizer.convolution
