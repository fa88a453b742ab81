"""How a retraining learns: from what, how thoroughly, and whether regions that nobody annotated take part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QGridLayout, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import NarrowBox, label
from histoloop.gui.kit.wrapping_check import WrappingCheck
from histoloop.language import mark, tr
from histoloop.workflows.contents.rounds import STEADY, HowToLearn, LearnFrom, Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCES: tuple[tuple[LearnFrom, str, str], ...] = (
    (
        "masks",
        mark("Painted masks"),
        mark("Trains the decoder on outlines; the labels that the model predicts stay as they are."),
    ),
    (
        "sizes",
        mark("Sizes and labels, then masks"),
        mark(
            "Trains the model on how much of each region is foreground; then on the painted outlines, if there are any."
        ),
    ),
    (
        "labels",
        mark("Labels, then masks"),
        mark("Trains the model on the labels of regions and slides; then on the painted outlines, if there are any."),
    ),
    (
        "min-max",
        mark("Labels, by min-max entropy"),
        mark(
            "Trains the model on labels alone to find everything that supports them, by hiding what it has "
            "found already."
        ),
    ),
)
"""What a retraining can learn from: for the program, for the user, and why."""


@dataclass(frozen=True, slots=True)
class PaceChoice:
    """A pace for the user, and what can be learned from at it."""

    pace: Pace
    title: str
    why: str
    goes_with: tuple[LearnFrom, ...]
    with_unlabelled: bool = True
    """Whether regions that nobody annotated can take part."""


PACES: tuple[PaceChoice, ...] = (
    PaceChoice(
        "full",
        mark("Thoroughly"),
        mark(
            "Trains on rotated, flipped and recoloured tiles, starting from the project's first model: the "
            "best masks. (Belharbi et al. 2020, Algorithm 1)"
        ),
        goes_with=tuple(name for name, _title, _why in SOURCES),
    ),
    PaceChoice(
        "quick",
        mark("Quickly"),
        mark("Trains the decoder alone, on stored features of the regions: for a first look."),
        goes_with=("masks",),
    ),
    PaceChoice(
        "self-supervised",
        mark("Self-supervised pretraining first"),
        mark(
            "Takes hours on a processor. The model is first trained on all tissue of the project without any "
            "annotation, then on labels and masks. If stopped, it continues where it was; once done, it is "
            "kept. It pays for a model that begins at random: on 1600 small tiles of colon such a model was then "
            "right 8 to 10 points more often. For one that has seen many pictures we have not measured it. "
            "(Zolfaghari Bengar et al. 2021)"
        ),
        goes_with=("masks",),
        with_unlabelled=False,
    ),
)
"""The first goes with everything that can be learned from."""

PROPAGATION = (
    mark("Learn from similar regions too"),
    mark(
        "Regions of the same class that are similar in colour to painted ones are used for training too, with "
        "the model's own masks; you can review them afterwards. On colon glands this added 2.9 points of Dice "
        "in the paper (Belharbi et al. 2020, Table 3); in our own measurements the gain lay within chance."
    ),
)
CONSISTENCY = (
    mark("Consistency on unlabelled regions"),
    mark(
        "On regions without an annotation, the model is held to its own average over the training, so that it "
        "does not memorise the painted ones. Short trainings did not gain from it when we measured it. (Huang "
        "et al. 2022, equations 6 to 9)"
    ),
)
CONTINUED = (
    mark("Go on training the model in use"),
    mark(
        "The decoder begins where the model in use ended, not where the project's first model did, as Huang et al. "
        "(2022) train. What it learned from masks that you have changed since may stay in it."
    ),
)


class TrainingOptions(QWidget):
    """Shows and emits how to learn; only what goes together can be chosen."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.learn_from = NarrowBox()
        _fill(self.learn_from, SOURCES)
        self.pace = NarrowBox()
        _fill(self.pace, [(choice.pace, choice.title, choice.why) for choice in PACES])
        self.propagation, self.consistency, self.continued = (
            _box(*texts) for texts in (PROPAGATION, CONSISTENCY, CONTINUED)
        )
        self._boxes = (self.propagation, self.consistency, self.continued)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        grid.setColumnStretch(1, 1)
        for number, (text, widget) in enumerate(((tr("Learn from"), self.learn_from), (tr("How"), self.pace))):
            grid.addWidget(label(text), number, 0)
            grid.addWidget(widget, number, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(grid)
        for box in self._boxes:
            column.addWidget(box)
            box.toggled.connect(lambda _on: self._on_changed())
        self.learn_from.currentIndexChanged.connect(lambda _index: self._on_changed())
        self.pace.currentIndexChanged.connect(lambda _index: self._on_changed())
        self.take(HowToLearn())

    def how(self) -> HowToLearn:
        """What is chosen; what does not go with what is learned from is left out."""
        propagation, consistency, continued = (
            box.isChecked() and goes for box, goes in zip(self._boxes, self._goes_with(), strict=True)
        )
        return HowToLearn(
            self.learn_from.currentData(),
            self.pace.currentData(),
            propagation=propagation,
            consistency=consistency,
            continued=continued,
        )

    def take(self, how: HowToLearn) -> None:
        """Show what was chosen before, without emitting."""
        blockers = [QSignalBlocker(one) for one in (self.learn_from, self.pace, *self._boxes)]
        self.learn_from.setCurrentIndex(self.learn_from.findData(how.learn_from))
        self.pace.setCurrentIndex(max(0, self.pace.findData(how.pace)))
        self.propagation.setChecked(how.propagation)
        self.consistency.setChecked(how.consistency)
        self.continued.setChecked(how.continued)
        del blockers
        self._offer()

    def _on_changed(self) -> None:
        self._offer()
        self.changed.emit(self.how())

    def _offer(self) -> None:
        """Let only those paces and boxes be chosen that go with what is learned from."""
        learn_from: LearnFrom = self.learn_from.currentData()
        model = self.pace.model()
        assert isinstance(model, QStandardItemModel)  # what a combo box makes for itself
        for index, choice in enumerate(PACES):
            model.item(index).setEnabled(learn_from in choice.goes_with)
        if learn_from not in PACES[self.pace.currentIndex()].goes_with:
            with QSignalBlocker(self.pace):
                self.pace.setCurrentIndex(0)
        self.pace.setToolTip(self.pace.currentData(Qt.ItemDataRole.ToolTipRole))
        self.learn_from.setToolTip(self.learn_from.currentData(Qt.ItemDataRole.ToolTipRole))
        for box, goes in zip(self._boxes, self._goes_with(), strict=True):
            box.setEnabled(goes)

    def _goes_with(self) -> tuple[bool, bool, bool]:
        """Whether each of the boxes goes with what is learned from, and the pace."""
        learn_from, pace = self.learn_from.currentData(), PACES[self.pace.currentIndex()]
        masks = learn_from == "masks" and pace.with_unlabelled
        return masks, masks or (learn_from in STEADY and learn_from != "masks"), masks


def _box(title: str, why: str) -> WrappingCheck:
    box = WrappingCheck(tr(title))
    box.setToolTip(f"<p>{tr(why)}</p>")
    return box


def how_to_learn(kept: Any) -> HowToLearn:
    """What a project has kept, as a JSON value; the usual where it is nothing or cannot be read."""
    try:
        return HowToLearn(**kept)
    except (TypeError, ValueError):
        return HowToLearn()


def _fill(box: QComboBox, entries: Sequence[tuple[str, str, str]]) -> None:
    for name, title, why in entries:
        box.addItem(tr(title), name)
        box.setItemData(box.count() - 1, f"<p>{tr(why)}</p>", Qt.ItemDataRole.ToolTipRole)
