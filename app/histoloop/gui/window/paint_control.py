"""Painting a region: begins when the session has it ready and its slide is shown, keeps what can be undone, ends it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QIcon, QKeySequence

from histoloop.acquisition.strategies import reason_of
from histoloop.annotations.class_names import spoken_title
from histoloop.annotations.painting import PAINTED_BACKGROUND
from histoloop.annotations.raster import difference_patch
from histoloop.annotations.records import LEFT_OUT_VALUE, AnnotationStatus, Counts
from histoloop.gui.canvas.tools.mask_deeds import MaskDeeds
from histoloop.gui.canvas.tools.object_tool import ObjectTool
from histoloop.gui.canvas.tools.outline_tool import OutlineTool
from histoloop.gui.canvas.tools.wand_tool import WandTool
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.gui.kit.actions import CLASS_KEYS
from histoloop.gui.kit.widgets import menu_text, swatch
from histoloop.gui.window.history import Change, History
from histoloop.language import tr
from histoloop.store.records import AssessedStep, CountedStep, PaintedStep, StepKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.annotations.painting import PaintedRegion
    from histoloop.annotations.records import ClassScheme, Mask, Patch
    from histoloop.gui.canvas.mask_pane import MaskPane
    from histoloop.gui.kit.actions import Actions
    from histoloop.gui.panels.annotation_panel import AnnotationPanel
    from histoloop.gui.work.annotating import ActiveAnnotation, TakenBack
    from histoloop.gui.work.session import Session
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, QueryRecord, Step, StepInDraft


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
        self._class_menu = actions.submenus["paint_class"]
        self._pending: ActiveAnnotation | None = None
        self._painted: PaintedRegion | None = None  # the region in hand
        self._painted_with: tuple[int, int] | None = None
        self._history = History(self)
        self.deeds = MaskDeeds(self._viewer)
        self.wand, self.objects = WandTool(self._viewer), ObjectTool(self._viewer)
        self.outlines = OutlineTool(self._viewer)
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
        self._class_menu.aboutToShow.connect(self._tick_class)
        viewer.patch_painted.connect(self._on_painted)
        viewer.tool_changed.connect(lambda tool: self._actions[f"tool_{tool}"].setChecked(True))
        panel.brush_changed.connect(viewer.set_brush_size)
        viewer.camera_changed.connect(self._scale_brush)
        self.deeds.reported.connect(self.reported)
        for tool in (self.wand, self.objects, self.outlines):
            tool.reported.connect(self.reported)
        self.deeds.locks_changed.connect(self._show_locks)
        self.deeds.prediction = self._prediction
        panel.class_changed.connect(self._on_class)
        panel.assessed.connect(self._on_assessed)
        panel.counts_changed.connect(self._on_counted)
        self._history.changed.connect(self.changed)

    def shut_down(self) -> None:
        """End the worker threads."""
        self.deeds.shut_down()
        self.wand.shut_down()
        self.objects.shut_down()
        self.outlines.shut_down()

    def begin(self) -> None:
        """Another project, or none: nothing is painted."""
        self._viewer.end_annotation()
        self._pending = self._painted = self._painted_with = None
        self._history.clear()
        self.deeds.set_locked(frozenset())

    def show_classes(self) -> None:
        """The classes have other names or colours: the one in hand stays it."""
        project, value = self._session.project, self._panel.classes.value
        if project is not None and self._viewer.annotating is not None:
            self._fill_class_menu(project.scheme)
            self._viewer.show_colours(project.scheme)
            self._panel.show_classes(project.scheme)
            self._panel.choose_class(value)
        self.deeds.set_locked(frozenset())

    def _fill_class_menu(self, scheme: ClassScheme) -> None:
        """The classes to paint with, the first ones with their keys."""
        self._class_menu.clear()
        for value, mask_class in enumerate(scheme.masks, start=1):
            action = self._class_menu.addAction(
                QIcon(swatch(mask_class.colour)),
                menu_text(spoken_title(mask_class.name)),
                functools.partial(self._panel.choose_class, value),
            )
            action.setCheckable(True)
            action.setData(value)
            if value <= CLASS_KEYS:
                action.setShortcut(QKeySequence(str(value)))

    def _tick_class(self) -> None:
        for action in self._class_menu.actions():
            action.setChecked(action.data() == self._panel.classes.value)

    # --- what the user does with the region in hand -------------------------------------------------------------------

    def clear(self) -> None:
        """Take all classes off the region; what was left out stays so."""
        shown = self._viewer.painted_mask
        self._viewer.replace_mask(np.where(shown == LEFT_OUT_VALUE, shown, np.uint8(0)))

    @property
    def counts(self) -> Counts:
        """What counts of the region in hand."""
        return Counts.REGION if self._painted is None else self._painted.counts

    def count_strokes(self, alone: bool) -> None:
        """Let the strokes alone count in the region in hand, or all of it."""
        self._on_counted(Counts.STROKES if alone else Counts.REGION)

    def finish(self, *, with_mask: bool = True) -> None:
        """Save the region as it is painted, or label and size alone; asks before something finished is replaced."""
        self._panel.commit()
        self.objects.accept()
        annotating = self._session.annotating
        self._viewer.close_polygon()
        if with_mask and self.counts is Counts.STROKES and self._painted is not None and not self._painted.has_strokes:
            self._session.problem.emit(
                tr("Nothing is painted in this region, and only painted areas count."),
                tr("Paint something, or let the whole region count."),
            )
            return
        if self._history.can_undo:
            self._unless_replacing(functools.partial(annotating.finish, with_mask=with_mask), with_mask=with_mask)
        else:
            annotating.finish(with_mask=with_mask)

    def accept(self) -> None:
        """Save the model's mask as it was, whatever was painted since: taken back, all strokes are there again."""
        self._panel.commit()
        self._viewer.close_polygon()
        self._unless_replacing(self._accept)

    def _accept(self) -> None:
        active = self._session.active
        if active is None or self._painted is None or self._viewer.annotating is None:
            return
        patch = difference_patch(self._painted.mask, active.predicted)
        if patch is not None:
            self._viewer.apply(self._painted.put(patch))
        self._session.annotating.finish(last_patch=patch, counts=Counts.REGION)

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
                title=tr("Replace the finished region?"),
                text=tr(
                    "This region is already finished: by {person}, on {day}.",
                    person=last.person or tr("someone"),
                    day=last.updated[:10],
                ),
                detail=tr("If you replace it, what is on the screen now is used instead. 'Undo' brings it back."),
                choices=[(tr("Replace it"), deed)],
                cancel=tr("Continue painting"),
            ).open()

        self._session.annotating.find_replaced(ask, with_mask=with_mask)

    # --- taking back --------------------------------------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last change of the region in hand, else what this person did last in any."""
        self.outlines.put_away()
        if self._viewer.take_back_corner():
            return
        if self.objects.is_showing:
            self.objects.drop()
        elif self._history.can_undo:
            self._history.undo()
        else:
            self._session.annotating.undo()

    def redo(self) -> None:
        """Do again what was taken back last."""
        self.outlines.put_away()
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
        if self._painted is None:
            return
        was, now = self._painted.take(after, before)
        step = PaintedStep(was, now)
        self._session.annotating.paint(now)
        change = self._painting(step)
        self._history.add(undo=change.undo, redo=change.redo)
        self._show_painted()

    def _painting(self, step: PaintedStep) -> Change:
        annotating = self._session.annotating

        def show(patch: Patch, keep: Callable[[], None], text: str) -> None:
            if self._painted is not None:
                self._viewer.apply(self._painted.put(patch))
            keep()
            self._show_painted()
            self.reported.emit(text)

        return Change(
            lambda: show(step.before, annotating.undo_in_hand, tr("Undone: the last change to the mask.")),
            lambda: show(step.after, annotating.redo_in_hand, tr("Redone: the change to the mask.")),
        )

    def _assessing(self, step: AssessedStep) -> Change:
        annotating = self._session.annotating

        def show(values: tuple[str | None, float | None], keep: Callable[[], None], text: str) -> None:
            keep()
            self._show_assessment(*values)
            self.reported.emit(text)

        return Change(
            lambda: show(step.before, annotating.undo_in_hand, tr("Undone: label or size of the region.")),
            lambda: show(step.after, annotating.redo_in_hand, tr("Redone: label or size of the region.")),
        )

    def _counting(self, step: CountedStep) -> Change:
        annotating = self._session.annotating

        def show(counts: Counts, keep: Callable[[], None], text: str) -> None:
            keep()
            self._show_counts(counts)
            self.reported.emit(text)

        return Change(
            lambda: show(step.before, annotating.undo_in_hand, tr("Undone: what counts in the region.")),
            lambda: show(step.after, annotating.redo_in_hand, tr("Redone: what counts in the region.")),
        )

    def _on_counted(self, counts: Counts) -> None:
        """The user chose what of the region counts: keep it, as one step that can be undone."""
        if self._painted is not None and self._painted.counts is not counts:
            self._viewer.close_polygon()
            before = self._painted.counts
            self._session.annotating.count(counts)
            change = self._counting(CountedStep(before, counts))
            self._history.add(undo=change.undo, redo=change.redo)
            self._show_counts(counts)

    def _show_counts(self, counts: Counts) -> None:
        if self._painted is not None:
            self._painted.counts = counts
            self._viewer.show_counts(self._painted.plane, counts)
            self._panel.show_counts(counts)
            self._show_painted()
            self.changed.emit()

    def _on_taken_back(self, taken: TakenBack) -> None:
        self.reported.emit(self._sentence(taken.step, redone=taken.redone))
        self.went_back.emit(taken)

    def _sentence(self, step: Step, *, redone: bool) -> str:
        project = self._session.project
        slide = "" if project is None else project.slides.get(step.slide_id).name
        if step.kind is StepKind.IMPORTED:
            text = (
                tr("Redone on {slide}: the import.", slide=slide)
                if redone
                else tr("Undone on {slide}: the import. The earlier annotations are used again.", slide=slide)
            )
            return text
        what = _what(step)
        if redone and step.kind is StepKind.DELETED:
            return tr("Redone: the annotations are deleted.")
        if redone:
            return tr("Redone on {slide}: {what}.", slide=slide, what=what)
        if step.kind is StepKind.ENDED:
            return tr(
                "Undone on {slide}: {what}. The region is a draft again, with all its strokes.",
                slide=slide,
                what=what,
            )
        if step.kind is StepKind.DELETED:
            return tr("Undone: deleted annotations. They are used again.")
        if step.kind is StepKind.LEFT_OUT:
            return tr("Undone on {slide}: {what}. The question is open again.", slide=slide, what=what)
        return tr("Undone on {slide}: {what}.", slide=slide, what=what)

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
        self._painted = active.painted
        self._fill_class_menu(project.scheme)
        self._viewer.begin_annotation(
            record.region, active.plane, project.scheme, record.counts, outside=active.outside
        )
        self._viewer.set_brush_size(self._panel.brush_size.diameter_px)
        query = None if record.query_id is None else project.queries.get(record.query_id)
        self._panel.begin(
            project.scheme,
            title=project.slides.get(record.slide_id).name,
            reason=_why(record, query),
            value=self._class_to_go_on_with(active, project) or active.value,
            judges=project.annotations.will_judge(record.slide_id, record.region, record.query_id),
        )
        self._panel.show_counts(record.counts)
        self._history.fill(map(self._change_of, active.steps.done), map(self._change_of, active.steps.undone))
        self._show_assessment(record.label, record.size)
        self._show_painted()
        self.begun.emit()

    def _scale_brush(self) -> None:
        """The brush keeps its width on the screen."""
        scene = self._viewer.scene
        if scene is not None:
            self._panel.brush_size.set_scale(self._viewer.camera().zoom, scene.slide.mpp)

    def _prediction(self) -> tuple[Mask, Counts] | None:
        active = self._session.active
        return None if active is None else (active.predicted, self.counts)

    def _show_locks(self) -> None:
        self._panel.classes.show_locked(self.deeds.locked)
        self._actions["lock_class"].setChecked(self._viewer.painted_class in self.deeds.locked)

    def _on_class(self, value: int) -> None:
        """Paint with a class, and remember which it is, whatever becomes of its place and name."""
        self._viewer.set_class(value)
        self._show_locks()
        project, active = self._session.project, self._session.active
        if project is not None and active is not None and value != PAINTED_BACKGROUND:
            self._painted_with = (active.record.id, project.classes.all()[value - 1].id)

    def _class_to_go_on_with(self, active: ActiveAnnotation, project: Project) -> int:
        """The mask value of the class that was in hand when the region was painted last; 0 where there is none."""
        if self._painted_with is None or self._painted_with[0] != active.record.id:
            return 0
        ids = [one.id for one in project.classes.all()]
        return ids.index(self._painted_with[1]) + 1 if self._painted_with[1] in ids else 0

    def _change_of(self, step: StepInDraft) -> Change:
        if isinstance(step, CountedStep):
            return self._counting(step)
        return self._painting(step) if isinstance(step, PaintedStep) else self._assessing(step)

    def _on_ended(self, record: AnnotationRecord) -> None:
        self._pending = self._painted = None
        self._viewer.end_annotation()
        self._history.clear()
        self.ended.emit(record)

    def _show_assessment(self, label: str | None, size: float | None) -> None:
        self.assessment = (label, size)
        self._panel.show_assessment(label, size)
        self.changed.emit()

    def _show_painted(self) -> None:
        """Show what share of the region is painted, once the mask is no longer the model's; strokes state none."""
        if self.counts is Counts.STROKES:
            self._panel.show_painted(None)
        elif self._painted is not None and self._viewer.annotating is not None:
            self._panel.show_painted(self._painted.share)


def _why(record: AnnotationRecord, query: QueryRecord | None) -> str:
    """What a region is in hand for."""
    if record.reading_of is not None:
        return tr("Second reading: you see neither masks nor what the first reader painted.")
    return reason_of(query) if query else tr("A region you chose yourself.")


def _what(step: Step) -> str:
    """What a person did, as the window calls it."""
    if step.status is AnnotationStatus.DONE:
        return tr("Done")
    if step.status is AnnotationStatus.SKIPPED:
        return tr("Skip")
    if step.status is AnnotationStatus.CANNOT_TELL:
        return tr("Cannot tell")
    if step.kind is StepKind.DELETED:
        return tr("deleted annotations")
    if step.kind is StepKind.COUNTED:
        return tr("what counts")
    return tr("a change to the mask") if step.kind is StepKind.PAINTED else tr("label or size")
