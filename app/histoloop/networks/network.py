"""What every network of the loop offers, whatever method trains it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from histoloop.networks.backbone import STRIDES
from histoloop.networks.backbones import receptive_radius_px
from histoloop.networks.needed import Box
from histoloop.networks.unet import reach_px

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.network_config import NetworkConfig
    from histoloop.networks.backbone import Backbone


_FAR_PX = 2**14
"""Farther than any network here reads."""


class NetworkOutput(NamedTuple):
    """Scores (B, C) before softmax, class maps (B, K, H/stride, W/stride), a decoder's logits (B, L, H, W).

    The first C maps are those of the labels (`NetworkConfig.map_names` has them all). L is 1 for one foreground, else
    background and mask classes (`NetworkConfig.mask_logits`). Without a decoder they are None: the masks come from the
    maps.
    """

    scores_BC: Tensor
    maps_BKHW: Tensor
    mask_logits_BLHW: Tensor | None


class CoreOutput(NamedTuple):
    """Of the core of a window: class maps (B, K, h, w), a decoder's logits (B, L, H, W), the stages of the backbone."""

    maps_BKHW: Tensor
    mask_logits_BLHW: Tensor | None
    stages: tuple[Tensor, ...]


class Halo(NamedTuple):
    """Pixels that a network reads around what it answers for: left and top, and right and bottom."""

    before_px: int
    after_px: int


class SlideNetwork(nn.Module):
    """From normalised tiles to scores, class maps and perhaps a foreground; pools a whole slide's maps by one rule."""

    config: NetworkConfig

    @property
    def backbone(self) -> Backbone:
        """The feature extractor."""
        raise NotImplementedError

    @property
    def stride_px(self) -> int:
        """Tile sides must be multiples of this; the class maps have one cell per stride."""
        return self.config.stride

    @property
    def receptive_radius_px(self) -> int:
        """Input pixels, rounded up to the stride, beyond which nothing influences an output pixel or class-map cell."""
        reach = reach_px(STRIDES[-1]) if self.config.decoder_channels else 0
        radius = receptive_radius_px(self.config.backbone) + reach + self.stride_px // 2
        return -(-radius // self.stride_px) * self.stride_px

    @property
    def halo(self) -> Halo:
        """The pixels that a core needs around it, rounded up to the stride: to each side what the network reads there.

        Where that is not known of its backbone, `receptive_radius_px`.
        """
        length, cell = 2 * _FAR_PX, self.stride_px
        core = Box.of(_FAR_PX, _FAR_PX, cell, cell)
        reads = self.backbone.reads(self.depends_on(core, (length, length)), (length, length))
        if reads is None:
            return Halo(self.receptive_radius_px, self.receptive_radius_px)
        sides = (_FAR_PX - reads.rows.start, reads.rows.stop - _FAR_PX - cell)
        return Halo(*(-(-side // cell) * cell for side in sides))

    def depends_on(self, core: Box, size: Sequence[int]) -> tuple[Box, ...]:
        """Of each stage, finest first, the cells that a core (pixels) of a window of `size` depends on."""
        return self.cells(core)

    def cells(self, core: Box) -> tuple[Box, ...]:
        """The cells of each stage, finest first, in a core."""
        return tuple(core.outwards(stride) for stride in (*STRIDES[:-1], self.stride_px))

    def forward_core(self, tiles_BCHW: Tensor, core: Box) -> CoreOutput:
        """What it gives of the core of normalised windows, which is what `forward` would, computed only where needed.

        The core (pixels) and the window lie on multiples of the stride.
        """
        raise NotImplementedError

    def core_stages(self, found: Sequence[Tensor], needed: Sequence[Box], core: Box) -> tuple[Tensor, ...]:
        """The cells of a core, of stages that hold more."""
        cells = self.cells(core)
        return tuple(own.of_planes(one, within=all_) for own, one, all_ in zip(cells, found, needed, strict=True))

    def forward_classifier(self, tiles_BCHW: Tensor, valid_BHW: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores (B, C) and class maps (B, K, H/stride, W/stride) of normalised tiles, without any decoder.

        `valid_BHW` (B, H, W) is False on padding: cells of padding alone take no part in the scores.
        """
        raise NotImplementedError

    def score(self, maps_BKHW: Tensor, valid_BHW: Tensor | None = None) -> Tensor:
        """Scores (B, C) of class maps over their valid cells, by the rule that scored the tiles."""
        raise NotImplementedError

    def label_bias(self) -> tuple[float, ...]:
        """What the head adds to the map of each label."""
        raise NotImplementedError

    def forward(self, tiles_BCHW: Tensor) -> NetworkOutput:
        """Normalised tiles, sides a multiple of `stride_px`."""
        raise NotImplementedError


def valid_cells(valid_BHW: Tensor, maps_BKHW: Tensor) -> Tensor:
    """Which cells (B, h, w) of maps (B, K, h, w) have a valid pixel; `valid_BHW` has the tiles' height and width."""
    size = (maps_BKHW.shape[-2], maps_BKHW.shape[-1])
    return functional.adaptive_max_pool2d(valid_BHW.float().unsqueeze(1), size).squeeze(1) > 0


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Every module in evaluation mode inside, each in its own former mode after, so that frozen parts stay frozen."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
