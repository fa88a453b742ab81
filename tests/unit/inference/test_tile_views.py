"""A tile predicted in several views: the mean over mirror images and scales, at the tile's own pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from histoloop.inference.tile_output import TileOutput
from histoloop.inference.tile_views import predict_in_views
from histoloop.network_config import NetworkConfig, PoolingConfig

CONFIG = NetworkConfig(
    labels=2, backbone="mobilenet_v2", pooling=PoolingConfig(name="average", modalities=1), decoder_channels=()
)
CELL_PX = 16


def seen(pixels: np.ndarray) -> TileOutput:
    """A network whose maps are the means of two colours in a cell, and whose decoder gives the third."""
    height, width = pixels.shape[:2]
    rows, columns = -(-height // CELL_PX), -(-width // CELL_PX)
    padded = np.full((rows * CELL_PX, columns * CELL_PX, 3), 255, np.float32)
    padded[:height, :width] = pixels
    cells = padded.reshape(rows, CELL_PX, columns, CELL_PX, 3).mean(axis=(1, 3)).astype(np.float32) / 255
    maps = np.ascontiguousarray(cells[..., :2].transpose(2, 0, 1))
    scores = np.array([width, height], np.float32)
    return TileOutput(CONFIG, (0.0, 0.0), height, width, scores, scores + 1, maps, pixels[..., 2] / np.float32(255),
                      CELL_PX)  # fmt: skip


def tile(height: int = 60, width: int = 92) -> np.ndarray:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def test_scores_are_the_mean_over_the_views() -> None:
    found = predict_in_views(seen, tile(60, 92), scales=(0.5, 1, 1.5, 2))
    assert_allclose(found.scores, [92 * 1.25, 60 * 1.25])
    assert_allclose(found.map_scores, found.scores + 1)


def test_a_mirrored_tile_gives_the_mirrored_foreground() -> None:
    pixels = tile()
    found = predict_in_views(seen, pixels)
    mirrored = predict_in_views(seen, np.ascontiguousarray(pixels[:, ::-1]))
    assert found.maps.shape == (2, 60, 92)
    assert_allclose(mirrored.maps, found.maps[..., ::-1], atol=1e-5)
    assert_allclose(mirrored.decoded, found.decoded[..., ::-1], atol=1e-5)
    one_view = seen(pixels).foreground("cam")
    assert np.abs(one_view[:, ::-1] - seen(np.ascontiguousarray(pixels[:, ::-1])).foreground("cam")).max() > 0.01


def test_what_a_decoder_gives_is_resized_to_the_tile_and_averaged() -> None:
    pixels = tile(64, 64)
    expected = []
    for side in (32, 64, 96, 128):
        plane = np.array(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))[..., 2]
        for turned in (plane, plane[:, ::-1]):
            back = Image.fromarray(turned / np.float32(255)).resize((64, 64), Image.Resampling.BILINEAR)
            expected.append(np.asarray(back) if turned is plane else np.asarray(back)[:, ::-1])
    assert_allclose(predict_in_views(seen, pixels).decoded, np.mean(expected, axis=0), atol=1e-5)


def test_without_a_decoder_there_is_no_mean_of_it() -> None:
    assert predict_in_views(lambda pixels: replace(seen(pixels), decoded=None), tile()).decoded is None


@pytest.mark.parametrize("scales", [(), (1, 0), (-1,)])
def test_scales_that_cannot_be_are_refused(scales: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="scales must be above 0"):
        predict_in_views(seen, tile(), scales=scales)
