"""Masks and their pixel origins on disk: 8-bit grey PNG files, each written once under a name of its own."""

from __future__ import annotations

import io
import secrets
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store.files import write_beside

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.annotations.records import Mask


def write_plane(folder: Path, plane: Mask, *, stem: str) -> str:
    """Write a (H, W) uint8 plane into `folder` under a new name that begins with `stem`; return the name."""
    name = f"{stem}-{secrets.token_hex(6)}.png"
    content = io.BytesIO()
    Image.fromarray(plane).save(content, format="PNG")
    write_beside(folder / name, content.getvalue())
    return name


def read_plane(path: Path) -> Mask:
    """The (H, W) uint8 plane of such a file; ProjectError when it is missing or broken."""
    try:
        with Image.open(path) as picture:
            if picture.mode != "L":
                raise OSError(tr("its pixels are {mode}, not 8-bit grey", mode=picture.mode))
            return np.array(picture, dtype=np.uint8)
    except (OSError, SyntaxError) as error:
        advice = tr("Copy this file back from a backup of the project folder.")
        raise ProjectError(
            tr("The mask {path} cannot be read: {reason}.", path=path, reason=error), advice=advice
        ) from error
