"""How the user wants to see slides and masks: what of it is kept, and what painting brings into sight."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from histoloop.gui.canvas.appearance import NEUTRAL, Appearance, Stain
from histoloop.gui.dialogs.appearance_dialog import AppearanceDialog
from histoloop.gui.dialogs.glass_dialog import GlassDialog

if TYPE_CHECKING:
    from histoloop.gui.canvas.mask_pane import MaskPane, SplitView
    from histoloop.gui.canvas.tools.measuring import Shape
    from histoloop.gui.kit.actions import Actions
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.panels.overlay_panel import OverlayPanel
    from histoloop.gui.work.session import Session

CLASS_LOOKS = "class_looks"
"""Setting of a project: of each class by name whether it is seen and whether it is filled."""


class LookControl(QObject):
    """Keeps switches and opacities with the user's settings, and which classes are seen and filled with the project.

    How the pixels of slides are shown is kept for as long as the window is there.
    """

    def __init__(
        self, *, settings: Settings, session: Session, split: SplitView, panel: OverlayPanel, actions: Actions
    ) -> None:
        super().__init__(panel)
        self._settings, self._session, self._split, self._panel = settings, session, split, panel
        self._actions = actions
        self.dialog: AppearanceDialog | None = None
        """What changes the picture, while it is open."""
        self._switches = {
            "show_masks": panel.masks,
            "outlines_only": panel.outlines,
            "smooth_masks": panel.smooth,
            "show_heatmap": panel.heatmap,
        }
        self._sliders = {"opacity": panel.opacity, "heatmap_opacity": panel.heat_opacity}

    def connect_all(self) -> None:
        """Begin to listen."""
        viewer = self._split.first.viewer
        self._split.first.opener.shown.connect(lambda _slide_id: self._offer_stains())
        self._panel.looks_changed.connect(lambda: self._session.remember(CLASS_LOOKS, self._panel.looks()))
        viewer.patch_painted.connect(lambda _after, _before: self._panel.show_class(viewer.painted_class))

    def connect_pane(self, pane: MaskPane) -> None:
        """Let the way back on a canvas act, and one measure be seen at a time."""
        pane.badge.reset_requested.connect(self.reset_appearance)
        pane.ruler.begun.connect(lambda: self._on_measuring(pane))

    def show_glass(self) -> None:
        """Offer the pictures of the label and the glass of the slide on the screen."""
        project, slide_id = self._session.project, self._split.first.opener.current
        if project is not None and slide_id is not None:
            slide = project.slides.get(slide_id)
            GlassDialog(self._panel.window(), name=slide.name, file=slide.path).open()

    def measure(self, shape: Shape) -> None:
        """Measure with the mouse, on whichever canvas it is used."""
        for pane in self._split.panes():
            pane.ruler.begin(shape)

    def _on_measuring(self, measured: MaskPane) -> None:
        for pane in self._split.panes():
            if pane is not measured:
                pane.ruler.clear()

    def open_appearance(self) -> None:
        """Show what changes the picture."""
        if self.dialog is None:
            self.dialog = AppearanceDialog(self._panel.window(), self._panel.overlay_style.appearance)
            self.dialog.changed.connect(self._panel.set_appearance)
        self._offer_stains()
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def next_stain(self) -> None:
        """Show the next stain alone, after the last one all of them."""
        appearance, stains = self._panel.overlay_style.appearance, list(Stain)
        following = stains[(stains.index(appearance.stain) + 1) % len(stains)]
        self._set_appearance(dataclasses.replace(appearance, stain=following))

    def _offer_stains(self) -> None:
        """No stain is shown alone where the slide is not brightfield: what would be seen there stains nothing."""
        scene, appearance = self._split.first.viewer.scene, self._panel.overlay_style.appearance
        may = scene is None or scene.slide.is_brightfield
        if not may and appearance.stain is not Stain.ALL:
            self._set_appearance(dataclasses.replace(appearance, stain=Stain.ALL))
        if self.dialog is not None:
            self.dialog.offer_stains(may)

    def reset_appearance(self) -> None:
        """Show slides as they are."""
        self._set_appearance(NEUTRAL)

    def _set_appearance(self, appearance: Appearance) -> None:
        self._panel.set_appearance(appearance)
        if self.dialog is not None:
            self.dialog.show_appearance(appearance)

    def begin(self) -> None:
        """Another project, or none: its classes as they were seen last."""
        project = self._session.project
        self._panel.take_looks(None if project is None else project.settings.get(CLASS_LOOKS))
        self._actions.set_checked("show_outlines", self._panel.outlines.isChecked())

    def restore(self) -> None:
        """Bring back what was chosen in earlier sessions."""
        for name, box in self._switches.items():
            box.setChecked(self._settings.flag(name, default=box.isChecked()))
        for name, slider in self._sliders.items():
            slider.setValue(round(self._settings.number(name, slider.value())))

    def keep(self) -> None:
        """Keep what is chosen now."""
        for name, box in self._switches.items():
            self._settings.set(name, box.isChecked())
        for name, slider in self._sliders.items():
            self._settings.set(name, slider.value())
