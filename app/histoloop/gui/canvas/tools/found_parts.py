"""Parts of a view that a tool found: read where the region in hand is seen, shown over it, painted into its mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtGui import QColor, QImage

from histoloop.annotations.mask_tools import paint_where
from histoloop.annotations.wand import resampled
from histoloop.geometry import Region
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from histoloop.gui.canvas.rendering import View
    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.gui.work.failure import Failure

PREVIEW_ALPHA = 120
MARK_PX = 3
"""A place that was clicked is shown so many pixels to each side of it."""

INSIDE, OUTSIDE = "#ffffff", "#000000"


def read_region(
    viewer: SlideViewer, *, on_done: Callable[[View], object], on_failed: Callable[[Failure], object]
) -> None:
    """Read the pixels of the region in hand that are on the screen, about as fine as they are seen."""
    region = viewer.annotating
    visible = None if region is None else viewer.visible_region().intersection(region)
    if visible is not None and not viewer.is_frozen:
        viewer.read_pixels(visible, on_done=on_done, on_failed=on_failed)


def paint_part(viewer: SlideViewer, view: View, part: NDArray[np.bool_]) -> str:
    """Paint a part (H, W) of a view with the class in hand, as one step; a sentence where there is nothing to paint."""
    region = viewer.annotating
    if region is None or viewer.is_frozen:
        return ""
    if not part.any():
        return tr("Nothing was found there: draw a box around it, or use the brush.")
    inside = resampled(
        part,
        downsample=view.downsample,
        offset=(view.x - region.x, view.y - region.y),
        size=(region.width, region.height),
    )
    viewer.replace_mask(paint_where(viewer.painted_mask, inside, viewer.painted_class))
    return ""


def show_part(
    viewer: SlideViewer,
    view: View,
    part: NDArray[np.bool_],
    *,
    inside: Sequence[tuple[float, float]] = (),
    outside: Sequence[tuple[float, float]] = (),
) -> None:
    """Show a part (H, W) of a view in the colour in hand, and the places (x, y in its pixels) that were clicked."""
    height, width = part.shape
    values = np.ascontiguousarray(part, np.uint8)
    for number, places in ((2, inside), (3, outside)):
        for x, y in places:
            row, column = int(y), int(x)
            rows = slice(max(0, row - MARK_PX), max(0, row + MARK_PX + 1))
            values[rows, max(0, column - MARK_PX) : max(0, column + MARK_PX + 1)] = number
    image = QImage(values.tobytes(), width, height, width, QImage.Format.Format_Indexed8).copy()
    colour = QColor(viewer.painted_colour)
    colour.setAlpha(PREVIEW_ALPHA)
    image.setColorTable([0, colour.rgba(), QColor(INSIDE).rgba(), QColor(OUTSIDE).rgba()])
    place = Region(round(view.x), round(view.y), round(width * view.downsample), round(height * view.downsample))
    viewer.show_preview(place, image)


def in_view(view: View, at: tuple[float, float]) -> tuple[float, float]:
    """A place of the slide, where the middle of the first pixel is 0, in pixels of a view, which begin at 0."""
    return (at[0] + 0.5 - view.x) / view.downsample, (at[1] + 0.5 - view.y) / view.downsample


def is_in_view(view: View, at: tuple[float, float]) -> bool:
    """Whether a place of the slide lies in a view."""
    (x, y), (height, width) = in_view(view, at), view.pixels.shape[:2]
    return bool(0 <= x < width and 0 <= y < height)
