"""Backbones of timm: stages, published names, where the tokens of patches lie, and what cannot be one."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from histoloop.errors import ModelError
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.backbone import STRIDES
from histoloop.networks.backbones import build_backbone, receptive_radius_px
from histoloop.networks.build import build_network
from histoloop.networks.gradcam import grad_cam, layer_named
from histoloop.networks.timm_backbones import TokenBackbone, timm_backbone
from histoloop.training.pretrained import fill

SMALL_TRANSFORMER = {"embed_dim": 32, "depth": 4, "num_heads": 2, "img_size": 56}
FAMILIES = (
    "test_resnet",
    "test_convnext",
    "test_efficientnet",
    "test_vit",
    "pvt_v2_b0",
    "swin_tiny_patch4_window7_224",
)


@pytest.mark.parametrize("name", FAMILIES)
def test_stages_have_the_stated_widths_and_strides(name: str) -> None:
    backbone = build_backbone(f"timm/{name}").eval()
    with torch.inference_mode():
        stages = backbone(torch.rand(2, 3, 64, 96))
    assert [stage.shape[1] for stage in stages] == list(backbone.channels)
    assert [tuple(stage.shape[2:]) for stage in stages] == [(64 // stride, 96 // stride) for stride in STRIDES]


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_vit"])
def test_published_weights_fill_the_backbone(name: str) -> None:
    published = timm.create_model(name, pretrained=False)
    backbone = build_backbone(f"timm/{name}")
    fill(backbone, published.state_dict(), where="weights.safetensors")
    own = backbone.state_dict()
    for key, value in published.state_dict().items():
        if f"model.{key}" in own:
            assert torch.equal(own[f"model.{key}"], value)
    assert {key for key in published.state_dict() if f"model.{key}" not in own} <= {
        "head.fc.weight",
        "head.fc.bias",
        "head.weight",
        "head.bias",
        "fc.weight",
        "fc.bias",
    }


def test_weights_of_another_architecture_are_refused() -> None:
    other = timm.create_model("test_convnext", pretrained=False).state_dict()
    with pytest.raises(ModelError, match=r"lacks \d+ of the backbone's"):
        fill(build_backbone("timm/test_resnet"), other, where="weights.safetensors")


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_vit"])
@pytest.mark.parametrize("pooling", ["wildcat", "average", "gated-attention"])
def test_the_loops_network_takes_it_under_every_head_and_decoder(name: str, pooling: str) -> None:
    config = NetworkConfig(
        labels=2, backbone=f"timm/{name}", pooling=PoolingConfig(pooling), decoder_channels=(8, 8, 8, 8, 8)
    )  # type: ignore[arg-type]
    network = build_network(config).train()
    scores_BC, maps_BKHW, foreground_B1HW = network(torch.rand(2, 3, 64, 64))
    assert scores_BC.shape == (2, 2)
    assert maps_BKHW.shape[-2:] == (2, 2)
    assert foreground_B1HW is not None
    assert foreground_B1HW.shape == (2, 1, 64, 64)
    (scores_BC.sum() + foreground_B1HW.sum()).backward()
    learned = [part.grad is not None for name, part in network.named_parameters() if "backbone" in name]
    assert sum(learned) > 0.8 * len(learned)


@pytest.mark.parametrize("name", ["test_convnext", "test_vit"])
def test_grad_cam_works_on_it(name: str) -> None:
    network = build_network(NetworkConfig(labels=2, backbone=f"timm/{name}", pooling=PoolingConfig("average"))).eval()
    layer = layer_named(network, "classifier.head")
    maps = grad_cam(
        lambda tiles: network.forward_classifier(tiles)[0], layer, torch.rand(1, 3, 64, 64), torch.tensor([1])
    )
    assert maps.shape == (1, 2, 2)
    assert torch.isfinite(maps).all()


@pytest.mark.parametrize("patch_px", [8, 14, 16])
def test_tokens_lie_where_their_patches_are(patch_px: int) -> None:
    """Patches that give their own mean: on a ramp each cell of 16 px must hold the ramp at its middle."""
    backbone = timm_backbone(
        "vit_tiny_patch16_224", {**SMALL_TRANSFORMER, "patch_size": patch_px, "img_size": patch_px * 4}
    )
    assert isinstance(backbone, TokenBackbone)

    class Means(nn.Module):
        def forward_intermediates(self, tiles: torch.Tensor, indices: list[int], **_how: object) -> list[torch.Tensor]:
            return [nn.functional.avg_pool2d(tiles[:, :1], patch_px) for _ in indices]

    backbone.model = Means()
    ramp = torch.arange(128.0).expand(1, 3, 96, 128)
    stages = backbone.eval()(ramp)
    middles = torch.arange(8) * 16 + 7.5
    assert torch.allclose(stages[3][0, 0, 2, :-1], middles[:-1], atol=1e-3)
    assert torch.allclose(stages[4][0, 0, 1, :-1], torch.arange(3) * 32 + 15.5, atol=1e-3)
    assert float(stages[3][0, 0, 2, -1]) == pytest.approx(119.5, abs=0.5)  # its patch reaches past the tile
    assert torch.equal(stages[0][0, 0, 0], torch.arange(64) * 2 + 0.5)


def test_the_last_depth_of_a_transformer_can_keep_a_stride_of_16() -> None:
    fine = build_backbone("timm/test_vit", stride=16).eval()
    with torch.inference_mode():
        assert fine(torch.rand(1, 3, 64, 96))[-1].shape[-2:] == (4, 6)


def test_a_pyramid_of_timm_keeps_its_stride_of_32() -> None:
    with pytest.raises(ValueError, match="leave stride at 32"):
        build_backbone("timm/test_resnet", stride=16)


def test_the_radius_of_a_chain_of_convolutions_is_a_bound_and_that_of_attention_is_said_to_be_none() -> None:
    own, theirs = receptive_radius_px("resnet18"), receptive_radius_px("timm/resnet18")
    assert own <= theirs <= 1.5 * own
    assert receptive_radius_px("timm/test_vit") == 512
    assert receptive_radius_px("timm/mobilenetv3_small_050") == 512


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet_18", r"timm has no architecture 'resnet_18'. Similar: \w*resnet"),
        ("vit_small_patch32_224", "nor patches of 8, 14 or 16 px .but 32"),
    ],
)
def test_what_cannot_be_a_backbone_is_refused_with_what_can(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        timm_backbone(name)


@pytest.mark.parametrize("name", ["resnet19", "timm/", "timm/../x", "timm/hf-hub:a/b", "hf-hub:a/b"])
def test_a_config_refuses_names_that_no_backbone_can_have(name: str) -> None:
    with pytest.raises(ValueError, match="backbone must be one of resnet18"):
        NetworkConfig(labels=2, backbone=name)
