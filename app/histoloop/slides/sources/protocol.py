"""What a source of pixels offers, and the words in which it refuses a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION

from histoloop.errors import SlideError
from histoloop.geometry import PLAUSIBLE_MPP
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""

MAX_PICTURE_PX = 400_000_000
"""Pixels of a picture, or of one compressed piece of it, at most: it is held in memory whole."""

FREE_BYTES = 400_000_000
"""Memory that any file may have for a picture or a piece of it."""

MAX_EXPANSION = 150
"""Times its own size that a file may take in memory beyond FREE_BYTES. JPEG and PNG of tissue expand 5 to 60 times."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a slide's pixels show.

    `channels` are the names of its planes; `is_brightfield` says whether they are the colours of light through stained
    tissue; `note` holds sentences for the user about what is shown and what is not, empty for an ordinary slide;
    `icc_profile` is the colour profile that the file contains, which is not applied to the pixels.
    """

    channels: tuple[str, ...] = ("red", "green", "blue")
    is_brightfield: bool = True
    note: str = ""
    icc_profile: bytes | None = None


class Source(Protocol):
    """Where a slide's pixels come from.

    `level_sizes` are (width, height), level 0 first. `block_px` (width, height) is what is decoded at once at level 0.
    """

    vendor: str
    properties: Mapping[str, str]
    level_sizes: tuple[tuple[int, int], ...]
    mpp: float | None
    content: Content
    block_px: tuple[int, int]

    def read(self, x: int, y: int, width: int, height: int, *, level: int) -> Pixels:
        """Pixels at (x, y) of a level, in that level's pixels; wholly inside the level."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def plausible_mpp(x: float, y: float) -> float | None:
    """The resolution in um/px of a file that states `x` across and `y` down; None where that cannot be or differs."""
    plausible = PLAUSIBLE_MPP[0] <= min(x, y) and max(x, y) <= PLAUSIBLE_MPP[1]
    return (x + y) / 2 if plausible and abs(x - y) <= 0.05 * max(x, y) else None


def broken(file: Path, reason: str) -> SlideError:
    """The error of a file whose content is damaged."""
    return SlideError(
        file,
        tr("it cannot be read ({reason})", reason=reason.rstrip(".")),
        advice=tr("The file is damaged or incomplete: copy it again, or scan the glass again."),
    )


class UnsupportedError(SlideError):
    """A whole file that holds something which is not read here."""


def unsupported(file: Path, what: str) -> UnsupportedError:
    """The error of a whole file that holds `what`, which is not read here."""
    return UnsupportedError(
        file,
        tr("it contains {what}, which HistoLoop does not read", what=what),
        advice=tr("Convert it to a pyramidal TIFF with JPEG or Deflate compression."),
    )


def too_large(file: Path, pixels: int) -> SlideError:
    """The error of a picture of more pixels than can be decoded at once."""
    return SlideError(
        file,
        tr("it has {millions:.0f} million pixels and no pyramid", millions=pixels / 1e6),
        advice=tr("Convert it to a pyramidal tiled TIFF, which can be read piece by piece."),
    )


def compression_name(number: int) -> str:
    """The name of a TIFF compression, with its number."""
    try:
        return f"{COMPRESSION(number).name} ({number})"
    except ValueError:
        return str(number)


def transparent_note() -> str:
    """What to say of a slide whose pixels are all transparent."""
    return tr("Its opacity is 0 everywhere and is ignored.")


def check_claim(file: Path, *, pixels: int, decoded_bytes: int, encoded_bytes: int) -> None:
    """Refuse what would take more memory than it may, before any is taken: SlideError.

    At most MAX_PICTURE_PX pixels are decoded at once. Those that need more than FREE_BYTES for it must be of a file (or
    piece of a file) that can hold so much: what is smaller by more than MAX_EXPANSION is damaged, or made to do harm.
    """
    if pixels > MAX_PICTURE_PX:
        raise too_large(file, pixels)
    if decoded_bytes > FREE_BYTES and decoded_bytes > MAX_EXPANSION * encoded_bytes:
        reason = tr(
            "it states {millions:.0f} million pixels in {kilobytes:.0f} kB: no image of tissue is so small",
            millions=pixels / 1e6,
            kilobytes=encoded_bytes / 1e3,
        )
        raise SlideError(file, reason, advice=tr("Copy the file again, or convert it to a pyramidal tiled TIFF."))
