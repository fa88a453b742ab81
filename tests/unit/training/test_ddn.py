"""The DDN attack against the oracles (float64 runs of thesis Algorithm A V-1), analytic distances, and its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from histoloop.training.ddn import DdnSettings, ddn_attack, ddn_steps, robustness_figures, step_length, worst_norm

if TYPE_CHECKING:
    from collections.abc import Callable

W0 = [0.5, -0.5, 0.25, -0.25] * 4
DISTANCE = 0.474341649025
LABEL = torch.tensor([0])
NORMS_K20 = [
    0.0, 1.05, 0.9975, 0.947625, 0.90024375, 0.8552315625, 0.812469984375, 0.771846485156, 0.733254160898,
    0.696591452854, 0.661761880211, 0.6286737862, 0.59724009689, 0.567378092046, 0.539009187443, 0.512058728071,
    0.486455791668, 0.462133002084, 0.485239652189, 0.460977669579,
]  # fmt: skip
NORMS_K20_QUANTISED = [
    0.0, 1.05162403469, 1.00202025839, 0.952416542423, 0.902812896723, 0.853209333551, 0.818471864985,
    0.768867509531, 0.734161218751, 0.694460976351, 0.659756575524, 0.634955126212, 0.595252265443, 0.570450087717,
    0.535750003386, 0.510948940389, 0.486147991131, 0.461347173956, 0.486147991131, 0.461347173956,
]  # fmt: skip
ADVERSARIAL_K20 = [False, *[True] * 16, False, True, False]


class Linear(nn.Module):
    """Scores W x + b of flattened tiles; `seen` are the tiles it was asked about."""

    def __init__(self, weights_CN: Tensor, bias_C: Tensor) -> None:
        super().__init__()
        self.weights, self.bias = nn.Parameter(weights_CN), nn.Parameter(bias_C)
        self.seen: list[Tensor] = []

    def forward(self, tiles_BCHW: Tensor) -> Tensor:
        self.seen.append(tiles_BCHW.detach().clone())
        return tiles_BCHW.flatten(1) @ self.weights.T + self.bias


def oracle(dtype: torch.dtype = torch.float64) -> Linear:
    weights = torch.tensor([W0, [-value for value in W0]], dtype=dtype)
    return Linear(weights, torch.tensor([0.75, -0.75], dtype=dtype))


def grey(value: float = 0.5, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.full((1, 1, 4, 4), value, dtype=dtype)


def norms(tiles_BCHW: Tensor) -> Tensor:
    return tiles_BCHW.flatten(1).norm(dim=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("levels", "value", "expected"), [(None, 0.5, NORMS_K20), (256, 128 / 255, NORMS_K20_QUANTISED)]
)
def test_the_tiles_that_are_judged_have_the_norms_of_algorithm_a_v_1(
    dtype: torch.dtype, levels: int | None, value: float, expected: list[float]
) -> None:
    network, tile = oracle(dtype), grey(value, dtype)
    ddn_attack(network, tile, LABEL, DdnSettings(steps=20, quantise_levels=levels))
    judged = torch.cat(network.seen[:20])
    assert norms(judged - tile).tolist() == pytest.approx(expected, rel=1e-6)
    assert (network(judged).argmax(dim=1) == 1).tolist() == ADVERSARIAL_K20


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("levels", "value", "steps", "best"),
    [
        (None, 0.5, 20, 0.485239652189),
        (None, 0.5, 100, 0.474430304441),
        (256, 128 / 255, 20, 0.486147991131),
        (256, 128 / 255, 100, 0.476305143551),
    ],
)
def test_the_best_norm_is_that_of_the_oracle(
    dtype: torch.dtype, levels: int | None, value: float, steps: int, best: float
) -> None:
    found = ddn_attack(
        oracle(dtype), grey(value, dtype), LABEL, DdnSettings(steps=steps, quantise_levels=levels)
    )  # fmt: skip
    assert found.success_B.tolist() == [True]
    assert found.norm_B.item() == pytest.approx(best, rel=1e-6 if dtype == torch.float64 else 1e-5)
    assert found.norm_B.item() >= DISTANCE


def test_what_is_returned_was_judged_before_and_is_judged_again() -> None:
    network = oracle()
    found = ddn_attack(network, grey(), LABEL, DdnSettings(steps=20))
    assert len(network.seen) == 21
    assert torch.equal(network.seen[20], found.tiles_BCHW)
    assert any(torch.equal(judged, found.tiles_BCHW) for judged in network.seen[:20])


def test_a_tile_that_fails_the_second_judgement_comes_back_as_it_was() -> None:
    network, calls = oracle(), []

    def wavering(tiles: Tensor) -> Tensor:
        calls.append(len(tiles))
        return network(tiles) if len(calls) <= 20 else network(tiles) + torch.tensor([99.0, 0.0])

    found = ddn_attack(wavering, grey(), LABEL, DdnSettings(steps=20))
    assert found.success_B.tolist() == [False]
    assert torch.equal(found.tiles_BCHW, grey())
    assert found.norm_B.tolist() == [0.0]


def test_the_step_falls_from_one_towards_a_hundredth_by_a_cosine() -> None:
    assert step_length(0, 100) == 1.0
    assert step_length(50, 100) == pytest.approx(0.505)
    assert 0.01 < step_length(99, 100) < 0.011


def test_the_worst_norm_is_the_way_to_the_farther_end_of_every_value() -> None:
    tile = torch.tensor([[0.2, 0.9], [0.5, 0.0]], dtype=torch.float64)[None, None]
    assert worst_norm(tile).item() == pytest.approx(1.64316767252, rel=1e-9)
    assert worst_norm(tile, torch.tensor([[[True, False], [False, False]]])).item() == pytest.approx(0.8)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**31 - 1), st.floats(0.02, 0.8), st.integers(0, 1), st.sampled_from([1.0, 1e3]))
def test_with_two_linear_classes_the_norm_comes_within_two_per_cent_of_the_distance(
    seed: int, distance: float, label: int, scale: float
) -> None:
    random = torch.Generator().manual_seed(seed)
    normal = (0.5 + 0.5 * torch.rand(48, generator=random)) * (2 * torch.randint(0, 2, (48,), generator=random) - 1)
    tile = 0.35 + 0.3 * torch.rand(1, 3, 4, 4, generator=random)
    weights = torch.stack([normal, -normal]) * (1 - 2 * label) * scale  # towards class 1 - label against the normal
    margin = distance * (weights[0] - weights[1]).norm()
    bias = (weights[1 - label] - weights[label]) @ tile.flatten() + margin
    network = Linear(weights, torch.stack([bias, torch.zeros(())] if label == 0 else [torch.zeros(()), bias]))
    found = ddn_attack(network, tile, torch.tensor([label]), DdnSettings(steps=200))
    assert found.success_B.tolist() == [True]
    assert distance * (1 - 1e-3) <= found.norm_B.item() <= 1.02 * distance


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31 - 1), st.sampled_from([None, 256]), st.integers(2, 4))
def test_a_success_is_adversarial_in_range_and_never_nearer_than_the_nearest_boundary(
    seed: int, levels: int | None, classes: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    weights = torch.randn(classes, 48, generator=random, dtype=torch.float64)
    network = Linear(weights, torch.randn(classes, generator=random, dtype=torch.float64))
    tiles = torch.randint(0, 256, (5, 3, 4, 4), generator=random).double() / 255
    labels = torch.randint(0, classes, (5,), generator=random)
    found = ddn_attack(network, tiles, labels, DdnSettings(steps=40, quantise_levels=levels))
    clean_scores, scores = network(tiles).detach(), network(found.tiles_BCHW).detach()
    assert found.tiles_BCHW.min() >= 0
    assert found.tiles_BCHW.max() <= 1
    torch.testing.assert_close(found.norm_B, norms(found.tiles_BCHW - tiles))
    for row, label in enumerate(labels.tolist()):
        assert bool(scores[row].argmax() != label) == bool(found.success_B[row])
        others = [other for other in range(classes) if other != label]
        nearest = min(
            (clean_scores[row, label] - clean_scores[row, other]).item() / (weights[label] - weights[other]).norm()
            for other in others
        )
        if found.success_B[row]:
            assert found.norm_B[row] >= max(nearest, 0) * (1 - 1e-9)
        else:
            assert torch.equal(found.tiles_BCHW[row], tiles[row])
    if levels is not None:
        torch.testing.assert_close(found.tiles_BCHW * 255, (found.tiles_BCHW * 255).round(), rtol=0, atol=1e-9)


def test_constant_scores_break_nothing_and_give_no_nan() -> None:
    tiles = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    for levels in (None, 256):
        found = ddn_attack(
            lambda some: some.sum(dim=(1, 2, 3))[:, None] * torch.zeros(3) + torch.tensor([1.0, 0.0, 0.0]),
            tiles,
            torch.tensor([0, 0]),
            DdnSettings(steps=10, quantise_levels=levels),
        )
        assert torch.equal(found.tiles_BCHW, tiles)
        assert found.success_B.tolist() == [False, False]
        assert found.norm_B.tolist() == [0.0, 0.0]


def bowl(tiles_BCHW: Tensor) -> Tensor:
    """Class 1 outside a ball of radius 0.3 around mid-grey, where its gradient vanishes."""
    squares = ((tiles_BCHW - 0.5) ** 2).sum(dim=(1, 2, 3))
    return torch.stack([torch.full_like(squares, 0.09), squares], dim=1)


def test_a_tile_without_a_gradient_is_left_in_a_random_direction_that_repeats() -> None:
    first, second = (ddn_attack(bowl, grey(), LABEL, DdnSettings(steps=100)) for _ in range(2))
    assert first.success_B.tolist() == [True]
    assert 0.3 <= first.norm_B.item() < 0.31
    assert torch.equal(first.tiles_BCHW, second.tiles_BCHW)
    third = ddn_attack(bowl, grey(), LABEL, DdnSettings(), generator=torch.Generator().manual_seed(1))
    assert not torch.equal(first.tiles_BCHW, third.tiles_BCHW)


def test_a_network_sure_of_itself_is_broken_at_the_same_norm() -> None:
    network = oracle(torch.float32)
    sure = ddn_attack(lambda tiles: 1e4 * network(tiles), grey(dtype=torch.float32), LABEL, DdnSettings())
    assert sure.norm_B.item() == pytest.approx(0.474430304441, rel=1e-5)


def test_a_misclassified_tile_is_a_success_at_norm_zero() -> None:
    found = ddn_attack(oracle(), grey(), torch.tensor([1]), DdnSettings(steps=5))
    assert found.success_B.tolist() == [True]
    assert found.norm_B.tolist() == [0.0]
    assert torch.equal(found.tiles_BCHW, grey())


def test_a_targeted_attack_ends_in_the_class_it_was_told() -> None:
    random = torch.Generator().manual_seed(3)
    network = Linear(torch.randn(3, 48, generator=random), torch.zeros(3))
    tiles = 0.3 + 0.4 * torch.rand(6, 3, 4, 4, generator=random)
    targets = torch.tensor([0, 1, 2, 0, 1, 2])
    found = ddn_attack(network, tiles, targets, DdnSettings(), targeted=True)
    assert found.success_B.all()
    assert torch.equal(network(found.tiles_BCHW).argmax(dim=1), targets)
    there_already = network(tiles).argmax(dim=1) == targets
    assert torch.equal(found.norm_B == 0, there_already)


def test_no_tile_tried_is_further_away_than_there_is_room() -> None:
    network = Linear(torch.randn(2, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([999.0, 0.0]))
    tile = grey(0.2, torch.float32)
    found = ddn_attack(network, tile, LABEL, DdnSettings(steps=30, initial_norm=1e6))
    assert found.success_B.tolist() == [False]
    assert all(0 <= tried.min() and tried.max() <= 1 for tried in network.seen)
    assert all(norms(tried - tile) <= worst_norm(tile) * (1 + 1e-6) for tried in network.seen)


def test_a_tile_whose_only_adversary_is_the_opposite_corner_is_broken() -> None:
    found = ddn_attack(
        Linear(torch.tensor([[0.0] * 16, [1.0] * 16]), torch.tensor([15.9, 0.0])),
        grey(0.0, torch.float32),
        LABEL,
        DdnSettings(),
    )
    assert found.success_B.tolist() == [True]
    assert found.norm_B.item() == pytest.approx(4.0, rel=0.01)


def test_padding_is_not_attacked_and_does_not_count() -> None:
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[:, :, 2:] = False
    tile = grey()
    tile[..., 2:] = 1.0
    for levels in (None, 256):
        attack = DdnSettings(steps=60, quantise_levels=levels)
        found = ddn_attack(oracle(), tile, LABEL, attack, valid_BHW=valid)
        assert found.success_B.tolist() == [True]
        assert torch.equal(found.tiles_BCHW[..., 2:], tile[..., 2:])
        assert norms((found.tiles_BCHW - tile)[..., :2]).item() == pytest.approx(found.norm_B.item())


def test_a_tile_without_a_valid_pixel_is_never_broken() -> None:
    nowhere = torch.zeros(1, 4, 4, dtype=torch.bool)
    found = ddn_attack(oracle(), grey(), LABEL, DdnSettings(steps=5), valid_BHW=nowhere)
    assert found.success_B.tolist() == [False]
    assert torch.equal(found.tiles_BCHW, grey())


def test_a_tile_does_not_see_its_batch_mates() -> None:
    random = torch.Generator().manual_seed(5)
    network = Linear(torch.randn(3, 48, generator=random).double(), torch.zeros(3).double())
    tiles, labels = torch.rand(4, 3, 4, 4, generator=random).double(), torch.tensor([0, 1, 2, 0])
    together = ddn_attack(network, tiles, labels, DdnSettings(steps=30))
    alone = ddn_attack(network, tiles[2:3], labels[2:3], DdnSettings(steps=30))
    torch.testing.assert_close(together.tiles_BCHW[2:3], alone.tiles_BCHW)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_neither_the_mode_it_runs_in_nor_the_network_matters_to_the_other(mode: Callable[[], object]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).eval()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    nn.init.uniform_(network[0].weight, -1, 1, generator=torch.Generator().manual_seed(1))
    nn.init.uniform_(network[4].weight, -1, 1, generator=torch.Generator().manual_seed(2))
    network[0].requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plain = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = network(plain).argmax(dim=1)
    expected = ddn_attack(network, plain, labels, DdnSettings(steps=40))
    with mode():  # type: ignore[attr-defined]
        found = ddn_attack(network, plain.clone(), labels.clone(), DdnSettings(steps=40))
        grad_enabled = torch.is_grad_enabled()
    assert grad_enabled == (mode is torch.enable_grad)
    assert expected.success_B.all()
    assert torch.equal(found.tiles_BCHW, expected.tiles_BCHW)
    assert not found.tiles_BCHW.requires_grad
    assert not found.norm_B.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_scores_that_are_not_numbers_are_no_success() -> None:
    found = ddn_attack(lambda tiles: oracle()(tiles) * torch.nan, grey(), LABEL, DdnSettings(steps=3))
    assert found.success_B.tolist() == [False]
    assert torch.equal(found.tiles_BCHW, grey())


def test_half_precision_scores_are_judged_in_single_precision() -> None:
    network = oracle(torch.float32)
    found = ddn_attack(lambda tiles: network(tiles).bfloat16(), grey(dtype=torch.float32), LABEL, DdnSettings())
    assert found.success_B.tolist() == [True]
    assert found.norm_B.item() == pytest.approx(DISTANCE, rel=0.02)


def test_every_step_is_a_place_to_stop() -> None:
    steps = list(ddn_steps(oracle(), grey(), LABEL, DdnSettings(steps=7)))
    assert [step.done for step in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert steps[-1].fraction == 1.0


@pytest.mark.parametrize(
    ("tiles", "labels", "reason"),
    [
        (grey()[0], LABEL, "B, C, H, W"),
        (torch.zeros(0, 1, 4, 4), torch.zeros(0, dtype=torch.long), "B, C, H, W"),
        ((grey() * 255).byte(), LABEL, "uint8"),
        (grey() * 3, LABEL, "before they are normalised"),
        (grey() * torch.nan, LABEL, "nan"),
        (grey(), torch.tensor([0, 0]), "as many labels"),
        (grey(), torch.tensor([2]), "indices of 2 classes"),
        (grey(), torch.tensor([-1]), "indices of 2 classes"),
    ],
)
def test_tiles_and_labels_that_do_not_fit_are_refused(tiles: Tensor, labels: Tensor, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ddn_attack(oracle(), tiles, labels, DdnSettings(steps=2))


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="valid"):
        ddn_attack(oracle(), grey(), LABEL, DdnSettings(), valid_BHW=torch.ones(1, 4, 5, dtype=torch.bool))


def test_scores_of_one_class_or_without_a_gradient_are_refused() -> None:
    network = oracle()
    with pytest.raises(ValueError, match="two classes"):
        ddn_attack(lambda tiles: network(tiles)[:, :1], grey(), LABEL, DdnSettings())
    with pytest.raises(ValueError, match="no_grad"):
        ddn_attack(torch.no_grad()(network), grey(), LABEL, DdnSettings())


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"steps": 0}, "steps"),
        ({"gamma": 0.0}, "gamma"),
        ({"gamma": 1.0}, "gamma"),
        ({"initial_norm": 0.0}, "initial_norm"),
        ({"initial_norm": float("inf")}, "initial_norm"),
        ({"quantise_levels": 1}, "quantise_levels"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(values: dict[str, float], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        DdnSettings(**values)  # type: ignore[arg-type]


def test_the_median_is_over_the_broken_tiles_and_the_rate_over_all() -> None:
    figures = robustness_figures([0.0, 0.4, 0.6, 0.0], [True, True, True, False])
    assert figures == {"median_l2": pytest.approx(0.4), "success_rate": 0.75, "clean_accuracy": 0.75}


def test_there_is_no_median_when_nothing_was_broken() -> None:
    assert robustness_figures([0.0, 0.0], [False, False]) == {"success_rate": 0.0, "clean_accuracy": 1.0}


def test_figures_need_as_many_norms_as_successes() -> None:
    for norms_given, successes in (([], []), ([0.1], [True, False])):
        with pytest.raises(ValueError, match="as many norms"):
            robustness_figures(norms_given, successes)
