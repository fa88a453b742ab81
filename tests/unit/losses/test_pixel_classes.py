"""Losses of mask classes. The literals were computed apart from the program, pixel by pixel in double precision."""

from __future__ import annotations

import pytest
import torch

from histoloop.losses.consistency import mask_consistency, pixel_consistency
from histoloop.losses.pixel_classes import class_cross_entropy, class_mask_loss, class_soft_dice, class_weights

# two tiles of one row and two columns; background and two classes
LOGITS = torch.tensor([[[[2.0, -1.0]], [[0.5, 0.0]], [[-1.0, 1.0]]], [[[0.0, 0.3]], [[1.0, -0.7]], [[0.2, 2.0]]]])
TARGETS = torch.tensor([[[0, 2]], [[1, 1]]])
EVERYWHERE = torch.ones(2, 1, 2, dtype=torch.bool)
TILES = torch.tensor([1.0, 0.1])
CLASSES = torch.tensor([0.5, 1.0, 3.0])


def test_the_cross_entropy_weighs_pixels_by_class_and_tiles_by_lambda() -> None:
    found = class_cross_entropy(LOGITS, TARGETS, valid_BHW=EVERYWHERE, weights_B=TILES, class_weights_L=CLASSES)
    assert float(found) == pytest.approx(0.42387729184, rel=1e-6)


def test_the_soft_dice_is_the_mean_over_the_classes_that_a_tile_has() -> None:
    found = class_soft_dice(LOGITS, TARGETS, valid_BHW=EVERYWHERE, weights_B=TILES)
    assert float(found) == pytest.approx(0.08039485958, rel=1e-6)


def test_both_parts_are_summed() -> None:
    for kind, expected in (("bce", 0.42387729184), ("bce+dice", 0.50427215142)):
        found = class_mask_loss(LOGITS, TARGETS, kind, valid_BHW=EVERYWHERE, weights_B=TILES, class_weights_L=CLASSES)
        assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [0, 1, 255])
def test_pixels_that_are_not_valid_take_no_part_whatever_they_say(value: int) -> None:
    valid, targets = EVERYWHERE.clone(), TARGETS.clone()
    valid[1, 0, 1], targets[1, 0, 1] = False, value
    entropy = class_cross_entropy(LOGITS, targets, valid_BHW=valid, weights_B=TILES, class_weights_L=CLASSES)
    assert float(entropy) == pytest.approx(0.36573345943, rel=1e-6)
    assert float(class_soft_dice(LOGITS, targets, valid_BHW=valid, weights_B=TILES)) == pytest.approx(
        0.06984545192, rel=1e-6
    )


def test_a_tile_without_a_valid_pixel_costs_nothing_and_moves_nothing() -> None:
    logits = LOGITS.clone().requires_grad_()
    nowhere = torch.zeros_like(EVERYWHERE)
    loss = class_mask_loss(logits, TARGETS, "bce+dice", valid_BHW=nowhere, weights_B=TILES, class_weights_L=CLASSES)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.equal(logits.grad, torch.zeros_like(LOGITS))


def test_a_perfect_mask_costs_nothing() -> None:
    logits = 60.0 * torch.nn.functional.one_hot(TARGETS, 3).movedim(-1, 1).float()
    loss = class_mask_loss(logits, TARGETS, "bce+dice", valid_BHW=EVERYWHERE, weights_B=TILES, class_weights_L=CLASSES)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_a_class_of_four_pixels_in_a_hundred_weighs_four_times_one_of_sixty_four() -> None:
    found = class_weights([6400, 3200, 400])
    assert found.tolist() == pytest.approx([0.79837238, 1.12906905, 3.19348952], rel=1e-6)
    shares = torch.tensor([0.64, 0.32, 0.04])
    assert float((shares * found).sum()) == pytest.approx(1, rel=1e-6)


def test_the_rarest_class_weighs_ten_at_most_and_an_unpainted_one_is_left_alone() -> None:
    assert class_weights([1_000_000, 1, 0]).tolist()[1:] == [10.0, 1.0]
    with pytest.raises(ValueError, match="painted"):
        class_weights([0, 0, 0])


def test_consistency_of_two_outcomes_is_that_of_one_foreground() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 1, 3, 4, generator=generator) for _ in range(2))
    valid = torch.rand(2, 3, 4, generator=generator) > 0.3
    pair = [torch.cat([torch.zeros_like(logits), logits], dim=1) for logits in (student, teacher)]
    one = mask_consistency(student, teacher, valid_BHW=valid)
    torch.testing.assert_close(mask_consistency(*pair, valid_BHW=valid), one)
    assert torch.equal(one, pixel_consistency(student[:, 0], teacher[:, 0], valid_BHW=valid))
