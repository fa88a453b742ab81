"""How long a retraining will take, before it begins. Needs neither torch nor Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.language import tr, tr_plural
from histoloop.workflows.contents.rounds import KIND, HowToLearn, training_counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.store.project import Project

SECONDS: Mapping[tuple[str, str], float] = {
    ("masks", "quick"): 65,
    ("masks", "full"): 90,
    ("masks", "self-supervised"): 4 * 3600,
    ("sizes", "full"): 180,
    ("labels", "full"): 180,
    ("min-max", "full"): 420,
}
"""Seconds of learning with the shipped model on two CPU cores, for a round that nothing is known of yet."""

SECONDS_PER_REGION = 1.5
"""For a quick round: the backbone runs over each annotated region in four views the first time."""

PSEUDO_LONGER = 4
CONSISTENCY_LONGER = 1.8


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds, whether an earlier round of this project says so, and both in words."""

    seconds: float
    measured: bool
    text: str


def estimate(project: Project, how: HowToLearn) -> Estimate:
    """About how long a retraining takes that begins now, until the new model is on offer.

    The last round of the same kind in this project tells; else what it took on two CPU cores, which is said. A
    self-supervised start that has been made before is not made again, and costs no more than learning from labels.
    """
    longer = _longer(how)
    for record in reversed(project.rounds.all()):
        seconds = record.figures.get("seconds")
        if seconds is not None and record.figures.get(kind_figure(how)) is not None:
            before = _longer_of(record.figures)
            scaled = seconds * longer / before
            return Estimate(scaled, True, tr("{time}, like the last such round", time=in_words(scaled)))
    there = how.pace == "self-supervised" and any((project.folder / "pretrained").glob("*.safetensors"))
    seconds = SECONDS["labels", "full"] if there else SECONDS[how.learn_from, how.pace]
    seconds = seconds * longer
    if how.pace == "quick":
        seconds += SECONDS_PER_REGION * training_counts(project).masks
    return Estimate(seconds, False, tr("{time} on two processor cores, less on a GPU", time=in_words(seconds)))


def kind_figure(how: HowToLearn) -> str:
    """Under this name a round keeps what kind it was."""
    return f"{KIND}{how.learn_from} {how.pace}"


def extent_figures(how: HowToLearn) -> dict[str, float]:
    """What a round keeps for later estimates."""
    return {kind_figure(how): 1.0, "propagation": float(how.propagation), "consistency": float(how.consistency)}


def _longer(how: HowToLearn) -> float:
    return _factor(how.propagation, how.consistency)


def _longer_of(figures: Mapping[str, float]) -> float:
    return _factor(bool(figures.get("propagation")), bool(figures.get("consistency")))


def _factor(propagation: bool, consistency: bool) -> float:
    """Pseudo-labelled tiles: twice the passes of twice the batch."""
    factor = PSEUDO_LONGER if propagation else 1.0
    return factor * (CONSISTENCY_LONGER if consistency else 1.0)


def in_words(seconds: float) -> str:
    """About so long, as a person would say it."""
    if seconds < 50:
        return tr("about {seconds} s", seconds=max(5, round(seconds / 5) * 5))
    if seconds < 90:
        return tr("about a minute")
    if seconds < 50 * 60:
        return tr_plural("about {count} minute", "about {count} minutes", round(seconds / 60))
    hours = seconds / 3600
    if hours < 1.5:
        return tr("about an hour")
    return tr_plural("about {count} hour", "about {count} hours", round(hours))
