"""What a project holds: slides and their state, annotations, questions, rounds, models, and what is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from histoloop.annotations.records import AnnotationStatus, QueryStatus
from histoloop.errors import HistoLoopError, ProjectError, ReplacedSlideError, SlideError
from histoloop.progress import Progress, Work
from histoloop.store.records import MppFrom, predicted_names
from histoloop.workflows.boundary import why_it_failed
from histoloop.workflows.contents.rounds import open_candidate
from histoloop.workflows.contents.slides import check_slide
from histoloop.workflows.project_checks import CHECKS, Check, Trouble

if TYPE_CHECKING:
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord


@dataclass(frozen=True, slots=True)
class SlideState:
    """A slide: its file, and what is known of it.

    `mpp` is um per level-0 pixel, None where it is unknown; `prediction` is that of the current model; `label` that of
    a person, '' without; `predicted_class` '' without a prediction or tissue, and where the slide is unlike the
    training data (`unlike` above 1). `mpp_from` is where the resolution is from, '' where that was not kept.
    """

    id: int
    name: str
    path: str
    file: Literal["there", "missing", "replaced"]
    prediction: Literal["predicted", "not predicted", "no tissue"]
    predicted_class: str
    label: str
    mpp: float | None
    mpp_from: MppFrom = MppFrom.NOT_KEPT
    unlike: float | None = None


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """A project as it is; annotations and questions are counted by what became of them.

    `current_model` and `candidate` (a retrained model that waits for a decision) are names of folders, '' for none;
    `trained` says whether the current one has learned anything.
    """

    folder: str
    name: str
    slides: tuple[SlideState, ...]
    annotations: Mapping[str, int]
    questions: Mapping[str, int]
    rounds: int
    current_model: str
    trained: bool
    candidate: str
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    broken: tuple[Trouble, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs; what is broken with `what`, `reason` and `advice`."""
        broken = [{"what": one.what, "reason": one.reason, "advice": one.advice} for one in self.broken]
        return {**asdict(self), "slides": [asdict(slide) for slide in self.slides], "broken": broken}


def project_status(project: Project) -> Work[ProjectStatus]:
    """Look at all of a project; nothing is changed. Reads all maps and masks, which may take a while."""
    broken: list[Trouble] = []
    for number, check in enumerate(CHECKS):
        yield Progress("Checking", number, len(CHECKS), check.title)
        broken += troubles(project, check)
    yield Progress("Checking", len(CHECKS), len(CHECKS))
    finished = project.annotations.finished()
    candidate = open_candidate(project)
    return ProjectStatus(
        folder=str(project.folder),
        name=project.name,
        slides=tuple(_state_of(slide) for slide in project.slides.all()),
        annotations={
            "done": len(finished),
            "with a mask": sum(record.has_mask for record in finished),
            "held out": sum(record.has_mask and record.held_out for record in finished),
            "drafts": len(project.annotations.all(status=AnnotationStatus.DRAFT)),
        },
        questions={str(status): len(project.queries.all(status=status)) for status in QueryStatus},
        rounds=len(project.rounds.all()),
        current_model=_current_model(project),
        trained=_is_trained(project),
        candidate="" if candidate is None else project.models.get(candidate.model_id).folder.name,
        classes=project.scheme.mask_names,
        labels=project.scheme.label_names,
        broken=tuple(broken),
    )


def troubles(project: Project, check: Check) -> list[Trouble]:
    """What a check finds; that it cannot be made is a trouble too."""
    try:
        return list(check.find(project))
    except Exception as error:
        advice = "Restore the project's folder from a backup if this stays."
        return [Trouble(check.title, why_it_failed(error, writing_to=()), advice)]


def _state_of(slide: SlideRecord) -> SlideState:
    file: Literal["there", "missing", "replaced"] = "there"
    try:
        check_slide(slide)
    except ReplacedSlideError:
        file = "replaced"
    except SlideError:
        file = "missing"
    prediction: Literal["predicted", "not predicted", "no tissue"] = "not predicted"
    if slide.predicted is not None:
        prediction = "predicted" if slide.predicted or slide.tissue_px else "no tissue"
    return SlideState(
        slide.id,
        slide.name,
        str(slide.path),
        file,
        prediction,
        "" if slide.is_unlike else ";".join(predicted_names(slide.predicted or {})),
        slide.label or "",
        slide.mpp,
        slide.mpp_from,
        slide.unlike,
    )


def _is_trained(project: Project) -> bool:
    try:
        return project.models.current_card().trained
    except HistoLoopError:
        return False


def _current_model(project: Project) -> str:
    try:
        return project.models.current().folder.name
    except ProjectError:
        return ""
