"""Build the network that a config describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.networks.hybrid import Hybrid
from histoloop.networks.minmax import MinMax

if TYPE_CHECKING:
    from histoloop.networks.config import NetworkConfig
    from histoloop.networks.network import SlideNetwork


def build_network(config: NetworkConfig) -> SlideNetwork:
    """With random weights; ValueError for a config that no network fits."""
    return Hybrid(config) if config.minmax is None else MinMax(config)
