"""Ask what a new project is to find, what it begins with, its name and its place."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from histoloop.annotations.class_names import spoken_class
from histoloop.annotations.palette import TEMPLATES, unused_colour
from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import ClassError
from histoloop.gui.dialogs.class_table import ClassTable
from histoloop.gui.dialogs.start_choice import StartChoice
from histoloop.gui.kit.beside import open_at
from histoloop.gui.kit.widgets import NarrowBox, button, label, line, row, scrolling, visible_name
from histoloop.language import mark, tr, tr_plural
from histoloop.workflows.classes import own_scheme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.gui.dialogs.start_choice import Beginning

WIDTH_PX = 640
OWN = mark("Your own classes")


class NewProjectDialog(QDialog):
    """What is to be found, how to begin, name and place of a new project; says in words what is wrong with it.

    With `slides` it is the project for these (files or folders), and named after the first.
    """

    def __init__(self, parent: QWidget | None, *, place: Path, slides: Sequence[Path] = ()) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("New project"))
        self.setMinimumWidth(WIDTH_PX)
        self.slides = label(_what_comes(slides), role="heading", wrap=True)
        self.slides.setVisible(bool(slides))
        self.name = QLineEdit(free_name(folder_name(slides[0].stem), place=place) if slides else tr("Project"))
        self.place = QLineEdit(str(place))
        self.place.setAccessibleName(tr("In the folder"))
        browse = button(tr("Browse…"))
        browse.clicked.connect(self._browse)
        self.template = NarrowBox()
        self.template.setToolTip(tr("Classes to start with; they can be changed here and later"))
        for title, classes in TEMPLATES.items():
            self.template.addItem(tr(title), classes)
        self.template.addItem(tr(OWN), (MaskClass("", unused_colour(())),))
        self.template.activated.connect(self._take_template)
        self.table = ClassTable()
        self.table.remove.setToolTip(tr("Remove the class from the list"))
        self.labels = QLineEdit()
        self.labels.setPlaceholderText(tr("None, or for example: benign, malignant"))
        self.labels.setToolTip(tr("Diagnoses that a slide can have as a whole, separated by commas"))
        self.start = StartChoice(place=str(Path.home()))
        self.problem = label(role="bad", wrap=True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText(tr("Create project"))
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._typed_labels = ""
        self._arrange(browse)
        self._connect()
        self.table.show_classes(next(iter(TEMPLATES.values())))
        self.table.choose(0)
        self._check()
        self.name.setFocus()
        self.name.selectAll()

    def _arrange(self, browse: QWidget) -> None:
        form = QFormLayout()
        form.addRow(tr("Name"), self.name)
        form.addRow(tr("In the folder"), row(self.place, browse, stretch=0))
        labels = QFormLayout()
        labels.addRow(tr("Slide labels"), self.labels)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slides)
        layout.addLayout(form)
        layout.addWidget(line())
        layout.addLayout(row(label(tr("What do you want to find?"), role="heading"), self.template, stretch=1))
        layout.addWidget(self.table, 1)
        layout.addLayout(labels)
        layout.addWidget(self.problem)
        layout.addWidget(line())
        layout.addWidget(label(tr("How do you want to start?"), role="heading"))
        layout.addWidget(self.start)
        layout.addWidget(label(tr("Slides are not copied: the project refers to them."), role="muted", wrap=True))
        outer = QVBoxLayout(self)
        area = scrolling(body)
        area.setObjectName("plain")
        body.setAutoFillBackground(False)
        outer.addWidget(area, 1)
        outer.addWidget(self.buttons)
        around = outer.contentsMargins()
        apart = outer.spacing() + around.top() + around.bottom()
        open_at(self, WIDTH_PX, body.sizeHint().height() + self.buttons.sizeHint().height() + apart)

    def _connect(self) -> None:
        for field in (self.name, self.place, self.labels):
            field.textChanged.connect(self._check)
        self.start.changed.connect(self._check)
        self.start.classes_wanted.connect(self._show)
        table = self.table
        table.typed.connect(self._check)
        table.row_wanted.connect(self._add_class)
        table.moved.connect(self._move)
        table.removal_wanted.connect(self._remove)
        table.recoloured.connect(self._recolour)

    # --- what was chosen ----------------------------------------------------------------------------------------------

    def folder(self) -> Path:
        """The folder that becomes the project."""
        return Path(self.place.text()).expanduser() / folder_name(self.name.text())

    @property
    def beginning(self) -> Beginning:
        """What the project begins with."""
        return self.start.beginning

    def classes(self) -> tuple[MaskClass, ...]:
        """The classes of the project."""
        return self.table.classes()

    def own_labels(self) -> tuple[LabelClass, ...] | None:
        """The labels of slides; None where they are those of the model."""
        if self.beginning.card is not None:
            return None
        names = (name.strip() for name in self.labels.text().split(","))
        return tuple(LabelClass(name) for name in names if name)

    # --- the table of classes -----------------------------------------------------------------------------------------

    def _show(self, classes: Sequence[MaskClass]) -> None:
        self.table.show_classes(classes)
        self._check()

    def _take_template(self) -> None:
        self._show(self.template.currentData())
        self.table.choose(0)
        if not self.table.classes()[0].name:
            self.table.edit(0)

    def _add_class(self) -> None:
        now = self.table.classes()
        self._show([*now, MaskClass("", unused_colour([one.colour for one in now]))])
        self.table.edit(len(now))

    def _move(self, number: int, to: int) -> None:
        now = list(self.table.classes())
        now.insert(to, now.pop(number))
        self._show(now)
        self.table.choose(to)

    def _remove(self, number: int) -> None:
        now = list(self.table.classes())
        del now[number]
        self._show(now)

    def _recolour(self, number: int, colour: str) -> None:
        now = list(self.table.classes())
        now[number] = MaskClass(now[number].name, colour)
        self._show(now)

    # --- what is wrong ------------------------------------------------------------------------------------------------

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, tr("Where to save the project"), self.place.text())
        if chosen:
            self.place.setText(chosen)

    def _check(self) -> None:
        scheme, problem = self._scheme()
        unfit = self.start.follow(scheme)
        self._show_labels()
        if not self.name.text().strip() or not self.place.text().strip():
            problem = tr("Give the project a name and a folder.")
        elif (self.folder() / "project.db").exists():
            problem = tr("There is already a project in {folder}.", folder=self.folder())
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not problem and not unfit)

    def _scheme(self) -> tuple[ClassScheme | None, str]:
        """The classes and labels as they stand, or why they cannot be."""
        classes = self.table.classes()
        try:
            own_scheme([MaskClass(spoken_class(one.name), one.colour) for one in classes])
            return own_scheme(classes, self.own_labels() or ()), ""
        except ClassError as error:
            return None, f"{error.message} {error.advice}"

    def _show_labels(self) -> None:
        """A model has its own labels; those that were typed come back with an encoder."""
        card = self.beginning.card
        self.labels.setEnabled(card is None)
        typed = tr("None, or for example: benign, malignant")
        self.labels.setPlaceholderText(
            typed if card is None else visible_name(", ".join(map(spoken_class, card.scheme.label_names)))
        )
        if card is not None and self.labels.text():
            self._typed_labels = self.labels.text()
            self.labels.clear()
        elif card is None and self._typed_labels:
            typed, self._typed_labels = self._typed_labels, ""
            self.labels.setText(typed)


def _what_comes(slides: Sequence[Path]) -> str:
    if len(slides) == 1:
        return tr("A new project for {slide}", slide=visible_name(slides[0].name))
    return tr_plural("A new project for {count} slide", "A new project for {count} slides and folders", len(slides))


def free_name(name: str, *, place: Path) -> str:
    """A name, with a number behind it where there is such a folder in a place."""
    names = itertools.chain([name], (f"{name} {number}" for number in itertools.count(2)))
    return next(free for free in names if not (place / free).exists())


def folder_name(name: str) -> str:
    """A folder's name for a project's name: without what file systems refuse."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "-", name).strip(" .") or tr("Project")
