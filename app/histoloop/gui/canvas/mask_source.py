"""What makes the masks on one canvas: holds the choice, emits each change of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from histoloop.workflows.contents.mask_choices import MaskChoice, own_choice, remembered, to_remember

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.workflows.contents.mask_choices import LocalisationModel


class MaskSource(QObject):
    """A model, a localisation method, a label and a threshold.

    It follows the model that is shown by default until another one is chosen. Each model keeps its method (emitted by
    `method_chosen`, for the project) and each method its threshold (for the session only: masks that are exported
    are cut at the model's own).
    """

    models_changed = Signal()
    changed = Signal()
    method_chosen = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.models: tuple[LocalisationModel, ...] = ()
        self.choice: MaskChoice | None = None
        self._default: int | None = None
        self._setting: Any = None
        self._thresholds: dict[tuple[int, str, str | None], float] = {}

    def begin(self, setting: Any) -> None:
        """Start with a project, `setting` being what it remembers of methods; forget the one before."""
        self.models, self.choice, self._default = (), None, None
        self._setting = setting
        self._thresholds = {}

    def show_models(self, models: Sequence[LocalisationModel], default_id: int | None) -> None:
        """The models there are, and the one that is shown by default; when that changes it is followed."""
        followed = default_id != self._default
        self.models, self._default = tuple(models), default_id
        self.models_changed.emit()
        now = None if self.choice is None or followed else self._model(self.choice.model.id)
        model = now or self._model(default_id)
        if model is None:
            self._set(None)
        elif self.choice is not None and self.choice.model.id == model.id:
            self._set(dataclasses.replace(self.choice, model=model))
        else:
            self._set(remembered(self._setting, model))

    def choose_model(self, model_id: int) -> None:
        """Let another model draw, as it did last."""
        model = self._model(model_id)
        if model is not None and (self.choice is None or self.choice.model.id != model_id):
            self._set(self._with_threshold(remembered(self._setting, model)))

    def choose_method(self, name: str) -> None:
        """Show the maps of the same model by another method; the label stays where the method takes one."""
        if self.choice is not None:
            self._choose(self.choice.made_by(name, self.choice.label))

    def next_method(self) -> None:
        """Go through the methods of the model in turn."""
        if self.choice is not None:
            offered = self.choice.model.methods
            self.choose_method(offered[(offered.index(self.choice.method) + 1) % len(offered)])

    def choose_label(self, label: str | None) -> None:
        """Draw the foreground of a label; None: of the likeliest."""
        if self.choice is not None:
            self._choose(self.choice.made_by(self.choice.method, label))

    def set_threshold(self, threshold: float) -> None:
        """Cut the foreground elsewhere."""
        if self.choice is not None:
            self._thresholds[_key(self.choice)] = threshold
            self._set(dataclasses.replace(self.choice, threshold=threshold))

    def choose(self, choice: MaskChoice) -> None:
        """Take a whole choice over, without remembering it."""
        self._set(choice)

    def choose_own(self) -> None:
        """Back to the model's own masks."""
        if self.choice is not None:
            self._thresholds.pop(_key(own_choice(self.choice.model)), None)
            self._choose(own_choice(self.choice.model))

    def _choose(self, choice: MaskChoice) -> None:
        self._setting = to_remember(self._setting, choice)
        self.method_chosen.emit(self._setting)
        self._set(self._with_threshold(choice))

    def _with_threshold(self, choice: MaskChoice) -> MaskChoice:
        return dataclasses.replace(choice, threshold=self._thresholds.get(_key(choice), choice.threshold))

    def _model(self, model_id: int | None) -> LocalisationModel | None:
        return next((model for model in self.models if model.id == model_id), None)

    def _set(self, choice: MaskChoice | None) -> None:
        if choice != self.choice:
            self.choice = choice
            self.changed.emit()


def _key(choice: MaskChoice) -> tuple[int, str, str | None]:
    return choice.model.id, choice.method, choice.label
