"""What the entries of the menus do: one method an action, by its name in gui/kit/actions.py."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QInputDialog

from histoloop import paths
from histoloop.geometry import Region
from histoloop.gui.kit.actions import specs
from histoloop.gui.kit.theme import THEMES
from histoloop.gui.kit.translation import SYSTEM
from histoloop.gui.panels.annotation_panel import TOOLS
from histoloop.gui.window import dialogs
from histoloop.gui.window.about import AboutDialog
from histoloop.gui.window.first_steps import FirstSteps
from histoloop.gui.work import tasks
from histoloop.gui.work.jobs import Job
from histoloop.language import LANGUAGES, tr
from histoloop.workflows.about import releases_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.gui.window.main_window import MainWindow
    from histoloop.store.records import SlideRecord

MAX_ANNOTATE_PX = 2048
"""Longest side of a region that is painted without being asked, in level-0 pixels."""

ZOOM_STEP = 1.5
SLIDE_ENDINGS = "svs tif tiff ndpi vms vmu scn mrxs svslide bif dcm czi qptiff btf tf2 tf8 jp2 png jpg jpeg bmp"
DEVICES = ("auto", "cpu", "cuda")
LANGUAGE_CHOICES = (SYSTEM, *(language.code for language in LANGUAGES))


class Commands:
    """Carries out actions on a window."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def handlers(self) -> dict[str, Callable[..., object]]:
        """What each action does, by its name."""
        window, session, viewer = self._window, self._window.session, self._window.viewer
        found: dict[str, Callable[..., object]] = {
            "close_project": session.close_project,
            "quit": window.close,
            "predict": session.predict,
            "fit": viewer.fit,
            "zoom_in": functools.partial(viewer.zoom_by, ZOOM_STEP),
            "zoom_out": functools.partial(viewer.zoom_by, 1 / ZOOM_STEP),
            "full_resolution": viewer.full_resolution,
            "show_masks": lambda on: window.overlay_panel.masks.setChecked(on),
            "show_outlines": lambda on: window.overlay_panel.outlines.setChecked(on),
            "show_heatmap": lambda on: window.overlay_panel.heatmap.setChecked(on),
            "show_questions": lambda _on: window.show_boxes(),
            "next_drawing": lambda: window.source.next_drawing(),
            "compare": lambda on: window.mask_control.compare(on),
            "ask": lambda: window.queue_panel.ask_now(),
            "retrain": session.retrain,
            "keep": session.keep,
            "roll_back": session.roll_back,
            "brush_smaller": lambda: window.annotation_panel.scale_brush(larger=False),
            "brush_larger": lambda: window.annotation_panel.scale_brush(larger=True),
            "next_class": lambda: window.annotation_panel.next_class(),
            "next_label": lambda: window.annotation_panel.next_label(),
            "size_more": lambda: window.annotation_panel.size_picker.step(more=True),
            "size_less": lambda: window.annotation_panel.size_picker.step(more=False),
            "size_from_mask": lambda: window.annotation_panel.size_picker.take_from_mask(),
            "undo": lambda: window.history.undo(),
            "redo": lambda: window.history.redo(),
            "clear_region": lambda: window.paint_control.clear(),
            "finish": lambda: window.paint_control.finish(),
            "save_said": lambda: window.paint_control.finish(with_mask=False),
            "accept": lambda: window.paint_control.accept(),
            "leave": session.leave,
        }
        found |= {f"tool_{tool}": functools.partial(viewer.set_tool, tool) for tool in TOOLS}
        found |= {f"theme_{theme}": functools.partial(window.set_theme, theme) for theme in THEMES}
        found |= {f"language_{code}": functools.partial(self.set_language, code) for code in LANGUAGE_CHOICES}
        found |= {f"device_{device}": functools.partial(self.set_device, device) for device in DEVICES}
        return found | {spec.name: getattr(self, spec.name) for spec in specs() if spec.name not in found}

    # --- project and slides -----------------------------------------------------------------------------------------

    def new_project(self) -> None:
        """Ask for name, place and model, and make the project."""
        dialog = dialogs.NewProjectDialog(self._window, place=self._window.settings.projects)
        if dialog.exec():
            self._window.session.create_project(
                dialog.folder(), name=dialog.name.text().strip(), model=dialog.model.currentData()
            )

    def open_project(self) -> None:
        """Ask for the folder of a project and open it."""
        place = str(self._window.settings.projects)
        chosen = QFileDialog.getExistingDirectory(self._window, tr("Open the folder of a project"), place)
        if chosen:
            self._window.session.open_project(Path(chosen))

    def open_demo(self) -> None:
        """Open the demo project of this user."""
        self._window.opening.demo(self._window.settings.projects / "Demo")

    def add_slides(self) -> None:
        """Ask for slide files and add them."""
        kinds = f"{tr('Slides and pictures')} ({_patterns()});;{tr('All files')} (*)"
        chosen, _filter = QFileDialog.getOpenFileNames(self._window, tr("Add slides"), self._last_folder(), kinds)
        if chosen:
            self._window.settings.set("last_folder", str(Path(chosen[0]).parent))
            self._window.session.add_slides([Path(path) for path in chosen])

    def add_folder(self) -> None:
        """Ask for a folder and add the slides in it."""
        if chosen := self._ask_for_folder(tr("Add a folder of slides")):
            self._window.session.add_slides([chosen])

    def export(self) -> None:
        """Ask for a folder and export into it."""
        if chosen := self._ask_for_folder(tr("Export into the folder")):
            self._window.session.export(chosen)

    def find_moved(self) -> None:
        """Ask for a folder and look for missing slides there."""
        if chosen := self._ask_for_folder(tr("The folder the slides are in now")):
            self._window.session.find_moved(chosen)

    def remove_slides(self) -> None:
        """Take the selected slides out of the project."""
        self._window.session.remove_slides(self._window.slides_panel.selected_ids())

    def predict_added(self, on: bool) -> None:
        """Whether slides are predicted as soon as they are added."""
        self._window.session.predict_added = on
        self._window.settings.set("predict_added", on)

    def next_slide_label(self) -> None:
        """Say the label after the one the slide has; after the last it is taken back."""
        project, chosen = self._window.session.project, self._window.slides_panel.current_id()
        if project is not None and chosen is not None:
            names = (None, *project.scheme.label_names)
            said = names.index(project.slide(chosen).label)
            self._window.label_slides([chosen], names[(said + 1) % len(names)])

    def set_mpp(self) -> None:
        """Ask for the resolution of the selected slides."""
        chosen = self._window.slides_panel.selected_ids()
        self._ask_for_mpp([slide for slide in self._window.session.slides() if slide.id in chosen])

    def set_unknown_mpp(self) -> None:
        """Ask for the resolution of all slides that do not say it."""
        self._ask_for_mpp([slide for slide in self._window.session.slides() if slide.mpp is None])

    def _ask_for_mpp(self, slides: list[SlideRecord]) -> None:
        if not slides:
            return
        dialog = dialogs.ResolutionDialog(self._window, names=[slide.name for slide in slides], mpp=slides[0].mpp)
        if dialog.exec():
            self._window.session.set_mpp([slide.id for slide in slides], dialog.mpp.value())

    def _ask_for_folder(self, title: str) -> Path | None:
        chosen = QFileDialog.getExistingDirectory(self._window, title, self._last_folder())
        if not chosen:
            return None
        self._window.settings.set("last_folder", chosen)
        return Path(chosen)

    def _last_folder(self) -> str:
        return self._window.settings.text("last_folder", str(Path.home()))

    def add_model(self) -> None:
        """Ask for a model and bring it into the project."""
        project = self._window.session.project
        if project is not None:
            dialog = dialogs.AddModelDialog(self._window, project=project, place=self._last_folder())
            if dialog.exec():
                self._window.session.add_model(dialog.source())

    # --- the loop ---------------------------------------------------------------------------------------------------

    def next_question(self) -> None:
        """Go to the question after the one in hand; a draft in hand stays."""
        session, queue = self._window.session, self._window.queue_panel
        shown = queue.shown_ids()
        chosen = session.active.record.query_id if session.active is not None else None
        session.leave()
        if shown:
            following = shown[(shown.index(chosen) + 1) % len(shown)] if chosen in shown else shown[0]
            queue.select(following)
            session.begin_query(following)

    def annotate_visible(self) -> None:
        """Paint the part of the slide that is on the screen, or its middle when that is large."""
        window = self._window
        scene, slide_id = window.viewer.scene, window.opener.current
        visible = None if scene is None else window.viewer.visible_region().intersection(scene.slide.extent)
        if visible is None or slide_id is None:
            window.banner.show_problem(tr("No part of the slide is in sight."), tr("Move the slide into view first."))
            return
        width, height = min(visible.width, MAX_ANNOTATE_PX), min(visible.height, MAX_ANNOTATE_PX)
        x, y = visible.x + (visible.width - width) // 2, visible.y + (visible.height - height) // 2
        window.session.leave()
        window.session.begin_region(slide_id, Region(x, y, width, height))

    def cancel_job(self) -> None:
        """Stop what runs in the background."""
        self._window.job_bar.stopping()
        self._window.session.jobs.cancel()

    def set_device(self, device: str) -> None:
        """Where jobs compute from now on."""
        self._window.session.device = device
        self._window.settings.set("device", device)

    # --- painting ---------------------------------------------------------------------------------------------------

    def skip(self) -> None:
        """Leave out the region in hand, or the question that is selected."""
        chosen = self._window.queue_panel.current_id()
        if self._window.session.active is not None:
            self._window.session.skip()
        elif chosen is not None:
            self._window.session.skip_query(chosen)

    def cannot_tell(self) -> None:
        """Say that nobody could tell, of the region in hand or of the question that is selected."""
        chosen = self._window.queue_panel.current_id()
        if self._window.session.active is not None:
            self._window.session.cannot_tell()
        elif chosen is not None:
            self._window.session.cannot_tell_query(chosen)

    def person(self) -> None:
        """Ask for the name that annotations are kept with."""
        said = self._window.session.person
        name, given = QInputDialog.getText(
            self._window, tr("Your name"), tr("Annotations are kept with the name"), text=said
        )
        if given and name.strip():
            self._window.session.person = name.strip()
            self._window.settings.set("person", name.strip())

    # --- language -------------------------------------------------------------------------------------------------

    def set_language(self, code: str) -> None:
        """Speak a language, of LANGUAGE_CHOICES, from now on: the window is built anew for it."""
        self._window.settings.set("language", code)
        self._window.language_chosen.emit()

    # --- help -------------------------------------------------------------------------------------------------------

    def open_guide(self) -> None:
        """Show the guide in the browser, or its text in a window of our own where the site is not built."""
        page = paths.guide()
        if page is None:
            self._window.banner.show_problem(
                tr("The guide is not part of this installation."),
                tr("Help > Keyboard shortcuts says what can be done here, histoloop COMMAND --help on a command line."),
            )
        elif page.suffix == ".md":
            dialogs.GuideDialog(self._window, page=page).open()
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(str(page))):
            self._window.banner.show_problem(
                tr("No browser could be started."), tr("The guide is in {page}.", page=page)
            )

    def first_steps(self) -> None:
        """Language, theme, folder of the projects, what the machine can do; from there into the five steps."""
        FirstSteps(self._window).open()

    def leave_first_steps(self) -> bool:
        """Close the first steps, keeping what was chosen there; whether they were open."""
        dialogs_open = [dialog for dialog in self._window.findChildren(FirstSteps) if dialog.isVisible()]
        for dialog in dialogs_open:
            dialog.reject()
        return bool(dialogs_open)

    def five_steps(self) -> None:
        """Go through the loop in five steps, on the project that is open or on the demo."""
        if self._window.session.project is None:
            self.open_demo()
        self._window.five_steps.begin()

    def new_version(self) -> None:
        """Open the page of releases in the user's browser: the only thing that ever reaches for a network."""
        if page := releases_page():
            QDesktopServices.openUrl(QUrl(page))

    def about(self) -> None:
        """Versions and licences."""
        AboutDialog(self._window).open()

    def shortcuts(self) -> None:
        """Show all shortcuts."""
        dialogs.TextDialog(self._window, title=tr("Keyboard shortcuts"), html=dialogs.shortcuts_html()).open()

    def doctor(self) -> None:
        """Look at the machine in the background; the window shows what was found."""
        self._window.session.jobs.submit(Job("doctor", tr("Looking at this machine"), tasks.examine))

    def model_card(self) -> None:
        """Show the card of the current model."""
        if self._window.session.project is not None:
            card = self._window.session.project.current_card()
            dialogs.TextDialog(self._window, title=card.title, markdown=card.description).open()

    def open_log(self) -> None:
        """Open the folder of the log in the desktop's file manager."""
        folder = paths.user_data() / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _patterns() -> str:
    return " ".join(f"*.{ending}" for ending in SLIDE_ENDINGS.split())
