"""The objective that a file states suggests a resolution; what cannot be suggests none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from histoloop.slides.objective import mpp_of_objective, objective_power
from histoloop.slides.reader import open_slide

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.full((40, 50, 3), 200, np.uint8)


@pytest.mark.parametrize(("power", "mpp"), [(40.0, 0.25), (20.0, 0.5), (10.0, 1.0), (60.0, 1 / 6), (2.5, 4.0)])
def test_ten_micrometres_are_divided_by_the_power(power: float, mpp: float) -> None:
    assert mpp_of_objective(power) == pytest.approx(mpp)


@pytest.mark.parametrize("power", [0.0, -20.0, float("nan"), float("inf"), 1e6])
def test_no_resolution_comes_of_a_power_that_no_objective_has(power: float) -> None:
    assert mpp_of_objective(power) is None


@pytest.mark.parametrize(
    ("properties", "power"),
    [
        ({"openslide.objective-power": "20"}, 20.0),
        ({"aperio.AppMag": "40"}, 40.0),
        ({"hamamatsu.SourceLens": "20"}, 20.0),
        ({"dicom.OpticalPathSequence[0].ObjectiveLensPower": "40.0"}, 40.0),
        ({"openslide.objective-power": "unknown", "aperio.AppMag": "40"}, 40.0),
        ({"openslide.objective-power": "0"}, None),
        ({}, None),
    ],
)
def test_the_power_is_read_under_the_names_that_scanners_use(properties: dict[str, str], power: float | None) -> None:
    assert objective_power(properties) == power


def test_the_nominal_magnification_of_ome_is_read_and_no_resolution_is_taken_from_it(tmp_path: Path) -> None:
    ome = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Instrument ID="Instrument:0">'
        '<Objective ID="Objective:0" NominalMagnification="40"/><Objective ID="Objective:1" NominalMagnification="5"/>'
        '</Instrument><Image ID="Image:0"><ObjectiveSettings ID="Objective:0"/>'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="50" SizeY="40" SizeC="3" SizeZ="1" SizeT="1">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData/></Pixels></Image></OME>'
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, photometric="rgb", description=ome, metadata=None)
    with open_slide(tmp_path / "a.ome.tif") as slide:
        assert (slide.objective, slide.mpp) == (40.0, None)


def test_aperios_description_is_read_and_no_resolution_is_taken_from_it(tmp_path: Path) -> None:
    description = "Aperio Image Library v12\r\n50x40 |AppMag = 20|StripeWidth = 2040"
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", description=description, metadata=None)
    with open_slide(tmp_path / "a.tif") as slide:
        assert (slide.objective, slide.mpp) == (20.0, None)
