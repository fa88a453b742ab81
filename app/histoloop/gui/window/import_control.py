"""Annotations of other programs in the window: chosen or dropped, looked at over the slide, imported."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QRect
from PySide6.QtWidgets import QFileDialog

from histoloop.exchange.naming import is_named_mask
from histoloop.exchange.outlines.read import holds_outlines
from histoloop.gui.canvas.outline_preview import OutlinePreview
from histoloop.gui.dialogs.import_annotations import ImportAnnotationsDialog
from histoloop.gui.dialogs.import_files import file_kinds
from histoloop.gui.kit.beside import place_beside
from histoloop.gui.window.project_commands import LAST_FOLDER
from histoloop.gui.work.importing_annotations import AnnotationImports
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QWidget

    from histoloop.gui.canvas.mask_pane import MaskPane
    from histoloop.gui.canvas.outline_preview import Previewed
    from histoloop.gui.dialogs.class_matching import NewClass
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.work.session import Session
    from histoloop.workflows.import_annotations import PlannedImport


class ImportControl(QObject):
    """One dialog at a time over `parent`.

    `choose_slide` shows a slide (by id), `drop_others` takes what is dropped and is no annotation, and
    calls back once that is on its way into a project.
    """

    def __init__(
        self,
        *,
        parent: QWidget,
        session: Session,
        settings: Settings,
        pane: MaskPane,
        choose_slide: Callable[[int], object],
        drop_others: Callable[[list[Path], Callable[[], object]], object],
    ) -> None:
        super().__init__(parent)
        self._parent, self._session, self._settings, self._opener = parent, session, settings, pane.opener
        self._viewer = pane.viewer
        self._choose_slide, self._drop_others = choose_slide, drop_others
        self.imports = AnnotationImports(session)
        self.preview = OutlinePreview(pane.viewer)
        self.dialog: ImportAnnotationsDialog | None = None
        self._previewed: Previewed | None = None

    def connect_all(self) -> None:
        """Begin to listen."""
        self._session.project_changed.connect(self._end)
        self._session.slides_changed.connect(self._show_slides)
        self._session.classes.changed.connect(self._show_scheme)
        self._opener.changed.connect(self._draw)

    def ask(self) -> None:
        """Ask for files and look at them."""
        chosen, _filter = QFileDialog.getOpenFileNames(
            self._parent, tr("Import annotations"), self._last_folder(), file_kinds()
        )
        if chosen:
            self._settings.set(LAST_FOLDER, str(Path(chosen[0]).parent))
            self.open([Path(path) for path in chosen])

    def dropped(self, paths: list[Path]) -> None:
        """Look at the annotations among what was dropped; the others are slides and projects."""
        annotations = [path for path in paths if is_annotation(path)]
        others = [path for path in paths if path not in annotations]
        if annotations and self._session.project is None and not others:
            self._session.problem.emit(
                tr("Annotations are imported into a project."), tr("Open the project with their slides first.")
            )
            return
        if others:
            self._drop_others(others, functools.partial(self.open, annotations))
        else:
            self.open(annotations)

    def open(self, paths: Sequence[Path]) -> None:
        """Look at files in the dialog, together with those that are in it."""
        project = self._session.project
        if project is None or not paths:
            return
        if self.dialog is None:
            self._session.annotating.leave()  # what is being painted stays as its draft
            self.dialog = ImportAnnotationsDialog(
                self._parent,
                folder=project.folder,
                scheme=project.scheme,
                slides=self._session.slides(),
                place=self._last_folder(),
                why_not=self._session.why_read_only(),
            )
            self.dialog.previewed.connect(self._show)
            self.dialog.slide_wanted.connect(self._choose_slide)
            self.dialog.import_wanted.connect(self._import)
            self.dialog.finished.connect(self._on_finished)
            self._put_beside(self.dialog)
            self.dialog.show()
        self.dialog.add_files(paths)
        self.dialog.raise_()

    def shut_down(self) -> None:
        """Close the dialog and end the threads."""
        self._end()
        self.preview.shut_down()

    # --- how ----------------------------------------------------------------------------------------------------------

    def _put_beside(self, dialog: ImportAnnotationsDialog) -> None:
        """Where it hides as little as can be of the canvas, on which the files are drawn."""
        viewer = self._viewer
        shown = QRect(viewer.mapToGlobal(QPoint(0, 0)), viewer.size())
        screen = self._parent.screen().availableGeometry()
        dialog.setGeometry(
            place_beside(dialog.size(), window=self._parent.frameGeometry(), canvas=shown, screen=screen)
        )

    def _show(self, previewed: Previewed | None) -> None:
        self._previewed = previewed
        self._draw()

    def _show_slides(self) -> None:
        if self.dialog is not None:
            self.dialog.show_slides(self._session.slides())

    def _show_scheme(self) -> None:
        if self.dialog is not None and self._session.project is not None:
            self.dialog.show_scheme(self._session.project.scheme)

    def _draw(self) -> None:
        """What is looked at is drawn over its own slide alone."""
        previewed = self._previewed
        shown = previewed is not None and self._opener.current == previewed.slide_id
        self.preview.show_previewed(previewed if shown else None)

    def _import(self, planned: list[PlannedImport], new: list[NewClass]) -> None:
        self.imports.start(planned, new=[(each.name, each.colour) for each in new])

    def _on_finished(self, _result: int) -> None:
        self.dialog = None

    def _end(self) -> None:
        """Give up what is looked at: its project is closed."""
        if self.dialog is not None:
            self.dialog.reject()

    def _last_folder(self) -> str:
        return self._settings.text(LAST_FOLDER, str(Path.home()))


def is_annotation(path: Path) -> bool:
    """Whether a file that is dropped is one of annotations: by its ending, or a picture by its name (NAME_mask.png)."""
    return path.is_file() and (holds_outlines(path) or is_named_mask(path))
