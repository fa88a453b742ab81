"""Tiles of a slide whose pixels are resized give the map of the whole slide too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from histoloop.inference.model import Model
from histoloop.inference.predictor import PredictorSettings, predict_slide
from histoloop.network_config import NetworkConfig
from histoloop.networks.build import build_network
from histoloop.networks.colours import Colours
from histoloop.progress import finish
from histoloop.slides.reader import open_slide

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.slides.reader import Slide
    from histoloop.slides.tiling import Window


class Foreground:
    """A sink that keeps the foreground."""

    def __init__(self, width: int, height: int) -> None:
        self.values = np.full((height, width), np.nan, np.float32)

    def write(self, core: Window, foreground_HW: np.ndarray, _labels_CHW: np.ndarray) -> None:
        self.values[core.y : core.bottom, core.x : core.right] = foreground_HW


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Slide:
    coarse = np.random.default_rng(1).integers(0, 256, (20, 190, 3), np.uint8)
    path: Path = tmp_path_factory.mktemp("slide") / "strip.png"
    Image.fromarray(coarse).resize((1900, 200), Image.Resampling.BICUBIC).save(path)
    return open_slide(path)


@pytest.mark.parametrize("downsample", [1.15, 2.3])
def test_the_map_of_a_resized_slide_is_the_same_in_tiles_and_whole(slide: Slide, downsample: float) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkConfig(labels=3, decoder_channels=(16, 16, 8, 8, 8)))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    model = Model(network.eval(), Colours((0.6, 0.4, 0.6), (0.2, 0.2, 0.2)), torch.device("cpu"))
    size = [-(-int(np.ceil(side / downsample)) // 32) * 32 for side in (slide.width, slide.height)]
    found = []
    for settings in (PredictorSettings(whole_px=4096), PredictorSettings(whole_px=64, core_px=256)):
        sink = Foreground(*size)
        finish(predict_slide(slide, model, downsample=downsample, settings=settings, tissue=None, sink=sink))
        found.append(sink.values)
    np.testing.assert_allclose(found[1], found[0], atol=min(1e-4, 0.01 * float(np.ptp(found[0]))))
