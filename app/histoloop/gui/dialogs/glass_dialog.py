"""The label and the glass of a slide, shown once somebody has agreed to see them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QImage, QPixmap
from PySide6.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import button, label, row
from histoloop.gui.work.background import Worker
from histoloop.language import mark, tr
from histoloop.slides.glass import LABEL, MACRO, read_glass_pictures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from histoloop.gui.work.failure import Failure
    from histoloop.slides.reader import Pixels

MOST_PX = QSize(720, 320)
"""A picture is shown no larger."""

TITLES = {LABEL: mark("Label of the glass"), MACRO: mark("The whole glass")}


class GlassDialog(QDialog):
    """Asks first: a label may show whose tissue it is. Nothing of the pictures is kept, logged or exported."""

    def __init__(self, parent: QWidget | None, *, name: str, file: Path) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Label and macro pictures"))
        self.setMinimumWidth(460)
        self._file = file
        self._worker = Worker(self)
        self.pictures: dict[str, QLabel] = {}
        """What is shown, by LABEL and MACRO."""
        self.heading = label(name, role="heading", wrap=True)
        self.state = label(
            tr(
                "The pictures of the label and of the whole glass may show a patient's name, number or date of birth. "
                "Look at them only where others may see that too. They are not saved, exported or logged."
            ),
            wrap=True,
        )
        self.show_them = button(tr("Show the pictures"))
        self.show_them.setAutoDefault(False)
        self.show_them.clicked.connect(self._read)
        self.leave = button(tr("Close"), primary=True)
        self.leave.setDefault(True)
        self.leave.clicked.connect(self.close)
        self._column = QVBoxLayout(self)
        for part in (self.heading, self.state):
            self._column.addWidget(part)
        buttons = row(self.show_them, self.leave)
        buttons.insertStretch(0, 1)
        self._column.addLayout(buttons)

    def _read(self) -> None:
        self.show_them.setEnabled(False)
        self._worker.request(
            functools.partial(read_glass_pictures, self._file), on_done=self._show, on_failed=self._on_failed
        )

    def _show(self, pictures: Mapping[str, Pixels]) -> None:
        self.show_them.setVisible(False)
        if not pictures:
            self.state.setText(tr("The file of this slide contains neither, or in a form that is not read here."))
            return
        self.state.setText(tr("Not saved, exported or logged."))
        for kind, pixels in pictures.items():
            shown = label()
            height, width = pixels.shape[:2]
            image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
            size = image.size().scaled(MOST_PX, Qt.AspectRatioMode.KeepAspectRatio).boundedTo(image.size())
            fitted = image.scaled(size, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
            shown.setPixmap(QPixmap.fromImage(fitted))
            shown.setAccessibleName(tr(TITLES[kind]))
            self.pictures[kind] = shown
            self._column.insertWidget(self._column.count() - 1, label(tr(TITLES[kind]), role="muted"))
            self._column.insertWidget(self._column.count() - 1, shown)
        self.adjustSize()

    def _on_failed(self, failure: Failure) -> None:
        self.show_them.setVisible(False)
        self.state.setText(str(failure))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Forget the pictures."""
        self._worker.stop()
        super().closeEvent(event)
