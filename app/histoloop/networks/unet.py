"""U-Net decoder over the stages of a backbone (Ronneberger et al. 2015; label-prop Fig. 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from histoloop.network_config import mask_logits


class _Step(nn.Sequential):
    """Twice: 3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(*_convolution(inputs, outputs), *_convolution(outputs, outputs))


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class Decoder(nn.Module):
    """From stage features (finest first) to the logits of each input pixel: one foreground, or a softmax's.

    Each step doubles the resolution by nearest neighbour (its reach stays inside the parent cell, which keeps the
    halo of tiles small), joins the stage of that resolution where there is one, and convolves twice.
    `channels` are the widths from stride 16 down to stride 1. With `mask_classes` K of 1 there is one logit; from 2 on
    there are K + 1, background first.
    """

    def __init__(self, stage_channels: tuple[int, ...], channels: tuple[int, ...], *, mask_classes: int = 1) -> None:
        super().__init__()
        self.mask_classes = mask_classes
        if len(channels) != len(stage_channels):
            raise ValueError(f"{len(stage_channels)} stages need as many decoder widths, not {len(channels)}")
        skips = (*reversed(stage_channels[:-1]), 0)
        inputs = (stage_channels[-1], *channels[:-1])
        self.steps = nn.ModuleList(
            _Step(below + skip, width) for below, skip, width in zip(inputs, skips, channels, strict=True)
        )
        self.head = nn.Conv2d(channels[-1], mask_logits(mask_classes), kernel_size=1)

    def forward(self, features: tuple[Tensor, ...], *, dropout: float = 0.0) -> Tensor:
        """Stage features, finest first -> logits (B, 1, H, W), or (B, K + 1, H, W), at the resolution of the tiles.

        `dropout` of the values after each step holds in evaluation too: Monte-Carlo dropout (label-prop section 4)
        asks for it there, and batch norms must not notice.
        """
        below = features[-1]
        skips: list[Tensor | None] = [*reversed(features[:-1]), None]
        for step, skip in zip(self.steps, skips, strict=True):
            below = functional.interpolate(below, scale_factor=2.0, mode="nearest")
            below = step(below if skip is None else torch.cat([below, skip], dim=1))
            if dropout:
                below = functional.dropout(below, dropout)
        logits: Tensor = self.head(below)
        return logits


def mask_probabilities(logits_BLHW: Tensor) -> Tensor:
    """Probability (B, H, W) of the one foreground (sigmoid), or (B, K, H, W) of the mask classes (softmax).

    In single precision; the background's is what is left to 1.
    """
    logits = logits_BLHW.float()
    return logits[:, 0].sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)[:, 1:]


def reach_px(coarsest_stride: int) -> int:
    """Input pixels by which the decoder's convolutions widen what an output pixel depends on, to each side."""
    reach, stride = 0, coarsest_stride // 2
    while stride >= 1:
        reach += 2 * stride
        stride //= 2
    return reach
