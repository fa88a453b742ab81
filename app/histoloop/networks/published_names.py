"""Weights of DINOv2 networks (Oquab et al. 2023) as the library transformers names them, in timm's names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_WHOLE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.register_tokens": "reg_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
_IN_A_BLOCK = {
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "mlp.weights_in": "mlp.fc1",
    "mlp.weights_out": "mlp.fc2",
}
_BLOCK = re.compile(r"encoder\.layer\.(\d+)\.(.+)")
_QUERY = re.compile(r"(encoder\.layer\.\d+\.attention\.attention\.)query\.(weight|bias)")


def timm_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights in timm's names: query, key and value in one tensor.

    Where there are register tokens, timm adds no position to the token of the class: it is added here, once.
    Tensors that timm's network has no use for (the token of masked patches, poolers) are left out.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name in _WHOLE:
            found[_WHOLE[name]] = tensor
        elif query := _QUERY.fullmatch(name):
            before, kind = query.groups()
            parts = [tensor, *(tensors[f"{before}{part}.{kind}"] for part in ("key", "value"))]
            block = before.split(".")[2]
            found[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat(parts)
        elif (block_of := _BLOCK.fullmatch(name)) and ".attention.attention." not in name:
            block, rest = block_of.groups()
            for theirs, own in _IN_A_BLOCK.items():
                rest = rest.replace(theirs, own)
            found[f"blocks.{block}.{rest}"] = tensor
    if "reg_token" in found and "pos_embed" in found:
        position = found["pos_embed"]
        found["cls_token"] = found["cls_token"] + position[:, :1]
        found["pos_embed"] = position[:, 1:]
    return found
