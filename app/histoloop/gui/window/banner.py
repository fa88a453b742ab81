"""Messages above the slide that wait to be read without stopping anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal

from histoloop.gui.kit.strip import Strip
from histoloop.gui.kit.widgets import button, label, set_role, visible_text
from histoloop.language import tr

if TYPE_CHECKING:
    from histoloop.gui.work.report import Report

MOST_NAMED = 3
"""Files of a report that are named here, at most."""


class Banner(Strip):
    """Shows the newest message; a problem stays until it is closed, a notice too.

    `list_requested` asks for the whole of a report that is shown in short.
    """

    list_requested = Signal(object)

    def __init__(self) -> None:
        self.text = label(role="notice", wrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.list_button, self.close_button = button(tr("Show the list…")), button(tr("Close"))
        super().__init__(self.text, self.list_button, self.close_button)
        self._report: Report | None = None
        self.list_button.clicked.connect(lambda: self.list_requested.emit(self._report))
        self.close_button.clicked.connect(self.dismiss)

    def show_problem(self, message: str, advice: str) -> None:
        """Something did not work: what, and what to do."""
        self._show(f"{message}\n{advice}" if advice else message, "problem")

    def show_notice(self, message: str) -> None:
        """Something worth knowing."""
        self._show(message, "notice")

    def show_report(self, report: Report) -> None:
        """What came of long work: the sum, and the first files; nothing where all went as usual."""
        if report.is_usual:
            return
        entries = [entry for section in report.sections for entry in section.entries]
        lines = [report.summary, *(f"\N{BULLET} {name}: {what}" for name, what in entries[:MOST_NAMED])]
        if len(entries) > MOST_NAMED:
            lines.append("\N{HORIZONTAL ELLIPSIS}")
        self._show("\n".join(lines), "problem" if report.is_problem else "notice", report)

    def dismiss(self) -> None:
        """It was read."""
        self.setVisible(False)

    def _show(self, text: str, role: str, report: Report | None = None) -> None:
        self._report = report
        self.list_button.setVisible(report is not None and bool(report.sections))
        self.text.setText(visible_text(text))
        set_role(self.text, role)
        self.setVisible(True)
        self.fit()
