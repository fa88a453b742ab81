"""Small slide files whose pixels are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image
from slide_writers import write_dicom

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@pytest.fixture(scope="session")
def blocks() -> Callable[..., np.ndarray]:
    """Pictures of one random colour per square cell, so that every level that divides a cell is known exactly."""

    def make(width: int, height: int, *, cell: int = 1, seed: int = 0) -> np.ndarray:
        cells = np.random.default_rng(seed).integers(0, 256, (-(-height // cell), -(-width // cell), 3), np.uint8)
        return cells.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]

    return make


@pytest.fixture(scope="session")
def save_picture() -> Callable[..., Path]:
    def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
        Image.fromarray(pixels).save(path, **options)
        return path

    return save


@pytest.fixture(scope="session")
def save_pyramid() -> Callable[..., Path]:
    """Lossless tiled TIFF that OpenSlide reads; the levels as given."""

    def save(path: Path, levels: Sequence[np.ndarray], **options: object) -> Path:
        with tifffile.TiffWriter(path) as tiff:
            for number, level in enumerate(levels):
                tiff.write(
                    level,
                    tile=(64, 64),
                    photometric="rgb",
                    compression="deflate",
                    subfiletype=int(number > 0),
                    metadata=None,
                    **options,
                )
        return path

    return save


@pytest.fixture(scope="session")
def save_aperio() -> Callable[..., Path]:
    """An Aperio file of one level with a thumbnail, a label and a macro picture inside."""

    def save(path: Path, pixels: np.ndarray, *, label: np.ndarray, macro: np.ndarray) -> Path:
        name, size = "Aperio Image Library v11.2.1", f"{pixels.shape[1]}x{pixels.shape[0]}"
        options = {"photometric": "rgb", "compression": "deflate", "metadata": None}
        with tifffile.TiffWriter(path) as tiff:
            description = f"{name}\r\n{size} -> {size}|AppMag = 40|MPP = 0.25"
            tiff.write(pixels, tile=(64, 64), description=description, **options)
            tiff.write(pixels[::8, ::8], description=f"{name}\r\n{size} -> thumbnail", **options)
            for kind, (title, picture) in ((1, ("label", label)), (9, ("macro", macro))):
                description = f"{name}\r\n{title} {picture.shape[1]}x{picture.shape[0]}"
                tiff.write(picture, description=description, subfiletype=kind, **options)
        return path

    return save


@pytest.fixture(scope="session")
def save_dicom() -> Callable[..., Path]:
    return write_dicom
