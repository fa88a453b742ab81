"""Adversarial training: how far tiles are pushed, and what the attack leaves as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from histoloop.training.adversarial import AdversarialSettings, adversarial_batch, evaluating, harden
from histoloop.training.ddn import DdnSettings, ScoresOf, ddn_attack, robustness_figures
from histoloop.training.recipe import build
from histoloop.training.samples import TrainingTile, collate

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.training.samples import Batch

SETTINGS = DdnSettings(steps=40)


def classifier(classes: int = 2) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, classes)).eval()


@pytest.fixture
def network() -> nn.Sequential:
    return classifier()


@pytest.fixture
def tiles() -> Tensor:
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("epsilon", [0.05, 0.2, 50.0])
def test_tiles_are_pushed_no_further_than_epsilon(network: nn.Sequential, tiles: Tensor, epsilon: float) -> None:
    labels = network(tiles).argmax(dim=1)
    found = ddn_attack(network, tiles, labels, SETTINGS)
    hardened = harden(network, tiles, labels, epsilon=epsilon, settings=SETTINGS)
    norm_B = (hardened - tiles).flatten(1).norm(dim=1)
    torch.testing.assert_close(norm_B, found.norm_B.clamp(max=epsilon))
    assert found.success_B.all()
    assert hardened.min() >= 0
    assert hardened.max() <= 1
    assert not hardened.requires_grad


def test_a_push_beyond_every_adversary_gives_the_adversaries(network: nn.Sequential, tiles: Tensor) -> None:
    labels = network(tiles).argmax(dim=1)
    hardened = harden(network, tiles, labels, epsilon=50.0, settings=SETTINGS)
    assert (network(hardened).argmax(dim=1) != labels).all()


def test_epsilon_zero_and_misclassified_tiles_change_nothing(network: nn.Sequential, tiles: Tensor) -> None:
    labels = network(tiles).argmax(dim=1)
    assert torch.equal(harden(network, tiles, labels, epsilon=0.0, settings=SETTINGS), tiles)
    assert torch.equal(harden(network, tiles, 1 - labels, epsilon=1.0, settings=SETTINGS), tiles)


def test_a_negative_epsilon_is_refused(network: nn.Sequential, tiles: Tensor) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        harden(network, tiles, torch.zeros(6, dtype=torch.long), epsilon=-1.0, settings=SETTINGS)


def batch_of(network: nn.Module) -> Batch:
    """Three tiles, the first smaller than the others, the last without a label."""
    rng = np.random.default_rng(0)
    made = [TrainingTile(rng.integers(0, 256, (side, 8, 3), np.uint8), 0, None, "t") for side in (5, 8, 8)]
    batch = collate(made, multiple_px=8)
    predicted = network(batch.tiles_BCHW).argmax(dim=1)
    labels = torch.where(torch.arange(3) == 2, -1, predicted)
    return replace(batch, labels_B=labels)


def test_a_batch_keeps_its_padding_its_unlabelled_tiles_and_all_else(network: nn.Sequential) -> None:
    batch = batch_of(network)
    before = batch.tiles_BCHW.clone()
    settings = AdversarialSettings(epsilon=0.5, steps=20)
    pushed = adversarial_batch(batch, network=network, scores_of=network, settings=settings)
    changed = (pushed.tiles_BCHW != before).flatten(1).any(dim=1)
    assert changed.tolist() == [True, True, False]
    assert torch.equal(pushed.tiles_BCHW[0, :, 5:], before[0, :, 5:])
    assert torch.equal(batch.tiles_BCHW, before)
    for name in ("masks_BHW", "valid_BHW", "labels_B", "weights_B"):
        assert getattr(pushed, name) is getattr(batch, name)


def test_the_option_is_off_unless_asked_for(network: nn.Sequential) -> None:
    batch = batch_of(network)
    assert adversarial_batch(batch, network=network, scores_of=network, settings=AdversarialSettings()) is batch


def test_the_attack_is_not_seen_by_batch_norm_modes_or_gradients(network: nn.Sequential) -> None:
    batch = batch_of(network)
    network.train()
    network[1].eval()  # a frozen part
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.random.get_rng_state()
    adversarial_batch(
        batch, network=network, scores_of=network, settings=AdversarialSettings(epsilon=0.5, steps=5)
    )  # fmt: skip
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_modes_come_back_after_an_error(network: nn.Sequential) -> None:
    network.train()
    network[3].eval()

    def interrupted() -> None:
        with evaluating(network):
            assert not any(module.training for module in network.modules())
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        interrupted()
    assert [module.training for module in network] == [True, True, True, False, True, True, True]


def test_training_on_hardened_tiles_unlearns_the_feature_that_is_easy_to_break() -> None:
    """Plane 0 tells the classes apart by much, plane 1 by little: but the network sees plane 1 twenty times louder."""

    def median_norm(make: Callable[[ScoresOf, Tensor, Tensor], Tensor]) -> float:
        torch.manual_seed(0)
        linear, labels = nn.Linear(2, 2), torch.arange(32) % 2
        sign = (2 * labels - 1)[:, None, None]
        tiles = torch.full((32, 3, 4, 4), 0.5)
        tiles[:, 0] += 0.1 * sign + 0.02 * torch.randn(32, 4, 4)
        tiles[:, 1] += 0.01 * sign

        def scores_of(some: Tensor) -> Tensor:
            return linear((some[:, :2].mean(dim=(2, 3)) - 0.5) * torch.tensor([10.0, 200.0]))

        optimiser = torch.optim.SGD(linear.parameters(), lr=0.5)
        for _ in range(40):
            loss = nn.functional.cross_entropy(scores_of(make(scores_of, tiles, labels)), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        found = ddn_attack(scores_of, tiles, labels, DdnSettings(steps=60))
        figures = robustness_figures(found.norm_B.tolist(), found.success_B.tolist())
        assert figures["clean_accuracy"] == 1.0
        return figures["median_l2"]

    attack = DdnSettings(steps=20, initial_norm=0.1)
    plain = median_norm(lambda _scores_of, tiles, _labels: tiles)
    hardened = median_norm(
        lambda scores_of, tiles, labels: harden(scores_of, tiles, labels, epsilon=0.2, settings=attack)
    )
    assert hardened > 3 * plain


@pytest.mark.parametrize(
    ("values", "name"), [({"epsilon": -0.1}, "epsilon"), ({"steps": 0}, "steps"), ({"gamma": 1.5}, "gamma")]
)
def test_settings_out_of_range_are_refused_by_name(values: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        AdversarialSettings(**values)  # type: ignore[arg-type]


def test_a_recipe_table_gives_the_settings() -> None:
    table = {"epsilon": 1, "steps": 20}
    settings = build(AdversarialSettings, table, where="recipe")
    assert settings == AdversarialSettings(epsilon=1.0, steps=20)
    assert settings.attack == DdnSettings(steps=20)
