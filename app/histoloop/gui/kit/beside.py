"""How large a dialog is, and where it stands beside what one looks at while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QSize

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

EDGE_PX, TITLE_PX = 8, 40
LEAST_PX = 400
"""Width of the dialog, at least."""
COVERED = 6
"""One part of so many of a canvas may be covered, where a dialog would be too narrow else."""


def open_at(dialog: QWidget, width: int, height: int) -> None:
    """Give a dialog this size in pixels, and no more than its screen has beside the frame of a window."""
    room = dialog.screen().availableSize() - QSize(2 * EDGE_PX, TITLE_PX)
    dialog.resize(QSize(width, height).boundedTo(room))


def place_beside(size: QSize, *, window: QRect, canvas: QRect, screen: QRect) -> QRect:
    """Where a dialog of a size goes beside a canvas, all in pixels of the screen.

    Beside the window, where the screen has room; else over that side of the window which has more room beside the
    canvas, as wide as that is and a sixth of the canvas, or `LEAST_PX`.
    """
    height = min(size.height(), max(LEAST_PX, window.height() - TITLE_PX - EDGE_PX))
    top = max(screen.top(), min(window.top() + TITLE_PX, screen.bottom() - height))
    if screen.right() - window.right() >= size.width() + EDGE_PX:
        return QRect(window.right() + EDGE_PX, top, size.width(), height)
    if window.left() - screen.left() >= size.width() + EDGE_PX:
        return QRect(window.left() - size.width() - EDGE_PX, top, size.width(), height)
    left, right = canvas.left() - window.left(), window.right() - canvas.right()
    width = min(size.width(), max(LEAST_PX, max(left, right) + canvas.width() // COVERED))
    return QRect(window.left() if left > right else window.right() - width + 1, top, width, height)
