"""What napari.yaml offers to somebody else's napari: slides as lazy pyramids, a slide to try, a dock of masks.

napari itself is not imported here: it calls these functions and gives its viewer to the dock.
"""

from __future__ import annotations

import functools
import importlib
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array
import numpy as np

from histoloop import paths
from histoloop.errors import HistoLoopError
from histoloop.language import tr
from histoloop.progress import finish
from histoloop.slides.pyramid import TilePyramid
from histoloop.slides.reader import is_slide, open_slide
from histoloop.slides.synthetic import write_synthetic_slide
from histoloop.workflows.demo_project import specifications

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.slides.reader import Pixels

LayerData = tuple[list[dask.array.Array], dict[str, Any], str]
SLIDE = "histoloop slide"
"""Key in a layer's metadata: the file, `mpp` and all, of a slide that was read here."""

DEMO_SLIDE = "mixed-1.tiff"
OTHER_QT = ("PyQt5", "PyQt6", "PySide2")


def reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerData]] | None:
    """What reads a file (or each of several), if all are whole slides; else None, for others to try."""
    files = [path] if isinstance(path, str) else list(path)
    return read_slides if files and all(is_slide(Path(file)) for file in files) else None


def read_slides(path: str | Sequence[str]) -> list[LayerData]:
    """A layer per slide: an RGB pyramid whose tiles are read when they are seen, in micrometres where known."""
    return [_layer(Path(file)) for file in ([path] if isinstance(path, str) else path)]


def demo_slide() -> list[LayerData]:
    """A slide of the demo project; made in this user's folder when it is first asked for."""
    file = paths.user_data() / "samples" / DEMO_SLIDE
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        finish(write_synthetic_slide(file, specifications(seed=0)[DEMO_SLIDE]))
    return read_slides(str(file))


def _layer(file: Path) -> LayerData:
    slide = open_slide(file)
    pyramid = TilePyramid(slide)
    levels = [_lazy(pyramid, level) for level in range(len(pyramid.levels))]
    unit = "pixel" if slide.mpp is None else "um"
    settings = {
        "name": file.name,
        "rgb": True,
        "multiscale": True,
        "scale": (slide.mpp or 1.0,) * 2,
        "units": (unit, unit),
        "metadata": {SLIDE: {"path": str(file.absolute()), "mpp": slide.mpp}},
    }
    return levels, settings, "image"


def _lazy(pyramid: TilePyramid, level: int) -> dask.array.Array:
    """A level (height, width, 3) of which each block is a tile."""
    grid, side = pyramid.levels[level], pyramid.tile_px
    made: dask.array.Array = dask.array.map_blocks(  # type: ignore[no-untyped-call]
        functools.partial(_tile, pyramid, level),
        chunks=(_cuts(grid.height, side), _cuts(grid.width, side), (3,)),
        name=f"slide-{uuid.uuid4().hex}",
        dtype=np.uint8,
        meta=np.empty((0, 0, 0), np.uint8),
    )
    return made


def _tile(pyramid: TilePyramid, level: int, *, block_id: tuple[int, int, int]) -> Pixels:
    return pyramid.read_tile(level, block_id[0], block_id[1])


def _cuts(length: int, side: int) -> tuple[int, ...]:
    return tuple(min(side, length - start) for start in range(0, length, side))


def __getattr__(name: str) -> object:
    """The dock is loaded when napari wants it, and not where another Qt is: two in one process end it."""
    if name != "MaskDock":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if others := [module for module in OTHER_QT if module in sys.modules]:
        raise HistoLoopError(
            tr("HistoLoop's dock needs PySide6, and this napari runs on {package}.", package=others[0]),
            advice=tr("Start napari with the environment variable QT_API set to pyside6."),
        )
    return importlib.import_module("histoloop.gui.plugin.napari_dock").MaskDock
