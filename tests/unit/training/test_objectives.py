"""What a classifier is trained: each supervision's parts against their equations, and where sizes come from."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn import functional

from histoloop.errors import DataError
from histoloop.inference.model import Model
from histoloop.losses import jia
from histoloop.losses.size import map_entropy, mean_probabilities, upsampled_log_probabilities
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.build import build_network
from histoloop.networks.colours import Colours
from histoloop.networks.minmax import MinMax
from histoloop.training.adversarial import AdversarialSettings
from histoloop.training.objectives import (
    ErasingSettings,
    Objective,
    ObjectiveSettings,
    SizeSettings,
    check_labels,
    label_loss,
    with_fixed_noise,
)
from histoloop.training.samples import Batch, TrainingTile, collate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.networks.network import SlideNetwork

COLOURS = Colours((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
KINDS = ["labels", "sigmoid", "min-max", "adaptive", "kl", "l2", "jia"]


def network(kind: str = "labels", *, stride: int = 32) -> SlideNetwork:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="generalised-mean" if kind == "jia" else "average", modalities=1)
    config = NetworkConfig(
        2,
        backbone="mobilenet_v2",
        stride=stride,
        pooling=pooling,
        decoder_channels=(),
        background=kind in ("adaptive", "kl", "l2"),
        minmax=MinMaxConfig() if kind == "min-max" else None,
    )
    made = build_network(config)
    for module in made.modules():  # statistics of noise: without any, random weights give constant maps
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        made.forward_classifier(torch.randn(4, 3, 64, 64))
    return made


def objective_of(kind: str, made: SlideNetwork, **changes: object) -> Objective:
    settings = {
        "labels": ObjectiveSettings(),
        "sigmoid": ObjectiveSettings(scores="sigmoid"),
        "min-max": ObjectiveSettings("min-max", erasing=ErasingSettings(depth=2)),
        "adaptive": ObjectiveSettings("sizes"),
        "kl": ObjectiveSettings("sizes", sizes=SizeSettings(loss="kl")),
        "l2": ObjectiveSettings("sizes", sizes=SizeSettings(loss="l2")),
        "jia": ObjectiveSettings("sizes", scores="sigmoid", sizes=SizeSettings(loss="jia")),
    }[kind]
    return Objective(Model(made, COLOURS, torch.device("cpu")), replace(settings, **changes))  # type: ignore[arg-type]


def tile(number: int, *, masked: bool = True, size: float | None = None, side: int = 64) -> TrainingTile:
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
    mask = np.zeros((side, side), bool)
    mask[: side // 4] = True
    return TrainingTile(pixels, number % 2, mask if masked else None, str(number), size=size)


def batch_of(*tiles: TrainingTile) -> Batch:
    return collate(tiles or [tile(0), tile(1)], multiple_px=32)


def loss_of(objective: Objective, batch: Batch) -> float:
    return float(sum(part.detach() for part in _propagated(objective, batch)))


def _propagated(objective: Objective, batch: Batch) -> list[torch.Tensor]:
    parts = []
    for part in objective(batch):
        part.backward()  # type: ignore[no-untyped-call]
        parts.append(part)
    return parts


@pytest.mark.parametrize("kind", KINDS)
def test_every_supervision_gives_finite_parts_and_gradients(kind: str) -> None:
    made = network(kind).train()
    objective = objective_of(kind, made)
    parts = _propagated(objective, batch_of())
    assert len(parts) >= (3 if kind == "min-max" else 1)
    assert all(part.shape == () and torch.isfinite(part) for part in parts)
    learned = [*made.parameters(), *(parameter for module in objective.learned for parameter in module.parameters())]
    gradients = [parameter.grad for parameter in learned if parameter.grad is not None]
    assert len(gradients) > 0.95 * len(learned)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any((gradient != 0).any() for gradient in gradients)


def test_only_the_adaptive_loss_learns_something_of_its_own() -> None:
    for kind in KINDS:
        learned = objective_of(kind, network(kind)).learned
        assert len(learned) == (kind == "adaptive")
    (module,) = objective_of("adaptive", network("adaptive")).learned
    assert module.alpha.shape == (3,)  # two labels and the background


def test_labels_are_taught_by_cross_entropy_with_smoothing_where_it_is_asked_for() -> None:
    made, batch = network().eval(), batch_of()
    scores_BC = made.forward_classifier(COLOURS.normalise(batch.tiles_BCHW))[0].detach()
    for smoothing in (0.0, 0.1):
        expected = functional.cross_entropy(scores_BC, batch.labels_B, label_smoothing=smoothing)
        assert loss_of(objective_of("labels", made, label_smoothing=smoothing), batch) == pytest.approx(float(expected))


def test_each_label_against_the_rest_is_binary_cross_entropy() -> None:
    made, batch = network().eval(), batch_of()
    scores_BC = made.forward_classifier(COLOURS.normalise(batch.tiles_BCHW))[0].detach()
    truth = torch.eye(2)[batch.labels_B]
    expected = -(truth * scores_BC.sigmoid().log() + (1 - truth) * (1 - scores_BC.sigmoid()).log()).mean()
    assert loss_of(objective_of("sigmoid", made), batch) == pytest.approx(float(expected), rel=1e-5)


def test_all_labels_of_a_tile_are_taught() -> None:
    made = network().eval()
    batch = batch_of(replace(tile(0), other_labels=(1,)), tile(1), replace(tile(2), label=None))
    scores_BC = made.forward_classifier(COLOURS.normalise(batch.tiles_BCHW))[0].detach()
    expected = -(
        scores_BC[0].sigmoid().log().sum() + (-scores_BC[1, 0]).sigmoid().log() + scores_BC[1, 1].sigmoid().log()
    )
    assert loss_of(objective_of("sigmoid", made), batch) == pytest.approx(float(expected) / 4, rel=1e-5)


def test_labels_above_the_highest_of_a_batch_are_absent() -> None:
    batch = batch_of(tile(0))
    scores_BC = torch.tensor([[0.5, -1.0, 2.0]])
    expected = -(torch.tensor([0.5, 1.0, -2.0]).sigmoid().log()).mean()
    assert float(label_loss(scores_BC, batch, "sigmoid")) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ObjectiveSettings(), 'scores = "sigmoid"'),
        (ObjectiveSettings("none"), 'scores = "sigmoid"'),
        (ObjectiveSettings("min-max"), "supervision = 'min-max' needs one label"),
        (ObjectiveSettings("sizes", scores="sigmoid"), "supervision = 'sizes' needs one label"),
        (ObjectiveSettings(scores="sigmoid", adversarial=AdversarialSettings(epsilon=1.0)), "adversarial training"),
    ],
)
def test_an_objective_of_one_label_refuses_tiles_with_several(settings: ObjectiveSettings, words: str) -> None:
    tiles = [tile(0), replace(tile(1), other_labels=(0,))]
    with pytest.raises(DataError, match="1 of the 2 tiles have several labels") as refused:
        check_labels(settings, tiles)
    assert words in str(refused.value)
    check_labels(settings, tiles[:1])
    check_labels(ObjectiveSettings(scores="sigmoid"), tiles)


# --- sizes --------------------------------------------------------------------------------------------------------


def test_sizes_are_taught_by_eq_4_13() -> None:
    made, batch = network("l2", stride=16).eval(), batch_of(tile(0), tile(1, size=0.7))
    scores_BC, maps_BKHW = (found.detach() for found in made.forward_classifier(COLOURS.normalise(batch.tiles_BCHW)))
    log_BKHW = upsampled_log_probabilities(maps_BKHW, size=(64, 64))
    found_BK = mean_probabilities(log_BKHW)
    wanted_BK = torch.tensor([[0.25, 0.0, 0.75], [0.0, 0.7, 0.3]])  # a quarter by its mask, 0.7 as given
    l_c = functional.cross_entropy(scores_BC, batch.labels_B)
    l_s = ((found_BK - wanted_BK) ** 2).sum(dim=1).mean()
    l_e = map_entropy(log_BKHW).mean()
    expected = (l_c + 10 * l_s + 0.1 * l_e) / 11.1
    assert loss_of(objective_of("l2", made), batch) == pytest.approx(float(expected), rel=1e-5)


def test_jia_is_taught_by_eq_4_2_and_4_3() -> None:
    made, batch = network("jia").eval(), batch_of(tile(0), tile(1, size=0.1))
    maps_BCHW = made.forward_classifier(COLOURS.normalise(batch.tiles_BCHW))[1].detach()
    l_c = jia.classification(maps_BCHW, batch.labels_B).mean()
    l_s = jia.oversize_penalty(maps_BCHW, batch.labels_B, torch.tensor([0.25, 0.1])).mean()
    assert loss_of(objective_of("jia", made), batch) == pytest.approx(float(l_c + 10 * l_s), rel=1e-5)


@pytest.mark.parametrize("kind", ["kl", "jia"])
def test_a_size_that_is_given_wins_over_the_mask(kind: str) -> None:
    made = network(kind).eval()
    masked, told = batch_of(tile(0), tile(1)), batch_of(tile(0, size=0.25), tile(1, size=0.25))
    other = batch_of(tile(0, size=0.05), tile(1, size=0.05))
    bare = batch_of(tile(0, masked=False, size=0.05), tile(1, masked=False, size=0.05))
    objective = objective_of(kind, made)
    assert loss_of(objective, told) == pytest.approx(loss_of(objective, masked))
    assert loss_of(objective, other) != pytest.approx(loss_of(objective, masked))
    assert loss_of(objective, bare) == pytest.approx(loss_of(objective, other))


@pytest.mark.parametrize("kind", ["adaptive", "kl", "l2", "jia"])
def test_tiles_of_unknown_size_take_part_in_the_other_terms_only(kind: str) -> None:
    made = network(kind).eval()
    settings = SizeSettings(loss=kind, weight=10.0, entropy=0.0)  # type: ignore[arg-type]

    def size_term(batch: Batch) -> float:
        whole = loss_of(objective_of(kind, made, sizes=settings), batch)
        without = loss_of(objective_of(kind, made, sizes=replace(settings, weight=0.0)), batch)
        return whole - without if kind == "jia" else whole * 11 - without

    known, unknown = tile(0), tile(1, masked=False)
    assert size_term(batch_of(known, unknown)) == pytest.approx(size_term(batch_of(known)), rel=1e-4, abs=1e-5)
    alone = loss_of(objective_of(kind, made, sizes=settings), batch_of(unknown))
    assert math.isfinite(alone)
    assert size_term(batch_of(unknown)) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("kind", ["adaptive", "kl", "jia"])
def test_padding_is_no_part_of_a_size(kind: str) -> None:
    made = network(kind).eval()
    settings = SizeSettings(loss=kind, weight=1e4, entropy=0.0)  # type: ignore[arg-type]
    objective = objective_of(kind, made, sizes=settings)
    small, large = tile(0, side=32), tile(2, side=96)
    batch = batch_of(small, large)
    painted = replace(batch, masks_BHW=torch.where(batch.valid_BHW, batch.masks_BHW, torch.tensor(1.0)))
    assert loss_of(objective, painted) == pytest.approx(loss_of(objective, batch))
    assert objective._known_sizes(batch)[0].tolist() == [0.25, 0.25]


def test_noise_is_added_to_sizes_in_each_step_and_stays_within_zero_and_one() -> None:
    objective = objective_of("l2", network("l2"), sizes=SizeSettings(loss="l2", noise=0.5))
    batch = batch_of(*(tile(number, size=0.5) for number in range(40)))
    torch.manual_seed(0)
    first, known = objective._known_sizes(batch)
    second, _ = objective._known_sizes(batch)
    assert not torch.equal(first, second)
    assert ((first >= 0) & (first <= 1)).all()
    assert 0.2 < float(first.std()) < 0.5
    assert known.all()


def test_noise_does_not_make_a_size_known() -> None:
    objective = objective_of("l2", network("l2"), sizes=SizeSettings(loss="l2", noise=0.5))
    sizes, known = objective._known_sizes(batch_of(tile(0), tile(1, masked=False)))
    assert known.tolist() == [1.0, 0.0]
    assert sizes[1] == 0


# --- adversarial training -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["labels", "min-max", "l2"])
def test_adversarial_training_is_of_other_tiles(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, batch = network(kind).eval(), batch_of(tile(0))
    head = made.classifier.convolution if isinstance(made, MinMax) else made.classifier.head
    with torch.no_grad():
        scores_C = made.forward_classifier(COLOURS.normalise(batch.tiles_BCHW))[0][0]
        head.bias[0] += scores_C[1] - scores_C[0] + 0.01  # what is not quite sure is easily broken
    made.train()
    seen: list[torch.Tensor] = []
    objective = objective_of(kind, made, adversarial=AdversarialSettings(epsilon=5.0, steps=12, initial_norm=4.0))
    original = objective._parts

    def parts(given: Batch, tiles_BCHW: torch.Tensor) -> Iterator[torch.Tensor]:
        seen.append(given.tiles_BCHW)
        return original(given, tiles_BCHW)

    monkeypatch.setattr(objective, "_parts", parts)
    assert math.isfinite(loss_of(objective, batch))
    assert 0 < float((seen[0] - batch.tiles_BCHW).norm()) <= 5.0001
    assert ((seen[0] >= 0) & (seen[0] <= 1)).all()
    assert made.training


def test_without_epsilon_nothing_is_attacked() -> None:
    made, batch = network().eval(), batch_of()
    plain = loss_of(objective_of("labels", made), batch)
    assert loss_of(objective_of("labels", made, adversarial=AdversarialSettings(epsilon=0.0)), batch) == plain


# --- what is refused ----------------------------------------------------------------------------------------------


def test_min_max_needs_its_network() -> None:
    with pytest.raises(ValueError, match="localizer"):
        objective_of("min-max", network())


@pytest.mark.parametrize(
    ("kind", "changes"),
    [(ErasingSettings, {"depth": -1}), (ErasingSettings, {"sigma": 0.0}), (SizeSettings, {"noise": -0.1}),
     (ObjectiveSettings, {"label_smoothing": 1.0})],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(kind: type, changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        kind(**changes)


def test_fixed_noise_is_one_amount_a_tile_and_comes_again_with_its_seed() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    quarter = np.zeros((4, 4), bool)
    quarter[:2, :2] = True
    known = [
        TrainingTile(pixels, 0, None, "stated", size=0.5),
        TrainingTile(pixels, 0, quarter, "of its mask"),
        TrainingTile(pixels, 0, quarter, "strokes", states_size=False),
        TrainingTile(pixels, 0, None, "unknown"),
    ]
    fixed = SizeSettings(noise=0.1, noise_per="tile")
    sizes = [tile.size for tile in with_fixed_noise(known, fixed, seed=3)]
    assert sizes == [tile.size for tile in with_fixed_noise(known, fixed, seed=3)]
    assert sizes != [tile.size for tile in with_fixed_noise(known, fixed, seed=4)]
    assert sizes[0] not in (None, 0.5)
    assert sizes[1] not in (None, 0.25)
    assert sizes[2:] == [None, None]
    for settings in (SizeSettings(noise=0.1), SizeSettings(noise_per="tile")):
        assert [tile.size for tile in with_fixed_noise(known, settings, seed=3)] == [0.5, None, None, None]


def test_fixed_noise_has_the_stated_spread_and_stays_a_fraction() -> None:
    tiles = [TrainingTile(np.zeros((1, 1, 3), np.uint8), 0, None, f"{number}", size=0.5) for number in range(2000)]
    sizes = np.array([tile.size for tile in with_fixed_noise(tiles, SizeSettings(noise=0.1, noise_per="tile"), seed=0)])
    assert sizes.std() == pytest.approx(0.1, rel=0.1)
    wide = np.array([tile.size for tile in with_fixed_noise(tiles, SizeSettings(noise=2.0, noise_per="tile"), seed=0)])
    assert (wide.min(), wide.max()) == (0.0, 1.0)
