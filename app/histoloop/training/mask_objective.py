"""What a decoder learns by from masks: of one foreground (label-prop eq 1), or of background and mask classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from histoloop.losses.pixel_classes import class_mask_loss, class_weights
from histoloop.losses.segmentation import MaskLoss, mask_loss
from histoloop.training.samples import values_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from histoloop.networks.unet import Decoder
    from histoloop.training.samples import TileMask

    Painted = tuple[TileMask, NDArray[np.bool_] | None]
    """A mask (H, W) and where it is known; None where it is everywhere."""


def foreground_of_masks(masks_BHW: Tensor) -> Tensor:
    """Float 0 or 1: of a batch's foregrounds as they are, of mask values what is a class."""
    return (masks_BHW > 0).float() if masks_BHW.dtype == torch.uint8 else masks_BHW


@dataclass(frozen=True, slots=True, eq=False)
class MaskObjective:
    """The loss of a decoder: of its one foreground, or with `class_weights_L` of background and its mask classes."""

    kind: MaskLoss
    class_weights_L: Tensor | None = None

    @staticmethod
    def of(decoder: Decoder, painted: Iterable[Painted], kind: MaskLoss) -> MaskObjective:
        """For a decoder that learns from what is painted; the classes weigh by how much of each there is.

        ValueError for a mask that is no mask of the decoder's classes.
        """
        if decoder.mask_classes == 1:
            return MaskObjective(kind)
        return MaskObjective(kind, class_weights(_pixels_of_classes(painted, decoder.mask_classes)))

    def __call__(self, logits_BLHW: Tensor, masks_BHW: Tensor, *, valid_BHW: Tensor, weights_B: Tensor) -> Tensor:
        """The loss of a batch, a scalar; masks are foregrounds or values, pixels that are not valid take no part."""
        logits = logits_BLHW.float()
        if self.class_weights_L is not None:
            return class_mask_loss(
                logits,
                masks_BHW,
                self.kind,
                valid_BHW=valid_BHW,
                weights_B=weights_B,
                class_weights_L=self.class_weights_L.to(logits.device),
            )
        targets_BHW = foreground_of_masks(masks_BHW)
        return mask_loss(logits.squeeze(1), targets_BHW, self.kind, valid_BHW=valid_BHW, weights_B=weights_B)


def _pixels_of_classes(painted: Iterable[Painted], mask_classes: int) -> list[int]:
    """How many pixels of background and of each class the masks have, where they are known."""
    counts = np.zeros(256, np.int64)
    for mask, known in painted:
        values = values_of(mask)
        counts += np.bincount(values.ravel() if known is None else values[known], minlength=256)
    if counts[mask_classes + 1 :].any():
        raise ValueError(f"a mask has classes beyond the {mask_classes} of the decoder")
    return [int(count) for count in counts[: mask_classes + 1]]
