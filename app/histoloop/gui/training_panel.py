"""Retraining: the button, the live curves, the comparison, and the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QWidget

from histoloop.gui.curve import TrainingCurve
from histoloop.gui.widgets import Panel, action_button, label, row, set_role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.gui.actions import Actions
    from histoloop.workflows.rounds import Candidate


class TrainingPanel(Panel):
    """Shows what it is told; the buttons are the actions of the menu."""

    candidate_shown = Signal(bool)

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        self.retrain = action_button(actions["retrain"], primary=True)
        self.state = label(role="muted", wrap=True)
        self.curve = TrainingCurve()
        self.decision = _Decision(actions)
        self.decision.show_new.toggled.connect(self.candidate_shown)
        self.column.addWidget(self.retrain)
        self.column.addWidget(self.state)
        self.column.addWidget(self.decision)
        self.column.addWidget(self.curve)
        self.column.addStretch(1)
        self.curve.setVisible(False)
        self.decision.setVisible(False)

    def show_counts(self, *, training: int, held_out: int, without_mask: int, round_number: int) -> None:
        """What there is to learn from: masks, those held out, and regions with a label or a size alone."""
        said = "1 annotation" if training == 1 else f"{training} annotations"
        measured = f", {held_out} held out to measure" if held_out else ""
        before = f"Round {round_number} is done. " if round_number else ""
        weak = f" {_weak(without_mask)}" if without_mask else ""
        if training + held_out == 0:
            self.state.setText(f"Paint at least one region, then retrain.{weak}")
        else:
            self.state.setText(f"{before}{said} to learn from{measured}.{weak}")

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
        if candidate is not None:
            self.decision.show_candidate(candidate)


def _weak(count: int) -> str:
    regions = "1 region has" if count == 1 else f"{count} regions have"
    return f"{regions} a label or a size and no mask: outlines are not learned from those."


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
