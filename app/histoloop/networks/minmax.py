"""Min-max entropy localisation (Belharbi et al.): a localizer masks the tile, a classifier names what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from histoloop.network_config import CONSTANT
from histoloop.networks.backbones import build_backbone
from histoloop.networks.network import CoreOutput, NetworkOutput, SlideNetwork, valid_cells
from histoloop.networks.pooling import build_pooling

if TYPE_CHECKING:
    from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
    from histoloop.networks.backbone import Backbone
    from histoloop.networks.needed import Box


class MinMaxOutput(NamedTuple):
    """The label of a tile and where it comes from; no label given by a person and no erasing takes part in it.

    `scores_BC` are the classifier's on tile * R+, before softmax; `maps_BCHW` the localizer's class maps and
    `localizer_scores_BC` its own scores of the whole tile; `foreground_BHW` is R+ in [0, 1], one value a pixel,
    foreground from 0.5 on. The background R- is 1 - R+.
    """

    scores_BC: Tensor
    maps_BCHW: Tensor
    localizer_scores_BC: Tensor
    foreground_BHW: Tensor


class MapHead(nn.Module):
    """1x1 convolution and pooling: features to scores and the class maps they are pooled from."""

    def __init__(self, channels: int, *, labels: int, pooling: PoolingConfig) -> None:
        super().__init__()
        self.pooling = build_pooling(pooling)
        self.convolution = nn.Conv2d(channels, labels * self.pooling.modalities, kernel_size=1)

    def forward(self, features_BKHW: Tensor, valid_BHW: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, K, H, W) -> scores (B, C) and maps (B, C, H, W), in float32 at least: masks are made of them.

        `valid_BHW`, in pixels, is False on padding: cells of padding alone take no part in the scores.
        """
        maps_BCHW = self.maps(features_BKHW)
        cells_BHW = None if valid_BHW is None else valid_cells(valid_BHW, maps_BCHW)
        return self.pooling.pool_maps(maps_BCHW, cells_BHW), maps_BCHW

    def maps(self, features_BKHW: Tensor) -> Tensor:
        """(B, K, H, W) -> class maps (B, C, H, W), cell by cell, in float32 at least."""
        maps_BCHW = self.pooling.classwise(self.convolution(features_BKHW))
        return maps_BCHW.to(torch.promote_types(maps_BCHW.dtype, torch.float32))

    def bias(self) -> tuple[float, ...]:
        """What the convolution adds to the map of each class."""
        bias = self.convolution.bias
        return () if bias is None else tuple(bias.detach().view(-1, self.pooling.modalities).mean(dim=1).tolist())


class MinMax(SlideNetwork):
    """Localizer and classifier over one backbone, each with a head of its own (min-max section 4).

    Tiles are normalised, with sides a multiple of `stride_px`. ValueError below two label classes: the posterior of a
    single one is always 1, so that nothing could be learned.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        if config.labels < 2:
            raise ValueError(f"min-max entropy needs at least two label classes, not {config.labels}")
        if config.minmax is None:
            raise ValueError("the config has no min-max entropy")
        self.config = config
        self.minmax = config.minmax
        self._backbone = build_backbone(config.backbone, stride=config.stride)
        channels = self._backbone.channels[-1]
        self.localizer = MapHead(channels, labels=config.labels, pooling=config.pooling)
        self.classifier = MapHead(channels, labels=config.labels, pooling=config.pooling)

    @property
    def backbone(self) -> Backbone:
        """The feature extractor that localizer and classifier share."""
        return self._backbone

    def localize(self, tiles_BCHW: Tensor, valid_BHW: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The localizer's scores (B, C) before softmax and class maps (B, C, H/stride, W/stride)."""
        scores_BC, maps_BCHW = self.localizer(self.backbone(tiles_BCHW)[-1], valid_BHW)
        return scores_BC, maps_BCHW

    def classify(self, tiles_BCHW: Tensor, valid_BHW: Tensor | None = None) -> Tensor:
        """The classifier's scores (B, C) before softmax, of tiles that a mask has been laid over.

        They are made smaller before (bilinear), by the config's `classifier_scale`, to the next multiple of the stride.
        """
        size = tuple(self._seen(side) for side in _size(tiles_BCHW))
        if size != _size(tiles_BCHW):
            tiles_BCHW = functional.interpolate(tiles_BCHW, size=size, mode="bilinear", align_corners=False)
            if valid_BHW is not None:
                valid_BHW = functional.interpolate(valid_BHW[:, None].float(), size=size)[:, 0] > 0
        scores_BC: Tensor = self.classifier(self.backbone(tiles_BCHW)[-1], valid_BHW)[0]
        return scores_BC

    def _seen(self, side: int) -> int:
        """The side (px) of what the classifier sees of a tile."""
        stride = self.stride_px
        return max(stride, round(side * self.minmax.classifier_scale / stride) * stride)

    def predict(self, tiles_BCHW: Tensor, valid_BHW: Tensor | None = None) -> MinMaxOutput:
        """The class is the classifier's on tile * R+, and the mask needs no label (eq 10).

        The paper reports the error of the whole framework, 'a localizer [...] followed by a classifier that classifies
        these regions', and its code counts the errors of C(X * R+); the localizer's own scores, which only help it
        to learn (eq 8), are given beside. Pixels outside `valid_BHW` (padding) are no foreground, so that the
        classifier does not see them, and cells of padding alone take no part in range or scores.
        """
        localizer_scores_BC, maps_BCHW = self.localize(tiles_BCHW, valid_BHW)
        foreground_BHW = foreground_mask(
            posterior_map(maps_BCHW, localizer_scores_BC), _size(tiles_BCHW), self.minmax, valid_BHW
        )
        scores_BC = self.classify(tiles_BCHW * foreground_BHW.unsqueeze(1), valid_BHW)
        return MinMaxOutput(scores_BC, maps_BCHW, localizer_scores_BC, foreground_BHW)

    def forward_classifier(self, tiles_BCHW: Tensor, valid_BHW: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The classifier's scores (B, C) of tile * R+, and the localizer's maps; see `predict`."""
        found = self.predict(tiles_BCHW, valid_BHW)
        return found.scores_BC, found.maps_BCHW

    def score(self, maps_BKHW: Tensor, valid_BHW: Tensor | None = None) -> Tensor:
        """The localizer's scores (B, C) of its maps, over their valid cells.

        They are a whole slide's: to hear the classifier, the network would have to see the slide again under its mask.
        """
        return self.localizer.pooling.pool_maps(maps_BKHW, valid_BHW)

    def label_bias(self) -> tuple[float, ...]:
        """What the localizer's head adds to the map of each label."""
        return self.localizer.bias()

    def forward(self, tiles_BCHW: Tensor) -> NetworkOutput:
        """The localizer's scores and maps of normalised tiles; the mask comes from the maps."""
        scores_BC, maps_BCHW = self.localize(tiles_BCHW)
        return NetworkOutput(scores_BC, maps_BCHW, None)

    def forward_core(self, tiles_BCHW: Tensor, core: Box) -> CoreOutput:
        """The localizer's maps, and the stages, of the core of normalised windows."""
        stages = self.backbone(tiles_BCHW, self.cells(core))
        return CoreOutput(self.localizer.maps(stages[-1]), None, stages)


def posterior_map(maps_BCHW: Tensor, scores_BC: Tensor) -> Tensor:
    """Sum over the classes of softmax(scores) times the class's map: T (B, H, W), min-max eq 10."""
    return (scores_BC.softmax(dim=1)[:, :, None, None] * maps_BCHW).sum(dim=1)


def foreground_mask(
    maps_BHW: Tensor, size: tuple[int, int], config: MinMaxConfig, valid_BHW: Tensor | None = None
) -> Tensor:
    """R+ (B, height, width) in [0, 1] of posterior maps T (B, H, W), min-max eq 11; `size` is (height, width) in px.

    The order is: stretch (by `mask_norm`), enlarge bilinearly (align_corners=False), sigmoid. Each map is
    stretched by its own cells alone, whatever batch it came in, and before it is enlarged, so that a slide's stitched
    map follows the same rule. A constant map stretches to 0: where nothing stands out, nothing is foreground.

    `valid_BHW` (B, height, width) is False on padding, where R+ is 0; cells without a valid pixel take no part in the
    stretching.
    """
    if config.mask_norm == "image":
        maps_BHW = _stretched(maps_BHW, None if valid_BHW is None else valid_cells(valid_BHW, maps_BHW[:, None]))
    enlarged = functional.interpolate(maps_BHW.unsqueeze(1), size=size, mode="bilinear", align_corners=False)
    mask_BHW = torch.sigmoid(config.omega * (enlarged.squeeze(1) - config.threshold))
    return mask_BHW if valid_BHW is None else mask_BHW.masked_fill(~valid_BHW, 0.0)


def _stretched(maps_BHW: Tensor, cells_BHW: Tensor | None) -> Tensor:
    """(T - lowest) / (highest - lowest) of each map over its own `cells`, and 0 for a constant map."""
    lowest, highest = maps_BHW, maps_BHW
    if cells_BHW is not None:
        lowest, highest = maps_BHW.masked_fill(~cells_BHW, torch.inf), maps_BHW.masked_fill(~cells_BHW, -torch.inf)
    lowest, highest = lowest.amin(dim=(1, 2), keepdim=True), highest.amax(dim=(1, 2), keepdim=True)
    spread = highest - lowest
    constant = spread <= CONSTANT * torch.maximum(lowest.abs(), highest.abs())
    # Both branches of `where` are differentiated: a division by zero in the one not taken would still give NaN.
    stretched = (maps_BHW - lowest) / torch.where(constant, 1.0, spread)
    return torch.where(constant, 0.0, stretched)


def _size(planes: Tensor) -> tuple[int, int]:
    return planes.shape[-2], planes.shape[-1]
