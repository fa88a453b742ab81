"""Model folders: card.md, recipe.toml, metrics.json and weights.safetensors."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from histoloop.errors import ModelError
from histoloop.store.cards import Card, card_text, read_card
from histoloop.store.files import folder_beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Card", "list_models", "load_card", "load_weights", "model_hash", "save_model"]

CARD = "card.md"
RECIPE = "recipe.toml"
METRICS = "metrics.json"
WEIGHTS = "weights.safetensors"


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


def load_card(folder: Path) -> Card:
    """The card of a model folder; ModelError when it is missing or broken."""
    path = folder / CARD
    try:
        return read_card(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The weights on the CPU, floating-point ones as float32; ModelError when they are missing or broken."""
    path = folder / WEIGHTS
    try:
        stored = load_file(path, device="cpu")
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}


def model_hash(folder: Path) -> str:
    """SHA-256 of the weights file, hexadecimal: what identifies a model; ModelError when it is missing."""
    path = folder / WEIGHTS
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def list_models(*roots: Path) -> list[Path]:
    """Model folders (those with a card) directly under `roots`, in order of roots, then names."""
    return [card.parent for root in roots for card in sorted(root.glob(f"[!.]*/{CARD}"))]


def _storable(name: str, tensor: Tensor, *, half: bool) -> Tensor:
    # A copy, because a safetensors file holds neither views nor tensors that share memory.
    whole = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    if not (half and whole.is_floating_point()):
        return whole
    halved = whole.half()
    if not bool(torch.isfinite(halved).all()):
        raise ValueError(f"weight {name!r} has values beyond the range of half precision")
    return halved


def _unreadable(path: Path, error: Exception) -> ModelError:
    advice = "Choose another model, or copy this one's folder again, whole."
    return ModelError(f"{path} cannot be read: {error}.", advice=advice)
