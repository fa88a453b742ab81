"""The region that is being annotated: begun or resumed, painted, labelled, ended, taken back; all written in order."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from histoloop.annotations.painting import PaintedRegion
from histoloop.annotations.records import AnnotationStatus, Counts, Mask, Patch
from histoloop.geometry import Region
from histoloop.language import tr, tr_plural
from histoloop.store.records import AnnotationRecord, DraftSteps, Step, StepKind
from histoloop.workflows import annotate
from histoloop.workflows.contents.earlier_work import earlier_work, is_of_another, replaced_by
from histoloop.workflows.contents.live_masks import LIVE_ORIGIN
from histoloop.workflows.contents.readings import begin_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histoloop.gui.work.failure import Failure
    from histoloop.gui.work.project_desk import ProjectDesk
    from histoloop.store.project import Project

SETTLE_S = 2.0
"""How long closing waits for what is being written, before it asks."""


@dataclass(frozen=True, slots=True, eq=False)
class ActiveAnnotation:
    """A region that is being painted: its draft, what is painted of it, and the model's mask it began with.

    `plane` is what a canvas shows of it at first, and `value` the mask value that covers most of it, the first one
    where there is none. `steps` are those of its strokes, labels, sizes and what counts that can be taken back or made
    again. `outside` is what lies beyond the line that a person drew around the region, (H, W); None where the region is
    all of its rectangle.
    """

    record: AnnotationRecord
    painted: PaintedRegion
    plane: Mask
    value: int
    predicted: Mask
    steps: DraftSteps
    outside: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TakenBack:
    """A step that was taken back, or done again (`redone`), where it was, and the draft to go on with, if any."""

    step: Step
    redone: bool
    region: Region
    active: ActiveAnnotation | None


class _Deed(Enum):
    """What waits to be written, in words for the user."""

    STROKE = auto()
    ASSESSMENT = auto()
    COUNTS = auto()
    DONE = auto()
    LEFT_OUT = auto()
    UNDO = auto()
    DELETION = auto()


class Annotating(QObject):
    """What a session does with regions, one at a time.

    `started` comes with the `ActiveAnnotation`, `ending` before it ends, while it can still be painted, `ended` with
    the record once it was ended or left, `taken_back` with a `TakenBack`. `saved` says whether everything painted and
    decided so far is on disk, `not_saved` why the oldest of it is not, although that was tried (empty: it is now).
    `deleted` comes when annotations were.
    `reach_changed`: `can_undo` or `can_redo` is another. `loss_feared` comes with what was to be done when something
    would be lost by it.
    """

    started = Signal(object)
    ending = Signal()
    ended = Signal(object)
    taken_back = Signal(object)
    deleted = Signal()
    reach_changed = Signal()
    saved = Signal(bool)
    not_saved = Signal(str)
    loss_feared = Signal(object)

    def __init__(self, session: ProjectDesk) -> None:
        super().__init__(session)
        self._session = session
        self._active: ActiveAnnotation | None = None
        self._is_ending = False
        self._waiting: list[tuple[_Deed, int | None]] = []
        self._may_lose = False
        self.blinded = False
        """Whether the person reads without sight of what others painted: those regions are painted from nothing."""
        self.why = ""
        """Why the oldest of what waits to be written could not be, as of the last try; empty while nothing failed."""
        self.live_mask: Callable[[int, Region], Callable[[], Mask] | None] = _no_mask
        """What makes the live mask of a region of a slide; None where live masks are not what is shown there."""
        self.can_undo = False
        """Whether the person who sits here did something, beside the region in hand, that can be taken back."""
        self.can_redo = False
        """Whether the person took something back that can be done again."""
        session.insistence.failed.connect(self._on_not_saved)

    @property
    def active(self) -> ActiveAnnotation | None:
        """What is being painted."""
        return self._active

    def begin(self) -> None:
        """Another project, or none: nothing is painted, nothing waits to be written."""
        self._active = None
        self._is_ending = self._may_lose = False
        self._waiting.clear()
        self._show_written()

    # --- opening ------------------------------------------------------------------------------------------------------

    def look(self, slide_id: int, region: Region, then: Callable[[list[AnnotationRecord]], object]) -> None:
        """Find what was begun or finished in a region; `then` is called with it (see `earlier_work`)."""
        self._session.write(functools.partial(_look, slide_id, region), on_done=then)

    def begin_query(self, query_id: int) -> None:
        """Start or resume the annotation of a query's region."""
        project = self._session.project
        if project is not None:
            query = project.queries.get(query_id)
            self.begin_region(query.slide_id, query.region, query_id)

    def begin_region(
        self,
        slide_id: int,
        region: Region,
        query_id: int | None = None,
        *,
        line: NDArray[np.float64] | None = None,
    ) -> None:
        """Start or resume the annotation of a region, of what lies inside a `line` (N, 2) where one was drawn.

        `started` is emitted then. The line is in level-0 pixels.
        """
        person, blinded = self._session.person, self.blinded
        live = _empty(region) if blinded else self.live_mask(slide_id, region)
        change = functools.partial(_begin, slide_id, region, query_id, person, live, line, blinded)
        self._session.write(change, on_done=self._on_begun)

    def go_on(self, annotation_id: int, query_id: int | None = None) -> None:
        """Go on with an annotation that was begun or finished, with a draft of one's own."""
        change = functools.partial(_go_on, annotation_id, query_id, self._session.person, self.blinded)
        self._session.write(change, on_done=self._on_begun)

    # --- the region in hand -------------------------------------------------------------------------------------------

    def paint(self, patch: Patch) -> None:
        """Journal a change; `saved(True)` is emitted when everything painted so far is on disk."""
        self._change(_Deed.STROKE, functools.partial(_append, patch))

    def assess(self, label: str | None, size: float | None) -> None:
        """Journal label and size of the region as a whole; reported as saved like a stroke."""
        self._change(_Deed.ASSESSMENT, functools.partial(_assess, label, size, self._session.person))

    def count(self, counts: Counts) -> None:
        """Journal what of the region in hand counts; reported as saved like a stroke."""
        self._change(_Deed.COUNTS, functools.partial(_count, counts))

    def undo_in_hand(self) -> None:
        """Take back the last stroke, label or size of the region in hand, which the caller has taken off the screen."""
        self._change(_Deed.UNDO, _undo_in)

    def redo_in_hand(self) -> None:
        """Make again what was taken back last in the region in hand."""
        self._change(_Deed.UNDO, _redo_in)

    def find_replaced(self, then: Callable[[list[AnnotationRecord]], object], *, with_mask: bool = True) -> None:
        """Find the finished annotations that the region in hand would replace if it were done now."""
        if self._active is not None:
            change = functools.partial(_find_replaced, self._active.record, with_mask)
            self._session.write(change, on_done=then)

    def finish(self, *, with_mask: bool = True, last_patch: Patch | None = None, counts: Counts | None = None) -> None:
        """Call the region done, with its label and size and, unless `with_mask` is off, its mask.

        `last_patch` changes the mask once more, `counts` (None: nothing) what of it counts; both are taken back
        together with the rest.
        """
        self._end_as(AnnotationStatus.DONE, with_mask=with_mask, last_patch=last_patch, counts=counts)

    def skip(self) -> None:
        """Leave the region out: it is not asked again."""
        self._end_as(AnnotationStatus.SKIPPED)

    def cannot_tell(self) -> None:
        """Leave the region out as one nobody could answer."""
        self._end_as(AnnotationStatus.CANNOT_TELL)

    def leave(self) -> None:
        """Stop painting; the draft stays and can be resumed."""
        if self._active is not None:
            self.ending.emit()
            left, self._active = self._active, None
            self._is_ending = False
            self.refresh()
            self.ended.emit(left.record)

    def _change(self, deed: _Deed, change: Callable[[int, Project], object]) -> None:
        """A change of the draft in hand."""
        if self._active is not None and not self._is_ending:
            record = self._active.record
            if deed is not _Deed.UNDO:
                self.can_redo = False
            self._write(deed, record.slide_id, functools.partial(change, record.id))

    def _end_as(
        self,
        status: AnnotationStatus,
        *,
        with_mask: bool = True,
        last_patch: Patch | None = None,
        counts: Counts | None = None,
    ) -> None:
        if self._active is None or self._is_ending:
            return
        self.ending.emit()
        self._is_ending = True
        record = self._active.record
        change = functools.partial(_finish, record.id, status, with_mask, last_patch, counts)
        deed = _Deed.DONE if status is AnnotationStatus.DONE else _Deed.LEFT_OUT
        self._write(deed, record.slide_id, change, self._on_finished)

    # --- questions, and taking back -----------------------------------------------------------------------------------

    def skip_query(self, query_id: int) -> None:
        """Take a query off the queue without opening it."""
        self._leave_out(query_id, annotate.skip)

    def cannot_tell_query(self, query_id: int) -> None:
        """Take a query off the queue, without opening it, as one nobody could answer."""
        self._leave_out(query_id, annotate.cannot_tell)

    def _leave_out(self, query_id: int, how: Callable[..., None]) -> None:
        project = self._session.project
        if project is not None:
            change = functools.partial(_leave_out, query_id, how, self._session.person)
            self._write(_Deed.LEFT_OUT, project.queries.get(query_id).slide_id, change, self._on_left_out)

    def delete(self, annotation_ids: Sequence[int]) -> None:
        """Delete annotations, as one step that can be taken back; the region in hand is left when it is one of them."""
        if self._session.project is not None and not self._is_ending:
            if self._active is not None and self._active.record.id in annotation_ids:
                self.leave()
            change = functools.partial(_delete, tuple(annotation_ids), self._session.person)
            self._write(_Deed.DELETION, None, change, self._on_deleted)

    def undo(self) -> None:
        """Take back what this person did last, in whichever region, even before the program was started."""
        self._step(functools.partial(_take_back, self._session.person))

    def redo(self) -> None:
        """Do again what this person took back last."""
        self._step(functools.partial(_do_again, self._session.person))

    def _step(self, change: Callable[[Project], TakenBack | None]) -> None:
        if self._session.project is not None and not self._is_ending:
            self._write(_Deed.UNDO, None, change, self._on_taken_back)

    def refresh(self) -> None:
        """Find out anew what can be taken back and done again beside the strokes of the region in hand."""
        project, person = self._session.project, self._session.person
        beside = None if self._active is None else self._active.record.id
        self.can_undo = project is not None and project.history.to_undo(person, beside=beside) is not None
        self.can_redo = project is not None and project.history.to_redo(person, beside=beside) is not None
        self.reach_changed.emit()

    # --- what is not saved yet ----------------------------------------------------------------------------------------

    def settled(self, then: Callable[[], object]) -> bool:
        """Whether all is written, so that the project may be closed; `loss_feared` is emitted with `then` when not."""
        if self._may_lose or not self._waiting or (not self.why and self._session.wait_until_written(SETTLE_S)):
            return True
        self.loss_feared.emit(then)
        return False

    def lose(self) -> None:
        """Give up what is not saved; the project may be closed then."""
        self._may_lose = True
        self._session.insistence.end(losing=True)

    def unsaved(self) -> list[str]:
        """What waits to be written, a line for each slide; empty when nothing does."""
        project = self._session.project
        if project is None:
            return []
        of_slides: dict[int | None, list[_Deed]] = {}
        for deed, slide_id in self._waiting:
            of_slides.setdefault(slide_id, []).append(deed)
        return [
            _in_words(deeds) if slide_id is None else f"{project.slides.get(slide_id).name}: {_in_words(deeds)}"
            for slide_id, deeds in of_slides.items()
        ]

    def _write(
        self,
        deed: _Deed,
        slide_id: int | None,
        change: Callable[[Project], object],
        on_done: Callable[..., object] | None = None,
    ) -> None:
        """Have something written before anything else, however often that must be tried."""
        if not self._waiting:
            self.saved.emit(False)
        self._waiting.append((deed, slide_id))

        def done(result: object) -> None:
            self._pop()
            if on_done is not None:
                on_done(result)

        self._session.write(change, on_done=done, on_failed=self._on_refused, insist=True)

    def _pop(self) -> None:
        """The oldest of what waited is written."""
        self._waiting.pop(0)
        self._show_written()
        if not self._waiting:
            self.saved.emit(True)
            if self._active is None:
                self.refresh()

    def _show_written(self) -> None:
        """Nothing fails any more."""
        if self.why:
            self.why = ""
            self.not_saved.emit("")

    def _on_not_saved(self, failure: Failure) -> None:
        """A try failed; the next follows."""
        if self._waiting:
            self.why = str(failure)
            self.not_saved.emit(self.why)

    def _on_refused(self, failure: Failure) -> None:
        """What was to be written cannot be, whatever the disk does."""
        self._pop()
        self._is_ending = False
        if not self._may_lose:
            message = " ".join((tr("What you painted or labelled could not be saved."), str(failure)))
            self._session.problem.emit(message, "")
            if self._active is not None:
                self.go_on(self._active.record.id)  # what is on the screen is what is saved

    # --- what comes of it ---------------------------------------------------------------------------------------------

    def _on_begun(self, active: ActiveAnnotation) -> None:
        self._active = active
        self._is_ending = False
        self.refresh()
        self.started.emit(active)
        if not self._waiting:
            self.saved.emit(True)

    def _on_finished(self, record: AnnotationRecord) -> None:
        was_active = self._active is not None and self._active.record.id == record.id
        if was_active:
            self._active = None
            self._is_ending = False
        self.refresh()
        self._session.queries_changed.emit()
        if was_active:
            self.ended.emit(record)

    def _on_left_out(self, _nothing: None) -> None:
        self.refresh()
        self._session.queries_changed.emit()

    def _on_deleted(self, _nothing: None) -> None:
        self.refresh()
        self._session.queries_changed.emit()
        self.deleted.emit()

    def _on_taken_back(self, taken: TakenBack | None) -> None:
        if taken is None:
            self.refresh()
            return
        self._session.queries_changed.emit()
        if not taken.redone or taken.active is not None:
            self.leave()
        if taken.active is not None:
            self._on_begun(taken.active)
        elif self._active is not None and self._active.record.id == taken.step.annotation_id:
            self._end_again(self._active.record)
        self.refresh()
        self.taken_back.emit(taken)

    def _end_again(self, record: AnnotationRecord) -> None:
        """The region in hand was finished by doing it again."""
        project = self._session.project
        self._active = None
        if project is not None:
            self.ended.emit(project.annotations.get(record.id))


def _look(slide_id: int, region: Region, project: Project) -> list[AnnotationRecord]:
    return earlier_work(project, slide_id, region)


def _find_replaced(record: AnnotationRecord, with_mask: bool, project: Project) -> list[AnnotationRecord]:
    return replaced_by(project, record, with_mask=with_mask)


def _empty(region: Region) -> Callable[[], Mask]:
    return lambda: np.zeros((region.height, region.width), np.uint8)


def _no_mask(_slide_id: int, _region: Region) -> Callable[[], Mask] | None:
    return None


def _begin(
    slide_id: int,
    region: Region,
    query_id: int | None,
    person: str,
    live: Callable[[], Mask] | None,
    line: NDArray[np.float64] | None,
    blinded: bool,
    project: Project,
) -> ActiveAnnotation:
    if blinded:
        there = [one for one in project.annotations.with_mask() if (one.slide_id, one.region) == (slide_id, region)]
        if any(is_of_another(one, person) for one in there):
            return _go_on(there[-1].id, query_id, person, blinded, project)
    mask = None if live is None else live()
    record = annotate.begin(
        project, slide_id=slide_id, region=region, query_id=query_id, person=person, live=mask, line=line
    )
    return _active(project, record)


def _go_on(annotation_id: int, query_id: int | None, person: str, blinded: bool, project: Project) -> ActiveAnnotation:
    record = project.annotations.get(annotation_id)
    if blinded and is_of_another(record, person):
        return _active(project, begin_reading(project, record.id, person=person))
    return _active(project, annotate.go_on(project, annotation_id, person=person, query_id=query_id))


def _active(project: Project, record: AnnotationRecord) -> ActiveAnnotation:
    if record.model_hash == LIVE_ORIGIN or record.reading_of is not None:
        predicted, _origin = project.annotations.load_base(record.id)
    else:
        predicted, _model = annotate.starting_mask(project, record.slide_id, record.region)
    outside = project.annotations.load_outside(record.id)
    if outside is not None:
        predicted[outside] = 0
    painted = PaintedRegion(
        *project.annotations.load_mask(record.id), predicted=predicted, counts=record.counts
    )  # all that looks at each pixel of a region, which may have millions, is done here, on the writer's thread
    value = painted.likeliest(len(project.scheme.masks))
    return ActiveAnnotation(record, painted, painted.plane, value, predicted, project.drafts.steps(record.id), outside)


def _append(patch: Patch, annotation_id: int, project: Project) -> None:
    project.drafts.append_patch(annotation_id, patch)


def _assess(label: str | None, size: float | None, person: str, annotation_id: int, project: Project) -> None:
    project.drafts.assess(annotation_id, label=label, size=size, person=person)


def _count(counts: Counts, annotation_id: int, project: Project) -> None:
    project.drafts.count(annotation_id, counts)


def _undo_in(annotation_id: int, project: Project) -> None:
    project.history.undo_in(annotation_id)


def _redo_in(annotation_id: int, project: Project) -> None:
    project.history.redo_in(annotation_id)


def _finish(
    annotation_id: int,
    status: AnnotationStatus,
    with_mask: bool,
    last_patch: Patch | None,
    counts: Counts | None,
    project: Project,
) -> AnnotationRecord:
    if status is AnnotationStatus.DONE:
        return annotate.finish(project, annotation_id, with_mask=with_mask, last_patch=last_patch, counts=counts)
    return project.drafts.finish(annotation_id, status)


def _leave_out(query_id: int, how: Callable[..., None], person: str, project: Project) -> None:
    how(project, query_id, person=person)


def _delete(annotation_ids: tuple[int, ...], person: str, project: Project) -> None:
    project.deletions.delete(annotation_ids, person=person)


def _take_back(person: str, project: Project) -> TakenBack | None:
    return _taken_back(project, project.history.undo(person), redone=False)


def _do_again(person: str, project: Project) -> TakenBack | None:
    return _taken_back(project, project.history.redo(person), redone=True)


def _taken_back(project: Project, step: Step | None, *, redone: bool) -> TakenBack | None:
    if step is None:
        return None
    if step.annotation_id is None:
        assert step.query_id is not None
        return TakenBack(step, redone, project.queries.get(step.query_id).region, None)
    record = project.annotations.get(step.annotation_id)
    is_draft = record.status is AnnotationStatus.DRAFT and step.kind is not StepKind.DELETED
    return TakenBack(step, redone, record.region, _active(project, record) if is_draft else None)


def _in_words(deeds: list[_Deed]) -> str:
    """'3 strokes, 1 label or size, Done'."""
    counts = Counter(deeds)
    kinds = []
    if count := counts[_Deed.STROKE]:
        kinds.append(tr_plural("{count} stroke", "{count} strokes", count))
    if count := counts[_Deed.ASSESSMENT]:
        kinds.append(tr_plural("{count} change of label or size", "{count} changes of label or size", count))
    if count := counts[_Deed.COUNTS]:
        kinds.append(tr_plural("{count} change of what counts", "{count} changes of what counts", count))
    if count := counts[_Deed.UNDO]:
        kinds.append(tr_plural("{count} step undone or redone", "{count} steps undone or redone", count))
    if counts[_Deed.LEFT_OUT]:
        kinds.append(tr("a region left out"))
    if counts[_Deed.DELETION]:
        kinds.append(tr("annotations that were deleted"))
    if counts[_Deed.DONE]:
        kinds.append(tr("a region that is done"))
    return ", ".join(kinds)
