"""Outlines lie on the slide where the program that wrote them showed them, whatever it counts from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import DataError
from histoloop.exchange.geojson import cut_to_bounds, write_geojson
from histoloop.exchange.outlines.classes import Area, assign_classes
from histoloop.exchange.outlines.filling import FilledOutlines
from histoloop.exchange.outlines.placing import Ground, Placed, bounds_of, place_areas
from histoloop.exchange.outlines.read import read_outlines
from histoloop.exchange.outlines.records import Outlines
from histoloop.geometry import Region
from histoloop.localisation.contours import Polygon, polygons_of_mask, signed_area

if TYPE_CHECKING:
    from histoloop.exchange.outlines.placing import Frame

SCHEME = ClassScheme((LabelClass("a", "gland"),), (MaskClass("gland", "#00a0ff"), MaskClass("tumour", "#d01020")))
EXTENT = Region(0, 0, 4000, 3000)
BOUNDS = Region(600, 1000, 1024, 768)
WITH_BOUNDS, WITHOUT = Ground("a.scn", EXTENT, BOUNDS, 0.5), Ground("a.svs", EXTENT, None, 0.5)


def box(x: float, y: float, width: float, height: float, value: int = 1) -> Area:
    return Area(value, (np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)]),))


def placed(*areas: Area, ground: Ground = WITH_BOUNDS, cropped: bool = True, origin: tuple[float, float] | None = None,
           frame: Frame = "auto", units_um: float | None = None) -> Placed:  # fmt: skip
    outlines = Outlines((), {}, 0, origin, cropped)
    return place_areas(areas, outlines, Path("a.geojson"), ground, frame=frame, units_um=units_um)


def corner(found: Placed) -> tuple[float, float]:
    return tuple(found.areas[0].rings[0][0].tolist())


def test_qupath_counts_from_the_bounds_and_that_is_said() -> None:
    found = placed(box(412, 284, 200, 200))
    assert corner(found) == (1012, 1284)
    assert "at their corner at 600, 1000" in found.assumed


def test_asap_and_imagescope_count_from_the_corner_of_all_and_that_is_said() -> None:
    found = placed(box(412, 284, 200, 200), cropped=False)
    assert corner(found) == (412, 284)
    assert "corner of the whole slide" in found.assumed


def test_what_reaches_past_the_bounds_and_fits_the_slide_counts_from_all_and_that_is_said() -> None:
    found = placed(box(1100, 1284, 200, 200))
    assert corner(found) == (1100, 1284)
    assert "corner of the whole slide" in found.assumed


def test_without_bounds_nothing_is_moved_or_assumed() -> None:
    found = placed(box(412, 284, 200, 200), ground=WITHOUT)
    assert (corner(found), found.assumed) == ((412, 284), "")


def test_what_the_file_says_counts_and_what_the_user_says_counts_more() -> None:
    area = box(10, 20, 30, 40)
    assert (corner(placed(area, origin=(5, 6))), placed(area, origin=(5, 6)).assumed) == ((15, 26), "")
    assert corner(placed(area, origin=(5, 6), frame="slide")) == (10, 20)
    assert corner(placed(area, origin=(5, 6), frame="bounds")) == (610, 1020)
    assert placed(area, frame="bounds").assumed == ""


def test_units_are_scaled_by_the_resolution_of_the_slide() -> None:
    assert corner(placed(box(100, 50, 10, 10), ground=WITHOUT, units_um=1.0)) == (200, 100)
    with pytest.raises(DataError, match="resolution of a is unknown"):
        placed(box(1, 1, 2, 2), ground=Ground("a", EXTENT, None, None), units_um=1.0)


@pytest.mark.parametrize(
    ("area", "words"),
    [
        (box(5000, 5000, 200, 200), "5000, 5000 to 5200, 5200, the slide has 4000 x 3000 pixels"),
        (box(-900, 0, 1000, 100), "-900, 0 to 100, 100"),
    ],
)
def test_what_lies_mostly_outside_is_refused_with_what_was_seen(area: Area, words: str) -> None:
    with pytest.raises(DataError, match=words):
        placed(area, ground=WITHOUT)


@pytest.mark.parametrize(
    ("area", "mpp", "hint"),
    [
        (box(5000, 3000, 4000, 3000), 4.0, "They would fit in micrometres: --mask-mpp 1."),
        (box(16_000, 12_000, 8000, 8000), None, "They would fit at 0.125 times the size"),
        (box(9e7, 9e7, 10, 10), None, "Check that the file belongs to this slide"),
    ],
)
def test_a_scale_that_would_fit_is_named(area: Area, mpp: float | None, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        placed(area, ground=Ground("a", EXTENT, None, mpp))
    assert hint in caught.value.advice


@pytest.mark.parametrize(
    ("properties", "bounds"),
    [
        ({"x": "600", "y": "1000", "width": "1024", "height": "768"}, BOUNDS),
        ({"x": "0", "y": "0", "width": "4000", "height": "3000"}, None),
        ({"x": "3000", "y": "0", "width": "9000", "height": "3000"}, Region(3000, 0, 1000, 3000)),
        ({"x": "9000", "y": "0", "width": "9", "height": "9"}, None),
        ({"x": "600", "y": "1000", "width": "0", "height": "768"}, None),
        ({"x": "six", "y": "1000", "width": "1", "height": "768"}, None),
        ({"x": "600"}, None),
    ],
)
def test_bounds_are_those_of_openslide_inside_the_slide(properties: dict[str, str], bounds: Region | None) -> None:
    stated = {f"openslide.bounds-{name}": value for name, value in properties.items()}
    assert bounds_of(stated, EXTENT) == bounds


# --- there and back ---------------------------------------------------------------------------------------------------

regions = st.builds(Region, st.integers(0, 40), st.integers(0, 40), st.integers(8, 40), st.integers(8, 40))
masks = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=60)
@given(bounds=regions, seed=masks, own=st.booleans())
def test_a_mask_comes_back_from_a_slide_with_bounds_to_the_pixel(
    tmp_path_factory: pytest.TempPathFactory, bounds: Region, seed: int, own: bool
) -> None:
    """`own` reads our file; else what QuPath makes of it: the same outlines, and nothing that says where from."""
    extent = Region(0, 0, 90, 90)
    mask = np.zeros((90, 90), np.uint8)
    inside = np.random.default_rng(seed).integers(0, 3, (bounds.height // 4 + 1, bounds.width // 4 + 1), np.uint8)
    inside = inside.repeat(4, axis=0).repeat(4, axis=1)[: bounds.height, : bounds.width]
    mask[bounds.y : bounds.bottom, bounds.x : bounds.right] = inside
    assume(mask.any())
    path = tmp_path_factory.getbasetemp() / "bounds.geojson"
    write_geojson(path, polygons_of_mask(mask), SCHEME, mpp=None, bounds=bounds)
    outlines = read_outlines(path)
    assert outlines.origin == (bounds.x, bounds.y)
    corners = np.concatenate([ring for shape in outlines.shapes for ring in shape.rings])
    assert (corners >= 0).all()
    assert (corners <= (bounds.width, bounds.height)).all()
    seen = outlines if own else Outlines(outlines.shapes, {}, 0, None, True)
    assigned = assign_classes(seen, path, {"gland": 1, "tumour": 2})
    ground = Ground("a", extent, bounds, None)
    back = place_areas(assigned.areas, seen, path, ground)
    assert np.array_equal(FilledOutlines(back.areas).read(extent), mask)


@settings(deadline=None, max_examples=60)
@given(bounds=regions, downsample=st.sampled_from([1.0, 2.0, 3.7]), seed=masks)
def test_what_lies_outside_of_the_bounds_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, bounds: Region, downsample: float, seed: int
) -> None:
    mask = np.random.default_rng(seed).integers(0, 3, (30, 30), np.uint8).repeat(3, axis=0).repeat(3, axis=1)
    path = tmp_path_factory.getbasetemp() / "cut.geojson"
    polygons = polygons_of_mask(mask, downsample=downsample)
    write_geojson(path, polygons, SCHEME, mpp=None, bounds=bounds)
    shown = Region(0, 0, bounds.width, bounds.height)
    assigned = assign_classes(read_outlines(path), path, {"gland": 1, "tumour": 2})
    whole = FilledOutlines([Area(polygon.value, (polygon.exterior, *polygon.holes)) for polygon in polygons])
    assert np.array_equal(FilledOutlines(assigned.areas).read(shown), whole.read(bounds))


def test_a_polygon_is_cut_along_the_edge_of_the_bounds() -> None:
    ring = np.array([(-2.0, 1.0), (4.0, 1.0), (4.0, 9.0), (-2.0, 9.0), (-2.0, 1.0)])
    polygon = Polygon(ring, (), 2)
    (cut,) = cut_to_bounds(polygon, Region(0, 0, 3, 5))
    assert (cut.area_px, cut.value) == (3 * 4, 2)
    assert (cut.exterior[0] == cut.exterior[-1]).all()
    assert signed_area(cut.exterior) > 0
    (whole,) = cut_to_bounds(polygon, Region(-10, -10, 30, 50))
    assert np.array_equal(whole.exterior, ring + 10)
    assert cut_to_bounds(polygon, Region(100, 100, 3, 5)) == []


def test_a_polygon_that_the_bounds_cut_in_two_becomes_two_with_their_own_holes(tmp_path: Path) -> None:
    mask = np.ones((9, 20), np.uint8)
    mask[:5, 8:12] = 0
    mask[2, 3] = mask[1:3, 15:17] = 0
    bounds = Region(1, 0, 18, 5)
    write_geojson(tmp_path / "a.geojson", polygons_of_mask(mask), SCHEME, mpp=None, bounds=bounds)
    features = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    shapes = [shapely.Polygon(rings[0], rings[1:]) for rings in (one["geometry"]["coordinates"] for one in features)]
    assert sorted(shape.area for shape in shapes) == [5 * 7 - 4, 5 * 7 - 1]
    assert all(shape.is_valid and len(shape.interiors) == 1 for shape in shapes)
    assert len({one["id"] for one in features}) == 2
