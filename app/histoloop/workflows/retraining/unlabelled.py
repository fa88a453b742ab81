"""Unlabelled regions that a retraining learns from: neighbours in colour of annotated ones, and any for consistency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.propagation import grown
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.workflows.contents.candidate_regions import CandidateRegion, class_of, settled_regions
from histoloop.workflows.contents.slides import is_readable
from histoloop.workflows.propagate import PoolRegion, earlier_pool, keep_pseudo_regions
from histoloop.workflows.regions.regions import ProjectRegion, RegionReader
from histoloop.workflows.regions.tiles import unlabelled_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.store.project import Project
    from histoloop.workflows.contents.rounds import HowToLearn

POOL, POOL_SEED = 1000, 0
"""So many regions, at most, may be taken into P: the same ones each round. Their colours are kept, and take 6 MB."""

MOST_PSEUDO = 120
"""So many regions of P, at most, a round learns from: the features of one take some 6 MB."""

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
    """Those that get pseudo-masks, the others of P, and those that are learned from by consistency alone."""

    pseudo: Sequence[PseudoLabelled] = ()
    others: Sequence[PoolRegion] = ()
    consistent: Sequence[ProjectRegion] = ()

    def keep_pool(self, project: Project, round_number: int, masks: Sequence[NDArray[np.bool_]]) -> None:
        """Keep P for the next round and queries, with pictures of those that were learned from."""
        found = [
            (one.candidate, one.nearest, one.region.pixels(), mask)
            for one, mask in zip(self.pseudo, masks, strict=True)
        ]
        keep_pseudo_regions(project, round_number, found, self.others)


def find_unlabelled(
    project: Project, how: HowToLearn, reader: RegionReader, annotated: Sequence[ProjectRegion], *, seed: int
) -> Work[UnlabelledRegions]:
    """The unlabelled regions that a way of learning takes; none where it goes by people's masks alone.

    Regions for consistency are sampled at random with the seed. Those for propagation are P: that of the earlier rounds
    and, of a pool that stays the same (`POOL` regions at most), the ones near to regions of which all counts, since
    strokes vouch for themselves alone. Of a P of more than `MOST_PSEUDO` each round learns from some.
    """
    consistent: list[ProjectRegion] = []
    if how.consistency:
        count = UNLABELLED_REGIONS
        places = yield from unlabelled_regions(project, mpp=reader.model.card.mpp, count=count, seed=seed)
        consistent = [reader.candidate(CandidateRegion(record, place, class_of(record))) for record, place in places]
    whole = [region for region in annotated if region.whole]
    if not (how.propagation and whole):
        return UnlabelledRegions(consistent=consistent)
    found = yield from _grown_pool(project, reader, whole)
    chosen = _sample(len(found), seed=seed, round_number=project.rounds.next_number())
    others = [PoolRegion(one.region.slide.id, one.region.region, one.nearest) for one in found]
    return UnlabelledRegions(
        [one for index, one in enumerate(found) if index in chosen],
        [one for index, one in enumerate(others) if index not in chosen],
        consistent,
    )


def _grown_pool(project: Project, reader: RegionReader, whole: Sequence[ProjectRegion]) -> Work[list[PseudoLabelled]]:
    """P of this round, with the annotated regions' names."""
    earlier = _still_unlabelled(project, earlier_pool(project))
    places = yield from unlabelled_regions(project, mpp=reader.model.card.mpp, count=POOL, seed=POOL_SEED)
    before = [(project.slides.get(one.slide_id), one.region) for one in earlier]
    there = {(record.id, region) for record, region in before}
    pool = [*before, *((record, region) for record, region in places if (record.id, region) not in there)]
    candidates = [CandidateRegion(record, region, class_of(record)) for record, region in pool]
    regions = [*whole, *(reader.candidate(candidate) for candidate in candidates)]
    histograms = []
    for number, region in enumerate(regions):
        yield Progress(tr("Comparing colours"), number, len(regions))
        histograms.append(region.colours())
    classes, known = [region.class_name for region in regions], len(whole)
    found = grown(np.stack(histograms), classes, range(known), range(known, known + len(earlier)))
    names = {index: earlier[index - known].nearest if of is None else whole[of].name for index, of in found.items()}
    return [PseudoLabelled(candidates[index - known], regions[index], name) for index, name in names.items()]


def _still_unlabelled(project: Project, pool: Sequence[PoolRegion]) -> list[PoolRegion]:
    """Those of slides that are there, and that share no pixel with a region that was asked about since."""
    there = {slide.id for slide in project.slides.all() if is_readable(slide)}
    settled = {slide_id: settled_regions(project, slide_id) for slide_id in {one.slide_id for one in pool} & there}
    return [
        one
        for one in pool
        if one.slide_id in there and not any(one.region.overlaps(other) for other in settled[one.slide_id])
    ]


def _sample(count: int, *, seed: int, round_number: int) -> frozenset[int]:
    """Which of P a round learns from: all, or `MOST_PSEUDO` at random, others each round."""
    order = np.random.default_rng((seed, round_number)).permutation(count)
    return frozenset(order[:MOST_PSEUDO].tolist())
