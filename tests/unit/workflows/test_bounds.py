"""Slides whose scanned area is a part of the glass: outlines go to QuPath and come back to the pixel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from histoloop.exchange.outlines.placing import bounds_of
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.slides.reader import open_slide
from histoloop.workflows.annotate import import_annotation
from histoloop.workflows.export import export_project
from histoloop.workflows.projects import import_slides

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project

BOUNDS = Region(200, 300, 256, 192)
NM_PER_PIXEL = 500
_IMAGE = """<image name="{name}"><creationDate>2020-01-01T00:00:00Z</creationDate><device model="m" version="1"/>
<pixels sizeX="{width}" sizeY="{height}"><dimension sizeX="{width}" sizeY="{height}" r="0" ifd="{ifd}"/></pixels>
<view sizeX="{view_width}" sizeY="{view_height}" offsetX="{x}" offsetY="{y}" spacingZ="0"/>
<scanSettings><objectiveSettings><objective>{objective}</objective></objectiveSettings><illuminationSettings>
<numericalAperture>0.5</numericalAperture><illuminationSource>brightfield</illuminationSource>
</illuminationSettings></scanSettings></image>"""


@pytest.fixture
def scn(tmp_path: Path) -> Path:
    """A Leica slide of 512 x 640 pixels, scanned in BOUNDS."""
    whole = {"width": 128, "height": 160, "view_width": 512 * NM_PER_PIXEL, "view_height": 640 * NM_PER_PIXEL}
    part = {"width": BOUNDS.width, "height": BOUNDS.height, "view_width": BOUNDS.width * NM_PER_PIXEL,
            "view_height": BOUNDS.height * NM_PER_PIXEL}  # fmt: skip
    images = _IMAGE.format(name="macro", ifd=0, x=0, y=0, objective=1, **whole) + _IMAGE.format(
        name="main", ifd=1, x=BOUNDS.x * NM_PER_PIXEL, y=BOUNDS.y * NM_PER_PIXEL, objective=20, **part
    )
    space = "http://www.leica-microsystems.com/scn/2010/10/01"
    collection = (
        f'<collection name="c" uuid="u" sizeX="{whole["view_width"]}" sizeY="{whole["view_height"]}" barcode="">'
    )
    xml = f'<?xml version="1.0"?><scn xmlns="{space}">{collection}{images}</collection></scn>'
    tissue = np.full((BOUNDS.height, BOUNDS.width, 3), (200, 120, 180), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.scn", bigtiff=True) as tiff:
        options = {"tile": (128, 128), "compression": "jpeg", "photometric": "rgb", "metadata": None}
        tiff.write(np.full((160, 128, 3), 230, np.uint8), description=xml, **options)
        tiff.write(tissue, **options)
    return tmp_path / "a.scn"


def test_openslide_states_the_bounds_of_a_leica_slide(scn: Path) -> None:
    with open_slide(scn) as slide:
        assert bounds_of(slide.properties, slide.extent) == BOUNDS


def test_outlines_go_to_qupath_and_come_back_to_the_pixel(
    project: Project, scn: Path, add_map: Callable[..., Path], tmp_path: Path
) -> None:
    (slide_id,) = finish(import_slides(project, [scn])).added
    slide = project.slides.get(slide_id)
    expected = np.zeros((slide.height, slide.width), np.uint8)
    expected[350:400, 230:300], expected[360:370, 240:250] = 1, 0
    add_map(slide, expected.astype(np.float32))
    finish(export_project(project, tmp_path / "out"))
    ours = json.loads((tmp_path / "out" / "a.geojson").read_text())
    assert min(ours["features"][0]["geometry"]["coordinates"][0]) == [30, 50]
    ours.pop("histoloop_origin")
    (tmp_path / "qupath.geojson").write_text(json.dumps(ours))
    for file in (tmp_path / "out" / "a.geojson", tmp_path / "qupath.geojson"):
        record = import_annotation(project, mask_file=file, slide_name="a", person="Bo").record
        assert np.array_equal(project.annotations.load_mask(record.id)[0], expected)
