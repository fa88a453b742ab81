"""Questions that need more than a button: a new project, a resolution, what is known of the machine and the program."""

from __future__ import annotations

import functools
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from histoloop import paths
from histoloop.annotations.class_names import spoken_class
from histoloop.errors import HistoLoopError
from histoloop.gui.kit.actions import ActionSpec
from histoloop.gui.kit.number_box import NumberBox
from histoloop.gui.kit.widgets import NarrowBox, button, label, row, set_role, visible_name
from histoloop.language import mark, tr, tr_plural
from histoloop.store.cards import list_models, load_card
from histoloop.store.project_file import project_folder
from histoloop.workflows.add_model import check_new_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.gui.kit.actions import Row
    from histoloop.store.project import Project
    from histoloop.workflows.doctor import Finding

NOTE_LINES = 4
MPP_CHOICES = mark("A scanner's 40x is about 0.25, 20x about 0.5, 10x about 1.0 \N{MICRO SIGN}m per pixel.")


class NewProjectDialog(QDialog):
    """Name, place and starting model of a new project."""

    def __init__(self, parent: QWidget | None, *, place: Path) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("New project"))
        self.setMinimumWidth(480)
        self.name = QLineEdit(tr("Project"))
        self.place = QLineEdit(str(place))
        browse = button(tr("Browse…"))
        browse.clicked.connect(self._browse)
        self.model = QComboBox()
        for folder in list_models(paths.shipped_models()):
            self.model.addItem(load_card(folder).title, folder.name)
        self.problem = label(role="bad", wrap=True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText(tr("Make project"))
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.addRow(tr("Name"), self.name)
        form.addRow(tr("In the folder"), row(self.place, browse, stretch=0))
        form.addRow(tr("Starts from the model"), self.model)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(label(tr("Slides are not copied: the project refers to them."), role="muted", wrap=True))
        layout.addWidget(self.problem)
        layout.addWidget(self.buttons)
        self.name.textChanged.connect(self._check)
        self.place.textChanged.connect(self._check)
        self._check()

    def folder(self) -> Path:
        """The folder that becomes the project."""
        return Path(self.place.text()).expanduser() / folder_name(self.name.text())

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Where to put the project"), self.place.text())
        if chosen:
            self.place.setText(chosen)

    def _check(self) -> None:
        problem = ""
        if not self.name.text().strip() or not self.place.text().strip():
            problem = tr("Give the project a name and a place.")
        elif (self.folder() / "project.db").exists():
            problem = tr("There is a project in {folder} already.", folder=self.folder())
        self.problem.setText(problem)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not problem)


class OpenSlidesDialog(QDialog):
    """Where slides go that were opened from outside: a new project, one used before, or one to be searched for."""

    def __init__(self, parent: QWidget | None, *, slides: Sequence[Path], projects: Sequence[Path]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Open slides"))
        self.setMinimumWidth(480)
        self._place = str(projects[0].parent if projects else paths.user_data())
        self.places = NarrowBox()
        self.places.addItem(tr("A new project"), None)
        for folder in projects:
            self._offer(folder)
        self.browse = button(tr("Another project…"))
        self.browse.clicked.connect(self._browse)
        self.problem = label(role="bad", wrap=True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(label(_where_to(slides), role="heading", wrap=True))
        layout.addLayout(row(self.places, self.browse, stretch=0))
        layout.addWidget(label(tr("Slides are not copied: the project refers to them."), role="muted", wrap=True))
        layout.addWidget(self.problem)
        layout.addWidget(buttons)

    def project(self) -> Path | None:
        """The folder of the project chosen; None for a new one."""
        chosen: Path | None = self.places.currentData()
        return chosen

    def choose(self, path: Path) -> None:
        """Offer and choose the project that a path names."""
        folder = project_folder(path)
        self.problem.setText("" if folder else tr("There is no project in {path}.", path=path))
        if folder is not None:
            self._offer(folder)
            self.places.setCurrentIndex(self.places.count() - 1)

    def _offer(self, folder: Path) -> None:
        self.places.addItem(visible_name(f"{folder.name}  \N{EM DASH}  {folder.parent}"), folder)

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("The folder of a project"), self._place)
        if chosen:
            self.choose(Path(chosen))


class AddModelDialog(QDialog):
    """A model that comes with the program, or one in a folder; refused at once when it does not fit the project."""

    def __init__(self, parent: QWidget | None, *, project: Project, place: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Add a model"))
        self.setMinimumWidth(480)
        self._project = project
        self._place = place
        self.model = QComboBox()
        for folder in list_models(paths.shipped_models()):
            self.model.addItem(load_card(folder).title, str(folder))
        browse = button(tr("From a folder…"))
        browse.clicked.connect(self._browse)
        self.note = label(role="muted", wrap=True)
        self.note.setMinimumHeight(NOTE_LINES * self.note.fontMetrics().lineSpacing())
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText(tr("Add model"))
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(label(tr("Which model shall draw masks in this project?"), role="heading", wrap=True))
        layout.addLayout(row(self.model, browse, stretch=0))
        layout.addWidget(self.note)
        layout.addWidget(label(tr("It is copied into the project. The model in use stays."), role="muted", wrap=True))
        layout.addWidget(self.buttons)
        self.model.currentIndexChanged.connect(lambda _index: self._check())
        self._check()

    def source(self) -> Path:
        """The folder of the model."""
        return Path(self.model.currentData())

    def choose(self, folder: Path) -> None:
        """Offer the model of a folder."""
        if self.model.findData(str(folder)) < 0:
            self.model.addItem(str(folder), str(folder))
        self.model.setCurrentIndex(self.model.findData(str(folder)))

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("The folder of a model (with card.md)"), self._place)
        if chosen:
            self.choose(Path(chosen))

    def _check(self) -> None:
        fits, note = False, tr("There is no model to choose: take one from a folder.")
        if self.model.count():
            try:
                card = check_new_model(self._project, self.source())
                classes = functools.reduce(_both, map(spoken_class, card.scheme.mask_names))
                made_for = tr(
                    "Draws {classes}, made for {mpp:g} \N{MICRO SIGN}m per pixel.", classes=classes, mpp=card.mpp
                )
                fits, note = True, made_for
            except HistoLoopError as error:
                note = f"{error.message} {error.advice}"
        self.note.setText(note)
        set_role(self.note, "muted" if fits else "bad")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(fits)


def folder_name(name: str) -> str:
    """A folder's name for a project's name: without what file systems refuse."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "-", name).strip(" .") or tr("Project")


def _where_to(slides: Sequence[Path]) -> str:
    if len(slides) == 1:
        return tr("In which project shall {slide} be opened?", slide=slides[0].name)
    return tr_plural(
        "In which project shall {count} slide be opened?",
        "In which project shall {count} slides be opened?",
        len(slides),
    )


def _both(first: str, second: str) -> str:
    return tr("{first} and {second}", first=first, second=second)


class ResolutionDialog(QDialog):
    """Micrometres per pixel of slides that do not state it, or state it wrongly."""

    def __init__(self, parent: QWidget | None, *, names: Sequence[str], mpp: float | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Resolution"))
        self.setMinimumWidth(420)
        self.mpp = NumberBox(decimals=4, minimum=0.01, maximum=50, singleStep=0.05, value=mpp or 0.5)
        self.mpp.setSuffix(tr(" \N{MICRO SIGN}m per pixel"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(label(_how_wide(names), role="heading", wrap=True))
        layout.addWidget(self.mpp)
        layout.addWidget(label(tr(MPP_CHOICES), role="muted", wrap=True))
        layout.addWidget(label(tr("The slides are predicted anew at this resolution."), role="muted", wrap=True))
        layout.addWidget(buttons)


def _how_wide(names: Sequence[str]) -> str:
    if len(names) == 1:
        return tr("How wide is a pixel of {slide}?", slide=names[0])
    return tr_plural("How wide is a pixel of {count} slide?", "How wide is a pixel of {count} slides?", len(names))


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
    numbers = tr("<b>Alt+1</b>, <b>Alt+2</b>, … say which label the selected slides have, <b>Alt+0</b> takes it back.")
    held = tr("Hold <b>Space</b> to move the slide while painting; the wheel zooms.")
    return "".join(parts) + f"<p>{numbers}</p><p>{held}</p>"


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
