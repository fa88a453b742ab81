"""Pooling against the oracles: formulas of thesis eq 1.7 and 3.8 in float64, and properties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from histoloop.networks.config import PoolingConfig
from histoloop.networks.pooling import MapPooling, build_pooling, cell_count

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
    "numbers", [{"name": "median"}, {"variant": "third"}, {"modalities": 0}, {"kmax": 0.0}, {"kmin": -1.0}]
)
def test_a_pooling_that_makes_no_sense_is_refused(numbers: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(numbers))).replace("name", "pooling")):
        PoolingConfig(**numbers)  # type: ignore[arg-type]
