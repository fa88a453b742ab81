"""The network of the loop: a classifier, frozen once trained, and a U-Net decoder over its backbone (label-prop)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from torch import Tensor, nn

from histoloop.networks.backbones import STRIDES, receptive_radius_px
from histoloop.networks.classifier import Classifier
from histoloop.networks.unet import Decoder, reach_px

if TYPE_CHECKING:
    from histoloop.networks.config import NetworkConfig
    from histoloop.networks.pooling import MapPooling


class HybridOutput(NamedTuple):
    """Scores (B, C) before softmax, class maps (B, C, H/32, W/32) before pooling, foreground logits (B, 1, H, W)."""

    scores_BC: Tensor
    maps_BCHW: Tensor
    foreground_B1HW: Tensor


class Hybrid(nn.Module):
    """Classifier and foreground decoder over one backbone."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.classifier = Classifier(backbone=config.backbone, labels=config.labels, pooling=config.pooling)
        self.decoder = Decoder(self.classifier.backbone.channels, config.decoder_channels)
        self.classifier_frozen = False

    @property
    def stride_px(self) -> int:
        """Tile sides must be multiples of this; the class maps have one cell per stride."""
        return STRIDES[-1]

    @property
    def receptive_radius_px(self) -> int:
        """Input pixels, rounded up to the stride, beyond which nothing influences an output pixel or class-map cell."""
        radius = receptive_radius_px(self.config.backbone) + reach_px(self.stride_px) + self.stride_px // 2
        return -(-radius // self.stride_px) * self.stride_px

    @property
    def pooling(self) -> MapPooling:
        """The rule from class maps to scores, for a whole slide's map too."""
        return self.classifier.pooling

    def freeze_classifier(self) -> None:
        """Stop the classifier from learning: weights, batch-norm statistics and dropout; `train()` keeps it so."""
        self.classifier_frozen = True
        self.classifier.requires_grad_(False)
        self.classifier.eval()

    def train(self, mode: bool = True) -> Self:
        """As in torch, except that a frozen classifier stays in evaluation mode."""
        super().train(mode)
        if self.classifier_frozen:
            self.classifier.eval()
        return self

    def forward(self, tiles_BCHW: Tensor) -> HybridOutput:
        """Normalised tiles, sides a multiple of `stride_px`."""
        scores, maps, features = self.classifier(tiles_BCHW)
        return HybridOutput(scores, maps, self.decoder(features))


def build_hybrid(config: NetworkConfig) -> Hybrid:
    """The network a config describes, with random weights."""
    return Hybrid(config)
