"""What a list of annotations shows of each and takes a while to read: class areas and a picture, off the GUI thread."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from histoloop.errors import HistoLoopError
from histoloop.gui.work.background import Worker
from histoloop.store.project import Project
from histoloop.workflows.annotations import annotated_mask, class_areas, thumbnail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.workflows.annotations import ListedAnnotation

PICTURE_PX = 96
AT_ONCE, AREAS_AT_ONCE = 8, 40
"""So many annotations are read with pictures, or without, between two looks at what is wanted most."""
KEPT = 2_000

Key = tuple[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Details:
    """Area of each class by name (workflows/annotations.py: class_areas), a picture (h, w, 3) with edges of the mask.

    `picture` is None where it was not asked for, or its slide cannot be read; `tried` says whether it was asked for.
    """

    areas: Mapping[str, float]
    picture: NDArray[np.uint8] | None
    tried: bool


class AnnotationDetails(QObject):
    """Reads details of annotations, those that were asked for last first. `read` comes when some are there."""

    read = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker = Worker(self)
        self._folder: Path | None = None
        self._known: OrderedDict[Key, Details] = OrderedDict()
        self._wanted: OrderedDict[Key, tuple[ListedAnnotation, bool]] = OrderedDict()
        self._is_reading = False

    def begin(self, folder: Path | None) -> None:
        """Another project, or none."""
        if folder != self._folder:
            self._folder = folder
            self._known.clear()
            self._wanted.clear()

    def forget(self) -> None:
        """What was read is no longer so: the classes are others."""
        self._known.clear()

    def of(self, listed: ListedAnnotation) -> Details | None:
        """What is known of an annotation by now."""
        return self._known.get(_key(listed))

    def want(self, wanted: Sequence[ListedAnnotation], *, pictures: bool) -> None:
        """Read these next, with their pictures or their areas alone, unless that was done."""
        for listed in reversed(wanted):
            known = self.of(listed)
            if known is None or (pictures and not known.tried):
                key = _key(listed)
                with_picture = pictures or (key in self._wanted and self._wanted[key][1])
                self._wanted[key] = (listed, with_picture)
                self._wanted.move_to_end(key, last=not pictures)
        self._read_more()

    @property
    def idle(self) -> bool:
        """Whether nothing is read or waits."""
        return not self._wanted and not self._is_reading

    def shut_down(self) -> None:
        """End the thread."""
        self._worker.stop()

    def _read_more(self) -> None:
        if self._is_reading or self._folder is None or not self._wanted:
            return
        _first, with_picture = next(iter(self._wanted.values()))
        count = AT_ONCE if with_picture else AREAS_AT_ONCE
        some = [self._wanted.popitem(last=False) for _ in range(min(count, len(self._wanted)))]
        self._is_reading = True
        work = functools.partial(_read, self._folder, [wanted for _key_of, wanted in some])
        done = functools.partial(self._on_read, self._folder, [key for key, _wanted in some])
        self._worker.request(work, on_done=done, on_failed=self._on_failed)

    def _on_read(self, folder: Path, keys: Sequence[Key], found: Sequence[Details]) -> None:
        self._is_reading = False
        if folder == self._folder:
            self._known.update(zip(keys, found, strict=True))
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            self.read.emit()
        self._read_more()

    def _on_failed(self, _failure: object) -> None:
        self._is_reading = False
        self._read_more()


def _key(listed: ListedAnnotation) -> Key:
    return listed.record.id, listed.record.updated


def _read(folder: Path, wanted: Sequence[tuple[ListedAnnotation, bool]]) -> list[Details]:
    with Project.connect(folder, read_only=True) as project:
        return [_details(project, listed, picture=picture) for listed, picture in wanted]


def _details(project: Project, listed: ListedAnnotation, *, picture: bool) -> Details:
    """Of one annotation; without what is broken or gone."""
    record, slide = listed.record, listed.slide
    try:
        mask = annotated_mask(project, record)
    except (HistoLoopError, ValueError):
        return Details({}, None, tried=True)
    areas = {}
    if mask is not None:
        areas = class_areas(mask, project.scheme, mpp=slide.mpp, downsample=record.mask_downsample or 1.0)
    if not picture:
        return Details(areas, None, tried=False)
    try:
        return Details(areas, thumbnail(slide, record, mask, project.scheme, side_px=PICTURE_PX), tried=True)
    except HistoLoopError:
        return Details(areas, None, tried=True)
