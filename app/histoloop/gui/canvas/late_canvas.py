"""The canvas of napari, which takes two seconds to import: not before it is needed, or the window has nothing to do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from histoloop.gui.canvas.napari_canvas import NapariCanvas

_LOADING = threading.Lock()


def load_canvas() -> type[NapariCanvas]:
    """Import it, on any thread.

    One thread at a time: two that import the same modules can see parts of them unfinished.
    """
    with _LOADING:
        from histoloop.gui.canvas.napari_canvas import NapariCanvas, load_the_rest

        load_the_rest()
    return NapariCanvas
