"""Opens slides for the viewer away from the GUI thread; the newest wish wins."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from histoloop.gui.canvas.rendering import open_scene
from histoloop.gui.work.background import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.gui.canvas.rendering import SlideScene
    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.gui.work.failure import Failure
    from histoloop.workflows.contents.live_masks import LiveMap


class SceneOpener(QObject):
    """Shows slides of a project in a viewer; what is on it is the slide that is wanted, or nothing.

    `shown` is emitted with the slide once it is there; `failed` with a slide that cannot be shown, and why; `changed`
    whenever another slide is wanted, shown or given up. A slide leaves the viewer as soon as another one is wanted.
    """

    shown = Signal(int)
    failed = Signal(int, object)
    changed = Signal()

    def __init__(self, viewer: SlideViewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._worker = Worker(self)
        self._wish = 0
        self.wanted: int | None = None
        self.current: int | None = None
        self.trouble: Failure | None = None
        """Why the slide that is wanted is not shown."""

    @property
    def busy(self) -> bool:
        """Whether a slide is on its way."""
        return not self._worker.idle or (self.wanted != self.current and self.trouble is None)

    def show(
        self,
        folder: Path,
        slide_id: int,
        model_id: int | None = None,
        *,
        live: LiveMap | None = None,
        person: str = "",
    ) -> None:
        """Show a slide with the maps of a model (None: the current one), or its `live` masks, and what `person` began.

        The slide shown already keeps its camera.
        """
        self._wish += 1
        if slide_id != self.wanted:
            self.wanted, self.trouble = slide_id, None
            self._empty()
        self._worker.request(
            functools.partial(open_scene, folder, slide_id, model_id, live, person),
            on_done=functools.partial(self._on_opened, self._wish, slide_id),
            on_failed=functools.partial(self._on_failed, self._wish, slide_id),
            topic="open",
        )

    def clear(self) -> None:
        """Show nothing."""
        self._wish += 1
        self.wanted = self.trouble = None
        self._empty()

    def shut_down(self) -> None:
        """End the worker thread."""
        self._wish += 1
        self._worker.stop()

    def _empty(self) -> None:
        self.current = None
        self._viewer.show_scene(None)
        self.changed.emit()

    def _on_opened(self, wish: int, slide_id: int, scene: SlideScene) -> None:
        if wish != self._wish:
            scene.close()
            return
        self.trouble = None
        if slide_id == self.current:
            self._viewer.replace_scene(scene)
        else:
            self._viewer.show_scene(scene)
            self.current = slide_id
        self.shown.emit(slide_id)
        self.changed.emit()

    def _on_failed(self, wish: int, slide_id: int, failure: Failure) -> None:
        """Say why; a region that is being painted stays in hand, on the pixels that are open."""
        if wish != self._wish:
            return
        self.trouble = failure
        if self._viewer.annotating is None:
            self._empty()
        self.failed.emit(slide_id, failure)
