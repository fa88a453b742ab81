"""What a TIFF file states about its picture: resolution, names and colours of channels (OME-XML, ImageJ, QPTIFF)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from histoloop.slides.sources.protocol import plausible_mpp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_UNITS_UM = {
    "pm": 1e-6,
    "nm": 1e-3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "in": 25_400.0,
    "inch": 25_400.0,
    "pt": 25_400.0 / 72,
}
_TAG_UNITS_UM = {2: 25_400.0, 3: 10_000.0}
_WAVES = ("EmissionWavelength", "ExcitationWavelength", "Fluor")
_DEFAULT_NAME = re.compile(r"(channel|ch|c)?[ _:-]*\d*(:\d+)*", re.IGNORECASE)

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file states of one picture; `channels` are (name, colour) in their order, empty where it says nothing.

    `mpp` is um/px; `bits` how many bits of a value are used; `has_wavelengths` says that light of chosen wavelengths
    was recorded; `objective` is the power of the objective.
    """

    mpp: float | None = None
    channels: tuple[tuple[str, Colour | None], ...] = ()
    has_wavelengths: bool = False
    bits: int | None = None
    objective: float | None = None


def stated(tiff: Any, series: Any) -> Stated:
    """What the file states about one of its series."""
    page = series.keyframe
    if (image := _ome_image(tiff, series)) is not None:
        return replace(_of_ome(image, page), objective=_ome_objective(tiff, image))
    imagej = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    if imagej:
        return Stated(mpp=_of_unit(page, str(imagej.get("unit", ""))) or tag_mpp(page), channels=_of_imagej(imagej))
    if tiff.is_qpi:
        return Stated(mpp=tag_mpp(page), channels=tuple(_of_qpi(series)))
    return Stated(mpp=tag_mpp(page), objective=_aperio_objective(page))


def tag_mpp(page: Any) -> float | None:
    """um/px by a page's resolution tags; None where they are absent, have no unit or cannot be."""
    unit = _TAG_UNITS_UM.get(_number(page, 296))
    return None if unit is None else _resolution(page, unit)


def is_named(name: str) -> bool:
    """Whether a channel's name says more than its number."""
    return _DEFAULT_NAME.fullmatch(name.strip()) is None


def _number(page: Any, tag: int) -> int:
    value = page.tags.valueof(tag, 0)
    return int(value) if isinstance(value, int) else 0


def _resolution(page: Any, unit_um: float) -> float | None:
    across, down = (_per_unit(page.tags.valueof(tag)) for tag in (282, 283))
    return None if across is None or down is None else plausible_mpp(unit_um / across, unit_um / down)


def _per_unit(value: object) -> float | None:
    """Pixels per unit of a resolution tag; None where it is not a positive number."""
    if not isinstance(value, tuple) or len(value) != 2 or not value[1]:
        return None
    number = float(value[0]) / float(value[1])
    return number if number > 0 and math.isfinite(number) else None


def _unit_um(name: str) -> float | None:
    plain = name.strip().replace("\\u00B5", "u").replace("\u00b5", "u").replace("\u03bc", "u").lower()
    return _UNITS_UM.get(plain)


def _of_unit(page: Any, name: str) -> float | None:
    unit = _unit_um(name)
    return None if unit is None else _resolution(page, unit)


# --- OME-XML ----------------------------------------------------------------------------------------------------------


def _ome_image(tiff: Any, series: Any) -> ElementTree.Element | None:
    """The Image element of a series."""
    if not tiff.is_ome or not tiff.ome_metadata:
        return None
    try:
        root = ElementTree.fromstring(tiff.ome_metadata)
    except ElementTree.ParseError:
        return None
    images = [element for element in root if _tag(element) == "Image"]
    if len(images) == 1:
        return images[0]
    if len(images) == len(tiff.series) and series.kind == "ome":
        return next((image for image, own in zip(images, tiff.series, strict=True) if own is series), None)
    named = [image for image in images if series.name and image.get("Name") == series.name]
    return named[0] if len(named) == 1 else None


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _of_ome(image: ElementTree.Element, page: Any) -> Stated:
    pixels = next((element for element in image if _tag(element) == "Pixels"), None)
    if pixels is None:
        return Stated(mpp=tag_mpp(page))
    channels = [element for element in pixels if _tag(element) == "Channel"]
    return Stated(
        mpp=_ome_mpp(pixels) if pixels.get("PhysicalSizeX") else tag_mpp(page),
        channels=tuple((channel.get("Name", ""), _ome_colour(channel.get("Color"))) for channel in channels),
        has_wavelengths=any(channel.get(wave) for channel in channels for wave in _WAVES),
        bits=_whole(pixels.get("SignificantBits")),
    )


def _ome_mpp(pixels: ElementTree.Element) -> float | None:
    sizes = []
    for axis in "XY":
        unit = _unit_um(pixels.get(f"PhysicalSize{axis}Unit", "um"))
        try:
            size = pixels.get(f"PhysicalSize{axis}") or pixels.get("PhysicalSizeX") or ""
            sizes.append(float(size) * (unit or 0.0))
        except ValueError:
            return None
    return plausible_mpp(sizes[0], sizes[1])


def _ome_objective(tiff: Any, image: ElementTree.Element) -> float | None:
    """The NominalMagnification of the objective that an image was taken with, or of the only one there is."""
    root = ElementTree.fromstring(tiff.ome_metadata)
    found = {
        element.get("ID", ""): element.get("NominalMagnification")
        for instrument in root
        if _tag(instrument) == "Instrument"
        for element in instrument
        if _tag(element) == "Objective"
    }
    used = next((element.get("ID", "") for element in image if _tag(element) == "ObjectiveSettings"), None)
    powers = [found.get(used)] if used is not None else list(found.values())
    return _power(powers[0]) if len(powers) == 1 else None


def _aperio_objective(page: Any) -> float | None:
    """AppMag of a description as Aperio writes it."""
    found = re.search(r"\|\s*AppMag\s*=\s*([0-9.]+)", str(getattr(page, "description", "")))
    return _power(found[1]) if found else None


def _power(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _ome_colour(text: str | None) -> Colour | None:
    """RGB of OME's signed 32-bit RGBA; None where there is none, or white and black, which programs write for none."""
    number = _whole(text)
    if number is None:
        return None
    colour = (number >> 24 & 255, number >> 16 & 255, number >> 8 & 255)
    return None if colour in ((0, 0, 0), (255, 255, 255)) else colour


def _whole(text: str | None) -> int | None:
    try:
        return int(text) if text and len(text) < 20 else None
    except ValueError:
        return None


# --- ImageJ and QPTIFF ------------------------------------------------------------------------------------------------


def _of_imagej(imagej: Mapping[str, Any]) -> tuple[tuple[str, Colour | None], ...]:
    count = imagej.get("channels", 1)
    if not isinstance(count, int) or not 1 < count < 1000:
        return ()
    labels, tables = _listed(imagej.get("Labels")), _listed(imagej.get("LUTs"))
    names = [str(label) for label in labels[:count]] if len(labels) >= count else [""] * count
    colours = [_last_of(table) for table in tables[:count]] if len(tables) >= count else [None] * count
    return tuple(zip(names, colours, strict=True))


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _last_of(table: Any) -> Colour | None:
    """The brightest entry of an ImageJ colour table (3, 256)."""
    try:
        red, green, blue = (int(entries[-1]) for entries in table)
    except (TypeError, ValueError, IndexError):
        return None
    return (red, green, blue)


def _of_qpi(series: Any) -> Iterator[tuple[str, Colour | None]]:
    """Name and Color of each page's XML."""
    for page in series.pages:
        try:
            root = ElementTree.fromstring(page.description)
        except (ElementTree.ParseError, AttributeError):
            return
        parts = re.split(r"\s*,\s*", (root.findtext("Color") or "").strip())
        yield root.findtext("Name") or "", _of_numbers(parts)


def _of_numbers(parts: Sequence[str]) -> Colour | None:
    if len(parts) != 3 or not all(part.isdigit() and int(part) < 256 for part in parts):
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])
