"""The docks beside the slide: slides above masks at the left, or as tabs where the window is low, and the work."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

from histoloop.gui.kit.widgets import scrolling
from histoloop.language import tr

LAYOUT = 1
"""Number of the arrangement of the docks: places kept by a version that had another one are forgotten."""
LOW_PX = 680
"""In a window that is less high, two docks one below the other would show too little of each."""
LEFT_PX, RIGHT_PX = 296, 330
MASKS_PX, BARS_PX = 360, 112
"""Heights of the masks' dock with two classes, and of all bars of the window together."""
_LEFT, _RIGHT = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea


class Docks(QObject):
    """Puts the panels into docks of a window, and sets them anew as the window becomes low or high.

    Docks that the user moved elsewhere, or made tabs of, stay as they are.
    """

    def __init__(self, window: QMainWindow, *, slides: QWidget, masks: QWidget, work: QWidget) -> None:
        super().__init__(window)
        self._window = window
        window.setTabPosition(_LEFT, QTabWidget.TabPosition.North)
        self.slides = self._dock("slides", tr("Slides"), slides, _LEFT)
        self.masks = self._dock("masks", tr("Masks"), scrolling(masks), _LEFT)
        self.work = self._dock("work", tr("Work"), work, _RIGHT)
        self.work.setTitleBarWidget(QWidget())  # its tabs say what it is
        self.all = [self.slides, self.masks, self.work]
        window.resizeDocks([self.slides, self.work], [LEFT_PX, RIGHT_PX], Qt.Orientation.Horizontal)
        self._heights: list[int] = []
        self._has_made_tabs = False
        self._laid_out = QTimer(self, singleShot=True, interval=0)
        """Docks take heights once they have places."""
        self._laid_out.timeout.connect(self._resize)
        window.installEventFilter(self)

    def set_visible(self, visible: bool) -> None:
        """Show or hide all of them."""
        for dock in self.all:
            dock.setVisible(visible)
        if visible and not self._heights:
            self._share_out()
        self._fit()

    def restore(self, state: QByteArray) -> None:
        """Put them where they were when `kept` gave this."""
        self._split()
        self._laid_out.stop()
        self._window.restoreState(state, LAYOUT)
        self._fit()

    def kept(self) -> QByteArray:
        """Where they are in a window that is high enough."""
        self._split()
        return self._window.saveState(LAYOUT)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """The window has another height."""
        if event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def _share_out(self) -> None:
        """Masks have the height they need, up to half; the list of slides has all that is left."""
        room = self._window.height() - BARS_PX
        masks = min(MASKS_PX, room // 2)
        self._heights = [room - masks, masks]
        self._give_heights()

    def _give_heights(self) -> None:
        self._resize()
        self._laid_out.start()

    def _resize(self) -> None:
        self._window.resizeDocks([self.slides, self.masks], self._heights, Qt.Orientation.Vertical)

    def _fit(self) -> None:
        low = self._window.height() < LOW_PX
        if low and self._stand_below_each_other():
            self._window.tabifyDockWidget(self.slides, self.masks)
            self._has_made_tabs = True
            self._show_titles(False)
            self.slides.raise_()
        elif not low and self._has_made_tabs:
            self._split()
        elif not low and not self._laid_out.isActive() and self._stand_below_each_other():
            self._heights = [self.slides.height(), self.masks.height()]

    def _split(self) -> None:
        """Put those that were made tabs of one below the other again."""
        if not self._has_made_tabs:
            return
        self._has_made_tabs = False
        self._show_titles(True)
        if self.masks not in self._window.tabifiedDockWidgets(self.slides):
            return
        seen = not self.slides.isHidden()
        for dock in (self.slides, self.masks):
            self._window.removeDockWidget(dock)
        for dock in (self.slides, self.masks):
            self._window.addDockWidget(_LEFT, dock, Qt.Orientation.Vertical)
            dock.setVisible(seen)
        self._give_heights()

    def _stand_below_each_other(self) -> bool:
        both = (self.slides, self.masks)
        at_left = all(self._window.dockWidgetArea(dock) == _LEFT and not dock.isFloating() for dock in both)
        seen = not any(dock.isHidden() for dock in both)
        return at_left and seen and not any(self._window.tabifiedDockWidgets(dock) for dock in both)

    def _show_titles(self, shown: bool) -> None:
        """A tab is a title."""
        for dock in (self.slides, self.masks):
            dock.setTitleBarWidget(None if shown else QWidget())  # type: ignore[arg-type]

    def _dock(self, name: str, title: str, widget: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self._window)
        dock.setObjectName(name)
        dock.setWidget(widget)
        dock.setFeatures(QDockWidget.DockWidgetFeature.DockWidgetMovable)
        self._window.addDockWidget(area, dock)
        return dock
