"""What an attack on a model reports: norms over the tiles' own pixels, in the order of the tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import DataError, ModelError
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import Progress, finish
from histoloop.store.cards import Card
from histoloop.training.classify import classify
from histoloop.training.ddn import DdnSettings
from histoloop.training.measures.intervals import FiguresByCase
from histoloop.training.samples import TrainingTile
from histoloop.workflows.prediction.loaded_model import LoadedModel
from histoloop.workflows.prediction.robustness import attack_figures, measure_robustness, robustness_of, with_robustness

if TYPE_CHECKING:
    from histoloop.workflows.reports import RobustnessReport

STD = 0.25


class Brightness(nn.Module):
    """Label 1 of tiles whose normalised values add up to more than 0, padding included."""

    stride_px = 8

    def forward_classifier(self, tiles_BCHW: Tensor, valid_BHW: Tensor | None = None) -> tuple[Tensor, Tensor]:
        total = tiles_BCHW.sum(dim=(1, 2, 3))
        return torch.stack([-total, total], dim=1), tiles_BCHW


def model(network: nn.Module, scheme: ClassScheme) -> LoadedModel:
    card = Card(
        name="tiny",
        title="A tiny model",
        description="For tests.",
        licence="CC0-1.0",
        attribution="Nobody",
        network=NetworkConfig(labels=len(scheme.labels)),
        scheme=scheme,
        mpp=1.0,
        mean=(0.5, 0.5, 0.5),
        std=(STD, STD, STD),
        training={},
        figures={},
        parent=None,
        created="2026-01-01T00:00:00+00:00",
    )
    colours, place = Colours(card.mean, card.std), torch.device("cpu")
    return LoadedModel(network.eval(), colours, place, Path("tiny"), card, "0" * 64)  # type: ignore[arg-type]


def grey(value: int, *, label: int | None, height: int = 8, width: int = 8, name: str = "t") -> TrainingTile:
    return TrainingTile(np.full((height, width, 3), value, np.uint8), label, None, name)


def report(
    loaded: LoadedModel, tiles: list[TrainingTile], *, batch_size: int = 4, steps: int = 100
) -> RobustnessReport:
    work = measure_robustness(
        loaded,
        loaded.card,
        tiles,
        settings=DdnSettings(steps=steps),
        batch_size=batch_size,
        seed=0,
    )
    return finish(work)


def test_norms_are_the_distances_of_the_tiles_in_their_order(scheme: ClassScheme) -> None:
    dark, bright = 100, 160
    tiles = [
        grey(dark, label=0, name="dark"),
        grey(bright, label=1, name="bright"),
        grey(dark, label=None, name="unknown"),
        grey(bright, label=0, name="wrong"),
        grey(dark, label=0, height=16, name="tall"),
    ]
    found = report(model(Brightness(), scheme), tiles)
    assert [tile.name for tile in found.tiles] == ["dark", "bright", "wrong", "tall"]
    assert [tile.label for tile in found.tiles] == ["benign", "malignant", "benign", "benign"]
    distances = [(0.5 - dark / 255) * 192**0.5, (bright / 255 - 0.5) * 192**0.5, 0.0, (0.5 - dark / 255) * 384**0.5]
    assert [tile.norm_l2 for tile in found.tiles] == pytest.approx(distances, rel=0.02)
    assert all(tile.broken for tile in found.tiles)
    assert found.figures["median_l2"] == pytest.approx((distances[0] + distances[1]) / 2, rel=0.02)
    assert found.figures["success_rate"] == 1.0
    assert found.figures["clean_accuracy"] == 0.75
    assert found.figures["tiles"] == 4
    assert found.figures["steps"] == 100
    grey_levels = [127.5 - dark, bright - 127.5, 0.0, 127.5 - dark]
    assert found.figures["median_grey_levels"] == pytest.approx(float(np.median(grey_levels)), rel=0.02)


def test_padding_to_the_stride_is_neither_attacked_nor_in_the_norm(scheme: ClassScheme) -> None:
    tile = grey(50, label=0, height=8, width=6)
    found = report(model(Brightness(), scheme), [tile]).tiles[0]
    values, padding = 8 * 6 * 3, 8 * 2 * 3
    # White padding adds 0.5 per value; the tile's own values have to make up the rest, each by as much.
    assert found.norm_l2 == pytest.approx((values * (0.5 - 50 / 255) - padding * 0.5) / values**0.5, rel=0.02)


def test_a_tile_is_not_padded_for_the_sake_of_its_batch_mates(scheme: ClassScheme) -> None:
    loaded = model(Brightness(), scheme)
    tiles = [grey(90 + 5 * row, label=0, height=8 + 8 * (row % 2), name=str(row)) for row in range(5)]
    together = report(loaded, tiles, batch_size=5)
    alone = report(loaded, tiles, batch_size=1)
    assert [tile.norm_l2 for tile in together.tiles] == pytest.approx([tile.norm_l2 for tile in alone.tiles])


def test_tiles_that_cannot_be_broken_lower_the_rate_and_have_no_part_in_the_median(scheme: ClassScheme) -> None:
    found = report(model(Brightness(), scheme), [grey(100, label=0), grey(0, label=0, width=64)], steps=15)
    assert [tile.broken for tile in found.tiles] == [True, False]
    assert found.tiles[1].norm_l2 == 0
    assert found.figures["success_rate"] == 0.5
    assert found.figures["median_l2"] == found.tiles[0].norm_l2


def test_progress_counts_tiles_step_by_step(scheme: ClassScheme) -> None:
    steps: list[Progress] = []
    tiles = [grey(100, label=0), grey(100, label=0), grey(100, label=0)]
    loaded = model(Brightness(), scheme)
    work = measure_robustness(
        loaded,
        loaded.card,
        tiles,
        settings=DdnSettings(steps=4),
        batch_size=2,
        seed=0,
    )
    finish(work, steps.append)
    assert [step.done for step in steps] == [0, 0.5, 1, 1.5, 2, 2.25, 2.5, 2.75, 3]
    assert {step.total for step in steps} == {3}
    assert steps[1].message == "tiles 1 to 2 of 3"
    assert steps[-1].message == "tile 3 of 3"


def test_a_classifier_of_the_house_is_attacked_as_it_classifies(scheme: ClassScheme) -> None:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="average", modalities=1)
    network = Hybrid(NetworkConfig(labels=2, pooling=pooling, decoder_channels=(8, 8, 8, 8, 8)))
    network.freeze_classifier()
    loaded = model(network, scheme)
    rng = np.random.default_rng(0)
    tiles = [TrainingTile(rng.integers(0, 256, (32, 40, 3), np.uint8), 0, None, str(n)) for n in range(2)]
    scores = classify(loaded, tiles)
    found = report(loaded, tiles, batch_size=2, steps=12)
    for tile, label in zip(found.tiles, scores.argmax(dim=1).tolist(), strict=True):
        assert (tile.broken and tile.norm_l2 == 0) == (label != 0)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_nothing_to_measure_is_said_with_advice(scheme: ClassScheme) -> None:
    with pytest.raises(DataError, match="label"):
        report(model(Brightness(), scheme), [grey(0, label=None)])
    one = ClassScheme(labels=(LabelClass("tumour", "tumour"),), masks=(MaskClass("tumour", "#d01020"),))
    with pytest.raises(ModelError, match="one label"):
        report(model(Brightness(), one), [grey(0, label=0)])


def test_a_model_whose_scores_are_not_numbers_is_not_called_robust(scheme: ClassScheme) -> None:
    class Broken(Brightness):
        def forward_classifier(self, tiles_BCHW: Tensor, valid_BHW: Tensor | None = None) -> tuple[Tensor, Tensor]:
            scores_BC, maps_BKHW = super().forward_classifier(tiles_BCHW, valid_BHW)
            return scores_BC * torch.nan, maps_BKHW

    with pytest.raises(ModelError, match="not numbers"):
        report(model(Broken(), scheme), [grey(0, label=0)])


def test_a_batch_of_no_tile_is_refused(scheme: ClassScheme) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        report(model(Brightness(), scheme), [grey(0, label=0)], batch_size=0)


# --- on the card ------------------------------------------------------------------------------------------------------


def attacked(loaded: LoadedModel, tiles: list[TrainingTile], *, count: int, steps: int = 40) -> FiguresByCase:
    work = attack_figures(loaded, loaded.card, tiles, count=count, settings=DdnSettings(steps=steps), seed=0)
    return finish(work)


def test_some_of_the_labelled_tiles_are_drawn_and_the_card_says_what_came_of_it(scheme: ClassScheme) -> None:
    loaded = model(Brightness(), scheme)
    tiles = [grey(100, label=row % 2 or None) for row in range(4)] + [grey(90 + row, label=0) for row in range(8)]
    figures = attacked(loaded, tiles, count=6)
    assert figures.values["attack_tiles"] == 6
    assert attacked(loaded, tiles, count=6) == figures
    card = with_robustness(loaded.card, figures, measured_on="of this test")
    assert robustness_of(card) == figures.rounded(4)
    low, high = card.intervals["attack_median_l2"]
    assert low <= figures.rounded(4).values["attack_median_l2"] <= high
    median = f"{figures.values['attack_median_l2']:.3g}, the L2 norm"
    for words in ("40 steps", "6 labelled tiles of this test", "100% were wrong or could be made so", median):
        assert words in card.description


def test_a_model_that_withstood_every_attack_has_no_median_and_its_card_says_so(scheme: ClassScheme) -> None:
    loaded = model(Brightness(), scheme)
    figures = attacked(loaded, [grey(0, label=0, width=64)], count=4, steps=5)
    assert "attack_median_l2" not in figures.values
    card = with_robustness(loaded.card, figures, measured_on="of this test")
    assert "1 labelled tile of this test" in card.description
    assert "0% were wrong or could be made so. A longer search" in card.description


def test_without_labelled_tiles_the_card_stays_as_it_is(scheme: ClassScheme) -> None:
    loaded = model(Brightness(), scheme)
    figures = attacked(loaded, [grey(0, label=None)], count=4)
    assert figures == FiguresByCase()
    assert with_robustness(loaded.card, figures, measured_on="of this test") is loaded.card


def test_an_attack_can_be_to_a_label_and_rounded_to_what_a_picture_stores(scheme: ClassScheme) -> None:
    loaded = model(Brightness(), scheme)
    tiles = [grey(100, label=0), grey(160, label=1), grey(100, label=0)]
    found, real = (
        finish(attack_figures(loaded, loaded.card, tiles, count=8, settings=settings, seed=0, target=1))
        for settings in (DdnSettings(steps=60, quantise_levels=256), DdnSettings(steps=60))
    )
    assert found.values["attack_tiles"] == 2  # not the one that has the label
    assert found.values["attack_success_rate"] == 1
    assert "attack_clean_accuracy" not in found.values
    levels, unrounded = (one.values["attack_median_l2"] * 255 / (8 * 8 * 3) ** 0.5 for one in (found, real))
    assert levels == pytest.approx(round(levels), abs=1e-3)  # every value by as many whole grey levels
    assert unrounded < levels
    assert unrounded != pytest.approx(round(unrounded), abs=1e-3)
