"""Bring the weights of a published encoder: find out whose they are, look through them, keep them on this machine."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open

from histoloop.encoders import encoder_named, known_encoders
from histoloop.errors import ModelError
from histoloop.network_config import ENCODER
from histoloop.networks.backbones import build_backbone
from histoloop.networks.published_names import timm_names
from histoloop.progress import Progress, Work
from histoloop.store.encoders import AddedEncoder, keep_encoder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from histoloop.encoders import Encoder

_log = logging.getLogger(__name__)

_CONVERT = (
    'python -c "import sys, torch, safetensors.torch as s; t = torch.load(sys.argv[1], weights_only=True); '
    's.save_file({{k: v.contiguous().clone() for k, v in t.items()}}, sys.argv[2])" {source} {target}'
)


def add_encoder(source: Path, *, name: str | None = None) -> Work[AddedEncoder]:
    """Keep a .safetensors file as the weights of an encoder: of `name`, or of the one known encoder that it fits.

    Tensors are read one at a time. ModelError for another kind of file, for one that no encoder or several fit (the
    message has their names), for one that does not fit `name`, and for weights that are not finite numbers.
    """
    if source.suffix != ".safetensors":
        target = source.with_suffix(".safetensors")
        raise ModelError(
            f"{source} is no .safetensors file.",
            advice=f"Convert it once: {_CONVERT.format(source=source, target=target)}",
        )
    shapes = _shapes(source)
    named = None if name is None else encoder_named(name)
    yield Progress("Comparing", 0, 1, source.name)
    fitting = [encoder for encoder in ([named] if named else known_encoders().values()) if _fits(encoder, shapes)]
    if len(fitting) != 1:
        raise _undecided(source, named, fitting)
    yield from _check_finite(source, shapes)
    kept = keep_encoder(fitting[0].name, source)
    _log.info("encoder %s is kept, %d tensors", kept.name, len(shapes))
    return kept


def _undecided(source: Path, named: Encoder | None, fitting: list[Encoder]) -> ModelError:
    if fitting:
        names = ", ".join(encoder.name for encoder in fitting)
        return ModelError(f"{source} may be of {names}: they are made alike.", advice="Say which it is by --name.")
    if named:
        return ModelError(
            f"{source} does not hold the weights of {named.title}: tensors are lacking, or of other shapes.",
            advice=f"Get {named.file} from {named.source}.",
        )
    return ModelError(
        f"{source} is of none of the encoders that are known here.",
        advice="A recipe can take it as `weights` all the same, with its architecture as backbone, as timm/resnet50.",
    )


def _shapes(source: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(source, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{source} cannot be read: {error}.", advice="Copy or download it again, whole.") from error


def _fits(encoder: Encoder, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    in_transformers_names = "embeddings.cls_token" in shapes
    if in_transformers_names != (encoder.names == "transformers"):
        return False
    with torch.device("meta"):  # shapes alone, whatever the size
        wanted = build_backbone(f"{ENCODER}{encoder.name}").state_dict()
        given = {name: torch.empty(shape) for name, shape in shapes.items()}
    tensors = timm_names(given) if in_transformers_names else given
    own = {name.removeprefix("model."): tensor.shape for name, tensor in wanted.items()}
    return all(name in tensors and tensors[name].shape == shape for name, shape in own.items())


def _check_finite(source: Path, shapes: Mapping[str, tuple[int, ...]]) -> Work[None]:
    with safe_open(source, framework="pt") as file:
        for number, name in enumerate(shapes):
            yield Progress("Looking through the weights", number, len(shapes))
            tensor = file.get_tensor(name)
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise ModelError(
                    f"{source} is damaged: {name} holds values that are no finite numbers.",
                    advice="Copy or download it again, whole.",
                )
