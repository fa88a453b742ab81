from __future__ import annotations

import torch
from torch.nn import functional

from histoloop.losses.segmentation import binary_cross_entropy, soft_dice

LOGITS = torch.tensor([[[2.0, -1.0], [0.5, 3.0]], [[0.0, 1.0], [-2.0, 0.25]]])
TARGETS = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [1.0, 1.0]]])
EVERYWHERE = torch.ones(2, 2, 2, dtype=torch.bool)


def test_cross_entropy_is_the_weighted_sum_of_tile_means_over_the_batch_size() -> None:
    weights = torch.tensor([1.0, 0.1])
    per_tile = functional.binary_cross_entropy_with_logits(LOGITS, TARGETS, reduction="none").mean(dim=(1, 2))
    loss = binary_cross_entropy(LOGITS, TARGETS, valid_BHW=EVERYWHERE, weights_B=weights)
    torch.testing.assert_close(loss, (per_tile[0] + 0.1 * per_tile[1]) / 2)


def test_padding_does_not_count() -> None:
    valid = EVERYWHERE.clone()
    valid[:, 1] = False
    changed = TARGETS.clone()
    changed[:, 1] = 1 - changed[:, 1]
    for loss in (binary_cross_entropy, soft_dice):
        assert torch.equal(
            loss(LOGITS, TARGETS, valid_BHW=valid, weights_B=torch.ones(2)),
            loss(LOGITS, changed, valid_BHW=valid, weights_B=torch.ones(2)),
        )


def test_soft_dice_is_zero_for_a_perfect_mask_and_for_two_empty_ones() -> None:
    perfect = torch.where(TARGETS > 0, 40.0, -40.0)
    empty = torch.zeros_like(TARGETS)
    for logits, targets in ((perfect, TARGETS), (torch.full_like(empty, -40.0), empty)):
        loss = soft_dice(logits, targets, valid_BHW=EVERYWHERE, weights_B=torch.ones(2))
        torch.testing.assert_close(loss, torch.tensor(0.0), atol=1e-6, rtol=0)
