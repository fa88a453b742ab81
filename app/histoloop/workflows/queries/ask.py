"""Ask about the regions whose annotation helps most."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.acquisition.selection import mix_random, select_setwise
from histoloop.acquisition.strategies import STRATEGIES
from histoloop.acquisition.strategies.at_random import RANDOM
from histoloop.acquisition.strategy import Evidence, Strategy
from histoloop.annotations.records import QueryStatus
from histoloop.errors import ProjectError
from histoloop.language import tr, tr_plural
from histoloop.progress import Progress, Work
from histoloop.store.records import NewQuery, QueryRecord
from histoloop.workflows.contents.candidate_regions import REGION_MAP_PX, CandidateRegion, find_candidate_regions
from histoloop.workflows.contents.questions import query_evidence_path, query_thumbnail_path
from histoloop.workflows.contents.slides import is_readable, open_project_slide, save_thumbnail
from histoloop.workflows.queries.pictures import picture
from histoloop.workflows.queries.score_project import project_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.geometry import Region
    from histoloop.store.project import Project

_log = logging.getLogger(__name__)

THUMBNAIL_PX = 192
EVIDENCE_PX = 384

MOST_SCORED = 400
"""So many candidates, sampled at random, a strategy that runs the network scores: a slide may have thousands."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """A candidate to ask about, by which strategy, and why."""

    candidate: CandidateRegion
    strategy: Strategy
    score: float
    evidence: Evidence


def ask(
    project: Project,
    *,
    strategy: str = "entropy",
    count: int = 6,
    seed: int = 0,
    region_map_px: int = REGION_MAP_PX,
    random_share: float = 0.0,
    device: str = "auto",
) -> Work[tuple[QueryRecord, ...]]:
    """Replace the open queries by the `count` best regions of a strategy, in equal numbers from each class.

    `region_map_px` is the side of a region in pixels that the model sees. `random_share` of the questions, [0, 1], are
    sampled at random among the others, so that the held-out ones stand for all tissue. Regions that were annotated,
    skipped or marked 'cannot tell' are not asked about again. ProjectError when no slide is predicted yet, when nothing
    is left to ask about, and when the strategy needs more than the project has.
    """
    if strategy not in STRATEGIES:
        raise ProjectError(
            tr("There is no strategy {strategy!r}.", strategy=strategy),
            advice=tr("Choose one of {names}.", names=", ".join(STRATEGIES)),
        )
    project.check_writable()
    candidates = yield from find_candidate_regions(project, region_map_px=region_map_px)
    if not candidates:
        raise _nothing_left(project)
    own_seed = seed + len(project.rounds.all())
    _log.info("%s: %d of %d candidate regions, seed %d", strategy, count, len(candidates), own_seed)
    chosen = yield from _choose(project, STRATEGIES[strategy], candidates, count, own_seed, device)
    chosen = _with_random(chosen, candidates, random_share, own_seed)
    project.queries.supersede_open()
    coming_round = len(project.rounds.all()) + 1
    records = project.queries.add([_question(one, coming_round) for one in chosen])
    for number, (record, one) in enumerate(zip(records, chosen, strict=True)):
        yield Progress(tr("Preparing the queue"), number, len(records))
        _save_pictures(project, record, one.evidence)
    return tuple(records)


def _nothing_left(project: Project) -> ProjectError:
    """Why there is no candidate, and what to do."""
    slides = project.slides.all()
    readable = [slide for slide in slides if is_readable(slide)]
    if slides and not readable:
        return ProjectError(
            tr("There is no region to ask about: no slide is where it was."),
            advice=tr("Connect their disk, or use 'Find moved slides' and point to the folder they are in now."),
        )
    if not any(project.maps.find(slide.id) is not None for slide in readable):
        return ProjectError(tr("There is no region to ask about yet."), advice=tr("Predict the slides first."))
    settled = (QueryStatus.SKIPPED, QueryStatus.CANNOT_TELL)
    passed_over = sum(len(project.queries.all(status=status)) for status in settled)
    message = tr("There is no region left to ask about: all are settled.")
    if passed_over:
        message = tr_plural(
            "There is no region left to ask about: all are settled, {count} of them skipped.",
            "There is no region left to ask about: all are settled, {count} of them skipped.",
            passed_over,
        )
    advice = tr("Retrain, import more slides, ask about smaller regions, or mark a region by hand.")
    return ProjectError(message, advice=advice)


# --- choosing ---------------------------------------------------------------------------------------------------------


def _choose(
    project: Project, strategy: Strategy, candidates: Sequence[CandidateRegion], count: int, seed: int, device: str
) -> Work[list[_Chosen]]:
    if strategy.needs.network:
        candidates = _sample(candidates, seed)
    inputs = project_inputs(project, strategy, candidates, device=device, seed=seed)
    scores_after = yield from inputs.score(strategy)
    picks = select_setwise(
        scores_after,
        [candidate.class_name for candidate in candidates],
        count=count,
        overlap=lambda one, other: candidates[one].overlaps(candidates[other]),
    )
    chosen = []
    for number, pick in enumerate(picks):
        if strategy.needs.network:
            yield Progress(tr("Looking at the chosen regions"), number, len(picks))
        evidence = inputs.evidence(strategy, pick.index)
        chosen.append(_Chosen(candidates[pick.index], strategy, pick.score, evidence))
    return chosen


def _sample(candidates: Sequence[CandidateRegion], seed: int) -> Sequence[CandidateRegion]:
    """At most `MOST_SCORED`, sampled at random, in their order."""
    if len(candidates) <= MOST_SCORED:
        return candidates
    sample = np.random.default_rng(seed).permutation(len(candidates))[:MOST_SCORED]
    return [candidates[index] for index in sorted(sample.tolist())]


def _with_random(
    chosen: Sequence[_Chosen], candidates: Sequence[CandidateRegion], share: float, seed: int
) -> list[_Chosen]:
    """A share of the questions sampled at random instead; best first, the sampled ones after."""
    if not share or not chosen or chosen[0].strategy is RANDOM:
        return list(chosen)
    place = {id(candidate): number for number, candidate in enumerate(candidates)}
    by_place = {place[id(one.candidate)]: one for one in chosen}
    mix = mix_random(
        list(by_place),
        range(len(candidates)),
        share,
        seed,
        overlap=lambda one, other: candidates[one].overlaps(candidates[other]),
    )
    sampled = [_Chosen(candidates[index], RANDOM, 0.0, Evidence()) for index in mix.sampled]
    return [*(by_place[index] for index in mix.chosen), *sampled]


def _question(one: _Chosen, coming_round: int) -> NewQuery:
    return NewQuery(
        slide_id=one.candidate.slide.id,
        region=one.candidate.region,
        strategy=one.strategy.name,
        score=one.score,
        round=coming_round,
        evidence=one.evidence.facts,
        class_name=one.candidate.class_name,
    )


# --- pictures ---------------------------------------------------------------------------------------------------------


def _save_pictures(project: Project, query: QueryRecord, evidence: Evidence) -> None:
    pixels = _read(project, query, EVIDENCE_PX)
    small = Image.fromarray(pixels)
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    save_thumbnail(query_thumbnail_path(project, query.id), small)
    shown = picture(pixels, evidence)
    if shown is not None:
        save_thumbnail(query_evidence_path(project, query.id), shown)


def _read(project: Project, query: QueryRecord, side_px: int) -> NDArray[np.uint8]:
    region: Region = query.region
    with open_project_slide(project.slides.get(query.slide_id)) as slide:
        scale = max(1e-9, max(region.width, region.height) / side_px)
        return slide.read_region_scaled(region, downsample=scale)
