"""Backbone + 1x1 convolution + pooling: a classifier whose class activation maps show what a score comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from histoloop.networks.backbones import build_backbone
from histoloop.networks.pooling import AttentionHead, build_pooling

if TYPE_CHECKING:
    from histoloop.network_config import PoolingConfig


class ClassifierOutput(NamedTuple):
    """`scores_BC` before softmax; `maps_BKHW` the class maps, a cell per stride; `features` of all stages.

    The first C maps are those of the labels; after them comes the background, or the attention energies, if any.
    """

    scores_BC: Tensor
    maps_BKHW: Tensor
    features: tuple[Tensor, ...]


class Classifier(nn.Module):
    """Feature maps F, class activation maps M by a 1x1 convolution, scores by pooling (thesis ch. 1-3).

    With `background`, one more map, the last, stands for what belongs to no label (thesis ch. 4); it has no score.
    Without labels there is no head: no maps, no scores, features alone.
    """

    def __init__(
        self, *, backbone: str, labels: int, pooling: PoolingConfig, stride: int = 32, background: bool = False
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(backbone, stride=stride)
        self.pooling = build_pooling(pooling)
        self.head = self.pooling.head(self.backbone.channels[-1], labels + background) if labels else None
        self.background = background

    def score(self, maps_BKHW: Tensor, valid_BHW: Tensor | None = None) -> Tensor:
        """Scores (B, C) of maps of any size, over their valid cells: a whole slide's map too."""
        if self.head is None:
            return maps_BKHW.new_zeros((maps_BKHW.shape[0], 0))
        scored = maps_BKHW[:, :-1] if self.background else maps_BKHW
        return self.pooling.pool_maps(scored, valid_BHW)

    def label_bias(self) -> tuple[float, ...]:
        """What the head adds to the map of each label."""
        if self.head is None:
            return ()
        convolution = self.head.score if isinstance(self.head, AttentionHead) else self.head
        assert isinstance(convolution, nn.Conv2d)
        assert convolution.bias is not None
        per_class = convolution.bias.detach().view(-1, self.pooling.modalities).mean(dim=1).tolist()
        return tuple(per_class[:-1] if self.background else per_class)

    def maps(self, deepest_BFHW: Tensor) -> Tensor:
        """Class maps (B, K, h, w) of the last stage, cell by cell."""
        return deepest_BFHW[:, :0] if self.head is None else self.pooling.classwise(self.head(deepest_BFHW))

    def forward(self, tiles_BCHW: Tensor) -> ClassifierOutput:
        """Normalised tiles, sides a multiple of the stride."""
        features = self.backbone(tiles_BCHW)
        maps_BKHW = self.maps(features[-1])
        return ClassifierOutput(self.score(maps_BKHW), maps_BKHW, features)
