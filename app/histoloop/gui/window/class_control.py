"""The classes of the project: the dialog that changes them, and the parts of the window that show them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.dialogs.classes_dialog import ClassesDialog
from histoloop.language import tr

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from histoloop.gui.panels.overlay_panel import OverlayPanel
    from histoloop.gui.work.session import Session
    from histoloop.workflows.classes import ClassUse


class ClassControl(QObject):
    """Wires the dialog of classes, and the colours in a panel, to the session.

    `changed` is emitted once the classes are others, `reported` with a sentence about it.
    """

    changed = Signal()
    reported = Signal(str)

    def __init__(self, *, parent: QWidget, session: Session, overlay: OverlayPanel) -> None:
        super().__init__(parent)
        self._parent, self._session, self._overlay = parent, session, overlay
        self.dialog: ClassesDialog | None = None
        """The dialog while it is open."""
        self.can_undo = False
        """Whether a change of the classes can be taken back, as of the last one."""

    def connect_all(self) -> None:
        """Begin to listen."""
        self._session.classes.changed.connect(self._on_changed)
        self._session.classes.refused.connect(self._on_refused)
        self._session.classes.taken_back.connect(lambda what: self.reported.emit(tr("Undone: {what}.", what=what)))
        self._overlay.colour_chosen.connect(self._recolour)

    def begin(self) -> None:
        """Another project, or none: the dialog was about the one before."""
        self.can_undo = self._session.classes.can_undo
        if self.dialog is not None:
            self.dialog.close()

    def undo(self) -> None:
        """Take back the last change of the classes."""
        self._session.classes.undo()

    def open(self) -> None:
        """Show the classes to change them."""
        if self._session.project is None:
            return
        if self.dialog is None:
            self.dialog = self._made()
        self._show()
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def _made(self) -> ClassesDialog:
        dialog, classes = ClassesDialog(self._parent), self._session.classes
        dialog.added.connect(classes.add)
        dialog.renamed.connect(classes.rename)
        dialog.recoloured.connect(classes.recolour)
        dialog.reordered.connect(classes.reorder)
        dialog.undo_wanted.connect(classes.undo)
        dialog.removal_wanted.connect(self._ask_to_remove)
        dialog.merge_wanted.connect(self._ask_to_merge)
        dialog.finished.connect(self._on_closed)
        return dialog

    def _on_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def _ask_to_remove(self, name: str) -> None:
        def ask(use: ClassUse) -> None:
            if self.dialog is not None:
                self.dialog.ask_to_remove(name, use, functools.partial(self._session.classes.remove, name))

        self._session.classes.find_use(name, ask)

    def _ask_to_merge(self, name: str, into: str) -> None:
        def ask(use: ClassUse) -> None:
            if self.dialog is not None:
                deed = functools.partial(self._session.classes.merge, name, into)
                self.dialog.ask_to_merge(name, into, use, deed)

        self._session.classes.find_use(name, ask)

    def _recolour(self, index: int, colour: str) -> None:
        """A colour that was chosen in the panel is that of the class, where the project can be changed."""
        project = self._session.project
        if project is not None and not self._session.read_only:
            self._session.classes.recolour(project.scheme.mask_names[index], colour)

    def _show(self) -> None:
        project = self._session.project
        if self.dialog is not None and project is not None:
            self.dialog.show_classes(project.scheme.masks, can_undo=self.can_undo)

    def _on_changed(self) -> None:
        self.can_undo = self._session.classes.can_undo
        self._show()
        self.changed.emit()

    def _on_refused(self, why: str) -> None:
        self._show()  # as it is: what was wanted is not
        if self.dialog is not None:
            self.dialog.show_state(why, bad=True)
        else:
            self._session.problem.emit(why, "")
