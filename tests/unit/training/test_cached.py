"""Decoders that learn from kept features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from histoloop.inference.model import Model
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.unet import Decoder
from histoloop.progress import finish
from histoloop.training.cached import CachedSettings, best_threshold, dice_figures, train_on_features
from histoloop.training.features import FeatureTile
from histoloop.training.loop import FitResult, LoopSettings

CPU = torch.device("cpu")
COLOURS = Colours((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
QUICK = CachedSettings(
    loop=LoopSettings(epochs=4, batch_size=4, learning_rate=5e-3, warmup_epochs=0),
    steps_per_epoch=10,
    views=1,
    crop_px=64,
)


@pytest.fixture(scope="module")
def tiles() -> list[FeatureTile]:
    """Dark discs on a light ground, seen by a random backbone."""
    torch.manual_seed(0)
    config = NetworkConfig(labels=2, pooling=PoolingConfig(name="average", modalities=1), decoder_channels=())
    model = Model(Hybrid(config).eval(), COLOURS, CPU)
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    made = []
    for _ in range(8):
        disc = (rows - rng.integers(20, 44)) ** 2 + (columns - rng.integers(20, 44)) ** 2 < rng.integers(10, 18) ** 2
        pixels = np.full((64, 64, 3), 230, np.uint8)
        pixels[disc] = (60, 40, 180)
        made.append(FeatureTile(model.features(pixels), disc))
    return made


def decoder(seed: int = 0) -> Decoder:
    torch.manual_seed(seed)
    return Decoder((64, 64, 128, 256, 512), (16, 16, 8, 8, 8))


def learn(
    tiles: list[FeatureTile], pseudo: list[FeatureTile], settings: CachedSettings = QUICK
) -> tuple[Decoder, FitResult]:
    made = decoder()
    work = train_on_features(
        made, annotated=[[tile] for tile in tiles], pseudo=pseudo, settings=settings, device=CPU, seed=0
    )
    return made, finish(work)


def test_a_decoder_learns_masks_from_kept_features(tiles: list[FeatureTile]) -> None:
    made, _ = learn(tiles[:4], [])
    assert dice_figures(made, tiles[4:], device=CPU)["dice"] > 0.8


def test_in_bfloat16_a_decoder_learns_as_much_into_weights_of_single_precision(tiles: list[FeatureTile]) -> None:
    exact, _ = learn(tiles[:4], [])
    half, found = learn(tiles[:4], [], replace(QUICK, loop=replace(QUICK.loop, precision="bfloat16")))
    dice = [dice_figures(made, tiles[4:], device=CPU)["dice"] for made in (exact, half)]
    assert dice[1] == pytest.approx(dice[0], abs=0.03)
    assert {weight.dtype for weight in found.weights.values() if weight.is_floating_point()} == {torch.float32}
    different = [not torch.equal(found.weights[name], weight) for name, weight in exact.state_dict().items()]
    assert any(different)  # it was computed in other numbers


def test_the_same_seed_gives_the_same_decoder(tiles: list[FeatureTile]) -> None:
    first, second = (learn(tiles[:4], [])[1].weights for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_pseudo_masks_of_weight_zero_teach_nothing_about_the_foreground(tiles: list[FeatureTile]) -> None:
    inverted = [replace(tile, mask=~tile.mask) for tile in tiles[2:6] if tile.mask is not None]
    heavy, _ = learn(tiles[:2], inverted, replace(QUICK, pseudo_weight=20.0))
    light, _ = learn(tiles[:2], inverted, replace(QUICK, pseudo_weight=0.0))
    right, wrong = (dice_figures(made, tiles[6:], device=CPU)["dice"] for made in (light, heavy))
    assert right > 0.7
    assert wrong < 0.4


def test_the_loss_is_that_of_equation_1_whatever_the_batches(tiles: list[FeatureTile]) -> None:
    """All tiles in one step: sum over L plus lambda times sum over P, divided by the number in L."""
    made = decoder()
    settings = replace(QUICK, pseudo_weight=0.5, steps_per_epoch=1, loop=replace(QUICK.loop, epochs=1, batch_size=4))
    work = train_on_features(
        made,
        annotated=[[tile] for tile in tiles[:4]],
        pseudo=tiles[4:8],
        settings=settings,
        device=CPU,
        seed=0,
    )
    loss = finish(work).figures["loss"]
    untrained = decoder().train()
    stages = tuple(torch.stack([tile.features.stages[number].float() for tile in tiles]) for number in range(5))
    logits = untrained(stages).squeeze(1)
    masks = torch.stack([torch.from_numpy(tile.mask).float() for tile in tiles if tile.mask is not None])
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean(dim=(1, 2))
    assert loss == pytest.approx(float((each[:4].sum() + 0.5 * each[4:].sum()).detach() / 4), rel=1e-4)


def test_the_best_threshold_beats_the_middle_on_the_tiles_it_was_chosen_on(tiles: list[FeatureTile]) -> None:
    made, _ = learn(tiles[:4], [], replace(QUICK, steps_per_epoch=3))
    found = best_threshold(made, tiles[4:], device=CPU)
    measured = dice_figures(made, tiles[4:], device=CPU, threshold=found.threshold)["dice"]
    assert measured == pytest.approx(found.dice)
    assert measured >= dice_figures(made, tiles[4:], device=CPU)["dice"]


def test_nothing_annotated_or_a_tile_without_a_mask_is_refused(tiles: list[FeatureTile]) -> None:
    with pytest.raises(ValueError, match="no annotated tile"):
        learn([], [])
    with pytest.raises(ValueError, match="without masks"):
        learn([replace(tiles[0], mask=None)], [])


@pytest.fixture(scope="module")
def two_kinds(tiles: list[FeatureTile]) -> list[FeatureTile]:
    """The discs as two classes, rim and core."""
    found = []
    for tile in tiles:
        assert tile.mask is not None
        core = binary_erosion(tile.mask, iterations=5)
        found.append(replace(tile, mask=tile.mask.astype(np.uint8) + core.astype(np.uint8)))
    return found


def class_decoder() -> Decoder:
    torch.manual_seed(0)
    return Decoder((64, 64, 128, 256, 512), (16, 16, 8, 8, 8), mask_classes=2)


def test_a_decoder_of_classes_learns_from_kept_features_and_is_chosen_by_its_classes(
    two_kinds: list[FeatureTile],
) -> None:
    made = class_decoder()
    work = train_on_features(
        made,
        annotated=[[tile] for tile in two_kinds],
        validation=two_kinds[:2],
        settings=replace(QUICK, loss="bce+dice", steps_per_epoch=20),
        device=CPU,
        seed=0,
    )
    result = finish(work)
    found = dice_figures(made, two_kinds, device=CPU)
    assert found["dice"] > 0.8
    assert found["class_dice"] > 0.6
    best = max(result.history, key=lambda figures: (figures["class_dice"], figures["epoch"]))
    assert result.figures["epoch"] == best["epoch"]


def test_consistency_and_pseudo_masks_go_with_classes(two_kinds: list[FeatureTile]) -> None:
    work = train_on_features(
        class_decoder(),
        annotated=[[tile] for tile in two_kinds[:2]],
        pseudo=two_kinds[2:4],
        unlabelled=[replace(tile, mask=None) for tile in two_kinds[4:6]],
        settings=replace(QUICK, steps_per_epoch=1, loop=replace(QUICK.loop, epochs=1)),
        device=CPU,
        seed=0,
    )
    assert finish(work).figures["loss"] > 0
