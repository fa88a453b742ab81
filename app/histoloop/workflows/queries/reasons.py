"""Why a region is asked about: a sentence and a picture for the person who is asked. Needs neither torch nor Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from histoloop.annotations.class_names import spoken_class
from histoloop.exchange.heat import heat
from histoloop.language import tr

UNSURE = (0.25, 0.75)
"""Probabilities between which a pixel counts as unsure in the reason that the user reads."""

EVIDENCE_OPACITY = 0.7
FAINT = 0.15
GAP_PX = 4


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a strategy saw in a region.

    `strength` (h, w) in [0, 1] is where (any size, stretched over the region), `share` how much of it, `classes`
    between which two it hesitates, `beside` (H, W, 3) the annotated region that is most alike, with its name.
    """

    strength: NDArray[np.floating] | None = None
    share: float | None = None
    classes: tuple[str, str] | None = None
    beside: NDArray[np.uint8] | None = None
    beside_name: str = ""


def unsure(foreground: NDArray[np.floating], strength: NDArray[np.floating]) -> Evidence:
    """Of a strategy that goes by the probability of the foreground, (h, w)."""
    share = float(np.mean((foreground > UNSURE[0]) & (foreground < UNSURE[1])))
    return Evidence(strength, share=share)


def reason(strategy: str, evidence: Evidence) -> str:
    """One sentence in plain words."""
    share = "" if evidence.share is None else tr("{share:.0%}", share=evidence.share)
    if strategy == "random":
        return tr("Drawn at random, so that the measurement stays fair.")
    if strategy in ("entropy", "least-confidence", "margin", "ratio"):
        return tr("The model is unsure about {share} of this region.", share=share)
    if strategy == "mc-dropout":
        return tr(
            "The model's answer wavers over {share} of this region when parts of it are switched off.", share=share
        )
    if strategy in ("cod", "cod-softmax"):
        return tr("The model has changed its answer about {share} of this region since the last round.", share=share)
    if strategy == "svm-margin" and evidence.classes is not None:
        first, second = map(spoken_class, evidence.classes)
        return tr("By its looks it lies between {first} and {second}.", first=first, second=second)
    if strategy == "learned-loss":
        return tr("The model expects to be wrong here, judging by where it was wrong before.")
    if evidence.beside is not None:
        return tr(
            "It looks unlike all that is annotated; a region of {slide} comes nearest.",
            slide=evidence.beside_name,
        )
    return tr("It is the most typical region: nothing is annotated yet to compare with.")


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
    """Both at the height of the left one, a white gap between."""
    height, width = left.shape[:2]
    other = Image.fromarray(right)
    other = other.resize((max(1, round(other.width * height / other.height)), height), Image.Resampling.BILINEAR)
    both = Image.new("RGB", (width + GAP_PX + other.width, height), "white")
    both.paste(Image.fromarray(left), (0, 0))
    both.paste(other, (width + GAP_PX, 0))
    return both
