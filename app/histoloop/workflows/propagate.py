"""Pseudo-labelled regions of a project, P: near to annotated ones in colour, masked by the model (label-prop).

A round keeps its P, so that the next one goes on from it, and queries leave it alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from histoloop.geometry import Region
from histoloop.store.files import write_beside
from histoloop.workflows.contents.slides import save_thumbnail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.store.project import Project
    from histoloop.workflows.contents.candidate_regions import CandidateRegion

PICTURE_PX = 256
EDGE = (255, 220, 0)
INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class PseudoRegion:
    """A region that a round learned from with the model's own mask, for the sake of the `nearest` annotated one.

    `picture` shows it with the mask's edge drawn in.
    """

    slide_id: int
    region: Region
    nearest: str
    picture: Path


@dataclass(frozen=True, slots=True)
class PoolRegion:
    """A region of P, and the name of the annotated one that it was taken in for."""

    slide_id: int
    region: Region
    nearest: str


def keep_pseudo_regions(
    project: Project,
    round_number: int,
    found: Sequence[tuple[CandidateRegion, str, NDArray[np.uint8], NDArray[np.bool_]]],
    others: Sequence[PoolRegion] = (),
) -> None:
    """Keep P: what a round learned from (candidate, name of its annotated neighbour, pixels and mask), and the others.

    Of those that it learned from there are pictures for people.
    """
    folder = _folder(project, round_number)
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, (candidate, nearest, pixels, mask) in enumerate(found):
        name = f"{number}.png"
        save_thumbnail(folder / name, _with_edge(pixels, mask))
        entries.append({**_entry(PoolRegion(candidate.slide.id, candidate.region, nearest)), "picture": name})
    entries += [_entry(one) for one in others]
    write_beside(folder / INDEX, json.dumps(entries, indent=1) + "\n")


def pseudo_regions(project: Project, round_number: int) -> list[PseudoRegion]:
    """What a round learned from beside annotations; empty where it did not, or the pictures were deleted."""
    folder = _folder(project, round_number)
    return [
        PseudoRegion(one["slide"], Region(*one["region"]), one["nearest"], folder / one["picture"])
        for one in _entries(project, round_number)
        if "picture" in one
    ]


def earlier_pool(project: Project) -> list[PoolRegion]:
    """P as the last round with propagation left it, whatever came of that round; empty before there was one."""
    for record in reversed(project.rounds.all()):
        if found := pool_of_round(project, record.number):
            return found
    return []


def protected_pool(project: Project) -> list[PoolRegion]:
    """P of the last round: what is not asked about while there is anything else (label-prop 3)."""
    return pool_of_round(project, project.rounds.next_number() - 1)


def pool_of_round(project: Project, round_number: int) -> list[PoolRegion]:
    """P as a round left it; empty where it went without, or what it kept was deleted."""
    entries = _entries(project, round_number)
    return [PoolRegion(one["slide"], Region(*one["region"]), one["nearest"]) for one in entries]


def _entries(project: Project, round_number: int) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads((_folder(project, round_number) / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found


def _entry(one: PoolRegion) -> dict[str, Any]:
    place = one.region
    return {"slide": one.slide_id, "region": [place.x, place.y, place.width, place.height], "nearest": one.nearest}


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
