"""Decoders that tell mask classes apart, and how one grows out of a decoder of one foreground."""

from __future__ import annotations

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
def test_a_grown_decoder_begins_with_the_foreground_it_had(classes: int) -> None:
    before = hybrid()
    after = with_mask_classes(before, classes)
    tile = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        foreground = mask_probabilities(before(tile).mask_logits_BLHW)
        parts = mask_probabilities(after(tile).mask_logits_BLHW)
    torch.testing.assert_close(parts.sum(dim=1), foreground, rtol=1e-5, atol=1e-6)


def test_the_classes_of_a_grown_decoder_begin_unlike_each_other_and_the_same_each_time() -> None:
    first, second = (with_mask_classes(hybrid(), 3).state_dict() for _ in range(2))
    assert torch.equal(first["decoder.head.weight"], second["decoder.head.weight"])
    rows = first["decoder.head.weight"][1:].flatten(1)
    assert float(torch.cdist(rows, rows)[~torch.eye(3, dtype=torch.bool)].min()) > 0.3
    assert not first["decoder.context.weight"].any()


def test_the_softmax_is_the_foreground_times_the_share_of_the_class() -> None:
    torch.manual_seed(0)
    decoder = Decoder((4, 6), (5, 3), mask_classes=3).eval()
    features = (torch.randn(1, 4, 4, 4), torch.randn(1, 6, 2, 2))
    with torch.inference_mode():
        found = mask_probabilities(decoder(features))
        assert decoder.context is not None
        decoder.context.weight.zero_()
        foreground = mask_probabilities(decoder(features)).sum(dim=1)
    torch.testing.assert_close(found.sum(dim=1), foreground)  # whatever the class
    assert not torch.allclose(found[:, 0], foreground / 3, atol=0.02)


def test_what_the_deepest_features_tell_of_the_class_changes_slowly_and_not_by_cells() -> None:
    torch.manual_seed(0)
    decoder = Decoder((4, 6), (5, 3), mask_classes=2).eval()
    assert decoder.context is not None
    for parameter in decoder.parameters():
        torch.nn.init.zeros_(parameter)
    decoder.context.weight.data[0, 0] = 1
    deepest = torch.zeros(1, 6, 1, 4)
    deepest[0, 0, 0, 2:] = 4.0
    with torch.inference_mode():
        first, second = mask_probabilities(decoder((torch.zeros(1, 4, 2, 8), deepest)))[0, :, 0]
    odds = (first / second).log()
    torch.testing.assert_close(odds, torch.tensor([0.0] * 6 + [0.5, 1.5, 2.5, 3.5] + [4.0] * 6))


def test_growing_keeps_everything_but_the_head_and_leaves_the_old_network_alone() -> None:
    before = hybrid()
    kept = {name: tensor.clone() for name, tensor in before.state_dict().items()}
    after = with_mask_classes(before, 2)
    assert after.config == NetworkConfig(2, backbone="mobilenet_v2", decoder_channels=(8, 8, 8, 8, 8), mask_classes=2)
    for name, tensor in after.state_dict().items():
        if not name.startswith(("decoder.head", "decoder.context")):
            assert torch.equal(tensor, kept[name]), name
    with torch.no_grad():
        next(after.parameters()).add_(1)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in before.state_dict().items())


def test_a_decoder_of_as_many_classes_is_taken_as_it_is() -> None:
    one = hybrid()
    assert with_mask_classes(one, 1) is one
    two = with_mask_classes(one, 2)
    assert with_mask_classes(two, 2) is two
    assert with_mask_classes(two, 2, kept=(1, 0)) is not two


def test_classes_that_go_on_keep_their_evidence_and_others_begin_anew() -> None:
    before = with_mask_classes(hybrid(), 3)
    with torch.no_grad():
        before.decoder.head.bias.copy_(torch.tensor([0.5, 1.0, 2.0, 3.0]))
        before.decoder.context.weight += torch.arange(3.0)[:, None, None, None] + 1
    after = with_mask_classes(before, 4, kept=(2, None, 0, None))
    own, grown = before.decoder, after.decoder
    assert grown.head.bias.tolist() == [0.5, 3.0, 0.0, 1.0, 0.0]
    assert torch.equal(grown.head.weight[[0, 1, 3]], own.head.weight[[0, 3, 1]])
    assert grown.context.weight[:, 0, 0, 0].tolist() == [3.0, 0.0, 1.0, 0.0]
    assert torch.equal(grown.steps[0][0].weight, own.steps[0][0].weight)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_whatever_classes_go_on_the_foreground_begins_as_it_was(count: int) -> None:
    before = with_mask_classes(hybrid(), 3)
    after = with_mask_classes(before, count, kept=[2, None, 0, None, None][:count])
    tile = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        foreground = mask_probabilities(before(tile).mask_logits_BLHW).sum(dim=1)
        parts = mask_probabilities(after(tile).mask_logits_BLHW)
    torch.testing.assert_close(parts if count == 1 else parts.sum(dim=1), foreground, rtol=1e-5, atol=1e-6)


def test_a_decoder_without_labels_has_no_class_maps_and_no_scores() -> None:
    network = build_network(NetworkConfig(0, backbone="mobilenet_v2", decoder_channels=(8,) * 5, mask_classes=2)).eval()
    with torch.inference_mode():
        scores, maps, logits = network(torch.randn(1, 3, 64, 96))
        assert network.score(maps).shape == (1, 0)
    assert (scores.shape, maps.shape, logits.shape) == ((1, 0), (1, 0, 2, 3), (1, 3, 64, 96))
    assert network.label_bias() == ()


def test_a_network_without_a_decoder_gets_one_of_classes() -> None:
    bare = build_network(NetworkConfig(2, backbone="mobilenet_v2", decoder_channels=()))
    assert with_mask_classes(bare, 3).config.mask_classes == 3


@pytest.mark.parametrize("widths", [(6,), (6, 5), (6, 5, 4), (6, 5, 4, 3)])
def test_a_decoder_of_fewer_widths_stops_coarser_and_needs_no_finer_stages(widths: tuple[int, ...]) -> None:
    channels = (2, 3, 4, 5)
    torch.manual_seed(0)
    stages = tuple(torch.randn(1, width, 32 >> n, 32 >> n) for n, width in enumerate(channels, start=1))
    decoder = Decoder(channels, widths, mask_classes=2).eval()
    logits = decoder(stages)
    assert logits.shape == (1, 3, 32, 32)
    assert torch.equal(logits, decoder(stages[-len(widths) - 1 :]))


def test_a_decoder_of_no_widths_or_too_many_is_refused() -> None:
    for widths in ((), (3, 3, 3)):
        with pytest.raises(ValueError, match="widths"):
            Decoder((2, 2), widths)
