"""Show a text: a page of the guide, the shortcuts, what was found on the machine."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QUrl
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from histoloop.gui.kit.actions import ActionSpec
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from histoloop.gui.kit.actions import Row
    from histoloop.workflows.doctor import Finding


class TextDialog(QDialog):
    """A text to read, with links and tables."""

    def __init__(self, parent: QWidget | None, *, title: str, html: str = "", markdown: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(640, 560)
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
        self.resize(900, 760)
        self.text.setSource(QUrl.fromLocalFile(str(page)))


def shortcuts_html(menus: Mapping[str, Sequence[Row[Any]]]) -> str:
    """The menus with their shortcuts as tables."""
    parts = []
    for title, entries in menus.items():
        rows = "".join(
            f"<tr><td width='330'>{escape(spec.plain)}</td><td><b>{escape(spec.keys)}</b></td></tr>"
            for spec in entries
            if isinstance(spec, ActionSpec) and spec.shortcut
        )
        if rows:
            parts.append(f"<h3>{tr(title).replace('&', '')}</h3><table>{rows}</table>")
    numbers = tr("<b>Alt+1</b>, <b>Alt+2</b>, … set the label of the selected slides, <b>Alt+0</b> clears it.")
    classes = tr("<b>1</b> to <b>9</b> choose the class to paint with.")
    held = tr("Hold <b>Space</b> to move the slide while painting; the wheel zooms.")
    return "".join(parts) + f"<p>{numbers}</p><p>{classes}</p><p>{held}</p>"


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
