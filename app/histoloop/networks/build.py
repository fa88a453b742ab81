"""Build the network that a config describes, and a network with a decoder out of one without."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

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


def _head(network: SlideNetwork) -> nn.Module:
    if isinstance(network, Hybrid):
        return network.classifier.head
    assert isinstance(network, MinMax)  # there are no others
    return network.localizer.convolution
