"""Mask pictures: PNG and TIFF whose pixel values are mask values, in the colours of their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from histoloop.errors import DataError
from histoloop.exchange.geojson import rgb
from histoloop.store.files import file_beside

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme, Mask

_UM_PER_INCH = 25_400.0


def write_mask_png(path: Path, mask: Mask, scheme: ClassScheme) -> None:
    """An 8-bit palette PNG: values as in the mask, background black, classes in their colours."""
    with file_beside(path) as partial:
        _picture(mask, scheme).save(partial, format="PNG")


def write_mask_tiff(path: Path, mask: Mask, scheme: ClassScheme, *, mpp: float | None) -> None:
    """The same as a deflated TIFF; its resolution tags state the um per mask pixel where `mpp` is known."""
    dpi = None if mpp is None else (_UM_PER_INCH / mpp, _UM_PER_INCH / mpp)
    with file_beside(path) as partial:
        picture = _picture(mask, scheme)
        if dpi is None:
            picture.save(partial, format="TIFF", compression="tiff_adobe_deflate")
        else:
            picture.save(partial, format="TIFF", compression="tiff_adobe_deflate", dpi=dpi)


def _picture(mask: Mask, scheme: ClassScheme) -> Image.Image:
    picture = Image.fromarray(mask)
    colours = [0, 0, 0, *(part for mask_class in scheme.masks for part in rgb(mask_class.colour))]
    picture.putpalette(colours + [0] * (768 - len(colours)))
    return picture


def read_mask(path: Path) -> Mask:
    """The values (h, w) of a mask picture: palette or grey as they are; colour pictures must be black and one other.

    Values above 255 (instance masks of many objects) become 1. DataError when it is no mask.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode in ("P", "L", "1"):
                return np.array(picture, np.uint8)
            if picture.mode.startswith("I"):
                return (np.array(picture) > 0).astype(np.uint8)
            colours = np.array(picture.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(
            f"{path} cannot be read as a mask: {error}.", advice="Give a PNG, TIFF or BMP with one value per pixel."
        ) from error
    foreground = colours.any(axis=2)
    if len(np.unique(colours[foreground].reshape(-1, 3), axis=0)) > 1:
        raise DataError(
            f"{path} has several colours, which do not say their classes.",
            advice="Save it with one grey value per class: 0 for background, 1 for the first class, and so on.",
        )
    return np.asarray(foreground, np.uint8)
