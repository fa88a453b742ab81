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
from histoloop.inference.likeness import Depth, TrainingStatistics
from histoloop.inference.model import Model
from histoloop.inference.predictor import PredictorSettings, SlidePrediction, predict_slide
from histoloop.localisation.methods import localisation_methods, localise, posterior_of, summarise
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.build import build_network
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import Progress, finish
from histoloop.slides.reader import Pixels, Slide, open_slide
from histoloop.slides.tissue import TissueMask

if TYPE_CHECKING:
    from histoloop.network_config import ScoreKind
    from histoloop.networks.network import SlideNetwork
    from histoloop.slides.tiling import Window

CPU = torch.device("cpu")
COLOURS = Colours((0.6, 0.4, 0.6), (0.2, 0.2, 0.2))
WHOLE = PredictorSettings(whole_px=4096)
TILED = PredictorSettings(whole_px=64, core_px=256)


class Maps:
    """A sink that keeps everything."""

    def __init__(self, width: int, height: int, labels: int, *, stride: int = 32) -> None:
        self.stride = stride
        self.foreground = np.full((height, width), np.nan, np.float32)
        self.labels = np.full((labels, height // stride, width // stride), np.nan, np.float32)

    def write(self, core: Window, foreground_HW: np.ndarray, labels_CHW: np.ndarray) -> None:
        assert np.isnan(self.foreground[core.y : core.bottom, core.x : core.right]).all(), "written twice"
        self.foreground[core.y : core.bottom, core.x : core.right] = foreground_HW
        top, left, bottom, right = (edge // self.stride for edge in (core.y, core.x, core.bottom, core.right))
        self.labels[:, top:bottom, left:right] = labels_CHW


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
    work = predict_slide(
        slide, Model(network, COLOURS, CPU), downsample=1.0, settings=settings, tissue=tissue, sink=maps
    )
    return finish(work), maps


@pytest.fixture(scope="module")
def in_tiles(slide: Slide, network: Hybrid) -> tuple[SlidePrediction, Maps]:
    return predict(slide, network, TILED)


def test_the_map_predicted_in_tiles_equals_the_map_predicted_whole(
    slide: Slide, network: Hybrid, in_tiles: tuple[SlidePrediction, Maps]
) -> None:
    (whole, whole_maps), (tiled, tiled_maps) = predict(slide, network, WHOLE), in_tiles
    assert (whole.tiles, tiled.tiles) == (1, 20)
    assert np.ptp(whole_maps.foreground) > 0.05
    np.testing.assert_allclose(tiled_maps.foreground, whole_maps.foreground, atol=1e-4)
    np.testing.assert_allclose(tiled_maps.labels, whole_maps.labels, atol=1e-3 * np.ptp(whole_maps.labels))
    assert whole.scores is not None
    assert tiled.scores is not None
    np.testing.assert_allclose(tiled.scores, whole.scores, rtol=1e-3, atol=1e-3)


def test_a_part_of_a_core_is_predicted_as_it_is_in_the_whole_slide(
    slide: Slide, network: Hybrid, in_tiles: tuple[SlidePrediction, Maps]
) -> None:
    mask = np.zeros((90, 119), bool)
    mask[40:46, 70:74] = True
    prediction, maps = predict(slide, network, TILED, TissueMask(mask, 10.0))
    assert prediction.tiles == 1
    rows, columns = slice(384, 480), slice(672, 768)
    assert np.isnan(maps.foreground).sum() == maps.foreground.size - 96 * 96
    np.testing.assert_allclose(
        maps.foreground[rows, columns], in_tiles[1].foreground[rows, columns], rtol=1e-5, atol=1e-5
    )


def test_the_label_of_a_slide_is_the_networks_own_pooling_over_the_whole_map(
    network: Hybrid, in_tiles: tuple[SlidePrediction, Maps]
) -> None:
    prediction, maps = in_tiles
    expected = network.score(torch.from_numpy(maps.labels)[None])[0]
    np.testing.assert_allclose(prediction.scores, expected.detach(), rtol=1e-5)
    assert prediction.probabilities is not None
    assert float(prediction.probabilities.sum()) == pytest.approx(1)


def test_only_what_is_around_tissue_is_predicted_and_pooled(slide: Slide, network: Hybrid) -> None:
    mask = np.zeros((90, 119), bool)
    mask[:20, :20] = True  # the first tile only
    prediction, maps = predict(slide, network, TILED, TissueMask(mask, 10.0))
    assert prediction.tiles == 1
    assert not np.isnan(maps.foreground[:224, :224]).any()
    assert np.isnan(maps.foreground[224:]).all()
    assert np.isnan(maps.foreground[:, 224:]).all()
    first = torch.from_numpy(maps.labels[None, :, :7, :7])
    np.testing.assert_allclose(prediction.scores, network.score(first)[0].detach(), rtol=1e-5)


def test_a_slide_without_tissue_has_no_label_and_says_why(slide: Slide, network: Hybrid) -> None:
    prediction, _ = predict(slide, network, TILED, TissueMask(np.zeros((9, 12), bool), 100.0))
    assert prediction.probabilities is None
    assert "no tissue" in prediction.reason


# --- networks without a decoder: the foreground is drawn from the maps of the whole slide ---------------------------


def calibrated(made: SlideNetwork) -> SlideNetwork:
    """Batch-norm statistics of noise: without any, random weights give constant maps."""
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        made.forward_classifier(torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)))
    return made.eval()


@pytest.fixture(scope="module")
def strip(tmp_path_factory: pytest.TempPathFactory) -> Slide:
    """A slide that is wider than a core with its halo."""
    coarse = np.random.default_rng(1).integers(0, 256, (16, 45, 3), np.uint8)
    path = tmp_path_factory.mktemp("slide") / "strip.png"
    Image.fromarray(coarse).resize((890, 310), Image.Resampling.BICUBIC).save(path)
    return open_slide(path)


METHODS: dict[str, dict[str, object]] = {
    "cam": {"stride": 16},
    "attention": {"pooling": PoolingConfig(name="attention", hidden=8)},
    "size": {"background": True},
    "min-max": {"minmax": MinMaxConfig()},
    "sigmoid": {"pooling": PoolingConfig(name="generalised-mean", modalities=1), "scores": "sigmoid"},
}


@pytest.mark.parametrize("method", METHODS)
def test_masks_drawn_from_maps_predicted_in_tiles_equal_those_drawn_whole(strip: Slide, method: str) -> None:
    torch.manual_seed(0)
    average = PoolingConfig(name="average", modalities=1)
    changes = {"labels": 2, "backbone": "mobilenet_v2", "pooling": average, "decoder_channels": (), **METHODS[method]}
    made = calibrated(build_network(NetworkConfig(**changes)))  # type: ignore[arg-type]
    stride, count = made.stride_px, len(made.config.map_names(("a", "b")))

    def run(settings: PredictorSettings) -> tuple[SlidePrediction, Maps]:
        maps = Maps(896, 320, count, stride=stride)
        work = predict_slide(
            strip, Model(made, COLOURS, CPU), downsample=1.0, settings=settings, tissue=None, sink=maps
        )
        return finish(work), maps

    (whole, whole_maps), (tiled, tiled_maps) = run(WHOLE), run(PredictorSettings(whole_px=64, core_px=320))
    assert (whole.tiles, tiled.tiles) == (1, 3)
    np.testing.assert_allclose(tiled_maps.labels, whole_maps.labels, atol=1e-3 * np.ptp(whole_maps.labels))
    np.testing.assert_allclose(tiled_maps.foreground, whole_maps.foreground, atol=2e-3)
    np.testing.assert_allclose(tiled.scores, whole.scores, rtol=1e-3, atol=1e-3)
    assert localisation_methods(made.config)[0] == method
    summary = summarise(
        method, whole_maps.labels.reshape(count, -1), made.config, posterior=np.asarray(whole.probabilities)
    )
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(whole_maps.labels)[None], scale_factor=float(stride), mode="bilinear", align_corners=False
    )[0].numpy()
    np.testing.assert_allclose(whole_maps.foreground, localise(method, enlarged, summary, made.config), atol=1e-3)


@pytest.mark.parametrize("scores", ["softmax", "sigmoid"])
def test_a_slide_has_the_probabilities_that_the_network_was_trained_for(strip: Slide, scores: ScoreKind) -> None:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="average", modalities=1)
    config = NetworkConfig(3, backbone="mobilenet_v2", pooling=pooling, decoder_channels=(), scores=scores)
    made = calibrated(build_network(config))
    work = predict_slide(
        strip, Model(made, COLOURS, CPU), downsample=1.0, settings=WHOLE, tissue=None, sink=Maps(896, 320, 3)
    )  # fmt: skip
    found = finish(work)
    assert found.scores is not None
    logits = torch.from_numpy(found.scores)
    expected = logits.softmax(dim=0) if scores == "softmax" else logits.sigmoid()
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5)


def test_a_part_of_a_slide_is_drawn_from_the_cells_that_were_predicted(strip: Slide) -> None:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="attention", hidden=8)
    config = NetworkConfig(2, backbone="mobilenet_v2", pooling=pooling, decoder_channels=())
    made = calibrated(build_network(config))
    mask = np.zeros((31, 89), bool)
    mask[:, :32] = True
    maps = Maps(896, 320, 4)
    settings, tissue = PredictorSettings(whole_px=64, core_px=320), TissueMask(mask, 10.0)
    finish(predict_slide(strip, Model(made, COLOURS, CPU), downsample=1.0, settings=settings, tissue=tissue, sink=maps))
    assert np.isnan(maps.foreground[:, 320:]).all()
    cells = maps.labels[:, :10, :10]
    assert np.isfinite(cells).all()
    found = maps.foreground[:320, :320]
    # of its 100 cells, and of no others, one hundredth of the attention is the threshold
    scores = made.score(torch.from_numpy(cells)[None])[0].detach().numpy()
    summary = summarise("attention", cells.reshape(4, -1), config, posterior=posterior_of(scores, config))
    middles = found[16::32, 16::32][1:-1, 1:-1]
    close = localise("attention", cells, summary, config)[1:-1, 1:-1]
    np.testing.assert_allclose(middles, close, atol=0.05)


def test_every_tile_is_told_of(slide: Slide, network: Hybrid) -> None:
    steps: list[Progress] = []
    work = predict_slide(
        slide, Model(network, COLOURS, CPU), downsample=4.0, settings=PredictorSettings(whole_px=32, core_px=128),
        tissue=None, sink=Maps(320, 224, 3),
    )  # fmt: skip
    finish(work, steps.append)
    assert [step.done for step in steps] == list(range(7))
    assert steps[-1].fraction == 1


def reader_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("histoloop-reader")]


def test_cancelling_ends_the_reading_threads_and_leaves_the_network_as_it_was(slide: Slide, network: Hybrid) -> None:
    network.train()
    work = predict_slide(
        slide, Model(network, COLOURS, CPU), downsample=1.0, settings=TILED, tissue=None, sink=Maps(1216, 896, 3)
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


# --- how unlike the training tiles ------------------------------------------------------------------------------------


def statistics_at(features: list[np.ndarray]) -> TrainingStatistics:
    """Around the first of some blocks' features."""
    depths = [Depth(own[:1], np.eye(own.shape[1], dtype=np.float32), 1.0) for own in features]
    return TrainingStatistics(tuple(depths), 1.0)


def test_a_slide_is_as_unlike_as_the_median_of_its_blocks_and_the_network_runs_once(
    slide: Slide, network: Hybrid
) -> None:
    model, maps = Model(network, COLOURS, CPU), Maps(1216, 896, 3)
    features = model.block_features(slide.read_region(slide.extent))
    statistics = statistics_at(features)
    passes: list[object] = []
    hook = network.backbone.register_forward_hook(lambda *_args: passes.append(None))
    found = finish(
        predict_slide(slide, model, downsample=1.0, settings=WHOLE, tissue=None, sink=maps, statistics=statistics)
    )
    hook.remove()
    assert len(passes) == found.tiles == 1
    assert found.unlike == pytest.approx(float(np.median(statistics.distances(features))), rel=1e-3)
    assert found.unlike > 0


def test_blocks_on_glass_do_not_say_how_unlike_a_slide_is(slide: Slide, network: Hybrid) -> None:
    model, maps = Model(network, COLOURS, CPU), Maps(1216, 896, 3)
    statistics = statistics_at(model.block_features(slide.read_region(slide.extent)))
    corner = np.zeros((90, 119), bool)
    corner[:26, :26] = True
    found = finish(
        predict_slide(
            slide,
            model,
            downsample=1.0,
            settings=WHOLE,
            tissue=TissueMask(corner, 10.0),
            sink=maps,
            statistics=statistics,
        )
    )
    assert found.unlike == pytest.approx(0, abs=1e-2)


def test_without_statistics_nothing_is_said(in_tiles: tuple[SlidePrediction, Maps]) -> None:
    assert in_tiles[0].unlike is None
