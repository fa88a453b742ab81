"""Opens slides for the viewer away from the GUI thread; the newest wish wins."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.canvas.rendering import SlideScene, open_scene
from histoloop.gui.work.background import LatestWorker

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.canvas.viewer import SlideViewer


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    wish: int
    slide_id: int
    scene: SlideScene


class SceneOpener(QObject):
    """Shows slides of a project in a viewer; `shown` tells the slide once it is there."""

    shown = Signal(int)
    failed = Signal(str)

    def __init__(self, viewer: SlideViewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._worker = LatestWorker(self)
        self._worker.done.connect(self._on_opened)
        self._worker.failed.connect(self._on_failed)
        self._wish = 0
        self.wanted: int | None = None
        self.current: int | None = None

    @property
    def busy(self) -> bool:
        """Whether a slide is on its way."""
        return not self._worker.idle or self.wanted != self.current

    def show(self, folder: Path, slide_id: int, model_id: int | None = None) -> None:
        """Show a slide with the maps of a model (None: the current one); the slide shown already keeps its camera."""
        self._wish += 1
        self.wanted = slide_id
        self._worker.request("open", functools.partial(_open, self._wish, folder, slide_id, model_id))

    def clear(self) -> None:
        """Show nothing."""
        self._wish += 1
        self.wanted = self.current = None
        self._viewer.show_scene(None)

    def shut_down(self) -> None:
        """End the worker thread."""
        self._wish += 1
        self._worker.stop()

    def _on_opened(self, _topic: str, opened: object) -> None:
        assert isinstance(opened, _Opened)
        if opened.wish != self._wish:
            opened.scene.close()
        elif opened.slide_id == self.current:
            self._viewer.replace_scene(opened.scene)
            self.shown.emit(opened.slide_id)
        else:
            self._viewer.show_scene(opened.scene)
            self.current = opened.slide_id
            self.shown.emit(opened.slide_id)

    def _on_failed(self, _topic: str, message: str) -> None:
        self.wanted = self.current
        self.failed.emit(message)


def _open(wish: int, folder: Path, slide_id: int, model_id: int | None) -> _Opened:
    return _Opened(wish, slide_id, open_scene(folder, slide_id, model_id))
