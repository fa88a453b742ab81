"""Networks out of configs, and a decoder over one that had none."""

from __future__ import annotations

import pytest
import torch

from histoloop.localisation.methods import localisation_methods
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.build import build_network, with_decoder
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.minmax import MinMax

AVERAGE = PoolingConfig(name="average", modalities=2)


def config(**changes: object) -> NetworkConfig:
    values = {"labels": 2, "backbone": "mobilenet_v2", "pooling": AVERAGE, "decoder_channels": (), **changes}
    return NetworkConfig(**values)  # type: ignore[arg-type]


def test_a_config_with_minmax_makes_a_localizer_and_any_other_a_hybrid() -> None:
    assert isinstance(build_network(config(minmax=MinMaxConfig())), MinMax)
    assert isinstance(build_network(config()), Hybrid)


def test_a_config_that_no_network_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="two label classes"):
        build_network(config(labels=1, minmax=MinMaxConfig()))


def test_a_network_with_a_decoder_stays_as_it_is() -> None:
    network = build_network(config(decoder_channels=(8, 8, 8, 8, 8)))
    assert with_decoder(network) is network


@pytest.mark.parametrize(
    "changes",
    [{}, {"stride": 16, "background": True}, {"stride": 16, "minmax": MinMaxConfig()}],
    ids=["cam", "size", "min-max"],
)
def test_a_decoder_is_added_over_the_weights_that_were_learned(changes: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = build_network(config(**changes)).eval()
    trained = with_decoder(network).eval()
    assert trained.config.stride == 32
    assert localisation_methods(trained.config)[0] == "decoder"
    own, new = network.backbone.state_dict(), trained.backbone.state_dict()
    assert all(torch.equal(own[name], new[name]) for name in own)
    assert trained.label_bias() == network.label_bias()
    output = trained(torch.randn(1, 3, 64, 64))
    assert output.mask_logits_BLHW is not None
    assert output.mask_logits_BLHW.shape == (1, 1, 64, 64)
    assert trained.config.map_names(("a", "b")) == network.config.map_names(("a", "b"))
