"""Tiles give the map of the whole slide; the slide's label is pooled over the whole map; nothing is left behind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from histoloop.errors import SlideError
from histoloop.inference.predictor import PredictorSettings, SlidePrediction, predict_slide
from histoloop.networks.config import NetworkConfig
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import Progress, finish
from histoloop.slides.reader import Pixels, Slide, open_slide
from histoloop.slides.tissue import TissueMask

if TYPE_CHECKING:
    from histoloop.slides.tiling import Window

COLOURS = {"mean": (0.6, 0.4, 0.6), "std": (0.2, 0.2, 0.2)}
WHOLE = PredictorSettings(whole_px=4096)
TILED = PredictorSettings(whole_px=64, core_px=256)


class Maps:
    """A sink that keeps everything."""

    def __init__(self, width: int, height: int, labels: int) -> None:
        self.foreground = np.full((height, width), np.nan, np.float32)
        self.labels = np.full((labels, height // 32, width // 32), np.nan, np.float32)

    def write(self, core: Window, foreground_HW: np.ndarray, labels_CHW: np.ndarray) -> None:
        assert np.isnan(self.foreground[core.y : core.bottom, core.x : core.right]).all(), "written twice"
        self.foreground[core.y : core.bottom, core.x : core.right] = foreground_HW
        self.labels[:, core.y // 32 : core.bottom // 32, core.x // 32 : core.right // 32] = labels_CHW


@pytest.fixture(scope="module")
def network() -> Hybrid:
    """Random weights with batch-norm statistics as after training."""
    torch.manual_seed(0)
    hybrid = Hybrid(NetworkConfig(labels=3, decoder_channels=(16, 16, 8, 8, 8)))
    for module in hybrid.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return hybrid.eval()


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Slide:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (45, 60, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((1190, 890), Image.Resampling.BICUBIC)
    path = tmp_path_factory.mktemp("slide") / "noise.png"
    picture.save(path)
    return open_slide(path)


def predict(
    slide: Slide, network: Hybrid, settings: PredictorSettings, tissue: TissueMask | None = None
) -> tuple[SlidePrediction, Maps]:
    maps = Maps(1216, 896, 3)
    work = predict_slide(slide, network, downsample=1.0, settings=settings, tissue=tissue, sink=maps, **COLOURS)
    return finish(work), maps


def test_the_map_predicted_in_tiles_equals_the_map_predicted_whole(slide: Slide, network: Hybrid) -> None:
    (whole, whole_maps), (tiled, tiled_maps) = predict(slide, network, WHOLE), predict(slide, network, TILED)
    assert (whole.tiles, tiled.tiles) == (1, 20)
    assert np.ptp(whole_maps.foreground) > 0.05
    np.testing.assert_allclose(tiled_maps.foreground, whole_maps.foreground, atol=1e-4)
    np.testing.assert_allclose(tiled_maps.labels, whole_maps.labels, atol=1e-3 * np.ptp(whole_maps.labels))
    assert whole.scores is not None
    assert tiled.scores is not None
    np.testing.assert_allclose(tiled.scores, whole.scores, rtol=1e-3, atol=1e-3)


def test_the_label_of_a_slide_is_the_networks_own_pooling_over_the_whole_map(slide: Slide, network: Hybrid) -> None:
    prediction, maps = predict(slide, network, TILED)
    expected = network.score(torch.from_numpy(maps.labels)[None])[0]
    np.testing.assert_allclose(prediction.scores, expected.detach(), rtol=1e-5)
    assert prediction.probabilities is not None
    assert float(prediction.probabilities.sum()) == pytest.approx(1)


def test_only_tiles_with_tissue_are_predicted_and_pooled(slide: Slide, network: Hybrid) -> None:
    mask = np.zeros((90, 119), bool)
    mask[:20, :20] = True  # the first tile only
    prediction, maps = predict(slide, network, TILED, TissueMask(mask, 10.0))
    assert prediction.tiles == 1
    assert not np.isnan(maps.foreground[:256, :256]).any()
    assert np.isnan(maps.foreground[256:]).all()
    first = torch.from_numpy(maps.labels[None, :, :8, :8])
    np.testing.assert_allclose(prediction.scores, network.score(first)[0].detach(), rtol=1e-5)


def test_a_slide_without_tissue_has_no_label_and_says_why(slide: Slide, network: Hybrid) -> None:
    prediction, _ = predict(slide, network, TILED, TissueMask(np.zeros((9, 12), bool), 100.0))
    assert prediction.probabilities is None
    assert "no tissue" in prediction.reason


def test_every_tile_is_told_of(slide: Slide, network: Hybrid) -> None:
    steps: list[Progress] = []
    work = predict_slide(
        slide, network, downsample=4.0, settings=PredictorSettings(whole_px=32, core_px=128), tissue=None,
        sink=Maps(320, 224, 3), **COLOURS,
    )  # fmt: skip
    finish(work, steps.append)
    assert [step.done for step in steps] == list(range(7))
    assert steps[-1].fraction == 1


def reader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("histoloop-reader")]


def test_cancelling_ends_the_reading_threads_and_leaves_the_network_as_it_was(slide: Slide, network: Hybrid) -> None:
    network.train()
    work = predict_slide(
        slide, network, downsample=1.0, settings=TILED, tissue=None, sink=Maps(1216, 896, 3), **COLOURS
    )
    next(work)
    next(work)
    assert reader_threads()
    work.close()
    assert not reader_threads()
    assert network.training
    network.eval()


def test_an_error_while_reading_keeps_its_kind(slide: Slide, network: Hybrid, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Pixels:
        raise SlideError(Path("a.svs"), "it is broken", advice="Copy it again.")

    monkeypatch.setattr(slide, "read_scaled", broken)
    with pytest.raises(SlideError, match="broken"):
        predict(slide, network, TILED)
    assert not reader_threads()
