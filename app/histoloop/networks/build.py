"""Build the network that a config describes, and a network with a decoder out of one without."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from histoloop.network_config import NetworkConfig
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.minmax import MinMax

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    head = hybrid.classifier.head
    assert head is not None  # a network of no labels is one with a decoder
    head.load_state_dict(_head(network).state_dict())
    return hybrid


def with_mask_classes(network: SlideNetwork, mask_classes: int, *, kept: Sequence[int | None] = ()) -> Hybrid:
    """The network itself where its decoder gives so many mask classes, else a copy whose decoder does.

    A network without a decoder gets a fresh one (`with_decoder`). A decoder of one foreground keeps its steps and its
    foreground logit z, so that the foreground keeps its probability, sigmoid(z); it is divided among the classes by
    their evidence e (networks/unet.py: Decoder). That begins at 0 as far as it comes from the deepest features, and as
    small random functions of the last step's. Were these 0 too, the classes would hardly be told apart by their fine
    structure: what reaches the decoder's steps of a class's error is multiplied by how the classes' weights differ.

    A decoder of classes keeps its steps and its foreground too, and the evidence of the classes that it is to go on
    telling apart: `kept` has for each new class the number (from 0) of the old one that it was, or None for a class
    that begins as above. Without `kept` the first classes go on as they are.
    """
    hybrid = with_decoder(network)
    before = hybrid.config.mask_classes
    rows = list(kept) or [number if number < before else None for number in range(mask_classes)]
    if before == mask_classes and (before == 1 or rows == list(range(before))):
        return hybrid
    if mask_classes > 1 and len(rows) != mask_classes:
        raise ValueError(f"{len(rows)} classes are said to go on where there are {mask_classes}")
    grown = Hybrid(dataclasses.replace(hybrid.config, mask_classes=mask_classes))
    tensors = {name: tensor for name, tensor in hybrid.state_dict().items() if name != _CONTEXT}
    tensors[_WEIGHT], tensors[_BIAS] = tensors[_WEIGHT][:1], tensors[_BIAS][:1]
    if mask_classes > 1:
        tensors |= _evidence(hybrid, rows)
    grown.load_state_dict(tensors)
    return grown.train(hybrid.training)


_WEIGHT, _BIAS, _CONTEXT = "decoder.head.weight", "decoder.head.bias", "decoder.context.weight"


def _evidence(hybrid: Hybrid, rows: Sequence[int | None]) -> dict[str, Tensor]:
    """Head and context of a decoder of as many classes as rows: those rows of its own, or new ones."""
    own = hybrid.state_dict()
    weight_LC11, bias_L = own[_WEIGHT], own[_BIAS]
    decodes = hybrid.config.decodes_classes
    fresh_KC11 = _directions(len(rows), weight_LC11.shape[1]).to(weight_LC11)
    context_KC11 = weight_LC11.new_zeros((len(rows), hybrid.backbone.channels[-1], 1, 1))
    bias_K = bias_L.new_zeros(len(rows))
    for number, row in enumerate(rows):
        if decodes and row is not None:
            fresh_KC11[number] = weight_LC11[1 + row]
            bias_K[number] = bias_L[1 + row]
            context_KC11[number] = own[_CONTEXT][row]
    return {
        _WEIGHT: torch.cat([weight_LC11[:1], fresh_KC11]),
        _BIAS: torch.cat([bias_L[:1], bias_K]),
        _CONTEXT: context_KC11,
    }


def _directions(count: int, channels: int) -> Tensor:
    """Weights (count, channels, 1, 1) spread like those of a fresh convolution; the same ones each time."""
    drawn = torch.rand(count, channels, 1, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    spread: Tensor = drawn / channels**0.5
    return spread


def _head(network: SlideNetwork) -> nn.Module:
    if isinstance(network, Hybrid):
        assert network.classifier.head is not None
        return network.classifier.head
    assert isinstance(network, MinMax)  # there are no others
    return network.localizer.convolution
