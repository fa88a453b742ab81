"""The decision about a new model: old against new on the held-out annotations and on the slide, keep or roll back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QGridLayout, QWidget

from histoloop.annotations.class_names import spoken_title
from histoloop.gui.canvas.gained_lost import GAINED, LOST
from histoloop.gui.kit.widgets import NARROW_CHARACTERS, Panel, action_button, button, label, row, set_role, swatch
from histoloop.gui.kit.wrapping_check import WrappingCheck
from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.verdict import Verdict, crossed_in_words, in_words, rose, verdict_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.gui.kit.actions import Actions
    from histoloop.workflows.contents.rounds import CandidateModel, ClassFigure

ROLES = {Verdict.BETTER: "good", Verdict.WORSE: "bad"}
"""How a verdict is shown; what nobody can tell is neither good nor bad."""


class Decision(QWidget):
    """Old against new. `changes` is checked while gained and lost are to be seen.

    `keep` and `roll_back` are buttons for whoever holds it to place.
    """

    def __init__(self, actions: Actions) -> None:
        super().__init__()
        panel = Panel()
        panel.column.setContentsMargins(0, 0, 0, 0)
        self.heading = label(role="heading", wrap=True)
        self.dice = label(role="figure")
        self.dice.setToolTip(tr("How well the masks match what was painted, whatever its class: 1 is a perfect match"))
        self.class_dice = label(wrap=True)
        self.class_dice.setToolTip(tr("How well each class matches what was painted of it: the mean over the classes"))
        self.classes = _ClassTable()
        self.verdict = label(wrap=True)
        self.verdict.setToolTip(
            tr(
                "The interval is what the change may be on other regions of these slides (95%, Student's, paired over "
                "the held-out regions). It is better or worse only where the interval lies on one side of zero."
            )
        )
        self.crossed = label(wrap=True)
        self.crossed.setToolTip(
            tr(
                "Each painted region in turn was left out, and a decoder fitted quickly to the others drew it. The "
                "model before is compared only on regions that it has not learned from. Such intervals are a little "
                "too narrow."
            )
        )
        self.cross = action_button(actions["cross_validate"], text=tr("Measure by cross-validation"))
        self.similar = button("", tip=tr("Regions used for training with the model's own masks"))
        self.similar.setAccessibleName(tr("Regions used for training with the model's own masks"))
        self.show_new = WrappingCheck(tr("Show the new masks"))
        self.show_new.setChecked(True)
        self.changes = WrappingCheck(tr("Show what is gained and lost"))
        self.changes.setToolTip(
            tr("Where the new model finds something and the old one does not, and the other way round")
        )
        self.legend = QWidget()
        legend = row(*_patch(GAINED, tr("gained")), *_patch(LOST, tr("lost")))
        legend.setContentsMargins(20, 0, 0, 0)
        legend.addStretch(1)
        self.legend.setLayout(legend)
        self.legend.setVisible(False)
        self.changes.toggled.connect(self.legend.setVisible)
        self.beside = action_button(actions["compare"], text=tr("Old and new side by side"))
        self.keep = action_button(actions["keep"], text=tr("Keep"), primary=True)
        self.roll_back = action_button(actions["roll_back"], text=tr("Roll back"))
        parts: tuple[QWidget, ...] = (
            self.heading,
            self.dice,
            self.verdict,
            self.crossed,
            self.cross,
            self.class_dice,
            self.classes,
            self.similar,
            self.show_new,
            self.changes,
            self.legend,
            self.beside,
        )
        for widget in parts:
            panel.column.addWidget(widget)
        self.setLayout(panel.column)

    def show_candidate(self, candidate: CandidateModel, class_names: Mapping[int, str]) -> None:
        """The figures of a candidate; `class_names` are those of today, by the permanent ids of the classes."""
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
        self.classes.show_figures(candidate.classes, class_names)
        self._show_verdict(candidate)

    def _show_verdict(self, candidate: CandidateModel) -> None:
        """What can be said; a button is the first choice only where the figures speak for it."""
        verdict, old, new = verdict_of(candidate), candidate.old_dice, candidate.new_dice
        self.verdict.setText(in_words(candidate))
        set_role(self.verdict, ROLES.get(verdict, "muted"))
        self.dice.setVisible(verdict is not Verdict.NOT_MEASURED)
        self.crossed.setText(crossed_in_words(candidate.crossed))
        self.crossed.setVisible(candidate.crossed is not None)
        self.cross.setVisible(candidate.can_be_crossed)
        if old is not None and new is not None:
            self.dice.setText(tr("Dice {old:.3f} → {new:.3f}", old=old, new=new))
        set_role(self.keep, "primary" if rose(candidate) else "")
        set_role(self.roll_back, "primary" if verdict is Verdict.WORSE else "")

    def _show_class_dice(self, old: float | None, new: float | None) -> None:
        """The mean over the classes, beside the Dice of all that is painted."""
        self.class_dice.setVisible(new is not None)
        if new is not None and old is not None:
            self.class_dice.setText(tr("Mean Dice of the classes: {old:.3f} → {new:.3f}", old=old, new=new))
        elif new is not None:
            self.class_dice.setText(tr("Mean Dice of the classes: {new:.3f}", new=new))


class _ClassTable(QWidget):
    """A line for each class: its name, its Dice before and after."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)
        self.lines: list[tuple[str, str]] = []
        """What is shown: the name of a class and its figures."""

    def show_figures(self, figures: tuple[ClassFigure, ...], names: Mapping[int, str]) -> None:
        """Those of the classes that there still are."""
        while (item := self._grid.takeAt(0)) is not None:
            if (gone := item.widget()) is not None:
                gone.hide()  # at once: it goes with the next turn of the event loop
                gone.deleteLater()
        self.lines = [(spoken_title(names[one.class_id]), _old_new(one)) for one in figures if one.class_id in names]
        for number, (name, text) in enumerate(self.lines):
            named = label(name, wrap=True)
            named.setMinimumWidth(NARROW_CHARACTERS * named.fontMetrics().averageCharWidth())
            self._grid.addWidget(named, number, 0)
            self._grid.addWidget(label(text), number, 1)
        self.setVisible(bool(self.lines))


def _old_new(figure: ClassFigure) -> str:
    old, new = (tr("not there") if one is None else tr("{dice:.3f}", dice=one) for one in (figure.before, figure.after))
    return f"{old} \N{RIGHTWARDS ARROW} {new}" if figure.before is not None else new


def _patch(colour: str, text: str) -> tuple[QWidget, QWidget]:
    square = label()
    square.setPixmap(swatch(colour))
    return square, label(text, role="muted")
