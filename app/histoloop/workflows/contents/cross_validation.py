"""A candidate measured by cross-validation: what a round keeps of it, and which regions compare fairly. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.geometry import Region
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord

FEWEST_REGIONS, MOST_FOLDS = 3, 8

CROSSED = "crossed_"
"""How the names of its figures begin, which a round keeps."""


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """Dice of regions by decoders that were fitted to the others: mean over the `regions`, with its 95 % `interval`.

    Of these `compared` are new to the model before. Their mean Dice by that model is `before`, by the decoders fitted
    to the others `after`, and `change` bounds the difference (95 %). None with fewer than two such regions.
    """

    regions: int
    dice: float
    interval: tuple[float, float]
    compared: int = 0
    before: float | None = None
    after: float | None = None
    change: tuple[float, float] | None = None

    def as_figures(self) -> dict[str, float]:
        """What a round keeps of it."""
        found: dict[str, float | None] = {
            "regions": self.regions,
            "dice": self.dice,
            "low": self.interval[0],
            "high": self.interval[1],
            "compared": self.compared,
            "before": self.before,
            "after": self.after,
        }
        if self.change is not None:
            found |= {"change_low": self.change[0], "change_high": self.change[1]}
        return {f"{CROSSED}{name}": float(figure) for name, figure in found.items() if figure is not None}


def crossed_of(figures: Mapping[str, float]) -> CrossValidated | None:
    """What a round's figures tell of its cross-validation; None where there was none."""
    own = {name.removeprefix(CROSSED): value for name, value in figures.items() if name.startswith(CROSSED)}
    if "dice" not in own:
        return None
    return CrossValidated(
        int(own["regions"]),
        own["dice"],
        (own["low"], own["high"]),
        int(own["compared"]),
        own.get("before"),
        own.get("after"),
        (own["change_low"], own["change_high"]) if "change_low" in own else None,
    )


def new_to_model(project: Project, model_id: int, records: Sequence[AnnotationRecord]) -> list[bool]:
    """Whether a model has learned nothing from each of these regions, nor from one that overlaps it.

    A model of a round has learned from what was begun before it and is not held out; the one that the project began
    with, and one that was added, from nothing here.
    """
    made = next((one for one in project.rounds.all() if one.model_id == model_id), None)
    if made is None:
        return [True] * len(records)
    learned: dict[int, list[Region]] = {}
    for one in project.annotations.all():
        if one.has_mask and not one.held_out and one.created <= made.created:
            learned.setdefault(one.slide_id, []).append(one.region)
    return [not any(one.region.overlaps(other) for other in learned.get(one.slide_id, ())) for one in records]


def folds_of(regions: Sequence[tuple[int, Region]]) -> list[list[int]]:
    """The numbers of regions (slide id, place) that are left out together: at most `MOST_FOLDS` folds.

    Regions that overlap are in one fold. Up to `MOST_FOLDS` such groups each is a fold of its own (leave one out); of
    more, those that lie far apart in the list share one, so that a slide is spread over several.
    """
    groups: list[list[int]] = []
    for number, (slide_id, region) in enumerate(regions):
        met = [
            group
            for group in groups
            if any(regions[other][0] == slide_id and region.overlaps(regions[other][1]) for other in group)
        ]
        groups = [group for group in groups if group not in met] + [[one for group in met for one in group] + [number]]
    groups.sort(key=min)
    count = min(MOST_FOLDS, len(groups))
    return [sorted(one for group in groups[fold::count] for one in group) for fold in range(count)]
