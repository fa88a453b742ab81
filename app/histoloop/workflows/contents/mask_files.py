"""A file with a mask for a slide or region of a project, read region by region."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from histoloop.annotations.records import LEFT_OUT_VALUE, Counts, Mask, Origin
from histoloop.errors import DataError, SlideError
from histoloop.exchange.mask_pictures import open_mask_picture
from histoloop.exchange.mask_placing import PlacedPicture, place_picture
from histoloop.exchange.mask_values import Meaning, meaning_of
from histoloop.exchange.outlines.classes import IGNORED, Area, Assigned, assign_classes, checked_class_map
from histoloop.exchange.outlines.filling import FilledOutlines
from histoloop.exchange.outlines.placing import Frame, Ground, bounds_of, box_in_words, hint, place_areas
from histoloop.exchange.outlines.read import holds_outlines, read_outlines
from histoloop.geometry import Region
from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.slides import open_project_slide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.annotations.records import ClassScheme
    from histoloop.exchange.mask_pictures import MaskPicture
    from histoloop.exchange.outlines.records import Outlines
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

CLASS_MAP = "foreign classes"
"""The setting of a project: what classes of other programs are here."""


_CHECKED_PX = 1024
"""Up to this side of an outline it is looked whether it has a pixel."""


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A file, and the user's options for it: see `import_annotation`."""

    path: Path
    mask_class: str | None = None
    class_map: Mapping[str, str] | None = None
    frame: Frame = "auto"
    units_um: float | None = None
    counts: Counts = Counts.REGION


class MaskSource(Protocol):
    """A mask of a `place` in level-0 pixels; `notes` and `left_out` as in `ImportedAnnotation`.

    `class_map` is what the user said of foreign classes, checked.
    """

    place: Region
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    class_map: Mapping[str, str]

    def has_foreground(self, region: Region) -> bool:
        """Whether something may be annotated in a region besides background."""
        ...

    def planes(self, region: Region) -> tuple[Region, Mask, Mask]:
        """The region, its mask and its origins, (height, width) each."""
        ...


@contextmanager
def source_of(file: MaskFile, project: Project, slide: SlideRecord, place: Region) -> Iterator[MaskSource]:
    """Open a file of outlines or a mask picture for a place of a slide; DataError for what does not fit."""
    ground = _ground(slide)
    value = None if file.mask_class is None else _value_called(file.mask_class, project.scheme.mask_names)
    if holds_outlines(file.path):
        yield _OutlineSource(file, project, slide, ground, place, value)
        return
    with open_mask_picture(file.path) as picture:
        placed = place_picture(picture, place, ground, units_um=file.units_um)
        taken = _taken_for(picture, project.scheme) if value is None else ""
        meaning = meaning_of(picture, project.scheme, foreground=value)
        if file.counts is Counts.STROKES:
            meaning = _of_strokes(meaning)
        yield _PictureSource(placed, meaning, place, taken)


def _of_strokes(meaning: Meaning) -> Meaning:
    """What the values of a picture mean where the strokes alone count: background is what nobody painted."""

    def meant(pixels: Mask) -> Mask:
        values = meaning(pixels)
        return np.where(values == 0, np.uint8(LEFT_OUT_VALUE), values)

    return meant


def remember_classes(project: Project, class_map: Mapping[str, str]) -> None:
    """Keep what foreign classes are here for the next import."""
    if class_map:
        project.settings.set(CLASS_MAP, {**remembered_classes(project), **class_map})


def rename_remembered(project: Project, old: str, new: str) -> None:
    """Let foreign classes that were the class `old` here be `new`."""
    kept = project.settings.get(CLASS_MAP)
    if isinstance(kept, dict) and old in kept.values():
        project.settings.set(CLASS_MAP, {foreign: new if own == old else own for foreign, own in kept.items()})


def remembered_classes(project: Project) -> dict[str, str]:
    """The foreign classes that were mapped before, and what each is here; those of classes that are gone left out."""
    kept = project.settings.get(CLASS_MAP)
    known = (*project.scheme.mask_names, "background", "-")
    return {str(foreign): own for foreign, own in kept.items() if own in known} if isinstance(kept, dict) else {}


def _ground(slide: SlideRecord) -> Ground:
    """What is known of a slide; without its file, whether it has bounds is not."""
    bounds = None
    with contextlib.suppress(SlideError), open_project_slide(slide) as opened:
        bounds = bounds_of(opened.properties, opened.extent)
    return Ground(slide.name, slide.extent, bounds, slide.mpp)


def _value_called(name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise DataError(
            tr("no mask class {name!r}; there are {names}.", name=name, names=", ".join(names)),
            advice=tr("Name one of these classes."),
        )
    return names.index(name) + 1


class _OutlineSource:
    """Outlines, filled part by part."""

    def __init__(
        self, file: MaskFile, project: Project, slide: SlideRecord, ground: Ground, place: Region, value: int | None
    ) -> None:
        self.place = place
        self._beneath = 0 if file.counts is Counts.REGION else LEFT_OUT_VALUE
        values = {name: number for number, name in enumerate(project.scheme.mask_names, start=1)}
        self.class_map: Mapping[str, str] = checked_class_map(file.class_map or {}, values)
        class_map = {**remembered_classes(project), **self.class_map}
        outlines = read_outlines(file.path)
        assigned = assign_classes(outlines, file.path, values, class_map=class_map, unclassified=value)
        self.left_out = _left_out(assigned)
        if not any(area.value != IGNORED for area in assigned.areas):
            raise _nothing_in(file.path, self.left_out, ignored=bool(assigned.areas))
        placed = place_areas(assigned.areas, outlines, file.path, ground, frame=file.frame, units_um=file.units_um)
        self._filled = FilledOutlines(placed.areas)
        self._check_inside(file.path, ground)
        outside = self._outside()
        if self.place == slide.extent:  # of the slide itself: no place can take them
            self.left_out += outside
            outside = ()
        self.notes = (*filter(None, (placed.assumed, *self._notes(outlines, is_known=slide.exists()))), *outside)

    def has_foreground(self, region: Region) -> bool:
        return any(area.value != 0 for area in self._filled.near(region))

    def planes(self, region: Region) -> tuple[Region, Mask, Mask]:
        return region, *_planes(self._filled.read(region, beneath=self._beneath))

    def _check_inside(self, path: Path, ground: Ground) -> None:
        if any(self._covers_a_pixel(area) for area in self._filled.near(self.place) if area.value != IGNORED):
            return
        boxes_N4 = self._filled.boxes_N4
        raise DataError(
            tr(
                "No outline of {path} lies in the place, {place}: they reach from {box}.",
                path=path,
                place=_in_words(self.place),
                box=box_in_words(boxes_N4),
            ),
            advice=hint(boxes_N4, ground)
            or tr("Check that the file belongs to this slide; a place without foreground is annotated with --size 0."),
        )

    def _covers_a_pixel(self, area: Area) -> bool:
        (left, top), (right, bottom) = area.rings[0].min(axis=0), area.rings[0].max(axis=0)
        if max(right - left, bottom - top) > _CHECKED_PX:
            return True
        x, y = math.floor(left), math.floor(top)
        inside = Region(x, y, math.ceil(right) - x + 1, math.ceil(bottom) - y + 1).intersection(self.place)
        return inside is not None and bool(FilledOutlines([Area(1, area.rings)]).read(inside).any())

    def _notes(self, outlines: Outlines, *, is_known: bool) -> Iterator[str]:
        if not is_known:
            yield tr("The slide's file is not there: whether it has bounds, from which QuPath counts, is not known.")
        if outlines.repaired:
            yield tr_plural(
                "{count} outline crosses itself: what it encloses an even number of times was cut out.",
                "{count} outlines cross themselves: what they enclose an even number of times was cut out.",
                outlines.repaired,
            )
        ignored = sum(area.value == IGNORED for area in self._filled.areas)
        if ignored:
            yield tr_plural(
                "{count} outline of Ignore*: nothing is learned or measured from it.",
                "{count} outlines of Ignore*: nothing is learned or measured from them.",
                ignored,
            )

    def _outside(self) -> tuple[str, ...]:
        """How many outlines lie outside of the place, in words; nothing where none does."""
        count = len(self._filled.areas) - len(self._filled.near(self.place))
        if not count:
            return ()
        return (
            tr_plural(
                "{count} outline lies outside of the region.",
                "{count} outlines lie outside of the region.",
                count,
            ),
        )


class _PictureSource:
    """A picture, read part by part."""

    left_out: tuple[str, ...] = ()

    def __init__(self, placed: PlacedPicture, meaning: Meaning, place: Region, taken: str) -> None:
        self._placed, self._meaning = placed, meaning
        self.class_map: Mapping[str, str] = {}
        inside = placed.region.intersection(place)
        assert inside is not None
        self.place = inside
        notes = [placed.assumed, taken]
        if inside != place:
            notes.append(tr("The mask covers a part only, which was annotated: {place}.", place=_in_words(inside)))
        if not any(meaning(band).any() for band in placed.picture.bands()):
            notes.append(tr("{path} has no foreground: all of it counts as background.", path=placed.picture.path))
        self.notes = tuple(filter(None, notes))

    def has_foreground(self, region: Region) -> bool:
        return bool(self.planes(region)[1].any())

    def planes(self, region: Region) -> tuple[Region, Mask, Mask]:
        return region, *_planes(self._meaning(self._placed.read(region)))


def _taken_for(picture: MaskPicture, scheme: ClassScheme) -> str:
    """What the foreground of a black and white picture is taken for, where it could be another class."""
    first, *others = scheme.mask_names
    if not (picture.has_one_bit and others):
        return ""
    return tr(
        "{path} is black and white: its white was taken as {first}. For another class say --mask-class {others}.",
        path=picture.path,
        first=first,
        others=" or ".join(others),
    )


def _planes(values: Mask) -> tuple[Mask, Mask]:
    """Mask and origins of values of a file: what it leaves out is background in the mask."""
    left_out = values == LEFT_OUT_VALUE
    mask = np.where(left_out, np.uint8(0), values)
    return mask, np.where(left_out, np.uint8(Origin.LEFT_OUT), np.uint8(Origin.HUMAN))


def _left_out(assigned: Assigned) -> tuple[str, ...]:
    return tuple(
        tr("{count} left out: {what}.", count=count, what=tr(reason)) for reason, count in assigned.skipped.items()
    )


def _nothing_in(path: Path, left_out: tuple[str, ...], *, ignored: bool) -> DataError:
    seen = (tr("There are outlines of Ignore* alone."),) if ignored else ()
    return DataError(
        " ".join((tr("{path} has no outline that can be taken.", path=path), *seen, *left_out)),
        advice=tr(
            "Outlines without a class take one with --mask-class; a place without foreground is annotated with "
            "--size 0."
        ),
    )


def _in_words(place: Region) -> str:
    return box_in_words(np.array([(place.x, place.y, place.right, place.bottom)], dtype=np.float64))
