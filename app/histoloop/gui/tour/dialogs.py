"""The dialogs and menus of the window, one picture each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMenu

from histoloop.gui.dialogs.add_model import AddModelDialog
from histoloop.gui.dialogs.export_dialog import ExportDialog
from histoloop.gui.dialogs.glass_dialog import GlassDialog
from histoloop.gui.dialogs.new_project import NewProjectDialog
from histoloop.gui.dialogs.open_slides import OpenSlidesDialog
from histoloop.gui.dialogs.pages_dialog import PagesDialog
from histoloop.gui.dialogs.resolution_dialog import ResolutionDialog
from histoloop.gui.dialogs.segmenter_dialog import SegmenterDialog
from histoloop.gui.dialogs.text_dialog import TextDialog
from histoloop.gui.tour.driver import TourError
from histoloop.gui.window.menus import MENUS

if TYPE_CHECKING:
    from PySide6.QtWidgets import QDialog

    from histoloop.gui.tour.driver import Tour


def look_at_the_classes(tour: Tour) -> None:
    """What a new project asks, and the classes of this one."""
    window = tour.window
    asked = NewProjectDialog(window, place=Path.home() / "Documents" / "HistoLoop")
    _show(tour, asked)
    tour.picture("new-project", "A new project asks what is to be found and how to begin", of=asked)
    asked.close()
    window.actions_["classes"].trigger()
    dialog = window.class_control.dialog
    if dialog is None:
        raise TourError("the classes do not show")
    tour.settle()
    tour.picture("classes", "The classes of a project, to add to, rename, merge or remove", of=dialog)
    dialog.close()


def show_what_can_be_written(tour: Tour) -> None:
    """An export with choices, and reports."""
    window, project = tour.window, tour.project
    slides, classes = project.slides.all(), project.scheme.mask_names
    export = ExportDialog(window, slides=slides, chosen=[], classes=classes)
    _show(tour, export)
    tour.picture("export-choices", "What is exported: slides, classes, by whom, as which files", of=export)
    export.close()
    report = PagesDialog(window, selected=[slide.id for slide in slides[:2]])
    _show(tour, report)
    tour.picture("report", "Reports of the project or of selected slides", of=report)
    report.close()


def look_at_the_dialogs(tour: Tour) -> None:
    """What else asks or tells something: resolution, models, files, the glass, this computer."""
    window, project = tour.window, tour.project
    slides = project.slides.all()
    resolution = ResolutionDialog(window, slides=slides[:1])
    _show(tour, resolution)
    tour.picture("resolution", "The resolution of a slide", of=resolution)
    resolution.close()
    model = AddModelDialog(window, project=project, place=str(tour.out))
    _show(tour, model)
    tour.picture("add-model", "Another model for the project", of=model)
    model.close()
    files = OpenSlidesDialog(window, slides=[slide.path for slide in slides[:2]], projects=[project.folder])
    _show(tour, files)
    tour.picture("open-slides", "Slides that were dropped, and where they go", of=files)
    files.close()
    window.actions_["segmenter"].trigger()
    segmenter = _found(tour, SegmenterDialog)
    tour.picture("segmenter", "A model that finds objects", of=segmenter)
    segmenter.close()
    window.actions_["show_glass"].trigger()
    glass = _found(tour, GlassDialog)
    tour.picture("glass", "The warning before pictures of the label and the glass", of=glass)
    glass.close()
    window.actions_["model_card"].trigger()
    card = _found(tour, TextDialog)
    tour.picture("model-card", "The model and its figures", of=card)
    card.close()


def look_at_the_menus(tour: Tour) -> None:
    """Each menu, as it opens."""
    bar = tour.window.menuBar()
    for title, entry in zip(MENUS, bar.actions(), strict=True):
        menu = entry.menu()
        if not isinstance(menu, QMenu):
            raise TourError(f"there is no menu {title}")
        menu.popup(bar.mapToGlobal(bar.actionGeometry(entry).bottomLeft()))
        tour.settle()
        tour.picture(f"menu-{re.sub('[^a-z]', '', title.lower())}", f"The menu {title.replace('&', '')}", of=menu)
        menu.close()


def _show(tour: Tour, dialog: QDialog) -> None:
    dialog.show()
    tour.settle()


def _found(tour: Tour, kind: type[QDialog]) -> QDialog:
    """The dialog of a kind that was opened."""
    tour.wait(lambda: any(dialog.isVisible() for dialog in tour.window.findChildren(kind)), "a dialog to show")
    tour.settle()
    return next(dialog for dialog in tour.window.findChildren(kind) if dialog.isVisible())
