"""The slides of the project: listed, shown on the canvases, labelled, given a resolution, removed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QKeySequence

from histoloop.annotations.class_names import spoken_class
from histoloop.gui.dialogs.resolution_dialog import ResolutionDialog
from histoloop.gui.kit.widgets import menu_text
from histoloop.gui.panels.slides.slide_details import NOT_GIVEN
from histoloop.gui.window.history import History
from histoloop.language import tr
from histoloop.workflows.contents.slides import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PySide6.QtWidgets import QMenu

    from histoloop.gui.canvas.mask_pane import MaskPane, SplitView
    from histoloop.gui.panels.slides.slides_panel import SlidesPanel
    from histoloop.gui.work.project_watch import ProjectWatch
    from histoloop.gui.work.session import Session
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord
    from histoloop.workflows.contents.review import SlideReview

LAST_SLIDE = "last slide"
LIST_MS = 500
"""Slides that are predicted within this time are listed anew together."""


class SlideControl(QObject):
    """Wires the list of slides and the menu of their labels to the canvases and the session.

    `changed` is emitted when something else can be done with the slides now.
    """

    changed = Signal()

    def __init__(
        self, *, split: SplitView, session: Session, watch: ProjectWatch, panel: SlidesPanel, label_menu: QMenu
    ) -> None:
        super().__init__(split)
        self._split, self._opener, self._viewer = split, split.first.opener, split.first.viewer
        self._session, self._watch, self._panel, self._label_menu = session, watch, panel, label_menu
        self._list_soon = QTimer(self, singleShot=True, interval=LIST_MS)
        self._list_soon.timeout.connect(self._list_again)
        self._review: Mapping[int, SlideReview] = {}
        self.history = History(self)
        """The labels that were given to slides."""

    def connect_all(self) -> None:
        """Begin to listen."""
        self._session.slides_changed.connect(self._on_slides_changed)
        self._session.queries_changed.connect(self._list_again)
        self._watch.looked.connect(self._list_again)
        self._session.maps_changed.connect(self.refresh)
        self._session.slide_predicted.connect(self._on_slide_predicted)
        self._opener.shown.connect(self._on_shown)
        self._panel.slide_chosen.connect(self._show_slide)
        self._panel.mpp_requested.connect(self.ask_for_mpp)
        self._panel.unknown_mpp_requested.connect(self._ask_for_unknown_mpp)
        self._panel.remove_requested.connect(self.remove)
        self._panel.label_chosen.connect(self._label_selected)
        self._opener.failed.connect(self._on_not_shown)
        self._opener.changed.connect(self._show_note)
        self._label_menu.aboutToShow.connect(self._check_label)
        self.history.changed.connect(self.changed)

    def begin(self) -> None:
        """Another project, or none: its labels can be given, and none was."""
        self.history.clear()
        self._review = {}
        self._session.on_screen = None
        if self._session.project is not None:
            names = self._session.project.scheme.label_names
            self._fill_label_menu(names)
            self._label_menu.menuAction().setVisible(bool(names))

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """List the slides, and show one where none is shown: the last one that was shown before."""
        project = self._session.project
        if project is None:
            return
        ids = self._list(project)
        active = self._session.active
        if active is not None and active.record.slide_id not in ids:
            self._session.annotating.leave()
        if self._opener.wanted is not None and self._opener.wanted not in ids:
            for pane in self._split.panes():
                pane.opener.clear()
        elif self._opener.trouble is not None:
            self.refresh()  # it may have been found
        if self._opener.wanted is None and ids:
            last = project.settings.get(LAST_SLIDE)
            first = last if last in ids else ids[0]
            self._panel.choose(first)
            self._show_slide(first)  # the list emits nothing when a project before had its choice there
        self.changed.emit()

    def _list(self, project: Project) -> list[int]:
        """List the slides, and say which files were not there when somebody looked last; their ids."""
        slides = project.slides.all()
        self._panel.show_slides(
            slides,
            project.folder / "thumbnails",
            project.scheme.label_names,
            files=self._watch.found,
            annotated=project.annotations.finished_by_slide(),
            begun=project.drafts.begun_by_slide(),
            review=self._review,
            predicts=self._session.knows_labels,
            you=self._session.person,
        )
        return [slide.id for slide in slides]

    def show_review(self, review: Mapping[int, SlideReview]) -> None:
        """Say of each slide (by id) where its regions stand between two readers."""
        self._review = review
        self._list_again()

    def _list_again(self) -> None:
        """Something is to be said of the slides that are listed."""
        if self._session.project is not None:
            self._list(self._session.project)

    def _on_slides_changed(self) -> None:
        self.show()
        self._watch.look_at_files()

    def _show_slide(self, slide_id: int) -> None:
        """Show a slide; what was painted on another one stays as its draft."""
        project = self._session.project
        if project is None or slide_id == self._opener.wanted:
            return
        active = self._session.active
        if active is not None and active.record.slide_id != slide_id:
            self._session.annotating.leave()
        for pane in self._split.panes():
            pane.show_slide(project.folder, slide_id, self._panel.name_of(slide_id))

    def _on_shown(self, slide_id: int) -> None:
        self._session.on_screen = slide_id
        self._session.remember(LAST_SLIDE, slide_id)

    def refresh(self) -> None:
        """Show the slide on the screen anew: its maps or annotations have changed."""
        wanted = self._opener.wanted
        if self._session.project is not None and wanted is not None:
            for pane in self._split.panes():
                pane.show_slide(self._session.project.folder, wanted, self._panel.name_of(wanted))

    def _on_slide_predicted(self, slide_id: int, model_id: int) -> None:
        """Show what was found on a slide at once, while the slides after it are predicted."""
        if not self._list_soon.isActive():
            self._list_soon.start()
        for pane in self._split.panes():
            choice = pane.source.choice
            if pane.opener.wanted == slide_id and choice is not None and choice.model.id == model_id:
                pane.show_again()

    def look_again(self, changed: frozenset[int]) -> None:
        """Files of slides are not what they were: list them, and show the one on the screen anew."""
        shown = self._opener.current
        self.show()
        if shown is not None and shown in changed and shown == self._opener.wanted:
            self.refresh()

    def _show_note(self) -> None:
        scene = self._viewer.scene
        self._panel.show_note(self._opener.current, "" if scene is None else in_words(scene.slide))

    def _on_not_shown(self, slide_id: int) -> None:
        """The list says it too; a region that was to be painted on the slide stays for later."""
        slide = next((slide for slide in self._session.slides() if slide.id == slide_id), None)
        if slide is not None:
            self._watch.look_at(slide)
            self._list_again()
        elif self._session.project is not None:
            self._session.still_there([slide_id])  # which says that it is gone; another slide is shown then
        active = self._session.active
        if active is not None and active.record.slide_id == slide_id and self._viewer.annotating is None:
            self._session.annotating.leave()

    def step(self, by: int) -> None:
        """Show the next slide of the list (1), or the one before (-1)."""
        self._panel.step(by)

    # --- labels -------------------------------------------------------------------------------------------------------

    def label(self, slide_ids: list[int], name: str | None) -> None:
        """Give slides a label (None: take it back), as one step that can be undone."""
        there = self._session.still_there(slide_ids)
        before = {slide.id: slide.label for slide in self._session.slides() if slide.id in there}
        after = dict.fromkeys(before, name)
        if before != after:
            self.history.add(
                undo=functools.partial(self._session.set_slide_labels, before),
                redo=functools.partial(self._session.set_slide_labels, after),
            )
            self._session.set_slide_labels(after)

    def next_label(self) -> None:
        """Give the slide in the list the label after its own; after the last it is taken back."""
        project, chosen = self._session.project, self._panel.current_id()
        if project is not None and chosen is not None and self._session.still_there([chosen]):
            names = (None, *project.scheme.label_names)
            now = names.index(project.slides.get(chosen).label)
            self.label([chosen], names[(now + 1) % len(names)])

    def _label_selected(self, name: str | None) -> None:
        self.label(self._panel.selected_ids(), name)

    def _fill_label_menu(self, names: tuple[str, ...]) -> None:
        menu = self._label_menu
        menu.clear()
        for number, name in enumerate((None, *names)):
            action = menu.addAction(
                menu_text(spoken_class(name) if name else tr(NOT_GIVEN)), functools.partial(self._label_selected, name)
            )
            action.setCheckable(True)
            action.setData(name)
            if number < 10:
                action.setShortcut(QKeySequence(f"Alt+{number}"))

    def _check_label(self) -> None:
        """Tick the label that the selected slides have."""
        labels = {slide.label for slide in self._selected()}
        for action in self._label_menu.actions():
            action.setChecked(labels == {action.data()})

    # --- resolution, removing -----------------------------------------------------------------------------------------

    def ask_for_mpp(self) -> None:
        """Ask for the resolution of the selected slides."""
        self._ask_for_mpp(self._selected())

    def _ask_for_unknown_mpp(self) -> None:
        """Ask for the resolution of all slides that do not state it."""
        self._ask_for_mpp([slide for slide in self._session.slides() if slide.mpp is None])

    def connect_pane(self, pane: MaskPane) -> None:
        """Listen to a canvas that was opened."""
        pane.person = lambda: self._session.person
        pane.empty.remove_requested.connect(self._remove_shown)

    def remove(self) -> None:
        """Take the selected slides out of the project."""
        self._session.remove_slides(self._panel.selected_ids())

    def _remove_shown(self) -> None:
        """Take the slide that a canvas speaks of out of the project."""
        if self._opener.wanted is not None:
            self._session.remove_slides([self._opener.wanted])

    def _selected(self) -> list[SlideRecord]:
        chosen = set(self._panel.selected_ids())
        return [slide for slide in self._session.slides() if slide.id in chosen]

    def _ask_for_mpp(self, slides: list[SlideRecord]) -> None:
        if not slides:
            return
        dialog = ResolutionDialog(self._panel.window(), slides=slides)
        if dialog.exec():
            self._session.set_resolutions(dialog.resolutions())
