"""What a window of a slide costs to decode, before and now, beside OpenSlide alone and libjpeg-turbo's limit.

    python tests/benchmarks/decoding.py [SLIDE] [--runs 5] [--maps] [--write]

Without a SLIDE a synthetic one of one level is written, in tiles of 256 px, JPEG of quality 88 (4:4:4). Windows are of
as many level-0 pixels each, at ratios of 1, 1.15, 2.3 and 4.6 level-0 pixels per pixel; tiles are decoded anew in each
run. Times are CPU seconds (user and system) of one thread, the least of the runs; the ways take turns within a run.

- before: OpenSlide, laid over white by its opacity, then resized by Pillow in one step
- OpenSlide: its `read_region` alone, without any of this
- by OpenSlide: `read_scaled` as it is for slides that OpenSlide reads
- read_scaled: as it is for tiled TIFF
- tiles: the window's tiles decoded by libjpeg-turbo and nothing else: the limit
- smaller: tiles decoded by libjpeg-turbo at 1/2 (1/4 from a ratio of 4 on), then resized; not used by the program

With --maps the shipped model runs on the pixels of 'before', 'read_scaled' and 'smaller' at 2.3, and the greatest and
mean differences of the foreground are printed. With --write the table is put between the marks of docs/performance.md.
"""

from __future__ import annotations

import argparse
import io
import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import openslide
import tifffile
from PIL import Image

from histoloop.progress import finish
from histoloop.slides.reader import Slide, open_slide
from histoloop.slides.resampling import resample, spans
from histoloop.slides.sources.blocks import shared_blocks
from histoloop.slides.sources.openslide_source import OpenSlideSource
from histoloop.slides.synthetic import SyntheticSpec, write_synthetic_slide
from histoloop.store.files import write_beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

RATIOS = (1.0, 1.15, 2.3, 4.6)
SIDE_PX, WINDOW_PX = 4096, 3680
LEVEL0_X, LEVEL0_Y = 92, 184
PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
START, END = "<!-- decoding: made by tests/benchmarks/decoding.py -->", "<!-- end of decoding -->"


class Ways:
    """All ways to read one window of level 0."""

    def __init__(self, path: Path, ratio: float, window_px: int) -> None:
        self.path, self.ratio = path, ratio
        self.x, self.y = round(LEVEL0_X / ratio), round(LEVEL0_Y / ratio)
        self.side = int(window_px / ratio)
        self.slide = open_slide(path)
        self.tiff = tifffile.TiffFile(path)
        self.page = self.tiff.pages[0]
        self.content = path.read_bytes()

    def close(self) -> None:
        self.slide.close()
        self.tiff.close()

    def before(self) -> Pixels:
        with openslide.OpenSlide(self.path) as slide:
            if self.ratio == 1:
                return _over_white(slide.read_region((self.x, self.y), 0, (self.side, self.side)))
            margin = math.ceil(max(self.ratio, 1.0)) + 2
            left, top = (math.floor(at * self.ratio) - margin for at in (self.x, self.y))
            ends = [math.ceil((at + self.side) * self.ratio) + margin for at in (self.x, self.y)]
            source = _over_white(slide.read_region((left, top), 0, (ends[0] - left, ends[1] - top)))
        edges = [(at * self.ratio, (at + self.side) * self.ratio) for at in (self.x, self.y)]
        box = (edges[0][0] - left, edges[1][0] - top, edges[0][1] - left, edges[1][1] - top)
        size = (self.side, self.side)
        return np.array(Image.fromarray(source).resize(size, Image.Resampling.BILINEAR, box=box))

    def openslide(self) -> None:
        with openslide.OpenSlide(self.path) as slide:
            side = math.ceil(self.side * self.ratio)
            slide.read_region((round(self.x * self.ratio), round(self.y * self.ratio)), 0, (side, side))

    def now_by_openslide(self) -> Pixels:
        with Slide(self.path, OpenSlideSource(self.path), mpp=None) as slide:
            return slide.read_scaled(self.x, self.y, self.side, self.side, downsample=self.ratio)

    def now(self) -> Pixels:
        shared_blocks().clear()
        return self.slide.read_scaled(self.x, self.y, self.side, self.side, downsample=self.ratio)

    def tiles(self) -> None:
        for row, column in self._places(1):
            encoded = self._encoded(row, column)
            imagecodecs.jpeg8_decode(
                encoded, tables=self.page.jpegtables, colorspace=self._colours(), outcolorspace="RGB"
            )

    def smaller(self) -> Pixels | None:
        """Tiles decoded smaller; None where the ratio is below 2."""
        shrink = 4 if self.ratio >= 4 else 2 if self.ratio >= 2 else 1
        if shrink == 1:
            return None
        ratio = self.ratio / shrink
        columns, rows = spans(self.x, self.side, ratio=ratio), spans(self.y, self.side, ratio=ratio)
        box = (columns[0].begin, rows[0].begin, columns[-1].end, rows[-1].end)
        tile = self.page.tilewidth // shrink
        window = np.empty((box[3] - box[1], box[2] - box[0], 3), np.uint8)
        for row in range(box[1] // tile, -(-box[3] // tile)):
            for column in range(box[0] // tile, -(-box[2] // tile)):
                picture = Image.open(io.BytesIO(_whole_stream(self._encoded(row, column), self.page)))
                picture.draft("RGB", (tile, tile))
                pixels = np.asarray(picture)
                top, left = row * tile - box[1], column * tile - box[0]
                part = pixels[max(0, -top) : window.shape[0] - top, max(0, -left) : window.shape[1] - left]
                top, left = max(0, top), max(0, left)
                window[top : top + part.shape[0], left : left + part.shape[1]] = part
        return resample(window, columns, rows)

    def _places(self, margin: int) -> list[tuple[int, int]]:
        side = self.page.tilewidth
        ends = [(int(at * self.ratio) - margin, math.ceil((at + self.side) * self.ratio) + margin)
                for at in (self.y, self.x)]  # fmt: skip
        rows, columns = (range(max(0, low) // side, -(-high // side)) for low, high in ends)
        return [(row, column) for row in rows for column in columns]

    def _encoded(self, row: int, column: int) -> bytes:
        index = row * -(-self.page.imagewidth // self.page.tilewidth) + column
        start = self.page.dataoffsets[index]
        return self.content[start : start + self.page.databytecounts[index]]

    def _colours(self) -> str:
        return "YCBCR" if int(self.page.photometric) == 6 else "RGB"


def _over_white(picture: Image.Image) -> Pixels:
    ground = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(ground, picture).convert("RGB"))


def _whole_stream(encoded: bytes, page: tifffile.TiffPage) -> bytes:
    """A JPEG file of a tile: with its tables, and a marker that says in which colours it is."""
    ycbcr = int(page.photometric) == 6
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + (b"\x01" if ycbcr else b"\x00")
    tables = b"" if page.jpegtables is None else page.jpegtables[2:-2]
    return b"\xff\xd8" + adobe + tables + encoded[2:]


def seconds(read: Callable[[], object]) -> float:
    began = time.process_time()
    read()
    return time.process_time() - began


def measured(path: Path, ratio: float, window_px: int, runs: int) -> tuple[dict[str, float], dict[str, str]]:
    """Least CPU seconds of each way, and how the pixels differ from those of before."""
    ways = Ways(path, ratio, window_px)
    ways.slide.read_scaled(0, 0, 1, 1, downsample=ratio)  # the check against OpenSlide, once a level
    reads: dict[str, Callable[[], object]] = {
        "before": ways.before,
        "OpenSlide": ways.openslide,
        "by OpenSlide": ways.now_by_openslide,
        "read_scaled": ways.now,
        "tiles": ways.tiles,
        "smaller": ways.smaller,
    }
    least = dict.fromkeys(reads, math.inf)
    for _run in range(runs):
        for name, read in reads.items():
            least[name] = min(least[name], seconds(read))
    before, now, smaller = ways.before(), ways.now(), ways.smaller()
    assert np.array_equal(now, ways.now_by_openslide())
    differences = {"now": _difference(now, before), "smaller": "-" if smaller is None else _difference(smaller, before)}
    if smaller is None:
        least["smaller"] = math.nan
    ways.close()
    return least, differences


def _difference(pixels: Pixels, before: Pixels) -> str:
    difference = np.abs(pixels.astype(np.int16) - before)
    return f"{int(difference.max())} ({100 * float((difference > 0).mean()):.2g} %)"


def maps(path: Path) -> None:
    """How the foreground of the shipped model differs at 2.3, on 1024 px."""
    from histoloop.workflows.prediction.loaded_model import open_model

    model = open_model(device="cpu")
    ways = Ways(path, 2.3, int(1024 * 2.3))
    before, smaller = ways.before(), ways.smaller()
    assert smaller is not None
    ways_to_read = {"before": before, "now": ways.now(), "smaller": smaller}
    found = {name: model.predict_tile(pixels).foreground() for name, pixels in ways_to_read.items()}
    for name in ("now", "smaller"):
        difference = np.abs(found[name] - found["before"])
        flips = float(((found[name] > 0.5) != (found["before"] > 0.5)).mean())
        print(f"{name}: foreground differs by {difference.max():.4f}, mean {difference.mean():.5f}; {flips:.3%} flip")
    ways.close()


def _keep_first_level(path: Path) -> None:
    """Leave a slide its first level alone, tiles as they are encoded."""
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        tiles = [content[at : at + n] for at, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    tifffile.imwrite(
        path,
        iter(tiles),
        shape=page.shape,
        dtype=np.uint8,
        tile=(page.tilelength, page.tilewidth),
        photometric="ycbcr",
        subsampling=(1, 1),
        compression="jpeg",
        metadata=None,
    )


def table(rows: dict[float, tuple[dict[str, float], dict[str, str]]], window_px: int) -> str:
    names = list(next(iter(rows.values()))[0])
    lines = [
        f"CPU seconds for a window of {window_px} x {window_px} level-0 pixels; the last columns are the greatest",
        "difference from before in grey levels, and how many values differ.",
        "",
        f"| ratio | {' | '.join(names)} | read_scaled differs | smaller differ |",
        "|---|" + "---|" * (len(names) + 2),
    ]
    for ratio, (least, differences) in rows.items():
        figures = " | ".join("-" if math.isnan(least[name]) else f"{least[name]:.3f}" for name in names)
        lines.append(f"| {ratio:g} | {figures} | {differences['now']} | {differences['smaller']} |")
    return "\n".join(lines)


def write(text: str) -> None:
    page = PAGE.read_text("utf-8")
    head, rest = page.split(START)
    write_beside(PAGE, f"{head}{START}\n\n{text}\n\n{END}{rest.split(END)[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slide", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--maps", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path, window_px = options.slide, WINDOW_PX
        if path is None:
            path = Path(scratch) / "slide.tiff"
            finish(write_synthetic_slide(path, SyntheticSpec(seed=0, width=SIDE_PX, height=SIDE_PX)))
            _keep_first_level(path)
        else:
            with open_slide(path) as slide:
                window_px = min(WINDOW_PX, slide.width - 2 * LEVEL0_X, slide.height - 2 * LEVEL0_Y)
        if options.maps:
            maps(path)
            return
        text = table({ratio: measured(path, ratio, window_px, options.runs) for ratio in RATIOS}, window_px)
    print(text)
    if options.write:
        write(text)


if __name__ == "__main__":
    main()
