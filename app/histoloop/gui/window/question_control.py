"""The questions: outlined on the slides, brought into sight, opened, skipped; and regions annotated unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from histoloop.geometry import Region
from histoloop.gui.canvas.canvas_overlay import QueryBox
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QAction

    from histoloop.gui.canvas.mask_pane import MaskPane, SplitView
    from histoloop.gui.panels.queue_panel import QueuePanel
    from histoloop.gui.work.session import Session

MAX_ANNOTATE_PX = 2048
"""Longest side of a region that is painted without being asked, in level-0 pixels."""


class QuestionControl(QObject):
    """Wires the queue to the canvases and the session.

    `boxes` is checked while the questions are outlined; `choose_slide` shows a slide (by id); `show_problem` shows a
    message with advice.
    """

    def __init__(
        self,
        *,
        split: SplitView,
        session: Session,
        queue: QueuePanel,
        boxes: QAction,
        choose_slide: Callable[[int], object],
        show_problem: Callable[[str, str], object],
    ) -> None:
        super().__init__(split)
        self._split, self._session, self._queue, self._boxes = split, session, queue, boxes
        self._viewer, self._opener = split.first.viewer, split.first.opener
        self._choose_slide, self._show_problem = choose_slide, show_problem

    def connect_all(self) -> None:
        """Begin to listen."""
        self._queue.query_selected.connect(self._show_query)
        self._queue.query_opened.connect(self._session.annotating.begin_query)
        self._queue.query_skipped.connect(self._session.annotating.skip_query)

    def connect_pane(self, pane: MaskPane) -> None:
        """Listen to a canvas that was opened."""
        pane.opener.shown.connect(lambda _slide_id: self.show_boxes())
        pane.viewer.query_clicked.connect(self._on_query_clicked)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_boxes(self) -> None:
        """Outline the open questions on the slide that is shown."""
        chosen = self._queue.current_id()
        queries = self._session.queries() if self._boxes.isChecked() else []
        for pane in self._split.panes():
            pane.viewer.show_queries(
                [
                    QueryBox(query.id, query.region, query.id == chosen)
                    for query in queries
                    if query.slide_id == pane.opener.current
                ]
            )

    def _show_query(self, query_id: int) -> None:
        """Bring the region of a query into sight, with its surroundings."""
        project = self._session.project
        if project is None or self._viewer.annotating is not None:
            return
        query = project.queries.get(query_id)
        self._choose_slide(query.slide_id)
        if self._opener.current == query.slide_id:
            self._viewer.show_region(query.region.grown(query.region.width))
        self.show_boxes()

    def _on_query_clicked(self, query_id: int) -> None:
        if query_id == self._queue.current_id():
            self._session.annotating.begin_query(query_id)
        else:
            self._queue.select(query_id)

    # --- what the user does -------------------------------------------------------------------------------------------

    def open_next(self) -> None:
        """Go to the question after the one in hand; a draft in hand stays."""
        session, shown = self._session, self._queue.shown_ids()
        chosen = session.active.record.query_id if session.active is not None else None
        if self._opener.trouble is not None and self._opener.wanted == self._queue.current_slide_id():
            chosen = self._queue.current_id()  # its slide cannot be shown: go on with the one after it
        session.annotating.leave()
        if shown:
            following = shown[(shown.index(chosen) + 1) % len(shown)] if chosen in shown else shown[0]
            self._queue.select(following)
            session.annotating.begin_query(following)

    def annotate_visible(self) -> None:
        """Paint the part of the slide that is on the screen, or its middle when that is large."""
        scene, slide_id = self._viewer.scene, self._opener.current
        visible = None if scene is None else self._viewer.visible_region().intersection(scene.slide.extent)
        if visible is None or slide_id is None:
            self._show_problem(tr("No part of the slide is in sight."), tr("Move the slide into view first."))
            return
        width, height = min(visible.width, MAX_ANNOTATE_PX), min(visible.height, MAX_ANNOTATE_PX)
        x, y = visible.x + (visible.width - width) // 2, visible.y + (visible.height - height) // 2
        self._session.annotating.leave()
        self._session.annotating.begin_region(slide_id, Region(x, y, width, height))

    def skip(self) -> None:
        """Leave out the region in hand, or the question that is selected."""
        chosen = self._queue.current_id()
        if self._session.active is not None:
            self._session.annotating.skip()
        elif chosen is not None:
            self._session.annotating.skip_query(chosen)

    def cannot_tell(self) -> None:
        """Leave out the region in hand, or the question that is selected, as one that nobody could answer."""
        chosen = self._queue.current_id()
        if self._session.active is not None:
            self._session.annotating.cannot_tell()
        elif chosen is not None:
            self._session.annotating.cannot_tell_query(chosen)
