"""Colours of classes: told apart by everyone, seen on stained tissue; the templates of a new project."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from histoloop.annotations.palette import MAX_CLASSES, TEMPLATES, default_colours, unused_colour
from histoloop.annotations.records import rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

VISIONS = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Machado, Oliveira and Fernandes, 'A physiologically-based model for simulation of color vision deficiency' (2009),
severity 1.0; on linear RGB."""

TISSUE = {
    "nuclei": (78, 44, 85),
    "epithelium": (158, 91, 134),
    "eosinophilic stroma": (200, 150, 181),
    "glass": (244, 242, 243),
}
"""The four means of the pixels of CMU-1-Small-Region.svs (k-means)."""


def _seen(colours: NDArray[np.float64], vision: str) -> NDArray[np.float64]:
    """(N, 3) CIELAB of colours (N, 3) in 0..255 as they are seen."""
    values = colours / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    encoded = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab: NDArray[np.float64] = rgb2lab(encoded[None])[0]
    return lab


def _distances(first: NDArray[np.float64], second: NDArray[np.float64], vision: str) -> NDArray[np.float64]:
    """(N, M) CIEDE2000."""
    distances: NDArray[np.float64] = deltaE_ciede2000(_seen(first, vision)[:, None], _seen(second, vision)[None])
    return distances


@pytest.mark.parametrize(("count", "least"), [(2, 49.0), (4, 12.0), (8, 11.5), (12, 11.5), (20, 9.5), (30, 8.8)])
@pytest.mark.parametrize("vision", list(VISIONS))
def test_any_two_default_colours_are_told_apart_by_every_colour_vision(vision: str, count: int, least: float) -> None:
    colours = np.array([rgb(colour) for colour in default_colours(count)], float)
    apart = _distances(colours, colours, vision)
    closest = min(apart[one, other] for one, other in itertools.combinations(range(count), 2))
    assert closest >= least


@pytest.mark.parametrize("tissue", list(TISSUE))
def test_every_default_colour_stands_out_from_haematoxylin_eosin_and_glass(tissue: str) -> None:
    colours = np.array([rgb(colour) for colour in default_colours(MAX_CLASSES)], float)
    assert _distances(colours, np.array([TISSUE[tissue]], float), "normal").min() >= 20


def test_a_longer_list_of_default_colours_begins_with_the_shorter_one() -> None:
    assert default_colours(3) == ("#d55e00", "#0072b2", "#009e73")
    assert default_colours(30)[:8] == default_colours(8)
    assert len(set(default_colours(30))) == 30


@pytest.mark.parametrize("count", [-1, 31])
def test_there_are_colours_for_thirty_classes_and_no_more(count: int) -> None:
    with pytest.raises(ValueError, match="0 to 30"):
        default_colours(count)


def test_a_new_class_gets_the_first_colour_that_no_other_has() -> None:
    assert unused_colour(()) == "#d55e00"
    assert unused_colour(("#D55E00", "#009e73")) == "#0072b2"
    assert unused_colour(default_colours(30)) == "#d55e00"


def test_templates_name_their_classes_and_colour_them() -> None:
    assert {title: [each.name for each in classes] for title, classes in TEMPLATES.items()} == {
        "gland and tumour": ["gland", "tumour"],
        "tumour, stroma, necrosis, inflammation": ["tumour", "stroma", "necrosis", "inflammation"],
        "metastasis and lymphoid tissue": ["metastasis", "lymphoid tissue"],
    }
    assert [each.colour for each in TEMPLATES["gland and tumour"]] == ["#2a9d8f", "#d1495b"]
    assert TEMPLATES["metastasis and lymphoid tissue"][0].colour == "#d55e00"
