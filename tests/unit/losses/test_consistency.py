"""Consistency of two outputs: the paper's numbers, what padding does, and who learns."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.losses.consistency import consistency, mask_consistency, pixel_consistency

STUDENT = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, -1.0, 3.0]])
TEACHER = torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 3.0], [1.0, -1.0, 3.0]])
EVERYWHERE = torch.ones(3, 1, 3, dtype=torch.bool)


def test_the_loss_is_the_mean_over_tiles_of_the_squared_norm() -> None:
    torch.testing.assert_close(consistency(STUDENT, TEACHER), torch.tensor(3.66666666667), rtol=1e-6, atol=0)


def test_per_pixel_it_is_the_mean_squared_difference_of_probabilities() -> None:
    found = pixel_consistency(STUDENT[:, None], TEACHER[:, None], valid_BHW=EVERYWHERE)
    expected = (STUDENT.sigmoid() - TEACHER.sigmoid()).square().mean()
    torch.testing.assert_close(found, expected)


def test_padding_does_not_count_and_a_tile_of_padding_counts_nothing() -> None:
    valid = EVERYWHERE.clone()
    valid[0, 0, 1:] = False
    valid[1] = False
    found = pixel_consistency(STUDENT[:, None], TEACHER[:, None], valid_BHW=valid)
    of_first = (STUDENT[0, 0].sigmoid() - TEACHER[0, 0].sigmoid()).square()
    torch.testing.assert_close(found, of_first / 3)


def test_no_gradient_reaches_the_teacher() -> None:
    for student, teacher in ((STUDENT, TEACHER), (STUDENT[:, None], TEACHER[:, None])):
        learns, follows = student.clone().requires_grad_(), teacher.clone().requires_grad_()
        if student.ndim == 2:
            loss = consistency(learns, follows)
        else:
            loss = pixel_consistency(learns, follows, valid_BHW=EVERYWHERE)
        loss.backward()  # type: ignore[no-untyped-call]
        assert learns.grad is not None
        assert learns.grad.any()
        assert follows.grad is None


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 10.0, 1000.0]))
def test_per_pixel_it_is_zero_for_equals_and_never_above_one(seed: int, spread: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    one, other = (spread * torch.randn(2, 3, 4, generator=generator) for _ in range(2))
    valid = torch.rand(2, 3, 4, generator=generator) < 0.8
    assert pixel_consistency(one, one, valid_BHW=valid) == 0
    assert 0 <= float(pixel_consistency(one, other, valid_BHW=valid)) <= 1


def test_a_tile_twice_as_large_with_the_same_content_costs_the_same() -> None:
    one, other = STUDENT[:, None], TEACHER[:, None]
    twice = pixel_consistency(
        one.repeat(1, 2, 1), other.repeat(1, 2, 1), valid_BHW=torch.ones(3, 2, 3, dtype=torch.bool)
    )
    assert float(twice) == pytest.approx(float(pixel_consistency(one, other, valid_BHW=EVERYWHERE)))


def test_of_logits_it_is_their_mean_squared_difference() -> None:
    found = pixel_consistency(STUDENT[:, None], TEACHER[:, None], valid_BHW=EVERYWHERE, outputs="logit")
    assert float(found) == pytest.approx(11 / 9)  # 1 + 1 + 9 over 9 pixels


def test_where_both_are_sure_only_logits_pull() -> None:
    pulls = {}
    for outputs in ("softmax", "logit"):
        student = torch.full((1, 4, 4), 12.0, requires_grad=True)
        valid = torch.ones(1, 4, 4, dtype=torch.bool)
        loss = pixel_consistency(student, torch.full((1, 4, 4), 6.0), valid_BHW=valid, outputs=outputs)  # type: ignore[arg-type]
        loss.backward()  # type: ignore[no-untyped-call]
        assert student.grad is not None
        pulls[outputs] = float(student.grad.abs().max())
    assert pulls["softmax"] < 1e-6
    assert pulls["logit"] > 0.1


@pytest.mark.parametrize("outputs", ["softmax", "logit"])
def test_a_foreground_beside_a_background_of_zero_costs_as_the_foreground_alone(outputs: str) -> None:
    one, other = STUDENT[:, None, None], TEACHER[:, None, None]
    both = [torch.cat([torch.zeros_like(logits), logits], dim=1) for logits in (one, other)]
    alone = mask_consistency(one, other, valid_BHW=EVERYWHERE, outputs=outputs)  # type: ignore[arg-type]
    found = mask_consistency(both[0], both[1], valid_BHW=EVERYWHERE, outputs=outputs)  # type: ignore[arg-type]
    torch.testing.assert_close(found, alone)


def test_a_shift_of_all_classes_logits_changes_nothing() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(2, 4, 4, dtype=torch.bool)
    shifted = mask_consistency(logits + 5.0, logits, valid_BHW=valid, outputs="logit")
    assert float(shifted) == pytest.approx(0, abs=1e-9)
