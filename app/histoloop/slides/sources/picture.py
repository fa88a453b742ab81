"""Plain pictures without a pyramid, read by Pillow and held in memory: PNG, JPEG, BMP and JPEG 2000."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from histoloop.errors import SlideError
from histoloop.language import mark, tr
from histoloop.slides.sources.orientation import Orientation
from histoloop.slides.sources.protocol import Content, broken, check_claim, transparent_note

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from histoloop.slides.sources.protocol import Pixels

FORMATS = ("PNG", "JPEG", "BMP", "JPEG2000")
"""What Pillow may open, whatever a file's ending: of others some start programs (EPS starts Ghostscript)."""

_BYTES_PER_PX = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_ORIENTATION_TAG = 274
_BLOCK_PX = 512
_DEPTHS = (8, 10, 12, 14, 16, 20, 24, 32)


class PictureSource:
    """A plain picture: one level, kept as it was decoded and turned into RGB where it is read."""

    vendor = mark("image")
    mpp: float | None = None

    def __init__(self, file: Path, *, formats: tuple[str, ...] = FORMATS) -> None:
        self._lock = threading.Lock()
        with _refusing(file), Image.open(file, formats=formats) as opened:
            _check_size(file, opened)
            opened.load()
            self._orientation = Orientation.of_tag(opened.getexif().get(_ORIENTATION_TAG, 1))
            is_transparent = opened.mode in ("RGBA", "LA") and opened.getchannel("A").getextrema() == (0, 0)
            self._picture: Image.Image | None = opened.convert(opened.mode[:-1]) if is_transparent else opened
            self._top = _top(opened)
        self.level_sizes: tuple[tuple[int, int], ...] = (self._orientation.size(*opened.size),)
        self.properties: Mapping[str, str] = _window(self._top)
        content = _content(opened.mode, transparent_note() if is_transparent else "")
        self.content = replace(content, icc_profile=opened.info.get("icc_profile"))
        self.block_px = (_BLOCK_PX, _BLOCK_PX)

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        """RGB of a window, upright and over white."""
        if level != 0:
            raise ValueError(f"a picture has level 0 only, not {level}")
        picture = self._picture
        if picture is None:
            raise ValueError("the picture is closed")
        x, y, width, height = self._orientation.stored(x, y, width, height, stored_size=picture.size)
        with self._lock:
            part = picture.crop((x, y, x + width, y + height))
        part.info = picture.info
        return self._orientation.upright(on_white(part) if self._top is None else _scaled(part, self._top))

    def close(self) -> None:
        """Let go of the pixels."""
        self._picture = None


def on_white(picture: Image.Image) -> Pixels:
    """RGB over white, whatever the mode."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        if rgba.getchannel("A").getextrema() == (255, 255):
            return np.array(rgba.convert("RGB"))
        ground = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return np.array(Image.alpha_composite(ground, rgba).convert("RGB"))
    return np.array(picture.convert("RGB"))


@contextmanager
def _refusing(file: Path) -> Iterator[None]:
    """Turn what Pillow raises of broken files into words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with a file is reported as an error, or not at all
            Image.MAX_IMAGE_PIXELS = None  # check_claim is what counts
            yield
    except SlideError:
        raise
    except UnidentifiedImageError as error:
        raise broken(file, tr("it contains no PNG, JPEG, BMP, JPEG 2000 or TIFF image")) from error
    except Exception as error:  # Pillow's readers raise whatever they stumble over
        raise broken(file, str(error) or type(error).__name__) from error


def _check_size(file: Path, picture: Image.Image) -> None:
    pixels = picture.width * picture.height
    cost = _BYTES_PER_PX.get(picture.mode, 4)
    if picture.format == "JPEG2000":
        cost += 4 * len(picture.getbands())
    if picture.info.get("progressive"):
        cost += 2 * len(picture.getbands())  # the decoder keeps all coefficients
    check_claim(file, pixels=pixels, decoded_bytes=pixels * cost, encoded_bytes=file.stat().st_size)


def _top(picture: Image.Image) -> int | None:
    """The value that is shown as white in a picture of more than 8 bits; None for others."""
    if not picture.mode.startswith("I"):
        return None
    _least, most = picture.getextrema()
    if not isinstance(most, int | float):
        raise ValueError(f"{picture.mode} has no range")
    return next((1 << bits) - 1 for bits in _DEPTHS if most < 1 << bits)


def _window(top: int | None) -> dict[str, str]:
    return {} if top is None else {"histoloop.window": f"0 to {top}"}


def _scaled(picture: Image.Image, top: int) -> Pixels:
    values = np.clip(np.asarray(picture).astype(np.float32) * (255 / top) + 0.5, 0, 255).astype(np.uint8)
    rgb: Pixels = values[..., None].repeat(3, axis=2)
    return rgb


def _content(mode: str, note: str) -> Content:
    if mode in ("1", "L", "LA") or mode.startswith("I"):
        grey = tr("It is a greyscale image: one channel, no colours.")
        return Content(("grey",), is_brightfield=False, note=f"{grey} {note}".rstrip())
    return Content(note=note)
