"""Retraining: the button, the live curves, the comparison, and the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QWidget

from histoloop.gui.curve import TrainingCurve
from histoloop.gui.widgets import Panel, action_button, label, row, set_role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.gui.actions import Actions
    from histoloop.workflows.rounds import Candidate, LearnFrom, Lessons


WAYS: tuple[tuple[LearnFrom, str, str], ...] = (
    ("masks", "Painted masks", "The decoder learns outlines; what the model knows of labels stays as it is."),
    (
        "sizes",
        "Sizes and labels, then masks",
        "The model learns how much of each region is foreground; then outlines from what is painted, if anything is.",
    ),
    (
        "labels",
        "Labels, then masks",
        "The model learns which label regions and slides have; then outlines from what is painted, if anything is.",
    ),
    (
        "min-max",
        "Labels, by min-max entropy",
        "The model learns from labels alone to find all that speaks for them, by hiding what it has found already.",
    ),
)
"""What a retraining can learn from: for the program, for the user, and why."""


class TrainingPanel(Panel):
    """Shows what it is told; the buttons are the actions of the menu."""

    way_chosen = Signal(str)

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        self.way = QComboBox()
        for way, title, why in WAYS:
            self.way.addItem(title, way)
            self.way.setItemData(self.way.count() - 1, why, Qt.ItemDataRole.ToolTipRole)
        self.way.setToolTip("What retraining learns from")
        self.way.currentIndexChanged.connect(lambda _index: self.way_chosen.emit(self.way.currentData()))
        self.retrain = action_button(actions["retrain"], primary=True)
        self.state = label(role="muted", wrap=True)
        self.curve = TrainingCurve()
        self.decision = _Decision(actions)
        self.column.addLayout(row(label("Learn from"), self.way))
        self.column.addWidget(self.retrain)
        self.column.addWidget(self.state)
        self.column.addWidget(self.decision)
        self.column.addWidget(self.curve)
        self.column.addStretch(1)
        self.curve.setVisible(False)
        self.decision.setVisible(False)

    def show_lessons(self, lessons: Lessons, *, round_number: int) -> None:
        """What there is to learn from in the chosen way, and what is held out to measure."""
        before = f"Round {round_number} is done. " if round_number else ""
        held_out = f", {lessons.held_out} held out to measure" if lessons.held_out else ""
        way: LearnFrom = self.way.currentData()
        if not lessons.suffice(way):
            self.state.setText(f"{before}{_WANTED[way]}{_others(lessons, way)}")
            return
        self.state.setText(f"{before}{_there(lessons, way)} to learn from{held_out}.{_others(lessons, way)}")

    def needed_height(self, width: int) -> int:
        """The height at which nothing has to be scrolled at a width (both in pixels)."""
        return self.column.totalHeightForWidth(width)

    def begin(self) -> None:
        """A training has begun."""
        self.curve.clear()
        self.curve.setVisible(True)
        self.decision.setVisible(False)

    def add_figures(self, figures: Mapping[str, float]) -> None:
        """The figures of an epoch."""
        self.curve.add(figures)

    def end(self) -> None:
        """It was stopped or failed."""
        self.curve.setVisible(False)

    def show_candidate(self, candidate: Candidate | None) -> None:
        """Ask for the decision about a candidate; None when there is none."""
        self.decision.setVisible(candidate is not None)
        set_role(self.retrain, "primary" if candidate is None else "")  # to decide comes before another round
        if candidate is not None:
            self.decision.show_candidate(candidate)


_WANTED: Mapping[LearnFrom, str] = {
    "masks": "Paint at least one region, then retrain.",
    "sizes": "Say of at least one region how much of it is foreground, or paint it, then retrain.",
    "labels": "Label regions or slides of at least two classes, then retrain.",
    "min-max": "Label regions or slides of at least two classes, then retrain.",
}


def _there(lessons: Lessons, way: LearnFrom) -> str:
    if way == "masks":
        return _count(lessons.masks, "painted region")
    if way == "sizes":
        return _count(lessons.sizes, "region") + " of known size"
    return _count(lessons.labels, "label") + f" of {lessons.label_classes} classes"


def _others(lessons: Lessons, way: LearnFrom) -> str:
    """What the chosen way leaves unused."""
    only_sized = lessons.sizes - lessons.masks
    if way == "masks" and only_sized:
        return f" {_count(only_sized, 'region')} with a size alone: learn from sizes to use them."
    return ""


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


class _Decision(QWidget):
    """Old against new on the held-out annotations, and keep or roll back."""

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        panel = Panel()
        panel.column.setContentsMargins(0, 0, 0, 0)
        self.heading = label(role="heading", wrap=True)
        self.dice = label(role="figure")
        self.verdict = label(wrap=True)
        self.show_new = QCheckBox("Show the new masks")
        self.show_new.setChecked(True)
        self.keep = action_button(actions["keep"], text="Keep", primary=True)
        self.roll_back = action_button(actions["roll_back"], text="Roll back")
        for widget in (self.heading, self.dice, self.verdict, self.show_new):
            panel.column.addWidget(widget)
        panel.column.addLayout(row(self.keep, self.roll_back, stretch=0))
        self.setLayout(panel.column)

    def show_candidate(self, candidate: Candidate) -> None:
        count = "annotation" if candidate.annotations == 1 else "annotations"
        self.heading.setText(f"Round {candidate.round}: learned from {candidate.annotations} {count}")
        self.show_new.setChecked(True)
        old, new = candidate.old_dice, candidate.new_dice
        self.dice.setVisible(old is not None and new is not None)
        if old is None or new is None:
            self.verdict.setText(
                "No annotation is held out yet (the third one will be), so nothing could be measured. "
                "Look at the new masks and decide."
            )
            set_role(self.verdict, "muted")
            return
        self.dice.setText(f"Dice {old:.3f} \N{RIGHTWARDS ARROW} {new:.3f}")
        regions = "1 held-out region" if candidate.held_out == 1 else f"{candidate.held_out} held-out regions"
        change = new - old
        self.verdict.setText(f"{'Better' if change > 0 else 'Not better'} on {regions} ({change:+.3f}).")
        set_role(self.verdict, "good" if change > 0 else "bad")
