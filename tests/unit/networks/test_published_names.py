"""Names of published weights: DINOv2 as transformers writes it, in timm's names."""

from __future__ import annotations

import timm
import torch

from histoloop.networks.published_names import timm_names

WIDTH = 8
OTHER_NAMES = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.": "embeddings.patch_embeddings.projection.",
    "norm.": "layernorm.",
    "attn.proj.": "attention.output.dense.",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
}


def as_transformers_writes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of timm's DINOv2 network the other way round."""
    found = {"embeddings.mask_token": torch.zeros(1, WIDTH)}
    for name, tensor in tensors.items():
        if ".attn.qkv." in name:
            block, kind = name.split(".")[1], name.rsplit(".", 1)[1]
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                found[f"encoder.layer.{block}.attention.attention.{part}.{kind}"] = piece
            continue
        for own, theirs in OTHER_NAMES.items():
            if name.startswith(own) or (f".{own}" in name and not own.startswith(("norm", "patch"))):
                name = name.replace(own, theirs)
                break
        found[name.replace("blocks.", "encoder.layer.")] = tensor
    return found


def network(**changes: object) -> torch.nn.Module:
    settings = {"img_size": 28, "patch_size": 14, "embed_dim": WIDTH, "depth": 2, "num_heads": 2, "num_classes": 0}
    made: torch.nn.Module = timm.create_model("vit_small_patch14_dinov2", pretrained=False, **settings, **changes)
    return made.eval()


def test_weights_in_the_names_of_transformers_are_those_in_timms() -> None:
    own = network().state_dict()
    found = timm_names(as_transformers_writes(own))
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)


def test_with_register_tokens_the_position_of_the_class_is_added_to_its_token() -> None:
    tensors = {
        "embeddings.cls_token": torch.full((1, 1, WIDTH), 2.0),
        "embeddings.register_tokens": torch.zeros(1, 4, WIDTH),
        "embeddings.position_embeddings": torch.arange(5.0).view(1, 5, 1).expand(1, 5, WIDTH) + 1,
    }
    found = timm_names(tensors)
    assert found["cls_token"].unique().tolist() == [3.0]
    assert found["pos_embed"][0, :, 0].tolist() == [2.0, 3.0, 4.0, 5.0]
    assert found["reg_token"].shape == (1, 4, WIDTH)


def test_the_two_matrices_of_a_gated_layer_keep_their_order() -> None:
    tensors = {
        "encoder.layer.3.mlp.weights_in.weight": torch.ones(2, 2),
        "encoder.layer.3.mlp.weights_out.bias": torch.zeros(2),
    }
    assert list(timm_names(tensors)) == ["blocks.3.mlp.fc1.weight", "blocks.3.mlp.fc2.bias"]
