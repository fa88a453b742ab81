"""The questions: outlined on the slides, brought into sight, opened, skipped; and regions annotated unasked."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, Qt, Signal
from PySide6.QtWidgets import QMenu

from histoloop.annotations.records import AnnotationStatus, QueryStatus
from histoloop.errors import DataError
from histoloop.geometry import Region
from histoloop.gui.canvas.canvas_overlay import QueryBox
from histoloop.gui.canvas.tools.place_tool import PlaceTool
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.earlier_work import is_of_another
from histoloop.workflows.contents.places import LARGEST_PX, place_on_line, place_on_slide, usual_place

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PySide6.QtGui import QAction

    from histoloop.gui.canvas.mask_pane import MaskPane, SplitView
    from histoloop.gui.panels.queue_panel import QueuePanel
    from histoloop.gui.work.session import Session
    from histoloop.store.records import AnnotationRecord, SlideRecord


class QuestionControl(QObject):
    """Wires the queue to the canvases and the session.

    `boxes` is checked while the questions are outlined; `choose_slide` shows a slide (by id); `show_problem` shows a
    message with advice. `reported` is emitted with a sentence about what was opened, `placing` the name
    of the action by which a place is being shown with the mouse, empty when it no longer is.
    """

    reported = Signal(str)
    placing = Signal(str)

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
        self._place = PlaceTool(self._viewer)
        self._placing_on: int | None = None  # the slide on which a place is being shown

    def connect_all(self) -> None:
        """Begin to listen."""
        self._queue.query_selected.connect(self._show_query)
        self._queue.query_opened.connect(self.open_query)
        self._queue.query_skipped.connect(self._session.annotating.skip_query)
        self._place.dragged.connect(self._annotate_place)
        self._place.outlined.connect(self._annotate_line)
        self._place.clicked.connect(self.annotate_around)
        self._place.ended.connect(lambda: self.placing.emit(""))
        self._viewer.menu_wanted.connect(self._show_menu)
        self._opener.changed.connect(self._end_on_other_slide)
        self._session.annotating.started.connect(self._place.end)

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
            self.open_query(query_id)
        else:
            self._queue.select(query_id)

    # --- what the user does -------------------------------------------------------------------------------------------

    def open_next(self) -> None:
        """Go to the question after the one in hand; a draft in hand stays."""
        active, shown = self._session.active, self._queue.shown_ids()
        chosen = None if active is None else active.record.query_id
        if self._opener.trouble is not None and self._opener.wanted == self._queue.current_slide_id():
            chosen = self._queue.current_id()  # its slide cannot be shown: go on with the one after it
        self._session.annotating.leave()
        if shown:
            following = shown[(shown.index(chosen) + 1) % len(shown)] if chosen in shown else shown[0]
            self._queue.select(following)
            self.open_query(following)

    def annotate_visible(self) -> None:
        """Paint the part of the slide that is on the screen, or its middle when that is large."""
        scene, slide_id = self._viewer.scene, self._opener.current
        visible = None if scene is None else self._viewer.visible_region().intersection(scene.slide.extent)
        if visible is None or slide_id is None:
            self._show_problem(tr("No part of the slide is in view."), tr("Move the slide into view first."))
            return
        width, height = min(visible.width, LARGEST_PX), min(visible.height, LARGEST_PX)
        x, y = visible.x + (visible.width - width) // 2, visible.y + (visible.height - height) // 2
        self._session.annotating.leave()
        self._open_place(slide_id, Region(x, y, width, height))

    def annotate_here(self, on: bool) -> None:
        """Let the user show a place to annotate: a rectangle that is dragged, or a click for the usual size."""
        self._show_place(
            "annotate_here", on, tr("Drag a rectangle to annotate, or click for the usual size; Esc ends this.")
        )

    def annotate_line(self, on: bool) -> None:
        """Let the user draw a line around a place to annotate."""
        self._show_place(
            "annotate_line", on, tr("Draw a line around the place to annotate, the button held; Esc ends this.")
        )

    def _show_place(self, action: str, on: bool, how: str) -> None:
        self._place.end()
        if not on:
            return
        if self._viewer.scene is None or self._opener.current is None:
            self.placing.emit("")
            self._show_problem(tr("No part of the slide is in view."), tr("Move the slide into view first."))
        else:
            self._session.annotating.leave()
            self._placing_on = self._opener.current
            self._place.begin(freely=action == "annotate_line")
            self.placing.emit(action)
            self.reported.emit(how)

    def _end_on_other_slide(self) -> None:
        if self._opener.current != self._placing_on:
            self._place.end()

    def annotate_around(self, x: float, y: float) -> None:
        """Paint a square of the usual size around a point of the slide on the screen (level-0 pixels)."""
        project, slide_id = self._session.project, self._opener.current
        if project is not None and slide_id is not None:
            slide = project.slides.get(slide_id)
            if not (0 <= x < slide.width and 0 <= y < slide.height):
                self._annotate_place(Region(int(x), int(y), 1, 1))
                return
            self._annotate_place(usual_place(project, slide, x, y, region_map_px=self._session.region_map_px))

    def _annotate_place(self, wanted: Region) -> None:
        """Paint what of a rectangle lies on the slide on the screen; say why where that cannot be."""
        self._annotate_on_slide(lambda slide: (place_on_slide(slide, wanted), None))

    def _annotate_line(self, line: NDArray[np.float64]) -> None:
        """Paint what lies inside a line (N, 2) on the slide on the screen; say why where that cannot be."""
        self._annotate_on_slide(lambda slide: (place_on_line(slide, line), line))

    def _annotate_on_slide(self, find: Callable[[SlideRecord], tuple[Region, NDArray[np.float64] | None]]) -> None:
        project, slide_id = self._session.project, self._opener.current
        if project is None or slide_id is None:
            return
        try:
            place, line = find(project.slides.get(slide_id))
        except DataError as error:
            self._show_problem(error.message, error.advice)
            return
        self._session.annotating.leave()
        self._open_place(slide_id, place, line=line)

    def _show_menu(self, place: QPoint, x: float, y: float) -> None:
        """What can be done at a place of the slide."""
        menu = QMenu(self._split)
        menu.setObjectName("place")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        here = menu.addAction(tr("Annotate here"), functools.partial(self.annotate_around, x, y))
        drag = menu.addAction(tr("Annotate a rectangle…"), functools.partial(self.annotate_here, True))
        line = menu.addAction(tr("Annotate inside a line…"), functools.partial(self.annotate_line, True))
        for action in (here, drag, line):
            action.setEnabled(not self._session.read_only)
        menu.popup(place)

    def open_query(self, query_id: int) -> None:
        """Annotate the region of a question; one that was answered elsewhere meanwhile is reported."""
        session = self._session
        if session.project is None:
            return
        query = session.project.queries.get(query_id)
        if query.status is not QueryStatus.OPEN:
            session.queries_changed.emit()
            self.reported.emit(tr("This question is no longer open: it has been answered or replaced in the meantime."))
        if query.status in (QueryStatus.OPEN, QueryStatus.ANNOTATED):
            self._open_place(query.slide_id, query.region, query_id)

    def _open_place(
        self, slide_id: int, region: Region, query_id: int | None = None, *, line: NDArray[np.float64] | None = None
    ) -> None:
        """Annotate a region (what of it lies inside a `line`), after asking where there is some work already."""
        begin = functools.partial(self._session.annotating.begin_region, slide_id, region, query_id, line=line)
        then = functools.partial(self._open_beside, region, query_id, begin)
        self._session.annotating.look(slide_id, region, then)

    def _open_beside(
        self, region: Region, query_id: int | None, begin: Callable[[], object], there: list[AnnotationRecord]
    ) -> None:
        """Annotate a region where `there` is some work already."""
        person = self._session.person
        same = [record for record in there if record.region == region]
        if any(record.status is AnnotationStatus.DONE or not is_of_another(record, person) for record in same):
            begin()
            finished = next((record for record in same if record.status is AnnotationStatus.DONE), None)
            if same[0] is finished:
                self.reported.emit(
                    tr(
                        "{person} finished this region on {day}. It stays as it is until you save it again.",
                        person=_who(finished),
                        day=finished.updated[:10],
                    )
                )
        elif same:
            self._ask_about_begun(same[0], begin, query_id)
        elif there:
            self._ask_about_place(there, begin)
        else:
            begin()

    def _ask_about_begun(self, draft: AnnotationRecord, begin: Callable[[], object], query_id: int | None) -> None:
        go_on = functools.partial(self._session.annotating.go_on, draft.id, query_id)
        ChoiceDialog(
            self._split.window(),
            title=tr("Started by someone else"),
            text=tr("{person} started this region on {day}.", person=_who(draft), day=draft.updated[:10]),
            detail=tr("What {person} painted stays as it is. What you save carries your name.", person=_who(draft)),
            choices=[(tr("Continue with it"), go_on), (tr("Start your own"), begin)],
            default=0,
        ).open()

    def _ask_about_place(self, there: list[AnnotationRecord], begin: Callable[[], object]) -> None:
        nearest = there[0]
        if nearest.status is AnnotationStatus.DONE:
            text = tr("{person} finished a region here on {day}.", person=_who(nearest), day=nearest.updated[:10])
        elif is_of_another(nearest, self._session.person):
            text = tr("{person} started a region here on {day}.", person=_who(nearest), day=nearest.updated[:10])
        else:
            text = tr("You started a region here on {day}.", day=nearest.updated[:10])
        more = tr_plural("There is {count} more region here.", "There are {count} more regions here.", len(there) - 1)
        detail = tr("A new region does not replace it, but where two finished regions overlap, the newer one is used.")
        ChoiceDialog(
            self._split.window(),
            title=tr("There is work here already"),
            text=text,
            detail=f"{more} {detail}" if len(there) > 1 else detail,
            choices=[
                (tr("Open that region"), functools.partial(self._session.annotating.go_on, nearest.id)),
                (tr("Start a new region"), begin),
            ],
            default=0,
        ).open()

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


def _who(record: AnnotationRecord) -> str:
    return record.person or tr("Someone")
