"""Retraining: the button, the live curves, the comparison, and the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QCheckBox, QWidget

from histoloop.gui.kit.widgets import Panel, action_button, button, label, row, set_role
from histoloop.gui.panels.live_switch import LiveSwitch
from histoloop.gui.panels.rounds_curve import RoundsCurve
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
        self.decision = _Decision(actions)
        self.estimate = label(role="muted", wrap=True)
        self.rounds = RoundsCurve()
        for widget in (
            self.live,
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

    def show_candidate(self, candidate: CandidateModel | None) -> None:
        """Ask for the decision about a candidate; None when there is none."""
        self.decision.setVisible(candidate is not None)
        set_role(self.retrain, "primary" if candidate is None else "")  # to decide comes before another round
        if candidate is not None:
            self.decision.show_candidate(candidate)


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


class _Decision(QWidget):
    """Old against new on the held-out annotations, and keep or roll back."""

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        panel = Panel()
        panel.column.setContentsMargins(0, 0, 0, 0)
        self.heading = label(role="heading", wrap=True)
        self.dice = label(role="figure")
        self.dice.setToolTip(tr("How well the masks match what was painted, whatever its class: 1 is a perfect match"))
        self.class_dice = label(wrap=True)
        self.class_dice.setToolTip(tr("How well each class matches what was painted of it: the mean over the classes"))
        self.verdict = label(wrap=True)
        self.similar = button("", tip=tr("Regions used for training with the model's own masks"))
        self.show_new = QCheckBox(tr("Show the new masks"))
        self.show_new.setChecked(True)
        self.keep = action_button(actions["keep"], text=tr("Keep"), primary=True)
        self.roll_back = action_button(actions["roll_back"], text=tr("Roll back"))
        for widget in (self.heading, self.dice, self.class_dice, self.verdict, self.similar, self.show_new):
            panel.column.addWidget(widget)
        panel.column.addLayout(row(self.keep, self.roll_back, stretch=0))
        self.setLayout(panel.column)

    def show_candidate(self, candidate: CandidateModel) -> None:
        self.heading.setText(
            tr_plural(
                "Round {round}: trained on {count} annotation",
                "Round {round}: trained on {count} annotations",
                candidate.annotations,
                round=candidate.round,
            )
        )
        self.show_new.setChecked(True)
        self.similar.setVisible(candidate.pseudo > 0)
        self.similar.setText(
            tr_plural("Review {count} similar region", "Review {count} similar regions", candidate.pseudo)
        )
        self._show_class_dice(candidate.old_class_dice, candidate.new_class_dice)
        old, new = candidate.old_dice, candidate.new_dice
        self.dice.setVisible(old is not None and new is not None)
        if old is None or new is None:
            self.verdict.setText(
                tr(
                    "No annotation is held out yet (the third one will be), so nothing could be measured. "
                    "Check the new masks and decide."
                )
            )
            set_role(self.verdict, "muted")
            return
        self.dice.setText(tr("Dice {old:.3f} → {new:.3f}", old=old, new=new))
        change = new - old
        self.verdict.setText(_verdict(change, held_out=candidate.held_out))
        set_role(self.verdict, "good" if change > 0 else "bad")

    def _show_class_dice(self, old: float | None, new: float | None) -> None:
        """The mean over the classes, beside the Dice of all that is painted."""
        self.class_dice.setVisible(new is not None)
        if new is not None and old is not None:
            self.class_dice.setText(tr("Mean Dice of the classes: {old:.3f} → {new:.3f}", old=old, new=new))
        elif new is not None:
            self.class_dice.setText(tr("Mean Dice of the classes: {new:.3f}", new=new))


def _verdict(change: float, *, held_out: int) -> str:
    change = round(change, 3) + 0.0  # as it is shown; no minus before a zero
    if change > 0:
        return tr_plural(
            "Better on {count} held-out region ({change:+.3f}).",
            "Better on {count} held-out regions ({change:+.3f}).",
            held_out,
            change=change,
        )
    return tr_plural(
        "Not better on {count} held-out region ({change:+.3f}).",
        "Not better on {count} held-out regions ({change:+.3f}).",
        held_out,
        change=change,
    )
