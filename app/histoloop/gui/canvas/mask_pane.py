"""A canvas with what makes its masks; two of them side by side show the same place."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from histoloop.gui.canvas.canvas_words import CanvasHint, EmptyCanvas, ReadTrouble
from histoloop.gui.canvas.composing import OverlayStyle
from histoloop.gui.canvas.mask_chooser import MaskChooser
from histoloop.gui.canvas.mask_source import MaskSource
from histoloop.gui.canvas.plates.appearance_badge import AppearanceBadge
from histoloop.gui.canvas.plates.heatmap_legend import HeatmapLegend
from histoloop.gui.canvas.plates.overview_map import OverviewMap
from histoloop.gui.canvas.plates.turned_badge import TurnedBadge
from histoloop.gui.canvas.scene_opener import SceneOpener
from histoloop.gui.canvas.tools.measure_tool import MeasureTool
from histoloop.gui.canvas.viewer import SlideViewer
from histoloop.gui.kit.widgets import button
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtGui import QResizeEvent

    from histoloop.gui.canvas.rendering import View
    from histoloop.gui.work.failure import Failure
    from histoloop.workflows.contents.live_masks import LiveMap

MIN_WIDTH_PX = 220


class MaskPane(QWidget):
    """One canvas: shows a slide with the masks that its source chooses; `header` has the controls for it.

    A canvas that shows no slide says in `empty` which one was chosen and why it is not there; `may_change` is whether
    the project can be changed.
    """

    def __init__(self, *, corner: QWidget | None = None) -> None:
        super().__init__()
        self.source = MaskSource(self)
        self.viewer = SlideViewer()
        self.opener = SceneOpener(self.viewer, self)
        self.map = OverviewMap(self.viewer)
        self.ruler = MeasureTool(self.viewer)
        self.legend = HeatmapLegend(self.viewer)
        self.badge = AppearanceBadge(self.viewer)
        self.turned = TurnedBadge(self.viewer)
        self.hint = CanvasHint(self.viewer)
        self.empty = EmptyCanvas(self.viewer)
        self.trouble = ReadTrouble(self.viewer)
        self.header = MaskChooser(self.source, across=True, corner=corner)
        self.name = ""
        self.live: Callable[[int], LiveMap | None] = _none
        """The live masks of a slide."""
        self.person: Callable[[], str] = str
        """Who looks at it: what this person began is shown."""
        self.may_change = True
        self.setMinimumWidth(MIN_WIDTH_PX)
        self._style = OverlayStyle()
        self._folder: Path | None = None
        self._model_id: int | None = None
        self.source.changed.connect(self._on_choice)
        self.opener.changed.connect(self._on_changed)
        self.opener.failed.connect(self._on_failed)
        self.viewer.rendered.connect(self._on_rendered)
        self.viewer.render_failed.connect(self.trouble.show_pixels)
        self.empty.retry_requested.connect(self.show_again)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.header)
        column.addWidget(self.viewer, 1)

    def show_slide(self, folder: Path, slide_id: int, name: str) -> None:
        """Show a slide of a project, or show it again because its maps or annotations changed."""
        self._folder, self.name = folder, name
        choice = self.source.choice
        self._model_id = None if choice is None else choice.model.id
        if choice is not None and choice.model.is_live:
            live = self.live(slide_id)
            self.opener.show(folder, slide_id, None, live=live, person=self.person())
        else:
            self.opener.show(folder, slide_id, self._model_id, person=self.person())

    def set_may_change(self, may: bool) -> None:
        """Whether the project can be changed."""
        self.may_change = may
        self.header.missing.set_may_predict(may)

    def set_style(self, style: OverlayStyle) -> None:
        """How masks and maps lie over the slide; what draws them is the source's."""
        self._style = style
        self.badge.show_appearance(style.appearance)
        choice = self.source.choice
        if choice is not None:
            style = dataclasses.replace(style, method=choice.method, label=choice.label, threshold=choice.threshold)
        self.viewer.set_style(style)

    def has_maps(self) -> bool | None:
        """Whether the slide on the screen has maps of the model chosen; None while that is not known."""
        scene = self.viewer.scene
        return None if scene is None or self.opener.busy else scene.predicted is not None

    def shut_down(self) -> None:
        """End the threads, let go of slide and canvas."""
        self.opener.shut_down()
        self.viewer.shut_down()

    def _on_choice(self) -> None:
        self.set_style(self._style)
        choice = self.source.choice
        if choice is not None and choice.model.id != self._model_id:
            self.show_again()

    def show_again(self) -> None:
        """Show the slide anew that is on the screen, if one is."""
        if self._folder is not None and self.opener.wanted is not None:
            self.show_slide(self._folder, self.opener.wanted, self.name)

    # --- in words -----------------------------------------------------------------------------------------------------

    def _on_changed(self) -> None:
        """The canvas and its caption always belong to the slide that is wanted."""
        opener = self.opener
        self.trouble.show_pixels("")
        self.trouble.show_masks("")
        if opener.wanted is None or opener.current == opener.wanted:
            self.empty.dismiss()
        elif opener.trouble is not None:
            self.empty.show_trouble(self.name, opener.trouble, may_change=self.may_change)
        else:
            self.empty.dismiss()
            self.empty.show_opening(self.name)

    def _on_failed(self, _slide_id: int, failure: Failure) -> None:
        if self.opener.current is not None:  # its region is being painted
            self.trouble.show_pixels(str(failure))

    def _on_rendered(self, view: View) -> None:
        self.trouble.show_pixels("")
        self.trouble.show_masks(view.no_masks)


def _none(_slide_id: int) -> LiveMap | None:
    return None


class SplitView(QSplitter):
    """The first pane, and beside it a second one while two are compared: same slide, linked cameras.

    Where there is no room for two beside each other, the second is below the first.
    """

    second_opened = Signal(object)
    second_closed = Signal()

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setChildrenCollapsible(False)
        self.first = MaskPane()
        self.first.header.setVisible(False)
        self.second: MaskPane | None = None
        self._theme = "light"
        self._following = False
        self._whole = False
        self.addWidget(self.first)
        self.first.viewer.camera_changed.connect(lambda: self._follow(self.first, self.second))

    def open_second(self) -> MaskPane:
        """Put a second pane beside the first; its source is the caller's to fill."""
        if self.second is not None:
            return self.second
        close = button("\N{MULTIPLICATION SIGN}", tip=tr("End the comparison"))
        close.setObjectName("small")
        close.setAccessibleName(tr("End the comparison"))
        close.clicked.connect(self.close_second)
        second = MaskPane(corner=close)
        self._whole = self.first.viewer.sees_whole_slide
        second.viewer.set_theme(self._theme)
        second.viewer.camera_changed.connect(lambda: self._follow(self.second, self.first))
        second.opener.shown.connect(self._on_second_shown)
        self.second = second
        self.first.header.setVisible(True)
        self._arrange()
        self.addWidget(second)
        self.setSizes([self.width() // 2, self.width() // 2])
        self.second_opened.emit(second)
        return second

    def close_second(self) -> None:
        """Take the second pane away with everything it holds."""
        if self.second is None:
            return
        second, self.second = self.second, None
        if self.first.viewer.sees_whole_slide:
            QTimer.singleShot(0, self.first.viewer.fit)  # once the first has all the room
        self.first.header.setVisible(False)
        second.shut_down()
        second.hide()
        second.setParent(None)
        second.deleteLater()
        self.second_closed.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Beside or below."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        room = self.width() >= 2 * MIN_WIDTH_PX + self.handleWidth()
        self.setOrientation(Qt.Orientation.Horizontal if room else Qt.Orientation.Vertical)

    def panes(self) -> list[MaskPane]:
        """The panes there are, the first one first."""
        return [self.first] if self.second is None else [self.first, self.second]

    def set_theme(self, theme: str) -> None:
        """'light' or 'dark' ground around the slides."""
        self._theme = theme
        for pane in self.panes():
            pane.viewer.set_theme(theme)

    def wait_until_loaded(self) -> bool:
        """Turn the event loop until everything visible is sharp; False when that took too long."""
        return all(pane.viewer.wait_until_loaded() for pane in self.panes())

    def _on_second_shown(self, _slide_id: int) -> None:
        if self._whole:  # what was seen as a whole is seen as a whole in half the room
            self._whole = False
            self.first.viewer.fit()
        self._follow(self.first, self.second)

    def _follow(self, leader: MaskPane | None, follower: MaskPane | None) -> None:
        """Look where the other one looks, as long as both show the same slide."""
        if leader is None or follower is None or self._following:
            return
        if leader.opener.current is None or leader.opener.current != follower.opener.current:
            return
        self._following = True
        try:
            camera = leader.viewer.camera()
            follower.viewer.look_at(camera.x, camera.y, zoom=camera.zoom, degrees=camera.degrees)
        finally:
            self._following = False
