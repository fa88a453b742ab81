"""The hybrid network: shapes, freezing, and how far an output pixel sees."""

from __future__ import annotations

import pytest
import torch

from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.hybrid import Hybrid


@pytest.fixture(scope="module")
def network() -> Hybrid:
    torch.manual_seed(0)
    return Hybrid(NetworkConfig(labels=3, decoder_channels=(16, 16, 8, 8, 8))).eval()


def test_outputs_have_one_score_a_class_one_cell_a_stride_and_one_logit_a_pixel(network: Hybrid) -> None:
    scores_BC, maps_BKHW, mask_logits_BLHW = network(torch.randn(2, 3, 64, 96))
    assert scores_BC.shape == (2, 3)
    assert maps_BKHW.shape == (2, 3, 2, 3)
    assert mask_logits_BLHW.shape == (2, 1, 64, 96)


def test_scores_are_the_pooled_class_maps(network: Hybrid) -> None:
    scores_BC, maps_BKHW, _ = network(torch.randn(1, 3, 96, 96))
    torch.testing.assert_close(network.score(maps_BKHW), scores_BC)


def test_average_pooling_equals_a_linear_head_on_pooled_features() -> None:
    torch.manual_seed(0)
    network = Hybrid(NetworkConfig(labels=2, pooling=PoolingConfig(name="average", modalities=1))).eval()
    scores, _, features = network.classifier(torch.randn(1, 3, 64, 64))
    head = network.classifier.head
    pooled = features[-1].mean(dim=(2, 3)) @ head.weight.flatten(1).T + head.bias
    torch.testing.assert_close(scores, pooled)


def test_nothing_beyond_the_receptive_radius_changes_an_output(network: Hybrid) -> None:
    radius, size = network.receptive_radius_px, 1024
    tile = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    disturbed = tile.clone()
    disturbed[..., : size // 2 - radius] = 9.0  # all columns further left of the middle than the radius
    with torch.inference_mode():
        before, after = network(tile), network(disturbed)
    torch.testing.assert_close(before.mask_logits_BLHW[..., size // 2 :], after.mask_logits_BLHW[..., size // 2 :])
    cells = size // 2 // network.stride_px
    torch.testing.assert_close(before.maps_BKHW[..., cells:], after.maps_BKHW[..., cells:])
    assert not torch.allclose(before.mask_logits_BLHW[..., : size // 2], after.mask_logits_BLHW[..., : size // 2])


def test_a_frozen_classifier_stays_frozen_under_train() -> None:
    network = Hybrid(NetworkConfig(labels=2))
    network.freeze_classifier()
    network.train()
    before = {name: value.clone() for name, value in network.classifier.state_dict().items()}
    network(torch.randn(2, 3, 64, 64)).mask_logits_BLHW.sum().backward()
    assert all(not module.training for module in network.classifier.modules())
    assert network.decoder.training
    assert all(parameter.grad is None for parameter in network.classifier.parameters())
    after = network.classifier.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_without_a_decoder_there_is_no_foreground_but_all_else() -> None:
    network = Hybrid(NetworkConfig(labels=2, backbone="mobilenet_v2", stride=16, decoder_channels=())).eval()
    tiles = torch.randn(1, 3, 64, 96)
    scores_BC, maps_BKHW, foreground = network(tiles)
    assert foreground is None
    assert network.decoder is None
    assert network.stride_px == 16
    assert maps_BKHW.shape == (1, 2, 4, 6)
    looked_BC, looked_BKHW = network.forward_classifier(tiles)
    assert torch.equal(looked_BC, scores_BC)
    assert torch.equal(looked_BKHW, maps_BKHW)


def test_a_network_without_a_decoder_sees_less_far() -> None:
    with_one, without = NetworkConfig(labels=2), NetworkConfig(labels=2, decoder_channels=())
    assert Hybrid(without).receptive_radius_px < Hybrid(with_one).receptive_radius_px


def test_an_unknown_backbone_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="resnet18"):
        Hybrid(NetworkConfig(labels=2, backbone="resnet19"))
