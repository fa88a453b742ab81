"""Starting weights for backbones: torchvision's, downloaded once and checked, or a local file."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlparse

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from histoloop import paths
from histoloop.errors import ModelError
from histoloop.network_config import OWN_BACKBONES
from histoloop.networks.colours import Colours
from histoloop.networks.published_names import timm_names
from histoloop.progress import Progress, Work

if TYPE_CHECKING:
    from collections.abc import Iterable

    from histoloop.networks.backbone import Backbone

RANDOM, IMAGENET = "random", "imagenet"
IMAGENET_COLOURS = Colours((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_BLOCK = 1 << 20
_OF_MODELS = ("classifier.backbone.", "_backbone.")
"""What the names of a backbone's tensors begin with in the weights of models (Hybrid, MinMax)."""
_FITTING = "Give weights of this very backbone, in torchvision's names or of a model made here."


def start_backbone(backbone: Backbone, name: str, weights: str) -> Work[None]:
    """Fill the backbone `name` with 'random' (as it is), 'imagenet' or the weights of a .safetensors file.

    Files are in the names of torchvision, timm or transformers, or weights of a model made here; tensors beside the
    backbone are left out. ModelError when the weights cannot be had or do not fit.
    """
    if weights == RANDOM:
        return
    if weights == IMAGENET:
        if name not in OWN_BACKBONES:
            raise ModelError(
                f"There are no ImageNet weights of {name} to download.",
                advice="Give the path of a .safetensors file, or start from random weights.",
            )
        path = yield from downloaded(name)
        tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    else:
        path = Path(weights).expanduser()
        tensors = _local(path)
    fill(backbone, tensors, where=str(path))


def colours_of(weights: str) -> Colours | None:
    """The colours that a .safetensors file states it was trained with, if it does.

    ModelError when it cannot be read.
    """
    path = Path(weights).expanduser()
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        mean, std = (tuple(map(float, json.loads(about.get(key, "[]")))) for key in ("mean", "std"))
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}.", advice="Check the path in the recipe.") from error
    return Colours(mean, std) if len(mean) == len(std) == 3 else None


def fill(backbone: Backbone, tensors: dict[str, Tensor], *, where: str) -> None:
    """Load tensors by name, its own or the published one; ModelError for names that are lacking, or another shape."""
    own = backbone.state_dict()
    names = {name: (backbone.published_name(name), name) for name in own}
    tensors = {name: tensors[known] for name, either in names.items() for known in either if known in tensors}
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


def is_folded(backbone: nn.Module) -> bool:
    """Whether every batch norm only adds a bias: its scale and statistics have been folded into the convolution."""
    norms = _norms(backbone)
    return bool(norms) and all(_is_plain(norm) for norm in norms)


def unfold(backbone: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give folded batch norms the statistics of normalised tiles (B, 3, H, W), and the scale that undoes them.

    In evaluation mode the backbone computes what it did before; in training mode, where a batch norm takes the
    statistics of the batch, it now computes nearly the same, and did something else altogether before. Weights that
    were converted for running on telephones come folded.
    """
    norms = _norms(backbone)
    moments = [_Moments() for _ in norms]
    hooks = [norm.register_forward_pre_hook(moment.take) for norm, moment in zip(norms, moments, strict=True)]
    backbone.eval()
    try:
        with torch.inference_mode():
            for tiles_BCHW in batches:
                backbone(tiles_BCHW)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, moment in zip(norms, moments, strict=True):
        _take_statistics(norm, *moment.statistics())


@torch.no_grad()
def _take_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """New statistics, with the scale and bias under which the batch norm still computes the same."""
    old_mean, old_variance = _statistics(norm)
    spread, old_spread = (variance + norm.eps).sqrt(), (old_variance + norm.eps).sqrt()
    norm.bias.add_(norm.weight * (mean - old_mean) / old_spread)
    norm.weight.mul_(spread / old_spread)
    old_mean.copy_(mean)
    old_variance.copy_(variance)


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None  # no backbone here does without
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


class _Moments:
    """Mean and variance per channel of everything that went into a batch norm."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: Tensor | float = 0.0
        self._squares: Tensor | float = 0.0

    def take(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].double()
        self._count += values.numel() // values.shape[1]
        self._sum = self._sum + values.sum(dim=(0, 2, 3))
        self._squares = self._squares + (values**2).sum(dim=(0, 2, 3))

    def statistics(self) -> tuple[Tensor, Tensor]:
        if not isinstance(self._sum, torch.Tensor) or not isinstance(self._squares, torch.Tensor):
            raise ValueError("batch norms cannot be unfolded without tiles")
        mean = self._sum / self._count
        return mean.float(), (self._squares / self._count - mean**2).clamp(min=0).float()


def _norms(backbone: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]


def _is_plain(norm: nn.BatchNorm2d) -> bool:
    mean, variance = _statistics(norm)
    return not mean.any() and bool((variance == 1).all()) and bool((norm.weight == 1).all())


def downloaded(name: str) -> Work[Path]:
    """The file of torchvision's ImageNet weights of a backbone, fetched if it is not there yet; its hash is checked.

    This is the one file that is not safetensors: PyTorch reads it with `weights_only`, which runs no code of the file,
    and each time only after its SHA-256 has been found to begin as its name states. One that has changed since it was
    fetched is fetched again.
    """
    import torchvision.models  # takes seconds, and only a download asks it

    url: str = torchvision.models.get_model_weights(name).DEFAULT.url
    target = paths.user_data() / "weights" / Path(urlparse(url).path).name
    expected = target.stem.rsplit("-", 1)[-1]
    if target.is_file() and _sha256(target).startswith(expected):
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
        if not digest.hexdigest().startswith(expected):
            advice = "Try again; if it stays so, do not use it."
            raise ModelError(
                f"{url} is not the file it should be: its SHA-256 does not begin with {expected}.", advice=advice
            )
        os.replace(beside, target)
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # a refusal is an answer, which stays open
        raise ModelError(
            f"{url} cannot be downloaded: {error}.",
            advice="Check the connection, or download it elsewhere, convert it to .safetensors and name that file.",
        ) from error
    finally:
        beside.unlink(missing_ok=True)  # also when the download is cancelled
    return target


def _sha256(path: Path) -> str:
    """In hexadecimal; empty where the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


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
    return timm_names(tensors) if "embeddings.cls_token" in tensors else tensors
