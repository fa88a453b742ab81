"""Ask about the regions whose annotation helps most."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.acquisition.advice import FIRST
from histoloop.acquisition.propagation import queryable
from histoloop.acquisition.selection import mix_random, select_setwise
from histoloop.acquisition.strategies import STRATEGIES
from histoloop.acquisition.strategies.at_random import RANDOM
from histoloop.acquisition.strategy import Evidence, Strategy
from histoloop.annotations.records import QueryStatus
from histoloop.errors import ProjectError, SlideError
from histoloop.language import tr, tr_plural
from histoloop.progress import Progress, Work
from histoloop.store.maps import check_map
from histoloop.store.records import NewQuery, QueryRecord
from histoloop.workflows.boundary import why_it_failed
from histoloop.workflows.contents.candidate_regions import REGION_MAP_PX, CandidateRegion, find_candidate_regions
from histoloop.workflows.contents.questions import query_evidence_path, query_thumbnail_path
from histoloop.workflows.contents.slides import is_readable, open_project_slide, save_thumbnail
from histoloop.workflows.propagate import protected_pool
from histoloop.workflows.queries.pictures import picture
from histoloop.workflows.queries.score_project import has_earlier_model, project_inputs
from histoloop.workflows.queries.shortage import why_fewer
from histoloop.workflows.reports import AskReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.geometry import Region
    from histoloop.store.project import Project
    from histoloop.workflows.queries.score_regions import ScoringSettings

_log = logging.getLogger(__name__)

THUMBNAIL_PX = 192
EVIDENCE_PX = 384

USUAL = "entropy"
"""The strategy to ask a model by that has learned, where none is named."""

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
    strategy: str | None = None,
    count: int = 6,
    seed: int = 0,
    region_map_px: int = REGION_MAP_PX,
    random_share: float = 0.0,
    device: str = "auto",
    settings: ScoringSettings | None = None,
) -> Work[AskReport]:
    """Replace the open queries by the `count` best regions of a strategy, in equal numbers from each class.

    Without a `strategy` it is `USUAL` or, while nobody has trained the current model, `FIRST`: by coverage of the
    tissue, in equal numbers from each slide, without any prediction.

    A strategy that compares with the round before asks at random in the first one, and the report says so.

    What the last round learned from with the model's own masks is asked about when nothing else is left (label-prop 3);
    what is sampled at random stands for all tissue, and is not kept from it.

    `region_map_px` is the side of a region in pixels that the model sees. `settings` are of strategies that run
    networks: how many passes of Monte-Carlo dropout, how VAAL learns. `random_share` of the questions, [0, 1], are
    sampled at random among the others, so that the held-out ones stand for all tissue. Regions that were annotated,
    skipped or marked 'cannot tell' are not asked about again. A slide that cannot be read is reported, and the others
    are asked about; maps that were found damaged count no more, so that predicting makes new ones. Where there are
    fewer regions than `count`, the report says why. ProjectError when no
    slide is predicted yet, when nothing is left to ask about, and when the strategy needs more than the project has.
    """
    trained = project.models.current_card().trained
    strategy = strategy or (USUAL if trained else FIRST)
    if strategy not in STRATEGIES:
        raise ProjectError(
            tr("There is no strategy {strategy!r}.", strategy=strategy),
            advice=tr("Choose one of {names}.", names=", ".join(STRATEGIES)),
        )
    if STRATEGIES[strategy].needs.predictions and not trained:
        raise ProjectError(
            tr("'{title}' needs a trained model.", title=tr(STRATEGIES[strategy].title)),
            advice=tr("Ask by coverage of the tissue (k-center) or at random, annotate the regions, and retrain."),
        )
    project.check_writable()
    compares = STRATEGIES[strategy].needs.inputs == "earlier model"
    has_masks = bool(project.models.current_card().network.decoder_channels)
    at_first = compares and has_masks and not has_earlier_model(project)
    if at_first:
        strategy = RANDOM.name
    found = yield from find_candidate_regions(project, region_map_px=region_map_px)
    candidates, failed = found.regions, list(found.failed)
    if not candidates:
        raise _nothing_left(project, failed)
    own_seed = seed + len(project.rounds.all())
    _log.info("%s: %d of %d candidate regions, seed %d", strategy, count, len(candidates), own_seed)
    while True:
        try:
            free, protected = _queryable(project, candidates, count)
            chosen = yield from _choose(
                project, STRATEGIES[strategy], free, protected, count, own_seed, device, settings
            )
            break
        except Exception as error:
            unreadable = _unreadable_slides(project, candidates, error)
            failed += [(project.slides.get(slide_id).name, reason) for slide_id, reason in unreadable.items()]
            candidates = tuple(candidate for candidate in candidates if candidate.slide.id not in unreadable)
            if not (unreadable and candidates):
                raise
    chosen = _with_random(chosen, candidates, random_share, own_seed)
    project.queries.supersede_open()
    coming_round = len(project.rounds.all()) + 1
    records = project.queries.add([_question(one, coming_round) for one in chosen])
    for number, (record, one) in enumerate(zip(records, chosen, strict=True)):
        yield Progress(tr("Preparing the queue"), number, len(records))
        try:
            _save_pictures(project, record, one.evidence)
        except Exception as error:
            failed.append((one.candidate.slide.name, why_it_failed(error, writing_to=[project.folder])))
    why = why_fewer(project, wanted=count, asked=len(records), considered=_considered(strategy, candidates))
    if at_first:
        word = tr("There is no earlier round to compare with yet: these regions were sampled at random.")
        why = f"{word} {why}".strip()
    return AskReport(tuple(records), tuple(dict.fromkeys(failed)), why)


def _unreadable_slides(project: Project, candidates: Sequence[CandidateRegion], error: Exception) -> dict[int, str]:
    """The slides (id: reason) whose pixels or maps made choosing fail."""
    found: dict[int, str] = {}
    for slide in {candidate.slide.id: candidate.slide for candidate in candidates}.values():
        try:
            if isinstance(error, SlideError) and error.path == slide.path:
                raise error
            if not project.models.current_card().trained:
                with open_project_slide(slide):
                    continue  # without maps there is nothing else to read
            if (folder := project.maps.find(slide.id)) is None:  # found damaged, and marked so, when it was read
                found[slide.id] = tr("Its maps are damaged. Predict the slide again.")
            else:
                check_map(folder)
        except Exception as failure:
            found[slide.id] = why_it_failed(failure, writing_to=())
    return found


def _nothing_left(project: Project, failed: Sequence[tuple[str, str]]) -> ProjectError:
    """Why there is no candidate, and what to do."""
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed)
        return ProjectError(
            tr("No predicted slide can be read: {reasons}", reasons=reasons),
            advice=tr("Fix these slides, then ask again."),
        )
    slides = project.slides.all()
    readable = [slide for slide in slides if is_readable(slide)]
    if slides and not readable:
        return ProjectError(
            tr("There is no region to ask about: none of the slide files was found."),
            advice=tr("Connect their disk, or use 'Find moved slides' and point to the folder they are in now."),
        )
    if not slides:
        return ProjectError(tr("There is no slide to ask about."), advice=tr("Import slides first."))
    predicted = not project.models.current_card().trained or any(project.maps.find(each.id) for each in readable)
    if not predicted:
        return ProjectError(tr("There is no region to ask about yet."), advice=tr("Predict the slides first."))
    settled = (QueryStatus.SKIPPED, QueryStatus.CANNOT_TELL)
    passed_over = sum(len(project.queries.all(status=status)) for status in settled)
    message = tr("There is no region left to ask about: all have been answered.")
    if passed_over:
        message = tr_plural(
            "There is no region left to ask about: all have been answered, {count} of them skipped.",
            "There is no region left to ask about: all have been answered, {count} of them skipped.",
            passed_over,
        )
    advice = tr("Retrain, import more slides, ask about smaller regions, or mark a region by hand.")
    return ProjectError(message, advice=advice)


# --- choosing ---------------------------------------------------------------------------------------------------------


def _queryable(
    project: Project, candidates: Sequence[CandidateRegion], count: int
) -> tuple[list[CandidateRegion], int]:
    """What may be asked about, and how many at its end are protected: pseudo-labelled ones come when others run out."""
    pool: dict[int, list[Region]] = {}
    for one in protected_pool(project):
        pool.setdefault(one.slide_id, []).append(one.region)
    is_pseudo = [any(one.region.overlaps(other) for other in pool.get(one.slide.id, ())) for one in candidates]
    unlabelled = [index for index, known in enumerate(is_pseudo) if not known]
    pseudo = [index for index, known in enumerate(is_pseudo) if known]
    free = queryable(unlabelled, pseudo, count)
    return [candidates[index] for index in free], len(free) - len(unlabelled)


def _choose(
    project: Project,
    strategy: Strategy,
    candidates: Sequence[CandidateRegion],
    protected: int,
    count: int,
    seed: int,
    device: str,
    settings: ScoringSettings | None,
) -> Work[list[_Chosen]]:
    """The best of the candidates, the last `protected` ones of which come when the others run out."""
    first = len(candidates) - protected
    if strategy.needs.network:
        candidates = _sample(candidates, seed) if not protected else candidates[: max(first, MOST_SCORED)]
    inputs = project_inputs(project, strategy, candidates, device=device, seed=seed, settings=settings)
    scores_after = yield from inputs.score(strategy)
    picks = select_setwise(
        scores_after,
        [_kind_of(project, candidate) for candidate in candidates],
        count=count,
        overlap=lambda one, other: candidates[one].overlaps(candidates[other]),
        protected=range(first, len(candidates)),
    )
    chosen = []
    for number, pick in enumerate(picks):
        if strategy.needs.network:
            yield Progress(tr("Reading the chosen regions"), number, len(picks))
        evidence = inputs.evidence(strategy, pick.index)
        chosen.append(_Chosen(candidates[pick.index], strategy, pick.score, evidence))
    return chosen


def _considered(strategy: str, candidates: Sequence[CandidateRegion]) -> int | None:
    """How many candidates a strategy looks at where these are not all; None: it looks at all of them."""
    return MOST_SCORED if STRATEGIES[strategy].needs.network and len(candidates) > MOST_SCORED else None


def _kind_of(project: Project, candidate: CandidateRegion) -> str:
    """Of what there are to be equally many questions: of classes, or of slides while nothing is known of classes."""
    return candidate.class_name or f"slide {candidate.slide.id}"


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
