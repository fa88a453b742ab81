"""Consistency of a student with its teacher on what nobody labelled (tod eq 7; the weight lambda is the caller's)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def consistency(student_BC: Tensor, teacher_BC: Tensor) -> Tensor:
    """Tod eq 7: mean over the tiles of the squared L2 norm of the difference of two outputs.

    The sum over the classes is not divided by their number; the authors' code takes that mean too, and so weighs the
    same lambda less by that factor. No gradient reaches the teacher's side. Returns a scalar.
    """
    return (student_BC - teacher_BC.detach()).square().sum(dim=1).mean()


def mask_consistency(student_BLHW: Tensor, teacher_BLHW: Tensor, *, valid_BHW: Tensor) -> Tensor:
    """Eq 7 for a decoder's logits: `pixel_consistency` of one foreground logit, else the same of a softmax.

    The squared difference of the probabilities, summed over background and classes and halved, mean over pixels, then
    tiles: the probabilities of one foreground and its background would give the same as the foreground's alone.
    """
    if student_BLHW.shape[1] == 1:
        return pixel_consistency(student_BLHW.squeeze(1), teacher_BLHW.squeeze(1), valid_BHW=valid_BHW)
    valid = valid_BHW.to(student_BLHW.dtype)
    difference = student_BLHW.softmax(dim=1) - teacher_BLHW.detach().softmax(dim=1)
    distance = difference.square().sum(dim=1) / 2 * valid
    return (distance.flatten(1).sum(dim=1) / valid.flatten(1).sum(dim=1).clamp(min=1)).mean()


def pixel_consistency(student_BHW: Tensor, teacher_BHW: Tensor, *, valid_BHW: Tensor) -> Tensor:
    """Eq 7 for a foreground logit per pixel: squared difference of the probabilities, mean over pixels, then tiles.

    Probabilities (sigmoid), not logits: where both networks are sure, their logits still differ by many units, and a
    few such pixels would outweigh all that are in question. The mean over the tile's valid pixels takes the place of
    the sum, so that lambda means the same for every tile size. Padding does not count; a tile that is nothing else
    counts 0. No gradient reaches the teacher's side. Returns a scalar in [0, 1].
    """
    valid = valid_BHW.to(student_BHW.dtype)
    distance = (student_BHW.sigmoid() - teacher_BHW.detach().sigmoid()).square() * valid
    return (distance.flatten(1).sum(dim=1) / valid.flatten(1).sum(dim=1).clamp(min=1)).mean()
