"""Where a mask picture lies on its slide: by its size, by what it says, or by what the user says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histoloop.errors import DataError
from histoloop.exchange.mask_pictures import MaskPicture
from histoloop.geometry import Region
from histoloop.language import tr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.exchange.outlines.placing import Ground

_SAME = 0.03
"""By this share the resolution that a file states may differ from the one by which it fits."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedPicture:
    """A picture that covers a level-0 region, and what was assumed for it, in words (empty: nothing)."""

    picture: MaskPicture
    region: Region
    assumed: str = ""

    def read(self, region: Region) -> NDArray[Any]:
        """Pixels (height, width) of a level-0 region inside the one covered, each from the nearest of the picture."""
        rows = _nearest(region.y - self.region.y, region.height, self.region.height, self.picture.height)
        columns = _nearest(region.x - self.region.x, region.width, self.region.width, self.picture.width)
        top, left = int(rows[0]), int(columns[0])
        pixels = self.picture.read(slice(top, int(rows[-1]) + 1), slice(left, int(columns[-1]) + 1))
        return pixels[np.ix_(rows - top, columns - left)]


def _nearest(start: int, length: int, covered: int, count: int) -> NDArray[np.intp]:
    middles = (start + np.arange(length) + 0.5) * (count / covered)
    nearest: NDArray[np.intp] = np.minimum(middles.astype(np.intp), count - 1)
    return nearest


def place_picture(
    picture: MaskPicture, place: Region, ground: Ground, *, units_um: float | None = None
) -> PlacedPicture:
    """A mask of a place, the whole slide or a region of it.

    With `units_um`, its micrometres per pixel, it begins at the corner of the place. Else it covers the place, or the
    bounds of a whole slide, when it has the size or the proportions; or a part of a whole slide that its file states.
    DataError for anything else, and where its file states another resolution than that by which it fits.
    """
    if units_um is not None:
        return PlacedPicture(picture, _by_scale(picture, place, ground, units_um, corner=(place.x, place.y)))
    if (picture.width, picture.height) == (place.width, place.height):
        return PlacedPicture(picture, place)
    is_whole = place == ground.extent
    if is_whole and (part := _stated_part(picture, ground)) is not None:
        return PlacedPicture(picture, part)
    if is_whole and (part := _mapped_part(picture, ground)) is not None:
        assumed = tr("{path}: the units of its map were taken as level-0 pixels.", path=picture.path)
        return PlacedPicture(picture, part, assumed)
    if is_whole and ground.bounds is not None and _alike(picture, ground.bounds):
        exact = (picture.width, picture.height) == (ground.bounds.width, ground.bounds.height)
        if exact or not _alike(picture, place):
            assumed = tr("{slide} has bounds: the mask was taken to cover them, as in QuPath.", slide=ground.name)
            return PlacedPicture(picture, ground.bounds, assumed)
    if not _alike(picture, place):
        raise _of_another_size(picture, place)
    _check_stated(picture, place, ground)
    return PlacedPicture(picture, place)


def _alike(picture: MaskPicture, place: Region) -> bool:
    """Whether both have the same proportions, to a pixel of the picture's edge."""
    longest = max(place.width, place.height)
    return abs(picture.width * place.height - picture.height * place.width) <= longest


def _by_scale(
    picture: MaskPicture, place: Region, ground: Ground, mpp: float, *, corner: tuple[float, float]
) -> Region:
    """The region that a picture covers at a resolution; DataError when it reaches past the place by a pixel of it."""
    if ground.mpp is None:
        raise DataError(
            tr("{path} cannot be scaled: the resolution of {slide} is unknown.", path=picture.path, slide=ground.name),
            advice=tr("Set the micrometres per pixel of this slide; the microscope or scanner states it."),
        )
    scale = mpp / ground.mpp
    x, y = round(corner[0]), round(corner[1])
    region = Region(x, y, max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    if not place.grown(round(scale) + 1).contains(region):
        raise _of_another_size(picture, place, covered=region)
    return region


def _stated_part(picture: MaskPicture, ground: Ground) -> Region | None:
    """The part of a slide that a file states by its corner and resolution; None where it states none, or no such."""
    stated = picture.stated
    if stated.mpp is None or stated.corner_um is None or stated.corner_um == (0, 0) or ground.mpp is None:
        return None
    corner = (stated.corner_um[0] / ground.mpp, stated.corner_um[1] / ground.mpp)
    return _by_scale(picture, ground.extent, ground, stated.mpp, corner=corner)


def _mapped_part(picture: MaskPicture, ground: Ground) -> Region | None:
    """The part of a slide that a GeoTIFF states, in level-0 pixels with y up or down; None where it is no such."""
    if picture.stated.map_units is None:
        return None
    scale, x, y = picture.stated.map_units
    if not scale > 0:
        return None
    part = Region(round(x), round(abs(y)), max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return part if ground.extent.contains(part) else None


def _check_stated(picture: MaskPicture, place: Region, ground: Ground) -> None:
    if picture.stated.mpp is None or ground.mpp is None:
        return
    fitted = ground.mpp * place.width / picture.width
    if abs(picture.stated.mpp / fitted - 1) > _SAME:
        raise DataError(
            tr(
                "{path} states {stated} um per pixel, but would need {fitted} um per pixel to cover the region.",
                path=picture.path,
                stated=f"{picture.stated.mpp:.4g}",
                fitted=f"{fitted:.4g}",
            ),
            advice=tr(
                "State which is right: --mask-mpp {fitted} to cover all of it, or --mask-mpp {stated} from its corner.",
                fitted=f"{fitted:.6g}",
                stated=f"{picture.stated.mpp:.6g}",
            ),
        )


def _of_another_size(picture: MaskPicture, place: Region, *, covered: Region | None = None) -> DataError:
    message = tr(
        "{file} is {mask_width} x {mask_height} pixels; the region is {width} x {height}.",
        file=picture.path,
        mask_width=picture.width,
        mask_height=picture.height,
        width=place.width,
        height=place.height,
    )
    if covered is not None:
        message = tr(
            "{file} would reach from {x}, {y} to {right}, {bottom}; the region is {width} x {height}.",
            file=picture.path,
            x=covered.x,
            y=covered.y,
            right=covered.right,
            bottom=covered.bottom,
            width=place.width,
            height=place.height,
        )
    return DataError(
        message,
        advice=tr("Give a mask of the region's size or proportions, or state its micrometres per pixel: --mask-mpp."),
    )
