"""The decoder of the live loop in the project's folder: never a round, and of no use on another basis."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from histoloop.store.files import file_beside, make_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from histoloop.geometry import Region

_log = logging.getLogger(__name__)

FOLDER = "live"
FILE = "decoder.safetensors"

Learned = dict[int, tuple[int, int, int, int, int]]
"""What a decoder learned from: of each annotation the slide, and x, y, width and height (level-0 pixels)."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decoder hangs on: the model in use, its frozen classifier, the mask classes, and how it is built.

    One that was made on another basis is of no use.
    """

    model: str
    sees: str
    mask_classes: tuple[str, ...]
    widths: tuple[int, ...]

    def as_text(self) -> str:
        """For the head of the file."""
        return json.dumps([self.model, self.sees, self.mask_classes, self.widths])


def place_of(slide_id: int, region: Region) -> tuple[int, int, int, int, int]:
    """Where an annotation is."""
    return slide_id, region.x, region.y, region.width, region.height


def path_of(project_folder: Path) -> Path:
    """Where a project keeps the decoder."""
    return project_folder / FOLDER / FILE


def keep(project_folder: Path, basis: Basis, tensors: Mapping[str, Tensor], *, learned: Learned, version: int) -> None:
    """Write the decoder in one step. Where the disk takes no more, the next start begins anew."""
    path = path_of(project_folder)
    about = {"basis": basis.as_text(), "learned": json.dumps(learned), "version": str(version)}
    try:
        make_folder(path.parent)
        with file_beside(path) as partial:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata=about)
    except (OSError, SafetensorError) as error:
        _log.info("the live decoder is not kept: %s", error)


def load(project_folder: Path, basis: Basis) -> tuple[dict[str, Tensor], Learned, int] | None:
    """Tensors, what was learned from, and version; None where there is none of this basis, and it is removed then."""
    path = path_of(project_folder)
    if not path.is_file() or path.is_symlink():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
        if about.get("basis") == basis.as_text():
            learned = {int(number): tuple(place) for number, place in json.loads(about["learned"]).items()}
            return load_file(path), learned, int(about["version"])
    except (OSError, SafetensorError, KeyError, ValueError, AttributeError, TypeError) as error:
        _log.info("the live decoder in %s is broken: %s", path, error)
    forget(project_folder)
    return None


def forget(project_folder: Path) -> None:
    """Remove the decoder, where there is one."""
    with suppress(OSError):
        path_of(project_folder).unlink(missing_ok=True)
