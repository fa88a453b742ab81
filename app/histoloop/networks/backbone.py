"""What a backbone is: a pyramid of feature maps from tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

STRIDES = (2, 4, 8, 16, 32)
"""Input pixels per cell of each stage of every backbone here."""


class Backbone(nn.Module):
    """`channels[i]` is the width of the stage with stride `STRIDES[i]`; torchvision's state dicts fit."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, tiles_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16, 32, finest first."""
        raise NotImplementedError

    def keep_last_resolution(self) -> None:
        """Give the last stage a stride of 1 over the one before."""
        for convolution in self.last_strided():
            convolution.stride = (1, 1)

    def last_strided(self) -> list[nn.Conv2d]:
        """The convolutions that halve the resolution for the last stage."""
        raise NotImplementedError

    def published_name(self, name: str) -> str:
        """What a tensor of the state dict is called in the weights that others publish."""
        return name
