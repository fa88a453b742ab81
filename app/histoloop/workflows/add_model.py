"""Bring a model into a project, to make masks with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.errors import ModelError
from histoloop.language import tr
from histoloop.store.cards import Card, load_card, model_hash
from histoloop.store.model_folder import copy_model
from histoloop.store.records import ModelRecord, ModelStatus
from histoloop.store.shipped import check_shipped, find_model
from histoloop.workflows.contents.mask_choices import check_has_classes

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.store.project import Project


def check_new_model(project: Project, source: str | Path) -> Card:
    """The card of a model that can be brought into a project; ModelError says why one cannot."""
    card = load_card(find_model(source))
    check_has_classes(project, card)
    if card in [_card_or_none(record) for record in project.models.all()]:
        raise ModelError(
            tr("{model} is already in this project.", model=card.name), advice=tr("Choose it in the list of models.")
        )
    return card


def add_model(project: Project, source: str | Path) -> ModelRecord:
    """Copy a model folder (or a shipped model, by name) into a project, to make masks; the model in use stays.

    ModelError when it does not fit the project or is in it already, ModelPlaceError when it cannot be copied.
    """
    folder = find_model(source)
    check_new_model(project, folder)
    check_shipped(folder, model_hash(folder))
    target = project.models.new_folder(0)
    digest = copy_model(folder, target)
    return project.models.add(target.name, hash=digest, parent=None, round=0, status=ModelStatus.KEPT)


def _card_or_none(record: ModelRecord) -> Card | None:
    try:
        return load_card(record.folder)
    except ModelError:
        return None
