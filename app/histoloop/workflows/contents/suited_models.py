"""Which model of a project suits each of its slides, as it was found without labels. Reads cards only: no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histoloop.errors import ModelError
from histoloop.store.cards import Card, load_card
from histoloop.store.model_folder import keeps_earlier
from histoloop.store.records import ModelStatus

if TYPE_CHECKING:
    from histoloop.store.project import Project
    from histoloop.store.records import ModelRecord

SUITED_MODELS = "suited models"
"""The setting of a project: what `SuitedModels.of_setting` reads."""


@dataclass(frozen=True, slots=True)
class SuitedModels:
    """Of the `models` compared, by their ids, the one that moved least on each of the `slides` (tod section VI-E)."""

    models: tuple[int, ...]
    slides: Mapping[int, int]

    def as_setting(self) -> dict[str, Any]:
        """As a JSON value."""
        return {"models": list(self.models), "slides": {str(slide): model for slide, model in self.slides.items()}}

    @staticmethod
    def of_setting(kept: Any) -> SuitedModels | None:
        """What a project has kept, as a JSON value; None where it is nothing or cannot be read."""
        try:
            models = tuple(int(one) for one in kept["models"])
            return SuitedModels(models, {int(slide): int(model) for slide, model in kept["slides"].items()})
        except (TypeError, ValueError, KeyError, AttributeError):
            return None


def comparable_models(project: Project) -> list[ModelRecord]:
    """The models whose outputs can be compared, each with its own earlier state (`rank`), in the order they came.

    Those that keep such a state, were not rolled back, and draw as the newest of them does: by a decoder or not, of as
    many mask classes.
    """
    found: list[tuple[ModelRecord, Card]] = []
    for record in project.models.all():
        if record.status is ModelStatus.ROLLED_BACK or not keeps_earlier(record.folder):
            continue
        try:
            found.append((record, load_card(record.folder)))
        except ModelError:
            continue
    return [record for record, card in found if _kind(card) == _kind(found[-1][1])]


def suited_models(project: Project) -> SuitedModels | None:
    """What was found, while there are the same models to compare as then."""
    found = SuitedModels.of_setting(project.settings.get(SUITED_MODELS))
    if found is None or found.models != tuple(record.id for record in comparable_models(project)):
        return None
    return found


def _kind(card: Card) -> tuple[bool, int]:
    return bool(card.network.decoder_channels), card.network.mask_classes
