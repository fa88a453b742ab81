"""The controls that choose what makes the masks of one canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.flow import Flow
from histoloop.gui.kit.one_line import OneLine
from histoloop.gui.kit.widgets import NarrowBox, button, label, plain_tip, row, slider, visible_name
from histoloop.language import mark, tr
from histoloop.localisation.methods import DECODER, MIN_MAX, title
from histoloop.store.records import ModelStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QWheelEvent

    from histoloop.gui.canvas.mask_source import MaskSource
    from histoloop.workflows.contents.mask_choices import LocalisationModel, MaskChoice

LIKELIEST = mark("Most likely class")
STATES = {
    ModelStatus.CURRENT: mark("{model} (in use)"),
    ModelStatus.CANDIDATE: mark("{model} (new)"),
    ModelStatus.KEPT: "{model}",
    ModelStatus.ROLLED_BACK: mark("{model} (rolled back)"),
}
HINTS = {
    DECODER: mark(
        "Outlines in full detail, from the decoder: the part of the model that is trained on painted masks. "
        "Retraining improves it."
    ),
    "cam": mark(
        "Where this class is more likely than every other class. Coarse, and often only the most distinctive part."
    ),
    "grad-cam": mark("Where the score of this class comes from, more than that of any other class."),
    "attention": mark("Where the model's attention lies: above a half means more than average."),
    "attention-half": mark("Where the model's attention is more than half the average."),
    "sigmoid": mark("Where this class is more likely than not, whatever the other classes."),
    "size": mark("Where a class is more likely than the background, from a model trained on sizes."),
    MIN_MAX: mark("Where the evidence for the slide's class is; the rest is evidence against it."),
}
"""What each localisation method shows, in plain words."""

MISSING = {
    "missing": mark("This model has not predicted this slide yet."),
    "coming": mark("This model is running on the slide; its masks will appear when it is done."),
    "untrained": mark("This model has not been trained yet: it predicts no masks."),
    "unfit": mark("This slide is not brightfield: it is shown, but never predicted."),
}
SHORT_TITLES = {
    "missing": mark("Not predicted yet"),
    "coming": mark("Predicting…"),
    "untrained": mark("Not trained yet"),
    "unfit": mark("Not brightfield"),
}
THRESHOLD_TIP = mark(
    "How sure the model must be before a pixel becomes part of the mask. On screen only: export uses the "
    "model's own threshold."
)


class MaskChooser(QWidget):
    """Shows the choice of a source and changes it; `model_chosen` emits models that the user picked.

    In a column for a panel, or across two rows above a canvas.
    """

    model_chosen = Signal(int)
    predict_requested = Signal(bool)

    def __init__(self, source: MaskSource, *, across: bool = False, corner: QWidget | None = None) -> None:
        super().__init__()
        self._source = source
        self._across = across
        self.model = _Choice(tr("The model that predicts the masks"))
        self.method = _Choice(
            tr("How the masks are derived from the model's output (localisation method); nothing is computed again")
        )
        self.label = _Choice(tr("The class whose foreground is shown"))
        self.threshold = slider(1, 99, 50)
        self.threshold.setToolTip(tr(THRESHOLD_TIP))
        self.threshold.setAccessibleName(tr("Threshold"))
        self.threshold.setMinimumWidth(60)
        self.figure = label(role="muted")
        self.figure.setMinimumWidth(28)
        self.missing = _Missing(across=across)
        self._cut = QStackedWidget()
        self.missing.predict_requested.connect(self.predict_requested)
        self._label_title = label(tr("Class"))
        self._lay_across(corner) if across else self._lay_in_column(corner)
        self.model.activated.connect(self._on_model)
        self.method.activated.connect(lambda _index: source.choose_method(self.method.currentData()))
        self.label.activated.connect(lambda _index: source.choose_label(self.label.currentData()))
        self.threshold.valueChanged.connect(lambda value: source.set_threshold(value / 100))
        source.models_changed.connect(self._show_models)
        source.changed.connect(self._show_choice)
        self._show_models()
        self._show_choice()

    def show_missing(self, state: str) -> None:
        """Why there are no masks: 'missing', 'coming', 'untrained', 'unfit' (the slide); '' for masks, or no slide."""
        self.missing.show_state(state)
        self._cut.setCurrentIndex(1 if state else 0)

    def _lay_in_column(self, corner: QWidget | None) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        rows: Sequence[tuple[QLabel, Sequence[QWidget]]] = (
            (label(tr("Model")), (self.model,) if corner is None else (self.model, corner)),
            (label(tr("Method")), (self.method,)),
            (self._label_title, (self.label,)),
            (label(tr("Threshold")), (self.threshold, self.figure)),
        )
        for number, (name, widgets) in enumerate(rows):
            grid.addWidget(name, number, 0)
            grid.addLayout(row(*widgets, stretch=0), number, 1)
        grid.addWidget(self.missing, len(rows), 0, 1, 2)

    def _lay_across(self, corner: QWidget | None) -> None:
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(6)
        first = QHBoxLayout()
        first.setSpacing(6)
        first.addWidget(self.model, 1)
        first.addWidget(self.method, 1)
        if corner is not None:
            first.addWidget(corner)
        column.addLayout(first)
        cut = QWidget()
        second = QHBoxLayout(cut)
        second.setContentsMargins(0, 0, 0, 0)
        second.setSpacing(6)
        second.addWidget(self.label, 3)
        second.addWidget(OneLine(tr("Threshold")))
        second.addWidget(self.threshold, 2)
        second.addWidget(self.figure)
        for part in (cut, self.missing):
            self._cut.addWidget(part)
        column.addWidget(self._cut)

    def _on_model(self, _index: int) -> None:
        model_id = self.model.currentData()
        self._source.choose_model(model_id)
        self.model_chosen.emit(model_id)

    def _show_models(self) -> None:
        self.model.offer([(describe(model), model.id, model.title) for model in self._source.models])
        if self._source.choice is not None:
            self.model.take(self._source.choice.model.id)

    def _show_choice(self) -> None:
        choice = self._source.choice
        self.setEnabled(choice is not None)
        if choice is None:
            return
        self.model.take(choice.model.id)
        self.method.offer([(tr(title(name)), name, tr(HINTS.get(name, ""))) for name in choice.model.methods])
        self.method.take(choice.method)
        labels = [
            (spoken, name, tr("Show the foreground of {label}, whatever the slide is", label=spoken))
            for name, spoken in zip(choice.labels, map(spoken_class, choice.labels), strict=True)
        ]
        likeliest = (tr(LIKELIEST), None, tr("Show the foreground of the slide's most likely label"))
        of_all = (tr("All classes"), None, tr("This method shows all classes together"))
        self.label.offer([likeliest, *labels] if labels else [of_all])
        self.label.take(choice.label)
        self.label.setEnabled(bool(labels))
        # Across, nothing comes and goes: two canvases beside each other stay equally high.
        self.label.setVisible(bool(labels) or self._across)
        self._label_title.setVisible(bool(labels) and not self._across)
        with QSignalBlocker(self.threshold):
            self.threshold.setValue(round(choice.threshold * 100))
        self.figure.setText(tr("{threshold:.2f}", threshold=choice.threshold))


class _Choice(NarrowBox):
    """A list to choose from that the wheel leaves alone."""

    def __init__(self, tip: str) -> None:
        super().__init__()
        self._tip = tip
        self._entries: list[tuple[str, object, str]] = []
        self.setAccessibleName(tip)

    def offer(self, entries: Sequence[tuple[str, object, str]]) -> None:
        """Texts, what they stand for, and their tips; the same entries again change nothing."""
        if list(entries) == self._entries:
            return
        self._entries = list(entries)
        self.clear()
        for number, (text, content, hint) in enumerate(entries):
            self.addItem(visible_name(text), content)
            self.setItemData(number, plain_tip(hint), Qt.ItemDataRole.ToolTipRole)
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0) + 24)

    def take(self, content: object) -> None:
        """Show the entry that stands for something."""
        index = next((n for n in range(self.count()) if self.itemData(n) == content), -1)
        self.setCurrentIndex(index)
        hint = self._hint(index) if index >= 0 else ""
        chosen = self.currentText()
        tip = tr("{purpose}: {chosen}.\n{hint}", purpose=self._tip, chosen=chosen, hint=hint) if hint else self._tip
        self.setToolTip(plain_tip(tip))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave it to what scrolls: a model chosen by accident would be predicted with."""
        event.ignore()

    def _hint(self, index: int) -> str:
        return self._entries[index][2]


class _Missing(QWidget):
    """Says that a slide has no masks of this model, and offers to predict them."""

    predict_requested = Signal(bool)

    def __init__(self, *, across: bool) -> None:
        super().__init__()
        self._texts = SHORT_TITLES if across else MISSING
        self.text = label(role="muted", wrap=not across)
        self.this_slide = button(tr("Predict slide"), tip=tr("Predict the slide on the screen with this model"))
        self.all_slides = button(tr("Predict all"), tip=tr("Predict every slide of the project with this model"))
        self.this_slide.clicked.connect(lambda: self.predict_requested.emit(False))
        self.all_slides.clicked.connect(lambda: self.predict_requested.emit(True))
        layout = QHBoxLayout(self) if across else QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.text, 1)
        layout.addLayout(Flow(self.this_slide, self.all_slides))
        self.setVisible(False)

    def set_may_predict(self, may: bool) -> None:
        """Whether the project takes predictions."""
        for each in (self.this_slide, self.all_slides):
            each.setEnabled(may)

    def show_state(self, state: str) -> None:
        self.setVisible(bool(state))
        self.this_slide.setVisible(state == "missing")
        self.all_slides.setVisible(state == "missing")
        self.text.setText(tr(self._texts.get(state, "")))


def describe(model: LocalisationModel) -> str:
    """A model in a list: its name and where it stands."""
    return tr(STATES[model.status], model=model.name) if model.trained else model.name


def in_words(choice: MaskChoice) -> str:
    """A choice in a sentence."""
    model, method = choice.model.name, tr(title(choice.method))
    if choice.label is None:
        return tr("{model} ({method})", model=model, method=method)
    return tr("{model} ({method} of {label})", model=model, method=method, label=spoken_class(choice.label))
