"""Show a text: a page of the guide, what was found on the machine."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from histoloop.gui.kit.beside import open_at
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.workflows.doctor import Finding


class TextDialog(QDialog):
    """A text to read, with links and tables."""

    def __init__(self, parent: QWidget | None, *, title: str, html: str = "", markdown: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        open_at(self, 640, 560)
        self.text = QTextBrowser(openExternalLinks=True)
        if markdown:
            self.text.setMarkdown(markdown)
        else:
            self.text.setHtml(html)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(buttons)


class GuideDialog(TextDialog):
    """The guide's Markdown, for a checkout without the built site; its links lead from page to page."""

    def __init__(self, parent: QWidget | None, *, page: Path) -> None:
        super().__init__(parent, title=tr("Guide"))
        open_at(self, 900, 760)
        self.text.setSource(QUrl.fromLocalFile(str(page)))


def findings_html(findings: Sequence[Finding]) -> str:
    """What was found on the machine, as a table; problems first."""
    order = {"problem": 0, "note": 1, "ok": 2}
    signs = {"problem": "\N{CROSS MARK}", "note": "\N{INFORMATION SOURCE}", "ok": "\N{CHECK MARK}"}
    rows = "".join(
        f"<tr><td>{signs[finding.state]}&nbsp;</td><td><b>{escape(finding.name)}</b>&nbsp;&nbsp;</td>"
        f"<td>{escape(finding.value)}{'<br><i>' + escape(finding.advice) + '</i>' if finding.advice else ''}</td></tr>"
        for finding in sorted(findings, key=lambda finding: order[finding.state])
    )
    return f"<table cellpadding='4'>{rows}</table>"
