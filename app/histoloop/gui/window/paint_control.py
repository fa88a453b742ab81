"""Painting a region: begins when the session has it ready and its slide is shown, keeps what can be undone, ends it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal

from histoloop.acquisition.strategies import reason_of
from histoloop.annotations.raster import difference_patch
from histoloop.annotations.records import AnnotationStatus
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.gui.window.history import Change, History
from histoloop.language import tr
from histoloop.store.records import AssessedStep, PaintedStep, StepKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.annotations.records import Patch
    from histoloop.gui.canvas.mask_pane import MaskPane
    from histoloop.gui.kit.actions import Actions
    from histoloop.gui.panels.annotation_panel import AnnotationPanel
    from histoloop.gui.work.annotating import ActiveAnnotation, TakenBack
    from histoloop.gui.work.session import Session
    from histoloop.store.records import AnnotationRecord, Step


class PaintControl(QObject):
    """Wires a canvas to the tools beside it and to the session.

    `slide_wanted` is emitted with the slide that a region to paint lies on, while another one is shown. `begun` and
    `ended` (with the record) are about the region in hand; `changed`: something else can be done with it now.
    `went_back` is emitted with what was taken back or done again outside of it (a `TakenBack`), `reported` with a
    sentence about either.
    """

    slide_wanted = Signal(int)
    begun = Signal()
    ended = Signal(object)
    changed = Signal()
    went_back = Signal(object)
    reported = Signal(str)

    def __init__(self, *, pane: MaskPane, session: Session, panel: AnnotationPanel, actions: Actions) -> None:
        super().__init__(pane)
        self._pane, self._viewer, self._opener = pane, pane.viewer, pane.opener
        self._session, self._panel, self._actions = session, panel, actions
        self._pending: ActiveAnnotation | None = None
        self._history = History(self)
        self.assessment: tuple[str | None, float | None] = (None, None)
        """Label and size that the user gave the region in hand."""

    def connect_all(self) -> None:
        """Begin to listen."""
        session, viewer, panel = self._session, self._viewer, self._panel
        session.annotating.started.connect(self._on_started)
        session.annotating.ended.connect(self._on_ended)
        session.annotating.saved.connect(panel.show_saved)
        session.annotating.not_saved.connect(panel.show_not_saved)
        self._opener.shown.connect(self._on_slide_shown)
        session.annotating.ending.connect(viewer.freeze)
        session.annotating.taken_back.connect(self._on_taken_back)
        session.annotating.reach_changed.connect(self.changed)
        viewer.patch_painted.connect(self._on_painted)
        viewer.tool_changed.connect(lambda tool: self._actions[f"tool_{tool}"].setChecked(True))
        panel.brush_changed.connect(viewer.set_brush_size)
        panel.class_changed.connect(viewer.set_class)
        panel.assessed.connect(self._on_assessed)
        self._history.changed.connect(self.changed)

    def begin(self) -> None:
        """Another project, or none: nothing is painted."""
        self._viewer.end_annotation()
        self._pending = None
        self._history.clear()

    # --- what the user does with the region in hand -------------------------------------------------------------------

    def clear(self) -> None:
        """Take all classes off the region."""
        self._viewer.replace_mask(np.zeros_like(self._viewer.painted_mask))

    def finish(self, *, with_mask: bool = True) -> None:
        """Save the region as it is painted, or label and size alone; asks before something finished is replaced."""
        self._panel.commit()
        annotating = self._session.annotating
        if self._history.can_undo:
            self._unless_replacing(functools.partial(annotating.finish, with_mask=with_mask), with_mask=with_mask)
        else:
            annotating.finish(with_mask=with_mask)

    def accept(self) -> None:
        """Save the model's mask as it was, whatever was painted since: taken back, all strokes are there again."""
        self._panel.commit()
        self._unless_replacing(self._accept)

    def _accept(self) -> None:
        active = self._session.active
        if active is None or self._viewer.annotating is None:
            return
        patch = difference_patch(self._viewer.painted_mask, active.predicted)
        if patch is not None:
            self._viewer.apply(patch)
        self._session.annotating.finish(last_patch=patch)

    def _unless_replacing(self, deed: Callable[[], object], *, with_mask: bool = True) -> None:
        """Do it at once where nothing finished would be replaced; otherwise ask."""
        active = self._session.active

        def ask(replaced: list[AnnotationRecord]) -> None:
            if active is None or self._session.active is not active:
                return
            if not replaced:
                deed()
                return
            last = max(replaced, key=lambda record: record.updated)
            ChoiceDialog(
                self._pane.window(),
                title=tr("Replace what is finished?"),
                text=tr(
                    "This region is finished already: by {person}, on {day}.",
                    person=last.person or tr("someone"),
                    day=last.updated[:10],
                ),
                detail=tr("If you replace it, what is on the screen now counts instead. 'Undo' brings it back."),
                choices=[(tr("Replace it"), deed)],
                cancel=tr("Go on painting"),
            ).open()

        self._session.annotating.find_replaced(ask, with_mask=with_mask)

    # --- taking back --------------------------------------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last change of the region in hand, else what this person did last in any."""
        if self._history.can_undo:
            self._history.undo()
        else:
            self._session.annotating.undo()

    def redo(self) -> None:
        """Do again what was taken back last."""
        if self._history.can_redo:
            self._history.redo()
        else:
            self._session.annotating.redo()

    @property
    def can_undo(self) -> bool:
        """Whether there is something to take back."""
        return self._history.can_undo or self._session.annotating.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is something to do again."""
        return self._history.can_redo or self._session.annotating.can_redo

    def _on_painted(self, after: Patch, before: Patch) -> None:
        """The user painted: keep it, as one step that can be undone."""
        self._session.annotating.paint(after)
        change = self._painting(PaintedStep(before, after))
        self._history.add(undo=change.undo, redo=change.redo)
        self._show_painted()

    def _painting(self, step: PaintedStep) -> Change:
        annotating = self._session.annotating

        def show(patch: Patch, keep: Callable[[], None], text: str) -> None:
            self._viewer.apply(patch)
            keep()
            self._show_painted()
            self.reported.emit(text)

        return Change(
            lambda: show(step.before, annotating.undo_in_hand, tr("Taken back: the last change of the mask.")),
            lambda: show(step.after, annotating.redo_in_hand, tr("Done again: the change of the mask.")),
        )

    def _assessing(self, step: AssessedStep) -> Change:
        annotating = self._session.annotating

        def show(values: tuple[str | None, float | None], keep: Callable[[], None], text: str) -> None:
            keep()
            self._show_assessment(*values)
            self.reported.emit(text)

        return Change(
            lambda: show(step.before, annotating.undo_in_hand, tr("Taken back: label or size of the region.")),
            lambda: show(step.after, annotating.redo_in_hand, tr("Done again: label or size of the region.")),
        )

    def _on_taken_back(self, taken: TakenBack) -> None:
        self.reported.emit(self._sentence(taken.step, redone=taken.redone))
        self.went_back.emit(taken)

    def _sentence(self, step: Step, *, redone: bool) -> str:
        project = self._session.project
        slide = "" if project is None else project.slides.get(step.slide_id).name
        if step.kind is StepKind.IMPORTED:
            text = (
                tr("Done again on {slide}: the import.", slide=slide)
                if redone
                else tr("Taken back on {slide}: the import. What was there before counts again.", slide=slide)
            )
            return text
        what = _what(step)
        if redone:
            return tr("Done again on {slide}: {what}.", slide=slide, what=what)
        if step.kind is StepKind.ENDED:
            return tr(
                "Taken back on {slide}: {what}. The region is a draft again, with all its strokes.",
                slide=slide,
                what=what,
            )
        if step.kind is StepKind.LEFT_OUT:
            return tr("Taken back on {slide}: {what}. The question is open again.", slide=slide, what=what)
        return tr("Taken back on {slide}: {what}.", slide=slide, what=what)

    def _on_assessed(self, label: str | None, size: float | None) -> None:
        """The user labelled the region or gave its size: keep it, as one step that can be undone."""
        before, after = self.assessment, (label, size)
        if before != after:
            self._session.annotating.assess(label, size)
            change = self._assessing(AssessedStep(before, after))
            self._history.add(undo=change.undo, redo=change.redo)
            self._show_assessment(label, size)

    # --- what the session and the canvas emit -------------------------------------------------------------------------

    def _on_started(self, active: ActiveAnnotation) -> None:
        self._pending = active
        if self._opener.current == active.record.slide_id:
            self._open(active)
        else:
            self.slide_wanted.emit(active.record.slide_id)

    def _on_slide_shown(self, slide_id: int) -> None:
        if self._pending is not None and self._pending.record.slide_id == slide_id:
            self._open(self._pending)

    def _open(self, active: ActiveAnnotation) -> None:
        """Lay the mask over the region and show what is known of it."""
        project = self._session.project
        if project is None:
            return
        self._pending = None
        record = active.record
        self._viewer.begin_annotation(record.region, active.mask, project.scheme)
        self._viewer.set_brush_size(self._panel.brush.value())
        query = None if record.query_id is None else project.queries.get(record.query_id)
        self._panel.begin(
            project.scheme,
            title=project.slides.get(record.slide_id).name,
            reason=reason_of(query) if query else tr("A region of your own choice."),
            value=_likeliest_class(active),
        )
        self._history.fill(map(self._change_of, active.steps.done), map(self._change_of, active.steps.undone))
        self._show_assessment(record.label, record.size)
        self._show_painted()
        self.begun.emit()

    def _change_of(self, step: PaintedStep | AssessedStep) -> Change:
        return self._painting(step) if isinstance(step, PaintedStep) else self._assessing(step)

    def _on_ended(self, record: AnnotationRecord) -> None:
        self._pending = None
        self._viewer.end_annotation()
        self._history.clear()
        self.ended.emit(record)

    def _show_assessment(self, label: str | None, size: float | None) -> None:
        self.assessment = (label, size)
        self._panel.show_assessment(label, size)
        self.changed.emit()

    def _show_painted(self) -> None:
        """Show what share of the region is painted, once the mask is no longer the model's."""
        active = self._session.active
        if active is not None and self._viewer.annotating is not None:
            mask = self._viewer.painted_mask
            own = not np.array_equal(mask, active.predicted)
            self._panel.show_painted(np.count_nonzero(mask) / mask.size if own else None)


def _likeliest_class(active: ActiveAnnotation) -> int:
    """The class that covers most of the mask; the first where there is none."""
    counts = np.bincount(active.mask.ravel(), minlength=2)[1:]
    return int(counts.argmax()) + 1


def _what(step: Step) -> str:
    """What a person did, as the window calls it."""
    if step.status is AnnotationStatus.DONE:
        return tr("Done")
    if step.status is AnnotationStatus.SKIPPED:
        return tr("Skip")
    if step.status is AnnotationStatus.CANNOT_TELL:
        return tr("Cannot tell")
    return tr("a change of the mask") if step.kind is StepKind.PAINTED else tr("label or size")
