"""Consistency of a student with its teacher on what nobody labelled (tod eq 7; the weight lambda is the caller's)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Outputs = Literal["softmax", "logit"]
"""What of two networks is compared: probabilities, or the scores before them."""


def consistency(student_BC: Tensor, teacher_BC: Tensor) -> Tensor:
    """Tod eq 7: mean over the tiles of the squared L2 norm of the difference of two outputs.

    The sum over the classes is not divided by their number; the authors' code takes that mean too, and so weighs the
    same lambda less by that factor. No gradient reaches the teacher's side. Returns a scalar.
    """
    return (student_BC - teacher_BC.detach()).square().sum(dim=1).mean()


def mask_consistency(
    student_BLHW: Tensor, teacher_BLHW: Tensor, *, valid_BHW: Tensor, outputs: Outputs = "softmax"
) -> Tensor:
    """Eq 7 for a decoder's logits: `pixel_consistency` of one foreground logit, else the same of all classes' outputs.

    Of probabilities the squared difference, summed over background and classes and halved; of logits twice that of
    their distances from their mean, since only what sets them apart counts; mean over pixels, then tiles. One
    foreground logit z beside a background of 0 would give the same by either.
    """
    if student_BLHW.shape[1] == 1:
        one, other = student_BLHW.squeeze(1), teacher_BLHW.squeeze(1)
        return pixel_consistency(one, other, valid_BHW=valid_BHW, outputs=outputs)
    if outputs == "softmax":
        difference = student_BLHW.softmax(dim=1) - teacher_BLHW.detach().softmax(dim=1)
        return _mean_of_tiles(difference.square().sum(dim=1) / 2, valid_BHW)
    difference = student_BLHW - teacher_BLHW.detach()
    difference = difference - difference.mean(dim=1, keepdim=True)
    return _mean_of_tiles(2 * difference.square().sum(dim=1), valid_BHW)


def pixel_consistency(
    student_BHW: Tensor, teacher_BHW: Tensor, *, valid_BHW: Tensor, outputs: Outputs = "softmax"
) -> Tensor:
    """Eq 7 for a foreground logit per pixel: squared difference of the outputs, mean over pixels, then tiles.

    Of probabilities ('softmax': the sigmoid) it lies in [0, 1], and where both networks are sure it has no gradient; of
    logits, the paper's outputs, it has one everywhere, also where both are sure and still differ by many units. The
    mean over the tile's valid pixels takes the place of the sum, so that lambda means the same for every tile size.
    Padding does not count; a tile that is nothing else counts 0. No gradient reaches the teacher's side. Returns a
    scalar.
    """
    teacher_BHW = teacher_BHW.detach()
    if outputs == "softmax":
        student_BHW, teacher_BHW = student_BHW.sigmoid(), teacher_BHW.sigmoid()
    return _mean_of_tiles((student_BHW - teacher_BHW).square(), valid_BHW)


def _mean_of_tiles(distance_BHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """Mean over the valid pixels of each tile, then over tiles."""
    valid = valid_BHW.to(distance_BHW.dtype)
    per_tile = (distance_BHW * valid).flatten(1).sum(dim=1) / valid.flatten(1).sum(dim=1).clamp(min=1)
    return per_tile.mean()
