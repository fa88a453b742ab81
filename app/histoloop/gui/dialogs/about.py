"""The page about the program: its version, and the packages it is made of with their licences."""

from __future__ import annotations

import functools
import platform
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, qVersion
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

import histoloop
from histoloop.gui.kit.beside import open_at
from histoloop.gui.kit.texts import NOTICE
from histoloop.gui.kit.theme import application_icon
from histoloop.gui.kit.widgets import label, row
from histoloop.gui.work.background import Worker
from histoloop.language import mark, tr
from histoloop.slides.reader import openslide_version
from histoloop.workflows.about import licence_text, packages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.gui.work.failure import Failure
    from histoloop.workflows.about import Package

SIZE_PX = (720, 640)
WAITING = mark("Checking what is installed…")
NO_TEXT = mark("This package came without a licence text; its licence is named in the list.")
ABOUT = mark(
    "Predict, query, annotate, retrain on histology slides, on one computer. Apache License 2.0. The shipped "
    "model was trained on EBHI-Seg (CC BY 4.0); Help > The model and its figures has the attribution."
)


class AboutDialog(QDialog):
    """Versions and licences. The list and the texts are read by a thread, since there are many small files."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("About HistoLoop"))
        open_at(self, *SIZE_PX)
        picture = QLabel()
        picture.setPixmap(application_icon().pixmap(64, 64))
        versions = f"Python {platform.python_version()}, Qt {qVersion()}, OpenSlide {openslide_version()}"
        self.versions = label(
            tr("Version {version} \N{EM DASH} {parts}", version=histoloop.__version__, parts=versions),
            role="muted",
            wrap=True,
        )
        self.versions.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        title = QVBoxLayout()
        title.addWidget(label("HistoLoop", role="title"))
        title.addWidget(self.versions)
        head = row(picture)
        head.addLayout(title, 1)
        self.list = _table()
        self.text = QPlainTextEdit(
            tr(WAITING), readOnly=True, placeholderText=tr("Choose a package to read its licence here.")
        )
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.list)
        parts.addWidget(self.text)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addLayout(head)
        column.addWidget(label(tr(ABOUT), wrap=True))
        column.addWidget(label(tr(NOTICE), role="heading", wrap=True))
        column.addWidget(label(tr("Built with these packages:"), role="muted"))
        column.addWidget(parts, 1)
        column.addWidget(buttons)
        self._worker = Worker(self)
        self.finished.connect(lambda _result: self._worker.stop())
        self.list.itemSelectionChanged.connect(self._ask_for_text)
        self._worker.request(packages, on_done=self._show, on_failed=self._show_failure)

    def _show(self, found: Sequence[Package]) -> None:
        self.list.setRowCount(len(found))
        for number, package in enumerate(found):
            for column, text in enumerate((package.name, package.version, package.licence)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.list.setItem(number, column, item)
        self.text.setPlainText("")

    def _ask_for_text(self) -> None:
        chosen = self.list.item(self.list.currentRow(), 0)
        if chosen is not None:
            self._worker.request(
                functools.partial(licence_text, chosen.text()),
                on_done=lambda text: self.text.setPlainText(text or tr(NO_TEXT)),
                on_failed=self._show_failure,
                topic="text",
            )

    def _show_failure(self, failure: Failure) -> None:
        self.text.setPlainText(str(failure))


def _table() -> QTableWidget:
    made = QTableWidget(0, 3)
    made.setHorizontalHeaderLabels([tr("Package"), tr("Version"), tr("Licence")])
    made.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    made.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    made.verticalHeader().hide()
    made.setShowGrid(False)
    made.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    made.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
    made.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
    made.horizontalHeader().setStretchLastSection(True)
    return made
