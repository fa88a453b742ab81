"""The dock at the right: questions, or the tools to answer one; training; and all annotations; a tab each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QStackedWidget, QTabWidget, QWidget

from histoloop.gui.kit.fitting_scroll import OverFoot, WithFoot
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.gui.panels.annotation_panel import AnnotationPanel
    from histoloop.gui.panels.queue_panel import QueuePanel
    from histoloop.gui.panels.training_panel import TrainingPanel


class WorkTabs(QTabWidget):
    """Holds the panels of the loop's work."""

    def __init__(
        self, *, queue: QueuePanel, annotation: AnnotationPanel, training: TrainingPanel, annotations: QWidget
    ) -> None:
        super().__init__()
        self.questions = QStackedWidget()
        self.questions.addWidget(OverFoot(queue, queue.foot))
        self.questions.addWidget(WithFoot(annotation, annotation.foot))
        self._decision = training.decision
        self.training = WithFoot(training, training.foot)
        self.addTab(self.questions, tr("Questions"))
        self.addTab(self.training, tr("Training"))
        self.annotations = annotations
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
            if tab is self.training:
                QTimer.singleShot(0, self._show_decision)  # once it is laid out

    def _show_decision(self) -> None:
        """What a decision rests on, where there is one to make and too little room for all of the tab."""
        if self._decision.isVisible():
            self.training.area.ensureWidgetVisible(self._decision, 0, 0)
