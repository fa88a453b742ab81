"""What stands on a page, whatever it is drawn as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from histoloop.annotations.records import LEFT_OUT_VALUE, Mask, rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

TINT = 0.35
LONGEST_NAME = 48
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True, slots=True, eq=False)
class PagePicture:
    """RGB pixels (h, w, 3) and the line below them, empty where there is none."""

    pixels: NDArray[np.uint8]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class PageTable:
    """Rows of as many cells as there are headings (none: the table has no head); `note` stands below, or is empty.

    The first column is text; where `figures` the others are set to the right.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    figures: bool = False


@dataclass(frozen=True, slots=True)
class PageText:
    """Sentences under a title; what there is no room for on the page ends in dots."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """All of it, from the top: title, notice, pictures with the key of their colours, facts, tables, texts, footer.

    `key` are (class, '#rrggbb'); `facts` (what, value). `language` is the code of the language that it is written in.
    """

    title: str
    subtitle: str
    notice: str
    pictures: tuple[PagePicture, ...]
    key: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    tables: tuple[PageTable, ...]
    texts: tuple[PageText, ...]
    footer: str
    language: str = "en"


def elided(name: str, longest: int = LONGEST_NAME) -> str:
    """A name without its middle where it is longer than so many characters."""
    if len(name) <= longest:
        return name
    half = (longest - 1) // 2
    return f"{name[:half]}{ELLIPSIS}{name[-half:]}"


def with_masks(pixels: NDArray[np.uint8], mask: Mask, colours: Sequence[str]) -> NDArray[np.uint8]:
    """(h, w, 3) a picture under a mask (h, w): each class tinted, with its inner edge in full colour.

    `colours` are those of the values from 1 on; what was left out stays as it is. ValueError for another shape.
    """
    if pixels.shape[:2] != mask.shape:
        raise ValueError(f"a mask {mask.shape} does not fit a picture {pixels.shape[:2]}")
    table = np.zeros((256, 3), np.float32)
    for value, colour in enumerate(colours, start=1):
        table[value] = rgb(colour)
    inside = (mask != 0) & (mask != LEFT_OUT_VALUE)
    padded = np.pad(mask, 1, mode="edge")
    alike = np.ones(mask.shape, np.bool_)
    for part in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        alike &= part == mask
    opacity = np.where(inside, np.where(alike, np.float32(TINT), np.float32(1)), np.float32(0))[..., None]
    painted = pixels + opacity * (table[mask] - pixels)
    return np.asarray(painted + 0.5, np.uint8)


def montage(pictures: Sequence[NDArray[Any]], *, columns: int, side_px: int, gap_px: int = 8) -> NDArray[np.uint8]:
    """(h, w, 3) pictures (h, w, 3) in rows on white, each at most `side_px` wide and high; ValueError for none."""
    if not pictures:
        raise ValueError("a montage needs a picture")
    small = []
    for pixels in pictures:
        scale = side_px / max(pixels.shape[:2])
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        small.append(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    across = min(columns, len(small))
    lines = [small[at : at + across] for at in range(0, len(small), across)]
    heights = [max(one.height for one in line) for line in lines]
    width = across * side_px + (across - 1) * gap_px
    sheet = Image.new("RGB", (width, sum(heights) + gap_px * (len(lines) - 1)), "white")
    top = 0
    for line, height in zip(lines, heights, strict=True):
        for place, one in enumerate(line):
            sheet.paste(
                one, (place * (side_px + gap_px) + (side_px - one.width) // 2, top + (height - one.height) // 2)
            )
        top += height + gap_px
    return np.asarray(sheet, np.uint8)
