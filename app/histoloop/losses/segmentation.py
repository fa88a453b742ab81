"""Losses of a foreground logit against a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

MaskLoss = Literal["bce", "bce+dice"]


def mask_loss(
    logits_BHW: Tensor, targets_BHW: Tensor, kind: MaskLoss, *, valid_BHW: Tensor, weights_B: Tensor
) -> Tensor:
    """The binary cross-entropy, which is the paper's, or with 'bce+dice' the sum of it and the soft Dice."""
    loss = binary_cross_entropy(logits_BHW, targets_BHW, valid_BHW=valid_BHW, weights_B=weights_B)
    if kind == "bce+dice":
        loss = loss + soft_dice(logits_BHW, targets_BHW, valid_BHW=valid_BHW, weights_B=weights_B)
    return loss


def binary_cross_entropy(logits_BHW: Tensor, targets_BHW: Tensor, *, valid_BHW: Tensor, weights_B: Tensor) -> Tensor:
    """Label-prop eq 1: per-tile mean BCE times the tile's weight, summed and divided by the batch size.

    targets in [0, 1]; pixels outside `valid` (padding) do not count; weights are 1 for annotated tiles and lambda for
    pseudo-labelled ones. Returns a scalar.
    """
    valid = valid_BHW.to(logits_BHW.dtype)
    per_pixel = functional.binary_cross_entropy_with_logits(logits_BHW, targets_BHW, reduction="none") * valid
    per_tile = per_pixel.flatten(1).sum(dim=1) / valid.flatten(1).sum(dim=1).clamp(min=1)
    return (weights_B * per_tile).sum() / len(per_tile)


def soft_dice(logits_BHW: Tensor, targets_BHW: Tensor, *, valid_BHW: Tensor, weights_B: Tensor) -> Tensor:
    """1 - Dice of the probabilities per tile (Milletari et al. 2016), times the tile's weight, mean over the batch.

    A smoothing of one pixel makes a tile whose mask and prediction are both empty cost nothing.
    """
    valid = valid_BHW.to(logits_BHW.dtype)
    probabilities, targets = (logits_BHW.sigmoid() * valid).flatten(1), (targets_BHW * valid).flatten(1)
    overlap = (probabilities * targets).sum(dim=1)
    per_tile = 1 - (2 * overlap + 1) / (probabilities.sum(dim=1) + targets.sum(dim=1) + 1)
    return (weights_B * per_tile).sum() / len(per_tile)
