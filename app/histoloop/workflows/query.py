"""Ask about the regions whose annotation helps most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.acquisition.strategies import random_scores, select
from histoloop.acquisition.uncertainty import mean_pixel_entropy
from histoloop.errors import ProjectError
from histoloop.progress import Progress, Work
from histoloop.store.records import NewQuery, QueryRecord
from histoloop.workflows.candidates import Candidate, find_candidates
from histoloop.workflows.projects import open_project_slide, save_thumbnail

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.store.project import Project

THUMBNAIL_PX = 192
OFFERED = ("entropy", "random")
"""The strategies that a project's maps are enough for."""

UNSURE = (0.25, 0.75)
"""Probabilities between which a pixel counts as unsure in the reason that the user reads."""


def ask(project: Project, *, strategy: str = "entropy", count: int = 6, seed: int = 0) -> Work[tuple[QueryRecord, ...]]:
    """Replace the open queries by the `count` best regions of a strategy, in equal numbers from each class.

    Regions that were annotated, skipped or marked 'cannot tell' are not asked about again. ProjectError when no
    slide is predicted yet or nothing is left to ask about.
    """
    if strategy not in OFFERED:
        raise ProjectError(f"There is no strategy {strategy!r} here.", advice=f"Choose one of {', '.join(OFFERED)}.")
    candidates = yield from find_candidates(project)
    if not candidates:
        raise ProjectError(
            "There is no region left to ask about.",
            advice="Predict the slides first; if they are, import more slides.",
        )
    if strategy == "entropy":
        scores = np.array([mean_pixel_entropy(candidate.foreground(project)) for candidate in candidates])
    else:
        scores = random_scores(len(candidates), seed=seed + len(project.rounds()))
    picks = select(
        scores,
        [candidate.class_name for candidate in candidates],
        count=count,
        overlap=lambda one, other: candidates[one].overlaps(candidates[other]),
    )
    project.supersede_open_queries()
    coming_round = len(project.rounds()) + 1
    records = project.add_queries(
        [_question(project, candidates[pick], float(scores[pick]), strategy, coming_round) for pick in picks]
    )
    for number, record in enumerate(records):
        yield Progress("Preparing the queue", number, len(records))
        _save_query_thumbnail(project, record)
    return tuple(records)


def query_thumbnail_path(project: Project, query_id: int) -> Path:
    """Where the picture of a query is kept (PNG)."""
    return project.folder / "thumbnails" / f"query-{query_id}.png"


def _question(project: Project, candidate: Candidate, score: float, strategy: str, coming_round: int) -> NewQuery:
    return NewQuery(
        slide_id=candidate.slide.id,
        region=candidate.region,
        strategy=strategy,
        score=score,
        round=coming_round,
        reason=_reason(project, candidate, strategy),
        class_name=candidate.class_name,
    )


def _reason(project: Project, candidate: Candidate, strategy: str) -> str:
    if strategy == "random":
        return "Drawn at random, so that the measurement stays fair."
    foreground = candidate.foreground(project)
    unsure = float(np.mean((foreground > UNSURE[0]) & (foreground < UNSURE[1])))
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
