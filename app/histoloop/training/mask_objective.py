"""What a decoder learns by from masks: of one foreground (label-prop eq 1), or of background and mask classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from histoloop.annotations.records import IGNORED
from histoloop.losses.pixel_classes import class_mask_loss, class_weights
from histoloop.losses.segmentation import MaskLoss, mask_loss
from histoloop.training.samples import values_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from histoloop.networks.unet import Decoder
    from histoloop.training.samples import TileMask


class MaskedBatch(Protocol):
    """Tiles with masks, in a step."""

    @property
    def masks_BHW(self) -> Tensor:
        """Float 0 or 1 of foregrounds, or uint8 mask values."""

    @property
    def valid_BHW(self) -> Tensor:
        """False on padding."""


def foreground_of_masks(masks_BHW: Tensor) -> Tensor:
    """Float 0 or 1: of a batch's foregrounds as they are, of mask values what is a class."""
    if masks_BHW.dtype != torch.uint8:
        return masks_BHW
    return ((masks_BHW > 0) & (masks_BHW != IGNORED)).float()


def known_pixels(batch: MaskedBatch) -> Tensor:
    """(B, H, W) which pixels take part: no padding, and none whose mask is to be ignored."""
    if batch.masks_BHW.dtype != torch.uint8:
        return batch.valid_BHW
    return batch.valid_BHW & (batch.masks_BHW != IGNORED)


@dataclass(frozen=True, slots=True, eq=False)
class MaskObjective:
    """The loss of a decoder: of its one foreground, or with `class_weights_L` of background and its mask classes."""

    kind: MaskLoss
    class_weights_L: Tensor | None = None

    @staticmethod
    def of(decoder: Decoder, masks: Iterable[TileMask], kind: MaskLoss) -> MaskObjective:
        """For a decoder that learns from these masks; the classes weigh by how much of each is painted in them.

        ValueError for a mask that is no mask of the decoder's classes.
        """
        listed = list(masks)
        if decoder.mask_classes == 1:
            return MaskObjective(kind)
        return MaskObjective(kind, class_weights(_pixels_of_classes(listed, decoder.mask_classes)))

    def __call__(self, logits_BLHW: Tensor, batch: MaskedBatch, *, weights_B: Tensor) -> Tensor:
        """The loss of a batch: a scalar."""
        logits, known_BHW = logits_BLHW.float(), known_pixels(batch)
        if self.class_weights_L is not None:
            return class_mask_loss(
                logits,
                batch.masks_BHW,
                self.kind,
                valid_BHW=known_BHW,
                weights_B=weights_B,
                class_weights_L=self.class_weights_L.to(logits.device),
            )
        targets_BHW = foreground_of_masks(batch.masks_BHW)
        return mask_loss(logits.squeeze(1), targets_BHW, self.kind, valid_BHW=known_BHW, weights_B=weights_B)


def _pixels_of_classes(masks: Iterable[TileMask], mask_classes: int) -> list[int]:
    """How many pixels of background and of each class the masks have."""
    counts = np.zeros(IGNORED + 1, np.int64)
    for mask in masks:
        counts += np.bincount(values_of(mask).ravel(), minlength=IGNORED + 1)
    if counts[mask_classes + 1 : IGNORED].any():
        raise ValueError(f"a mask has classes beyond the {mask_classes} of the decoder")
    return [int(count) for count in counts[: mask_classes + 1]]
