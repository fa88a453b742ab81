"""A slide drawn anew from its stored maps: as its tile is drawn, nowhere else, and by what the model offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image

from histoloop.geometry import Region
from histoloop.inference.model import Model
from histoloop.inference.predictor import PredictorSettings, predict_slide
from histoloop.inference.tile_output import TileOutput
from histoloop.localisation.methods import localisation_methods
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.build import build_network
from histoloop.networks.colours import Colours
from histoloop.progress import finish
from histoloop.slides.reader import open_slide
from histoloop.slides.tiling import Window
from histoloop.store.maps import MapWriter, SlideMap, open_map
from histoloop.workflows.contents.masks import choose_method, view_map

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme

COLOURS = Colours((0.6, 0.4, 0.6), (0.2, 0.2, 0.2))
AVERAGE = PoolingConfig(name="average", modalities=1)
METHODS: dict[str, dict[str, object]] = {
    "cam": {"stride": 16},
    "attention": {"pooling": PoolingConfig(name="gated-attention", hidden=8)},
    "one-sided": {"pooling": PoolingConfig(name="generalised-mean", modalities=1)},
    "size": {"background": True},
    "min-max": {"minmax": MinMaxConfig()},
    "decoder": {"decoder_channels": (8, 8, 8, 8, 8)},
}
EXTENT = Region(0, 0, 150, 90)


@dataclass(frozen=True, eq=False)
class Predicted:
    """A slide of one tile, as it was predicted and as its tile is looked at."""

    slide_map: SlideMap
    config: NetworkConfig
    probabilities: dict[str, float]
    output: TileOutput


@pytest.fixture(scope="module", params=METHODS)
def predicted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, scheme: ClassScheme
) -> Predicted:
    torch.manual_seed(0)
    base = {"labels": 2, "backbone": "mobilenet_v2", "pooling": AVERAGE, "decoder_channels": ()}
    network = build_network(NetworkConfig(**{**base, **METHODS[request.param]}))  # type: ignore[arg-type]
    for module in network.modules():  # statistics of noise: without any, random weights give constant maps
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(2, 3, 64, 96))
    model = Model(network.eval(), COLOURS, torch.device("cpu"))
    folder = tmp_path_factory.mktemp("slide")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 150, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    names = scheme.label_names
    with (
        open_slide(folder / "a.png") as slide,
        MapWriter(
            folder / "maps",
            slide_width=150,
            slide_height=90,
            downsample=1.0,
            labels=names,
            maps=network.config.map_names(names),
            label_bias=network.label_bias(),
            stride_px=network.stride_px,
            model_hash="aa",
        ) as writer,
    ):
        work = predict_slide(slide, model, downsample=1.0, settings=PredictorSettings(), tissue=None, sink=writer)
        prediction = finish(work)
    assert prediction.probabilities is not None
    probabilities = dict(zip(names, map(float, prediction.probabilities), strict=True))
    output = model.predict_tile(pixels)
    return Predicted(open_map(folder / "maps"), network.config, probabilities, output)


def test_a_slide_of_one_tile_is_drawn_as_its_tile(predicted: Predicted, scheme: ClassScheme) -> None:
    likeliest = int(np.argmax(list(predicted.probabilities.values())))  # the maps' own: min-max hears the classifier
    for name in localisation_methods(predicted.config):
        for label in (None, *scheme.label_names):
            method = choose_method(
                predicted.slide_map, predicted.config, name, probabilities=predicted.probabilities, label=label
            )
            view = view_map(predicted.slide_map, scheme, EXTENT, size=(150, 90), threshold=0.5, method=method)
            index = likeliest if label is None else scheme.label_names.index(label)
            expected = predicted.output.foreground(name, label=index)
            assert_allclose(view.foreground, expected, atol=2e-3, err_msg=f"{name} of {label}")
            assert np.array_equal(view.mask > 0, view.foreground > 0.5)


def test_the_drawing_that_is_stored_needs_no_drawing(predicted: Predicted) -> None:
    own = localisation_methods(predicted.config)[0]
    chosen = choose_method(predicted.slide_map, predicted.config, own, probabilities=predicted.probabilities)
    assert chosen is None


def test_a_drawing_that_the_model_does_not_offer_is_refused(predicted: Predicted) -> None:
    with pytest.raises(ValueError, match="it offers"):
        choose_method(predicted.slide_map, predicted.config, "paint", probabilities=predicted.probabilities)


# --- slides that were predicted in part -----------------------------------------------------------------------------

CAM = NetworkConfig(2, pooling=AVERAGE, decoder_channels=())


def in_part(folder: Path, scheme: ClassScheme, *cores: Window, size: tuple[int, int] = (160, 96)) -> SlideMap:
    """The second label is likeliest wherever it was predicted."""
    with MapWriter(
        folder, slide_width=size[0], slide_height=size[1], downsample=1.0, labels=scheme.label_names, stride_px=32,
        model_hash="aa",
    ) as writer:  # fmt: skip
        for core in cores:
            maps = np.zeros((2, core.height // 32, core.width // 32), np.float32)
            maps[1] = 9.0
            writer.write(core, np.zeros((core.height, core.width), np.float32), maps)
    return open_map(folder)


def test_nothing_is_drawn_where_nothing_was_predicted(tmp_path: Path, scheme: ClassScheme) -> None:
    slide_map = in_part(tmp_path / "m", scheme, Window(32, 32, 64, 32))
    method = choose_method(slide_map, CAM, "cam", probabilities={}, label="malignant")
    view = view_map(slide_map, scheme, Region(0, 0, 160, 96), size=(160, 96), threshold=0.5, method=method)
    expected = np.zeros((96, 160), bool)
    expected[32:64, 32:96] = True
    assert np.array_equal(view.foreground > 0, expected)
    assert np.array_equal(view.mask, np.where(expected, 2, 0))


def test_nothing_is_drawn_outside_the_slide(tmp_path: Path, scheme: ClassScheme) -> None:
    slide_map = in_part(tmp_path / "m", scheme, Window(0, 0, 160, 96))
    method = choose_method(slide_map, CAM, "cam", probabilities={}, label="malignant")
    view = view_map(slide_map, scheme, Region(-40, -33, 250, 170), size=(250, 170), threshold=0.5, method=method)
    expected = np.zeros((170, 250), bool)
    expected[33 : 33 + 96, 40 : 40 + 160] = True
    assert np.array_equal(view.foreground > 0, expected)


def test_a_drawing_seen_from_afar_lies_where_it_lies_near(tmp_path: Path, scheme: ClassScheme) -> None:
    slide_map = in_part(tmp_path / "m", scheme, Window(512, 256, 256, 128), size=(1280, 640))
    method = choose_method(slide_map, CAM, "cam", probabilities={}, label="malignant")
    assert len(slide_map.level_downsamples) > 1
    view = view_map(slide_map, scheme, Region(0, 0, 1280, 640), size=(160, 80), threshold=0.5, method=method)
    expected = np.zeros((80, 160), bool)
    expected[32:48, 64:96] = True
    assert np.array_equal(view.mask > 0, expected)


def test_a_slide_without_tissue_has_nothing_to_draw(tmp_path: Path, scheme: ClassScheme) -> None:
    slide_map = in_part(tmp_path / "m", scheme)
    assert choose_method(slide_map, CAM, "grad-cam", probabilities={}, label="malignant") is None
    view = view_map(slide_map, scheme, Region(0, 0, 160, 96), size=(160, 96), threshold=0.5, method=None)
    assert not view.mask.any()
