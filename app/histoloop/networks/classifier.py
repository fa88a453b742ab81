"""Backbone + 1x1 convolution + pooling: a classifier whose class activation maps show where it looked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from histoloop.networks.backbones import build_backbone
from histoloop.networks.pooling import build_pooling

if TYPE_CHECKING:
    from histoloop.networks.config import PoolingConfig


class ClassifierOutput(NamedTuple):
    """`scores_BC` before softmax; `maps_BCHW` the class maps at stride 32, before pooling; `features` of all stages."""

    scores_BC: Tensor
    maps_BCHW: Tensor
    features: tuple[Tensor, ...]


class Classifier(nn.Module):
    """Feature maps F, class activation maps M by a 1x1 convolution, scores by pooling (thesis ch. 1-3)."""

    def __init__(self, *, backbone: str, labels: int, pooling: PoolingConfig) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone)
        self.pooling = build_pooling(pooling)
        self.head = nn.Conv2d(self.backbone.channels[-1], labels * self.pooling.modalities, kernel_size=1)

    def forward(self, tiles_BCHW: Tensor) -> ClassifierOutput:
        """Normalised tiles, sides a multiple of 32."""
        features = self.backbone(tiles_BCHW)
        maps_BCHW = self.pooling.classwise(self.head(features[-1]))
        return ClassifierOutput(self.pooling(maps_BCHW), maps_BCHW, features)
