"""Model folders: card.md, recipe.toml, metrics.json and weights.safetensors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from histoloop.errors import ModelError
from histoloop.store.cards import CARD, WEIGHTS, Card, card_text, unreadable
from histoloop.store.files import folder_beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


RECIPE = "recipe.toml"
METRICS = "metrics.json"


def save_model(folder: Path, card: Card, weights: Mapping[str, Tensor], *, recipe: str, half: bool) -> Path:
    """Write a model folder, which appears whole or not at all, and return it.

    `recipe` is the TOML text that made the model. With `half`, floating-point weights are stored as float16
    (ValueError for one out of its range). Raises ModelError when `folder` exists or cannot be written.
    """
    tensors = {name: _storable(name, tensor, half=half) for name, tensor in weights.items()}
    try:
        with folder_beside(folder) as partial:
            (partial / CARD).write_text(card_text(card), encoding="utf-8", newline="\n")
            (partial / RECIPE).write_text(recipe, encoding="utf-8", newline="\n")
            metrics = json.dumps(dict(card.figures), indent=2) + "\n"
            (partial / METRICS).write_text(metrics, encoding="utf-8", newline="\n")
            save_file(tensors, partial / WEIGHTS, metadata={"format": "pt"})
    except FileExistsError as error:
        raise ModelError(f"There is a model at {folder} already.", advice="Give the new one another name.") from error
    except (OSError, SafetensorError) as error:
        advice = "Check that the folder may be written to and that the disk is not full."
        raise ModelError(f"The model cannot be written to {folder}: {error}.", advice=advice) from error
    return folder


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The weights on the CPU, floating-point ones as float32; ModelError when they are missing or broken."""
    path = folder / WEIGHTS
    try:
        stored = load_file(path, device="cpu")
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}


def _storable(name: str, tensor: Tensor, *, half: bool) -> Tensor:
    # A copy, because a safetensors file holds neither views nor tensors that share memory.
    whole = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    if not (half and whole.is_floating_point()):
        return whole
    halved = whole.half()
    if not bool(torch.isfinite(halved).all()):
        raise ValueError(f"weight {name!r} has values beyond the range of half precision")
    return halved
