"""Retraining: the button, the live curves, the comparison, and the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.gui.kit.widgets import MARGIN_PX, Panel, action_button, label, row, set_role
from histoloop.gui.panels.decision import Decision
from histoloop.gui.panels.live_switch import LiveSwitch
from histoloop.gui.panels.rounds_curve import RoundsCurve
from histoloop.gui.panels.rounds_list import RoundsList
from histoloop.gui.panels.training_curve import TrainingCurve
from histoloop.gui.panels.training_options import TrainingOptions
from histoloop.language import mark, tr, tr_plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.gui.kit.actions import Actions
    from histoloop.workflows.contents.rounds import CandidateModel, LearnFrom, Measured, TrainingCounts


class TrainingPanel(Panel):
    """Shows what it is given; the buttons are the actions of the menu."""

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        self.live = LiveSwitch()
        self.options = TrainingOptions()
        self.retrain = action_button(actions["retrain"], primary=True)
        self.state = label(role="muted", wrap=True)
        self.curve = TrainingCurve()
        self.decision = Decision(actions)
        self.estimate = label(role="muted", wrap=True)
        self.rounds = RoundsCurve()
        self.history = RoundsList()
        for widget in (
            self.live,
            self.options,
            self.retrain,
            self.estimate,
            self.state,
            self.decision,
            self.curve,
            self.rounds,
            self.history,
        ):
            self.column.addWidget(widget)
        self.column.addStretch(1)
        self.decision.setVisible(False)
        self.foot = Panel()
        """To keep or to roll back, which is to stay in sight."""
        self.foot.column.setContentsMargins(MARGIN_PX, 0, MARGIN_PX, MARGIN_PX)
        self.foot.column.addLayout(row(self.decision.keep, self.decision.roll_back, stretch=0))
        self.foot.setVisible(False)
        self._running = False
        self._curve_wanted = False
        self._arrange()

    def show_training_counts(self, training_counts: TrainingCounts, *, round_number: int) -> None:
        """What there is to learn from with the chosen learning setup, and what is held out to measure."""
        learn_from: LearnFrom = self.options.how().learn_from
        before = tr("Round {round} is done.", round=round_number) if round_number else ""
        there = _there(training_counts, learn_from) if training_counts.suffice(learn_from) else tr(_WANTED[learn_from])
        self.state.setText(" ".join(filter(None, (before, there, _unused(training_counts, learn_from)))))

    def show_estimate(self, text: str) -> None:
        """How long a retraining with the chosen learning setup may take; empty while none can begin."""
        self.estimate.setVisible(bool(text) and not self._running)
        self.estimate.setText(tr("Takes {duration}.", duration=text))

    def show_rounds(self, rounds: Sequence[Measured]) -> None:
        """The rounds that were measured, in their order."""
        self.rounds.show_rounds(rounds)
        self._arrange()

    def begin(self) -> None:
        """A training has begun."""
        self.curve.clear()
        self._running = self._curve_wanted = True
        self.estimate.setVisible(False)
        self._show_decision(False)
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

    def show_candidate(self, candidate: CandidateModel | None, class_names: Mapping[int, str]) -> None:
        """Ask for the decision about a candidate; None when there is none. The names are by the ids of the classes."""
        self._show_decision(candidate is not None)
        if candidate is None:
            self.decision.changes.setChecked(False)
        set_role(self.retrain, "primary" if candidate is None else "")  # to decide comes before another round
        if candidate is not None:
            self.decision.show_candidate(candidate, class_names)

    def _show_decision(self, there: bool) -> None:
        self.decision.setVisible(there)
        self.foot.setVisible(there)


_WANTED: Mapping[LearnFrom, str] = {
    "masks": mark("Paint at least one region, then retrain."),
    "sizes": mark("State how much of at least one region is foreground, or paint it, then retrain."),
    "labels": mark("Label regions or slides of at least two classes, then retrain."),
    "min-max": mark("Label regions or slides of at least two classes, then retrain."),
}


def _there(training_counts: TrainingCounts, learn_from: LearnFrom) -> str:
    held_out = training_counts.held_out
    if not held_out:
        return f"{_learned_from(training_counts, learn_from)}."
    measured = tr_plural("{count} held out to measure", "{count} held out to measure", held_out)
    return f"{_learned_from(training_counts, learn_from)}, {measured}."


def _learned_from(counts: TrainingCounts, learn_from: LearnFrom) -> str:
    if learn_from == "masks":
        return tr_plural("{count} painted region to learn from", "{count} painted regions to learn from", counts.masks)
    if learn_from == "sizes":
        return tr_plural(
            "{count} region of known size to learn from",
            "{count} regions of known size to learn from",
            counts.sizes,
        )
    return tr_plural(
        "{count} label of {classes} classes to learn from",
        "{count} labels of {classes} classes to learn from",
        counts.labels,
        classes=counts.label_classes,
    )


def _unused(counts: TrainingCounts, learn_from: LearnFrom) -> str:
    """What goes unused when this is learned from."""
    if learn_from == "masks" and counts.only_sized:
        return tr_plural(
            "{count} region with only a size: learn from sizes to use it.",
            "{count} regions with only a size: learn from sizes to use them.",
            counts.only_sized,
        )
    return ""
