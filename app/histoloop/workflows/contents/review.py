"""Where the regions of a project stand between two readers, and which of them somebody has to look at.

Nothing of it is kept: it follows from the annotations, the second readings and who of two was chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from histoloop.errors import HistoLoopError
from histoloop.geometry import Region
from histoloop.workflows.contents.readings import (
    REVIEWED,
    RegionAgreement,
    ReviewState,
    agreements,
    pair_of,
    regions_to_read,
)

if TYPE_CHECKING:
    from histoloop.store.project import Project
    from histoloop.workflows.contents.readings import Agreement, Pair


@dataclass(frozen=True, slots=True)
class SlideReview:
    """In how many regions of a slide two readers differ, how many are reviewed, and how many wait for a person."""

    differs: int = 0
    reviewed: int = 0
    waiting: int = 0


NOT_REVIEWED = SlideReview()


@dataclass(frozen=True, slots=True)
class ToReview:
    """A region that waits for a person, and who painted it."""

    annotation_id: int
    slide_id: int
    region: Region
    state: ReviewState
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """`read_twice` are the regions that two readers painted, by the annotation that counts; `slides` sums up by slide.

    `waiting` are those that a person has to look at, slide by slide, from the top of each.
    """

    read_twice: Mapping[int, RegionAgreement] = field(default_factory=dict)
    waiting: tuple[ToReview, ...] = ()
    slides: Mapping[int, SlideReview] = field(default_factory=dict)

    def pairs(self) -> dict[Pair, Agreement]:
        """What is known of pairs of readings, for `review_of`."""
        return {pair_of(one.first, one.second): one.agreement for one in self.read_twice.values()}

    def blinded(self) -> Review:
        """What a second reader may know, who is not to learn how others agree: what waits to be read."""
        waiting = [one for one in self.waiting if one.state is ReviewState.ANNOTATED]
        return Review({}, tuple(waiting), _by_slide([], waiting))


def review_of(project: Project, *, person: str, known: Mapping[Pair, Agreement] | None = None) -> Review:
    """The review of a project for a person; the masks of pairs that are `known` are not compared again.

    A region waits for everybody where readers differ and nobody has decided, and for all but its reader, by name,
    where a mask was painted by one alone.
    """
    compared = agreements(project, known=known)
    waiting = [
        ToReview(one.counts.id, one.slide.id, one.counts.region, one.state, one.readers)
        for one in compared
        if one.state is ReviewState.DIFFERS
    ]
    if person:
        waiting += [
            ToReview(record.id, record.slide_id, record.region, ReviewState.ANNOTATED, (record.person,))
            for record in regions_to_read(project, person)
        ]
    waiting.sort(key=lambda one: (one.slide_id, one.region.y, one.region.x, one.annotation_id))
    return Review({one.counts.id: one for one in compared}, tuple(waiting), _by_slide(compared, waiting))


def states_on_slide(project: Project, slide_id: int) -> dict[Region, ReviewState]:
    """Where the regions of a slide that two readers painted stand; none where their masks cannot be read."""
    try:
        return {one.counts.region: one.state for one in agreements(project, slide_id=slide_id)}
    except HistoLoopError:
        return {}


def _by_slide(compared: list[RegionAgreement], waiting: list[ToReview]) -> dict[int, SlideReview]:
    differs = Counter(one.slide.id for one in compared if one.state is ReviewState.DIFFERS)
    reviewed = Counter(one.slide.id for one in compared if one.state in REVIEWED)
    waits = Counter(one.slide_id for one in waiting)
    return {
        slide: SlideReview(differs[slide], reviewed[slide], waits[slide])
        for slide in differs.keys() | reviewed.keys() | waits.keys()
    }
