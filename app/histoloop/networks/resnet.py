"""Residual networks (He et al. 2016, arXiv 1512.03385) in the names of torchvision, whose import takes seconds.

The stride of a bottleneck is in its 3x3 convolution, as torchvision has it. One seed gives the same weights as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

STEM_WIDTH = 64
STAGE_WIDTHS = (64, 128, 256, 512)
_CLASSES = 1000


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the short way."""

    expansion = 1

    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample: nn.Module | None = None

    def forward(self, below_BCHW: Tensor) -> Tensor:
        """Of the same size, or half of it where the block strides."""
        beside = below_BCHW if self.downsample is None else self.downsample(below_BCHW)
        out = self.relu(self.bn1(self.conv1(below_BCHW)))
        out = self.bn2(self.conv2(out))
        out += beside
        above: Tensor = self.relu(out)
        return above


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1, which make it narrower and four times wider, beside the short way."""

    expansion = 4

    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None

    def forward(self, below_BCHW: Tensor) -> Tensor:
        """Of the same size, or half of it where the block strides."""
        beside = below_BCHW if self.downsample is None else self.downsample(below_BCHW)
        out = self.relu(self.bn1(self.conv1(below_BCHW)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += beside
        above: Tensor = self.relu(out)
        return above


class ResNet(nn.Module):
    """The convolutional part: the stem, as wide as the first stage, and four stages of so many blocks each."""

    def __init__(self, blocks: tuple[int, ...], *, wide: bool, widths: tuple[int, ...] = STAGE_WIDTHS) -> None:
        super().__init__()
        kind = Bottleneck if wide else BasicBlock
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = widths[0]
        stages = []
        for number, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            stages.append(_stage(kind, inputs, width, count, stride=1 if number == 0 else 2))
            inputs = width * kind.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        nn.Linear(inputs, _CLASSES)  # torchvision's head takes random numbers here, before the weights are set
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _stage(kind: type[BasicBlock | Bottleneck], inputs: int, width: int, count: int, *, stride: int) -> nn.Sequential:
    """Blocks of one resolution; the first strides, and has a short way of its own where the shapes differ."""
    outputs = width * kind.expansion
    short = None
    if stride != 1 or inputs != outputs:
        short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    first = kind(inputs, width, stride=stride)
    first.downsample = short
    return nn.Sequential(first, *(kind(outputs, width, stride=1) for _ in range(count - 1)))
