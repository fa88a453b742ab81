"""Model folders: card.md, recipe.toml, metrics.json, weights.safetensors and perhaps earlier.safetensors."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from histoloop.errors import ModelError
from histoloop.language import tr
from histoloop.store.cards import CARD, WEIGHTS, Card, card_text, model_hash, unreadable
from histoloop.store.files import folder_beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


RECIPE = "recipe.toml"
METRICS = "metrics.json"
EARLIER = "earlier.safetensors"
"""The way back to the state one epoch before: what to add to the weights, for those tensors that it changes. Half
precision holds a small difference as exactly as a large one; two states stored apart would differ by their rounding,
which is of the order of what a last epoch of a low learning rate changes."""
_DIGEST = "digest"


def save_model(
    folder: Path,
    card: Card,
    weights: Mapping[str, Tensor],
    *,
    recipe: str,
    half: bool,
    way_back: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write a model folder, which appears whole or not at all, and return it.

    `recipe` is the TOML text that made the model. With `half`, floating-point weights are stored as float16
    (ValueError for one out of its range). `way_back`, where it is given, is what to add to the weights to get the state
    one epoch earlier; it is always stored in half precision. Raises ModelError when `folder` exists or cannot be
    written.
    """
    tensors = {name: _storable(name, tensor, half=half) for name, tensor in weights.items()}
    back = None if way_back is None else {name: _storable(name, tensor, half=True) for name, tensor in way_back.items()}
    try:
        with folder_beside(folder) as partial:
            (partial / CARD).write_text(card_text(card), encoding="utf-8", newline="\n")
            (partial / RECIPE).write_text(recipe, encoding="utf-8", newline="\n")
            metrics = json.dumps(dict(card.figures), indent=2) + "\n"
            (partial / METRICS).write_text(metrics, encoding="utf-8", newline="\n")
            save_file(tensors, partial / WEIGHTS, metadata={"format": "pt"})
            if back is not None:
                save_file(back, partial / EARLIER, metadata={_DIGEST: _digest(model_hash(partial), back)})
    except FileExistsError as error:
        raise ModelError(
            tr("There is a model at {folder} already.", folder=folder), advice=tr("Give the new one another name.")
        ) from error
    except (OSError, SafetensorError) as error:
        advice = tr("Check that the folder may be written to and that the disk is not full.")
        raise ModelError(
            tr("The model cannot be written to {folder}: {reason}.", folder=folder, reason=error), advice=advice
        ) from error
    return folder


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The weights on the CPU, floating-point ones as float32; ModelError when they are missing or broken."""
    path = folder / WEIGHTS
    try:
        stored = load_file(path, device="cpu")
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}


def load_earlier(folder: Path) -> dict[str, Tensor]:
    """The weights one epoch earlier, on the CPU, floating-point ones as float32.

    ModelError when the model keeps none, or when what is kept is broken or belongs to other weights.
    """
    path = folder / EARLIER
    if not path.is_file():
        raise ModelError(
            tr("{folder} does not keep its state of one epoch earlier.", folder=folder),
            advice=tr(
                "Train it once more with this version of HistoLoop: `histoloop train` keeps it beside the weights."
            ),
        )
    try:
        with safe_open(path, framework="pt") as file:
            digest = (file.metadata() or {}).get(_DIGEST)
            back = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error
    weights = load_weights(folder)
    if digest != _digest(model_hash(folder), back) or not _fits(back, weights):
        raise ModelError(
            tr("{path} is broken, or not of the weights beside it.", path=path),
            advice=tr("Copy the model folder again, whole."),
        )
    return weights | {name: weights[name] + tensor.to(weights[name].dtype) for name, tensor in back.items()}


def _digest(weights_hash: str, back: Mapping[str, Tensor]) -> str:
    """SHA-256 over the hash of the weights and all that is added to them."""
    digest = hashlib.sha256(weights_hash.encode())
    for name in sorted(back):
        tensor = back[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _fits(back: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> bool:
    return all(name in weights and weights[name].shape == tensor.shape for name, tensor in back.items())


def _storable(name: str, tensor: Tensor, *, half: bool) -> Tensor:
    # A copy, because a safetensors file holds neither views nor tensors that share memory.
    whole = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    if not (half and whole.is_floating_point()):
        return whole
    halved = whole.half()
    if not bool(torch.isfinite(halved).all()):
        raise ValueError(f"weight {name!r} has values beyond the range of half precision")
    return halved
