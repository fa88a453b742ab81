"""The layers of napari's canvas: pixels of the slide, and the mask that is painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import Affine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask, Patch
    from histoloop.gui.canvas.painted_look import PaintedLook
    from histoloop.gui.canvas.rendering import View


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
    a `look`.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self.look: PaintedLook | None = None
        super().__init__(*arguments, **settings)
        self.kept: NDArray[np.bool_] | None = None  # by value, (256,)
        self.outside: NDArray[np.bool_] | None = None  # (H, W)
        self._painted: tuple[slice, ...] | None = None

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
            self.refresh()
            return
        super()._accumulate_updated_slice(place)
        self._partial_labels_refresh()

    def take_look(self, look: PaintedLook) -> None:
        """Look like this from now on."""
        self.look = look
        self.colormap = DirectLabelColormap(color_dict=dict(look.colours))
        self.refresh(extent=False, highlight=False, thumbnail=False)

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

    def _apply_mask_to_data(self, data: Mask, mask: NDArray[np.bool_], new_label: int, volume_slice: Any) -> Any:
        if self.kept is not None:
            mask = mask & ~self.kept[data]
        if self.outside is not None:
            mask = mask & ~self.outside[volume_slice]
        return super()._apply_mask_to_data(data, mask, new_label, volume_slice)

    def _accumulate_updated_slice(self, updated_slice: tuple[slice, ...]) -> None:
        self._painted = updated_slice if self._painted is None else _around(self._painted, updated_slice)
        super()._accumulate_updated_slice(updated_slice)

    def _append_to_undo_history(self, step: Any) -> None:
        self.events.paint(value=step)


def _around(one: tuple[slice, ...], other: tuple[slice, ...]) -> tuple[slice, ...]:
    """The least rectangle that has both in it."""
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def _affine(matrix: NDArray[np.float64]) -> Affine:
    return Affine(affine_matrix=matrix, name="physical2world")
