"""Two readers in the window: who sits here, what is read without sight of the first reading, and how both agree."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.dialogs.agreement_dialog import AgreementDialog
from histoloop.gui.kit.widgets import visible_name
from histoloop.gui.work.reviews import Reviews
from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.readings import (
    STATES,
    agreements,
    choose,
    over_all,
    regions_to_read,
    take_back_choice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QWidget

    from histoloop.geometry import Region
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.annotations_control import AnnotationsControl
    from histoloop.gui.window.readers.person_bar import PersonBar
    from histoloop.gui.window.slide_control import SlideControl
    from histoloop.gui.work.session import Session
    from histoloop.store.project import Project
    from histoloop.workflows.contents.readings import Agreement, RegionAgreement
    from histoloop.workflows.contents.review import ToReview

    Found = tuple[list[RegionAgreement], Agreement]


class SecondReader(QObject):
    """Asks in `bar` and in dialogs over `parent`; `changed` comes when what is hidden from the reader is another."""

    changed = Signal()
    reported = Signal(str)

    def __init__(
        self,
        *,
        parent: QWidget,
        session: Session,
        settings: Settings,
        bar: PersonBar,
        go_to: Callable[[int, Region], object],
        slides: SlideControl,
        annotations: AnnotationsControl,
    ) -> None:
        super().__init__(parent)
        self._parent, self._session, self._settings, self._bar = parent, session, settings, bar
        self._go_to, self._slides, self._annotations = go_to, slides, annotations
        self.reviews = Reviews(session)
        self.reviews.changed.connect(self._show_review)
        self._walked: int | None = None
        """The annotation that was walked to last."""
        self.dialog: AgreementDialog | None = None
        bar.answered.connect(self._on_answered)

    # --- who sits here ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Another project, or none: the person of it is known on this machine, or asked."""
        project = self._session.project
        self._walked = None
        self._session.annotating.blinded = project is not None and self._settings.is_blinded(project.folder)
        self.changed.emit()
        self._bar.setVisible(False)
        if project is None:
            return
        known = self._settings.person_of(project.folder)
        if known:
            self._session.person = known
            self.reviews.look()
        elif not project.read_only:
            self._bar.ask(self._session.person)

    def _on_answered(self, name: str) -> None:
        if self._session.project is not None:
            self._settings.set_person_of(self._session.project.folder, name)
            self._session.person = name
            self.reviews.look()
            self.changed.emit()

    # --- reading blinded ----------------------------------------------------------------------------------------------

    @property
    def is_blinded(self) -> bool:
        """Whether nothing of others, and no masks, are shown."""
        return self._session.annotating.blinded

    def set_blinded(self, on: bool) -> None:
        """Hide masks, predictions and the annotations of others, or show them again."""
        if on != self.is_blinded:
            self._session.annotating.leave()
            self._session.annotating.blinded = on
            if self._session.project is not None:
                self._settings.set_blinded(self._session.project.folder, on)
            self._show_review()
            self.changed.emit()

    def read_next(self) -> None:
        """Paint the next region of another reader, without sight of what that one did; masks are hidden from now on."""
        project = self._session.project
        if project is None:
            return
        waiting = regions_to_read(project, self._session.person)
        if not waiting:
            nothing = tr("No region waits for a second reader: nobody else has painted one that was not read twice.")
            who = tr(
                "You annotate as {person}; somebody else sets another name first (Settings > Your name).",
                person=visible_name(self._session.person or tr("Someone")),
            )
            self._session.notice.emit(f"{nothing} {who}")
            return
        self.set_blinded(True)
        self._session.annotating.leave()
        self._go_to(waiting[0].slide_id, waiting[0].region)
        self._session.annotating.go_on(waiting[0].id)
        self.reported.emit(
            tr_plural(
                "{count} region to read. Masks are hidden until you end the blinded reading.",
                "{count} regions to read. Masks are hidden until you end the blinded reading.",
                len(waiting),
            )
        )

    # --- what is to be reviewed ---------------------------------------------------------------------------------------

    def walk(self, by: int) -> None:
        """Show the next region (1) that waits for whoever sits here, or the one before (-1), round and round."""
        waiting = self.reviews.review.waiting
        if not waiting:
            self._session.notice.emit(
                tr("No region waits for review: readers differ nowhere, and nobody else has painted one alone.")
            )
            return
        number = self._next_of(waiting, by)
        one = waiting[number]
        self._walked = one.annotation_id
        self._session.annotating.leave()
        self._go_to(one.slide_id, one.region)
        self._annotations.select(one.annotation_id)
        self.reported.emit(
            tr(
                "Region {number} of {count} to review: {state} ({readers})",
                number=number + 1,
                count=len(waiting),
                state=tr(STATES[one.state]),
                readers=", ".join(visible_name(name or tr("Someone")) for name in one.readers),
            )
        )

    def _next_of(self, waiting: Sequence[ToReview], by: int) -> int:
        """From where one went last; else from the slide on the screen on."""
        ids = [one.annotation_id for one in waiting]
        if self._walked in ids:
            return (ids.index(self._walked) + by) % len(ids)
        shown = self._session.on_screen or 0
        after = next((number for number, one in enumerate(waiting) if one.slide_id >= shown), 0)
        return after if by > 0 else (after - 1) % len(ids)

    def _show_review(self) -> None:
        review = self.reviews.review
        self._slides.show_review(review.slides)
        self._annotations.show_review(review.read_twice)

    def shut_down(self) -> None:
        """End the thread that compares masks."""
        self.reviews.shut_down()

    # --- agreement ----------------------------------------------------------------------------------------------------

    def show_agreement(self) -> None:
        """Compare all regions that two readers painted; ends a blinded reading of whoever looks."""
        self.set_blinded(False)
        self._session.write(_compare, on_done=self._show)

    def _show(self, found: Found) -> None:
        project = self._session.project
        if project is None:
            return
        compared, together = found
        if not compared:
            self._session.notice.emit(
                tr("No region was painted by two readers yet: Loop > 'Read the next region blinded'.")
            )
            return
        if self.dialog is None or not self.dialog.isVisible():
            self.dialog = AgreementDialog(self._parent, classes=project.scheme.mask_names)
            self.dialog.set_read_only(project.read_only)
            self.dialog.chosen.connect(self._choose)
            self.dialog.taken_back.connect(self._take_back)
            self.dialog.go_requested.connect(self._go)
            self.dialog.anew_requested.connect(self._paint_anew)
            self.dialog.show()
        self.dialog.show_agreement(compared, together)

    def _choose(self, annotation_id: int) -> None:
        change = functools.partial(_choose, annotation_id, self._session.person)
        self._session.write(change, on_done=self._on_chosen)

    def _take_back(self, annotation_id: int) -> None:
        self._session.write(functools.partial(_take_back, annotation_id), on_done=self._on_chosen)

    def _on_chosen(self, found: Found) -> None:
        self._show(found)
        self._session.queries_changed.emit()
        self._session.slides_changed.emit()
        self._session.maps_changed.emit()

    def _go(self, compared: RegionAgreement) -> None:
        self._session.annotating.leave()
        self._go_to(compared.slide.id, compared.first.region)

    def _paint_anew(self, compared: RegionAgreement) -> None:
        """Begin a third painting with what counts now."""
        self._go(compared)
        self._session.annotating.go_on(compared.counts.id)


def _compare(project: Project) -> Found:
    found = agreements(project)
    return found, over_all(project, found)


def _choose(annotation_id: int, person: str, project: Project) -> Found:
    choose(project, annotation_id, person=person)
    return _compare(project)


def _take_back(annotation_id: int, project: Project) -> Found:
    take_back_choice(project, annotation_id)
    return _compare(project)
