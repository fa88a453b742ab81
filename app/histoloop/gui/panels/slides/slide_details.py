"""The selected slides: what the model predicts of them, and apart from it the label that people gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.kit.one_line import OneLine
from histoloop.gui.kit.widgets import NarrowBox, label, leave_wheel_to_panel, line, plain_tip, row, visible_name
from histoloop.language import mark, tr, tr_plural
from histoloop.store.records import MppFrom, predicted_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.store.records import SlideLabel, SlideRecord

NOT_GIVEN = mark("Unlabelled")
SEVERAL = mark("Different labels")
WHAT_IT_MAKES_OF_IT = mark(
    "The model's label for the whole slide, and its probability. The model does not notice tissue of another "
    "organ in a familiar stain: check the masks before you trust it."
)
UNLIKE = mark("Unlike the training data: no label is given")
MEANS_UNLIKE = mark(
    "Do not rely on its masks yet. Annotate regions of such slides and retrain; the warning then goes away."
)
WHY_UNLIKE = mark(
    "The model was not trained on slides like this one: the stain, the scanner or the kind of image is "
    "different. Do not rely on its masks and probabilities until you have annotated regions of such slides and "
    "retrained; the warning then goes away. Slides of the demo are synthetic and have the warning at first."
)


class SlideDetails(QWidget):
    """Tells the label that the user picks for the selected slides (None: taken back)."""

    label_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._predicts = True
        self.predicted = label(wrap=True)
        self.meaning = label(role="muted", wrap=True)
        self.meaning.setVisible(False)
        self.note = label(role="muted", wrap=True)
        self.note.setVisible(False)
        self.resolution = label(role="muted", wrap=True)
        self.who = OneLine()
        self.picker = NarrowBox()
        self.picker.setAccessibleName(tr("You say:").rstrip(":"))
        self.picker.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        leave_wheel_to_panel(self.picker)
        self.picker.activated.connect(lambda index: self.label_chosen.emit(self.picker.itemData(index)))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(line())
        column.addWidget(self.predicted)
        column.addWidget(self.meaning)
        column.addWidget(self.resolution)
        column.addWidget(self.note)
        column.addLayout(row(self.who, self.picker, stretch=1))

    def set_labels(self, labels: Sequence[str], *, predicts: bool = True) -> None:
        """The labels a slide can have, and whether a model predicts them."""
        self._predicts = predicts
        for each in (self.who, self.picker):
            each.setVisible(bool(labels))
        self.picker.clear()
        self.picker.addItem(tr(NOT_GIVEN), None)
        for name in labels:
            self.picker.addItem(visible_name(spoken_class(name)), name)

    def show_slides(self, slides: Sequence[SlideRecord], *, you: str, note: str = "") -> None:
        """Show the selected slides; `you` is the name of who sits here, `note` what is unusual about the only one."""
        self.setVisible(bool(slides))
        self.note.setText(note)
        self.note.setVisible(bool(note) and len(slides) == 1)
        self.meaning.setVisible(False)
        if not slides:
            return
        self.predicted.setText(_predicted(slides))
        self.predicted.setVisible(self._predicts or len(slides) > 1)
        only_one = slides[0] if len(slides) == 1 else None
        unlike = only_one is not None and only_one.is_unlike
        self.meaning.setText(tr(MEANS_UNLIKE))
        self.meaning.setVisible(unlike)
        self.predicted.setToolTip(plain_tip(tr(WHY_UNLIKE if unlike else WHAT_IT_MAKES_OF_IT)))
        estimated = only_one is not None and only_one.mpp_from is MppFrom.OBJECTIVE
        self.resolution.setVisible(estimated)
        self.resolution.setText("" if only_one is None else resolution_in_words(only_one))
        labels = {slide.label for slide in slides}
        self.picker.setPlaceholderText(tr(SEVERAL))
        self.picker.setCurrentIndex(-1 if len(labels) > 1 else self.picker.findData(slides[0].label))
        only = slides[0].given_label if len(slides) == 1 else None
        self.who.setText(_who(only, you))
        self.picker.setToolTip(plain_tip(_tip(only)))


def _predicted(slides: Sequence[SlideRecord]) -> str:
    if len(slides) > 1:
        return tr_plural("{count} slide is selected.", "{count} slides are selected.", len(slides))
    if slides[0].is_unlike:
        return tr(UNLIKE)
    shares = slides[0].predicted
    if not shares:
        return tr("Predicted: nothing yet") if shares is None else tr("Predicted: no tissue found")
    likeliest = [
        tr("{label} ({share:.2f})", label=spoken_class(name), share=shares[name]) for name in predicted_names(shares)
    ]
    return tr("Predicted: {labels}", labels=", ".join(likeliest))


def resolution_in_words(slide: SlideRecord) -> str:
    """How wide a pixel of a slide is, and that it is an estimate where it is one."""
    if slide.mpp is None:
        return tr("resolution unknown")
    if slide.mpp_from is MppFrom.OBJECTIVE:
        return tr("{mpp:.4g} \N{MICRO SIGN}m per pixel, estimated from the objective", mpp=slide.mpp)
    return tr("{mpp:.4g} \N{MICRO SIGN}m per pixel", mpp=slide.mpp)


def _who(said: SlideLabel | None, you: str) -> str:
    if said is None or said.person == you:
        return tr("Your label:")
    return tr("Label by {person}:", person=said.person) if said.person else tr("Label by someone:")


def _tip(said: SlideLabel | None) -> str:
    tip = tr("What the slide is as a whole, if you can tell; it is used for training")
    if said is None:
        return tip
    return f"{tip}.\n{_given_by(said.person, said.created[:10])}"


def _given_by(person: str, day: str) -> str:
    if person:
        return tr("Labelled by {person} on {day}.", person=person, day=day)
    return tr("Labelled by someone on {day}.", day=day)
