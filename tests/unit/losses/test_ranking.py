from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.losses.ranking import pairwise_margin_ranking

PREDICTED = torch.tensor([0.2, 0.9, 0.4, 0.5])
TRUE = torch.tensor([1.0, 0.3, 0.3, 2.0])


def test_the_reference_value_is_the_mean_over_pairs_of_first_and_last() -> None:
    torch.testing.assert_close(pairwise_margin_ranking(PREDICTED, TRUE), torch.tensor(1.1), rtol=1e-6, atol=0)


def test_each_pair_is_worth_what_the_reference_says() -> None:
    for pair, expected in (([0, 3], 0.7), ([1, 2], 1.5)):
        loss = pairwise_margin_ranking(PREDICTED[pair], TRUE[pair])
        torch.testing.assert_close(loss, torch.tensor(expected), rtol=1e-6, atol=0)


def test_pairs_in_the_right_order_and_a_margin_apart_cost_nothing() -> None:
    assert pairwise_margin_ranking(2 * torch.tensor([3.0, 0.0, 1.0, 2.0]), torch.tensor([9.0, 0.1, 0.2, 4.0])) == 0


@settings(deadline=None, max_examples=25)
@given(shift=st.floats(-100, 100), scale=st.floats(0.01, 100), seed=st.integers(0, 1000))
def test_only_the_order_of_true_losses_and_differences_of_predictions_count(
    shift: float, scale: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    predicted, true = torch.randn(2, 8, generator=generator, dtype=torch.float64).unbind()
    torch.testing.assert_close(
        pairwise_margin_ranking(predicted + shift, scale * true), pairwise_margin_ranking(predicted, true)
    )


def test_gradients_raise_the_prediction_of_the_greater_loss_and_leave_true_losses_alone() -> None:
    predicted, true = PREDICTED.clone().requires_grad_(), TRUE.clone().requires_grad_()
    pairwise_margin_ranking(predicted, true).backward()
    torch.testing.assert_close(predicted.grad, torch.tensor([0.5, 0.5, -0.5, -0.5]))
    assert true.grad is None


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_cannot_be_paired_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="pairs"):
        pairwise_margin_ranking(torch.zeros(count), torch.zeros(count))


def test_as_many_predictions_as_losses_are_needed() -> None:
    with pytest.raises(ValueError, match="predicted"):
        pairwise_margin_ranking(torch.zeros(4), torch.zeros(2))
