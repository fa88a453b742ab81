"""Models in the classes that a project has today, whatever it had when they learned."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.annotations.records import ClassScheme, LabelClass
from histoloop.networks.build import with_mask_classes
from histoloop.workflows.contents.mask_choices import classes_of_model

if TYPE_CHECKING:
    from histoloop.store.project import Project
    from histoloop.store.records import ModelRecord
    from histoloop.workflows.prediction.loaded_model import LoadedModel


@dataclass(frozen=True, slots=True)
class PresentClasses:
    """The classes of a project at one time, with the permanent `ids` of the mask classes in their order."""

    scheme: ClassScheme
    ids: tuple[int, ...]
    revision: int


def present_classes(project: Project) -> PresentClasses:
    """The classes as they are now."""
    with project.transaction():
        ids = tuple(one.id for one in project.classes.all())
        return PresentClasses(project.scheme, ids, project.classes.revision())


def to_go_on_from(project: Project, model: LoadedModel, record: ModelRecord, classes: PresentClasses) -> LoadedModel:
    """A model of the project with the classes of today in its card, and in its decoder where that tells classes apart.

    What the decoder knows of classes that are still there goes on (`with_mask_classes`); of classes that became one,
    what it knows of the one that gave its name.
    """
    card, network = model.card, model.network
    values = classes_of_model(project, record.id, card).values
    if network.config.decodes_classes:
        own_ids = project.classes.of_model(record.id, card.scheme.mask_names)
        kept: list[int | None] = []
        for value, class_id in enumerate(classes.ids, start=1):
            rows = [number for number, own in enumerate(values) if own == value]
            rows.sort(key=lambda number: own_ids[number] != class_id)
            kept.append(rows[0] if rows else None)
        network = with_mask_classes(network, len(classes.ids), kept=kept).eval().to(model.device)
    names = (None, *classes.scheme.mask_names)
    labels = tuple(
        LabelClass(label.name, names[(0, *values)[card.scheme.mask_value_of_label(number)]])
        for number, label in enumerate(card.scheme.labels)
    )
    card = dataclasses.replace(card, network=network.config, scheme=ClassScheme(labels, classes.scheme.masks))
    return dataclasses.replace(model, network=network, card=card)


def to_compare_with(project: Project, model: LoadedModel, record: ModelRecord) -> LoadedModel:
    """A model of the project as it is, whose masks are in the classes of today."""
    values = classes_of_model(project, record.id, model.card).values
    return dataclasses.replace(model, shown_as=values)
