"""Regions that nobody annotated and a retraining learns from: neighbours in colour, and any for consistency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.workflows.contents.candidates import Candidate, class_of
from histoloop.workflows.propagate import MOST_LOOKED_AT, keep_pseudo_regions, neighbours
from histoloop.workflows.regions.regions import ProjectRegion, RegionReader
from histoloop.workflows.regions.tiles import regions_left

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from histoloop.progress import Work
    from histoloop.store.project import Project
    from histoloop.training.samples import TrainingTile
    from histoloop.workflows.contents.rounds import HowToLearn

UNLABELLED_REGIONS = 48
"""So many regions that nobody annotated take part in a training by consistency, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Others:
    """Pseudo-labelled regions, each with the name of the annotated one it comes in for, and unlabelled ones."""

    reader: RegionReader
    pseudo: Sequence[tuple[Candidate, str]]
    unlabelled: Sequence[Candidate]

    def pseudo_regions(self) -> list[ProjectRegion]:
        """As regions."""
        return [self.reader.candidate(candidate) for candidate, _nearest in self.pseudo]

    def unlabelled_regions(self) -> list[ProjectRegion]:
        """As regions."""
        return [self.reader.candidate(candidate) for candidate in self.unlabelled]

    def tiles(self, regions: Sequence[ProjectRegion]) -> list[TrainingTile]:
        """Regions as tiles without masks."""
        return [self.reader.tile(region) for region in regions]

    def keep_for_people(self, project: Project, round_number: int, masks: Sequence[NDArray[np.bool_]]) -> None:
        """Keep pictures of the pseudo-labelled regions with the masks they ended with."""
        found = [
            (candidate, nearest, self.reader.tile(region).pixels, mask)
            for (candidate, nearest), region, mask in zip(self.pseudo, self.pseudo_regions(), masks, strict=True)
        ]
        keep_pseudo_regions(project, round_number, found)


def find_others(
    project: Project, how: HowToLearn, reader: RegionReader, annotated: Sequence[ProjectRegion], *, seed: int
) -> Work[Others]:
    """What a way of learning takes of the regions left; nothing where it goes by people's masks alone.

    Regions for consistency are drawn at random, those for propagation are the near ones among some drawn at random.
    """
    if not (how.propagation or how.consistency):
        return Others(reader, (), ())
    left = yield from regions_left(project, mpp=reader.model.card.mpp, count=MOST_LOOKED_AT, seed=seed)
    some = [Candidate(record, region, class_of(record)) for record, region in left]
    pseudo: list[tuple[Candidate, str]] = []
    if how.propagation:
        regions = [reader.candidate(candidate) for candidate in some]
        found = yield from neighbours(
            some,
            [region.class_name for region in annotated],
            lambda index: regions[index].pixels(),
            lambda index: annotated[index].pixels(),
        )
        pseudo = [(some[one.candidate], annotated[one.annotated].name) for one in found]
    return Others(reader, pseudo, some[:UNLABELLED_REGIONS] if how.consistency else ())
