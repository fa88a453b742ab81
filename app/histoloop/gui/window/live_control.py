"""Live masks in the window: told about what is on the screen, shown as they come, begun from where they are shown."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from histoloop.language import tr
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.live_masks import LIVE_MODEL_ID
from histoloop.workflows.contents.masks import view_classes

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QLabel

    from histoloop.annotations.records import Mask
    from histoloop.geometry import Region
    from histoloop.gui.canvas.mask_pane import MaskPane, SplitView
    from histoloop.gui.kit.settings import Settings
    from histoloop.gui.panels.live_switch import LiveSwitch
    from histoloop.gui.window.mask_control import MaskControl
    from histoloop.gui.work.session import Session
    from histoloop.workflows.contents.live_masks import LiveMap

REFRESH_MS = 120
"""Masks that come within this time are drawn together."""


class LiveControl(QObject):
    """Wires the live loop to the canvases, to its switch, and to a line at the bottom.

    When the masks in view are new, they are shown in place of the masks of the model in use, unless the user chose
    other masks since.
    """

    def __init__(
        self,
        *,
        split: SplitView,
        session: Session,
        masks: MaskControl,
        switch: LiveSwitch,
        line: QLabel,
        settings: Settings,
    ) -> None:
        super().__init__(split)
        self._split, self._session, self._masks = split, session, masks
        self._switch, self._line, self._settings = switch, line, settings
        self._viewer, self._opener, self._source = split.first.viewer, split.first.opener, split.first.source
        self._follows = True
        self._refresh = QTimer(self, singleShot=True, interval=REFRESH_MS)
        self._refresh.timeout.connect(self._draw)

    def connect_all(self) -> None:
        """Begin to listen."""
        live = self._session.live
        live.told.connect(self._tell)
        live.masks_came.connect(lambda _slide_id: self._refresh.isActive() or self._refresh.start())
        live.view_is_new.connect(lambda _slide_id: self._follow())
        live.there_changed.connect(self._on_there_changed)
        self._session.classes.changed.connect(live.wake)
        self._opener.changed.connect(self._look)
        self._viewer.camera_changed.connect(self._look)
        self._session.annotating.started.connect(lambda _active: live.prepare())
        self._session.annotating.live_mask = self._live_mask
        self._masks.pane_opened.connect(self._on_pane_opened)
        self._masks.model_chosen.connect(self._on_model_chosen)

    def begin(self) -> None:
        """Another project, or none."""
        self._follows = True

    def _on_pane_opened(self, pane: MaskPane) -> None:
        pane.live = self._map_of

    def _map_of(self, slide_id: int) -> LiveMap | None:
        live = self._session.live.map
        return live if live is not None and live.grid.slide_id == slide_id else None

    def _look(self) -> None:
        slide_id = self._opener.current
        self._session.live.look(slide_id, None if slide_id is None else self._viewer.visible_region())

    def _tell(self, sentence: str) -> None:
        self._line.setText(f"{sentence}  " if sentence else "")
        self._switch.tell(sentence)

    def _on_model_chosen(self, model_id: int) -> None:
        """Whoever looks at other masks is left alone."""
        self._follows = model_id == LIVE_MODEL_ID

    def _follow(self) -> None:
        choice = self._source.choice
        if self._follows and choice is not None and choice.model.status is ModelStatus.CURRENT and choice.is_own:
            self._source.choose_model(LIVE_MODEL_ID)
            self._explain()

    def _explain(self) -> None:
        """Once: why the masks on the slide are others now."""
        if not self._settings.flag("live masks explained", default=False):
            self._settings.set("live masks explained", True)
            self._session.notice.emit(
                tr(
                    "The masks on the slide now come from your painting (Live masks). To stop that, switch off "
                    "'Learn while I paint' in the Training tab."
                )
            )

    def _on_there_changed(self) -> None:
        self._masks.show_models()
        for pane in self._split.panes():
            if pane.source.choice is not None and pane.source.choice.model.is_live:
                pane.show_again()

    def _draw(self) -> None:
        for pane in self._split.panes():
            if pane.source.choice is not None and pane.source.choice.model.is_live:
                pane.viewer.refresh()

    def _live_mask(self, slide_id: int, region: Region) -> Callable[[], Mask] | None:
        """What makes the live mask of a region, while live masks are shown, and there are some of all of it."""
        choice, live = self._source.choice, self._map_of(slide_id)
        if choice is None or live is None or not choice.model.is_live or not live.covers(region):
            return None
        return functools.partial(_mask_of, live, region, choice.threshold)


def _mask_of(live: LiveMap, region: Region, threshold: float) -> Mask:
    return view_classes(live, region, size=(region.width, region.height), threshold=threshold).mask
