"""What runs in the background: stage, share done, time left, stop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QWidget

from histoloop.gui.kit.widgets import button, label
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.progress import Progress

STEPS = 1000
_ENOUGH_SHARE, _ENOUGH_SECONDS = 0.03, 2.0


class TimeLeft:
    """Estimates the time a stage still takes from its own pace so far."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = 0.0
        self._from = 0.0

    def after(self, step: Progress, now: float) -> float | None:
        """Seconds left after a step at `now` (seconds); None while that is not known."""
        if step.stage != self._stage or step.fraction < self._from:
            self._stage, self._began, self._from = step.stage, now, step.fraction
        done, spent = step.fraction - self._from, now - self._began
        if done < _ENOUGH_SHARE or spent < _ENOUGH_SECONDS:
            return None
        return spent / done * (1 - step.fraction)


def in_words(seconds: float) -> str:
    """A duration for people."""
    whole = round(seconds)
    if whole < 60:
        return tr("{seconds} s", seconds=max(1, whole))
    if whole < 3600:
        return tr("{minutes} min {seconds:02d} s", minutes=whole // 60, seconds=whole % 60)
    return tr("{hours} h {minutes:02d} min", hours=whole // 3600, minutes=whole % 3600 // 60)


class JobBar(QWidget):
    """Sits in the status bar; hidden while nothing runs."""

    stop_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = label()
        self.bar = QProgressBar(minimum=0, maximum=STEPS, textVisible=False)
        self.bar.setFixedWidth(220)
        self.stop = button(tr("Stop"))
        self.stop.clicked.connect(self.stop_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 2, 0, 2)
        for widget in (self.text, self.bar, self.stop):
            layout.addWidget(widget)
        self._left = TimeLeft()
        self.setVisible(False)

    def begin(self, title: str) -> None:
        """A job has begun."""
        self._left = TimeLeft()
        self.bar.setRange(0, 0)
        self.text.setText(f"{title}…")
        self.stop.setEnabled(True)
        self.setVisible(True)

    def show_step(self, step: Progress) -> None:
        """How far it is."""
        seconds = self._left.after(step, time.monotonic())
        left = "" if seconds is None else tr("{time} left", time=in_words(seconds))
        self.text.setText(" \N{MIDDLE DOT} ".join(filter(None, (step.stage, step.message, left))))
        self.bar.setRange(0, STEPS if step.total > 0 else 0)
        self.bar.setValue(round(step.fraction * STEPS))

    def stopping(self) -> None:
        """The user wants it stopped."""
        self.text.setText(tr("Stopping…"))
        self.stop.setEnabled(False)

    def end(self) -> None:
        """Nothing runs any more."""
        self.setVisible(False)
