"""Run a model over the tissue of a slide.

Threads decode tiles while the network runs. A tile's window is its core and a halo as wide as what the network reads
around it, clipped at the border of the slide, so that the maps equal those of one pass over the whole slide. Layers are
computed only as far as the core needs them.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from histoloop.inference.batches import BatchRunner
from histoloop.inference.likeness import pooled_blocks
from histoloop.inference.precision import Precision
from histoloop.inference.windows import SharedWindows
from histoloop.language import tr
from histoloop.localisation.methods import Summary, localisation_methods, localise, posterior_of, summarise
from histoloop.localisation.stitcher import upsample
from histoloop.networks.needed import Box
from histoloop.networks.network import evaluating
from histoloop.progress import Progress, Work
from histoloop.slides.tiling import Tile, TileGrid, Window, tile_grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.inference.likeness import TrainingStatistics
    from histoloop.inference.model import CorePrediction, Model
    from histoloop.networks.network import SlideNetwork
    from histoloop.slides.reader import Slide
    from histoloop.slides.tissue import TissueMask


MIN_TISSUE = 0.5
"""Blocks of a slide with less tissue do not say how unlike the training tiles it is."""


@dataclass(frozen=True, slots=True)
class PredictorSettings:
    """How to run, in working pixels.

    `core_px` per tile is a multiple of the stride; smaller cores need less memory and read more halo. A slide up to
    `whole_px` is done in one tile. `readers` is the number of decoding threads. With the `precision` 'fast' half
    precision is computed in where the device is faster so.
    """

    core_px: int = 1024
    whole_px: int = 1600
    readers: int = 2
    precision: Precision = "exact"


@dataclass(frozen=True, slots=True, eq=False)
class SlidePrediction:
    """What a model predicts of a slide: `scores` and `probabilities` per label, None with a `reason` without tissue.

    `unlike` is how far the slide is from the training tiles, above 1 unlike them; None where nothing is known of these.
    """

    scores: NDArray[np.float32] | None
    probabilities: NDArray[np.float32] | None
    reason: str
    tiles: int
    seconds: float
    unlike: float | None = None


class MapSink(Protocol):
    """Where maps go, core by core.

    `masks` are values in [0, 1], (H, W) of one foreground or (K, H, W) of mask classes; `maps_KHW` are raw class maps,
    a cell per stride.
    """

    def write(self, core: Window, masks: NDArray[np.float32], maps_KHW: NDArray[np.float32]) -> None:
        """Keep the maps of a core."""
        ...


def predict_slide(
    slide: Slide,
    model: Model,
    *,
    downsample: float,
    settings: PredictorSettings,
    tissue: TissueMask | None,
    sink: MapSink,
    statistics: TrainingStatistics | None = None,
) -> Work[SlidePrediction]:
    """Predict the maps of a slide at `downsample` level-0 pixels per network pixel, and its label.

    The slide's scores are the network's own pooling over all predicted cells of the stitched maps. A network without a
    decoder gets its foreground from the stitched maps afterwards, by the method it was made for. Closing the
    generator stops the reading threads; an error of a reader (SlideError) ends it. With the `statistics` of the
    training tiles the features of the same forward passes say how unlike them the slide is.
    """
    started, network = time.monotonic(), model.network
    grid = slide_grid(slide, network, downsample=downsample, settings=settings, tissue=tissue)
    stride, count = network.stride_px, len(grid.tiles)
    names = network.config.map_names(("",) * network.config.labels)
    maps = np.zeros((len(names), grid.height // stride, grid.width // stride), np.float32)
    covered = np.zeros(maps.shape[1:], np.bool_)
    distances: list[NDArray[np.float32]] = []
    stage = tr("Predicting {slide}", slide=slide.path.name)
    done = 0
    yield Progress(stage, 0, count)
    with ExitStack() as stack:
        stack.enter_context(evaluating(network))
        runner = BatchRunner(model.folded(), precision=settings.precision)
        windows = stack.enter_context(_decoded(slide, grid, readers=settings.readers, ahead=runner.size - 1))
        for batch in _alike(windows, runner.size):
            predicted = runner.run([pixels for _tile, pixels in batch], _within(batch[0][0]))
            for (tile, pixels), found in zip(batch, predicted, strict=True):
                if statistics is not None:
                    own = _distances(statistics, found, pixels, tile, downsample=downsample, tissue=tissue)
                    distances.append(own)
                cells = _cells(tile.core, stride)
                maps[:, *cells] = found.maps
                covered[cells] = True
                if found.masks is not None:
                    sink.write(tile.core, found.masks, found.maps)
                done += 1
                yield Progress(stage, done, count, tr("tile {number} of {count}", number=done, count=count))
            del predicted, found  # the next batch needs the memory of their stages
    if not grid.tiles:
        return SlidePrediction(None, None, tr("no tissue was found"), 0, time.monotonic() - started)
    scores = model.score_maps(maps, covered)
    posterior = posterior_of(scores, network.config)
    if not network.config.decoder_channels:
        summary = summarise(
            localisation_methods(network.config)[0], maps[:, covered], network.config, posterior=posterior
        )
        for tile in grid.tiles:
            sink.write(tile.core, _drawn(tile.core, maps, summary, network), maps[:, *_cells(tile.core, stride)])
            yield Progress(stage, count, count, tr("computing the masks"))
    unlike = float(np.median(np.concatenate(distances))) if distances else None
    return SlidePrediction(scores, posterior, "", count, time.monotonic() - started, unlike)


def _alike(
    windows: Iterator[tuple[Tile, NDArray[np.uint8]]], size: int
) -> Iterator[list[tuple[Tile, NDArray[np.uint8]]]]:
    """At most `size` windows that follow each other, are of one size and have their core at the same place."""
    batch: list[tuple[Tile, NDArray[np.uint8]]] = []
    for tile, pixels in windows:
        if batch and (len(batch) == size or pixels.shape != batch[0][1].shape or _within(tile) != _within(batch[0][0])):
            yield batch
            batch = []
        batch.append((tile, pixels))
    if batch:
        yield batch


def _distances(
    statistics: TrainingStatistics,
    found: CorePrediction,
    pixels: NDArray[np.uint8],
    tile: Tile,
    *,
    downsample: float,
    tissue: TissueMask | None,
) -> NDArray[np.float32]:
    """(N,) of the blocks of a tile's core with tissue in half of them; of all where no block has so much."""
    rows, columns = (slice(*span) for span in _within(tile))
    features, places = pooled_blocks(pixels[rows, columns], found.stages)
    distances = statistics.distances(features)
    if tissue is None:
        return distances
    blocks = [Window(tile.core.x + left, tile.core.y + top, width, height) for top, left, height, width in places]
    shares = np.array([tissue.fraction(block.level0(downsample)) for block in blocks])
    return distances[shares >= MIN_TISSUE] if (shares >= MIN_TISSUE).any() else distances[shares == shares.max()]


def _drawn(core: Window, maps: NDArray[np.float32], summary: Summary, network: SlideNetwork) -> NDArray[np.float32]:
    """The foreground of a core, made of the maps of the whole slide."""
    place = {"x": core.x, "y": core.y, "width": core.width, "height": core.height}
    enlarged = upsample(maps, stride_px=network.stride_px, **place)
    return localise(localisation_methods(network.config)[0], enlarged, summary, network.config)


def slide_grid(
    slide: Slide, network: SlideNetwork, *, downsample: float, settings: PredictorSettings, tissue: TissueMask | None
) -> TileGrid:
    """The tiles of a slide: one where it is small enough, else cores with the network's halo."""
    longest = max(slide.width, slide.height) / downsample
    stride = network.stride_px
    core_px = settings.core_px if longest > settings.whole_px else -(-settings.whole_px // stride) * stride
    return tile_grid(
        slide_width=slide.width,
        slide_height=slide.height,
        downsample=downsample,
        core_px=core_px,
        halo_px=network.halo.before_px,
        halo_after_px=network.halo.after_px,
        stride_px=stride,
        tissue=tissue,
    )


@contextmanager
def _decoded(
    slide: Slide, grid: TileGrid, *, readers: int, ahead: int
) -> Iterator[Iterator[tuple[Tile, NDArray[np.uint8]]]]:
    """Tiles with their pixels in order, by threads that hold `readers` + `ahead` + 1 windows at most."""
    pool = ThreadPoolExecutor(readers, thread_name_prefix="histoloop-reader")
    shared = SharedWindows(slide, grid)

    def in_order() -> Iterator[tuple[Tile, NDArray[np.uint8]]]:
        waiting: deque[tuple[Tile, Future[NDArray[np.uint8]]]] = deque()
        for tile in grid.tiles:
            waiting.append((tile, pool.submit(shared.read, tile.window)))
            if len(waiting) > readers + ahead:
                first, pixels = waiting.popleft()
                yield first, pixels.result()
        for first, pixels in waiting:
            yield first, pixels.result()

    try:
        yield in_order()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _within(tile: Tile) -> Box:
    """The core of a tile inside its window."""
    core, window = tile.core, tile.window
    return Box.of(core.y - window.y, core.x - window.x, core.height, core.width)


def _cells(core: Window, stride: int) -> tuple[slice, slice]:
    top, left, height, width = (edge // stride for edge in (core.y, core.x, core.height, core.width))
    return slice(top, top + height), slice(left, left + width)
