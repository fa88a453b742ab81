"""What can be undone and done again, in the order it was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal


@dataclass(frozen=True, slots=True)
class Change:
    """How to take something back, and how to do it again."""

    undo: Callable[[], object]
    redo: Callable[[], object]


class History(QObject):
    """Steps that were done; each knows how to take itself back."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._done: list[Change] = []
        self._undone: list[Change] = []

    def add(self, *, undo: Callable[[], object], redo: Callable[[], object]) -> None:
        """Something was done; what was undone before cannot be done again."""
        self._done.append(Change(undo, redo))
        self._undone.clear()
        self.changed.emit()

    def fill(self, done: Iterable[Change], undone: Iterable[Change]) -> None:
        """What was done before, oldest first, and what was taken back of it, in the order to do it again."""
        self._done, self._undone = list(done), list(undone)[::-1]
        self.changed.emit()

    def undo(self) -> None:
        """Take the last step back."""
        if self._done:
            step = self._done.pop()
            self._undone.append(step)
            step.undo()
            self.changed.emit()

    def redo(self) -> None:
        """Do again what was taken back."""
        if self._undone:
            step = self._undone.pop()
            self._done.append(step)
            step.redo()
            self.changed.emit()

    def clear(self) -> None:
        """Nothing of this can be undone any more."""
        self._done.clear()
        self._undone.clear()
        self.changed.emit()

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self._undone)
