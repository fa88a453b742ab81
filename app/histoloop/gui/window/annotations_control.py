"""The list of annotations: filled from the project when it is looked at; goes to, reopens, deletes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.language import tr, tr_plural
from histoloop.workflows.annotations import listed_annotations
from histoloop.workflows.contents.earlier_work import is_of_another

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from histoloop.geometry import Region
    from histoloop.gui.panels.annotations_panel import AnnotationsPanel
    from histoloop.gui.work.annotation_details import AnnotationDetails
    from histoloop.gui.work.session import Session
    from histoloop.workflows.contents.readings import RegionAgreement


class AnnotationsControl(QObject):
    """Wires the list to the session; `go_to` brings a region (of a slide, by id) into sight.

    `deleted` is emitted once annotations were deleted or came back: masks on the screen are others then. `reported` is
    emitted with a sentence about what was done.
    """

    deleted = Signal()
    reported = Signal(str)

    def __init__(
        self,
        *,
        session: Session,
        panel: AnnotationsPanel,
        details: AnnotationDetails,
        go_to: Callable[[int, Region], object],
    ) -> None:
        super().__init__(panel)
        self._session, self._panel, self._details, self._go_to = session, panel, details, go_to
        self._is_stale = True
        self._read_twice: Mapping[int, RegionAgreement] = {}

    def connect_all(self) -> None:
        """Begin to listen."""
        self._panel.shown.connect(self._fill_if_stale)
        self._panel.go_to_requested.connect(self.go_to)
        self._panel.reopen_requested.connect(self._reopen)
        self._panel.delete_requested.connect(self._ask_to_delete)
        for changed in (self._session.queries_changed, self._session.slides_changed):
            changed.connect(self.show)
        self._session.annotating.ended.connect(lambda _record: self.show())
        self._session.annotating.deleted.connect(self.deleted)

    def begin(self) -> None:
        """Another project, or none."""
        project = self._session.project
        self._read_twice = {}
        self._details.begin(None if project is None else project.folder)
        self.show()

    def show(self) -> None:
        """Show what there is, now or once somebody looks."""
        self._is_stale = True
        if self._panel.isVisible():
            self._fill_if_stale()

    def show_review(self, read_twice: Mapping[int, RegionAgreement]) -> None:
        """Say of annotations (by id) that two readers painted their regions, and how far these agree."""
        self._read_twice = read_twice
        self.show()

    def select(self, annotation_id: int) -> None:
        """Select an annotation, where the list is in sight."""
        if self._panel.isVisible():
            self._panel.select(annotation_id)

    def read_again(self) -> None:
        """The classes are others: read all areas and pictures anew."""
        self._details.forget()
        self.show()

    def _fill_if_stale(self) -> None:
        project = self._session.project
        if self._is_stale:
            self._is_stale = False
            listed = [] if project is None else listed_annotations(project)
            if self._session.annotating.blinded:
                listed = [each for each in listed if not is_of_another(each.record, self._session.person)]
            classes = () if project is None else project.scheme.mask_names
            self._panel.show_annotations(listed, classes, self._read_twice)

    def go_to(self, annotation_id: int) -> None:
        """Bring an annotation into sight; what is being painted is left as a draft."""
        project = self._session.project
        if project is not None:
            self._session.annotating.leave()
            record = project.annotations.get(annotation_id)
            self._go_to(record.slide_id, record.region)

    def _reopen(self, annotation_id: int) -> None:
        self._session.annotating.leave()
        self._session.annotating.go_on(annotation_id)

    def _ask_to_delete(self, ids: list[int]) -> None:
        ChoiceDialog(
            self._panel.window(),
            title=tr("Delete annotations"),
            text=tr_plural("Delete {count} annotation?", "Delete {count} annotations?", len(ids)),
            detail=tr(
                "Deleted annotations are no longer used to train or measure a model; rounds trained on them "
                "stay as they are. 'Undo' brings them back: their files stay in the project's folder."
            ),
            choices=[(tr("Delete"), functools.partial(self._delete, ids))],
        ).open()

    def _delete(self, ids: list[int]) -> None:
        self._session.annotating.delete(ids)
        self.reported.emit(tr_plural("{count} annotation was deleted.", "{count} annotations were deleted.", len(ids)))
