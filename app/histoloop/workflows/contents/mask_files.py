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

from histoloop.annotations.records import LEFT_OUT_NAME, LEFT_OUT_VALUE, Counts, Mask, Origin
from histoloop.errors import DataError, SlideError
from histoloop.exchange.mask_pictures import open_mask_picture
from histoloop.exchange.mask_placing import PlacedPicture, place_picture
from histoloop.exchange.mask_values import Meaning, meaning_of, meaning_of_chosen
from histoloop.exchange.outlines.classes import (
    BACKGROUND,
    IGNORED,
    NOTHING,
    Area,
    Assigned,
    assign_chosen,
    assign_classes,
    checked_class_map,
)
from histoloop.exchange.outlines.filling import FilledOutlines
from histoloop.exchange.outlines.placing import Frame, Ground, Placed, bounds_of, box_in_words, hint, place_areas
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
    """A file, and the user's options for it: see `import_annotation`.

    `chosen` settles every class of the file instead, by its names (of a picture, the one name of a value): a class of
    the project, 'background', 'Ignore*' or '-'. `corner` is where a picture begins that does not cover its place,
    level-0 x and y; without `units_um` its pixels are the slide's then. `counts`: what is neither outlined nor of a
    value above 0 is background (REGION), or left out (STROKES).
    """

    path: Path
    mask_class: str | None = None
    class_map: Mapping[str, str] | None = None
    frame: Frame = "auto"
    units_um: float | None = None
    counts: Counts = Counts.REGION
    chosen: Mapping[tuple[str, ...], str] | None = None
    corner: tuple[int, int] | None = None


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
    ground = ground_of(slide)
    value = None if file.mask_class is None else _value_called(file.mask_class, project.scheme.mask_names)
    if holds_outlines(file.path):
        yield _OutlineSource(file, project, slide, ground, place, value)
        return
    with open_mask_picture(file.path) as picture:
        placed = placed_picture(picture, file, ground, place)
        if file.chosen is not None:
            values = _values_chosen(file.chosen, project.scheme)
            meaning = meaning_of_chosen(picture, values, ground=0 if file.counts is Counts.REGION else IGNORED)
            yield _PictureSource(placed, meaning, place, "")
            return
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


def placed_picture(picture: MaskPicture, file: MaskFile, ground: Ground, place: Region) -> PlacedPicture:
    """A picture where its file or the user says it lies; DataError where neither does."""
    if file.corner is None:
        return place_picture(picture, place, ground, units_um=file.units_um)
    left, top = file.corner
    if not (0 <= left < ground.extent.right and 0 <= top < ground.extent.bottom):
        raise DataError(
            tr("The corner at {x}, {y} is not on {slide}.", x=left, y=top, slide=ground.name),
            advice=tr("Give x and y in level-0 pixels of the slide."),
        )
    if file.units_um is None:
        here = Region(left, top, picture.width, picture.height)
        if not ground.extent.contains(here):
            raise DataError(
                tr("{path} would reach past {slide} from there, pixel by pixel.", path=picture.path, slide=ground.name),
                advice=tr("State how many micrometres wide a pixel of the image is, or give another corner."),
            )
        return place_picture(picture, here, ground)
    rest = Region(left, top, ground.extent.right - left, ground.extent.bottom - top)
    return place_picture(picture, rest, ground, units_um=file.units_um)


def placed_outlines(file: MaskFile, ground: Ground) -> tuple[Outlines, Placed]:
    """All outlines of a file, and where they lie on a slide, one area each in their order, with the value 0."""
    outlines = read_outlines(file.path)
    areas = [Area(0, shape.rings) for shape in outlines.shapes]
    if not areas:
        raise _nothing_in(file.path, skipped_in_words(outlines.skipped), ignored=False)
    return outlines, place_areas(areas, outlines, file.path, ground, frame=file.frame, units_um=file.units_um)


def _value_chosen(own: str, scheme: ClassScheme) -> int | None:
    """The mask value of a class that was chosen; None for '-'. DataError where the project has none of that name."""
    fixed = {NOTHING: None, BACKGROUND: 0, LEFT_OUT_NAME: IGNORED}
    if own in scheme.mask_names:
        return scheme.mask_value(own)
    if own in fixed:
        return fixed[own]
    raise DataError(
        tr("The project has no class {name} any more.", name=own),
        advice=tr("Check the file again and choose another."),
    )


def _values_chosen(chosen: Mapping[tuple[str, ...], str], scheme: ClassScheme) -> dict[str, int]:
    """The mask values that were chosen for the values of a picture."""
    return {names[0]: _value_chosen(own, scheme) or 0 for names, own in chosen.items()}


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
    known = (*project.scheme.mask_names, BACKGROUND, LEFT_OUT_NAME, NOTHING)
    return {str(foreign): own for foreign, own in kept.items() if own in known} if isinstance(kept, dict) else {}


def ground_of(slide: SlideRecord) -> Ground:
    """What is known of a slide; without its file, whether it has bounds is not."""
    bounds = None
    with contextlib.suppress(SlideError), open_project_slide(slide) as opened:
        bounds = bounds_of(opened.properties, opened.extent)
    return Ground(slide.name, slide.extent, bounds, slide.mpp)


def _value_called(name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise DataError(
            tr("no mask class {name!r}; available: {names}.", name=name, names=", ".join(names)),
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
        self.class_map: Mapping[str, str] = {}
        if file.chosen is None:
            outlines, assigned, placed = self._by_name(file, project, ground, value)
        else:
            outlines, assigned, placed = _by_choice(file, file.chosen, project.scheme, ground)
        self.left_out = skipped_in_words(assigned.skipped)
        if not any(area.value != IGNORED for area in assigned.areas):
            raise _nothing_in(file.path, self.left_out, ignored=bool(assigned.areas))
        self._filled = FilledOutlines(placed.areas)
        check_inside(self._filled, place, file.path, ground)
        outside = self._outside()
        if self.place == slide.extent:  # of the slide itself: no place can take them
            self.left_out += outside
            outside = ()
        self.notes = (*filter(None, (placed.assumed, *self._notes(outlines, is_known=slide.exists()))), *outside)

    def _by_name(
        self, file: MaskFile, project: Project, ground: Ground, value: int | None
    ) -> tuple[Outlines, Assigned, Placed]:
        values = {name: number for number, name in enumerate(project.scheme.mask_names, start=1)}
        self.class_map = checked_class_map(file.class_map or {}, values)
        class_map = {**remembered_classes(project), **self.class_map}
        outlines = read_outlines(file.path)
        assigned = assign_classes(outlines, file.path, values, class_map=class_map, unclassified=value)
        if not any(area.value != IGNORED for area in assigned.areas):
            return outlines, assigned, Placed(())
        frame, units_um = file.frame, file.units_um
        return (
            outlines,
            assigned,
            place_areas(assigned.areas, outlines, file.path, ground, frame=frame, units_um=units_um),
        )

    def has_foreground(self, region: Region) -> bool:
        return any(area.value != 0 for area in self._filled.near(region))

    def planes(self, region: Region) -> tuple[Region, Mask, Mask]:
        return region, *_planes(self._filled.read(region, beneath=self._beneath))

    def _notes(self, outlines: Outlines, *, is_known: bool) -> Iterator[str]:
        yield from notes_on_reading(outlines, slide_is_there=is_known)
        ignored = sum(area.value == IGNORED for area in self._filled.areas)
        if ignored:
            yield tr_plural(
                "{count} outline of Ignore*: not used to train or measure.",
                "{count} outlines of Ignore*: not used to train or measure.",
                ignored,
            )

    def _outside(self) -> tuple[str, ...]:
        """How many outlines lie outside of the place, in words; nothing where none does."""
        count = len(self._filled.areas) - len(self._filled.near(self.place))
        if not count:
            return ()
        return (
            tr_plural(
                "{count} outline lies outside the region.",
                "{count} outlines lie outside the region.",
                count,
            ),
        )


def check_inside(filled: FilledOutlines, place: Region, path: Path, ground: Ground) -> None:
    """DataError where no outline, but for those of Ignore*, covers a pixel of a place."""
    if any(_covers_a_pixel(area, place) for area in filled.near(place) if area.value != IGNORED):
        return
    boxes_N4 = filled.boxes_N4
    raise DataError(
        tr(
            "No outline of {path} lies in the region, {place}: they reach from {box}.",
            path=path,
            place=_in_words(place),
            box=box_in_words(boxes_N4),
        ),
        advice=hint(boxes_N4, ground)
        or tr("Check that the file belongs to this slide; a region without foreground is annotated with --size 0."),
    )


def _covers_a_pixel(area: Area, place: Region) -> bool:
    (left, top), (right, bottom) = area.rings[0].min(axis=0), area.rings[0].max(axis=0)
    if max(right - left, bottom - top) > _CHECKED_PX:
        return True
    x, y = math.floor(left), math.floor(top)
    inside = Region(x, y, math.ceil(right) - x + 1, math.ceil(bottom) - y + 1).intersection(place)
    return inside is not None and bool(FilledOutlines([Area(1, area.rings)]).read(inside).any())


def _by_choice(
    file: MaskFile, chosen: Mapping[tuple[str, ...], str], scheme: ClassScheme, ground: Ground
) -> tuple[Outlines, Assigned, Placed]:
    """Outlines by what was chosen for each class. All of them say where the file lies, also those that are left out."""
    outlines, placed = placed_outlines(file, ground)
    values = {names: _value_chosen(own, scheme) for names, own in chosen.items()}
    try:
        assigned = assign_chosen(outlines, values)
    except KeyError as error:
        raise DataError(
            tr("{path} has classes for which nothing was chosen.", path=file.path),
            advice=tr("Check the file again and choose a class for each."),
        ) from error
    areas = [
        Area(value, area.rings)
        for shape, area in zip(outlines.shapes, placed.areas, strict=True)
        if (value := values[shape.names]) is not None
    ]
    return outlines, assigned, Placed(tuple(areas), placed.assumed)


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
            notes.append(tr("{path} has no foreground: all of it is background.", path=placed.picture.path))
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
        "{path} is black and white: white was taken as {first}. For another class use --mask-class {others}.",
        path=picture.path,
        first=first,
        others=" or ".join(others),
    )


def _planes(values: Mask) -> tuple[Mask, Mask]:
    """Mask and origins of values of a file: what it leaves out is background in the mask."""
    left_out = values == LEFT_OUT_VALUE
    mask = np.where(left_out, np.uint8(0), values)
    return mask, np.where(left_out, np.uint8(Origin.LEFT_OUT), np.uint8(Origin.HUMAN))


def skipped_in_words(skipped: Mapping[str, int]) -> tuple[str, ...]:
    """How many objects of a file are left out, a sentence for each reason."""
    return tuple(tr("{count} left out: {what}.", count=count, what=tr(reason)) for reason, count in skipped.items())


def _nothing_in(path: Path, left_out: tuple[str, ...], *, ignored: bool) -> DataError:
    seen = (tr("It contains only outlines of Ignore*."),) if ignored else ()
    return DataError(
        " ".join((tr("{path} has no outline that can be used.", path=path), *seen, *left_out)),
        advice=tr(
            "Give outlines without a class one with --mask-class; a region without foreground is annotated "
            "with --size 0."
        ),
    )


def _in_words(place: Region) -> str:
    return box_in_words(np.array([(place.x, place.y, place.right, place.bottom)], dtype=np.float64))


def notes_on_reading(outlines: Outlines, *, slide_is_there: bool) -> Iterator[str]:
    """What is to be known of how outlines were read, in sentences."""
    if not slide_is_there:
        yield tr("The slide's file is missing: whether it has bounds, QuPath's origin, is not known.")
    if outlines.repaired:
        yield tr_plural(
            "{count} outline crosses itself: areas that it encloses an even number of times were cut out.",
            "{count} outlines cross themselves: areas that they enclose an even number of times were cut out.",
            outlines.repaired,
        )
