"""The network of the loop: a classifier, frozen once trained, and a U-Net decoder over its backbone (label-prop)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from histoloop.networks.classifier import Classifier
from histoloop.networks.network import CoreOutput, NetworkOutput, SlideNetwork, valid_cells
from histoloop.networks.unet import Decoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from histoloop.network_config import NetworkConfig
    from histoloop.networks.backbone import Backbone
    from histoloop.networks.needed import Box


class Hybrid(SlideNetwork):
    """Classifier and, unless the config leaves it out, a decoder of masks over one backbone."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.classifier = Classifier(
            backbone=config.backbone,
            labels=config.labels,
            pooling=config.pooling,
            stride=config.stride,
            background=config.background,
        )
        channels = self.classifier.backbone.channels
        self.decoder = (
            Decoder(channels, config.decoder_channels, mask_classes=config.mask_classes)
            if config.decoder_channels
            else None
        )
        self.classifier_frozen = False

    def forward_classifier(self, tiles_BCHW: Tensor, valid_BHW: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores (B, C) and class maps of normalised tiles, without the decoder; padding has no part in the scores."""
        scores_BC, maps_BKHW, _features = self.classifier(tiles_BCHW)
        if valid_BHW is not None:
            scores_BC = self.score(maps_BKHW, valid_cells(valid_BHW, maps_BKHW))
        return scores_BC, maps_BKHW

    def score(self, maps_BKHW: Tensor, valid_BHW: Tensor | None = None) -> Tensor:
        """Scores (B, C) of class maps over their valid cells, by the classifier's pooling."""
        return self.classifier.score(maps_BKHW, valid_BHW)

    def label_bias(self) -> tuple[float, ...]:
        """What the head adds to the map of each label."""
        return self.classifier.label_bias()

    @property
    def backbone(self) -> Backbone:
        """The feature extractor."""
        return self.classifier.backbone

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

    def forward(self, tiles_BCHW: Tensor) -> NetworkOutput:
        """Normalised tiles, sides a multiple of `stride_px`."""
        scores, maps, features = self.classifier(tiles_BCHW)
        return NetworkOutput(scores, maps, None if self.decoder is None else self.decoder(features))

    def depends_on(self, core: Box, size: Sequence[int]) -> tuple[Box, ...]:
        """Of each stage, finest first, the cells that a core (pixels) of a window of `size` depends on."""
        return self.cells(core) if self.decoder is None else self.decoder.needed(core, size, even=False)

    def forward_core(self, tiles_BCHW: Tensor, core: Box) -> CoreOutput:
        """Maps, logits and stages of the core of normalised windows; both lie on multiples of the stride."""
        size = tiles_BCHW.shape[-2:]
        needed = self.cells(core) if self.decoder is None else self.decoder.needed(core, size)
        features = self.backbone(tiles_BCHW, needed)
        stages = self.core_stages(features, needed, core)
        logits_BLHW = None if self.decoder is None else self.decoder.of_core(features, core, size)
        return CoreOutput(self.classifier.maps(stages[-1]), logits_BLHW, stages)
