"""The picture of the evidence beside a question. Needs neither torch nor Qt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.exchange.heat import heat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.acquisition.strategy import Evidence

EVIDENCE_OPACITY = 0.7
FAINT = 0.15
GAP = 1 / 16
"""Between two pictures, of their height: they are shown small."""


def picture(pixels: NDArray[np.uint8], evidence: Evidence) -> Image.Image | None:
    """The evidence over, or beside, a picture of the region (h, w, 3); None where there is nothing to show."""
    height, width = pixels.shape[:2]
    if evidence.strength is not None:
        strength = np.asarray(evidence.strength, np.float32)
        stretched = np.asarray(Image.fromarray(strength).resize((width, height), Image.Resampling.BILINEAR))
        shown = np.clip((stretched - FAINT) / (1 - FAINT), 0, 1)  # what is faint leaves the tissue to be seen
        opacity = EVIDENCE_OPACITY * shown[..., None]
        grey = pixels.mean(axis=2, keepdims=True)
        return Image.fromarray((grey * (1 - opacity) + heat(stretched) * opacity).round().astype(np.uint8))
    if evidence.beside is not None:
        return _side_by_side(pixels, evidence.beside)
    return None


def _side_by_side(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Image.Image:
    """Both at the height of the left one, with nothing between."""
    height, width = left.shape[:2]
    other = Image.fromarray(right)
    other = other.resize((max(1, round(other.width * height / other.height)), height), Image.Resampling.BILINEAR)
    gap = math.ceil(GAP * height)
    both = Image.new("RGBA", (width + gap + other.width, height))
    both.paste(Image.fromarray(left), (0, 0))
    both.paste(other, (width + gap, 0))
    return both
