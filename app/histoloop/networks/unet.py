"""U-Net decoder over the stages of a backbone (Ronneberger et al. 2015; label-prop Fig. 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from histoloop.network_config import mask_logits
from histoloop.networks.backbone import STRIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.networks.needed import Box

_DEEPEST = STRIDES[-1]
_STEP_REACH = 2
"""Cells that the two convolutions of a step read around a cell."""


class Step(nn.Sequential):
    """Doubles the resolution by nearest neighbour, joins a stage; then twice: 3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(*_convolution(inputs, outputs), *_convolution(outputs, outputs))

    def forward(self, below_BCHW: Tensor, beside_BCHW: Tensor | None = None) -> Tensor:
        """Of twice the resolution of what is below, that of the stage beside."""
        above = functional.interpolate(below_BCHW, scale_factor=2.0, mode="nearest")
        above = above if beside_BCHW is None else torch.cat([above, beside_BCHW], dim=1)
        for module in self:
            above = module(above)
        return above


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class Decoder(nn.Module):
    """From stage features (finest first) to the logits of each input pixel: of one foreground, or of a softmax.

    Each step doubles the resolution by nearest neighbour (its reach stays inside the parent cell, which keeps the
    halo of tiles small), joins the stage of that resolution where there is one, and convolves twice.
    `channels` are the widths from stride 16 down to stride 1; fewer of them stop at a coarser stride, whose head is
    enlarged bilinearly and which needs no finer stages.

    With `mask_classes` K of 1 there is one foreground logit z. From 2 on there are K + 1, background first: 0, and
    z + log softmax(e)_c of class c, so that their softmax is sigmoid(-z) of the background and sigmoid(z) softmax(e)_c
    of the class. What is foreground is learned as ever, and apart from it what class it is. The evidence e of the
    classes comes from the last step, as z does, and straight from the deepest features, where it changes slowly
    (enlarged bilinearly): the decoder's steps alone learn where edges are long before they learn what lies inside.
    """

    def __init__(self, stage_channels: tuple[int, ...], channels: tuple[int, ...], *, mask_classes: int = 1) -> None:
        super().__init__()
        self.mask_classes = mask_classes
        self.enlarged = 2 ** (len(stage_channels) - len(channels))
        if not 1 <= len(channels) <= len(stage_channels):
            raise ValueError(f"{len(stage_channels)} stages need as many decoder widths at most, not {len(channels)}")
        skips = (*reversed(stage_channels[:-1]), 0)[: len(channels)]
        inputs = (stage_channels[-1], *channels[:-1])
        self.steps = nn.ModuleList(
            Step(below + skip, width) for below, skip, width in zip(inputs, skips, channels, strict=True)
        )
        self.head = nn.Conv2d(channels[-1], mask_logits(mask_classes), kernel_size=1)
        self.context = nn.Conv2d(stage_channels[-1], mask_classes, 1, bias=False) if mask_classes > 1 else None

    def forward(self, features: tuple[Tensor, ...], *, dropout: float = 0.0) -> Tensor:
        """Stage features, finest first -> logits (B, 1, H, W), or (B, K + 1, H, W), at the resolution of the tiles.

        `dropout` of the values after each step holds in evaluation too: Monte-Carlo dropout (label-prop section 4)
        asks for it there, and batch norms must not notice.
        """
        below = features[-1]
        skips: list[Tensor | None] = [*reversed(features[:-1]), None][: len(self.steps)]
        for step, skip in zip(self.steps, skips, strict=True):
            below = step(below, skip)
            if dropout:
                below = functional.dropout(below, dropout)
        head_BLHW = _enlarged(self.head(below), self.enlarged)
        if self.context is None:
            return head_BLHW
        deepest = functional.dropout(features[-1], dropout) if dropout else features[-1]
        context_BKHW = self.context(deepest)
        return _class_logits(head_BLHW, _enlarged(context_BKHW, head_BLHW.shape[-1] // context_BKHW.shape[-1]))

    def needed(self, core: Box, size: Sequence[int], *, even: bool = True) -> tuple[Box, ...]:
        """Of each stage, finest first, the cells that the logits of a core (pixels) of a window of `size` come from.

        At the least those of the core itself. Steps compute an `even` number of cells: what is enlarged begins there.
        """
        boxes = [core.outwards(stride) for stride in STRIDES]
        if self.context is not None:
            boxes[-1] = boxes[-1].grown(1, [length // _DEEPEST for length in size])
        for stride, box in self._step_boxes(core, size, even=even):
            if stride > 1:
                place = STRIDES.index(stride)
                boxes[place] = boxes[place].joined(box)
            if stride == _DEEPEST // 2:
                boxes[-1] = boxes[-1].joined(box.outwards(2))
        return tuple(boxes)

    def of_core(self, features: Sequence[Tensor], core: Box, size: Sequence[int]) -> Tensor:
        """The logits of a core alone, from the boxes of the stages that `needed` names."""
        given = self.needed(core, size)
        below, have = features[-1], given[-1]
        steps = reversed(list(self._step_boxes(core, size)))
        for step, (stride, box) in zip(self.steps, steps, strict=True):
            below = box.outwards(2).of_planes(below, within=have)
            place = STRIDES.index(stride) if stride > 1 else None
            beside = None if place is None else box.of_planes(features[place], within=given[place])
            below, have = step(below, beside), box
        head_BLHW = core.of_planes(_enlarged(self.head(below), self.enlarged), within=have.times(self.enlarged))
        if self.context is None:
            return head_BLHW
        context_BKHW = _enlarged(self.context(features[-1]), _DEEPEST)
        return _class_logits(head_BLHW, core.of_planes(context_BKHW, within=given[-1].times(_DEEPEST)))

    def _step_boxes(self, core: Box, size: Sequence[int], *, even: bool = True) -> list[tuple[int, Box]]:
        """From the last step to the first: its stride, and the cells of it that are computed."""
        found: list[tuple[int, Box]] = []
        stride, box = self.enlarged, core.outwards(self.enlarged)
        if stride > 1:
            box = box.grown(1, [length // stride for length in size])  # bilinear
        for _step in self.steps:
            box = box.grown(_STEP_REACH, [length // stride for length in size])
            box = box.outwards(2).times(2) if even else box
            found.append((stride, box))
            stride, box = 2 * stride, box.outwards(2)
        return found


def _enlarged(planes_BCHW: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return planes_BCHW
    return functional.interpolate(planes_BCHW, scale_factor=float(factor), mode="bilinear", align_corners=False)


def _class_logits(head_BLHW: Tensor, context_BKHW: Tensor) -> Tensor:
    """0, and z + log softmax(e): z and a part of e from the head, the other part from the coarse context."""
    foreground, evidence = head_BLHW[:, :1], head_BLHW[:, 1:] + context_BKHW
    return torch.cat([torch.zeros_like(foreground), foreground + evidence.log_softmax(dim=1)], dim=1)


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
