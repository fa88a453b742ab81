"""Unlabelled regions that a retraining learns from: neighbours in colour of annotated ones, and any for consistency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.workflows.contents.candidate_regions import CandidateRegion, class_of
from histoloop.workflows.propagate import MOST_CONSIDERED, keep_pseudo_regions, neighbours
from histoloop.workflows.regions.regions import ProjectRegion, RegionReader
from histoloop.workflows.regions.tiles import unlabelled_regions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from histoloop.progress import Work
    from histoloop.store.project import Project
    from histoloop.workflows.contents.rounds import HowToLearn

UNLABELLED_REGIONS = 48
"""So many unlabelled regions take part in a training by consistency, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class PseudoLabelled:
    """A region that is masked by the model itself, for the sake of the `nearest` annotated one (its name)."""

    candidate: CandidateRegion
    region: ProjectRegion
    nearest: str


@dataclass(frozen=True, slots=True, eq=False)
class UnlabelledRegions:
    """Those that get pseudo-masks, and those that are learned from by consistency alone."""

    pseudo: Sequence[PseudoLabelled] = ()
    consistent: Sequence[ProjectRegion] = ()

    def keep_pictures(self, project: Project, round_number: int, masks: Sequence[NDArray[np.bool_]]) -> None:
        """Keep pictures of the pseudo-labelled regions with the masks they ended with."""
        found = [
            (one.candidate, one.nearest, one.region.pixels(), mask)
            for one, mask in zip(self.pseudo, masks, strict=True)
        ]
        keep_pseudo_regions(project, round_number, found)


def find_unlabelled(
    project: Project, how: HowToLearn, reader: RegionReader, annotated: Sequence[ProjectRegion], *, seed: int
) -> Work[UnlabelledRegions]:
    """The unlabelled regions that a way of learning takes; none where it goes by people's masks alone.

    Regions for consistency are sampled at random, those for propagation are the near ones among some sampled at random:
    near to regions of which all counts, since strokes vouch for themselves alone.
    """
    if not (how.propagation or how.consistency):
        return UnlabelledRegions()
    places = yield from unlabelled_regions(project, mpp=reader.model.card.mpp, count=MOST_CONSIDERED, seed=seed)
    pool = [CandidateRegion(record, region, class_of(record)) for record, region in places]
    regions = [reader.candidate(candidate) for candidate in pool]
    pseudo: list[PseudoLabelled] = []
    whole = [region for region in annotated if region.whole]
    if how.propagation and whole:
        near = yield from neighbours(
            pool,
            [region.class_name for region in whole],
            lambda index: regions[index].pixels(),
            lambda index: whole[index].pixels(),
        )
        pseudo = [
            PseudoLabelled(pool[one.candidate], regions[one.candidate], whole[one.annotated].name) for one in near
        ]
    return UnlabelledRegions(pseudo, regions[:UNLABELLED_REGIONS] if how.consistency else ())
