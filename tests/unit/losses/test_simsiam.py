"""The SimSiam loss is the paper's, and its gradient stops at the projections."""

from __future__ import annotations

import pytest
import torch

from histoloop.losses.simsiam import negative_cosine, simsiam_loss

P1 = torch.tensor([[1.0, 2.0, 2.0], [0.0, 3.0, 4.0]])
P2 = torch.tensor([[2.0, -1.0, 2.0], [1.0, 0.0, 0.0]])
Z1 = torch.tensor([[0.0, 0.0, 5.0], [1.0, 1.0, 0.0]])
Z2 = torch.tensor([[1.0, 2.0, 2.0], [0.0, 4.0, -3.0]])


def test_the_loss_is_that_of_the_paper() -> None:
    assert float(negative_cosine(P1, Z2)) == pytest.approx(-(1.0 + 0.0) / 2, rel=1e-6, abs=1e-7)
    assert float(negative_cosine(P2, Z1)) == pytest.approx(-(0.666666666667 + 0.707106781187) / 2, rel=1e-6)
    assert float(simsiam_loss(P1, P2, Z1, Z2)) == pytest.approx(-0.593443361963, rel=1e-6)


def test_the_gradient_stops_at_the_projections() -> None:
    predictions, projections = P1.clone().requires_grad_(), Z1.clone().requires_grad_()
    simsiam_loss(predictions, P2, projections, Z2).backward()
    assert predictions.grad is not None
    assert predictions.grad.abs().sum() > 0
    assert projections.grad is None


def test_lengths_do_not_matter_and_alike_is_minus_one() -> None:
    torch.testing.assert_close(simsiam_loss(3 * P1, P2, Z1, 0.1 * Z2), simsiam_loss(P1, P2, Z1, Z2))
    assert float(simsiam_loss(P1, P2, 2 * P2, 5 * P1)) == pytest.approx(-1.0, rel=1e-6)


def test_half_precision_is_compared_in_full() -> None:
    loss = simsiam_loss(*(values.bfloat16() for values in (P1, P2, Z1, Z2)))
    assert loss.dtype == torch.float32
