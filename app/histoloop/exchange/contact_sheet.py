"""All pictures of a comparison on one sheet, for documents."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from histoloop.exchange.heat import heat
from histoloop.exchange.panels import MASK_COLOUR, PANEL_PX, TRUTH_COLOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.exchange.panels import Heading, Panel

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

SHEET_PX = 1600
"""Widest sheet, unless its columns are so many that nothing could be seen on them."""
_CELL_PX = (96, 280)
_MARGIN_PX, _GAP_PX = 20, 10
_INK, _MUTED, _PAPER = (28, 28, 30), (96, 96, 102), (255, 255, 255)
_HEADING_LINES = 3


def contact_sheet(rows: Sequence[tuple[str, Sequence[Panel]]], *, title: str) -> Image.Image:
    """A white sheet: headings, then each row's name above its pictures with their captions, then the key.

    Rows have the same columns; longer words than fit end in dots.
    """
    headings = [panel.heading for panel in rows[0][1]]
    cell_px = _cell_px(len(headings))
    parts = [
        _line(title, 22, _INK),
        _headings(headings, cell_px),
        *(_row(name, panels, cell_px) for name, panels in rows),
        _key(),
    ]
    width = max(_span(len(headings), cell_px), *(part.width for part in parts[1:]))
    return _stacked([_cropped(part, width) for part in parts])


def _cell_px(columns: int) -> int:
    room = SHEET_PX - 2 * _MARGIN_PX + _GAP_PX
    return int(np.clip(room // columns - _GAP_PX, *_CELL_PX))


def _span(columns: int, cell_px: int) -> int:
    return columns * (cell_px + _GAP_PX) - _GAP_PX


def _headings(headings: Sequence[Heading], cell_px: int) -> Image.Image:
    blocks = []
    for heading in headings:
        words = [(line, _INK) for line in wrapped(heading.title, _font(16), cell_px, lines=_HEADING_LINES)]
        blocks.append([*words, (fitted(heading.rule, _font(16), cell_px), _MUTED)] if heading.rule else words)
    height = max(map(len, blocks)) * _line_px(16)
    strip = Image.new("RGB", (_span(len(headings), cell_px), height), _PAPER)
    draw = ImageDraw.Draw(strip)
    for column, block in enumerate(blocks):
        top = height - len(block) * _line_px(16)
        for number, (text, colour) in enumerate(block):
            draw.text((column * (cell_px + _GAP_PX), top + number * _line_px(16)), text, colour, _font(16))
    return strip


def _row(name: str, panels: Sequence[Panel], cell_px: int) -> Image.Image:
    pictures = [None if panel.picture is None else _shrunk(panel.picture, cell_px) for panel in panels]
    height = max((picture.height for picture in pictures if picture is not None), default=cell_px)
    top, span = _line_px(14), _span(len(panels), cell_px)
    strip = Image.new("RGB", (span, top + height + _line_px(14)), _PAPER)
    draw = ImageDraw.Draw(strip)
    draw.text((0, 0), fitted(name, _font(14), span), _MUTED, _font(14))
    for column, (panel, picture) in enumerate(zip(panels, pictures, strict=True)):
        x = column * (cell_px + _GAP_PX)
        if picture is None:
            draw.rectangle((x, top, x + cell_px - 1, top + height - 1), fill=(240, 240, 242))
        else:
            strip.paste(picture, (x, top))
        draw.text((x, top + height + 2), fitted(panel.caption, _font(14), cell_px), _INK, _font(14))
    return strip


def _shrunk(picture: Image.Image, cell_px: int) -> Image.Image:
    scale = cell_px / PANEL_PX
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _key() -> Image.Image:
    """What the colours mean."""
    bar_px, height, font = 120, _line_px(14), _font(14)
    strip = Image.new("RGB", (2000, height), _PAPER)
    draw, x = ImageDraw.Draw(strip), 0
    for colour, words in ((TRUTH_COLOUR, "truth"), (MASK_COLOUR, "mask of the method")):
        draw.rectangle((x, 3, x + 22, height - 4), fill=(120, 120, 124))
        draw.line((x + 3, height // 2, x + 19, height // 2), colour, 3)
        draw.text((x + 30, 0), words, _MUTED, font)
        x += 30 + round(font.getlength(words)) + 24
    draw.text((x, 0), "map: 0", _MUTED, font)
    x += round(font.getlength("map: 0")) + 6
    bar = heat(np.broadcast_to(np.linspace(0, 1, bar_px), (height - 7, bar_px)))
    strip.paste(Image.fromarray(bar.astype(np.uint8)), (x, 3))
    draw.text((x + bar_px + 6, 0), "1", _MUTED, font)
    return strip.crop((0, 0, x + bar_px + 16, height))


def _line(text: str, size: int, colour: tuple[int, int, int]) -> Image.Image:
    strip = Image.new("RGB", (max(1, round(_font(size).getlength(text))), _line_px(size)), _PAPER)
    ImageDraw.Draw(strip).text((0, 0), text, colour, _font(size))
    return strip


def _cropped(part: Image.Image, width: int) -> Image.Image:
    return part.crop((0, 0, min(part.width, width), part.height))


def _stacked(parts: Sequence[Image.Image]) -> Image.Image:
    width = max(part.width for part in parts) + 2 * _MARGIN_PX
    height = sum(part.height + _GAP_PX for part in parts) - _GAP_PX + 2 * _MARGIN_PX
    sheet, y = Image.new("RGB", (width, height), _PAPER), _MARGIN_PX
    for part in parts:
        sheet.paste(part, (_MARGIN_PX, y))
        y += part.height + _GAP_PX
    return sheet


@cache
def _font(size: int) -> Font:
    """The font that comes with Pillow, so that a sheet looks alike everywhere."""
    return ImageFont.load_default(size)


def _line_px(size: int) -> int:
    return round(size * 1.4)


def fitted(text: str, font: Font, width_px: int) -> str:
    """The text, or as much of its start as fits with three dots."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "...") > width_px:
        text = text[:-1]
    return text.rstrip() + "..."


def wrapped(text: str, font: Font, width_px: int, *, lines: int) -> list[str]:
    """The text's words on at most so many lines; what does not fit ends in dots."""
    done: list[str] = []
    words = text.split()
    while words and len(done) < lines - 1:
        count = len(words)
        while count > 1 and font.getlength(" ".join(words[:count])) > width_px:
            count -= 1
        done.append(fitted(" ".join(words[:count]), font, width_px))
        words = words[count:]
    return [*done, fitted(" ".join(words), font, width_px)] if words else done
