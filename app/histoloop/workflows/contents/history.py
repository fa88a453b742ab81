"""The models of a project as a line: what it began with, then every round. Reads cards only: no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.errors import ModelError
from histoloop.store.cards import load_card
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.cross_validation import CrossValidated, crossed_of

if TYPE_CHECKING:
    from histoloop.store.project import Project
    from histoloop.store.records import ModelRecord, RoundRecord


@dataclass(frozen=True, slots=True)
class PastModel:
    """A model and the round that made it; round 0 is what the project began with.

    `dice` is its mean Dice on `held_out` regions, `before` that of the model in use then; None: not measured. `person`
    asked for the round at `created` (ISO 8601, UTC); it learned from `annotations` by a `recipe` ('': not known).
    `crossed` is its cross-validation, where there was one. `can_be_used` says whether it can become the model in use.
    """

    model_id: int
    round: int
    status: ModelStatus
    created: str
    name: str = ""
    person: str = ""
    recipe: str = ""
    annotations: int = 0
    dice: float | None = None
    before: float | None = None
    held_out: int = 0
    crossed: CrossValidated | None = None
    can_be_used: bool = False


def past_models(project: Project) -> list[PastModel]:
    """The model that the project began with and those of its rounds, in their order."""
    records = {record.id: record for record in project.models.all()}
    rounds = [one for one in project.rounds.all() if one.model_id in records]
    first = next((record for record in records.values() if record.parent is None and record.round == 0), None)
    begun = [] if first is None else [_past(first, None)]
    return begun + [_past(records[one.model_id], one) for one in rounds]


def _past(model: ModelRecord, made: RoundRecord | None) -> PastModel:
    try:
        card = load_card(model.folder)
    except ModelError:
        card = None
    figures = {} if made is None else made.figures
    return PastModel(
        model.id,
        model.round if made is None else made.number,
        model.status,
        model.created if made is None else made.created,
        name="" if card is None else card.name,
        person="" if made is None else made.person,
        recipe="" if card is None or made is None else str(card.training.get("recipe", "")),
        annotations=0 if made is None else made.annotations,
        dice=figures.get("dice"),
        before=figures.get("dice_before"),
        held_out=int(figures.get("held_out", 0)),
        crossed=crossed_of(figures),
        can_be_used=model.status in (ModelStatus.KEPT, ModelStatus.ROLLED_BACK) and card is not None and card.trained,
    )
