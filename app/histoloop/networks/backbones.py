"""Feature extractors: a pyramid of feature maps from tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torchvision.models
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from torchvision.models import ResNet

STRIDES = (2, 4, 8, 16, 32)
"""Input pixels per cell of each stage of every backbone here."""


class ResNetBackbone(nn.Module):
    """The convolutional part of a ResNet (He et al. 2016), stage by stage.

    `channels[i]` is the width of the stage with stride `STRIDES[i]`. Weights start random; their names are
    torchvision's, so that its state dicts fit.
    """

    def __init__(self, resnet: ResNet, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu, self.maxpool = resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4
        self.channels = channels

    def forward(self, tiles_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16, 32, finest first."""
        stem = self.relu(self.bn1(self.conv1(tiles_BCHW)))
        first = self.layer1(self.maxpool(stem))
        second = self.layer2(first)
        third = self.layer3(second)
        return stem, first, second, third, self.layer4(third)


def _resnet18() -> ResNetBackbone:
    return ResNetBackbone(torchvision.models.resnet18(weights=None), (64, 64, 128, 256, 512))


BACKBONES: dict[str, tuple[Callable[[], ResNetBackbone], int]] = {"resnet18": (_resnet18, 217)}
"""Name -> (constructor, receptive radius): input pixels a stride-32 cell sees from its centre, at most."""


def build_backbone(name: str) -> ResNetBackbone:
    """Backbone by name with random weights; ValueError names the choices."""
    return _entry(name)[0]()


def receptive_radius_px(name: str) -> int:
    """Input pixels that a stride-32 cell of this backbone sees to each side of its own block, at most."""
    return _entry(name)[1]


def _entry(name: str) -> tuple[Callable[[], ResNetBackbone], int]:
    if name not in BACKBONES:
        raise ValueError(f"no backbone {name!r}; there are {', '.join(BACKBONES)}")
    return BACKBONES[name]
