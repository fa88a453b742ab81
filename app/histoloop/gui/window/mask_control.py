"""What makes the masks, on one canvas or on two side by side: choosers, panel and menus agree, and models run."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSignalBlocker, Signal

from histoloop.gui.canvas.mask_chooser import describe
from histoloop.gui.kit.widgets import menu_text
from histoloop.gui.work.live import LiveState
from histoloop.language import mark, tr
from histoloop.localisation.methods import title
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.mask_choices import CHOSEN_METHODS, choice_to_compare, live_masks, localisation_models

if TYPE_CHECKING:
    from PySide6.QtWidgets import QCheckBox

    from histoloop.gui.canvas.composing import OverlayStyle
    from histoloop.gui.canvas.mask_chooser import MaskChooser
    from histoloop.gui.canvas.mask_pane import MaskPane, SplitView
    from histoloop.gui.kit.actions import Actions
    from histoloop.gui.panels.overlay_panel import OverlayPanel
    from histoloop.gui.work.session import Session
    from histoloop.workflows.contents.mask_choices import LocalisationModel

UNTAUGHT = mark(
    "There are no masks yet: no model has been trained here. Choose 'Ask me', or 'Annotate here' to paint "
    "anywhere; then retrain."
)
UNTAUGHT_WHILE = {
    LiveState.WAITING: mark(
        "There are no masks yet: no model has been trained here. Choose 'Ask me', or 'Annotate here' to paint "
        "anywhere; live masks appear after the first finished region."
    ),
    LiveState.LEARNING: mark("The program is learning from what you painted: live masks will appear in a moment."),
    LiveState.PAUSED: mark("There are no masks yet. Live masks will appear when the current work is done."),
    LiveState.UP_TO_DATE: mark(
        "This model has not been trained. Choose 'Live masks' to see what was learned from your painting."
    ),
}
"""What takes the place of `UNTAUGHT` while the program learns."""


class MaskControl(QObject):
    """Wires the canvases to the panel, the menus and the session.

    `pane_opened` is emitted for each canvas, the first one when `connect_all` is called; `model_chosen` with the model
    that the user chose for the first one. By `show_new` the user asks for the masks of a candidate, by `show_changes`
    for what they gained and lost.
    """

    pane_opened = Signal(object)
    model_chosen = Signal(int)

    def __init__(
        self,
        *,
        split: SplitView,
        session: Session,
        panel: OverlayPanel,
        show_new: QCheckBox,
        show_changes: QCheckBox,
        actions: Actions,
    ) -> None:
        super().__init__(split)
        self._split, self._session, self._panel = split, session, panel
        self._show_new, self._show_changes, self._actions = show_new, show_changes, actions
        self._source = split.first.source

    def connect_all(self) -> None:
        """Begin to listen."""
        self._connect_pane(self._split.first)
        self._connect_chooser(self._panel.chooser, self._split.first)
        self._source.method_chosen.connect(functools.partial(self._session.remember, CHOSEN_METHODS))
        self._source.changed.connect(self._follow_candidate)
        self._split.second_opened.connect(self._on_second_opened)
        self._split.second_closed.connect(self._on_second_closed)
        self._actions.submenus["model"].aboutToShow.connect(self._fill_model_menu)
        self._actions.submenus["method"].aboutToShow.connect(self._fill_method_menu)
        self._panel.style_changed.connect(self.set_style)
        self._show_new.toggled.connect(lambda _on: self.show_models())
        self._show_changes.toggled.connect(self._on_changes)
        self._session.models_changed.connect(self.show_models)
        self._session.live.state_changed.connect(self.show_missing_masks)
        self._session.model_added.connect(self._on_model_added)
        self._session.slide_models.changed.connect(self._offer_suited)
        self._panel.suited.find_requested.connect(self._session.slide_models.find)
        self._panel.suited.chosen.connect(self._choose_model)
        for changed in (self._source.changed, self._source.models_changed, self._split.first.opener.changed):
            changed.connect(self._offer_suited)

    def begin(self) -> None:
        """Another project, or none: one canvas, with what was chosen in it before."""
        project = self._session.project
        self._split.close_second()
        self._split.first.opener.clear()
        self._source.begin(None if project is None else project.settings.get(CHOSEN_METHODS))

    def _connect_pane(self, pane: MaskPane) -> None:
        self._connect_chooser(pane.header, pane)
        pane.source.changed.connect(self._on_choice_changed)
        pane.opener.changed.connect(self.show_missing_masks)
        self.pane_opened.emit(pane)

    def _connect_chooser(self, chooser: MaskChooser, pane: MaskPane) -> None:
        chooser.model_chosen.connect(lambda _model_id: self._predict_missing(pane))
        if pane is self._split.first:
            chooser.model_chosen.connect(self.model_chosen)
        chooser.predict_requested.connect(lambda all_slides: self._predict_missing(pane, all_slides=all_slides))

    def set_style(self, style: OverlayStyle) -> None:
        """Colours, opacities and heatmap, for every canvas; a blinded reader sees none of them."""
        if self._session.annotating.blinded:
            style = dataclasses.replace(style, masks=False, heatmap=False, hatched=False, changes=False, reviewed=False)
        for pane in self._split.panes():
            pane.set_style(style)

    def refresh_style(self) -> None:
        """Show masks as they are chosen, or hide them, now that somebody began or ended to read blinded."""
        self.set_style(self._panel.overlay_style)

    def show_models(self) -> None:
        """Offer the models of the project, the one that is shown by default chosen."""
        project = self._session.project
        if project is None:
            self._source.show_models((), None)
            return
        models = localisation_models(project)
        if self._session.live.map is not None:
            models.append(live_masks(len(project.scheme.masks)))
        self._source.show_models(models, self._shown_model() or project.models.current().id)
        second = self._split.second
        if second is not None and second.source.choice is not None:
            second.source.show_models(models, second.source.choice.model.id)

    def _shown_model(self) -> int | None:
        """The candidate, while the user wants to see its masks."""
        candidate = self._session.candidate()
        shown = candidate is not None and self._show_new.isChecked()
        return candidate.model_id if candidate is not None and shown else None

    def _on_changes(self, on: bool) -> None:
        """What was gained and lost is seen on the masks of the candidate."""
        if on:
            self._show_new.setChecked(True)
        self._panel.show_changes(on)

    def _follow_candidate(self) -> None:
        """When the candidate or the model in use is chosen, 'Show the new masks' follows."""
        candidate, choice = self._session.candidate(), self._source.choice
        if candidate is None or choice is None:
            return
        with QSignalBlocker(self._show_new):
            if choice.model.id == candidate.model_id or choice.model.status is ModelStatus.CURRENT:
                self._show_new.setChecked(choice.model.id == candidate.model_id)
        if not self._show_new.isChecked():
            self._show_changes.setChecked(False)

    def _on_choice_changed(self) -> None:
        choices = [pane.source.choice for pane in self._split.panes()]
        self._panel.offer_evidence(any(choice is not None and choice.weighs_both_sides for choice in choices))
        self._panel.offer_classes(any(choice is not None and choice.tells_classes for choice in choices))
        self.show_missing_masks()

    def _offer_suited(self) -> None:
        """Beside the choice of a model, the one that suits the slide on the screen; it stays an offer."""
        slide_models, choice, slide_id = (
            self._session.slide_models,
            self._source.choice,
            self._split.first.opener.current,
        )
        suited = None if slide_id is None else slide_models.of_slide(slide_id)
        model_id = None if suited is None else suited.model_id
        name = next((describe(model) for model in self._source.models if model.id == model_id), "")
        self._panel.suited.offer(
            suited if name or model_id is None else None,
            name=name,
            shown=choice is not None and choice.model.id == model_id,
            can_find=slide_models.can_find and not slide_models.is_known,
        )

    def _on_model_added(self, model_id: int) -> None:
        self._source.choose_model(model_id)
        self._predict_missing(self._split.first)

    def _predict_missing(self, pane: MaskPane, *, all_slides: bool = False) -> None:
        """Run the model chosen on the slide that is shown, where it did not yet, or on all slides."""
        project, choice, slide_id = self._session.project, pane.source.choice, pane.opener.current
        if project is None or choice is None or slide_id is None or choice.model.is_live:
            return
        if not choice.model.trained:
            self.show_missing_masks()
            return
        if all_slides:
            self._session.predict(model_id=choice.model.id)
        elif project.maps.find(slide_id, choice.model.id) is None:
            if not self._session.will_predict(slide_id, choice.model.id):
                self._session.predict([slide_id], model_id=choice.model.id)
        self.show_missing_masks()

    def show_missing_masks(self) -> None:
        """Say above each canvas, and in the panel, when its slide has no masks of its model."""
        for pane in self._split.panes():
            choice, slide_id, state = pane.source.choice, pane.opener.current, ""
            if choice is not None and not choice.model.is_live and slide_id is not None and pane.has_maps() is False:
                state = self._why_missing(pane, slide_id, choice.model)
            pane.header.show_missing(state)
            shows_hint = state == "untrained" and pane.viewer.annotating is None
            pane.hint.show_hint(tr(UNTAUGHT_WHILE.get(self._session.live.state, UNTAUGHT)) if shows_hint else "")
            if pane is self._split.first:
                self._panel.chooser.show_missing(state)

    def _why_missing(self, pane: MaskPane, slide_id: int, model: LocalisationModel) -> str:
        if not model.trained:
            return "untrained"
        scene = pane.viewer.scene
        if scene is not None and not scene.slide.is_brightfield:
            return "unfit"
        return "coming" if self._session.will_predict(slide_id, model.id) else "missing"

    def _fill_model_menu(self) -> None:
        menu, choice = self._actions.submenus["model"], self._source.choice
        menu.clear()
        for model in self._source.models:
            action = menu.addAction(menu_text(describe(model)), functools.partial(self._choose_model, model.id))
            action.setCheckable(True)
            action.setChecked(choice is not None and choice.model.id == model.id)

    def _choose_model(self, model_id: int) -> None:
        self.model_chosen.emit(model_id)
        self._source.choose_model(model_id)
        self._predict_missing(self._split.first)

    def _fill_method_menu(self) -> None:
        menu, choice = self._actions.submenus["method"], self._source.choice
        menu.clear()
        for name in () if choice is None else choice.model.methods:
            action = menu.addAction(tr(title(name)), functools.partial(self._source.choose_method, name))
            action.setCheckable(True)
            action.setChecked(choice is not None and choice.method == name)

    # --- side by side -------------------------------------------------------------------------------------------------

    def compare(self, on: bool) -> None:
        """Show a second canvas beside the first, or take it away."""
        project, choice, slide_id = self._session.project, self._source.choice, self._split.first.opener.wanted
        if not on:
            self._split.close_second()
        elif project is not None and choice is not None and slide_id is not None:
            pane = self._split.open_second()
            beside = choice_to_compare(
                self._source.models, choice, has_map=lambda model_id: project.maps.find(slide_id, model_id) is not None
            )
            pane.source.begin(project.settings.get(CHOSEN_METHODS))
            pane.source.show_models(self._source.models, beside.model.id)
            pane.source.choose(beside)
            self.set_style(self._panel.overlay_style)
            pane.show_slide(project.folder, slide_id, self._split.first.name)

    def _on_second_opened(self, pane: MaskPane) -> None:
        self._connect_pane(pane)
        self._actions.set_checked("compare", True)

    def _on_second_closed(self) -> None:
        self._actions.set_checked("compare", False)
        self._on_choice_changed()
