"""What a backbone is: a pyramid of feature maps from tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from histoloop.networks.needed import Box, plan, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from histoloop.networks.needed import Link

STRIDES = (2, 4, 8, 16, 32)
"""Input pixels per cell of each stage of every backbone here."""


class Backbone(nn.Module):
    """`channels[i]` is the width of the stage with stride `STRIDES[i]`; torchvision's state dicts fit."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, tiles_BCHW: Tensor, needed: Sequence[Box] | None = None) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16, 32, finest first; of each the box that is `needed`, all by default."""
        if needed is None:
            return self.stages(tiles_BCHW)
        way = plan(self.chain(), needed, tiles_BCHW.shape[-2:]) if self.chain() else None
        if way is None:
            found = self.stages(tiles_BCHW)
            return tuple(box.of_planes(stage, within=whole(stage)) for box, stage in zip(needed, found, strict=True))
        return way.run(tiles_BCHW)

    def stages(self, tiles_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16, 32, finest first."""
        raise NotImplementedError

    def chain(self) -> tuple[Link, ...]:
        """The links that give the stages, one after the other; none where it is not known what a cell depends on."""
        return ()

    def reads(self, needed: Sequence[Box], size: Sequence[int]) -> Box | None:
        """The pixels that boxes of the stages depend on, in a window of `size`; None where that is not known."""
        way = plan(self.chain(), needed, size, aligned=False) if self.chain() else None
        return None if way is None else way.inputs[0]

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
