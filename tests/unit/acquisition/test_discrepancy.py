"""Cyclic output discrepancy: the paper's numbers, and regions of any size alike."""

from __future__ import annotations

import numpy as np
import pytest

from histoloop.acquisition.discrepancy import cod

NEW = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, -1.0, 3.0]])
OLD = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 3.0], [1.0, -1.0, 3.0]])


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [("logit", [1.41421356237, 3.0, 0.0]), ("softmax", [0.42096285413, 0.705587357788, 0.0])],
)
def test_it_is_the_norm_of_the_difference(outputs: str, expected: list[float]) -> None:
    found = [cod(old, new, outputs=outputs) for old, new in zip(OLD, NEW, strict=True)]  # type: ignore[arg-type]
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("outputs", ["logit", "softmax"])
def test_a_region_twice_as_large_with_the_same_content_counts_the_same(outputs: str) -> None:
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(2, 5, 7))
    one = cod(old, new, outputs=outputs)  # type: ignore[arg-type]
    assert cod(np.tile(old, 2), np.tile(new, 2), outputs=outputs) == pytest.approx(one)  # type: ignore[arg-type]
    pair = cod(np.stack([0 * old, old]), np.stack([0 * new, new]), outputs=outputs)  # type: ignore[arg-type]
    assert pair == pytest.approx(one)


def test_outputs_that_do_not_compare_are_refused() -> None:
    for old, new in (
        (OLD[0], NEW[0][:2]),
        (np.zeros(()), np.zeros(())),
        (np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1, 1))),
    ):
        with pytest.raises(ValueError, match="one shape"):
            cod(old, new)
    with pytest.raises(ValueError, match="probability"):
        cod(OLD, NEW, outputs="probability")  # type: ignore[arg-type]
