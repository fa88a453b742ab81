"""The dock at the right: questions, or the tools to answer one; training; and all annotations; a tab each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QStackedWidget, QTabWidget, QWidget

from histoloop.gui.kit.fitting_scroll import WithFoot
from histoloop.gui.kit.widgets import scrolling
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.gui.panels.annotation_panel import AnnotationPanel


class WorkTabs(QTabWidget):
    """Holds the panels of the loop's work."""

    def __init__(self, *, queue: QWidget, annotation: AnnotationPanel, training: QWidget, annotations: QWidget) -> None:
        super().__init__()
        self.questions = QStackedWidget()
        self.questions.addWidget(scrolling(queue))
        self.questions.addWidget(WithFoot(annotation, annotation.foot))
        self.training = scrolling(training)
        self.addTab(self.questions, tr("Questions"))
        self.addTab(self.training, tr("Training"))
        self.annotations = scrolling(annotations)
        self.addTab(self.annotations, tr("Annotations"))

    def show_work(self, *, painting: bool) -> None:
        """Questions, or the tools to answer one."""
        self.questions.setCurrentIndex(int(painting))
        self.setTabText(0, tr("Annotate") if painting else tr("Questions"))
        if painting:
            self.setCurrentWidget(self.questions)

    def bring_up(self, tab: QWidget) -> None:
        """Show the tab of what has begun or ended, unless the user is painting."""
        if self.questions.currentIndex() == 0:
            self.setCurrentWidget(tab)
