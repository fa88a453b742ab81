"""Places that somebody shows on a slide: clipped to it, refused in words, or of the usual size around a point."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from histoloop.errors import DataError
from histoloop.geometry import Region
from histoloop.workflows.contents.places import place_on_slide, usual_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord


@pytest.fixture
def slide(project: Project, tmp_path) -> SlideRecord:
    path = tmp_path / "large.svs"
    path.write_bytes(b"pixels")
    return project.slides.add(path, width=50_000, height=30_000, mpp=0.5, vendor="aperio")


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        (Region(100, 200, 300, 400), Region(100, 200, 300, 400)),
        (Region(-100, -50, 300, 400), Region(0, 0, 200, 350)),
        (Region(49_900, 29_000, 5_000, 3_000), Region(49_900, 29_000, 100, 1_000)),
        (Region(0, 0, 4096, 32), Region(0, 0, 4096, 32)),
    ],
)
def test_a_rectangle_is_clipped_to_the_slide(slide: SlideRecord, wanted: Region, place: Region) -> None:
    assert place_on_slide(slide, wanted) == place


@pytest.mark.parametrize(
    ("wanted", "message", "advice"),
    [
        (Region(-10, 0, 10, 10), r"lies outside large.svs", "on the slide"),
        (Region(10, 10, 31, 500), r"31 x 500 pixels are too few", "at least 32 x 32 pixels"),
        (Region(-490, 10, 500, 500), r"10 x 500 pixels are too few", "at least 32 x 32 pixels"),
        (Region(0, 0, 4097, 100), r"4097 x 100 pixels are too many", "in memory as a whole.*at most 4096 x 4096"),
        (Region(-5, -5, 10**9, 10**9), r"50000 x 30000 pixels are too many", "in memory as a whole"),
    ],
)
def test_what_cannot_be_one_region_is_refused_with_the_limit(
    slide: SlideRecord, wanted: Region, message: str, advice: str
) -> None:
    with pytest.raises(DataError, match=message) as refused:
        place_on_slide(slide, wanted)
    assert re.search(advice, refused.value.advice)


def test_all_of_a_picture_smaller_than_the_smallest_place_will_do(add_slide: Callable[..., SlideRecord]) -> None:
    small = add_slide(width=20, height=16)
    assert place_on_slide(small, Region(-3, -3, 90, 90)) == Region(0, 0, 20, 16)


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [
        (10_000, 9_000, Region(9_616, 8_616, 768, 768)),  # 384 pixels of 1 micrometre on a slide of half of that
        (0, 0, Region(0, 0, 768, 768)),
        (50_000, 29_999, Region(49_232, 29_232, 768, 768)),
    ],
)
def test_a_click_gives_a_square_of_the_usual_size_that_lies_on_the_slide(
    project: Project, slide: SlideRecord, x: float, y: float, place: Region
) -> None:
    assert usual_place(project, slide, x, y, region_map_px=384) == place


def test_a_click_on_a_small_picture_gives_all_of_it(project: Project, add_slide: Callable[..., SlideRecord]) -> None:
    assert usual_place(project, add_slide(), 5, 5, region_map_px=384) == Region(0, 0, 160, 96)
