"""The models of a project that masks can be made with, and what is chosen among them. Reads cards only: no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from histoloop.annotations.class_names import class_called, spoken_class
from histoloop.errors import ModelError
from histoloop.language import tr
from histoloop.localisation.methods import DECODER, localisation_methods, takes_label, weighs_both_sides
from histoloop.network_config import NetworkConfig
from histoloop.store.cards import Card, load_card
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.live_masks import LIVE_MODEL_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.store.project import Project

CHOSEN_METHODS = "drawings"
"""The setting of a project: per model id what `remembered` reads."""

OWN_RULE = 0.5
"""Above this a method calls a pixel foreground by its method's own rule."""


@dataclass(frozen=True, slots=True)
class LocalisationModel:
    """A model of a project: `name` for lists, `title` in full, its labels, and the `threshold` of its own masks.

    One that is not `trained` draws nothing.
    """

    id: int
    name: str
    title: str
    status: ModelStatus
    network: NetworkConfig
    labels: tuple[str, ...]
    threshold: float
    trained: bool = True

    @property
    def is_live(self) -> bool:
        """Whether these are the live masks, which no model of the project draws."""
        return self.id == LIVE_MODEL_ID

    @property
    def methods(self) -> tuple[str, ...]:
        """What it can draw by; the first is its own."""
        return (DECODER,) if self.is_live else localisation_methods(self.network)


@dataclass(frozen=True, slots=True)
class MaskChoice:
    """What makes the masks on the screen: a model, a method, a label (None: the likeliest) and a threshold."""

    model: LocalisationModel
    method: str
    label: str | None
    threshold: float

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that can be asked for; none where a method does not find one label."""
        return self.model.labels if takes_label(self.method) and len(self.model.labels) > 1 else ()

    @property
    def weighs_both_sides(self) -> bool:
        """Whether there is evidence against, too."""
        return weighs_both_sides(self.method)

    @property
    def tells_classes(self) -> bool:
        """Whether there is a probability of each mask class."""
        return self.model.trained and self.method == DECODER and self.model.network.decodes_classes

    @property
    def is_own(self) -> bool:
        """Whether these are the model's own masks, those that are exported and asked about when it is in use."""
        own = own_choice(self.model)
        return (self.method, self.label) == (own.method, own.label) and abs(self.threshold - own.threshold) < 0.005

    def made_by(self, method: str, label: str | None = None) -> MaskChoice:
        """Another method of the same model, at its own threshold; ValueError for one that it does not offer."""
        if method not in self.model.methods:
            raise ValueError(f"{self.model.name} has no method {method!r}")
        threshold = self.model.threshold if method == self.model.methods[0] else OWN_RULE
        changed = dataclasses.replace(self, method=method, label=None, threshold=threshold)
        return dataclasses.replace(changed, label=label) if label in changed.labels else changed


def own_choice(model: LocalisationModel) -> MaskChoice:
    """A model's own masks."""
    return MaskChoice(model, model.methods[0], None, model.threshold)


def localisation_models(project: Project) -> list[LocalisationModel]:
    """The models of a project in the order they came, those that were rolled back last; broken ones are left out."""
    found: list[LocalisationModel] = []
    for record in project.models.all():
        try:
            card = load_card(record.folder)
        except ModelError:
            continue
        name = tr("Round {number}", number=record.round) if record.round else card.name
        name = name if card.trained else tr("Not trained yet")
        network, labels = card.network, card.scheme.label_names
        if not card.knows_labels:
            network, labels = dataclasses.replace(network, labels=0), ()
        found.append(
            LocalisationModel(
                record.id, name, card.title, record.status, network, labels, card.threshold, trained=card.trained
            )
        )
    return sorted(found, key=lambda model: model.status is ModelStatus.ROLLED_BACK)


def live_masks(mask_classes: int) -> LocalisationModel:
    """The live masks, as an entry among the models."""
    title = tr("Trained while you painted: not measured, not exported")
    network = NetworkConfig(1, mask_classes=mask_classes)
    return LocalisationModel(LIVE_MODEL_ID, tr("Live masks"), title, ModelStatus.KEPT, network, (), OWN_RULE)


def choice_to_compare(
    models: Sequence[LocalisationModel], shown: MaskChoice, *, has_map: Callable[[int], bool]
) -> MaskChoice:
    """What one most likely wants beside the masks shown, where `has_map` tells the ids of models that predicted.

    Beside a candidate the model in use and the other way round, else the newest other model; without any, another
    method of the same model.
    """
    others = [model for model in models if model.id != shown.model.id and has_map(model.id)]
    wanted = ModelStatus.CURRENT if shown.model.status is not ModelStatus.CURRENT else ModelStatus.CANDIDATE
    others.sort(key=lambda model: (model.status is wanted, model.status is not ModelStatus.ROLLED_BACK, model.id))
    if others:
        return own_choice(others[-1])
    offered = shown.model.methods
    return shown.made_by(offered[(offered.index(shown.method) + 1) % len(offered)])


def remembered(setting: Any, model: LocalisationModel) -> MaskChoice:
    """The method that was chosen for a model before, out of the project's setting; its own where there is none."""
    own = own_choice(model)
    entry = setting.get(str(model.id)) if isinstance(setting, Mapping) else None
    if not isinstance(entry, Mapping) or entry.get("drawing") not in model.methods:
        return own
    return own.made_by(entry["drawing"], entry.get("label"))


def to_remember(setting: Any, choice: MaskChoice) -> dict[str, Any]:
    """The project's setting with this choice in it."""
    before = dict(setting) if isinstance(setting, Mapping) else {}
    return before | {str(choice.model.id): {"drawing": choice.method, "label": choice.label}}


@dataclass(frozen=True, slots=True)
class ModelClasses:
    """What the classes of a model are in a project now.

    `values` are the mask values of its own mask classes in their order, `foreground_values` those that its foreground
    takes by its labels (see `ForegroundClasses`); 0 for a class that the project has not, or not any more.
    """

    values: tuple[int, ...]
    foreground_values: tuple[int, ...]


def classes_of_model(project: Project, model_id: int, card: Card) -> ModelClasses:
    """What the classes of a model of a project are there, whatever they were called when it learned them."""
    values = project.classes.values_of_model(model_id, card.scheme.mask_names)
    shown = (0, *values)
    return ModelClasses(values, tuple(shown[own] for own in card.foreground_values))


def check_has_classes(project: Project, card: Card) -> None:
    """Raise ModelError when a model, not yet in a project, draws a class that it has not."""
    known = project.scheme.mask_names
    absent = sorted(name for name in card.scheme.mask_names if class_called(name, known) is None)
    if absent:
        raise ModelError(
            tr(
                "{model} predicts {classes}, this project has {known}.",
                model=card.name,
                classes=", ".join(map(spoken_class, absent)),
                known=", ".join(map(spoken_class, known)),
            ),
            advice=tr("Choose a model with the mask classes of the project, or start a new project from this model."),
        )
