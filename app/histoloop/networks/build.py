"""Build the network that a config describes, and a network with a decoder out of one without."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from histoloop.network_config import NetworkConfig
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.minmax import MinMax

if TYPE_CHECKING:
    from torch import nn

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
    foreground logit z, and begins without any evidence for a class, e = 0 (networks/unet.py: Decoder). So the
    foreground keeps its probability, sigmoid(z), of which each class begins with an equal part: the logits are 0 for
    the background and z - log K for each class.

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
    for name in ("decoder.head.weight", "decoder.head.bias", "decoder.context.weight"):
        no_evidence = torch.zeros_like(fresh[name])
        if name in tensors:
            no_evidence[:1] = tensors[name]
        tensors[name] = no_evidence
    grown.load_state_dict(tensors)
    return grown.train(hybrid.training)


def _head(network: SlideNetwork) -> nn.Module:
    if isinstance(network, Hybrid):
        return network.classifier.head
    assert isinstance(network, MinMax)  # there are no others
    return network.localizer.convolution
