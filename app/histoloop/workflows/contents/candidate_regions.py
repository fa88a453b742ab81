"""Regions of a project that may be asked about. Needs neither torch nor Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.grid import candidate_regions
from histoloop.annotations.records import AnnotationStatus, QueryStatus
from histoloop.geometry import Region
from histoloop.language import tr
from histoloop.localisation.stitcher import foreground_of
from histoloop.progress import Progress, Work
from histoloop.slides.tiling import working_downsample
from histoloop.slides.tissue import Survey, TissueMask
from histoloop.store.maps import open_map
from histoloop.store.records import SlideRecord
from histoloop.workflows.boundary import why_it_failed
from histoloop.workflows.contents.kept_tissue import survey_of_slide
from histoloop.workflows.contents.masks import map_in_project
from histoloop.workflows.contents.slides import is_readable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.store.cards import Card
    from histoloop.store.project import Project

REGION_MAP_PX = 384
"""Side of a queried region in pixels that the model sees: a few glands with their surroundings."""

SMALLEST_MAP_PX, LARGEST_MAP_PX = 128, 1024
MAX_REGION_PX = 2048
"""Side of a queried region in level-0 pixels, at most: what can be painted on at full resolution."""


@dataclass(frozen=True, slots=True)
class CandidateRegion:
    """A region that nobody annotated, skipped or could not tell; `class_name` is what its slide is, or seems to be.

    `specimen` is all of its slide but glass; None where nobody looked for it.
    """

    slide: SlideRecord
    region: Region
    class_name: str
    specimen: TissueMask | None = None

    def foreground(self, project: Project) -> NDArray[np.float32]:
        """(h, w) the current model's foreground probability, as its map has it; 0 on glass: there is nothing to ask."""
        return foreground_of(self.masks(project))

    def masks(self, project: Project) -> NDArray[np.float32]:
        """As `foreground`, but of each mask class (K, h, w) of a model that tells them apart."""
        found = map_in_project(project, self.slide.id)
        if found is None:
            raise ValueError(f"{self.slide.name} has no map")
        masks = found.slide_map.read_masks(self.region)
        if self.specimen is None:
            return masks
        height, width = masks.shape[-2:]
        return np.where(self.specimen.within(self.region, height=height, width=width), masks, np.float32(0))

    def overlaps(self, other: CandidateRegion) -> bool:
        """Whether both share a pixel."""
        return self.slide.id == other.slide.id and self.region.overlaps(other.region)


@dataclass(frozen=True, slots=True)
class FoundRegions:
    """Candidate regions, and (slide, reason) of slides that could not be looked at."""

    regions: tuple[CandidateRegion, ...]
    failed: tuple[tuple[str, str], ...]


def find_candidate_regions(project: Project, *, region_map_px: int = REGION_MAP_PX) -> Work[FoundRegions]:
    """All regions, row by row, of the slides that the current model has maps of; of all slides before it was trained.

    `region_map_px` is their side in pixels of the maps (as the model sees them), ValueError where that is out of range.
    """
    _check_side(region_map_px)
    slides = [slide for slide in project.slides.all() if is_readable(slide)]
    card = project.models.current_card()
    found: list[CandidateRegion] = []
    failed: list[tuple[str, str]] = []
    for number, record in enumerate(slides):
        yield Progress(tr("Looking for regions"), number, len(slides), record.name)
        try:
            found += _candidates_of(project, record, region_map_px, card)
        except Exception as error:
            failed.append((record.name, why_it_failed(error, writing_to=())))
    return FoundRegions(tuple(found), tuple(failed))


def _candidates_of(project: Project, record: SlideRecord, region_map_px: int, card: Card) -> list[CandidateRegion]:
    folder = project.maps.find(record.id)
    slide_map = None if folder is None else open_map(folder)
    if slide_map is not None:
        side = region_side_px(slide_map.downsample, region_map_px)
    elif not card.trained:
        side = region_side_px(working_downsample(record.mpp, card.mpp), region_map_px)
    else:
        return []
    found = survey_of_slide(project, record)
    if slide_map is not None and slide_map.tissue is not None:
        found = Survey(found.tissue, slide_map.tissue)
    regions = candidate_regions(
        width=record.width,
        height=record.height,
        region_px=side,
        tissue=found.tissue,
        excluded=settled_regions(project, record.id),
    )
    return [CandidateRegion(record, region, class_of(record), found.specimen) for region in regions]


def region_side_px(downsample: float, region_map_px: int = REGION_MAP_PX) -> int:
    """Side of a queried region in level-0 pixels on a slide whose map has this downsample."""
    _check_side(region_map_px)
    return min(MAX_REGION_PX, max(1, round(region_map_px * downsample)))


def _check_side(region_map_px: int) -> None:
    if not SMALLEST_MAP_PX <= region_map_px <= LARGEST_MAP_PX:
        raise ValueError(f"regions are {SMALLEST_MAP_PX} to {LARGEST_MAP_PX} px wide, not {region_map_px}")


def about_how_many(project: Project, *, region_map_px: int = REGION_MAP_PX) -> int:
    """About how many candidates there are, by the share of tissue that predicting measured: no slide is opened."""
    mpp = project.models.current_card().mpp
    total = 0
    for slide in project.slides.all():
        if slide.tissue_px is not None and project.maps.find(slide.id) is not None and slide.exists():
            side = region_side_px(1.0 if slide.mpp is None else mpp / slide.mpp, region_map_px)
            squares = math.ceil(slide.width / side) * math.ceil(slide.height / side)
            total += max(1, round(squares * slide.tissue_px / slide.extent.area))
    painted = (AnnotationStatus.DONE, AnnotationStatus.DRAFT)
    asked = sum(annotation.status in painted for annotation in project.annotations.all())
    asked += sum(len(project.queries.all(status=status)) for status in (QueryStatus.SKIPPED, QueryStatus.CANNOT_TELL))
    return max(0, total - asked)


def class_of(record: SlideRecord) -> str:
    """The label that a person gave to the slide, else the predicted one; '' where that means nothing."""
    if record.label is not None:
        return record.label
    if record.is_unlike or not record.predicted:
        return ""
    return max(record.predicted, key=record.predicted.__getitem__)


def settled_regions(project: Project, slide_id: int) -> list[Region]:
    """Regions of a slide that are annotated, being annotated, or settled otherwise."""
    annotated = [
        annotation.region
        for annotation in project.annotations.all(slide_id=slide_id)
        if annotation.status in (AnnotationStatus.DONE, AnnotationStatus.DRAFT)
    ]
    settled = (QueryStatus.ANNOTATED, QueryStatus.SKIPPED, QueryStatus.CANNOT_TELL)
    queried = [query.region for status in settled for query in project.queries.all(status=status, slide_id=slide_id)]
    return annotated + queried
