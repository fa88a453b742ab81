"""The window: panels around the viewer. It carries wishes from widgets to the session and news back."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QMainWindow,
    QMessageBox,
    QStackedWidget,
    QTabWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.class_names import spoken_class
from histoloop.annotations.records import AnnotationStatus
from histoloop.gui.canvas.canvas_overlay import QueryBox
from histoloop.gui.canvas.mask_pane import SplitView
from histoloop.gui.kit.actions import Actions
from histoloop.gui.kit.theme import THEMES, apply_theme
from histoloop.gui.kit.translation import SYSTEM
from histoloop.gui.kit.widgets import label, scrolling
from histoloop.gui.panels.annotation_panel import AnnotationPanel
from histoloop.gui.panels.job_bar import JobBar
from histoloop.gui.panels.overlay_panel import OverlayPanel
from histoloop.gui.panels.queue_panel import QueuePanel
from histoloop.gui.panels.slide_details import NOT_SAID
from histoloop.gui.panels.slides_panel import SlidesPanel, dropped_paths
from histoloop.gui.panels.training_panel import TrainingPanel
from histoloop.gui.window import dialogs
from histoloop.gui.window.banner import Banner
from histoloop.gui.window.commands import DEVICES, LANGUAGE_CHOICES, Commands
from histoloop.gui.window.five_steps import FiveSteps
from histoloop.gui.window.history import History
from histoloop.gui.window.loop_control import LoopControl
from histoloop.gui.window.mask_control import MaskControl
from histoloop.gui.window.opening import Opening
from histoloop.gui.window.paint_control import PaintControl
from histoloop.gui.window.welcome import NOTICE, Welcome
from histoloop.gui.work.session import Session
from histoloop.language import tr
from histoloop.workflows.about import releases_page
from histoloop.workflows.contents.rounds import lessons

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent

    from histoloop.gui.canvas.mask_pane import MaskPane
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.work.jobs import Job
    from histoloop.progress import Progress
    from histoloop.store.records import AnnotationRecord

TITLE = "HistoLoop"
LAST_SLIDE = "last slide"
SIZE_PX = (1480, 920)
LAYOUT = 1
"""Number of the arrangement of the docks: places kept by a version that had another one are forgotten."""
NOTHING_LOST = ("self-test", "doctor")
"""Kinds of jobs that end with the window unasked."""
TOOLBAR = ("add_slides", "predict", "ask", "retrain")
TOOLBAR_VIEW = ("fit", "zoom_in", "zoom_out", "show_masks", "show_outlines", "show_heatmap", "compare")


class MainWindow(QMainWindow):
    """One project's window. It speaks the language it was built in; `language_chosen` asks for one in another."""

    language_chosen = Signal()

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.setWindowTitle(TITLE)
        self.resize(*SIZE_PX)
        self.setAcceptDrops(True)
        self.setAnimated(False)  # the panels have their places at once, and the canvas its size
        self.commands = Commands(self)
        self.opening = Opening(self)
        self.session = Session(self)
        self.split = SplitView()
        self.viewer, self.opener = self.split.first.viewer, self.split.first.opener
        self.source = self.split.first.source
        self.actions_ = Actions(self, self.commands.handlers())
        self.welcome = Welcome()
        self.banner = Banner()
        self.five_steps = FiveSteps(self.actions_)
        self.slides_panel = SlidesPanel(self.actions_.label_menu)
        self.overlay_panel = OverlayPanel(self.source, self.actions_["add_model"])
        self.queue_panel = QueuePanel()
        self.annotation_panel = AnnotationPanel(self.actions_)
        self.training_panel = TrainingPanel(self.actions_)
        self.mask_control = MaskControl(
            split=self.split,
            session=self.session,
            panel=self.overlay_panel,
            show_new=self.training_panel.decision.show_new,
            actions=self.actions_,
        )
        self.paint_control = PaintControl(
            pane=self.split.first, session=self.session, panel=self.annotation_panel, actions=self.actions_
        )
        self.loop_control = LoopControl(
            session=self.session, pane=self.split.first, queue=self.queue_panel, training=self.training_panel
        )
        self.job_bar = JobBar()
        self._labelling = History(self)
        self._arrange()
        self._connect()
        self._restore()
        self._on_project_changed()

    # --- layout -----------------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        self.centre = QStackedWidget()
        self.centre.addWidget(self.welcome)
        self.centre.addWidget(self.split)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.five_steps)
        column.addWidget(self.banner)
        column.addWidget(self.centre, 1)
        self.setCentralWidget(middle)
        self.work_stack = QStackedWidget()
        self.work_stack.addWidget(scrolling(self.queue_panel))
        self.work_stack.addWidget(scrolling(self.annotation_panel))
        self.training_scroll = scrolling(self.training_panel)
        self.work = QTabWidget()
        self.work.addTab(self.work_stack, tr("Questions"))
        self.work.addTab(self.training_scroll, tr("Training"))
        left, right = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
        self.docks = [
            self._dock("slides", tr("Slides"), self.slides_panel, left),
            self._dock("masks", tr("Masks"), scrolling(self.overlay_panel), left),
            self._dock("work", tr("Work"), self.work, right),
        ]
        self.docks[2].setTitleBarWidget(QWidget())  # its tabs say what it is
        self.resizeDocks([self.docks[0], self.docks[2]], [296, 330], Qt.Orientation.Horizontal)
        self.resizeDocks([self.docks[0], self.docks[1]], [400, 420], Qt.Orientation.Vertical)
        self.toolbar = self._toolbar()
        self.statusBar().addWidget(self.job_bar)
        self.statusBar().showMessage("")
        self.statusBar().addPermanentWidget(label(f"{tr(NOTICE)}  ", role="muted"))

    def _dock(self, name: str, title: str, widget: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setWidget(widget)
        dock.setFeatures(QDockWidget.DockWidgetFeature.DockWidgetMovable)
        self.addDockWidget(area, dock)
        return dock

    def _toolbar(self) -> QToolBar:
        bar = QToolBar(tr("Tools"))
        bar.setObjectName("tools")
        bar.setMovable(False)
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        for name in TOOLBAR:
            bar.addAction(self.actions_[name])
        bar.addSeparator()
        for name in TOOLBAR_VIEW:
            bar.addAction(self.actions_[name])
            view_button = bar.widgetForAction(self.actions_[name])
            if name in ("fit", "zoom_in", "zoom_out"):
                view_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)  # type: ignore[attr-defined]
        self.addToolBar(bar)
        return bar

    # --- wiring -----------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        session, jobs = self.session, self.session.jobs
        session.project_changed.connect(self._on_project_changed)
        session.slides_changed.connect(self._show_slides)
        session.maps_changed.connect(self._refresh_scene)
        session.queries_changed.connect(self._show_queries)
        session.models_changed.connect(self._show_training)
        session.problem.connect(self.banner.show_problem)
        session.notice.connect(self.banner.show_notice)
        jobs.started.connect(self._on_job_started)
        jobs.progressed.connect(self._on_job_progressed)
        jobs.busy_changed.connect(self._on_busy_changed)
        jobs.finished.connect(self._on_job_ended)
        jobs.failed.connect(self._on_job_ended)
        jobs.cancelled.connect(self._on_job_ended)
        self.job_bar.stop_asked.connect(self.commands.cancel_job)
        self.paint_control.slide_wanted.connect(self.slides_panel.choose)
        self.paint_control.begun.connect(self._on_painting_begun)
        self.paint_control.ended.connect(self._on_painting_ended)
        self.paint_control.changed.connect(self._update_actions)
        self.paint_control.connect_all()
        self.opener.shown.connect(self._on_scene_shown)
        self.mask_control.pane_opened.connect(self._on_pane_opened)
        self.mask_control.connect_all()
        self._labelling.changed.connect(self._update_actions)
        self.slides_panel.slide_chosen.connect(self._show_slide)
        self.slides_panel.paths_dropped.connect(self.opening.dropped)
        self.slides_panel.add_asked.connect(self.commands.add_slides)
        self.slides_panel.mpp_asked.connect(self.commands.set_mpp)
        self.slides_panel.unknown_mpp_asked.connect(self.commands.set_unknown_mpp)
        self.slides_panel.remove_asked.connect(self.commands.remove_slides)
        self.slides_panel.find_asked.connect(self.commands.find_moved)
        self.slides_panel.label_chosen.connect(self._on_label_chosen)
        self.actions_.label_menu.aboutToShow.connect(self._check_label)
        self.queue_panel.query_selected.connect(self._show_query)
        self.queue_panel.query_opened.connect(session.begin_query)
        self.queue_panel.query_skipped.connect(session.skip_query)
        self.overlay_panel.masks.toggled.connect(lambda on: self.actions_.set_checked("show_masks", on))
        self.overlay_panel.outlines.toggled.connect(lambda on: self.actions_.set_checked("show_outlines", on))
        self.overlay_panel.heatmap.toggled.connect(lambda on: self.actions_.set_checked("show_heatmap", on))
        self.loop_control.slide_wanted.connect(self.slides_panel.choose)
        self.loop_control.changed.connect(self._update_actions)
        self.loop_control.connect_all()
        self.welcome.new_asked.connect(self.commands.new_project)
        self.welcome.open_asked.connect(self.commands.open_project)
        self.welcome.demo_asked.connect(self.commands.open_demo)
        self.welcome.recent_chosen.connect(session.open_project)

    def _restore(self) -> None:
        """Bring back what was chosen in earlier sessions."""
        settings = self.settings
        self.session.person = settings.person
        self.session.predict_added = settings.flag("predict_added", default=True)
        device = settings.text("device", "auto")
        self.session.device = device if device in DEVICES else "auto"
        self.actions_.set_checked("predict_added", self.session.predict_added)
        self.actions_.set_checked("show_masks", True)
        self.actions_.set_checked("show_questions", True)
        self.actions_[f"device_{self.session.device}"].setChecked(True)
        language = settings.text("language", SYSTEM)
        self.actions_[f"language_{language if language in LANGUAGE_CHOICES else SYSTEM}"].setChecked(True)
        self.actions_["new_version"].setVisible(releases_page() is not None)
        self.annotation_panel.brush.setValue(round(settings.number("brush_px", 24)))
        self.overlay_panel.opacity.setValue(round(settings.number("opacity", 35)))
        self.set_theme(settings.text("theme", "system"))
        self.restoreGeometry(settings.bytes("geometry"))
        self.restoreState(settings.bytes("state"), LAYOUT)

    def set_theme(self, theme: str) -> None:
        """'system', 'light' or 'dark', from now on."""
        theme = theme if theme in THEMES else "system"
        self.settings.set("theme", theme)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        dark = apply_theme(application, theme)
        self.split.set_theme("dark" if dark else "light")
        self.actions_.set_icons(dark=dark)
        self.actions_[f"theme_{theme}"].setChecked(True)

    # --- project and slides -----------------------------------------------------------------------------------------

    def _on_project_changed(self) -> None:
        project = self.session.project
        self.paint_control.begin()
        self._labelling.clear()
        self.mask_control.begin()
        self.loop_control.begin()
        self._show_work(painting=False)
        self.centre.setCurrentIndex(0 if project is None else 1)
        for dock in self.docks:
            dock.setVisible(project is not None)
        self.toolbar.setVisible(project is not None)
        self.banner.dismiss()
        if project is None:
            self.setWindowTitle(TITLE)
        else:
            self.setWindowTitle(f"{project.name} \N{EM DASH} {TITLE}")
            self.settings.add_recent_project(project.folder)
            self.overlay_panel.set_scheme(project.scheme)
            self._fill_label_menu(project.scheme.label_names)
        self._show_recent()
        self.mask_control.show_models()
        self._show_slides()
        self._show_queries()
        self._show_training()

    def _show_recent(self) -> None:
        folders = self.settings.recent_projects()
        self.welcome.show_recent(folders)
        menu = self.actions_.submenus["recent"]
        menu.clear()
        menu.setEnabled(bool(folders))
        for folder in folders:
            menu.addAction(str(folder), functools.partial(self.session.open_project, folder))

    def _show_slides(self) -> None:
        project = self.session.project
        if project is None:
            return
        slides = project.slides()
        said = {slide.id: label for slide in slides if (label := project.slide_label(slide.id)) is not None}
        self.slides_panel.show_slides(
            slides, project.folder / "thumbnails", project.scheme.label_names, said=said, you=self.session.person
        )
        ids = [slide.id for slide in slides]
        if self.opener.wanted is not None and self.opener.wanted not in ids:
            for pane in self.split.panes():
                pane.opener.clear()
        if self.opener.wanted is None and ids:
            last = project.get_setting(LAST_SLIDE)
            first = last if last in ids else ids[0]
            self.slides_panel.choose(first)
            self._show_slide(first)  # the list tells nothing when a project before had its choice there
        self._update_actions()

    def _show_slide(self, slide_id: int) -> None:
        """Show a slide; what was painted on another one stays as its draft."""
        project = self.session.project
        if project is None or slide_id == self.opener.wanted:
            return
        active = self.session.active
        if active is not None and active.record.slide_id != slide_id:
            self.session.leave()
        for pane in self.split.panes():
            pane.show_slide(project.folder, slide_id)

    def _refresh_scene(self) -> None:
        """Maps or annotations of the slide on the screen have changed."""
        if self.session.project is not None and self.opener.wanted is not None:
            for pane in self.split.panes():
                pane.show_slide(self.session.project.folder, self.opener.wanted)

    def _on_scene_shown(self, slide_id: int) -> None:
        self._update_actions()
        self.session.remember(LAST_SLIDE, slide_id)

    def _on_label_chosen(self, name: str | None) -> None:
        self.label_slides(self.slides_panel.selected_ids(), name)

    def label_slides(self, slide_ids: list[int], name: str | None) -> None:
        """Say what slides are as a whole, as one step that can be undone."""
        before = {slide.id: slide.label for slide in self.session.slides() if slide.id in slide_ids}
        after = dict.fromkeys(before, name)
        if before != after:
            self._labelling.add(
                undo=functools.partial(self.session.set_slide_labels, before),
                redo=functools.partial(self.session.set_slide_labels, after),
            )
            self.session.set_slide_labels(after)

    def _fill_label_menu(self, names: tuple[str, ...]) -> None:
        menu = self.actions_.label_menu
        menu.clear()
        for number, name in enumerate((None, *names)):
            action = menu.addAction(
                spoken_class(name) if name else tr(NOT_SAID), functools.partial(self._on_label_chosen, name)
            )
            action.setCheckable(True)
            action.setData(name)
            if number < 10:
                action.setShortcut(QKeySequence(f"Alt+{number}"))

    def _check_label(self) -> None:
        """Tick the label that the selected slides have."""
        selected = self.slides_panel.selected_ids()
        said = {slide.label for slide in self.session.slides() if slide.id in selected}
        for action in self.actions_.label_menu.actions():
            action.setChecked(said == {action.data()})

    def _on_pane_opened(self, pane: MaskPane) -> None:
        """Wire what a canvas tells besides its masks."""
        pane.opener.shown.connect(lambda _slide_id: self.show_boxes())
        pane.opener.failed.connect(lambda message: self.banner.show_problem(message, ""))
        pane.viewer.query_clicked.connect(self._on_query_clicked)
        pane.viewer.render_failed.connect(lambda message: self.banner.show_problem(message, ""))

    # --- questions ----------------------------------------------------------------------------------------------------

    def _show_queries(self) -> None:
        self.loop_control.show_queries()
        self.show_boxes()
        self._show_training()

    def show_boxes(self) -> None:
        """Outline the open questions on the slide that is shown."""
        shown = self.actions_["show_questions"].isChecked()
        chosen = self.queue_panel.current_id()
        queries = self.session.queries() if shown else []
        for pane in self.split.panes():
            pane.viewer.show_queries(
                [
                    QueryBox(query.id, query.region, query.id == chosen)
                    for query in queries
                    if query.slide_id == pane.opener.current
                ]
            )

    def _show_query(self, query_id: int) -> None:
        """Bring the region of a query into sight, with its surroundings."""
        project = self.session.project
        if project is None or self.viewer.annotating is not None:
            return
        query = project.query(query_id)
        self.slides_panel.choose(query.slide_id)
        if self.opener.current == query.slide_id:
            self.viewer.show_region(query.region.grown(query.region.width))
        self.show_boxes()

    def _on_query_clicked(self, query_id: int) -> None:
        if query_id == self.queue_panel.current_id():
            self.session.begin_query(query_id)
        else:
            self.queue_panel.select(query_id)

    # --- painting -----------------------------------------------------------------------------------------------------

    def _on_painting_begun(self) -> None:
        self._show_work(painting=True)
        self._update_actions()

    def _on_painting_ended(self, record: AnnotationRecord) -> None:
        self._show_work(painting=False)
        self._show_queries()
        self._refresh_scene()
        self._update_actions()
        if record.status is not AnnotationStatus.DRAFT:
            self.commands.next_question()

    def _show_work(self, *, painting: bool) -> None:
        """Questions, or the tools to answer one."""
        self.work_stack.setCurrentIndex(int(painting))
        self.work.setTabText(0, tr("Annotate") if painting else tr("Questions"))
        if painting:
            self.work.setCurrentWidget(self.work_stack)

    @property
    def history(self) -> History:
        """What 'undo' takes back now: what was done to the region in hand, else the labels given to slides."""
        return self._labelling if self.viewer.annotating is None else self.paint_control.history

    # --- training -----------------------------------------------------------------------------------------------------

    def _show_training(self) -> None:
        self.loop_control.show_training()
        self._update_actions()

    def _on_job_started(self, job: Job) -> None:
        self.job_bar.begin(job.title)
        if job.kind == "retrain":
            self.training_panel.begin()
            self._bring_up(self.training_scroll)
        self._update_actions()

    def _bring_up(self, work: QWidget) -> None:
        """Show the tab of what has begun or ended, unless the user is painting."""
        if self.viewer.annotating is None:
            self.work.setCurrentWidget(work)

    def _on_job_progressed(self, job: Job, step: Progress) -> None:
        self.job_bar.show_step(step)
        if job.kind == "retrain" and step.figures:
            self.training_panel.add_figures(step.figures)

    def _on_job_ended(self, job: Job, result: object = None, _advice: str = "") -> None:
        if job.kind == "retrain":
            self.training_panel.end(stopped=result is None or isinstance(result, str))
            self._show_training()
            self._bring_up(self.training_scroll)
        elif job.kind == "ask" and (shown := self.queue_panel.shown_ids()):
            self._bring_up(self.work_stack)
            self.queue_panel.select(shown[0])
        elif job.kind == "doctor" and isinstance(result, list):
            dialogs.TextDialog(self, title=tr("This machine"), html=dialogs.findings_html(result)).open()

    def _on_busy_changed(self, busy: bool) -> None:
        if not busy:
            self.job_bar.end()
        self._update_actions()
        self.mask_control.show_missing_masks()

    # --- actions ------------------------------------------------------------------------------------------------------

    def _update_actions(self) -> None:
        """Enable what can be done now."""
        session, there = self.session, set()
        project = session.project
        painting = self.viewer.annotating is not None
        jobs = session.jobs.unfinished
        kinds = {job.kind for job in jobs}
        if project is not None:
            slides = self.slides_panel.list.count() > 0
            enough = lessons(project).suffice(session.how.learn_from)
            there |= {"project"} | ({"slides"} if slides else set())
            there |= {"annotated"} if enough and "retrain" not in kinds else set()
            there |= {"candidate"} if session.candidate() is not None and "retrain" not in kinds else set()
            there |= {"question"} if painting or self.queue_panel.current_id() is not None else set()
        there |= {"slide"} if self.opener.current is not None else set()
        there |= {"painting"} if painting else set()
        there |= {"work"} if jobs else set()
        there |= {"said"} if painting and self.paint_control.said != (None, None) else set()
        there |= {"undo"} if self.history.can_undo else set()
        there |= {"redo"} if self.history.can_redo else set()
        self.actions_.update(there)
        for name in ("model", "drawing"):
            self.actions_.submenus[name].setEnabled("project" in there)
        self.queue_panel.set_can_ask("slides" in there and "ask" not in kinds)

    # --- events -------------------------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take slides, folders and projects anywhere on the window."""
        if dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self.opening.dropped(dropped_paths(event.mimeData()))
        event.acceptProposedAction()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask when work would be lost; remember the window; let go of everything."""
        job = next((job for job in self.session.jobs.unfinished if job.kind not in NOTHING_LOST), None)
        if job is not None and not self._may_stop(job):
            event.ignore()
            return
        self.settings.set("geometry", self.saveGeometry())
        if self.session.project is not None:
            self.settings.set("state", self.saveState(LAYOUT))
        self.settings.set("brush_px", self.annotation_panel.brush.value())
        self.settings.set("opacity", self.overlay_panel.opacity.value())
        self.session.shut_down()
        self.split.close_second()
        self.split.first.shut_down()
        super().closeEvent(event)

    def _may_stop(self, job: Job) -> bool:
        question = tr("'{title}' is still running. Stop it and quit? Your annotations are saved.", title=job.title)
        return QMessageBox.question(self, TITLE, question) is QMessageBox.StandardButton.Yes
