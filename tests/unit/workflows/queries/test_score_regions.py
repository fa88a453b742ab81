"""Scores by the network: glass in a region adds nothing to them, and tissue alone is scored as it always was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histoloop.acquisition.strategies import STRATEGIES
from histoloop.acquisition.strategies.discrepancy import discrepancy_map
from histoloop.acquisition.strategies.dropout import PassVariance
from histoloop.acquisition.strategies.uncertainty import mean_pixel_entropy, pixel_entropy
from histoloop.inference.features import Features, decode, outcomes
from histoloop.networks.unet import Decoder
from histoloop.progress import finish
from histoloop.training.features import FeatureTile
from histoloop.workflows.queries.score_regions import (
    CPU,
    EarlierModel,
    NetworkInputs,
    Networks,
    ScoringSettings,
    score_regions,
)
from histoloop.workflows.queries.vaal_scores import VaalSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANNELS = (4, 4, 6, 8, 8)
SIDE = 64


@dataclass(frozen=True)
class Region:
    """A region with random features, glass on its right from a column on."""

    glass_from: int | None
    seed: int = 0
    class_name: str = "a"
    slide_name: str = "slide"

    def features(self) -> Features:
        generator = torch.Generator().manual_seed(self.seed)
        stages = tuple(
            torch.randn((channels, SIDE // 2**depth, SIDE // 2**depth), generator=generator).half()
            for depth, channels in enumerate(CHANNELS, start=1)
        )
        return Features(stages, torch.zeros(2), SIDE, SIDE)

    def pixels(self) -> NDArray[np.uint8]:
        return np.random.default_rng(self.seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)

    def feature_tile(self) -> FeatureTile:
        return FeatureTile(self.features(), np.ones((SIDE, SIDE), np.uint8))

    def glass(self, height: int, width: int) -> NDArray[np.bool_] | None:
        if self.glass_from is None:
            return None
        found = np.zeros((height, width), bool)
        found[:, self.glass_from :] = True
        return found


def decoder(seed: int, classes: int) -> Decoder:
    torch.manual_seed(seed)
    return Decoder(CHANNELS, (8, 8, 8, 8, 8), mask_classes=classes).eval()


def inputs(*candidates: Region, classes: int = 1, annotated: tuple[Region, ...] = ()) -> NetworkInputs:
    earlier = EarlierModel(decoder(2, classes))
    return NetworkInputs(
        candidates,
        annotated=annotated,
        networks=Networks(decoder(1, classes), lambda: earlier),
        settings=ScoringSettings(passes=3),
        seed=0,
    )


@pytest.mark.parametrize("classes", [1, 3])
def test_of_tissue_alone_the_decoder_s_own_output_is_scored(classes: int) -> None:
    region = Region(None)
    plain = decode(decoder(1, classes), region.features(), device=CPU)
    np.testing.assert_array_equal(inputs(region, classes=classes).output(0).logits, plain)


@pytest.mark.parametrize("classes", [1, 3])
def test_glass_adds_nothing_to_what_is_unsure(classes: int) -> None:
    region = Region(40)
    plain = outcomes(decode(decoder(1, classes), region.features(), device=CPU))
    found = inputs(region, classes=classes).outcomes(0)
    np.testing.assert_array_equal(found[..., :40], plain[..., :40])
    expected = pixel_entropy(plain)[:, :40].sum() / SIDE**2
    assert mean_pixel_entropy(found) == pytest.approx(expected, rel=1e-6)
    assert expected < 0.9 * mean_pixel_entropy(plain)


@pytest.mark.parametrize("classes", [1, 3])
def test_glass_adds_nothing_to_what_wavers_or_has_changed(classes: int) -> None:
    given = inputs(Region(40), classes=classes)
    running = PassVariance()
    for one in given.passes(0):
        running.add(one)
    moved = discrepancy_map(given.earlier_output(0).logits, given.output(0).logits)
    for strength in (running.variance(), moved):
        assert strength[:, :40].max() > 1e-6
        assert strength[:, 40:].max() < 1e-12


def test_features_are_those_of_the_tissue() -> None:
    glass = Region(40)
    whole = glass.features().stages[-1].float().numpy()  # cells of 32 pixels: the second has tissue up to column 40
    np.testing.assert_allclose(inputs(glass).embedding(0), whole.mean(axis=(1, 2)), rtol=1e-5)
    half = inputs(Region(32), annotated=(Region(32, seed=3),))
    np.testing.assert_allclose(half.embedding(0), whole[:, :, 0].mean(axis=1), rtol=1e-5)
    other = Region(None, seed=3).features().stages[-1].float().numpy()
    np.testing.assert_allclose(half.annotated_embeddings()[0], other[:, :, 0].mean(axis=1), rtol=1e-5)


def test_a_region_of_glass_alone_is_asked_about_last() -> None:
    candidates = [Region(0, seed=1), Region(None, seed=1), Region(30, seed=1)]
    for name in ("mc-dropout", "cod", "cod-softmax"):
        given = inputs(*candidates)
        scores = finish(given.score(STRATEGIES[name]))(())
        assert scores[0] == pytest.approx(0, abs=1e-9)
        assert scores[0] < scores[2] < scores[1]


def test_what_tells_regions_apart_by_their_pixels_sees_no_difference_in_glass() -> None:
    class Dirty(Region):
        def pixels(self) -> NDArray[np.uint8]:
            pixels = super().pixels().copy()
            pixels[:, 32:] = 7
            return pixels

    annotated = (Region(32, seed=5), Region(32, seed=6))
    networks = Networks(decoder(1, 1), lambda: EarlierModel(decoder(2, 1)))
    settings = ScoringSettings(passes=2, vaal=VaalSettings(steps=3))
    clean, dirty = (
        finish(
            score_regions(
                STRATEGIES["vaal"],
                [region, Region(32, seed=2)],
                annotated=annotated,
                networks=networks,
                settings=settings,
                seed=0,
            )
        )(())
        for region in (Region(32, seed=1), Dirty(32, seed=1))
    )
    np.testing.assert_array_equal(clean, dirty)
