"""Losses of the logits of mask classes and background against painted masks: what a decoder of K classes learns by.

Logits are (B, K + 1, H, W), background first; targets (B, H, W) hold 0 .. K. Pixels outside `valid` take no part, be
they padding or such as nobody vouches for, whatever their target is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from histoloop.losses.segmentation import MaskLoss

MOST_WEIGHT = 10.0
"""No class weighs more: a class of a few pixels must not drown the others."""


def class_weights(pixels: Sequence[int]) -> Tensor:
    """Weights (K + 1,) of background and mask classes from how many pixels of each are painted.

    w_c = f_c^(-1/2) / sum_k f_k^(1/2), at most 10, with f_c the share of class c. So the classes count by the square
    root of their shares, between by pixel and all alike, and the mean weight of a pixel, sum_c f_c w_c, is 1. A class
    that is not painted weighs 1: no pixel of it is ever met. ValueError where nothing is painted at all.
    """
    counts = torch.tensor(pixels, dtype=torch.float64)
    if not counts.sum() > 0:
        raise ValueError("class weights need painted pixels")
    root = (counts / counts.sum()).sqrt()
    weights = torch.where(counts > 0, 1 / (root.clamp(min=1e-12) * root.sum()), 1.0)
    return weights.clamp(max=MOST_WEIGHT).float()


def class_mask_loss(
    logits_BLHW: Tensor,
    targets_BHW: Tensor,
    kind: MaskLoss,
    *,
    valid_BHW: Tensor,
    weights_B: Tensor,
    class_weights_L: Tensor,
) -> Tensor:
    """The weighted cross-entropy, or with 'bce+dice' the sum of it and the soft Dice of the classes."""
    loss = class_cross_entropy(
        logits_BLHW, targets_BHW, valid_BHW=valid_BHW, weights_B=weights_B, class_weights_L=class_weights_L
    )
    if kind == "bce+dice":
        loss = loss + class_soft_dice(logits_BLHW, targets_BHW, valid_BHW=valid_BHW, weights_B=weights_B)
    return loss


def class_cross_entropy(
    logits_BLHW: Tensor, targets_BHW: Tensor, *, valid_BHW: Tensor, weights_B: Tensor, class_weights_L: Tensor
) -> Tensor:
    """1/B sum_b lambda_b 1/N_b sum_i w_y(i) (-log p_y(i)): label-prop eq 1 with K + 1 classes, each with its weight.

    N_b are the valid pixels of a tile, lambda_b the tile's weight, p the softmax. A tile without a valid pixel
    counts 0. Returns a scalar.
    """
    valid = valid_BHW.to(logits_BLHW.dtype)
    targets = torch.where(valid_BHW, targets_BHW, 0).long()
    per_pixel = functional.cross_entropy(logits_BLHW, targets, weight=class_weights_L, reduction="none") * valid
    per_tile = per_pixel.flatten(1).sum(dim=1) / valid.flatten(1).sum(dim=1).clamp(min=1)
    return (weights_B * per_tile).sum() / len(per_tile)


def class_soft_dice(logits_BLHW: Tensor, targets_BHW: Tensor, *, valid_BHW: Tensor, weights_B: Tensor) -> Tensor:
    """1/B sum_b lambda_b (1 - mean over c of D_bc), the classes c that are present in tile b, background included.

    D_bc = (2 sum_i p_c(i) [y(i) = c] + 1) / (sum_i p_c(i) + sum_i [y(i) = c] + 1): a class that is absent from a tile
    asks nothing of it. A tile without a valid pixel counts 0. Returns a scalar.
    """
    valid = valid_BHW.to(logits_BLHW.dtype)
    targets = torch.where(valid_BHW, targets_BHW, 0).long()
    truth = functional.one_hot(targets, logits_BLHW.shape[1]).movedim(-1, 1).to(valid.dtype) * valid[:, None]
    found = logits_BLHW.softmax(dim=1) * valid[:, None]
    sizes_BL = truth.flatten(2).sum(dim=2)
    overlap_BL = (found * truth).flatten(2).sum(dim=2)
    dice_BL = (2 * overlap_BL + 1) / (found.flatten(2).sum(dim=2) + sizes_BL + 1)
    present_BL = (sizes_BL > 0).to(valid.dtype)
    per_tile = ((1 - dice_BL) * present_BL).sum(dim=1) / present_BL.sum(dim=1).clamp(min=1)
    return (weights_B * per_tile).sum() / len(per_tile)
