"""The layers of napari's canvas: pixels of a slide, and a mask that is painted."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.layers.labels._labels_utils import interpolate_coordinates
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import Affine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask, Patch
    from histoloop.gui.canvas.painted_look import PaintedLook
    from histoloop.gui.canvas.rendering import View
    from histoloop.gui.work.background import Worker

LARGE_PX = 1 << 20
"""A mask of so many pixels has its lines found on another thread."""

SWEEP_PX = 128
"""A brush that was moved further between two places of the mouse paints piece by piece: what is looked at lies near."""


class Pixels(Image):  # type: ignore[misc]
    """An RGB layer without napari's thumbnail, which costs as much as the layer and is shown nowhere here."""

    _place = _turned = np.eye(3)

    def _update_thumbnail(self) -> None:
        pass

    def show_view(self, view: View) -> None:
        """Show a view where it belongs. napari would read and upload it once for its pixels and again for its place."""
        scale, shift = view.downsample, (view.downsample - 1) / 2  # napari puts the middle of the first pixel at 0
        self._place = np.array([[scale, 0, view.y + shift], [0, scale, view.x + shift], [0, 0, 1]])
        self._transforms[2] = _affine(self._turned @ self._place)
        self._clear_extent()
        self.data = view.pixels
        self.events.affine()

    def turn(self, turned: NDArray[np.float64]) -> None:
        """Be seen through a (3, 3) rotation of rows and columns."""
        self._turned = turned
        self._transforms[2] = _affine(turned @ self._place)
        self._clear_extent()
        self.events.affine()


class Painted(Labels):  # type: ignore[misc]
    """A labels layer that knows where it was painted; it keeps no steps of its own to take back.

    The values in `kept` are not overpainted, and nothing is painted `outside`, whatever tool is in hand. It is seen in
    a `look`, with lines as wide as `contour`. The lines of a large mask are found on the thread of `worker`; it is seen
    without lines, or as it was before, until they are there.
    """

    def __init__(self, *arguments: Any, worker: Worker, **settings: Any) -> None:
        self.look: PaintedLook | None = None
        self._wanted: tuple[PaintedLook, int] | None = None
        self._numbers: NDArray[np.uint8] | None = None
        """What the canvas has of a large mask."""
        self._since: tuple[slice, ...] | None = None
        """Where it was painted since its lines were asked for."""
        self._worker = worker
        super().__init__(*arguments, **settings)
        self.kept: NDArray[np.bool_] | None = None  # by value, (256,)
        self.outside: NDArray[np.bool_] | None = None  # (H, W)
        self._painted: tuple[slice, ...] | None = None

    def take_mask(self, mask: Mask) -> None:
        """Paint on another mask."""
        self._numbers = self._painted = None
        self.data = mask
        self._painted = None

    def take_painted(self) -> tuple[slice, ...] | None:
        """Rows and columns in which something was painted since this was called last; None: nothing was."""
        painted, self._painted = self._painted, None
        return painted

    def turn(self, turned: NDArray[np.float64]) -> None:
        """Be seen through a (3, 3) rotation of rows and columns; nothing is uploaded again."""
        self._transforms[2] = _affine(turned)
        self._clear_extent()
        self.events.affine()

    def put(self, patch: Patch) -> None:
        """Show other values in a part of the mask, which need not be painted for that."""
        height, width = patch.values.shape
        place = np.s_[patch.y : patch.y + height, patch.x : patch.x + width]
        self.data[place] = patch.values
        if not np.shares_memory(self.data, self._slice.image.raw):
            self._show_anew()
            return
        painted = self._painted
        self._accumulate_updated_slice(place)
        self._painted = painted
        self._partial_labels_refresh()

    def dress(self, look: PaintedLook, line_px: int) -> None:
        """Look like this from now on, with lines of so many pixels of the mask."""
        if self._wanted == (look, line_px):
            return
        self._wanted = (look, line_px)
        if self.data.size >= LARGE_PX:
            self._find_lines()
        else:
            self._put_on(look, line_px)

    def _show_anew(self) -> None:
        self._numbers = None
        self._updated_slice: tuple[slice, ...] | None = None
        self.refresh(extent=False, highlight=False, thumbnail=False)

    def _partial_labels_refresh(self) -> None:
        """Show what was painted; a large part of a large mask as that is shown."""
        part = self._updated_slice
        if part is not None and math.prod(each.stop - each.start for each in part) >= LARGE_PX:
            self._show_anew()
        else:
            super()._partial_labels_refresh()

    def _find_lines(self) -> None:
        """Have the lines of a large mask found on the worker's thread."""
        if self._wanted is None:
            return
        (look, line_px), self._since = self._wanted, None
        work = functools.partial(look.numbered_in_bands, self.data, line_px)  # what is painted meanwhile is done again
        done = functools.partial(self._show_lines, self.data, self._wanted)
        self._worker.request(work, on_done=done, topic="lines")

    def _show_lines(self, mask: Mask, wanted: tuple[PaintedLook, int], numbers: NDArray[np.uint8]) -> None:
        """Show lines that were found, with what was painted meanwhile."""
        if self.data is not mask or wanted is not self._wanted:
            return
        self._numbers, since = numbers, self._since
        self._put_on(*wanted)
        if since is not None:
            super()._accumulate_updated_slice(since)
            self._partial_labels_refresh()

    def _put_on(self, look: PaintedLook, line_px: int) -> None:
        recoloured = self.look is None or look.colours != self.look.colours
        self.look, self._contour = look, line_px
        if recoloured:
            self.colormap = DirectLabelColormap(color_dict=dict(look.colours))  # which reads the mask anew
        else:
            self.refresh(extent=False, highlight=False, thumbnail=False)

    def _raw_to_displayed(self, raw: Mask, data_slice: tuple[slice, ...] | None = None) -> NDArray[np.uint8]:
        if data_slice is not None or raw.size < LARGE_PX:
            shown: NDArray[np.uint8] = super()._raw_to_displayed(raw, data_slice)
            return shown
        if self._numbers is None:
            self._numbers = raw.copy()
            self._find_lines()
        return self._numbers

    def _update_thumbnail(self) -> None:
        pass

    def _calculate_contour(self, labels: Mask, data_slice: tuple[slice, ...]) -> NDArray[np.uint8] | None:
        """The numbers of the look; napari asks for them wherever something was painted, and around it."""
        if self.look is None:
            return None
        around = tuple(
            slice(max(0, part.start - 2 * self.contour), min(size, part.stop + 2 * self.contour))
            for part, size in zip(data_slice, labels.shape, strict=True)
        )
        inner = tuple(
            slice(part.start - wide.start, part.stop - wide.start)
            for part, wide in zip(data_slice, around, strict=True)
        )
        return self.look.numbered(labels[around], self.contour)[inner]

    def _expand_updated_slice_for_contour(self, updated_slice: tuple[slice, ...]) -> tuple[slice, ...]:
        """What changes its look where something was painted: an outline with its hairlines reaches so far."""
        return tuple(
            slice(max(0, part.start - 2 * self.contour), min(size, part.stop + 2 * self.contour))
            for part, size in zip(updated_slice, self.data.shape, strict=True)
        )

    def _draw(self, new_label: int, last: Any, now: Any) -> None:
        """Move the brush from one place to the next, (2,) each: napari looks at the mask once for each disc of them."""
        if now is None or self.mode not in ("paint", "erase"):
            super()._draw(new_label, last, now)
            return
        centres = np.round(interpolate_coordinates(last, now, self.brush_size)).astype(int)
        pieces = 1 + int(np.ptp(centres, axis=0).max()) // SWEEP_PX
        for piece in np.array_split(centres, min(pieces, len(centres))):
            self._sweep(new_label, piece)
            self._partial_labels_refresh()

    def _sweep(self, new_label: int, centres_N2: NDArray[np.int64]) -> None:
        """Paint discs as wide as the brush, all at once."""
        disc = _disc(self.brush_size)
        side, reach = len(disc), len(disc) // 2
        first, shape = centres_N2.min(axis=0) - reach, np.ptp(centres_N2, axis=0) + side
        swept = np.zeros(shape, np.bool_)
        for row, column in (centres_N2 - reach - first).tolist():
            swept[row : row + side, column : column + side] |= disc
        start, stop = np.maximum(first, 0), np.minimum(first + shape, self.data.shape)
        if (start < stop).all():
            (top, left), (bottom, right) = start.tolist(), stop.tolist()
            inside = swept[top - first[0] : bottom - first[0], left - first[1] : right - first[1]]
            place = np.s_[top:bottom, left:right]
            self._paint_region_with_mask(place, inside, new_label, [0, 1], refresh=False)

    def _apply_mask_to_data(self, data: Mask, mask: NDArray[np.bool_], new_label: int, volume_slice: Any) -> Any:
        if self.kept is not None:
            mask = mask & ~self.kept[data]
        if self.outside is not None:
            mask = mask & ~self.outside[volume_slice]
        return super()._apply_mask_to_data(data, mask, new_label, volume_slice)

    def _accumulate_updated_slice(self, updated_slice: tuple[slice, ...]) -> None:
        self._painted = updated_slice if self._painted is None else _around(self._painted, updated_slice)
        self._since = updated_slice if self._since is None else _around(self._since, updated_slice)
        super()._accumulate_updated_slice(updated_slice)

    def _append_to_undo_history(self, step: Any) -> None:
        self.events.paint(value=step)


def _around(one: tuple[slice, ...], other: tuple[slice, ...]) -> tuple[slice, ...]:
    """The least rectangle that has both in it."""
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def _affine(matrix: NDArray[np.float64]) -> Affine:
    return Affine(affine_matrix=matrix, name="physical2world")


@functools.lru_cache(maxsize=64)
def _disc(size_px: int) -> NDArray[np.bool_]:
    """What a brush of a size covers, as napari paints it."""
    reach = size_px // 2
    rows, columns = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc: NDArray[np.bool_] = rows**2 + columns**2 <= (reach + 0.5) ** 2
    return disc
