"""Starting weights for backbones: torchvision's, downloaded once and checked, or a local file."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import torch
import torchvision.models
from safetensors import SafetensorError
from safetensors.torch import load_file

from histoloop import paths
from histoloop.errors import ModelError
from histoloop.progress import Progress, Work

if TYPE_CHECKING:
    from torch import Tensor

    from histoloop.networks.backbones import Backbone

RANDOM, IMAGENET = "random", "imagenet"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BLOCK = 1 << 20
_OF_MODELS = ("classifier.backbone.", "_backbone.")
"""What the names of a backbone's tensors begin with in the weights of models (Hybrid, MinMax)."""
_FITTING = "Give weights of this very backbone, in torchvision's names or of a model made here."


def start_backbone(backbone: Backbone, name: str, weights: str) -> Work[None]:
    """Fill the backbone `name` with 'random' (as it is), 'imagenet' or the weights of a .safetensors file.

    Files are in torchvision's names, or weights of a model made here; tensors beside the backbone are left out.
    ModelError when the weights cannot be had or do not fit.
    """
    if weights == RANDOM:
        return
    if weights == IMAGENET:
        path = yield from downloaded(name)
        tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    else:
        path = Path(weights).expanduser()
        tensors = _local(path)
    fill(backbone, tensors, where=str(path))


def fill(backbone: Backbone, tensors: dict[str, Tensor], *, where: str) -> None:
    """Load tensors by name; ModelError when the backbone has names that they lack, or of another shape."""
    own = backbone.state_dict()
    wanted = {name for name in own if not name.endswith("num_batches_tracked")}
    if missing := sorted(wanted - tensors.keys()):
        raise ModelError(
            f"{where} lacks {len(missing)} of the backbone's {len(wanted)} tensors, such as {missing[0]}.",
            advice=_FITTING,
        )
    try:
        backbone.load_state_dict({name: tensors.get(name, own[name]).to(own[name].dtype) for name in own})
    except RuntimeError as error:
        raise ModelError(f"{where} does not fit the backbone: {error}.", advice=_FITTING) from error


def downloaded(name: str) -> Work[Path]:
    """The file of torchvision's ImageNet weights of a backbone, fetched if it is not there yet; its hash is checked.

    This is the one file that is not safetensors: PyTorch reads it with `weights_only`, which runs no code of the file,
    and only after its SHA-256 has been found to begin as its name says.
    """
    url: str = torchvision.models.get_model_weights(name).DEFAULT.url
    target = paths.user_data() / "weights" / Path(urlparse(url).path).name
    if target.is_file():
        return target
    beside, digest = target.with_name(f"{target.name}.partial"), hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=30) as answer, beside.open("wb") as file:
            total = int(answer.headers.get("Content-Length", 0))
            while block := answer.read(_BLOCK):
                file.write(block)
                digest.update(block)
                yield Progress(f"Downloading {target.name}", file.tell(), total)
        expected = target.stem.rsplit("-", 1)[-1]
        if not digest.hexdigest().startswith(expected):
            advice = "Try again; if it stays so, do not use it."
            raise ModelError(
                f"{url} is not the file it should be: its SHA-256 does not begin with {expected}.", advice=advice
            )
        os.replace(beside, target)
    except (OSError, HTTPException) as error:
        raise ModelError(
            f"{url} cannot be downloaded: {error}.",
            advice="Check the connection, or download it elsewhere, convert it to .safetensors and name that file.",
        ) from error
    finally:
        beside.unlink(missing_ok=True)  # also when the download is cancelled
    return target


def _local(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        advice = "Give 'random', 'imagenet', or the path of a .safetensors file."
        raise ModelError(f"{path} is no file of weights that can be read.", advice=advice)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read: {error}.", advice="Check the path in the recipe.") from error
    for prefix in _OF_MODELS:
        own = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        tensors = own or tensors
    return tensors
