"""How a mask looks while it is painted: filled or in outline, as strong and in the colours of masks elsewhere."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoloop.annotations.painting import PAINTED_BACKGROUND
from histoloop.annotations.records import LEFT_OUT_VALUE, ClassScheme, Counts, Mask, rgb
from histoloop.gui.canvas.borders import DARK, LIGHT, Border, borders, looked_up, numbered, outline_of
from histoloop.gui.canvas.composing import OUTLINE_PX, ClassStyle, OverlayStyle

Colour = tuple[float, float, float, float]

NOT_PAINTED, LEFT_OUT = (0.16, 0.18, 0.21, 0.27), (0.45, 0.47, 0.5, 0.4)
"""Colours over what nobody painted where the strokes alone count, and over what was left out."""

_HAIRLINES = (1, 2, 3, 4, 6, 8, 12, 16)
"""Mask pixels that hairlines are wide, few of them: with each other one all outlines are drawn anew."""

_BAND_PX = 128
"""Rows that are looked at together where a mask is large."""

CLEAR = (0.0, 0.0, 0.0, 0.0)
_DARK, _LIGHT, _LINES = 100, 101, 110
"""Numbers that no class has: of dark and light hairlines, and from where those of lines begin, by class."""


@dataclass(frozen=True, slots=True, eq=False)
class PaintedLook:
    """`colours` are RGBA, 0 to 1, by number (None: all others); `numbers` (4, 256) are those of each mask value.

    Their first row is for what is no part of an outline, the others for the values of `Border`. `outlined` (256) are
    the values that have an outline.
    """

    colours: dict[int | None, Colour]
    numbers: NDArray[np.uint8]
    outlined: NDArray[np.bool_]

    def numbered(self, mask: Mask, line_px: int) -> NDArray[np.uint8]:
        """The number of each pixel of a mask (H, W) whose lines are so wide."""
        outlined = looked_up(mask, self.outlined * np.arange(256, dtype=np.uint8))
        kind, owner = borders(outlined, line_px=line_px, hairline_px=-(-line_px // 2))
        return numbered(self.numbers, mask, kind, owner)

    def numbered_in_bands(self, mask: Mask, line_px: int) -> NDArray[np.uint8]:
        """The same of a large mask, band by band: what is computed at a time stays near the processor."""
        numbers, reach = np.empty(mask.shape, np.uint8), 2 * line_px
        for top in range(0, len(mask), _BAND_PX):
            first, end = max(0, top - reach), top + _BAND_PX
            band = self.numbered(mask[first : end + reach], line_px)
            numbers[top:end] = band[top - first : end - first]
        return numbers


def line_px(zoom: float) -> int:
    """Mask pixels that a line is wide at `zoom` screen pixels per mask pixel: hairlines are seen whole, too."""
    if zoom >= OUTLINE_PX:
        return 1
    return OUTLINE_PX * next((wide for wide in _HAIRLINES if wide * zoom >= 1), _HAIRLINES[-1])


def painted_look(scheme: ClassScheme, counts: Counts, style: OverlayStyle) -> PaintedLook:
    """How a mask of these classes looks in a style; classes that the style does not know yet are as new ones."""
    numbers = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    outlined = np.zeros(256, np.bool_)
    if not style.masks:
        return PaintedLook({None: CLEAR}, numbers, outlined)
    colours: dict[int | None, Colour] = {None: CLEAR, 0: CLEAR, LEFT_OUT_VALUE: LEFT_OUT}
    colours |= {_DARK: _rgba(DARK, 1.0), _LIGHT: _rgba(LIGHT, 1.0)}
    if counts is Counts.STROKES:
        colours |= {0: NOT_PAINTED, PAINTED_BACKGROUND: (1, 1, 1, max(style.opacity, LEFT_OUT[3]))}
    for value, mask_class in enumerate(scheme.masks, start=1):
        known = value <= len(style.classes)
        look = style.classes[value - 1] if known else ClassStyle(mask_class.colour)
        if not look.visible:
            colours[value] = CLEAR
            continue
        outline = outline_of(look.colour)
        colours[value] = _rgba(look.colour, style.opacity if look.filled else 0.0)
        colours[_LINES + value] = _rgba(outline.line, 1.0)
        outlined[value] = True
        numbers[Border.LINE, value] = _LINES + value
        numbers[Border.OUTSIDE, value] = _hairline(outline.outside)
        numbers[Border.INSIDE, value] = value if outline.inside is None else _hairline(outline.inside)
    return PaintedLook(colours, numbers, outlined)


def _hairline(colour: str) -> int:
    return _DARK if colour == DARK else _LIGHT


def _rgba(colour: str, opacity: float) -> Colour:
    red, green, blue = (part / 255 for part in rgb(colour))
    return red, green, blue, opacity


def style_below(style: OverlayStyle, counts: Counts) -> OverlayStyle:
    """How masks and maps are laid over while a region is painted, whose mask is the one that is painted.

    Strokes have the model's outlines below.
    """
    if counts is Counts.REGION:
        return dataclasses.replace(style, classes=(), opacity=0.0, masks=False)
    outlines = tuple(dataclasses.replace(each, filled=False) for each in style.classes)
    return dataclasses.replace(style, classes=outlines, heatmap=False, hatched=False, changes=False, begun=False)
