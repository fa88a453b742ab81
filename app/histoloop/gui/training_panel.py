"""Retraining: the button, the live curves, the comparison, and the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QCheckBox, QWidget

from histoloop.gui.curve import TrainingCurve
from histoloop.gui.learn_options import LearnOptions
from histoloop.gui.rounds_curve import RoundsCurve
from histoloop.gui.widgets import Panel, action_button, button, label, row, set_role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.gui.actions import Actions
    from histoloop.workflows.rounds import Candidate, LearnFrom, Lessons, Measured


class TrainingPanel(Panel):
    """Shows what it is told; the buttons are the actions of the menu."""

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        self.options = LearnOptions()
        self.retrain = action_button(actions["retrain"], primary=True)
        self.state = label(role="muted", wrap=True)
        self.curve = TrainingCurve()
        self.decision = _Decision(actions)
        self.estimate = label(role="muted", wrap=True)
        self.rounds = RoundsCurve()
        for widget in (
            self.options,
            self.retrain,
            self.estimate,
            self.state,
            self.decision,
            self.curve,
            self.rounds,
        ):
            self.column.addWidget(widget)
        self.column.addStretch(1)
        self.decision.setVisible(False)
        self._running = False
        self._curve_wanted = False
        self._arrange()

    def show_lessons(self, lessons: Lessons, *, round_number: int) -> None:
        """What there is to learn from in the chosen way, and what is held out to measure."""
        before = f"Round {round_number} is done. " if round_number else ""
        held_out = f", {lessons.held_out} held out to measure" if lessons.held_out else ""
        way: LearnFrom = self.options.how().learn_from
        if not lessons.suffice(way):
            self.state.setText(f"{before}{_WANTED[way]}{_others(lessons, way)}")
            return
        self.state.setText(f"{before}{_there(lessons, way)} to learn from{held_out}.{_others(lessons, way)}")

    def show_estimate(self, text: str) -> None:
        """How long a retraining in the chosen way may take; empty while none can begin."""
        self.estimate.setVisible(bool(text) and not self._running)
        self.estimate.setText(f"Takes {text}.")

    def show_rounds(self, rounds: Sequence[Measured]) -> None:
        """The rounds that were measured, in their order."""
        self.rounds.show_rounds(rounds)
        self._arrange()

    def begin(self) -> None:
        """A training has begun."""
        self.curve.clear()
        self._running = self._curve_wanted = True
        self.estimate.setVisible(False)
        self.decision.setVisible(False)
        self._arrange()

    def add_figures(self, figures: Mapping[str, float]) -> None:
        """The figures of an epoch."""
        self.curve.add(figures)

    def end(self, *, stopped: bool) -> None:
        """It is over; `stopped` when nothing came of it."""
        self._running = False
        self._curve_wanted = not stopped
        self._arrange()

    def _arrange(self) -> None:
        """The curve of the training while one runs, else the learning curve of the rounds where there is one."""
        enough = self.rounds.has_enough()
        self.rounds.setVisible(enough and not self._running)
        self.curve.setVisible(self._running or (self._curve_wanted and not enough))

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
        self.similar = button("", tip="Regions that were learned from with the model's own masks")
        self.show_new = QCheckBox("Show the new masks")
        self.show_new.setChecked(True)
        self.keep = action_button(actions["keep"], text="Keep", primary=True)
        self.roll_back = action_button(actions["roll_back"], text="Roll back")
        for widget in (self.heading, self.dice, self.verdict, self.similar, self.show_new):
            panel.column.addWidget(widget)
        panel.column.addLayout(row(self.keep, self.roll_back, stretch=0))
        self.setLayout(panel.column)

    def show_candidate(self, candidate: Candidate) -> None:
        count = "annotation" if candidate.annotations == 1 else "annotations"
        self.heading.setText(f"Round {candidate.round}: learned from {candidate.annotations} {count}")
        self.show_new.setChecked(True)
        self.similar.setVisible(candidate.pseudo > 0)
        self.similar.setText(f"Look at {_count(candidate.pseudo, 'similar region')}")
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
