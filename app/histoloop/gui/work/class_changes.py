"""The classes of the open project: changed in order with what is painted, counted, taken back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.work.failure import ignore
from histoloop.workflows import classes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.gui.work.annotating import Annotating
    from histoloop.gui.work.failure import Failure
    from histoloop.gui.work.project_desk import ProjectDesk
    from histoloop.store.project import Project
    from histoloop.workflows.classes import ClassUse


class ClassChanges(QObject):
    """What a session does with classes.

    `changed` is emitted once they are others, and `refused` with the reason when they stay as they were. A change by
    which the values of masks become others ends the region in hand, and goes on with it afterwards; `taken_back` is
    emitted with what was, in words.
    """

    changed = Signal()
    refused = Signal(str)
    taken_back = Signal(str)

    def __init__(self, session: ProjectDesk, *, annotating: Annotating) -> None:
        super().__init__(session)
        self._session, self._annotating = session, annotating
        self._revision: int | None = None

    def begin(self) -> None:
        """Another project, or none: its classes are as they are."""
        self._revision = self._revision_now()

    def refresh(self) -> None:
        """Find out whether another program has changed the classes; a region in hand is opened anew then."""
        if self._revision_now() != self._revision:
            self._change(_nothing, values=True)

    def _revision_now(self) -> int | None:
        project = self._session.project
        return None if project is None else project.classes.revision()

    @property
    def can_undo(self) -> bool:
        """Whether there is a change that can be taken back."""
        project = self._session.project
        return project is not None and any(not change.undone for change in classes.class_changes(project))

    def add(self, name: str, colour: str) -> None:
        """Add a class, the last one."""
        self._change(functools.partial(_add, name, colour))

    def rename(self, name: str, new: str) -> None:
        """Call a class another name."""
        self._change(functools.partial(_rename, name, new))

    def recolour(self, name: str, colour: str) -> None:
        """Give a class another colour ('#rrggbb')."""
        self._change(functools.partial(_recolour, name, colour))

    def reorder(self, names: Sequence[str]) -> None:
        """Put the classes into another order."""
        self._change(functools.partial(_reorder, tuple(names)), values=True)

    def merge(self, name: str, into: str) -> None:
        """Let a class count as another from now on."""
        self._change(functools.partial(_merge, name, into), values=True)

    def remove(self, name: str) -> None:
        """Take a class away."""
        self._change(functools.partial(_remove, name), values=True)

    def undo(self) -> None:
        """Take the last change back."""
        self._change(classes.undo_class_change, values=True, then=self._on_taken_back)

    def find_use(self, name: str, then: Callable[[ClassUse], object]) -> None:
        """Find what of the project is of a class, after what is being written; `then` is called with it."""
        self._session.write(functools.partial(_use, name), on_done=then, on_failed=self._on_refused)

    def _change(
        self,
        change: Callable[[Project], object],
        *,
        values: bool = False,
        then: Callable[[object], object] = ignore,
    ) -> None:
        """Have the classes changed; with `values` the masks get others, so that nothing may be painted meanwhile."""
        active = self._annotating.active if values else None
        if active is not None:
            self._annotating.leave()

        def settle() -> None:
            if active is not None:
                self._annotating.go_on(active.record.id, active.record.query_id)

        def done(result: object) -> None:
            self._revision = self._revision_now()
            self.changed.emit()
            then(result)
            settle()

        def failed(failure: Failure) -> None:
            self._on_refused(failure)
            settle()

        self._session.write(change, on_done=done, on_failed=failed)

    def _on_taken_back(self, words: object) -> None:
        if isinstance(words, str):
            self.taken_back.emit(words)

    def _on_refused(self, failure: Failure) -> None:
        self.refused.emit(str(failure))


def _nothing(_project: Project) -> None:
    """After what is being written."""


def _add(name: str, colour: str, project: Project) -> None:
    classes.add_class(project, name, colour=colour)


def _rename(name: str, new: str, project: Project) -> None:
    classes.rename_class(project, name, new)


def _recolour(name: str, colour: str, project: Project) -> None:
    classes.recolour_class(project, name, colour)


def _reorder(names: Sequence[str], project: Project) -> None:
    classes.reorder_classes(project, names)


def _merge(name: str, into: str, project: Project) -> None:
    classes.merge_classes(project, name, into=into)


def _remove(name: str, project: Project) -> None:
    classes.remove_class(project, name)


def _use(name: str, project: Project) -> ClassUse:
    return classes.use_of_class(project, name)
