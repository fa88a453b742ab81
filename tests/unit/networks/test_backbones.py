"""Backbones: stages, torchvision's names, and how far a cell sees."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torchvision.models
from torch import nn

from histoloop.network_config import OWN_BACKBONES
from histoloop.networks.backbone import STRIDES
from histoloop.networks.backbones import BACKBONES, build_backbone, receptive_radius_px


@pytest.mark.parametrize("name", BACKBONES)
def test_stages_have_the_stated_widths_and_strides(name: str) -> None:
    backbone = build_backbone(name).eval()
    with torch.inference_mode():
        stages = backbone(torch.randn(1, 3, 64, 96))
    assert [stage.shape[1] for stage in stages] == list(backbone.channels)
    assert [tuple(stage.shape[2:]) for stage in stages] == [(64 // stride, 96 // stride) for stride in STRIDES]


@pytest.mark.parametrize("name", BACKBONES)
def test_the_weights_have_torchvisions_names(name: str) -> None:
    theirs = getattr(torchvision.models, name)(weights=None).state_dict()
    ours = build_backbone(name).state_dict()
    assert set(theirs) - set(ours) == {key for key in theirs if key.startswith(("fc.", "classifier."))}
    assert all(theirs[key].shape == value.shape for key, value in ours.items())


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_resnet_of_a_seed_has_the_weights_and_gives_the_features_of_torchvisions(name: str) -> None:
    torch.manual_seed(3)
    theirs = getattr(torchvision.models, name)(weights=None).eval()
    torch.manual_seed(3)
    ours = build_backbone(name).eval()
    weights = theirs.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in ours.state_dict().items())
    tile = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        found = ours(tile)
        below = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(tile))))
        for number, layer in enumerate((theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4), start=1):
            below = layer(below)
            assert torch.equal(found[number], below)


def test_predicting_with_the_shipped_model_does_not_import_torchvision() -> None:
    script = (
        "import sys, histoloop.workflows.prediction.predict_files\n"
        "from histoloop.networks.backbones import build_backbone\n"
        "build_backbone('resnet18')\n"
        "print([name for name in ('torchvision', 'napari', 'PySide6') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", BACKBONES)
def test_a_stride_of_16_keeps_the_weights_and_gives_maps_of_twice_the_size(name: str) -> None:
    coarse, fine = build_backbone(name).eval(), build_backbone(name, stride=16).eval()
    fine.load_state_dict(coarse.state_dict())  # strict: the same names and shapes
    tile = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        stages, finer = coarse(tile), fine(tile)
    assert stages[-1].shape[-2:] == (2, 3)
    assert finer[-1].shape[-2:] == (4, 6)
    assert finer[-1].shape[1] == coarse.channels[-1]
    for before, after in zip(stages[:-1], finer[:-1], strict=True):
        assert torch.equal(before, after)


def test_no_other_stride_is_there() -> None:
    with pytest.raises(ValueError, match="16 or 32, not 8"):
        build_backbone("resnet18", stride=8)


def test_the_names_of_backbones_are_those_a_config_knows() -> None:
    assert tuple(BACKBONES) == OWN_BACKBONES


def _transparent(network: nn.Module) -> nn.Module:
    """Every weight positive and no activation closed: what can be seen, is seen."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    return network.eval()


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_a_cell_sees_as_far_as_is_said_and_no_farther(name: str) -> None:
    radius, stride = receptive_radius_px(name), STRIDES[-1]
    cells = 2 * -(-radius // stride) + 3
    tile = torch.rand(1, 3, cells * stride, stride * cells, dtype=torch.float64).mul(1e-3).requires_grad_()
    backbone = _transparent(build_backbone(name)).double()
    middle = cells // 2
    backbone(tile)[-1][0, :, middle, middle].sum().backward()
    assert tile.grad is not None
    rows = torch.nonzero(tile.grad.abs().sum(dim=(0, 1, 3))).flatten()
    before, after = middle * stride - int(rows[0]), int(rows[-1]) - (middle * stride + stride - 1)
    assert max(before, after) <= radius
    assert max(before, after) >= radius - stride


def test_the_radius_of_a_deeper_network_is_larger() -> None:
    assert receptive_radius_px("resnet18") == 217
    assert receptive_radius_px("resnet50") < receptive_radius_px("resnet101")
    assert receptive_radius_px("resnet18") < receptive_radius_px("resnet34")


def test_an_unknown_backbone_names_the_choices() -> None:
    with pytest.raises(ValueError, match="mobilenet_v2"):
        build_backbone("vgg")
