"""A slide of one level, 60,000 x 60,000 pixels: what opening, looking and predicting cost, and the memory of each.

    python tests/benchmarks/large_slide.py [SIDE_PX] [TISSUE_PX]
    packaging/with_display.sh python tests/benchmarks/large_slide.py --window

Writes a tiled TIFF of SIDE_PX squared pixels (default 60,000; 0.25 um per pixel, Deflate, glass but for a square of
tissue of TISSUE_PX, default 6,000) and, in a process each, opens it, takes the first picture, pans (windows of a
screen, 1600 x 1000, at full size, a quarter and a sixteenth), predicts it by the command line. Prints JSON: seconds of
the clock and of the processors, and peak memory in MB of the process. With --window the whole window shows the slide
of the default size and pans over it at full size instead.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import tifffile

SIDE_PX, TISSUE_PX, TILE_PX = 60_000, 6_000, 512
SCREEN = (1600, 1000)
PANS = 12


def main(side_px: int = SIDE_PX, tissue_px: int = TISSUE_PX) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HISTOLOOP_HOME"] = scratch
        path = Path(scratch) / "large.tif"
        write(path, side_px, tissue_px)
        found: dict[str, object] = {"side_px": side_px, "tissue_px": tissue_px, "file_MB": path.stat().st_size // 10**6}
        for step in ("open", "picture", "pan"):
            run = [sys.executable, __file__, f"--{step}", str(path)]
            found[step] = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
        out = Path(scratch) / "results"
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        predict = [sys.executable, "-m", "histoloop", "predict", str(path), "--out", str(out)]
        subprocess.run(predict, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found["predict"] = {
            "seconds": round(time.monotonic() - began, 1),
            "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
            "peak_MB": after.ru_maxrss // 1024,
        }
        return found


def write(path: Path, side_px: int, tissue_px: int) -> None:
    """Glass with a square of pink tissue and purple glands around the middle."""
    across = -(-side_px // TILE_PX)
    first, last = (side_px - tissue_px) // 2 // TILE_PX, (side_px + tissue_px) // 2 // TILE_PX
    y, x = np.mgrid[0:TILE_PX, 0:TILE_PX] / TILE_PX * 2 * np.pi
    tissue = np.full((TILE_PX, TILE_PX, 3), (226, 160, 196), np.uint8)
    tissue[np.sin(2 * x) * np.sin(2 * y) > 0.3] = (120, 70, 140)
    glass = zlib.compress(np.full((TILE_PX, TILE_PX, 3), 243, np.uint8).tobytes())
    stained = zlib.compress(tissue.tobytes())
    tiles = (
        stained if first <= row < last and first <= column < last else glass
        for row in range(across)
        for column in range(across)
    )
    tifffile.imwrite(
        path,
        tiles,
        shape=(side_px, side_px, 3),
        dtype=np.uint8,
        photometric="rgb",
        tile=(TILE_PX, TILE_PX),
        compression="zlib",
        resolution=(40_000, 40_000),
        resolutionunit="CENTIMETER",
    )


def _step(step: str, path: Path) -> dict[str, float]:
    from histoloop.slides.reader import open_slide

    began, worked = time.monotonic(), time.process_time()
    figures: dict[str, float] = {}
    with open_slide(path) as slide:
        if step == "--picture":
            slide.thumbnail(256)
        elif step == "--pan":
            from histoloop.geometry import Region

            for zoom in (1, 4, 16):
                taken = []
                for number in range(PANS):
                    start = time.monotonic()
                    corner = slide.width // 2 - number * 300
                    view = Region(corner, corner, SCREEN[0] * zoom, SCREEN[1] * zoom)
                    slide.read_region_scaled(view, downsample=zoom)
                    taken.append(time.monotonic() - start)
                figures[f"median_s_at_1/{zoom}"] = round(statistics.median(taken), 3)
    return figures | {
        "seconds": round(time.monotonic() - began, 2),
        "cpu_seconds": round(time.process_time() - worked, 2),
        "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _window() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HISTOLOOP_HOME"] = scratch
        path = Path(scratch) / "large.tif"
        write(path, SIDE_PX, TISSUE_PX)
        return _look(Path(scratch) / "project", path)


def _look(folder: Path, path: Path) -> dict[str, float]:
    from histoloop.gui.application import make_application
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.main_window import MainWindow
    from histoloop.progress import finish
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.projects import create_project, import_slides

    began = time.monotonic()
    with create_project(folder, name="Large", start=DEFAULT_MODEL) as project:
        finish(import_slides(project, [path]))
    imported = time.monotonic() - began
    application = make_application()
    window = MainWindow(Settings(folder.parent / "settings.ini"))
    window.resize(*SCREEN)
    window.show()
    application.processEvents()
    began = time.monotonic()
    window.session.open_project(folder)
    while window.opener.current is None:
        application.processEvents()
    window.viewer.wait_until_loaded()
    shown = time.monotonic() - began
    taken = []
    for number in range(PANS):
        start = time.monotonic()
        window.viewer.look_at(SIDE_PX // 2 - number * 300, SIDE_PX // 2 - number * 300, zoom=1.0)
        application.processEvents()
        window.viewer.wait_until_loaded()
        taken.append(time.monotonic() - start)
    window.session.jobs.shut_down()
    window.close()
    return {
        "imported_s": round(imported, 2),
        "shown_s": round(shown, 2),
        "pan_median_s": round(statistics.median(taken), 2),
        "pan_longest_s": round(max(taken), 2),
        "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--window"]:
        print(json.dumps(_window()))
    elif sys.argv[1:2] and sys.argv[1].startswith("--"):
        print(json.dumps(_step(sys.argv[1], Path(sys.argv[2]))))
    else:
        print(json.dumps(main(*map(int, sys.argv[1:]))))
