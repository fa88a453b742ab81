"""Rectangles in level-0 pixels of a slide; x to the right, y down."""

from __future__ import annotations

from dataclasses import dataclass

PLAUSIBLE_MPP = (0.02, 20.0)
"""Resolutions in um/px that a microscope can have made: others are unknown in a file and refused from a person."""


@dataclass(frozen=True, slots=True, order=True)
class Region:
    """A rectangle in level-0 pixels: the unit of query, annotation and training.

    Covers x <= column < x + width and y <= row < y + height. Coordinates may be negative (a halo reaches
    past the slide); sizes are at least 1 (ValueError).
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a region needs a positive size, not {self.width} x {self.height}")

    @property
    def right(self) -> int:
        """First column past the region."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row past the region."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """Level-0 pixels covered."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle, level-0 pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    def intersection(self, other: Region) -> Region | None:
        """The rectangle both cover; None when they do not overlap."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Region(x, y, right - x, bottom - y) if right > x and bottom > y else None

    def overlaps(self, other: Region) -> bool:
        """Whether at least one pixel is shared."""
        return self.intersection(other) is not None

    def contains(self, other: Region) -> bool:
        """Whether the other lies wholly inside."""
        return self.intersection(other) == other

    def grown(self, margin: int) -> Region:
        """The region with `margin` level-0 pixels added on every side."""
        return Region(self.x - margin, self.y - margin, self.width + 2 * margin, self.height + 2 * margin)
