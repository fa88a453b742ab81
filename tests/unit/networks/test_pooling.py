"""Pooling against the oracles: formulas of thesis eq 1.7, 3.7, 3.8, 3.10 and 3.11 in float64, and properties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.network_config import POOLINGS, PoolingConfig
from histoloop.networks.pooling import AttentionHead, MapPooling, attention_pool, build_pooling, cell_count

MAPS_BCHW = torch.tensor(
    [
        [
            [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]],
            [[-1.0, 0.5, 0.25], [2.0, -0.75, 0.0], [1.5, -2.0, 0.125]],
        ]
    ],
    dtype=torch.float64,
)


def wildcat(**numbers: object) -> MapPooling:
    return build_pooling(PoolingConfig(name="wildcat", modalities=1, **numbers))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("k", "variant", "scores"),
    [
        (0.1, "sum", [0.96, 0.8]),
        (0.1, "half", [0.48, 0.4]),
        (0.1, "top", [0.9, 2.0]),
        (0.3, "sum", [0.92, 0.583333333333]),
        (0.3, "half", [0.46, 0.291666666667]),
        (0.3, "top", [0.8, 1.33333333333]),
    ],
)
def test_wildcat_gives_the_scores_of_thesis_eq_3_8_and_its_named_variants(
    k: float, variant: str, scores: list[float]
) -> None:
    pooled = wildcat(kmax=k, kmin=k, alpha=0.6, variant=variant)(MAPS_BCHW)
    torch.testing.assert_close(pooled, torch.tensor([scores], dtype=torch.float64), rtol=1e-9, atol=0)


def test_wildcat_with_one_cell_and_no_alpha_is_the_maximum() -> None:
    assert torch.equal(wildcat(kmax=1, kmin=0, alpha=0.0)(MAPS_BCHW), MAPS_BCHW.amax(dim=(2, 3)))


def test_wildcat_of_all_cells_without_alpha_is_the_mean() -> None:
    pooled = wildcat(kmax=9, kmin=0, alpha=0.0)(MAPS_BCHW)
    torch.testing.assert_close(pooled, MAPS_BCHW.mean(dim=(2, 3)))


def test_average_pooling_is_the_mean() -> None:
    pooled = build_pooling(PoolingConfig(name="average", modalities=1))(MAPS_BCHW)
    torch.testing.assert_close(pooled, MAPS_BCHW.mean(dim=(2, 3)))


def test_max_pooling_is_the_highest_cell() -> None:
    assert build_pooling(PoolingConfig(name="max", modalities=1))(MAPS_BCHW).tolist() == [[0.9, 2.0]]


def log_sum_exp(maps_BCHW: torch.Tensor, sharpness: float) -> torch.Tensor:
    return build_pooling(PoolingConfig(name="log-sum-exp", modalities=1, sharpness=sharpness))(maps_BCHW)


@pytest.mark.parametrize(
    ("sharpness", "scores"), [(10.0, [0.726132715063, 1.78094911091]), (0.5, [0.51663828563, 0.397455719378])]
)
def test_log_sum_exp_gives_the_scores_of_thesis_eq_3_7(sharpness: float, scores: list[float]) -> None:
    expected = torch.tensor([scores], dtype=torch.float64)
    torch.testing.assert_close(log_sum_exp(MAPS_BCHW, sharpness), expected, rtol=1e-9, atol=0)


@given(st.integers(0, 2**31 - 1), st.floats(0.01, 100))
def test_log_sum_exp_lies_between_mean_and_maximum(seed: int, sharpness: float) -> None:
    maps = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pooled = log_sum_exp(maps, sharpness)
    assert (pooled >= maps.mean(dim=(2, 3)) - 1e-9).all()
    assert (pooled <= maps.amax(dim=(2, 3)) + 1e-9).all()


def test_log_sum_exp_of_scores_of_ten_thousand_and_its_gradient_are_finite() -> None:
    maps = torch.tensor([1e4, -1e4, 0.0, 9999.0]).view(1, 1, 2, 2).requires_grad_()
    pooled = log_sum_exp(maps, 10.0)
    pooled.sum().backward()
    assert pooled.item() == pytest.approx(1e4, rel=1e-4)
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def deep_mil(zeroed: float = 0.0) -> MapPooling:
    return build_pooling(PoolingConfig(name="deep-mil", modalities=1, zeroed=zeroed))


def test_deep_mil_gives_the_scores_of_thesis_eq_3_10() -> None:
    expected = torch.tensor([[0.565772780887, 1.21675758206]], dtype=torch.float64)
    torch.testing.assert_close(deep_mil()(MAPS_BCHW), expected, rtol=1e-9, atol=0)


def test_deep_mil_zeroes_scores_inside_the_softmax_only() -> None:
    zeroed = torch.zeros(1, 2, 9, dtype=torch.bool)
    zeroed[0, 0, [0, 4]] = True
    zeroed[0, 1, [1, 3, 5]] = True
    expected = torch.tensor([[0.572057292211, 0.799338193333]], dtype=torch.float64)
    torch.testing.assert_close(attention_pool(MAPS_BCHW.flatten(2), zeroed), expected, rtol=1e-9, atol=0)


def test_deep_mil_with_all_scores_zeroed_is_the_mean() -> None:
    torch.testing.assert_close(deep_mil(1.0).train()(MAPS_BCHW), MAPS_BCHW.mean(dim=(2, 3)))


def test_deep_mil_zeroes_nothing_after_training() -> None:
    assert torch.equal(deep_mil(0.5).eval()(MAPS_BCHW), deep_mil(0.0)(MAPS_BCHW))


@pytest.mark.parametrize("name", ["attention", "gated-attention"])
def test_attention_scores_the_weighted_sum_of_the_features_of_each_class(name: str) -> None:
    torch.manual_seed(0)
    features_KHW = torch.randn(5, 2, 3, dtype=torch.float64)
    pooling = build_pooling(PoolingConfig(name=name, hidden=4))  # type: ignore[arg-type]
    head = pooling.head(5, 2).double()
    assert isinstance(head, AttentionHead)
    expected = []
    for label in range(2):
        rows = slice(4 * label, 4 * label + 4)
        cells_KN = features_KHW.flatten(1)
        hidden_LN = torch.tanh(head.attend.weight[rows, :, 0, 0] @ cells_KN + head.attend.bias[rows, None])
        if name == "gated-attention":
            assert head.gate is not None
            hidden_LN = hidden_LN * (head.gate.weight[rows, :, 0, 0] @ cells_KN + head.gate.bias[rows, None]).sigmoid()
        attention_N = (head.weigh.weight[label, :, 0, 0] @ hidden_LN).exp()
        attention_N = attention_N / attention_N.sum()
        bag_K = (attention_N * cells_KN).sum(dim=1)  # eq 1.4
        expected.append(head.score.weight[label, :, 0, 0] @ bag_K + head.score.bias[label])
    maps_BKHW = pooling.classwise(head(features_KHW[None]))
    assert maps_BKHW.shape == (1, 4, 2, 3)
    torch.testing.assert_close(pooling(maps_BKHW), torch.stack(expected)[None])


def generalised_mean(maps_BCHW: torch.Tensor, exponent: int = 4) -> torch.Tensor:
    return build_pooling(PoolingConfig(name="generalised-mean", modalities=1, exponent=exponent))(maps_BCHW)


def test_the_generalised_mean_is_that_of_thesis_eq_4_1() -> None:
    cells = MAPS_BCHW.flatten(2).sigmoid()
    expected = (cells**4).mean(dim=-1) ** 0.25
    torch.testing.assert_close(generalised_mean(MAPS_BCHW).sigmoid(), expected)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31 - 1), st.integers(1, 12), st.floats(0.1, 6))
def test_the_generalised_mean_lies_between_mean_and_maximum_of_the_sigmoid(
    seed: int, exponent: int, spread: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = spread * torch.randn(1, 2, 3, 4, generator=generator, dtype=torch.float64)
    probability = generalised_mean(maps, exponent).sigmoid()
    assert (probability >= maps.sigmoid().mean(dim=(2, 3)) - 1e-9).all()
    assert (probability <= maps.sigmoid().amax(dim=(2, 3)) + 1e-9).all()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_generalised_mean_of_scores_of_ten_thousand_and_its_gradient_are_finite(sign: float) -> None:
    for cells in ([1e4, 1e4, 1e4, 9999.0], [1e4, -1e4, 0.0, 1.0]):
        maps = (sign * torch.tensor(cells)).view(1, 1, 2, 2).requires_grad_()
        pooled = generalised_mean(maps)
        pooled.sum().backward()
        assert torch.isfinite(pooled).all()
        assert maps.grad is not None
        assert torch.isfinite(maps.grad).all()


def test_wildcat_drops_cells_only_while_training() -> None:
    pooling = wildcat(kmax=9, kmin=0, alpha=0.0, dropout=0.5)
    torch.manual_seed(0)
    trained = {round(float(pooling.train()(torch.ones(1, 1, 3, 3))), 6) for _ in range(20)}
    # nine cells, each dropped or doubled
    assert len(trained) > 2
    assert all(abs(value * 9 / 2 - round(value * 9 / 2)) < 1e-4 for value in trained)
    assert torch.equal(pooling.eval()(MAPS_BCHW), wildcat(kmax=9, kmin=0, alpha=0.0)(MAPS_BCHW))


@pytest.mark.parametrize("variant", ["sum", "half", "top"])
def test_dropout_leaves_the_average_score_of_wildcat_as_it_is_in_evaluation(variant: str) -> None:
    pooling = wildcat(kmax=0.09, kmin=0.09, alpha=0.6, dropout=0.75, variant=variant)
    maps = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    trained = torch.stack([pooling.train()(maps) for _ in range(1000)])
    torch.testing.assert_close(trained.mean(), pooling.eval()(maps).mean(), rtol=0.02, atol=0.02)


def test_dropout_chooses_among_the_highest_cells_and_lets_no_lower_one_in() -> None:
    pooling = wildcat(kmax=2, kmin=0, alpha=0.0, dropout=0.5)
    maps = torch.tensor([[[[8.0, 4.0, 1.0, -2.0]]]])
    torch.manual_seed(0)
    scores = {float(pooling.train()(maps)) for _ in range(50)}
    assert scores == {0.0, 4.0, 8.0, 12.0}  # none, one or both of 8 and 4, each doubled, over two


@pytest.mark.parametrize("name", POOLINGS)
def test_every_pooling_is_over_the_valid_cells_alone(name: str) -> None:
    pooling = build_pooling(PoolingConfig(name=name, modalities=1)).eval()  # type: ignore[arg-type]
    maps = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    valid = torch.zeros(2, 3, 3, dtype=torch.bool)
    valid[0, :2, :2] = valid[1, 1:, :] = True
    disturbed = torch.where(valid[:, None], maps, torch.tensor(1e3))
    found = pooling.pool_maps(disturbed, valid)
    torch.testing.assert_close(found[:1], pooling.pool_maps(maps[:1, :, :2, :2]))
    torch.testing.assert_close(found[1:], pooling.pool_maps(maps[1:, :, 1:, :]))


def test_classwise_maps_are_the_mean_over_the_modalities_of_each_class() -> None:
    channels = torch.tensor(
        [
            [[1.0, 2.0], [3.0, 4.0]],
            [[3.0, 0.0], [1.0, -2.0]],
            [[0.5, 0.5], [0.5, 0.5]],
            [[1.5, -0.5], [0.5, 2.5]],
        ]
    )
    expected = torch.tensor([[[2.0, 1.0], [2.0, 1.0]], [[1.0, 0.0], [0.5, 1.5]]])
    assert torch.equal(MapPooling(modalities=2).classwise(channels[None])[0], expected)


@pytest.mark.parametrize(
    ("k", "cells", "count"), [(0, 9, 0), (0.1, 9, 1), (0.001, 9, 1), (0.5, 9, 4), (3, 9, 3), (20, 9, 9)]
)
def test_k_is_a_fraction_below_one_and_a_count_from_one(k: float, cells: int, count: int) -> None:
    assert cell_count(k, cells) == count


@given(st.integers(0, 2**31 - 1), st.integers(1, 15))
def test_pooling_over_valid_cells_ignores_all_others(seed: int, valid_cells: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(1, 2, 4, 4, generator=generator)
    chosen = torch.randperm(16, generator=generator)[:valid_cells]
    valid = torch.zeros(16, dtype=torch.bool)
    valid[chosen] = True
    pooling = wildcat(kmax=0.3, kmin=0.3, alpha=0.6)
    disturbed = torch.where(valid.view(1, 1, 4, 4), maps, torch.tensor(99.0))
    alone = maps.flatten(2)[:, :, valid].unsqueeze(2)
    torch.testing.assert_close(pooling.pool_maps(disturbed, valid.view(1, 4, 4)), pooling.pool_maps(alone))


def test_a_map_without_valid_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="valid cell"):
        MapPooling().pool_maps(MAPS_BCHW, torch.zeros(1, 3, 3, dtype=torch.bool))


@pytest.mark.parametrize(
    "numbers",
    [
        {"name": "median"},
        {"variant": "third"},
        {"modalities": 0},
        {"kmax": 0.0},
        {"kmin": -1.0},
        {"sharpness": 0.0},
        {"zeroed": 1.1},
        {"alpha": 1.5},
        {"dropout": 1.0},
        {"hidden": 0},
        {"exponent": 0},
    ],
)
def test_a_pooling_that_makes_no_sense_is_refused(numbers: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(numbers))).replace("name", "pooling")):
        PoolingConfig(**numbers)  # type: ignore[arg-type]
