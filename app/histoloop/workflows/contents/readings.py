"""Two readers of the same regions: what the second one is to read blinded, how both agree, and who of them counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.annotations.agreement import cohens_kappa, confusion_of, dice_of_class
from histoloop.annotations.records import LEFT_OUT_VALUE, AnnotationStatus
from histoloop.errors import ProjectError
from histoloop.language import mark, tr
from histoloop.store.records import AnnotationRecord, SlideRecord
from histoloop.workflows.contents.earlier_work import is_of_another
from histoloop.workflows.contents.masks import said_mask
from histoloop.workflows.contents.slides import check_not_replaced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from histoloop.annotations.records import Mask
    from histoloop.store.project import Project

Pair = tuple[int, str, int, str]

AGREED_DICE = 0.8
"""Readers whose mean Dice over the classes is at least this agree; below, somebody has to look."""


class ReviewState(StrEnum):
    """Where a region stands: ANNOTATED by one reader, or read by two, who agree or differ, or of whom one was chosen.

    DECIDED is also a region that somebody painted anew after both.
    """

    ANNOTATED = "annotated"
    AGREED = "agreed"
    DIFFERS = "differs"
    DECIDED = "decided"


STATES: Mapping[ReviewState, str] = {
    ReviewState.ANNOTATED: mark("Annotated"),
    ReviewState.AGREED: mark("Readers agree"),
    ReviewState.DIFFERS: mark("Readers differ"),
    ReviewState.DECIDED: mark("Decided"),
}
REVIEWED = frozenset({ReviewState.AGREED, ReviewState.DECIDED})
"""What two readers have done with."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Dice by class (None: neither reader has it) and Cohen's kappa (None: not defined) over `pixels` known to both."""

    dice: Mapping[str, float | None]
    kappa: float | None
    pixels: int

    @property
    def mean_dice(self) -> float | None:
        """Over the classes that either reader has; None without any."""
        there = [value for value in self.dice.values() if value is not None]
        return sum(there) / len(there) if there else None

    @property
    def is_close(self) -> bool:
        """Whether the readers agree: `AGREED_DICE`, or no class at all for both."""
        return self.mean_dice is None or self.mean_dice >= AGREED_DICE


@dataclass(frozen=True, slots=True)
class RegionAgreement:
    """What two readers painted of one region, how far they agree, and where it stands.

    `counts` is the annotation that trains and measures now: one of both, or one that was painted later.
    """

    slide: SlideRecord
    first: AnnotationRecord
    second: AnnotationRecord
    counts: AnnotationRecord
    agreement: Agreement
    state: ReviewState

    @property
    def readers(self) -> tuple[str, str]:
        """Who painted it."""
        return self.first.person, self.second.person

    @property
    def is_chosen(self) -> bool:
        """Whether what counts does so because somebody chose it."""
        return self.counts.adjudicated is not None


# --- reading blinded --------------------------------------------------------------------------------------------------


def regions_to_read(project: Project, person: str) -> list[AnnotationRecord]:
    """The annotations with a mask, by others than `person`, that no second reader has finished; oldest first."""
    read = {one.reading_of for one in project.readings.done()}
    return [
        record
        for record in project.annotations.with_mask()
        if record.reading_of is None and record.id not in read and is_of_another(record, person)
    ]


def begin_reading(project: Project, annotation_id: int, *, person: str) -> AnnotationRecord:
    """A draft of a second reader, who sees neither the first's strokes nor a prediction: its mask is empty.

    One that the person began is gone on with. What is done of it does not count until it is chosen. ProjectError where
    the person is not known by name or is the first reader, and for an annotation that is not done with a mask.
    """
    first = project.annotations.get(annotation_id)
    if not person or not is_of_another(first, person):
        raise ProjectError(
            tr("A second reader is somebody else than the first, by name."),
            advice=tr("Set your name with Settings > Your name."),
        )
    if first.status is not AnnotationStatus.DONE or not first.has_mask:
        raise ProjectError(
            tr("There is no finished mask to compare with."), advice=tr("Choose a region that somebody has painted.")
        )
    check_not_replaced(project.slides.get(first.slide_id))
    begun = project.annotations.all(status=AnnotationStatus.DRAFT, slide_id=first.slide_id)
    own = [one for one in begun if one.reading_of == first.id and one.person == person]
    if own:
        return own[-1]
    downsample = first.mask_downsample or 1.0
    shape = round(first.region.height / downsample), round(first.region.width / downsample)
    empty = np.zeros(shape, np.uint8)
    return project.drafts.start(
        first.slide_id, first.region, mask=empty, origin_model=None, person=person, reading_of=first.id
    )


# --- agreement --------------------------------------------------------------------------------------------------------


def agreements(
    project: Project, *, slide_id: int | None = None, known: Mapping[Pair, Agreement] | None = None
) -> list[RegionAgreement]:
    """Every region (of a slide) that two readers painted, in the order in which the second one did.

    The masks of pairs that are `known` are not read again.
    """
    readings = [one for one in project.readings.done() if slide_id in (None, one.slide_id)]
    if not readings:
        return []
    counting = project.annotations.finished()
    slides = {slide.id: slide for slide in project.slides.all()}
    done = {record.id: record for record in project.annotations.all(status=AnnotationStatus.DONE, slide_id=slide_id)}
    return [
        _compared(project, slides[second.slide_id], done[second.reading_of], second, counting, known or {})
        for second in readings
        if second.reading_of in done
    ]


def over_all(project: Project, compared: Iterable[RegionAgreement]) -> Agreement:
    """Over the pixels of all regions together."""
    classes = len(project.scheme.mask_names)
    confusion = np.zeros((classes + 1, classes + 1), np.int64)
    for one in compared:
        confusion += _confusion(project, one.first, one.second)
    return _agreement(project, confusion)


def choose(project: Project, annotation_id: int, *, person: str) -> None:
    """Let one of two readings train and measure from now on; the other is kept and does neither.

    ProjectError for an annotation that is not one of two readings of a region.
    """
    ids = {number for one in agreements(project) for number in (one.first.id, one.second.id)}
    if annotation_id not in ids:
        raise ProjectError(
            tr("Annotation {number} is not one of two readings of a region.", number=annotation_id),
            advice=tr("Choose one of those that the agreement lists."),
        )
    project.readings.choose(annotation_id, person=person)


def take_back_choice(project: Project, annotation_id: int) -> None:
    """Undo that a reading was chosen: what counted before counts again, and where nobody else decided, nobody has.

    ProjectError for an annotation that was not chosen, or no longer counts.
    """
    if annotation_id not in {one.counts.id for one in agreements(project) if one.is_chosen}:
        raise ProjectError(
            tr("Annotation {number} was not chosen of two readings.", number=annotation_id),
            advice=tr("Choose one of those that the agreement lists."),
        )
    project.readings.take_back(annotation_id)


def _compared(
    project: Project,
    slide: SlideRecord,
    first: AnnotationRecord,
    second: AnnotationRecord,
    counting: list[AnnotationRecord],
    known: Mapping[Pair, Agreement],
) -> RegionAgreement:
    same = (one for one in counting if one.slide_id == first.slide_id and one.region == first.region)
    counts = next(same, first)
    agreement = known.get(pair_of(first, second)) or _agreement(project, _confusion(project, first, second))
    if counts.adjudicated is not None or counts.id != first.id:
        state = ReviewState.DECIDED
    else:
        state = ReviewState.AGREED if agreement.is_close else ReviewState.DIFFERS
    return RegionAgreement(slide, first, second, counts, agreement, state)


def pair_of(first: AnnotationRecord, second: AnnotationRecord) -> Pair:
    """What two readings are known by: as long as neither is changed, and the classes are the same, so is their Dice."""
    return first.id, first.updated, second.id, second.updated


def _confusion(project: Project, first: AnnotationRecord, second: AnnotationRecord) -> NDArray[np.int64]:
    one, other = said_mask(project, first), said_mask(project, second)
    if one.shape != other.shape:
        other = _resized(other, one.shape)
    known = (one != LEFT_OUT_VALUE) & (other != LEFT_OUT_VALUE)
    return confusion_of(one, other, known, classes=len(project.scheme.mask_names))


def _resized(mask: Mask, shape: tuple[int, ...]) -> Mask:
    return np.asarray(Image.fromarray(mask).resize((shape[1], shape[0]), Image.Resampling.NEAREST))


def _agreement(project: Project, confusion: NDArray[np.int64]) -> Agreement:
    dice = {name: dice_of_class(confusion, value) for value, name in enumerate(project.scheme.mask_names, start=1)}
    return Agreement(dice, cohens_kappa(confusion), int(confusion.sum()))
