"""Pseudo-labelled regions of a project: near to annotated ones in colour, masked by the model (label-prop)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.acquisition.propagation import capped_k, colour_histograms, nearest_annotated_by_colour
from histoloop.geometry import Region
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.store.files import write_beside
from histoloop.workflows.contents.slides import save_thumbnail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from histoloop.store.project import Project
    from histoloop.workflows.contents.candidate_regions import CandidateRegion

MOST_CONSIDERED = 120
"""So many regions without an annotation, sampled at random, are compared with the annotated ones."""

PICTURE_PX = 256
EDGE = (255, 220, 0)
INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A candidate that comes into P, and the annotated region it comes in for, by index."""

    candidate: int
    annotated: int


@dataclass(frozen=True, slots=True)
class PseudoRegion:
    """A region that a round learned from with the model's own mask, for the sake of the `nearest` annotated one.

    `picture` shows it with the mask's edge drawn in.
    """

    slide_id: int
    region: Region
    nearest: str
    picture: Path


def neighbours(
    candidates: Sequence[CandidateRegion],
    annotated_classes: Sequence[str],
    pixels: Callable[[int], NDArray[np.uint8]],
    annotated_pixels: Callable[[int], NDArray[np.uint8]],
) -> Work[list[Neighbour]]:
    """Candidates of which a near neighbour of the same class, by colour, is annotated (label-prop section 3).

    Pixels (H, W, 3) are read by index when they are needed. The number of neighbours is capped so that it means
    something (acquisition/propagation.py: capped_k).
    """
    count = len(annotated_classes)
    classes = [*annotated_classes, *(candidate.class_name for candidate in candidates)]
    histograms = []
    for number in range(len(classes)):
        yield Progress(tr("Comparing colours"), number, len(classes))
        histograms.append(colour_histograms(annotated_pixels(number) if number < count else pixels(number - count)))
    if not histograms:
        return []
    k = capped_k(Counter(classes), Counter(annotated_classes))
    found = nearest_annotated_by_colour(np.stack(histograms), classes, range(count), k=k)
    return [Neighbour(index - count, of) for index, of in found.items()]


# --- kept for people ---------------------------------------------------------------------------------------------


def keep_pseudo_regions(
    project: Project,
    round_number: int,
    found: Sequence[tuple[CandidateRegion, str, NDArray[np.uint8], NDArray[np.bool_]]],
) -> None:
    """Keep for people what a round learned from: candidate, name of its annotated neighbour, pixels and mask."""
    folder = _folder(project, round_number)
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, (candidate, nearest, pixels, mask) in enumerate(found):
        name = f"{number}.png"
        save_thumbnail(folder / name, _with_edge(pixels, mask))
        place = candidate.region
        entries.append(
            {
                "slide": candidate.slide.id,
                "region": [place.x, place.y, place.width, place.height],
                "nearest": nearest,
                "picture": name,
            }
        )
    write_beside(folder / INDEX, json.dumps(entries, indent=1) + "\n")


def pseudo_regions(project: Project, round_number: int) -> list[PseudoRegion]:
    """What a round learned from beside annotations; empty where it did not, or the pictures were deleted."""
    folder = _folder(project, round_number)
    try:
        entries = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [
        PseudoRegion(one["slide"], Region(*one["region"]), one["nearest"], folder / one["picture"]) for one in entries
    ]


def _folder(project: Project, round_number: int) -> Path:
    return project.folder / "pseudo" / f"round-{round_number}"


def _with_edge(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Image.Image:
    """The pixels with the mask's edge drawn in, at most `PICTURE_PX` wide and high."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((PICTURE_PX, PICTURE_PX), Image.Resampling.BOX)
    small = np.asarray(Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST))
    inside = small.copy()
    inside[1:] &= small[:-1]
    inside[:-1] &= small[1:]
    inside[:, 1:] &= small[:, :-1]
    inside[:, :-1] &= small[:, 1:]
    drawn = np.asarray(picture).copy()
    drawn[small & ~inside] = EDGE
    return Image.fromarray(drawn)
