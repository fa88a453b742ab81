"""What the papers advise with as many annotations as a project has. Needs neither torch nor Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.acquisition.advice import FIRST, advice, advised_strategy
from histoloop.language import tr
from histoloop.workflows.contents.candidate_regions import REGION_MAP_PX, about_how_many
from histoloop.workflows.contents.estimates import kind_figure
from histoloop.workflows.contents.rounds import HowToLearn

if TYPE_CHECKING:
    from histoloop.store.project import Project


@dataclass(frozen=True, slots=True)
class Advised:
    """The name of the strategy to take, the share of regions annotated so far, and the advice with its source."""

    strategy: str
    share: float
    text: str


def advised(project: Project, *, region_map_px: int = REGION_MAP_PX) -> Advised | None:
    """The papers' advice for the next questions; None while no slide is predicted, so nothing can be asked.

    Before anybody has trained the model it is to cover the tissue. The regions left are counted by the area of tissue:
    about as many as asking would find.
    """
    annotated = len(project.annotations.finished())
    if not project.models.current_card().trained:
        text = tr("No model has been trained yet: the first questions cover the tissue, by how it looks.")
        return Advised(FIRST, 0.0, text)
    candidates = about_how_many(project, region_map_px=region_map_px)
    if not candidates:
        return None
    text = advice(annotated, candidates, began_self_supervised(project))
    return Advised(advised_strategy(annotated, candidates), annotated / (annotated + candidates), text)


def began_self_supervised(project: Project) -> bool:
    """Whether the current model learned from the project's own tissue before it learned from people."""
    current = project.models.current().id
    kind = kind_figure(HowToLearn("masks", "self-supervised"))
    return any(record.model_id == current and kind in record.figures for record in project.rounds.all())
