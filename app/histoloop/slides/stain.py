"""Haematoxylin and eosin as optical densities (Beer-Lambert law)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HAEMATOXYLIN = (0.5626, 0.7201, 0.4062)
EOSIN = (0.2159, 0.8012, 0.5581)
"""Unit optical densities of the two stains in red, green, blue (reference of Macenko et al. 2009)."""


@dataclass(frozen=True, slots=True)
class Stain:
    """The optical densities (red, green, blue) of a unit of each stain on one slide."""

    haematoxylin: tuple[float, float, float] = HAEMATOXYLIN
    eosin: tuple[float, float, float] = EOSIN


def varied_stain(rng: np.random.Generator, *, strength: float = 0.12) -> Stain:
    """Stains as another day or laboratory gives them: each density scaled by about 1 +- `strength`."""

    def vary(density: tuple[float, float, float]) -> tuple[float, float, float]:
        red, green, blue = (np.array(density) * (1 + strength * rng.standard_normal(3))).clip(0.02).tolist()
        return red, green, blue

    return Stain(vary(HAEMATOXYLIN), vary(EOSIN))


def rgb_from_stains(haematoxylin: Floats, eosin: Floats, stain: Stain) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of tissue that holds these amounts (H, W) of each stain; none is white."""
    planes = [
        haematoxylin * blue_density + eosin * pink_density
        for blue_density, pink_density in zip(stain.haematoxylin, stain.eosin, strict=True)
    ]
    pixels: NDArray[np.uint8] = (255 * np.exp(-np.stack(planes, axis=-1)) + 0.5).astype(np.uint8)
    return pixels
