"""How masks, heatmap and annotations lie over the pixels of a slide: prepared once, laid over piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from histoloop.annotations.records import Mask, rgb
from histoloop.exchange.heat import heat
from histoloop.gui.canvas.appearance import NEUTRAL, Appearance
from histoloop.gui.canvas.borders import DARK, LIGHT, Border, borders, looked_up, numbered, outline_of
from histoloop.gui.canvas.gained_lost import GAINED, LOST, gained_and_lost

if TYPE_CHECKING:
    from histoloop.slides.reader import Pixels

OUTLINE_PX, HAIRLINE_PX = 2, 1
HATCH_PX, HATCH_COLOUR, HATCH_OPACITY = 9, "#3c424a", 0.45
"""Of the lines over what nobody painted in a finished region: their distance, colour and opacity."""

CHANGES_OPACITY = 0.55

_Tint = tuple[Sequence[float], float]
"""Red, green and blue, 0 to 255, and the opacity, 0 to 1."""

_CLEAR: _Tint = ((0, 0, 0), 0.0)


@dataclass(frozen=True, slots=True)
class ClassStyle:
    """How the mask of one class is drawn."""

    colour: str
    visible: bool = True
    filled: bool = True


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """How masks and maps lie over the slide; opacities in [0, 1].

    `method` (a name of localisation/methods.py) and `label` choose what makes the foreground; a method that the model
    does not offer stands for the model's own. With `against` the heatmap shows the evidence against, where there is
    such; with `heat_of` the probability of that mask class, where the model tells classes apart. `hatched` lets what
    people left out of the regions they finished be seen, beside the masks; `begun` lets be seen what they did not
    finish yet. With `corrected` the slide's own colours are those that its colour profile means.
    """

    classes: tuple[ClassStyle, ...] = ()
    opacity: float = 0.35
    heatmap: bool = False
    heatmap_opacity: float = 0.5
    threshold: float = 0.5
    masks: bool = True
    method: str = ""
    label: str | None = None
    against: bool = False
    heat_of: str | None = None
    hatched: bool = True
    corrected: bool = False
    changes: bool = False
    """Show what the masks gained and lost against those that the scene has them compared with, in place of them."""
    begun: bool = True
    reviewed: bool = True
    """Let the outlines of regions that two readers painted say how far these agree."""
    appearance: Appearance = NEUTRAL
    """How the pixels of the slide are shown."""
    smooth: bool = False
    """Round the borders of a model's masks."""


@dataclass(frozen=True, slots=True, eq=False)
class _Tints:
    """Colours to blend in: `number` says which one at each pixel (H, W).

    `colours` are the red, green and blue of up to 256 colours, one after the other, `opacities` theirs in 255ths.
    """

    number: NDArray[np.uint8]
    colours: bytes
    opacities: bytes

    @classmethod
    def of(cls, number: NDArray[np.uint8], tints: Sequence[_Tint]) -> _Tints:
        colours = b"".join(bytes(round(part) for part in colour) for colour, _opacity in tints)
        return cls(number, colours, bytes(round(255 * opacity) for _colour, opacity in tints).ljust(256, b"\0"))

    def over(self, pixels: Pixels, place: tuple[slice, slice]) -> Pixels:
        """Pillow blends four times faster than whole arrays of NumPy do, and a tile is laid over in one go."""
        number = np.ascontiguousarray(self.number[place])
        if not number.any() and not self.opacities[0]:
            return pixels
        opacity, numbered, mixed = Image.fromarray(number), Image.fromarray(number), Image.fromarray(pixels)
        numbered.putpalette(self.colours)
        mixed.paste(numbered.convert("RGB"), mask=opacity.point(self.opacities))
        return np.asarray(mixed)


@dataclass(slots=True, eq=False)
class Overlay:
    """What lies over a window (H, W) of a slide; nothing where it is empty.

    `mask` and `foreground` (H, W) are what it was made of.
    """

    mask: Mask | None = None
    foreground: NDArray[np.float32] | None = None
    _layers: list[_Tints] = field(default_factory=list)

    def over(self, pixels: Pixels, *, x: int = 0, y: int = 0) -> Pixels:
        """A part (h, w, 3) of the window's pixels, the first at column `x` and row `y` of it, with what lies over."""
        place = np.s_[y : y + pixels.shape[0], x : x + pixels.shape[1]]
        for layer in self._layers:
            pixels = layer.over(pixels, place)
        return pixels


def overlay_of(
    style: OverlayStyle,
    *,
    mask: Mask | None,
    foreground: NDArray[np.float32] | None,
    left_out: NDArray[np.bool_] | None = None,
    changes: tuple[Mask, Mask] | None = None,
    corner: tuple[int, int] = (0, 0),
) -> Overlay:
    """The heatmap of a probability and the classes of a mask (H, W) as a style wants them.

    With `changes`, masks (H, W) of a model and of the one before, what was gained and lost is laid over in their place.
    `left_out` (H, W) is hatched: what people left out, or did not paint where their strokes alone count. `corner` is
    where on the slide the first pixel is (x, y, in pixels of this size): the hatch stands still when the view moves.
    """
    found = Overlay(mask, foreground)
    if style.heatmap and foreground is not None:
        colours = heat(np.linspace(0, 1, 256, dtype=np.float32))
        number = np.clip(foreground * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
        found._layers.append(_Tints.of(number, [(each, style.heatmap_opacity) for each in colours.tolist()]))
    if style.masks and changes is not None:
        found._layers.append(_changes(*changes))
    elif style.masks and mask is not None and mask.any():
        found._layers.append(_classes(mask, style))
    if style.masks and style.hatched and left_out is not None and left_out.any():
        rows, columns = np.ogrid[corner[1] : corner[1] + left_out.shape[0], corner[0] : corner[0] + left_out.shape[1]]
        lines = (left_out & ((rows + columns) % HATCH_PX < 1)).astype(np.uint8)
        found._layers.append(_Tints.of(lines, [_CLEAR, (rgb(HATCH_COLOUR), HATCH_OPACITY)]))
    return found


def _classes(mask: Mask, style: OverlayStyle) -> _Tints:
    """A filled class tints, and each has an outline in its full colour."""
    tints: list[_Tint] = [_CLEAR, (rgb(DARK), 1.0), (rgb(LIGHT), 1.0)]
    hairline = {DARK: 1, LIGHT: 2}
    numbers, seen = np.zeros((len(Border), 256), np.uint8), np.zeros(256, np.bool_)
    for value, each in enumerate(style.classes, start=1):
        if not each.visible:
            continue
        seen[value], outline = True, outline_of(each.colour)
        numbers[Border.NONE, value], numbers[Border.LINE, value] = len(tints), len(tints) + 1
        numbers[Border.OUTSIDE, value] = hairline[outline.outside]
        numbers[Border.INSIDE, value] = len(tints) if outline.inside is None else hairline[outline.inside]
        tints += [(rgb(each.colour), style.opacity) if each.filled else _CLEAR, (rgb(outline.line), 1.0)]
    shown = looked_up(mask, seen * np.arange(256, dtype=np.uint8))
    kind, owner = borders(shown, line_px=OUTLINE_PX, hairline_px=HAIRLINE_PX)
    return _Tints.of(numbered(numbers, shown, kind, owner), tints)


def _changes(new: Mask, old: Mask) -> _Tints:
    """What was gained and what was lost; where both are, lost is the edge."""
    gained, lost = gained_and_lost(new, old)
    number = np.zeros(new.shape, np.uint8)
    for part, place, filled in ((lost & ~gained, 1, True), (gained, 3, True), (gained & lost, 1, False)):
        if filled:
            number[part] = place
        number[part & ~_inside(part, OUTLINE_PX)] = place + 1
    colours = [(rgb(colour), opacity) for colour in (LOST, GAINED) for opacity in (CHANGES_OPACITY, 1.0)]
    return _Tints.of(number, [_CLEAR, *colours])


def _inside(part: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """What of a part is more than `steps` pixels (by rows and columns) from what is not; the border cuts nothing."""
    inside = part
    for _ in range(steps):
        nearer = inside.copy()
        nearer[1:] &= inside[:-1]
        nearer[:-1] &= inside[1:]
        nearer[:, 1:] &= inside[:, :-1]
        nearer[:, :-1] &= inside[:, 1:]
        inside = nearer
    return inside
