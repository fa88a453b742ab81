"""Bring the weights of a published encoder: find out whose they are, look through them, keep them on this machine."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open

from histoloop.encoders import encoder_named, known_encoders
from histoloop.errors import ModelError
from histoloop.language import tr
from histoloop.network_config import ENCODER, OWN_BACKBONES, check_backbone
from histoloop.networks.backbones import build_backbone
from histoloop.networks.published_names import timm_names
from histoloop.progress import Progress, Work
from histoloop.store.encoders import AddedEncoder, keep_encoder
from histoloop.training.pretrained import colours_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from histoloop.encoders import Encoder

_log = logging.getLogger(__name__)

_CONVERT = (
    'python -c "import sys, torch, safetensors.torch as s; t = torch.load(sys.argv[1], weights_only=True); '
    's.save_file({{k: v.contiguous().clone() for k, v in t.items()}}, sys.argv[2])" {source} {target}'
)

_COUNTER = "num_batches_tracked"
_OF_PYTORCH = (b"PK", b"\x80")
"""What PyTorch's archives and pickles begin with."""


def add_encoder(source: Path, *, name: str | None = None) -> Work[AddedEncoder]:
    """Keep a .safetensors file as the weights of an encoder: of `name`, or of the one known encoder that it fits.

    A file that fits none may be of one of the program's own backbones: the one that it states, as those that were
    pretrained here do, or the one whose shapes it has. It is kept under the `name`, or that of the file.

    Tensors are read one at a time. ModelError for another kind of file, for one that no encoder or several fit (the
    message has their names), for one that does not fit `name`, and for weights that are not finite numbers.
    """
    _check_kind(source)
    shapes = _shapes(source)
    yield Progress(tr("Comparing"), 0, 1, source.name)
    if (name is None or name not in known_encoders()) and (own := _own_backbone(source, shapes)) is not None:
        yield from _check_finite(source, shapes)
        return keep_encoder(_own_name(source, name), source, about={"backbone": own, **_colours(source)})
    named = None if name is None else encoder_named(name)
    fitting = [encoder for encoder in ([named] if named else known_encoders().values()) if _fits(encoder, shapes)]
    if len(fitting) != 1:
        raise _undecided(source, named, fitting)
    yield from _check_finite(source, shapes)
    kept = keep_encoder(fitting[0].name, source)
    _log.info("encoder %s is kept, %d tensors", kept.name, len(shapes))
    return kept


def _check_kind(source: Path) -> None:
    """ModelError where there is no file, or one of another kind; nothing of it is run or loaded to find that out."""
    try:
        with source.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise ModelError(
            tr("{source} cannot be read: {reason}.", source=source, reason=error.strerror or error),
            advice=tr("Name a .safetensors file that exists and can be read."),
        ) from error
    target = source.with_suffix(".safetensors")
    if source.suffix != ".safetensors":
        raise ModelError(
            tr("{source} is not a .safetensors file.", source=source),
            advice=tr("Convert it once: {command}", command=_CONVERT.format(source=source, target=target)),
        )
    if start.startswith(_OF_PYTORCH):
        raise ModelError(
            tr(
                "{source} is a PyTorch file by its content: it may contain programs, so it is not opened.",
                source=source,
            ),
            advice=tr(
                "Convert it once: {command}",
                command=_CONVERT.format(source=source, target=source.with_stem(f"{source.stem}-converted")),
            ),
        )


def _undecided(source: Path, named: Encoder | None, fitting: list[Encoder]) -> ModelError:
    if fitting:
        names = ", ".join(encoder.name for encoder in fitting)
        return ModelError(
            tr("{source} may belong to {names}: they are built alike.", source=source, names=names),
            advice=tr("State which with --name."),
        )
    if named:
        return ModelError(
            tr(
                "{source} does not contain the weights of {encoder}: tensors are missing, or have other shapes.",
                source=source,
                encoder=named.title,
            ),
            advice=tr("Get {file} from {place}.", file=named.file, place=named.source),
        )
    return ModelError(
        tr("{source} does not belong to any encoder that is known here.", source=source),
        advice=tr(
            "A recipe can use it as `weights` all the same, with its architecture as backbone, as timm/resnet50."
        ),
    )


def _own_backbone(source: Path, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """The backbone that a file states it is of, or the program's own one whose shapes it has; None for neither."""
    with safe_open(source, framework="pt") as file:
        stated = (file.metadata() or {}).get("backbone")
    if stated is not None:
        try:
            check_backbone(stated)
        except ValueError:
            stated = None
    candidates = OWN_BACKBONES if stated is None else (stated,)
    return next((name for name in candidates if _has_shapes_of(name, shapes)), None)


def _has_shapes_of(name: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    with torch.device("meta"):
        backbone = build_backbone(name)
    own = {each: tensor.shape for each, tensor in backbone.state_dict().items() if not each.endswith(_COUNTER)}
    bare = {each: shape for key, shape in shapes.items() for each in (key, key.removeprefix("classifier.backbone."))}
    return all(bare.get(each, bare.get(backbone.published_name(each))) == tuple(shape) for each, shape in own.items())


def _own_name(source: Path, name: str | None) -> str:
    """What an encoder without an entry is called; ModelError for nothing, and for the name of one with an entry."""
    wanted = re.sub(r"[^A-Za-z0-9_-]+", "-", source.stem if name is None else name).strip("-")
    if not wanted or wanted in known_encoders():
        raise ModelError(
            tr("{source} is not of the encoder {name!r}, and needs another name.", source=source, name=wanted),
            advice=tr("Give it one with --name."),
        )
    return wanted


def _colours(source: Path) -> dict[str, object]:
    colours = colours_of(str(source))
    return {} if colours is None else {"mean": list(colours.mean), "std": list(colours.std)}


def _shapes(source: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(source, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise ModelError(
            tr("{source} cannot be read: {reason}.", source=source, reason=error),
            advice=tr("Copy or download it again in full."),
        ) from error


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
            yield Progress(tr("Checking the weights"), number, len(shapes))
            tensor = file.get_tensor(name)
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise ModelError(
                    tr(
                        "{source} is damaged: {name} contains values that are not finite numbers.",
                        source=source,
                        name=name,
                    ),
                    advice=tr("Copy or download it again in full."),
                )
