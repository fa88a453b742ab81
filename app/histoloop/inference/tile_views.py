"""A tile predicted in several views: mirrored and at several scales (weakly-supervised thesis, section 3.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.inference.tile_output import TileOutput, enlarged_maps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from histoloop.slides.reader import Pixels

    Floats = NDArray[np.float32]

SCALES = (0.5, 1.0, 1.5, 2.0)
"""The thesis's, of the resolution the model was trained at."""


def predict_in_views(
    predict: Callable[[Pixels], TileOutput], pixels: Pixels, *, scales: Sequence[float] = SCALES
) -> TileOutput:
    """The mean of what `predict` gives of a tile (H, W, 3) uint8 and of its mirror image, at each of the scales.

    Class maps, and what a decoder gives, are turned back, resized to the pixels of the tile (bilinear) and averaged, so
    that the cells of the maps are one pixel wide; scores are averaged as they are. ValueError without a scale or with
    one that is not above 0.
    """
    if not scales or min(scales) <= 0:
        raise ValueError(f"scales must be above 0, not {tuple(scales)}")
    height, width = pixels.shape[:2]
    views = list(_views(predict, pixels, scales))
    found = [_at_size(one, height, width) for one in views]
    masks = [decoded for _maps, decoded in found if decoded is not None]
    return replace(
        views[0],
        height=height,
        width=width,
        scores=np.mean([one.scores for one in views], axis=0),
        map_scores=np.mean([one.map_scores for one in views], axis=0),
        maps=np.mean([maps for maps, _decoded in found], axis=0),
        decoded=np.mean(masks, axis=0) if masks else None,
        cell_px=1,
    )


def _views(predict: Callable[[Pixels], TileOutput], pixels: Pixels, scales: Sequence[float]) -> Iterator[TileOutput]:
    """Of each scale the tile and its mirror image, what is found in the latter turned back."""
    height, width = pixels.shape[:2]
    for scale in scales:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        scaled = pixels if scale == 1 else np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        yield predict(scaled)
        found = predict(np.ascontiguousarray(scaled[:, ::-1]))
        maps = enlarged_maps(found.maps, factor=found.cell_px)[..., : found.width]
        decoded = None if found.decoded is None else found.decoded[..., ::-1]
        yield replace(found, maps=np.ascontiguousarray(maps[..., ::-1]), decoded=decoded, cell_px=1)


def _at_size(output: TileOutput, height: int, width: int) -> tuple[Floats, Floats | None]:
    """The maps (K, height, width), and what a decoder gives, at another size."""
    maps = enlarged_maps(output.maps, factor=output.cell_px)[:, : output.height, : output.width]
    decoded = output.decoded
    return _resized(maps, height, width), None if decoded is None else _resized(decoded, height, width)


def _resized(planes: Floats, height: int, width: int) -> Floats:
    """Planes (H, W) or (K, H, W) at another size, bilinear."""
    stack = planes if planes.ndim == 3 else planes[None]
    if stack.shape[1:] != (height, width):
        resized = [
            np.asarray(Image.fromarray(np.ascontiguousarray(one)).resize((width, height), Image.Resampling.BILINEAR))
            for one in stack
        ]
        stack = np.stack(resized)
    return stack if planes.ndim == 3 else stack[0]
