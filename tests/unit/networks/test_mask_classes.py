"""Decoders that tell mask classes apart, and how one grows out of a decoder of one foreground."""

from __future__ import annotations

import math

import pytest
import torch

from histoloop.network_config import NetworkConfig
from histoloop.networks.build import build_network, with_mask_classes
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.unet import Decoder, mask_probabilities

CONFIG = NetworkConfig(2, backbone="mobilenet_v2", decoder_channels=(8, 8, 8, 8, 8))


def hybrid() -> Hybrid:
    torch.manual_seed(0)
    network = build_network(CONFIG).eval()
    assert isinstance(network, Hybrid)
    return network


def test_a_decoder_of_one_foreground_has_the_weights_that_it_always_had() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in Decoder((4, 6, 8), (5, 3, 2)).state_dict().items()}
    assert shapes["head.weight"] == (1, 2, 1, 1)
    assert shapes["head.bias"] == (1,)
    assert shapes["steps.0.0.weight"] == (5, 14, 3, 3)


def test_a_decoder_of_classes_gives_background_and_each_class_a_logit() -> None:
    torch.manual_seed(0)
    network = Hybrid(NetworkConfig(2, backbone="mobilenet_v2", decoder_channels=(8, 8, 8, 8, 8), mask_classes=4)).eval()
    with torch.inference_mode():
        logits = network(torch.randn(2, 3, 64, 96)).mask_logits_BLHW
    assert logits.shape == (2, 5, 64, 96)
    found = mask_probabilities(logits)
    assert found.shape == (2, 4, 64, 96)
    assert float(found.sum(dim=1).max()) < 1


@pytest.mark.parametrize("classes", [2, 3, 30])
def test_a_grown_decoder_begins_with_nearly_the_foreground_it_had(classes: int) -> None:
    before = hybrid()
    after = with_mask_classes(before, classes)
    tile = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits_before, logits = before(tile).mask_logits_BLHW, after(tile).mask_logits_BLHW
    assert not logits[:, 0].any()  # the background's
    shares = logits[:, 1:] - logits_before + math.log(classes)  # the d_c
    torch.testing.assert_close(shares.mean(dim=1), torch.zeros(1, 64, 64), rtol=0, atol=1e-5)
    foreground, parts = mask_probabilities(logits_before), mask_probabilities(logits)
    assert bool((parts.sum(dim=1) >= foreground - 1e-6).all())
    assert float((parts.sum(dim=1) - foreground).abs().mean()) < 0.05


def test_the_classes_of_a_grown_decoder_begin_unlike_each_other_and_the_same_each_time() -> None:
    first, second = (with_mask_classes(hybrid(), 3).state_dict()["decoder.head.weight"] for _ in range(2))
    assert torch.equal(first, second)
    distances = torch.cdist(first[1:].flatten(1), first[1:].flatten(1))
    assert float(distances[~torch.eye(3, dtype=torch.bool)].min()) > 0.3


def test_growing_keeps_everything_but_the_head_and_leaves_the_old_network_alone() -> None:
    before = hybrid()
    kept = {name: tensor.clone() for name, tensor in before.state_dict().items()}
    after = with_mask_classes(before, 2)
    assert after.config == NetworkConfig(2, backbone="mobilenet_v2", decoder_channels=(8, 8, 8, 8, 8), mask_classes=2)
    for name, tensor in after.state_dict().items():
        if not name.startswith("decoder.head"):
            assert torch.equal(tensor, kept[name]), name
    with torch.no_grad():
        next(after.parameters()).add_(1)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in before.state_dict().items())


def test_a_decoder_of_as_many_classes_is_taken_as_it_is_and_of_others_refused() -> None:
    one = hybrid()
    assert with_mask_classes(one, 1) is one
    two = with_mask_classes(one, 2)
    assert with_mask_classes(two, 2) is two
    with pytest.raises(ValueError, match="of 2 mask classes cannot become one of 3"):
        with_mask_classes(two, 3)


def test_a_network_without_a_decoder_gets_one_of_classes() -> None:
    bare = build_network(NetworkConfig(2, backbone="mobilenet_v2", decoder_channels=()))
    assert with_mask_classes(bare, 3).config.mask_classes == 3
