"""Ask about the regions whose annotation helps most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from histoloop.acquisition.candidates import candidate_regions
from histoloop.acquisition.strategies import STRATEGIES, mean_pixel_entropy, random_scores, select
from histoloop.annotations.records import AnnotationStatus, QueryStatus
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.progress import Progress, Work
from histoloop.slides.tissue import find_tissue
from histoloop.store.maps import open_map
from histoloop.store.records import NewQuery, QueryRecord, SlideRecord
from histoloop.workflows.projects import open_project_slide, save_thumbnail

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.store.project import Project

REGION_MAP_PX = 384
"""Side of a queried region in pixels that the model sees: a few glands with their surroundings."""

MAX_REGION_PX = 2048
"""Side of a queried region in level-0 pixels, at most: what can be painted on at full resolution."""

THUMBNAIL_PX = 192
UNSURE = (0.25, 0.75)
"""Probabilities between which a pixel counts as unsure in the reason that the user reads."""


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    slide: SlideRecord
    region: Region
    class_name: str
    foreground: NDArray[np.float32]


def ask(project: Project, *, strategy: str = "entropy", count: int = 6, seed: int = 0) -> Work[tuple[QueryRecord, ...]]:
    """Replace the open queries by the `count` best regions of a strategy, in equal numbers from each class.

    Regions that were annotated, skipped or marked 'cannot tell' are not asked about again. ProjectError when no
    slide is predicted yet or nothing is left to ask about.
    """
    if strategy not in STRATEGIES:
        raise ProjectError(f"There is no strategy {strategy!r}.", advice=f"Choose one of {', '.join(STRATEGIES)}.")
    candidates = yield from _candidates(project)
    if not candidates:
        raise ProjectError(
            "There is no region left to ask about.",
            advice="Predict the slides first; if they are, import more slides.",
        )
    if strategy == "entropy":
        scores = np.array([mean_pixel_entropy(candidate.foreground) for candidate in candidates])
    else:
        scores = random_scores(len(candidates), seed=seed + len(project.rounds()))
    picks = select(
        scores,
        [candidate.class_name for candidate in candidates],
        count=count,
        overlap=lambda one, other: _overlap(candidates[one], candidates[other]),
    )
    project.supersede_open_queries()
    coming_round = len(project.rounds()) + 1
    records = project.add_queries(
        [_question(candidates[pick], float(scores[pick]), strategy, coming_round) for pick in picks]
    )
    for number, record in enumerate(records):
        yield Progress("Preparing the queue", number, len(records))
        _save_query_thumbnail(project, record)
    return tuple(records)


def query_thumbnail_path(project: Project, query_id: int) -> Path:
    """Where the picture of a query is kept (PNG)."""
    return project.folder / "thumbnails" / f"query-{query_id}.png"


def region_side_px(downsample: float) -> int:
    """Side of a queried region in level-0 pixels on a slide whose map has this downsample."""
    return min(MAX_REGION_PX, max(1, round(REGION_MAP_PX * downsample)))


def _candidates(project: Project) -> Work[list[_Candidate]]:
    slides = [slide for slide in project.slides() if slide.found]
    found: list[_Candidate] = []
    for number, record in enumerate(slides):
        yield Progress("Looking for regions", number, len(slides), record.name)
        folder = project.map_folder(record.id)
        if folder is None:
            continue
        slide_map = open_map(folder)
        with open_project_slide(record) as slide:
            tissue = find_tissue(slide)
        side = region_side_px(slide_map.downsample)
        asked = asked_before(project, record.id)
        for region in candidate_regions(
            width=record.width, height=record.height, region_px=side, tissue=tissue, excluded=asked
        ):
            found.append(_Candidate(record, region, _class_of(record), slide_map.read_foreground(region)))
    return found


def _overlap(one: _Candidate, other: _Candidate) -> bool:
    return one.slide.id == other.slide.id and one.region.overlaps(other.region)


def asked_before(project: Project, slide_id: int) -> list[Region]:
    """Regions of a slide that somebody annotated, began to, skipped or could not tell."""
    annotated = [
        annotation.region
        for annotation in project.annotations(slide_id=slide_id)
        if annotation.status in (AnnotationStatus.DONE, AnnotationStatus.DRAFT)
    ]
    settled = (QueryStatus.ANNOTATED, QueryStatus.SKIPPED, QueryStatus.CANNOT_TELL)
    queried = [query.region for status in settled for query in project.queries(status=status, slide_id=slide_id)]
    return annotated + queried


def _class_of(record: SlideRecord) -> str:
    """What a person said of the slide, else what the model thinks of it."""
    if record.label is not None:
        return record.label
    return max(record.predicted, key=record.predicted.__getitem__) if record.predicted else ""


def _question(candidate: _Candidate, score: float, strategy: str, coming_round: int) -> NewQuery:
    return NewQuery(
        slide_id=candidate.slide.id,
        region=candidate.region,
        strategy=strategy,
        score=score,
        round=coming_round,
        reason=_reason(candidate, strategy),
        class_name=candidate.class_name,
    )


def _reason(candidate: _Candidate, strategy: str) -> str:
    if strategy == "random":
        return "Drawn at random, so that the measurement stays fair."
    unsure = float(np.mean((candidate.foreground > UNSURE[0]) & (candidate.foreground < UNSURE[1])))
    return f"The model is unsure about {unsure:.0%} of this region."


def _save_query_thumbnail(project: Project, query: QueryRecord) -> None:
    with open_project_slide(project.slide(query.slide_id)) as slide:
        scale = max(query.region.width, query.region.height) / THUMBNAIL_PX
        pixels = slide.read_scaled(
            round(query.region.x / scale),
            round(query.region.y / scale),
            max(1, round(query.region.width / scale)),
            max(1, round(query.region.height / scale)),
            downsample=scale,
        )
    save_thumbnail(query_thumbnail_path(project, query.id), Image.fromarray(pixels))
