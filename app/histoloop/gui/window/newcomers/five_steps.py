"""The loop in five steps: a strip above the slide that shows what comes next and does it on a click."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from histoloop.gui.kit.flow import Flow
from histoloop.gui.kit.widgets import action_button, button, label, set_role
from histoloop.language import mark, tr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PySide6.QtGui import QResizeEvent

    from histoloop.gui.kit.actions import Actions


@dataclass(frozen=True, slots=True)
class Step:
    """A step: its name, what it is about, and the actions (of gui/window/menus.py) that do it."""

    title: str
    text: str
    actions: tuple[str, ...]


STEPS = (
    Step(
        mark("Look"),
        mark(
            "A model runs on every new slide; the bar at the bottom shows its progress. Its masks lie over the "
            "tissue. The list on the left shows the label it predicts for each slide, or warns that the slide "
            "is unlike its training data. The demo's synthetic slides have this warning until the model is "
            "trained on your annotations. The mouse wheel zooms."
        ),
        ("show_masks", "show_heatmap"),
    ),
    Step(
        mark("Get asked"),
        mark(
            "The model is not equally sure everywhere. It chooses the regions whose annotation would help most "
            "and lists them on the right, with the reason."
        ),
        ("ask",),
    ),
    Step(
        mark("Paint"),
        mark(
            "Open a question: the model's mask is your starting point. Correct it with brush and eraser; every "
            "stroke is saved. Return finishes it and opens the next one. Three or four are enough for a try."
        ),
        ("next_question", "finish"),
    ),
    Step(
        mark("Retrain"),
        mark(
            "The model is trained on what you painted, in the background. Meanwhile you can go on viewing and painting."
        ),
        ("retrain",),
    ),
    Step(
        mark("Decide"),
        mark(
            "The old and new masks are shown side by side, measured on annotations that were not used for "
            "training. Keep the new model, or roll back. Then the loop starts again, with better questions."
        ),
        ("keep", "roll_back"),
    ),
)


UNTAUGHT: Mapping[int, str] = {
    0: mark(
        "No model has been trained here yet, so there are no masks. Have a look around: the mouse wheel zooms, "
        "and dragging moves the slide."
    ),
    1: mark(
        "The first questions cover the tissue, each unlike the others; the list on the right has them. You can "
        "also paint anywhere without being asked."
    ),
    2: mark(
        "Open a question, choose a class (keys 1 to 9) and paint what belongs to it; every stroke is saved. "
        "Return finishes it and opens the next one. Three or four are enough for a try."
    ),
    4: mark(
        "The first trained model is used at once, and predicts your slides. From the next round on, you see "
        "the old and new masks side by side and keep the new model or roll back."
    ),
}
"""What the steps are about while nobody has trained a model, where that is another."""


_SIDE_PX = 12


class FiveSteps(QFrame):
    """Shows one step at a time; hidden until it is begun. The buttons follow the window's own actions."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("five_steps")
        self.number = 0
        self._is_trained = True
        self.title = label(role="heading")
        self.text = label(wrap=True)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._doing = [[action_button(actions[name]) for name in step.actions] for step in STEPS]
        self.back, self.next, self.close_button = button(tr("Back")), button(tr("Next")), button(tr("Close"))
        self.back.clicked.connect(lambda: self._go(self.number - 1))
        self.next.clicked.connect(lambda: self._go(self.number + 1))
        self.close_button.clicked.connect(self.hide)
        self._buttons = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._buttons.addLayout(Flow(*(made for several in self._doing for made in several)))
        self._buttons.addStretch(1)
        self._buttons.addLayout(Flow(self.back, self.next, self.close_button))
        column = QVBoxLayout()
        for widget in (self.title, self.text):
            column.addWidget(widget)
        column.addLayout(self._buttons)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(_SIDE_PX, 10, _SIDE_PX, 10)
        layout.addLayout(column)
        self.setVisible(False)

    def begin(self) -> None:
        """Show the first step."""
        self._go(0)
        self.setVisible(True)

    def set_trained(self, is_trained: bool) -> None:
        """Whether there is a model that has learned something."""
        self._is_trained = is_trained
        self._show_text()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width: more or fewer lines."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Room for all of the text, and for two lines at least; buttons on two lines where one is too narrow."""
        metrics, inside = self.text.fontMetrics(), self.width() - 2 * _SIDE_PX
        wrapped = metrics.boundingRect(QRect(0, 0, inside, 0), Qt.TextFlag.TextWordWrap, self.text.text())
        self.text.setMinimumHeight(max(2 * metrics.lineSpacing(), wrapped.height()))
        shown = [*self._doing[self.number], self.back, self.next, self.close_button]
        needed = sum(made.sizeHint().width() + self._buttons.spacing() for made in shown)
        ways = QBoxLayout.Direction
        self._buttons.setDirection(ways.LeftToRight if needed <= inside else ways.TopToBottom)

    def _show_text(self) -> None:
        step = STEPS[self.number]
        self.text.setText(tr(step.text if self._is_trained else UNTAUGHT.get(self.number, step.text)))
        self._fit()

    def _go(self, number: int) -> None:
        if number >= len(STEPS):
            self.hide()
            return
        self.number = number
        place = tr("{number} of {count}", number=number + 1, count=len(STEPS))
        self.title.setText(f"{place}   {tr(STEPS[number].title)}")
        self._show_text()
        for step, several in enumerate(self._doing):
            for made in several:
                made.setVisible(step == number)
        self.back.setEnabled(number > 0)
        last = number == len(STEPS) - 1
        self.next.setText(tr("That is the loop") if last else tr("Next"))
        self.close_button.setVisible(not last)
        set_role(self.next, "primary" if not last else "")
