"""Garbage of Python is collected on the GUI thread alone.

Python collects on whichever thread happens to allocate. A widget that is freed on another one closes its window there,
which waits for the GUI thread; if that waits for the other thread, as it does when it starts one, both wait for ever.
What comes with modules is there for good, and looking through it would hold the window for a tenth of a second.
"""

from __future__ import annotations

import gc
import sys
import time

from PySide6.QtCore import QObject, QTimer

EVERY_MS = 500
FULL_EVERY_S = 30.0
GROWTH = 1.25
"""All is looked through when there are so many times the objects that outlived the last time, as Python does it."""

OLDEST = 2
LOADED = 50_000
"""So many objects that came together with modules are left out of every look."""


class GarbageCollector(QObject):
    """Collects in the place of Python's own collector, by its thresholds, while the event loop of its thread runs."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._thresholds = gc.get_threshold()
        self._outlived, self._looked = 0, 0.0
        self._modules = 0
        gc.disable()
        self._timer = QTimer(self, interval=EVERY_MS)
        self._timer.timeout.connect(self.collect_if_due)
        self._timer.start()

    def collect_if_due(self) -> None:
        """Collect the oldest generation that is due, and with it the younger ones."""
        counts = gc.get_count()
        due = [number for number, most in enumerate(self._thresholds) if counts[number] > most]
        if not due:
            return
        if counts[0] > LOADED and len(sys.modules) > self._modules:
            self._modules = len(sys.modules)
            gc.freeze()
            return
        if due[-1] < OLDEST or not self._has_grown():
            gc.collect(min(due[-1], OLDEST - 1))
            return
        gc.collect()
        self._outlived = len(gc.get_objects(generation=OLDEST))

    def _has_grown(self) -> bool:
        """Whether many old objects were added, which takes some milliseconds to find out, and a full look far more."""
        if time.monotonic() - self._looked < FULL_EVERY_S:
            return False
        self._looked = time.monotonic()
        return len(gc.get_objects(generation=OLDEST)) > GROWTH * self._outlived
