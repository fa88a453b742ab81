"""The whole list of what came of long work: to read, to scroll, to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QFont, QGuiApplication, QTextBlockFormat, QTextCharFormat
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextEdit, QVBoxLayout, QWidget

from histoloop.gui.kit.beside import open_at
from histoloop.gui.kit.widgets import label, visible_text
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.gui.work.report import Report

INDENT_PX = 16


class ReportDialog(QDialog):
    """Does not stop anything: it can stay open beside the window."""

    def __init__(self, parent: QWidget, *, report: Report) -> None:
        super().__init__(parent)
        self._report = report
        self.setWindowTitle(tr("Results"))
        open_at(self, 760, 520)
        self.text = QTextEdit(readOnly=True)
        self._fill()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.copy = buttons.addButton(tr("Copy the list"), QDialogButtonBox.ButtonRole.ActionRole)
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(str(self._report)))
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(label(report.summary, role="heading", wrap=True))
        layout.addWidget(self.text)
        layout.addWidget(buttons)

    def _fill(self) -> None:
        """Write names and reasons as text: what they contain is shown, never interpreted."""
        cursor = self.text.textCursor()
        bold, plain = QTextCharFormat(), QTextCharFormat()
        bold.setFontWeight(QFont.Weight.Bold)
        flush, indented = QTextBlockFormat(), QTextBlockFormat()
        flush.setTopMargin(6)
        indented.setLeftMargin(INDENT_PX)
        for section in self._report.sections:
            cursor.setBlockFormat(flush)
            cursor.insertText(f"{section.title} ({len(section.entries)})", bold)
            for name, what in section.entries:
                cursor.insertBlock(indented, plain)
                cursor.insertText(f"{visible_text(name)}: " if what else visible_text(name), plain)
                cursor.insertText(visible_text(what), plain)
            cursor.insertBlock()
        self.text.moveCursor(cursor.MoveOperation.Start)
