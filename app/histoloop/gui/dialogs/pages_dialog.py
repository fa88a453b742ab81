"""Ask which reports are to be written: of the project and all its slides, or of those selected; as which files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QRadioButton, QVBoxLayout, QWidget

from histoloop.gui.kit.widgets import label, set_role
from histoloop.language import mark, tr, tr_plural
from histoloop.workflows.report_pages import PAGE_FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.workflows.report_pages import PageFormat

NAMES: Mapping[PageFormat, str] = {
    "html": mark("For the browser (HTML)"),
    "pdf": mark("For printing and filing (PDF)"),
}


class PagesDialog(QDialog):
    """`selected` are slides by id; without any, the whole project is all there is to choose."""

    def __init__(self, parent: QWidget | None, *, selected: Sequence[int]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Report"))
        self.setMinimumWidth(420)
        self._selected = tuple(selected)
        self.all = QRadioButton(tr("The project and each of its slides"))
        count = len(self._selected)
        self.some = QRadioButton(tr_plural("{count} selected slide", "{count} selected slides", count))
        self.some.setEnabled(count > 0)
        (self.some if count > 1 else self.all).setChecked(True)
        self.formats = {kind: QCheckBox(tr(NAMES[kind])) for kind in PAGE_FORMATS}
        self.formats["pdf"].setChecked(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.write = self.buttons.addButton(tr("Write…"), QDialogButtonBox.ButtonRole.AcceptRole)
        set_role(self.write, "primary")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        about = tr(
            "One page each: the slide with its masks, areas, the model and its figures, who annotated what and when. "
            "No paths and no pictures of labels."
        )
        column.addWidget(label(about, role="muted", wrap=True))
        for box in (self.all, self.some, *self.formats.values()):
            column.addWidget(box)
        column.addWidget(self.buttons)
        for box in self.formats.values():
            box.toggled.connect(lambda _on: self.write.setEnabled(bool(self.chosen_formats())))

    def slide_ids(self) -> tuple[int, ...] | None:
        """The slides that are wanted; None: the project and all of them."""
        return self._selected if self.some.isChecked() else None

    def chosen_formats(self) -> list[PageFormat]:
        """The kinds of files that are wanted."""
        return [kind for kind, box in self.formats.items() if box.isChecked()]
