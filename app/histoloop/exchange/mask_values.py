"""What the pixel values of a mask picture mean: classes by number or colour, or one foreground."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoloop.annotations.records import LEFT_OUT_COLOUR, LEFT_OUT_VALUE, rgb
from histoloop.errors import DataError
from histoloop.exchange.colours import packed, unpacked
from histoloop.language import tr, tr_plural

if TYPE_CHECKING:
    from histoloop.annotations.records import ClassScheme, Mask
    from histoloop.exchange.mask_pictures import MaskPicture

Meaning = Callable[[NDArray[Any]], "Mask"]

COLOUR_TOLERANCE = 24
"""Colours this near to a class's in each of red, green and blue, and much nearer than to any other, are that class."""

MOST_VALUES = 64
"""Of a picture that may each be a class; one with more has a number for each object."""

OBJECTS = "*"
"""How all values above 0 of a picture with a number for each object are called together."""

_MANY = 6


@dataclass(frozen=True, slots=True)
class _Choices:
    """The classes of a project, for messages."""

    names: tuple[str, ...]

    @property
    def one_class(self) -> str:
        """How to say what all of the foreground is."""
        return tr("State the class of its foreground: --mask-class {names}.", names=" or ".join(self.names))


def meaning_of(picture: MaskPicture, scheme: ClassScheme, *, foreground: int | None = None) -> Meaning:
    """What turns pixels of a picture into mask values of a scheme.

    With `foreground` all that is not background (0, black, transparent, or white beside other colours) is of that
    value. Else whole numbers from 0 to the number of classes are classes, whatever their depth; palettes and colours
    are the classes by the scheme's colours, and in palettes 255 in the grey of an export is what was left out. 0 and
    the highest value of 8 or 16 bits are a class only where there is just one. DataError for what could be several
    things, with the choices.
    """
    choices = _Choices(scheme.mask_names)
    if picture.is_colour:
        return _of_colours(picture, _colours_of(picture), scheme, foreground, choices)
    values = _whole_values(picture, choices)
    if foreground is not None:
        return lambda pixels: np.where(pixels != 0, np.uint8(foreground), np.uint8(0))
    if picture.palette is not None:
        return _of_palette(picture, values, scheme, choices)
    if int(values.max(initial=0)) <= len(scheme.masks):
        return lambda pixels: pixels.astype(np.uint8)
    if len(scheme.masks) == 1 and is_two_valued(values):
        return lambda pixels: (pixels != 0).astype(np.uint8)
    raise _too_high(picture, values, choices)


@dataclass(frozen=True, slots=True)
class ForeignValue:
    """What a picture holds besides 0 and black: a value ('3'), a colour ('#d01020'), or `OBJECTS`.

    `colour` is how the picture shows it, '#rrggbb' or empty; `count` pixels have it. `means` is the mask value that it
    surely has in a scheme (0: background, 255: left out), None where it could be several things.
    """

    name: str
    colour: str
    count: int
    means: int | None


def values_of_picture(picture: MaskPicture, scheme: ClassScheme) -> tuple[ForeignValue, ...]:
    """The values or colours of a picture, rarest last, with what they mean in a scheme; DataError for what is no mask.

    Nothing is guessed: black and white is the one class that there is, and where there are several it means none.
    """
    values = picture.values()
    colours = _colours_of(picture) if picture.is_colour else None
    if colours is None:
        values = _whole_values(picture, _Choices(scheme.mask_names))
    counts = picture.counts()
    shown = values != 0
    if colours is None and np.count_nonzero(shown) > MOST_VALUES:
        return (ForeignValue(OBJECTS, "", int(counts[shown].sum()), None),)
    meant = _surely_meant(picture, scheme, values)
    found = [
        ForeignValue(_value_called(picture, value), _shown_as(picture, value), int(count), means)
        for value, count, means in zip(values.tolist(), counts.tolist(), meant, strict=True)
        if value != 0
    ]
    return tuple(sorted(found, key=lambda one: -one.count))


def meaning_of_chosen(picture: MaskPicture, chosen: Mapping[str, int], *, ground: int = 0) -> Meaning:
    """What turns pixels into the mask values that were chosen for what a picture holds (by `ForeignValue.name`).

    What nothing was chosen for, 0 and black, has the value `ground`.
    """
    if OBJECTS in chosen:
        return lambda pixels: np.where(pixels != 0, np.uint8(chosen[OBJECTS]), np.uint8(ground))
    values = picture.values()
    meant = np.array([chosen.get(_value_called(picture, value), ground) for value in values.tolist()], np.uint8)
    if picture.is_colour:
        return _by_table(unpacked(values), meant)

    def meaning(pixels: NDArray[Any]) -> Mask:
        place: NDArray[Any] = np.searchsorted(values, pixels).clip(max=len(values) - 1)
        result: Mask = np.where(values[place] == pixels, meant[place], np.uint8(0))
        return result

    return meaning


def _surely_meant(picture: MaskPicture, scheme: ClassScheme, values: NDArray[Any]) -> list[int | None]:
    """What each value of a picture means, where the values alone show it."""
    if picture.has_one_bit and len(scheme.masks) > 1:
        return [0 if value == 0 else None for value in values.tolist()]
    try:
        meaning = meaning_of(picture, scheme)
    except DataError:
        return [None] * len(values)
    meant: list[int | None] = [*meaning(unpacked(values) if picture.is_colour else values).tolist()]
    return meant


def _value_called(picture: MaskPicture, value: float) -> str:
    return f"#{int(value):06x}" if picture.is_colour else f"{value:g}" if value < 1e6 else f"{int(value)}"


def _shown_as(picture: MaskPicture, value: float) -> str:
    if picture.is_colour:
        return f"#{int(value):06x}"
    if picture.palette is None:
        return ""
    return "#{:02x}{:02x}{:02x}".format(*picture.palette[int(value)])


def is_two_valued(values: NDArray[Any]) -> bool:
    """Whether there are only 0 and the highest value of 8 or 16 bits."""
    return bool(np.isin(values, (0, 255)).all() or np.isin(values, (0, 65_535)).all())


def _whole_values(picture: MaskPicture, choices: _Choices) -> NDArray[Any]:
    values = picture.values()
    if not (np.isfinite(values).all() and (values >= 0).all() and (values == np.floor(values)).all()):
        raise DataError(
            tr("{path} has values that are not whole numbers from 0 on: it is not a mask.", path=picture.path),
            advice=tr(
                "Save it with one value per class: 0 for background, 1 for {name}, and so on.", name=choices.names[0]
            ),
        )
    return values


def _too_high(picture: MaskPicture, values: NDArray[Any], choices: _Choices) -> DataError:
    count = len(choices.names)
    held = ", ".join(f"{value:g}" for value in values[:_MANY].tolist()) + (", ..." if len(values) > _MANY else "")
    return DataError(
        tr_plural(
            "{file} contains the value {highest}; the project has {count} mask class.",
            "{file} contains the value {highest}; the project has {count} mask classes.",
            count,
            file=picture.path,
            highest=int(values.max()),
        ),
        advice=tr(
            "Its values are {held}. As classes they must be 0 to {count} ({names}). If it is a mask of one class, or "
            "each object has a number: {one_class}",
            held=held,
            count=count,
            names=", ".join(choices.names),
            one_class=choices.one_class,
        ),
    )


def _of_palette(picture: MaskPicture, values: NDArray[Any], scheme: ClassScheme, choices: _Choices) -> Meaning:
    """By index or by colour, where they agree or only one of them is possible."""
    assert picture.palette is not None
    if LEFT_OUT_VALUE in values and tuple(picture.palette[LEFT_OUT_VALUE].tolist()) == rgb(LEFT_OUT_COLOUR):
        others = _of_palette(picture, values[values != LEFT_OUT_VALUE], scheme, choices)
        return lambda pixels: np.where(pixels == LEFT_OUT_VALUE, np.uint8(LEFT_OUT_VALUE), others(pixels))
    by_colour = _classes_by_colour(picture.palette[values.astype(np.intp)], scheme)
    by_index = values if int(values.max(initial=0)) <= len(scheme.masks) else None
    if by_colour is None and by_index is None:
        raise _too_high(picture, values, choices)
    if by_index is None or (by_colour is not None and np.array_equal(by_colour, values)):
        assert by_colour is not None
        table = np.zeros(256, np.uint8)
        table[values.astype(np.intp)] = by_colour
        return lambda pixels: table[pixels]
    if by_colour is None:
        return lambda pixels: pixels.astype(np.uint8)
    raise DataError(
        tr("{path} shows some classes by colours and others by numbers.", path=picture.path),
        advice=tr(
            "Save it in grey values (0 to {count}) or as RGB in the colours of the classes.", count=len(scheme.masks)
        ),
    )


def _colours_of(picture: MaskPicture) -> NDArray[np.uint8]:
    """(N, 3) the colours of a picture that are not transparent."""
    packed = picture.values()
    if len(packed) > 256:
        raise DataError(
            tr("{path} has {count} colours or more: it is not a mask.", path=picture.path, count=len(packed)),
            advice=tr(
                "Save it with sharp edges and without JPEG compression: each class in one colour, or one grey value."
            ),
        )
    return unpacked(packed)


def _of_colours(
    picture: MaskPicture,
    colours: NDArray[np.uint8],
    scheme: ClassScheme,
    foreground: int | None,
    choices: _Choices,
) -> Meaning:
    """Grey ones by their values, others by the colours of the classes, on black or white."""
    is_grey = bool((colours == colours[:, :1]).all())
    if foreground is None and is_grey and int(colours.max(initial=0)) <= len(scheme.masks):
        return _by_table(colours, colours[:, 0])
    classes = None if foreground is not None or is_grey else _classes_by_colour(colours, scheme)
    if classes is not None:
        return _by_table(colours, classes)
    shown = _foreground(colours)
    value = 1 if foreground is None and len(scheme.masks) == 1 else foreground
    if value is not None and np.count_nonzero(shown) <= 1:
        return _by_table(colours, np.where(shown, np.uint8(value), np.uint8(0)))
    raise _unclear_colours(picture, colours, scheme, choices)


def _foreground(colours: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) which colours are no background: not black, and not white where there is another one."""
    shown = np.asarray(colours.any(axis=1), np.bool_)
    coloured: NDArray[np.bool_] = shown & np.asarray((colours != 255).any(axis=1), np.bool_)
    return coloured if coloured.any() else shown


def _unclear_colours(
    picture: MaskPicture, colours: NDArray[np.uint8], scheme: ClassScheme, choices: _Choices
) -> DataError:
    return DataError(
        tr(
            "{path} has several colours that are not those of the classes: {held}.",
            path=picture.path,
            held=", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours[:_MANY].tolist()),
        ),
        advice=tr(
            "Save it with one grey value per class: 0 for background, 1 for the first class, and so on; or in the "
            "colours of the classes: {known}. If it is black and one colour: {one_class}",
            known=", ".join(f"{mask.name} {mask.colour}" for mask in scheme.masks),
            one_class=choices.one_class,
        ),
    )


def _by_table(colours: NDArray[np.uint8], classes: Mask) -> Meaning:
    packed_colours = packed(colours)
    order = np.argsort(packed_colours)
    keys, values = packed_colours[order], np.asarray(classes, np.uint8)[order]

    def meaning(pixels: NDArray[Any]) -> Mask:
        found = packed(pixels)
        place: NDArray[Any] = np.searchsorted(keys, found).clip(max=len(keys) - 1)
        result: Mask = np.where(keys[place] == found, values[place], np.uint8(0))
        return result

    return meaning


def _classes_by_colour(colours: NDArray[np.uint8], scheme: ClassScheme) -> Mask | None:
    """The class of each colour (N, 3), black and white being background; None where one is near none, or near two."""
    known = np.array([(0, 0, 0), (255, 255, 255), *(rgb(mask.colour) for mask in scheme.masks)], dtype=np.int16)
    values = np.array([0, 0, *range(1, len(scheme.masks) + 1)], dtype=np.uint8)
    distance = np.abs(colours[:, None].astype(np.int16) - known).max(axis=2)
    nearest = distance.argmin(axis=1)
    best, second = np.sort(distance, axis=1)[:, :2].T
    sure = (best == 0) | ((best <= COLOUR_TOLERANCE) & (second >= 2 * best))
    return values[nearest] if bool(sure.all()) else None
