"""What runs in the background: stage, share done, time left, stop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QWidget

from histoloop.gui.kit.one_line import OneLine
from histoloop.gui.kit.widgets import button
from histoloop.language import tr
from histoloop.progress import TimeLeft, in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.progress import Progress, Stage

STEPS = 1000
BAR_PX = 220


class JobBar(QWidget):
    """Sits in the status bar; hidden while nothing runs."""

    stop_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = OneLine()
        self.bar = QProgressBar(minimum=0, maximum=STEPS, textVisible=False)
        self.bar.setMinimumWidth(BAR_PX // 4)
        self.bar.setMaximumWidth(BAR_PX)
        self.stop = button(tr("Stop"))
        self.stop.clicked.connect(self.stop_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 2, 0, 2)
        layout.addWidget(self.text)
        layout.addWidget(self.bar, 1)
        layout.addWidget(self.stop)
        layout.addStretch(1)
        self._left, self._is_whole = TimeLeft(), True
        self.setVisible(False)

    def begin(self, title: str, *, earlier: Sequence[Stage] = (), in_parts: bool = False) -> None:
        """A job has begun; `earlier` are the stages of the last one of its kind.

        Where it is done `in_parts` and nothing is known of them, the time left is that of the part that runs.
        """
        self._left, self._is_whole = TimeLeft(earlier), not in_parts
        self.bar.setRange(0, 0)
        self.text.setText(f"{title}…")
        self.stop.setEnabled(True)
        self.setVisible(True)

    def show_step(self, step: Progress) -> None:
        """How far it is."""
        seconds = self._left.after(step, time.monotonic())
        left = "" if seconds is None else self._time_left(in_words(seconds))
        self.text.setText(" \N{MIDDLE DOT} ".join(filter(None, (step.stage, step.message, left))))
        self.bar.setRange(0, STEPS if step.total > 0 else 0)
        self.bar.setValue(round(step.fraction * STEPS))

    def _time_left(self, time: str) -> str:
        if self._is_whole or self._left.knows_all:
            return tr("{time} left", time=time)
        return tr("{time} left in this step", time=time)

    def stages(self) -> list[Stage]:
        """The stages of the job so far, with their seconds."""
        return self._left.stages(time.monotonic())

    def stopping(self) -> None:
        """The user wants it stopped."""
        self.text.setText(tr("Stopping…"))
        self.stop.setEnabled(False)

    def end(self) -> None:
        """Nothing runs any more."""
        self.setVisible(False)
