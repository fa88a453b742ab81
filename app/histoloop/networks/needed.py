"""Which cells of a layer's input some cells of its output depend on, so that a network runs only where it is needed.

Cells are counted from the top left of the window that the network is given. What is cut off for not being needed is
never read: a layer pads with zeros at a cut as at the border of the slide, and the cells that this spoils lie outside
of what is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORTH = 0.97
"""Cutting copies what is left: it pays where the share that is left is below this."""


class Span(NamedTuple):
    """Cells from `start` to before `stop` along one axis."""

    start: int
    stop: int

    def grown(self, by: int, length: int) -> Span:
        """With so many more at both ends, as far as there are any: cells from 0 to before `length`."""
        return Span(max(0, self.start - by), min(length, self.stop + by))

    def outwards(self, step: int) -> Span:
        """In cells `step` times as large, those that it reaches into."""
        return Span(self.start // step, -(-self.stop // step))

    def times(self, step: int) -> Span:
        """In cells `step` times smaller."""
        return Span(self.start * step, self.stop * step)


class Box(NamedTuple):
    """Rows and columns of cells; `Box.of` makes one of top, left, height and width."""

    rows: Span
    columns: Span

    @staticmethod
    def of(top: int, left: int, height: int, width: int) -> Box:
        """The box of so many rows and columns at a place."""
        return Box(Span(top, top + height), Span(left, left + width))

    @property
    def cells(self) -> int:
        """How many there are."""
        return (self.rows.stop - self.rows.start) * (self.columns.stop - self.columns.start)

    def joined(self, other: Box) -> Box:
        """The smallest that holds both."""
        rows, columns = (Span(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(self, other, strict=True))
        return Box(rows, columns)

    def grown(self, by: int, size: Sequence[int]) -> Box:
        """With a margin, inside of a window of `size` (rows, columns)."""
        rows, columns = (span.grown(by, length) for span, length in zip(self, size, strict=True))
        return Box(rows, columns)

    def outwards(self, step: int) -> Box:
        """In cells `step` times as large, those that it reaches into."""
        return Box(*(span.outwards(step) for span in self))

    def times(self, step: int) -> Box:
        """In cells `step` times smaller."""
        return Box(*(span.times(step) for span in self))

    def of_planes(self, planes_BCHW: Tensor, *, within: Box) -> Tensor:
        """This part of planes that hold the cells of another box."""
        rows, columns = (
            slice(own.start - all_.start, own.stop - all_.start) for own, all_ in zip(self, within, strict=True)
        )
        return planes_BCHW[..., rows, columns]


def whole(planes_BCHW: Tensor) -> Box:
    """All cells of planes."""
    return Box.of(0, 0, planes_BCHW.shape[-2], planes_BCHW.shape[-1])


@dataclass(frozen=True, slots=True)
class Reach:
    """What a convolution or pooling reads, alike along both axes."""

    kernel: int
    stride: int
    padding: int
    dilation: int

    def reads(self, cells: Span, length: int) -> Span:
        """The input cells, of `length`, that output cells depend on."""
        start = cells.start * self.stride - self.padding
        stop = (cells.stop - 1) * self.stride - self.padding + self.dilation * (self.kernel - 1) + 1
        return Span(max(0, start), min(length, stop))

    def gives(self, length: int) -> int:
        """How many output cells there are of so many input cells."""
        return (length + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """Modules of a backbone that run one after the other; `ends_stage` where their output is a stage."""

    modules: tuple[nn.Module, ...]
    ends_stage: bool = False

    def reaches(self) -> tuple[Reach, ...] | None:
        """Of the convolutions and poolings along the longest way through; None where a cell sees the whole tile."""
        found: list[Reach] = []
        for module in self.modules:
            for name, part in module.named_modules():
                if isinstance(part, nn.AdaptiveAvgPool2d):
                    return None
                beside = "downsample" in name.split(".")  # the short way of a residual block
                if isinstance(part, (nn.Conv2d, nn.MaxPool2d)) and not beside:
                    found.append(_reach(part))
        return tuple(found)

    def stride(self) -> int:
        """Input cells per output cell."""
        return math.prod(reach.stride for reach in self.reaches() or ())

    def run(self, planes_BCHW: Tensor) -> Tensor:
        """Its output."""
        for module in self.modules:
            planes_BCHW = module(planes_BCHW)
        return planes_BCHW


def _reach(module: nn.Conv2d | nn.MaxPool2d) -> Reach:
    numbers = []
    for name in ("kernel_size", "stride", "padding", "dilation"):
        value = getattr(module, name)
        sides = {value} if isinstance(value, int) else set(value)
        if len(sides) != 1:
            raise ValueError(f"{name} of a backbone's layer must be alike along both axes, not {value}")
        numbers.append(int(sides.pop()))
    return Reach(*numbers)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What each link of a chain is given: `inputs` in the cells of its input."""

    links: tuple[Link, ...]
    inputs: tuple[Box, ...]
    stages: tuple[Box, ...]

    def run(self, tiles_BCHW: Tensor) -> tuple[Tensor, ...]:
        """The boxes of the stages, finest first, of a whole window."""
        found, below, have = [], tiles_BCHW, whole(tiles_BCHW)
        wanted_stages = iter(self.stages)
        for link, wanted in zip(self.links, self.inputs, strict=True):
            stride = link.stride()
            crooked = any(span.start % stride for span in have)
            if crooked or wanted.cells < _WORTH * have.cells:
                below, have = _cut(wanted.of_planes(below, within=have)), wanted
            below = link.run(below)
            top, left = (span.start // stride for span in have)
            have = Box.of(top, left, below.shape[-2], below.shape[-1])
            if link.ends_stage:
                found.append(next(wanted_stages).of_planes(below, within=have))
        return tuple(found)


def plan(links: Sequence[Link], stages: Sequence[Box], size: Sequence[int], *, aligned: bool = True) -> Plan | None:
    """How a chain gives these boxes of its stages, of a window of `size`; None where a cell sees the whole window.

    What runs is `aligned`: a link that strides is given cells from a multiple of its stride on. The cells that are not
    are those that the boxes truly depend on.
    """
    sizes = [tuple(size)]
    for link in links:
        reaches = link.reaches()
        if reaches is None:
            return None
        length = sizes[-1]
        for reach in reaches:
            length = tuple(map(reach.gives, length))
        sizes.append(length)
    inputs: list[Box] = []
    waiting = list(stages)
    for link, length in zip(reversed(links), reversed(sizes[:-1]), strict=True):
        if link.ends_stage:
            stage = waiting.pop()
            wanted = stage.joined(inputs[-1]) if inputs else stage
        else:
            wanted = inputs[-1]
        inputs.append(_reads(link, wanted, length, multiple=link.stride() if aligned else 1))
    return Plan(tuple(links), tuple(reversed(inputs)), tuple(stages))


def _reads(link: Link, box: Box, size: Sequence[int], *, multiple: int) -> Box:
    """The input that a link needs for a box of its output, from a multiple of so many cells on."""
    reaches, spans = link.reaches() or (), []
    for span, length in zip(box, size, strict=True):
        lengths = [length]
        for reach in reaches:
            lengths.append(reach.gives(lengths[-1]))
        for reach, cells in zip(reversed(reaches), reversed(lengths[:-1]), strict=True):
            span = reach.reads(span, cells)
        spans.append(Span(span.start - span.start % multiple, span.stop))
    return Box(*spans)


def _cut(planes_BCHW: Tensor) -> Tensor:
    """A copy in the layout of the planes that it is a part of."""
    last = planes_BCHW.stride(1) == 1
    return planes_BCHW.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
