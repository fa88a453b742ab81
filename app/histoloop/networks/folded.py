"""A copy of a network that predicts the same by fewer operations, up to rounding; it cannot learn."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from histoloop.networks.backbones import ResNetBackbone
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.resnet import BasicBlock, Bottleneck
from histoloop.networks.unet import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.networks.network import SlideNetwork

_NUMBERED = (BasicBlock, Bottleneck, ResNetBackbone)
"""Modules whose `conv1` is followed by `bn1`, and so on."""


def folded(network: SlideNetwork) -> SlideNetwork:
    """A copy in evaluation mode of a network in evaluation mode.

    Batch norms become part of the convolutions before them, where it is known which these are. Steps of a decoder
    convolve what is below before it is enlarged: see `FoldedStep`.
    """
    own = copy.deepcopy(network).requires_grad_(False)
    for module in own.modules():
        for convolution, norm in list(_pairs(module)):
            fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
            setattr(module, convolution, fused)
            setattr(module, norm, nn.Identity())
    if isinstance(own, Hybrid) and own.decoder is not None:
        width = own.backbone.channels[-1]
        for number, step in enumerate(own.decoder.steps):
            assert isinstance(step, Step)  # of a network that is not folded yet
            own.decoder.steps[number] = made = FoldedStep(step, width)
            width = made.below.out_channels
    return own.to(memory_format=torch.channels_last)


def _pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    """The names of convolutions in a module, and of the batch norms that their output goes to and nowhere else."""
    names = [name for name, _part in module.named_children()]
    if isinstance(module, Step) or type(module).forward is nn.Sequential.forward:
        pairs = list(itertools.pairwise(names))
    elif isinstance(module, _NUMBERED):
        pairs = [(name, name.replace("conv", "bn")) for name in names if name.startswith("conv")]
    else:
        return
    for first, second in pairs:
        if isinstance(getattr(module, first), nn.Conv2d) and isinstance(getattr(module, second), nn.BatchNorm2d):
            yield first, second


class FoldedStep(nn.Module):
    """A step of a decoder (networks/unet.py: Step) whose batch norms are folded.

    Enlarging by nearest neighbour and a 3x3 convolution are one transposed convolution of 4x4 with a stride of 2, whose
    weights are sums of those of the 3x3: four products an output value and channel in place of nine. The stage beside
    has a convolution of its own, which is added.
    """

    def __init__(self, step: Step, below_channels: int) -> None:
        super().__init__()
        first, _norm, relu, *rest = step
        assert isinstance(first, nn.Conv2d)  # by the class of the step
        outputs = first.out_channels
        weight_OI33 = first.weight.detach()
        self.below = nn.ConvTranspose2d(below_channels, outputs, 4, stride=2, padding=1)
        self.below.weight = nn.Parameter(_enlarging(weight_OI33[:, :below_channels]), requires_grad=False)
        self.below.bias = first.bias
        self.beside: nn.Conv2d | None = None
        if first.in_channels > below_channels:
            self.beside = nn.Conv2d(first.in_channels - below_channels, outputs, 3, padding=1, bias=False)
            self.beside.weight = nn.Parameter(weight_OI33[:, below_channels:].contiguous(), requires_grad=False)
        self.rest = nn.Sequential(relu, *rest)

    def forward(self, below_BCHW: Tensor, beside_BCHW: Tensor | None = None) -> Tensor:
        """Of twice the resolution of what is below, that of the stage beside."""
        joined = self.below(below_BCHW)
        if self.beside is not None:
            joined += self.beside(beside_BCHW)
        above: Tensor = self.rest(joined)
        return above


def _enlarging(weight_OI33: Tensor) -> Tensor:
    """Weights (I, O, 4, 4) of the transposed convolution that enlarges twofold and convolves."""
    turned_IO33 = weight_OI33.flip(2, 3).transpose(0, 1)
    found_IO44 = weight_OI33.new_zeros((*turned_IO33.shape[:2], 4, 4))
    for row, column in itertools.product(range(2), repeat=2):
        found_IO44[:, :, row : row + 3, column : column + 3] += turned_IO33
    return found_IO44
