"""The window: panels around the viewer. It makes the parts, connects them, and knows what can be done now."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtWidgets import (
    QDockWidget,
    QMainWindow,
    QMessageBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.records import AnnotationStatus, Counts
from histoloop.gui.canvas.mask_pane import SplitView
from histoloop.gui.canvas.pointer_readout import PointerReadout
from histoloop.gui.canvas.tools.pen_pressure import PenPressure
from histoloop.gui.dialogs.report_dialog import ReportDialog
from histoloop.gui.kit.actions import Actions
from histoloop.gui.kit.fitting_toolbar import FittingToolBar
from histoloop.gui.kit.one_line import OneLine
from histoloop.gui.kit.texts import NOTICE
from histoloop.gui.kit.widgets import menu_text, scrolling, visible_name
from histoloop.gui.panels.annotation_panel import AnnotationPanel
from histoloop.gui.panels.annotations_panel import AnnotationsPanel
from histoloop.gui.panels.job_bar import JobBar
from histoloop.gui.panels.overlay_panel import OverlayPanel
from histoloop.gui.panels.queue_panel import QueuePanel
from histoloop.gui.panels.slides.slides_panel import SlidesPanel, dropped_paths
from histoloop.gui.panels.training_panel import TrainingPanel
from histoloop.gui.window.annotations_control import AnnotationsControl
from histoloop.gui.window.banner import Banner
from histoloop.gui.window.class_control import ClassControl
from histoloop.gui.window.help_commands import HelpCommands
from histoloop.gui.window.import_control import ImportControl
from histoloop.gui.window.job_control import JobControl
from histoloop.gui.window.live_control import LiveControl
from histoloop.gui.window.look_control import LookControl
from histoloop.gui.window.loop_control import LoopControl
from histoloop.gui.window.mask_control import MaskControl
from histoloop.gui.window.menus import MENUS
from histoloop.gui.window.newcomers.five_steps import FiveSteps
from histoloop.gui.window.newcomers.welcome import Welcome
from histoloop.gui.window.not_saved import NotSaved
from histoloop.gui.window.opening import Opening
from histoloop.gui.window.paint_control import PaintControl
from histoloop.gui.window.preferences import Preferences
from histoloop.gui.window.project_commands import ProjectCommands
from histoloop.gui.window.question_control import QuestionControl
from histoloop.gui.window.read_only_bar import ReadOnlyBar
from histoloop.gui.window.readers.person_bar import PersonBar
from histoloop.gui.window.readers.second_reader import SecondReader
from histoloop.gui.window.slide_control import SlideControl
from histoloop.gui.window.targets import Targets, known_of
from histoloop.gui.window.work_tabs import WorkTabs
from histoloop.gui.work.annotation_details import AnnotationDetails
from histoloop.gui.work.jobs import Place
from histoloop.gui.work.project_watch import ProjectWatch
from histoloop.gui.work.session import Session
from histoloop.language import tr
from histoloop.store.records import StepKind
from histoloop.workflows.about import releases_page

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QPaintEvent

    from histoloop.gui.canvas.mask_pane import MaskPane
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.window.history import History
    from histoloop.gui.work.annotating import TakenBack
    from histoloop.gui.work.jobs import Job
    from histoloop.store.records import AnnotationRecord

TITLE = "HistoLoop"
SIZE_PX = (1480, 920)
TOLD_MS = 8_000
LAYOUT = 1
"""Number of the arrangement of the docks: places kept by a version that had another one are forgotten."""
LEAST_MIDDLE_PX = 220
"""The slide has at least so much width, whatever the lines above it would like: panels beside it fit a small screen."""
PLACING = ("annotate_here", "annotate_line")
"""Switches that are on while a place is shown with the mouse."""
TOOLBAR = ("add_slides", "predict", "ask", "annotate_here", "retrain")
TOOLBAR_VIEW = ("fit", "zoom_in", "zoom_out", "show_masks", "show_outlines", "show_heatmap", "compare")


class MainWindow(QMainWindow):
    """One project's window. It speaks the language it was built in."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.setWindowTitle(TITLE)
        self.resize(QSize(*SIZE_PX).boundedTo(self.screen().availableSize()))
        self.setAcceptDrops(True)
        self._was_seen = False
        self.setAnimated(False)  # the panels have their places at once, and the canvas its size
        self.session = Session(self)
        self.project_watch = ProjectWatch(self.session)
        self.split = SplitView()
        self.viewer, self.opener = self.split.first.viewer, self.split.first.opener
        self.source = self.split.first.source
        self.actions_ = Actions(self, MENUS)
        self._make_panels()
        self._make_controls()
        self._make_commands()
        self._arrange()
        self._connect()
        self._restore()
        self._on_project_changed()

    # --- parts ------------------------------------------------------------------------------------------------------

    def _make_panels(self) -> None:
        self.welcome = Welcome()
        self.banner = Banner()
        self.read_only_bar = ReadOnlyBar()
        self.person_bar = PersonBar()
        self.not_saved = NotSaved(self.session.annotating, self.session.insistence)
        self.five_steps = FiveSteps(self.actions_)
        self.slides_panel = SlidesPanel(self.actions_.submenus["label"])
        self.overlay_panel = OverlayPanel(self.source, self.actions_["add_model"])
        self.queue_panel = QueuePanel(ask_tip=self.actions_["ask"].toolTip())
        self.annotation_panel = AnnotationPanel(self.actions_)
        self.training_panel = TrainingPanel(self.actions_)
        self.job_bar = JobBar()
        self.live_line = OneLine(role="muted", apart_px=16)
        self.pointer = PointerReadout(self.viewer)
        self.details = AnnotationDetails(self)
        self.annotations_panel = AnnotationsPanel(self.details, self.actions_["annotate_here"])
        self.work = WorkTabs(
            queue=self.queue_panel,
            annotation=self.annotation_panel,
            training=self.training_panel,
            annotations=self.annotations_panel,
        )

    def _make_controls(self) -> None:
        session, split, actions = self.session, self.split, self.actions_
        self.slide_control = SlideControl(
            split=split,
            session=session,
            watch=self.project_watch,
            panel=self.slides_panel,
            label_menu=actions.submenus["label"],
        )
        self.mask_control = MaskControl(
            split=split,
            session=session,
            panel=self.overlay_panel,
            show_new=self.training_panel.decision.show_new,
            show_changes=self.training_panel.decision.changes,
            actions=actions,
        )
        self.question_control = QuestionControl(
            split=split,
            session=session,
            queue=self.queue_panel,
            boxes=actions["show_questions"],
            choose_slide=self.slides_panel.choose,
            show_problem=self.banner.show_problem,
        )
        self.live_control = LiveControl(
            split=split,
            session=session,
            masks=self.mask_control,
            switch=self.training_panel.live,
            line=self.live_line,
            settings=self.settings,
        )
        self.paint_control = PaintControl(
            pane=split.first, session=session, panel=self.annotation_panel, actions=actions
        )
        self.look_control = LookControl(
            settings=self.settings,
            session=session,
            split=split,
            panel=self.overlay_panel,
            actions=actions,
        )
        self.class_control = ClassControl(parent=self, session=session, overlay=self.overlay_panel)
        self.loop_control = LoopControl(
            session=session, pane=split.first, queue=self.queue_panel, training=self.training_panel
        )
        self.annotations_control = AnnotationsControl(
            session=session, panel=self.annotations_panel, details=self.details, go_to=self.loop_control.go_to
        )
        self.job_control = JobControl(
            jobs=session.jobs,
            bar=self.job_bar,
            tabs=self.work,
            queue=self.queue_panel,
            training=self.training_panel,
            settings=self.settings,
        )

    def _make_commands(self) -> None:
        session, settings, show_problem = self.session, self.settings, self.banner.show_problem
        self.preferences = Preferences(
            parent=self,
            settings=settings,
            session=session,
            split=self.split,
            actions=self.actions_,
            brush=self.annotation_panel.brush,
            pen=PenPressure(self.viewer),
            objects=self.paint_control.objects,
        )
        self.opening = Opening(
            parent=self,
            session=session,
            settings=settings,
            choose_slide=self.slides_panel.choose,
            show_problem=show_problem,
        )
        self.project_commands = ProjectCommands(
            parent=self,
            session=session,
            settings=settings,
            opening=self.opening,
            selected_slides=self.slides_panel.selected_ids,
        )
        self.second_reader = SecondReader(
            parent=self,
            session=session,
            settings=settings,
            bar=self.person_bar,
            go_to=self.loop_control.go_to,
            slides=self.slide_control,
            annotations=self.annotations_control,
        )
        self.import_control = ImportControl(
            parent=self,
            session=session,
            settings=settings,
            pane=self.split.first,
            choose_slide=self.slides_panel.choose,
            drop_others=self.opening.dropped,
        )
        self.help_commands = HelpCommands(
            parent=self,
            session=session,
            settings=settings,
            preferences=self.preferences,
            five_steps=self.five_steps,
            menus=MENUS,
            open_demo=self.project_commands.open_demo,
            show_problem=show_problem,
        )

    # --- layout -----------------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        self.centre = QStackedWidget()
        welcome = scrolling(self.welcome)
        welcome.setMinimumSize(1, 1)  # it wants no room while a slide is shown
        self.centre.addWidget(welcome)
        self.centre.addWidget(self.split)
        middle = QWidget()
        middle.setMinimumWidth(LEAST_MIDDLE_PX)
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.five_steps)
        column.addWidget(self.read_only_bar)
        column.addWidget(self.person_bar)
        column.addWidget(self.not_saved)
        column.addWidget(self.banner)
        column.addWidget(self.centre, 1)
        self.setCentralWidget(middle)
        left, right = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
        self.docks = [
            self._dock("slides", tr("Slides"), scrolling(self.slides_panel), left),
            self._dock("masks", tr("Masks"), scrolling(self.overlay_panel), left),
            self._dock("work", tr("Work"), self.work, right),
        ]
        self.docks[2].setTitleBarWidget(QWidget())  # its tabs say what it is
        self.resizeDocks([self.docks[0], self.docks[2]], [296, 330], Qt.Orientation.Horizontal)
        self.resizeDocks([self.docks[0], self.docks[1]], [400, 420], Qt.Orientation.Vertical)
        self.toolbar = self._toolbar()
        self.statusBar().addWidget(self.job_bar, 1)
        self.statusBar().showMessage("")
        self.statusBar().addPermanentWidget(self.pointer)
        self.statusBar().addPermanentWidget(self.live_line)
        notice = tr(NOTICE)
        self.statusBar().addPermanentWidget(OneLine(notice, role="muted", least=f"{notice.split('.')[0]}.…"))

    def _dock(self, name: str, title: str, widget: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setWidget(widget)
        dock.setFeatures(QDockWidget.DockWidgetFeature.DockWidgetMovable)
        self.addDockWidget(area, dock)
        return dock

    def _toolbar(self) -> FittingToolBar:
        bar = FittingToolBar(tr("Tools"))
        bar.setObjectName("tools")
        for name in TOOLBAR:
            bar.add(self.actions_[name], words=name != "annotate_here")
        bar.addSeparator()
        for name in TOOLBAR_VIEW:
            bar.add(self.actions_[name], words=name not in ("fit", "zoom_in", "zoom_out"))
        self.addToolBar(bar)
        return bar

    def _show_placing(self, action: str) -> None:
        """Check the action by which a place is being shown with the mouse, alone."""
        for name in PLACING:
            self.actions_.set_checked(name, name == action)

    # --- wiring -----------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._connect_session()
        self._connect_panels()
        self._connect_controls()
        self.actions_.connect_all(
            Targets(
                session=self.session,
                projects=self.project_commands,
                classes=self.class_control,
                imports=self.import_control,
                slides=self.slide_control,
                questions=self.question_control,
                painting=self.paint_control,
                masks=self.mask_control,
                looks=self.look_control,
                jobs=self.job_control,
                preferences=self.preferences,
                help=self.help_commands,
                readers=self.second_reader,
                viewer=self.viewer,
                source=self.source,
                overlay=self.overlay_panel,
                queue=self.queue_panel,
                annotation=self.annotation_panel,
                show_annotations=self._show_annotations,
                history=self._history,
                quit=self.close,
            )
        )

    def _connect_session(self) -> None:
        session = self.session
        session.project_changed.connect(self._on_project_changed)
        session.slides_changed.connect(self.loop_control.refresh)
        session.queries_changed.connect(self._show_queries)
        session.models_changed.connect(self._show_training)
        self.project_watch.files_changed.connect(self.slide_control.look_again)
        session.problem.connect(self.banner.show_problem)
        session.notice.connect(self.banner.show_notice)
        session.reported.connect(self.banner.show_report)
        self.banner.list_requested.connect(lambda report: ReportDialog(self, report=report).show())

    def _connect_panels(self) -> None:
        self.slides_panel.paths_dropped.connect(self.import_control.dropped)
        self.slides_panel.add_requested.connect(self.project_commands.add_slides)
        self.queue_panel.query_selected.connect(lambda _query_id: self._update_actions())
        self.slides_panel.find_requested.connect(self.project_commands.find_moved)
        self.overlay_panel.masks.toggled.connect(functools.partial(self.actions_.set_checked, "show_masks"))
        self.overlay_panel.outlines.toggled.connect(functools.partial(self.actions_.set_checked, "show_outlines"))
        self.training_panel.live.box.toggled.connect(self.actions_["learn_live"].setChecked)
        self.actions_["learn_live"].toggled.connect(self.training_panel.live.box.setChecked)
        self.overlay_panel.heatmap.toggled.connect(functools.partial(self.actions_.set_checked, "show_heatmap"))
        self.read_only_bar.writing_requested.connect(self.session.open_for_writing)
        self.welcome.new_requested.connect(self.project_commands.new)
        self.welcome.open_requested.connect(self.project_commands.open)
        self.welcome.demo_requested.connect(self.project_commands.open_demo)
        self.welcome.recent_chosen.connect(self.session.open_project)

    def _connect_controls(self) -> None:
        self.job_control.trained.connect(self._show_training)
        self.job_control.changed.connect(self._update_actions)
        self.session.jobs.busy_changed.connect(self.mask_control.show_missing_masks)
        self.paint_control.slide_wanted.connect(self.slides_panel.choose)
        self.paint_control.begun.connect(self._on_painting_begun)
        self.paint_control.ended.connect(self._on_painting_ended)
        self.paint_control.went_back.connect(self._show_taken_back)
        self.paint_control.reported.connect(self._tell)
        self.second_reader.reported.connect(self._tell)
        self.second_reader.changed.connect(self._on_blinded)
        self.class_control.reported.connect(self._tell)
        self.class_control.changed.connect(self._on_classes_changed)
        self.question_control.reported.connect(self._tell)
        self.annotations_control.reported.connect(self._tell)
        self.annotations_control.deleted.connect(self.slide_control.refresh)
        self.question_control.placing.connect(self._show_placing)
        self.loop_control.slide_wanted.connect(self.slides_panel.choose)
        self.opener.changed.connect(self._update_actions)
        self.mask_control.pane_opened.connect(self._on_pane_opened)
        for control in (self.slide_control, self.paint_control, self.loop_control):
            control.changed.connect(self._update_actions)
        for each in (
            self.job_control,
            self.slide_control,
            self.class_control,
            self.question_control,
            self.paint_control,
            self.live_control,
            self.mask_control,
            self.look_control,
            self.loop_control,
            self.annotations_control,
            self.import_control,
        ):
            each.connect_all()

    def _restore(self) -> None:
        """Bring back what was chosen in earlier sessions."""
        self.actions_.set_checked("show_masks", True)
        self.actions_.set_checked("show_questions", True)
        self.actions_["new_version"].setVisible(releases_page() is not None)
        self.preferences.restore()
        self.look_control.restore()
        self.restoreGeometry(self.settings.bytes("geometry"))
        self._state = self.settings.bytes("state")

    def _on_pane_opened(self, pane: MaskPane) -> None:
        """Wire what a canvas emits besides its masks."""
        self.question_control.connect_pane(pane)
        self.slide_control.connect_pane(pane)
        self.look_control.connect_pane(pane)
        pane.empty.find_requested.connect(self.project_commands.find_moved)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _on_project_changed(self) -> None:
        project = self.session.project
        for control in (
            self.paint_control,
            self.slide_control,
            self.live_control,
            self.class_control,
            self.mask_control,
            self.look_control,
            self.loop_control,
            self.annotations_control,
        ):
            control.begin()
        self.work.show_work(painting=False)
        self.centre.setCurrentIndex(0 if project is None else 1)
        for part in (*self.docks, self.toolbar):
            part.setVisible(project is not None)
        if project is not None and not self._state.isEmpty():  # before the docks are seen it would stretch them
            self.restoreState(self._state, LAYOUT)
            self._state.clear()
        self.banner.dismiss()
        self.second_reader.begin()
        self._show_whether_writable()
        if project is None:
            self.setWindowTitle(TITLE)
        else:
            name = visible_name(project.name).replace("[*]", "[*][*]")  # Qt's sign for what is not saved
            self.setWindowTitle(f"{name} \N{EM DASH} {TITLE}")
            self.settings.add_recent_project(project.folder)
            self.overlay_panel.set_scheme(project.scheme)
            for name in ("next_slide_label", "next_label"):
                self.actions_[name].setVisible(bool(project.scheme.label_names))
            self.five_steps.set_trained(self.session.is_trained)
        self._show_recent()
        self.mask_control.show_models()
        self.slide_control.show()
        self._show_queries()
        self._show_training()
        self.project_watch.look()

    def _on_blinded(self) -> None:
        """Somebody began or ended to read without sight of what others painted, or is another person now."""
        self.actions_.set_checked("blinded", self.second_reader.is_blinded)
        self.mask_control.refresh_style()
        self.annotations_control.show()

    def _on_classes_changed(self) -> None:
        """Names, colours and values of the classes are others: show them wherever they are seen."""
        project = self.session.project
        if project is not None:
            self.overlay_panel.set_scheme(project.scheme)
            self.paint_control.show_classes()
            self.mask_control.show_models()
            self.slide_control.show()
            self.slide_control.refresh()
            self._show_queries()
            self.annotations_control.read_again()

    def _show_whether_writable(self) -> None:
        """Say when the project can only be looked at, and offer nothing then that would change it."""
        reason = self.session.why_read_only()
        self.read_only_bar.show_reason(reason)
        for part in (self.slides_panel, self.queue_panel, self.annotations_panel):
            part.set_read_only(reason)
        for pane in self.split.panes():
            pane.set_may_change(not reason)
        self.overlay_panel.chooser.missing.set_may_predict(not reason)

    def _show_recent(self) -> None:
        folders = self.settings.recent_projects()
        self.welcome.show_recent(folders)
        menu = self.actions_.submenus["recent"]
        menu.clear()
        menu.setEnabled(bool(folders))
        for folder in folders:
            menu.addAction(menu_text(str(folder)), functools.partial(self.session.open_project, folder))

    def _show_queries(self) -> None:
        self.loop_control.show_queries()
        self.question_control.show_boxes()
        self._show_training()

    def _show_training(self) -> None:
        self.loop_control.show_training()
        self._update_actions()

    def _on_painting_begun(self) -> None:
        self.work.show_work(painting=True)
        self.mask_control.show_missing_masks()
        self._update_actions()

    def _on_painting_ended(self, record: AnnotationRecord) -> None:
        self.work.show_work(painting=False)
        self.mask_control.show_missing_masks()
        self._show_queries()
        self.slide_control.refresh()
        self._update_actions()
        if record.status is not AnnotationStatus.DRAFT:
            blinded = record.reading_of is not None
            (self.second_reader.read_next if blinded else self.question_control.open_next)()

    # --- actions ------------------------------------------------------------------------------------------------------

    def _history(self) -> History | PaintControl:
        """What 'undo' takes back now: labels of slides, unless a region is in hand, else what was done with regions."""
        slides = self.slide_control.history
        if self.viewer.annotating is None and (slides.can_undo or slides.can_redo):
            return slides
        return self.paint_control

    def _show_taken_back(self, taken: TakenBack) -> None:
        """Bring into sight what was taken back or done again, unless something is painted."""
        if taken.step.kind in (StepKind.DELETED, StepKind.IMPORTED):
            self.annotations_control.show()
            self.slide_control.refresh()
        if taken.active is None and self.session.active is None:
            if taken.step.query_id is not None:
                self.queue_panel.select(taken.step.query_id)
            self.loop_control.go_to(taken.step.slide_id, taken.region)

    def _show_annotations(self) -> None:
        self.work.setCurrentWidget(self.work.annotations)
        self.annotations_panel.list.setFocus()

    def _tell(self, sentence: str) -> None:
        """Say what was done, in the line at the bottom."""
        self.statusBar().showMessage(sentence, TOLD_MS)

    def _update_actions(self) -> None:
        """Enable what can be done now. This runs with every stroke: it asks the project nothing."""
        there = {"slide"} if self.opener.current is not None else set()
        painting = self.viewer.annotating is not None
        jobs = self.session.jobs.unfinished
        at_work = {job.place for job in jobs}
        if self.session.project is not None:
            there |= {"project", "slides"} if self.slides_panel.total else {"project"}
            there |= self.loop_control.can_now(jobs)
            there |= {"chosen"} if self.slides_panel.current_id() is not None else set()
            there |= {"question"} if painting or self._sees_question() else set()
        there |= known_of(self.viewer.scene)
        there |= {"canvases"} if "slide" in there or self.split.second is not None else set()
        there |= {"painting"} if painting else set()
        strokes = painting and self.paint_control.counts is Counts.STROKES
        there |= {"strokes"} if strokes else set()
        self.actions_.set_checked("strokes_count", strokes)
        there |= {"work"} if jobs else set()
        there |= set() if self.session.read_only else {"writable"}
        there |= {"classes_changed"} if self.class_control.can_undo else set()
        there |= {"trained"} if self.loop_control.is_trained else set()
        there |= {"seen"} if not self.second_reader.is_blinded else set()
        there |= {"assessed"} if painting and self.paint_control.assessment != (None, None) else set()
        there |= {"undo"} if self._history().can_undo else set()
        there |= {"redo"} if self._history().can_redo else set()
        reasons = {
            "writable": tr("The project is read-only."),
            "trained": tr("No model has been trained yet: paint something, then retrain."),
            "seen": tr("Masks are hidden while you read blinded."),
        }
        if "slide" in there:
            reasons["resolution"] = tr(
                "The resolution of this slide is unknown: enter it with Slides > Set resolution."
            )
            reasons["brightfield"] = tr("This slide is not brightfield: it has no stains to separate.")
            reasons["profile"] = tr("The file of this slide contains no usable colour profile.")
        self.actions_.update(there, reasons=reasons)
        for name in ("model", "method"):
            self.actions_.submenus[name].setEnabled("project" in there)
        self.actions_.submenus["paint_class"].setEnabled(painting)
        self.queue_panel.set_can_ask({"slides", "writable"} <= there and Place.QUESTIONS not in at_work)

    def _sees_question(self) -> bool:
        """Whether the question that is selected is about the slide on the screen."""
        shown = self.opener.current
        return shown is not None and self.queue_panel.current_slide_id() == shown

    # --- events -------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Once the window is seen, make the canvas, which takes longest, before somebody needs it."""
        super().paintEvent(event)
        if not self._was_seen:
            self._was_seen = True
            QTimer.singleShot(0, self.viewer.make_canvas_soon)

    def changeEvent(self, event: QEvent) -> None:
        """See what others did while the window was not in front."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self.project_watch.look()
            self.read_only_bar.show_reason(self.session.why_read_only())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take slides, folders and projects anywhere on the window."""
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self.import_control.dropped(dropped_paths(event.mimeData()))
        event.acceptProposedAction()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask when work would be lost; remember the window; let go of everything."""
        job = next((job for job in self.session.jobs.unfinished if not job.expendable), None)
        if job is not None and not self._may_stop(job):
            event.ignore()
            return
        if not self.session.annotating.settled(self.close):
            event.ignore()
            return
        self.settings.set("geometry", self.saveGeometry())
        if self.session.project is not None:
            self.settings.set("state", self.saveState(LAYOUT))
        self.preferences.keep()
        self.look_control.keep()
        for part in (self.project_watch, self.slides_panel, self.details, self.second_reader, self.import_control):
            part.shut_down()
        self.paint_control.shut_down()
        self.session.shut_down()
        self.split.close_second()
        self.split.first.shut_down()
        super().closeEvent(event)

    def _may_stop(self, job: Job) -> bool:
        question = tr("'{title}' is still running. Stop it and quit? Your annotations are saved.", title=job.title)
        return QMessageBox.question(self, TITLE, question) is QMessageBox.StandardButton.Yes
