"""Masks and their pixel origins on disk: 8-bit grey PNG files, each written once under a name of its own."""

from __future__ import annotations

import io
import secrets
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store.files import write_beside, written_to

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from histoloop.annotations.records import Mask
    from histoloop.geometry import Region


def write_plane(folder: Path, plane: Mask, *, stem: str) -> str:
    """Write a (H, W) uint8 plane into `folder` under a new name that begins with `stem`; return the name.

    ProjectPlaceError when it cannot be written.
    """
    name = f"{stem}-{secrets.token_hex(6)}.png"
    content = io.BytesIO()
    Image.fromarray(plane).save(content, format="PNG")
    with written_to(folder / name):
        write_beside(folder / name, content.getvalue())
    return name


def stem_of(slide_id: int, region: Region) -> str:
    """How the names of the files of a region begin."""
    return f"slide-{slide_id:04d}-x{region.x}-y{region.y}"


class PlaneWriter:
    """Writes planes into a folder; those of one value and size share a file, and all of them can be taken back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._even: dict[tuple[tuple[int, ...], int], str] = {}
        self._written: list[str] = []

    def write(self, plane: Mask, stem: str) -> str:
        """The name of a file that holds the plane."""
        key = (plane.shape, int(plane.flat[0])) if plane.min() == plane.max() else None
        if key is not None and key in self._even:
            return self._even[key]
        name = write_plane(self._folder, plane, stem=stem)
        self._written.append(name)
        if key is not None:
            self._even[key] = name
        return name

    def remove(self, *, but: Container[str]) -> None:
        """Take them all back, but for those of these names."""
        for name in self._written:
            if name not in but:
                (self._folder / name).unlink(missing_ok=True)


def read_plane(path: Path) -> Mask:
    """The (H, W) uint8 plane of such a file; ProjectError when it is missing or broken."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.mode != "L":
                raise OSError(tr("its pixels are {mode}, not 8-bit grey", mode=picture.mode))
            return np.array(picture, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        advice = tr("Copy this file back from a backup of the project folder.")
        raise ProjectError(
            tr("The mask {path} cannot be read: {reason}.", path=path, reason=error), advice=advice
        ) from error
