"""Pictures beside the rows of a list: read and decoded away from the GUI thread when a row is shown, and kept."""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtGui import QImage, QPixmap

from histoloop.gui.kit.widgets import image_of
from histoloop.gui.work.background import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

AT_ONCE = 16
"""So many are read between two looks at what is wanted most."""
WAITING = 200
"""More that scrolled by are forgotten; they are asked for again when they are seen again."""
KEPT = 600


class Thumbnails(QObject):
    """Pictures of files, at most `side_px` wide and high, those that were asked for last first.

    `came` is emitted with the keys of those that are there now.
    """

    came = Signal(object)

    def __init__(self, side_px: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._side_px = side_px
        self._worker = Worker(self)
        self._kept: OrderedDict[int, QPixmap] = OrderedDict()
        self._none: set[int] = set()
        self._wanted: OrderedDict[int, Path] = OrderedDict()
        self._generation = 0
        self._is_reading = False

    @property
    def idle(self) -> bool:
        """Whether nothing is read or waits."""
        return not self._wanted and not self._is_reading

    def of(self, key: int, file: Path) -> QPixmap | None:
        """The picture of a file as it was when it was read; None until then, and for a file that is no picture."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        elif key not in self._none:
            self._wanted[key] = file
            self._wanted.move_to_end(key)
            while len(self._wanted) > WAITING:
                self._wanted.popitem(last=False)
            self._read_more()
        return found

    def forget(self) -> None:
        """The keys are of other files."""
        self._generation += 1
        self._kept.clear()
        self._wanted.clear()
        self._none.clear()

    def look_again(self) -> None:
        """Files that were not there may be there now."""
        self._none.clear()

    def shut_down(self) -> None:
        """End the thread."""
        self._worker.stop()

    def _read_more(self) -> None:
        if self._is_reading or not self._wanted:
            return
        some = dict(self._wanted.popitem(last=True) for _ in range(min(AT_ONCE, len(self._wanted))))
        self._is_reading = True
        self._worker.request(
            functools.partial(_read, list(some.values()), self._side_px),
            on_done=functools.partial(self._on_read, self._generation, list(some)),
            on_failed=self._on_failed,
        )

    def _on_read(self, generation: int, keys: Sequence[int], images: Sequence[QImage]) -> None:
        self._is_reading = False
        if generation == self._generation:
            for key, image in zip(keys, images, strict=True):
                if image.isNull():
                    self._none.add(key)
                else:
                    self._kept[key] = QPixmap.fromImage(image)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            self.came.emit(tuple(keys))
        self._read_more()

    def _on_failed(self, _failure: object) -> None:
        self._is_reading = False
        self._read_more()


def _read(files: Sequence[Path], side_px: int) -> list[QImage]:
    return [_fitted(image_of(file), side_px) for file in files]


def _fitted(image: QImage, side_px: int) -> QImage:
    if image.isNull():
        return image
    return image.scaled(
        QSize(side_px, side_px), Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
