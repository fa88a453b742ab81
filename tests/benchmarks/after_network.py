"""What comes after the network: masks, areas, outlines and their files out of the maps of a slide.

    python tests/benchmarks/after_network.py [SIDE_PX ...] [--classes] [--before CHECKOUT] [--write]

Makes maps of slides of SIDE_PX squared pixels (default 4,096 to 32,768; 4.6 of them a map pixel, as a slide of 0.25 um
per pixel has them for a model of 1.15) out of blobs with ragged edges and holes, all over the slide: no network runs.
Of each, in a process of its own with one thread, it makes the mask, counts its areas, draws and simplifies the outlines
and writes GeoJSON and PNG as `histoloop predict` does. Prints a line of JSON each: processor seconds a million map
pixels by stage, and by how much the peak memory of the process grows over what it was before the first stage.

`--classes`: the maps have a decoder's three classes instead of one foreground and five labels. `--before` runs an
earlier commit of the program, checked out at CHECKOUT, on the same maps, in turn with this one. With `--write` the
table goes into docs/performance.md: one foreground and classes, of the default sides.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench.measured import Kept, show, table
from scipy import ndimage

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.store.maps import MapWriter, open_map

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.store.maps import SlideMap

SIDES_PX = (4096, 8192, 16384, 32768)
DOWNSAMPLE, STRIDE_PX, CORE_PX = 4.6, 32, 1024
MIN_AREA_PX, SIMPLIFY_PX = 151, 0.7
STAGES = ("masks", "areas", "contours", "GeoJSON", "PNG", "all")
CLASSES = ("gland", "tumour", "stroma")
SCHEME = ClassScheme(
    tuple(LabelClass(name, mask) for name, mask in zip("ABCDE", [*CLASSES[:2], *CLASSES], strict=True)),
    tuple(MaskClass(name, "#2a9d8f") for name in CLASSES),
)


class Foreground:
    """The mask value of each label."""

    foreground_values = (1, 2, 1, 2, 3)


def main(
    sides_px: tuple[int, ...] = SIDES_PX, *, classes: bool = False, before: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Of each side, what this program and the earlier one need."""
    programs = {"now": Path(__file__).parents[2] / "app"} | ({} if before is None else {"before": before / "app"})
    for side in sides_px:
        with tempfile.TemporaryDirectory() as scratch:
            maps = Path(scratch) / "maps"
            _run(programs["now"], "--make", str(maps), str(side), *(["--classes"] if classes else []))
            for name, app in programs.items():
                yield {"side_px": side, "program": name, **json.loads(_run(app, "--measure", str(maps)))}


def _run(app: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(app), "OMP_NUM_THREADS": "1"}
    run = [sys.executable, __file__, *arguments]
    return subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def noise(seed: int, sigma: float, *, period: int = CORE_PX) -> np.ndarray:
    """Smooth noise (period, period) that goes on at its borders, of a standard deviation of 1."""
    field = np.random.default_rng(seed).standard_normal((period, period)).astype(np.float32)
    smooth = ndimage.gaussian_filter(field, sigma, mode="wrap")
    return smooth / smooth.std()


def written_table(*, again: bool) -> str:
    """Seconds a million map pixels by stage, and memory, of one foreground and of classes."""
    kept, rows = Kept("after_network", again=again), []
    for classes in (False, True):
        for side in SIDES_PX:
            name = f"{side} {'classes' if classes else 'one foreground'}"
            found = kept.get(name, lambda side=side, classes=classes: next(main((side,), classes=classes)))
            rows.append([f"{side:,}", "three classes" if classes else "one foreground", f"{found['polygons']:,}",
                         *(f"{found['cpu_s_per_million_px'].get(stage, 0):.3f}" for stage in STAGES),
                         f"{found['grown_MB']:,}", f"{found['peak_MB']:,}"])  # fmt: skip
    return table(["side, px", "maps", "polygons", *STAGES, "grows by, MB", "peak MB"], rows)


def make(folder: Path, side_px: int, *, classes: bool) -> None:
    """Write the maps of a slide that is covered with blobs, the same in each core."""
    from histoloop.slides.tiling import Window

    probability = 1 / (1 + np.exp(-3 * (0.35 * noise(1, 4) + noise(2, 18) - 0.3)))
    share = 1 / (1 + np.exp(-3 * noise(3, 30)))
    shares = np.stack([share, 0.6 * (1 - share), 0.4 * (1 - share)])
    masks = probability * shares if classes else probability
    labels = np.stack([noise(seed, 60)[STRIDE_PX // 2 :: STRIDE_PX, STRIDE_PX // 2 :: STRIDE_PX] for seed in range(5)])
    with MapWriter(
        folder,
        slide_width=side_px,
        slide_height=side_px,
        downsample=DOWNSAMPLE,
        labels=SCHEME.label_names,
        stride_px=STRIDE_PX,
        model_hash="",
        mask_classes=CLASSES if classes else (),
    ) as writer:
        height, width = writer.rows * STRIDE_PX, writer.columns * STRIDE_PX
        for y in range(0, height, CORE_PX):
            for x in range(0, width, CORE_PX):
                rows, columns = min(CORE_PX, height - y), min(CORE_PX, width - x)
                cells = labels[:, : rows // STRIDE_PX, : columns // STRIDE_PX]
                writer.write(Window(x, y, columns, rows), masks[..., :rows, :columns], cells)


def measure(folder: Path) -> dict[str, Any]:
    """Seconds a million map pixels by stage, and memory, of whichever program is imported."""
    slide_map = open_map(folder)
    seconds: Counter[str] = Counter()
    try:
        from histoloop.localisation import bands as _bands  # noqa: F401
    except ImportError:
        stages = _stages_before
    else:
        stages = _stages
    start_mb = _peak_mb()
    with tempfile.TemporaryDirectory() as out:
        height, width, polygons = stages(slide_map, Path(out), seconds)
        sizes = {path.suffix[1:]: path.stat().st_size for path in Path(out).iterdir()}
    millions = height * width / 1e6
    each = {stage: round(own / millions, 4) for stage, own in seconds.items()}
    return {
        "map_px": [height, width],
        "polygons": polygons,
        "cpu_s_per_million_px": each | {"all": round(sum(seconds.values()) / millions, 4)},
        "peak_MB": _peak_mb(),
        "grown_MB": _peak_mb() - start_mb,
        "bytes": sizes,
    }


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


class _Timed:
    """Adds the processor seconds of a block to those of a stage."""

    def __init__(self, seconds: Counter[str], stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._began = time.process_time()

    def __exit__(self, *_error: object) -> None:
        self._seconds[self._stage] += time.process_time() - self._began


def _stages(slide_map: SlideMap, out: Path, seconds: Counter[str]) -> tuple[int, int, int]:
    """As `predict_to_files` does it, a band at a time."""
    from histoloop.exchange.geojson import geojson_file
    from histoloop.exchange.mask_pictures import mask_png
    from histoloop.localisation.bands import ValueCounts
    from histoloop.localisation.contours import Outliner
    from histoloop.workflows.contents.masks import bands_of_map

    mask, counts, count = bands_of_map(slide_map, Foreground(), threshold=0.5), ValueCounts(), 0
    outliner = Outliner(mask.width, downsample=DOWNSAMPLE, min_area_px=MIN_AREA_PX, simplify_px=SIMPLIFY_PX)

    def timed() -> Iterator[np.ndarray]:
        bands = iter(mask)
        while True:
            with _Timed(seconds, "masks"):
                band = next(bands, None)
            if band is None:
                return
            yield band

    with (
        geojson_file(out / "a.geojson", SCHEME, mpp=0.25) as outlines,
        mask_png(out / "a.png", SCHEME, height=mask.height, width=mask.width) as picture,
    ):
        for band in timed():
            with _Timed(seconds, "areas"):
                counts.add(band)
            with _Timed(seconds, "PNG"):
                picture.add(band)
            with _Timed(seconds, "contours"):
                polygons = outliner.add(band)
            with _Timed(seconds, "GeoJSON"):
                outlines.add_all(polygons)
            count += len(polygons)
        with _Timed(seconds, "contours"):
            polygons = outliner.close()
        with _Timed(seconds, "GeoJSON"):
            outlines.add_all(polygons)
    return mask.height, mask.width, count + len(polygons)


def _stages_before(slide_map: SlideMap, out: Path, seconds: Counter[str]) -> tuple[int, int, int]:
    """As the program did it when it held the mask and all polygons."""
    from histoloop.exchange.geojson import write_geojson
    from histoloop.exchange.mask_pictures import write_mask_png
    from histoloop.localisation import contours
    from histoloop.workflows.contents.masks import mask_of_map

    with _Timed(seconds, "masks"):
        mask = mask_of_map(slide_map, Foreground(), threshold=0.5)
    with _Timed(seconds, "areas"):
        contours.values_of_mask(mask)
    with _Timed(seconds, "contours"):
        polygons = contours.polygons_of_mask(
            mask, downsample=DOWNSAMPLE, min_area_px=MIN_AREA_PX, simplify_px=SIMPLIFY_PX
        )
    with _Timed(seconds, "GeoJSON"):
        write_geojson(out / "a.geojson", polygons, SCHEME, mpp=0.25)
    with _Timed(seconds, "PNG"):
        write_mask_png(out / "a.png", mask, SCHEME)
    return *mask.shape, len(polygons)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sides_px", nargs="*", help="sides of the slides")
    parser.add_argument("--classes", action="store_true")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--make", action="store_true", help="a step of the measurement")
    parser.add_argument("--measure", action="store_true", help="a step of the measurement")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--again", action="store_true", help="measure anew what is kept of --write")
    given = parser.parse_args()
    if given.make:
        make(Path(given.sides_px[0]), int(given.sides_px[1]), classes=given.classes)
    elif given.measure:
        print(json.dumps(measure(Path(given.sides_px[0]))))
    elif given.write:
        show("after the network", written_table(again=given.again), write=True)
    else:
        sides = tuple(map(int, given.sides_px)) or SIDES_PX
        for found in main(sides, classes=given.classes, before=given.before):
            print(json.dumps(found), flush=True)
