"""Feature extractors by name: ResNets, torchvision's MobileNets, and those of timm. Weights start random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from histoloop.encoders import encoder_named
from histoloop.network_config import ENCODER, TIMM
from histoloop.networks.backbone import STRIDES, Backbone
from histoloop.networks.needed import Link
from histoloop.networks.resnet import STEM_WIDTH, ResNet
from histoloop.networks.timm_backbones import timm_backbone, timm_radius_px

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from torchvision.models import MobileNetV2, MobileNetV3


class ResNetBackbone(Backbone):
    """The convolutional part of a ResNet (He et al. 2016), stage by stage."""

    def __init__(self, resnet: ResNet, channels: tuple[int, ...]) -> None:
        super().__init__(channels)
        self.conv1, self.bn1, self.relu, self.maxpool = resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4

    def stages(self, tiles_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16, 32, finest first."""
        stem = self.relu(self.bn1(self.conv1(tiles_BCHW)))
        first = self.layer1(self.maxpool(stem))
        second = self.layer2(first)
        third = self.layer3(second)
        return stem, first, second, third, self.layer4(third)

    def chain(self) -> tuple[Link, ...]:
        """The stem, and block by block."""
        links = [Link((self.conv1, self.bn1, self.relu), ends_stage=True), Link((self.maxpool,))]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            links += [Link((block,), ends_stage=number == len(layer)) for number, block in enumerate(layer, start=1)]
        return tuple(links)

    def last_strided(self) -> list[nn.Conv2d]:
        """Of the first block of layer4, and beside it."""
        return _strided(self.layer4)


class MobileNetBackbone(Backbone):
    """The convolutional part of a MobileNet (Sandler et al. 2018; Howard et al. 2019), cut where resolution halves.

    `ends` are the numbers of blocks up to and including each of the stages.
    """

    def __init__(
        self, mobilenet: MobileNetV2 | MobileNetV3, *, ends: tuple[int, ...], channels: tuple[int, ...]
    ) -> None:
        super().__init__(channels)
        self.features = mobilenet.features
        self.ends = ends

    def stages(self, tiles_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16, 32, finest first."""
        stages, below = [], tiles_BCHW
        for number, block in enumerate(self.features, start=1):
            below = block(below)
            if number in self.ends:
                stages.append(below)
        return tuple(stages)

    def chain(self) -> tuple[Link, ...]:
        """Block by block."""
        return tuple(Link((block,), ends_stage=n in self.ends) for n, block in enumerate(self.features, start=1))

    def last_strided(self) -> list[nn.Conv2d]:
        """The depthwise convolution of the first block of the last stage."""
        return _strided(self.features)[-1:]


def _strided(module: nn.Module) -> list[nn.Conv2d]:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d) and part.stride == (2, 2)]


@dataclass(frozen=True, slots=True)
class _Entry:
    """How a backbone is made, and the input pixels a stride-32 cell depends on beyond its own block, at most."""

    make: Callable[[], Backbone]
    radius_px: int


def _resnet(blocks: tuple[int, ...], *, wide: bool) -> _Entry:
    """A ResNet of so many blocks per stage: with two 3x3 convolutions each, or (`wide`) a bottleneck with one."""
    widths = (256, 512, 1024, 2048) if wide else (64, 128, 256, 512)
    radius, jump = 5, 4  # of the 7x7 convolution and the pooling before the stages
    for stage, count in enumerate(blocks):
        for block in range(count):
            radius += jump
            jump *= 2 if stage > 0 and block == 0 else 1
            radius += 0 if wide else jump
    return _Entry(lambda: ResNetBackbone(ResNet(blocks, wide=wide), (STEM_WIDTH, *widths)), radius)


def _mobilenet(name: str, ends: tuple[int, ...], channels: tuple[int, ...], radius_px: int) -> _Entry:
    def make() -> Backbone:
        import torchvision.models  # takes seconds, which nobody waits for who uses another backbone

        made = getattr(torchvision.models, name)(weights=None)
        return MobileNetBackbone(made, ends=ends, channels=channels)

    return _Entry(make, radius_px)


BACKBONES: Mapping[str, _Entry] = {
    "resnet18": _resnet((2, 2, 2, 2), wide=False),
    "resnet34": _resnet((3, 4, 6, 3), wide=False),
    "resnet50": _resnet((3, 4, 6, 3), wide=True),
    "resnet101": _resnet((3, 4, 23, 3), wide=True),
    "mobilenet_v2": _mobilenet("mobilenet_v2", (2, 4, 7, 14, 19), (16, 24, 32, 96, 1280), 245),
    "mobilenet_v3_small": _mobilenet("mobilenet_v3_small", (1, 2, 4, 9, 13), (16, 16, 24, 48, 576), 512),
    "mobilenet_v3_large": _mobilenet("mobilenet_v3_large", (2, 4, 7, 13, 17), (16, 24, 40, 112, 960), 512),
}
"""MobileNetV3 squeezes and excites by means over the whole tile, so that its radius is no bound: slides that need more
than one tile show faint seams with it."""


def build_backbone(name: str, *, stride: int = STRIDES[-1]) -> Backbone:
    """Backbone by name with random weights; ValueError names the choices.

    With a stride of 16 the last stage keeps the resolution: its first strided convolution no longer strides, which
    leaves the shapes of all weights as they are (thesis 4.4.2).
    """
    of_timm = _of_timm(name)
    backbone = _entry(name).make() if of_timm is None else timm_backbone(*of_timm)
    if stride not in STRIDES[-2:]:
        raise ValueError(f"stride must be {STRIDES[-2]} or {STRIDES[-1]}, not {stride}")
    if stride == STRIDES[-2]:
        backbone.keep_last_resolution()
    return backbone


def receptive_radius_px(name: str) -> int:
    """Input pixels that a stride-32 cell of this backbone depends on to each side of its own block, at most."""
    of_timm = _of_timm(name)
    return _entry(name).radius_px if of_timm is None else timm_radius_px(*of_timm)


def _of_timm(name: str) -> tuple[str, Mapping[str, str | float | bool]] | None:
    """What timm is to be told to make it; None for one of torchvision's. ModelError for an encoder nobody knows."""
    if name.startswith(ENCODER):
        encoder = encoder_named(name.removeprefix(ENCODER))
        return encoder.architecture, encoder.arguments
    return (name.removeprefix(TIMM), {}) if name.startswith(TIMM) else None


def _entry(name: str) -> _Entry:
    if name not in BACKBONES:
        raise ValueError(
            f"no backbone {name!r}; there are {', '.join(BACKBONES)}, and those of timm, as {TIMM}resnet18"
        )
    return BACKBONES[name]
