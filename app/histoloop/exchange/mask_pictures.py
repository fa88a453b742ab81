"""Mask pictures: PNG and TIFF whose pixel values are mask values, in the colours of their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from histoloop.annotations.records import rgb
from histoloop.errors import DataError
from histoloop.exchange.writing import export_to
from histoloop.language import tr
from histoloop.store.files import file_beside

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.annotations.records import ClassScheme, Mask

_UM_PER_INCH = 25_400.0
_ONE_CHANNEL = frozenset({"1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})


def write_mask_png(path: Path, mask: Mask, scheme: ClassScheme) -> None:
    """An 8-bit palette PNG: values as in the mask, background black, classes in their colours."""
    _write(path, mask, scheme, {"format": "PNG"})


def write_mask_tiff(path: Path, mask: Mask, scheme: ClassScheme, *, mpp: float | None) -> None:
    """The same as a deflated TIFF; its resolution tags state the um per mask pixel where `mpp` is known."""
    dpi = {} if mpp is None else {"dpi": (_UM_PER_INCH / mpp, _UM_PER_INCH / mpp)}
    _write(path, mask, scheme, {"format": "TIFF", "compression": "tiff_adobe_deflate", **dpi})


def read_mask(path: Path) -> Mask:
    """The values (h, w) of a mask picture, as they are where it has one channel or a palette.

    A picture of black and white only (0 and 255) becomes 0 and 1, and so do colour pictures of black and one other
    colour, and pictures of more than 8 bits (instance masks: every object is foreground). DataError when the file is
    no picture, or one of several colours.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode in _ONE_CHANNEL:
                return _values(np.array(picture))
            return _foreground_of(np.array(picture.convert("RGB")), path)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            tr("{path} cannot be read as a mask: {reason}.", path=path, reason=error),
            advice=tr("Give a PNG, TIFF or BMP with one value per pixel."),
        ) from error


def _write(path: Path, mask: Mask, scheme: ClassScheme, options: dict[str, Any]) -> None:
    picture = Image.fromarray(mask)
    colours = [0, 0, 0, *(part for mask_class in scheme.masks for part in rgb(mask_class.colour))]
    picture.putpalette(colours + [0] * (768 - len(colours)))
    with export_to(path), file_beside(path) as partial:
        picture.save(partial, **options)


def _values(pixels: NDArray[Any]) -> Mask:
    if pixels.dtype != np.uint8 or bool(np.isin(pixels, (0, 255)).all()):
        return (pixels > 0).astype(np.uint8)
    return pixels


def _foreground_of(colours: NDArray[np.uint8], path: Path) -> Mask:
    foreground = np.asarray(colours.any(axis=2))
    if len(np.unique(colours[foreground], axis=0)) > 1:
        raise DataError(
            tr("{path} has several colours, which do not say their classes.", path=path),
            advice=tr("Save it with one grey value per class: 0 for background, 1 for the first class, and so on."),
        )
    return foreground.astype(np.uint8)
