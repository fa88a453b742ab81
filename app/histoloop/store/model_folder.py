"""Model folders: card.md, recipe.toml, metrics.json, weights.safetensors and perhaps earlier.safetensors."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from histoloop.errors import ModelError, ModelPlaceError
from histoloop.language import tr
from histoloop.store.cards import CARD, WEIGHTS, Card, card_text, load_card, model_hash, unreadable
from histoloop.store.files import file_beside, folder_beside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.generic]]

RECIPE = "recipe.toml"
METRICS = "metrics.json"
EARLIER = "earlier.safetensors"
"""The way back to an earlier state of the training: what to add to the weights, for those tensors that it changes. Half
precision holds a small difference as exactly as a large one; two states stored apart would differ by their rounding,
which is of the order of what an epoch of a low learning rate changes."""
STATISTICS = "statistics.safetensors"
"""What the features of the training tiles are like (inference/likeness.py); models of earlier versions have none."""
FILES = (CARD, RECIPE, METRICS, WEIGHTS, EARLIER, STATISTICS)
_DIGEST = "digest"


def save_model(
    folder: Path,
    card: Card,
    weights: Weights,
    *,
    recipe: str,
    half: bool,
    way_back: Weights | None = None,
    statistics: Weights | None = None,
) -> Path:
    """Write a model folder, which appears whole or not at all, and return it.

    `recipe` is the TOML text that made the model. With `half`, floating-point weights are stored as float16, and as
    float32 where a value is out of its range. `way_back`, where it is given, is what to add to the weights to get the
    state an epoch or more earlier, stored as with `half`. `statistics` are of the training tiles. Raises ValueError for
    NaN and infinity, ModelError when `folder` exists, ModelPlaceError when it cannot be written.
    """
    arrays = {name: _storable(name, array, half=half) for name, array in weights.items()}
    back = None if way_back is None else {name: _storable(name, array, half=True) for name, array in way_back.items()}
    try:
        with folder_beside(folder) as partial:
            (partial / CARD).write_text(card_text(card), encoding="utf-8", newline="\n")
            (partial / RECIPE).write_text(recipe, encoding="utf-8", newline="\n")
            metrics = json.dumps(dict(card.figures), indent=2) + "\n"
            (partial / METRICS).write_text(metrics, encoding="utf-8", newline="\n")
            save_file(arrays, partial / WEIGHTS, metadata={"format": "pt"})
            if statistics is not None:
                save_statistics(partial, statistics)
            if back is not None:
                save_file(back, partial / EARLIER, metadata={_DIGEST: _digest(model_hash(partial), back)})
    except FileExistsError as error:
        raise ModelError(
            tr("There is already a model at {folder}.", folder=folder), advice=tr("Give the new one another name.")
        ) from error
    except (OSError, SafetensorError) as error:
        advice = tr("Check that the folder may be written to and that the disk is not full.")
        raise ModelPlaceError(
            tr("The model cannot be written to {folder}: {reason}.", folder=folder, reason=error), advice=advice
        ) from error
    return folder


def save_statistics(folder: Path, statistics: Weights) -> None:
    """Write what the features of the training tiles of a model are like into its folder."""
    save_file({name: _storable(name, array, half=False) for name, array in statistics.items()}, folder / STATISTICS)


def add_statistics(folder: Path, statistics: Weights) -> Path:
    """The same for a model that was made without them: the file, which appears whole or not at all.

    ModelError when the model has such a file already, ModelPlaceError when it cannot be written.
    """
    path = folder / STATISTICS
    try:
        with file_beside(path, replace=False) as partial:
            save_file({name: _storable(name, array, half=False) for name, array in statistics.items()}, partial)
    except FileExistsError as error:
        raise ModelError(
            tr("{path} exists already.", path=path), advice=tr("To create it again, delete it first.")
        ) from error
    except (OSError, SafetensorError) as error:
        raise ModelPlaceError(
            tr("The model cannot be written to {folder}: {reason}.", folder=folder, reason=error),
            advice=tr("Check that the folder may be written to and that the disk is not full."),
        ) from error
    return path


def load_statistics(folder: Path) -> dict[str, NDArray[np.generic]] | None:
    """What the features of a model's training tiles are like; None where its folder does not say.

    ModelError when it is broken.
    """
    path = folder / STATISTICS
    if not path.is_file():
        return None
    try:
        found: dict[str, NDArray[np.generic]] = load_file(path)
    except (OSError, SafetensorError, TypeError) as error:
        raise unreadable(path, error) from error
    for name, array in found.items():
        if not (_is_float(array) and np.isfinite(array).all()):
            raise unreadable(path, tr("{name} holds values that are not numbers (NaN or infinite)", name=name))
    return found


def copy_model(source: Path, folder: Path) -> str:
    """Copy the files of a model folder to a new one, which appears whole or not at all; the hash of the model.

    ModelError when it is broken, or changes meanwhile; ModelPlaceError when the copy cannot be written; FileExistsError
    when `folder` exists.
    """
    load_card(source)
    digest = model_hash(source)
    try:
        with folder_beside(folder) as partial:
            for name in FILES:
                if (source / name).is_file():
                    shutil.copyfile(source / name, partial / name)
            if model_hash(partial) != digest:
                raise ModelError(
                    tr("{path} changed while it was copied.", path=source / WEIGHTS),
                    advice=tr("Wait until no other program is writing it, then try again."),
                )
    except FileExistsError:
        raise
    except OSError as error:
        raise ModelPlaceError(
            tr("The model cannot be copied to {folder}: {reason}.", folder=folder, reason=error.strerror or error),
            advice=tr("Choose a folder that you may write to, on a disk with free space."),
        ) from error
    return digest


def load_weights(folder: Path) -> dict[str, NDArray[np.generic]]:
    """The weights, floating-point ones as float32; ModelError when they are missing, broken or no numbers."""
    path = folder / WEIGHTS
    try:
        stored = load_file(path)
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: of a type that NumPy lacks
        raise unreadable(path, error) from error
    for name, array in stored.items():
        if _is_float(array) and not np.isfinite(array).all():
            raise unreadable(path, tr("{name} holds values that are not numbers (NaN or infinite)", name=name))
    return {name: array.astype(np.float32) if _is_float(array) else array for name, array in stored.items()}


BACKBONE = "classifier.backbone."
_BACKBONES = (BACKBONE, "_backbone.")
"""What the names of a backbone's tensors begin with in the weights of a model with a decoder, and of one of min-max."""


def backbone_of(folder: Path) -> Weights:
    """The weights of a model's backbone, named as in a model with a decoder; as for `load_weights`."""
    weights = load_weights(folder)
    return {
        f"{BACKBONE}{name.removeprefix(prefix)}": array
        for prefix in _BACKBONES
        for name, array in weights.items()
        if name.startswith(prefix)
    }


def keeps_earlier(folder: Path) -> bool:
    """Whether a model folder has the state that `rank` compares with."""
    return (folder / EARLIER).is_file()


def load_earlier(folder: Path) -> dict[str, NDArray[np.generic]]:
    """The weights of an earlier state, floating-point ones as float32.

    ModelError when the model keeps none, or when what is kept is broken or belongs to other weights.
    """
    path = folder / EARLIER
    if not path.is_file():
        raise ModelError(
            tr("{folder} does not keep its state of one epoch earlier.", folder=folder),
            advice=tr(
                "Train it once more with this version of HistoLoop: `histoloop train` saves it beside the weights."
            ),
        )
    try:
        with safe_open(path, framework="np") as file:
            digest = (file.metadata() or {}).get(_DIGEST)
            back = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError, TypeError) as error:
        raise unreadable(path, error) from error
    weights = load_weights(folder)
    if digest != _digest(model_hash(folder), back) or not _fits(back, weights):
        raise ModelError(
            tr("{path} is broken, or not of the weights beside it.", path=path),
            advice=tr("Copy the model folder again in full."),
        )
    return weights | {name: np.asarray(weights[name] + array) for name, array in back.items()}


def _digest(weights_hash: str, back: Weights) -> str:
    """SHA-256 over the hash of the weights and all that is added to them; types by the names that torch gives them."""
    digest = hashlib.sha256(weights_hash.encode())
    for name in sorted(back):
        array = back[name]
        digest.update(f"{name} torch.{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _fits(back: Weights, weights: Weights) -> bool:
    return all(name in weights and weights[name].shape == array.shape for name, array in back.items())


def _storable(name: str, array: NDArray[np.generic], *, half: bool) -> NDArray[np.generic]:
    """In half precision where that is wanted and the range of all values allows it; ValueError for NaN and infinity."""
    whole = np.asarray(array, order="C")
    if not (half and _is_float(whole)):
        return whole
    with np.errstate(over="ignore"):
        halved = whole.astype(np.float32).astype(np.float16)
    if np.isfinite(halved).all():
        return halved
    if not np.isfinite(whole).all():
        raise ValueError(f"weight {name!r} has values that are no numbers")
    return whole.astype(np.float32)


def _is_float(array: NDArray[np.generic]) -> bool:
    return np.issubdtype(array.dtype, np.floating)
