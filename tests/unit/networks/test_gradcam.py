"""Grad-CAM against the oracle (thesis eq 1.15-1.16), against class activation maps, and what it leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from histoloop.errors import ModelError
from histoloop.network_config import POOLINGS, PoolingConfig
from histoloop.networks.classifier import Classifier
from histoloop.networks.gradcam import grad_cam, layer_named, normalised

if TYPE_CHECKING:
    from collections.abc import Callable

F_KHW = [[[1.0, 0.0], [2.0, -1.0]], [[0.5, 1.5], [-0.5, 1.0]]]
W = [0.3, -0.2]
CAM = [[0.2, -0.3], [0.7, -0.5]]
GRAD_CAM = [[0.05, 0.0], [0.175, 0.0]]
GRAD_CAM_MINMAX = [[0.285714285714, 0.0], [1.0, 0.0]]


class GapLinear(nn.Module):
    """A layer that gives the tile as it is, average pooling and a linear head of one class with weights W."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, tiles_BCHW: Tensor) -> Tensor:
        return self.layer(tiles_BCHW).mean(dim=(2, 3)) @ torch.tensor([W]).T


def classifier(pooling: str = "average", **numbers: object) -> Classifier:
    torch.manual_seed(0)
    config = PoolingConfig(name=pooling, **numbers)  # type: ignore[arg-type]
    return Classifier(backbone="resnet18", labels=3, pooling=config).eval()


def scores_of(network: Classifier) -> Callable[[Tensor], Tensor]:
    return lambda tiles: network(tiles).scores_BC


@pytest.fixture(scope="module")
def network() -> Classifier:
    return classifier(modalities=1)


@pytest.fixture
def tiles() -> Tensor:
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


LABELS = torch.tensor([2, 0])


def test_the_map_is_that_of_the_oracle() -> None:
    network = GapLinear()
    maps = grad_cam(network, network.layer, torch.tensor([F_KHW]), torch.tensor([0]))
    torch.testing.assert_close(maps, torch.tensor([GRAD_CAM]))
    torch.testing.assert_close(maps * 4, torch.tensor([CAM]).relu())
    torch.testing.assert_close(normalised(maps), torch.tensor([GRAD_CAM_MINMAX]))


def test_with_a_linear_head_it_is_the_class_activation_map_over_the_cells(network: Classifier, tiles: Tensor) -> None:
    maps = grad_cam(scores_of(network), network.backbone.layer4, tiles, LABELS)
    with torch.no_grad():
        features = network(tiles).features[-1]
        weights = network.head.weight[LABELS, :, 0, 0]
    cam_BHW = torch.einsum("bk,bkhw->bhw", weights, features)  # the map without its bias, which has no part in (1.15)
    assert maps.shape == (2, 2, 3)
    torch.testing.assert_close(maps * 6, cam_BHW.relu())


@pytest.mark.parametrize("pooling", POOLINGS)
def test_it_works_for_every_pooling(pooling: str, tiles: Tensor) -> None:
    network = classifier(pooling)
    maps = grad_cam(scores_of(network), network.backbone.layer4, tiles, LABELS)
    output = network(tiles)
    features = output.features[-1]
    (gradient,) = torch.autograd.grad(output.scores_BC[torch.arange(2), LABELS].sum(), features)
    expected = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1).relu()
    torch.testing.assert_close(maps, expected.detach())


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("backbone.conv1", (2, 32, 48)),  # followed by batch norm
        ("backbone.bn1", (2, 32, 48)),  # followed by a ReLU in place
        ("backbone.layer2", (2, 8, 12)),
        ("backbone.layer3.0.downsample.0", (2, 4, 6)),  # a convolution beside the main path
        ("backbone.layer4.1.bn2", (2, 2, 3)),  # added to in place
        ("backbone.layer1.0.relu", (2, 16, 24)),  # runs twice
        ("head", (2, 2, 3)),
    ],
)
def test_it_works_at_every_layer(network: Classifier, tiles: Tensor, name: str, shape: tuple[int, ...]) -> None:
    maps = grad_cam(scores_of(network), layer_named(network, name), tiles, LABELS)
    assert maps.shape == shape
    assert torch.isfinite(maps).all()
    assert (maps >= 0).all()
    assert not maps.requires_grad


def test_at_the_head_only_the_map_of_the_class_counts(network: Classifier, tiles: Tensor) -> None:
    maps = grad_cam(scores_of(network), network.head, tiles, LABELS)
    with torch.no_grad():
        class_maps = network(tiles).maps_BKHW[torch.arange(2), LABELS]
    torch.testing.assert_close(maps, class_maps.relu() / 6)


def test_a_map_does_not_depend_on_batch_mates(network: Classifier, tiles: Tensor) -> None:
    layer = network.backbone.layer3
    together = grad_cam(scores_of(network), layer, tiles, LABELS)
    alone = grad_cam(scores_of(network), layer, tiles[1:], LABELS[1:])
    torch.testing.assert_close(together[1:], alone)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_frozen_networks_have_the_same_map_in_every_mode(
    network: Classifier, tiles: Tensor, mode: Callable[[], object]
) -> None:
    expected = grad_cam(scores_of(network), network.backbone.layer3, tiles, LABELS)
    frozen = classifier(modalities=1).requires_grad_(False)
    with mode():  # type: ignore[attr-defined]
        maps = grad_cam(scores_of(frozen), frozen.backbone.layer3, tiles.clone(), LABELS.clone())
    torch.testing.assert_close(maps, expected)


def test_neither_hooks_nor_gradients_nor_modes_are_left_behind(network: Classifier, tiles: Tensor) -> None:
    layer = network.backbone.layer4
    before = tiles.clone()
    grad_cam(scores_of(network), layer, tiles, LABELS)
    assert not layer._forward_hooks
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module.training for module in network.modules())
    assert torch.equal(tiles, before)
    assert not tiles.requires_grad


def test_no_hook_is_left_behind_by_an_error(network: Classifier, tiles: Tensor) -> None:
    def broken(some: Tensor) -> Tensor:
        network(some)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        grad_cam(broken, network.backbone.layer4, tiles, LABELS)
    assert not network.backbone.layer4._forward_hooks


def test_layers_and_labels_that_do_not_fit_are_refused(network: Classifier, tiles: Tensor) -> None:
    scores = scores_of(network)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 96, 2))
    with pytest.raises(ValueError, match=r"not \(2, 2\)"):
        grad_cam(flat, flat[1], tiles, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="tuple"):
        grad_cam(scores, network.backbone, tiles, LABELS)
    with pytest.raises(ValueError, match="not used"):
        grad_cam(scores, nn.Conv2d(3, 3, 1), tiles, LABELS)
    with pytest.raises(ValueError, match="do not depend"):
        grad_cam(lambda some: network(some).scores_BC.detach(), network.backbone.layer4, tiles, LABELS)
    with pytest.raises(ValueError, match="indices of 3 classes"):
        grad_cam(scores, network.backbone.layer4, tiles, torch.tensor([0, 3]))
    with pytest.raises(ValueError, match="one a tile"):
        grad_cam(scores, network.backbone.layer4, tiles, torch.tensor([0]))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31 - 1), st.floats(1e-20, 1e20), st.floats(-100, 100))
def test_normalised_maps_reach_from_zero_to_one_each_on_its_own(seed: int, scale: float, shift: float) -> None:
    maps = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(seed))
    result = normalised(torch.cat([maps * scale, maps + shift]))
    torch.testing.assert_close(result.amin(dim=(1, 2)), torch.zeros(6))
    torch.testing.assert_close(result.amax(dim=(1, 2)), torch.ones(6))
    assert torch.equal(result[:1], normalised(maps[:1] * scale))


def test_a_constant_map_is_zero_everywhere() -> None:
    assert torch.equal(normalised(torch.full((2, 3, 3), 0.7)), torch.zeros(2, 3, 3))


def test_a_layer_is_found_by_its_name_and_a_slip_is_answered_with_near_ones(network: Classifier) -> None:
    assert layer_named(network, "backbone.layer4.1.conv2") is network.backbone.layer4[1].conv2
    with pytest.raises(ModelError, match=r"backbone\.layer4") as near:
        layer_named(network, "backbone.layer5")
    assert "Did you mean" in near.value.advice
    with pytest.raises(ModelError) as far:
        layer_named(network, "zzz")
    assert "backbone" in far.value.advice
    with pytest.raises(ModelError):
        layer_named(network, "")
