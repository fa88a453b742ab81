"""Which regions two readers painted and how far they agree, found off the GUI thread: masks have to be compared."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.work.background import Worker
from histoloop.store.project import Project
from histoloop.workflows.contents.review import Review, review_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme
    from histoloop.gui.work.session import Session
    from histoloop.workflows.contents.readings import Agreement, Pair

    Found = tuple[Path, ClassScheme, Review]


class Reviews(QObject):
    """Looks when annotations may be others. `changed` comes when `review` is another one."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session, self._worker = session, Worker(self)
        self._found: Found | None = None
        for changed in (session.queries_changed, session.slides_changed, session.annotating.deleted):
            changed.connect(self.look)
        session.annotating.ended.connect(lambda _record: self.look())

    @property
    def review(self) -> Review:
        """Of the open project, for the person who sits here; a blinded reader learns nothing of others' agreement."""
        project = self._session.project
        if project is None or self._found is None or self._found[0] != project.folder:
            return Review()
        review = self._found[2]
        return review.blinded() if self._session.annotating.blinded else review

    def look(self) -> None:
        """Find it anew; masks that were compared before are not read again."""
        project = self._session.project
        if project is not None:
            before = None if self._found is None or self._found[0] != project.folder else self._found
            work = functools.partial(_find, project.folder, self._session.person, before)
            self._worker.request(work, on_done=self._take, topic="review")

    @property
    def idle(self) -> bool:
        """Whether nothing is compared or waits."""
        return self._worker.idle

    def shut_down(self) -> None:
        """End the thread."""
        self._worker.stop()

    def _take(self, found: Found) -> None:
        before, self._found = self.review, found
        if self.review != before:
            self.changed.emit()


def _find(folder: Path, person: str, before: Found | None) -> Found:
    with Project.connect(folder, read_only=True) as project:
        known: Mapping[Pair, Agreement] = {}
        if before is not None and before[1] == project.scheme:
            known = before[2].pairs()
        return folder, project.scheme, review_of(project, person=person, known=known)
