"""Tiles of the tissue of a project's slides, without any annotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.errors import DataError, SlideError
from histoloop.geometry import Region
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.slides.reader import Pixels
from histoloop.slides.tiling import working_downsample
from histoloop.store.cards import load_card
from histoloop.workflows.contents.kept_tissue import tissue_of_slide
from histoloop.workflows.contents.slides import open_project_slide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.slides.tissue import TissueMask
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

MIN_TISSUE = 0.3
MARGIN = 8 / 7
"""A tile is so much wider than the crops that are taken of it: the usual 256 for crops of 224 pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class ProjectTissue:
    """Tiles (H, W, 3) in the order of their slides, and a sentence for each slide that could not be read."""

    tiles: tuple[Pixels, ...]
    warnings: tuple[str, ...]


def read_project_tissue(project: Project, *, count: int, crop_px: int, scale: float) -> Work[ProjectTissue]:
    """At most `count` tiles, spread evenly over the slides and over the tissue of each; the same ones each time.

    They are squares for crops of `crop_px`, at the resolution of the project's current model times `scale`. A slide
    smaller than one is a tile as it is. DataError when no slide can be read.
    """
    mpp = load_card(project.models.current().folder).mpp / scale
    side_px = round(crop_px * MARGIN)
    squares: list[tuple[SlideRecord, list[Region]]] = []
    warnings: list[str] = []
    records = project.slides.all()
    for number, record in enumerate(records):
        yield Progress(tr("Looking for tissue"), number, len(records), record.name)
        try:
            side = round(side_px * working_downsample(record.mpp, mpp))
            squares.append((record, _squares(record, tissue_of_slide(project, record), side)))
        except SlideError as error:
            warnings.append(tr("{slide} was left out: {reason}", slide=record.name, reason=error))
    if not squares:
        advice = tr("Import slides, or connect the disk they are on.")
        raise DataError(" ".join([tr("No slide of the project can be read."), *warnings]), advice=advice)
    shares = _shares([len(found) for _record, found in squares], count)
    tiles: list[Pixels] = []
    for (record, found), share in zip(squares, shares, strict=True):
        with open_project_slide(record) as slide:
            for index in np.linspace(0, len(found) - 1, share).round().astype(int).tolist():
                yield Progress(tr("Reading tissue"), len(tiles), sum(shares), record.name)
                tiles.append(slide.read_region_scaled(found[index], downsample=working_downsample(record.mpp, mpp)))
    return ProjectTissue(tuple(tiles), tuple(warnings))


def _squares(slide: SlideRecord, tissue: TissueMask, side: int) -> list[Region]:
    """Squares of a slide, in level-0 pixels, with tissue in them; all of it where it is smaller or has no tissue."""
    width, height = min(side, slide.width), min(side, slide.height)
    found = [
        Region(left, top, width, height)
        for top in range(0, slide.height - height + 1, height)
        for left in range(0, slide.width - width + 1, width)
    ]
    return [square for square in found if tissue.fraction(square) >= MIN_TISSUE] or found


def _shares(available: Sequence[int], count: int) -> list[int]:
    """How many to take of each, as evenly as there are enough, `count` in all where there are so many."""
    shares = [0] * len(available)
    left = count
    for place, index in enumerate(sorted(range(len(available)), key=lambda index: available[index])):
        shares[index] = min(available[index], -(-left // (len(available) - place)))
        left -= shares[index]
    return shares
