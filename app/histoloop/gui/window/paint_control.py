"""Painting a region: begins when the session has it ready and its slide is shown, keeps what can be undone, ends it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Signal

from histoloop.acquisition.strategies import reason_of
from histoloop.gui.window.history import History
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.gui.canvas.mask_pane import MaskPane
    from histoloop.gui.kit.actions import Actions
    from histoloop.gui.panels.annotation_panel import AnnotationPanel
    from histoloop.gui.work.annotating import ActiveAnnotation
    from histoloop.gui.work.session import Session
    from histoloop.store.records import AnnotationRecord


class PaintControl(QObject):
    """Wires a canvas to the tools beside it and to the session.

    `slide_wanted` is emitted with the slide that a region to paint lies on, while another one is shown. `begun` and
    `ended` (with the record) are about the region in hand; `changed`: something else can be done with it now.
    """

    slide_wanted = Signal(int)
    begun = Signal()
    ended = Signal(object)
    changed = Signal()

    def __init__(self, *, pane: MaskPane, session: Session, panel: AnnotationPanel, actions: Actions) -> None:
        super().__init__(pane)
        self._viewer, self._opener = pane.viewer, pane.opener
        self._session, self._panel, self._actions = session, panel, actions
        self._pending: ActiveAnnotation | None = None
        self.history = History(self)
        self.assessment: tuple[str | None, float | None] = (None, None)
        """Label and size that the user gave the region in hand."""

    def connect_all(self) -> None:
        """Begin to listen."""
        session, viewer, panel = self._session, self._viewer, self._panel
        session.annotating.started.connect(self._on_started)
        session.annotating.ended.connect(self._on_ended)
        session.annotating.saved.connect(panel.show_saved)
        self._opener.shown.connect(self._on_slide_shown)
        viewer.patch_painted.connect(session.annotating.paint)
        viewer.patch_painted.connect(lambda _patch: self._show_painted())
        viewer.change_made.connect(lambda: self.history.add(undo=viewer.undo, redo=viewer.redo))
        viewer.tool_changed.connect(lambda tool: self._actions[f"tool_{tool}"].setChecked(True))
        panel.brush_changed.connect(viewer.set_brush_size)
        panel.class_changed.connect(viewer.set_class)
        panel.assessed.connect(self._on_assessed)
        self.history.changed.connect(self.changed)

    def begin(self) -> None:
        """Another project, or none: nothing is painted."""
        self._viewer.end_annotation()
        self._pending = None
        self.history.clear()

    # --- what the user does with the region in hand -------------------------------------------------------------------

    def clear(self) -> None:
        """Take all classes off the region."""
        self._viewer.replace_mask(np.zeros_like(self._viewer.painted_mask))

    def finish(self, *, with_mask: bool = True) -> None:
        """Save the region as it is painted, or label and size alone."""
        self._panel.commit()
        self._session.annotating.finish(with_mask=with_mask)

    def accept(self) -> None:
        """Save the model's mask as it was, whatever was painted since."""
        active = self._session.active
        if active is not None:
            self._viewer.replace_mask(active.predicted)
            self.finish()

    def _on_assessed(self, label: str | None, size: float | None) -> None:
        """The user labelled the region or gave its size: keep it, as one step that can be undone."""
        before, after = self.assessment, (label, size)
        if before != after:
            self.history.add(
                undo=functools.partial(self._assess, *before), redo=functools.partial(self._assess, *after)
            )
            self._assess(*after)

    def _assess(self, label: str | None, size: float | None) -> None:
        self._session.annotating.assess(label, size)
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
        self.history.clear()
        self._show_assessment(record.label, record.size)
        self._show_painted()
        self.begun.emit()

    def _on_ended(self, record: AnnotationRecord) -> None:
        self._pending = None
        self._viewer.end_annotation()
        self.history.clear()
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
