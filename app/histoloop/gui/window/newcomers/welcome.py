"""What is seen before a project is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from histoloop.gui.kit.theme import application_icon
from histoloop.gui.kit.widgets import button, label, menu_text, row
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WIDTH_PX = 560


class Welcome(QWidget):
    """Emits what the user wants to begin with."""

    new_requested = Signal()
    open_requested = Signal()
    demo_requested = Signal()
    recent_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        picture = QLabel()
        picture.setPixmap(application_icon().pixmap(72, 72))
        self.demo = button(
            tr("Try the demo"), primary=True, tip=tr("Synthetic slides to try things out, ready in a minute")
        )
        self.new = button(tr("New project…"))
        self.open = button(tr("Open project…"))
        self.demo.clicked.connect(self.demo_requested)
        self.new.clicked.connect(self.new_requested)
        self.open.clicked.connect(self.open_requested)
        self._recent_heading = label(tr("Recent projects"), role="heading")
        self._recent = QVBoxLayout()
        self._recent.setSpacing(2)
        column = QVBoxLayout()
        column.setSpacing(14)
        column.addStretch(2)
        column.addWidget(picture)
        column.addWidget(label("HistoLoop", role="title"))
        column.addWidget(
            label(
                tr(
                    "Name what you are looking for on histology slides, answer the few questions that help "
                    "most, and retrain with one click. Everything stays on this computer."
                ),
                wrap=True,
            )
        )
        column.addLayout(row(self.demo, self.new, self.open))
        column.addWidget(label(tr("Or drop slides, images or folders onto the window."), role="muted"))
        column.addSpacing(8)
        column.addWidget(self._recent_heading)
        column.addLayout(self._recent)
        column.addStretch(3)
        middle = QWidget()
        middle.setLayout(column)
        middle.setMaximumWidth(WIDTH_PX)
        layout = QHBoxLayout(self)
        layout.addStretch(1)
        layout.addWidget(middle, 4)
        layout.addStretch(1)

    def show_recent(self, folders: Sequence[Path]) -> None:
        """List projects opened before."""
        while (item := self._recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()  # at once: the deletion waits for the event loop
                widget.deleteLater()
        self._recent_heading.setVisible(bool(folders))
        for folder in folders:
            made = button(menu_text(f"{folder.name}  \N{EM DASH}  {folder.parent}"))
            made.setStyleSheet("text-align: left;")
            made.clicked.connect(lambda _on=False, folder=folder: self.recent_chosen.emit(folder))
            self._recent.addWidget(made)
