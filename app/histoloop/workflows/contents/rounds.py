"""What a retraining gave, and the decision about it: keep the candidate or roll back. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from histoloop.annotations.records import Counts
from histoloop.errors import ProjectError
from histoloop.language import tr, tr_plural
from histoloop.store.records import ModelStatus, RoundRecord
from histoloop.workflows.contents.cross_validation import CROSSED, FEWEST_REGIONS, CrossValidated, crossed_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.store.project import Project

LearnFrom = Literal["masks", "sizes", "labels", "min-max"]
"""What a retraining learns from; see workflows/retraining/retrain.py."""

RECIPES: Mapping[LearnFrom, str] = {
    "masks": "retrain",
    "sizes": "retrain-sizes",
    "labels": "retrain-labels",
    "min-max": "retrain-min-max",
}
"""The shipped recipe of each way."""

CONSISTENCY_RECIPE = "retrain-consistency"
"""Learns from masks, and from regions that nobody annotated too."""

QUICK_RECIPE = "retrain-quick"

STEADY: tuple[LearnFrom, ...] = ("masks", "labels")
"""What consistency goes with."""

Start = TypeVar("Start")

Pace = Literal["quick", "full", "self-supervised"]
"""Quick: the decoder learns on kept features of the frozen classifier. Full: on augmented tiles, as label-prop does.
Self-supervised: the backbone learns from all tissue first (ssl-al), then labels, then masks."""


@dataclass(frozen=True, slots=True)
class HowToLearn:
    """What a retraining learns from, how thoroughly, and whether regions nobody annotated take part.

    By `propagation` those near to annotated ones in colour, with the model's own masks (label-prop); by `consistency`
    any, on which the model is held to its own moving average (tod). Every round begins with the project's first model
    (label-prop); one that is `continued` with the current one, whose training goes on (tod). All three, and any pace
    but the full one, go with masks alone, but for consistency, which goes with labels too (ValueError).

    With `classes` the decoder learns to tell mask classes apart once two of them are painted; without, it learns one
    foreground, as label-prop has it, and the classes are those of the class maps.
    """

    learn_from: LearnFrom = "masks"
    pace: Pace = "full"
    propagation: bool = False
    consistency: bool = False
    classes: bool = True
    continued: bool = False

    def __post_init__(self) -> None:
        if self.learn_from not in RECIPES or self.pace not in get_args(Pace):
            raise ValueError(f"cannot learn from {self.learn_from!r} at the pace {self.pace!r}")
        if self.learn_from != "masks" and (self.pace != "full" or self.propagation or self.continued):
            raise ValueError(
                "another pace than full, propagation and a training that goes on go with masks alone, not with "
                f"{self.learn_from}"
            )
        if self.consistency and self.learn_from not in STEADY:
            raise ValueError(f"consistency goes with masks or labels, not with {self.learn_from}")
        if self.pace == "self-supervised" and (self.propagation or self.consistency or self.continued):
            raise ValueError(
                "after a self-supervised start, propagation, consistency and going on come with the next round"
            )

    @property
    def needs_labels(self) -> bool:
        """Whether a classifier learns, too."""
        return self.learn_from != "masks" or self.pace == "self-supervised"

    @property
    def recipe(self) -> str:
        """The shipped recipe of it."""
        if self.pace == "quick":
            return QUICK_RECIPE
        if self.pace == "self-supervised":
            return RECIPES["labels"]
        return CONSISTENCY_RECIPE if self.consistency and self.learn_from == "masks" else RECIPES[self.learn_from]


def round_begins_with(first: Start, before: Start | None, *, continued: bool) -> Start:
    """What a round begins with, of a project or a simulation: theta_0, or what the round before gave, if any did."""
    return before if continued and before is not None else first


_CLASS = "dice of class "

KIND = "kind "
"""How the name of the figure begins by which a round keeps how it learned."""

CROSSED_KINDS = (f"{KIND}masks quick", f"{KIND}masks full")
"""What a cross-validation stands for: its models have the first one's classifier, too."""

ENOUGH = 8
"""From so many regions on, an interval that holds both signs means that there is no clear difference; with fewer that
nobody can tell yet."""


@dataclass(frozen=True, slots=True)
class ClassFigure:
    """Dice of one mask class (by its permanent id), pooled over the held-out regions, before (None: not known), after.

    Either is None where the regions do not have the class, or the model before was not measured.
    """

    class_id: int
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class CandidateModel:
    """A retrained model, not yet kept.

    Dice is the mean over the `held_out` annotations, of the model before and of the candidate; None without any.
    Class Dice is the mean over the mask classes, where the annotations tell several, and `classes` has that of each.
    `change` bounds the change of Dice (95 %), None with fewer than two regions. `pseudo` regions were learned from with
    the model's own masks. `crossed` is its cross-validation, where it was asked for, `kind` how it learned (see
    `kind_figure`; '' of an earlier version).
    """

    model_id: int
    round: int
    old_dice: float | None
    new_dice: float | None
    held_out: int
    annotations: int
    pseudo: int = 0
    old_class_dice: float | None = None
    new_class_dice: float | None = None
    change: tuple[float, float] | None = None
    classes: tuple[ClassFigure, ...] = ()
    crossed: CrossValidated | None = None
    kind: str = ""

    @property
    def can_be_crossed(self) -> bool:
        """Whether a cross-validation may say more: it learned from masks alone, and few are held out."""
        enough = self.annotations + self.held_out >= FEWEST_REGIONS
        return self.crossed is None and self.kind in CROSSED_KINDS and self.held_out < ENOUGH and enough


@dataclass(frozen=True, slots=True)
class TrainingCounts:
    """How many annotations there are to learn from, by kind, those held out apart; regions and slides count alike.

    `sizes` counts masks too, since a mask has a size, but not those of strokes; `only_sized` those without a mask;
    `label_classes` are how many labels occur.
    """

    masks: int
    sizes: int
    labels: int
    label_classes: int
    held_out: int
    only_sized: int

    def suffice(self, learn_from: LearnFrom) -> bool:
        """Whether a retraining of this kind can begin."""
        if learn_from == "masks":
            return self.masks > 0
        return self.sizes > 0 if learn_from == "sizes" else self.label_classes > 1


def training_counts(project: Project) -> TrainingCounts:
    """Count what there is to learn from, without reading a mask."""
    finished = project.annotations.finished()
    slides = project.slides.all()
    of_slide = {slide.id: slide.label for slide in slides}
    teaching = [record for record in finished if not (record.has_mask and record.held_out)]
    labels = [record.label for record in teaching if record.label is not None]
    whole = {record.slide_id for record in teaching if record.label is not None}
    labels += [label for slide_id, label in of_slide.items() if label is not None and slide_id not in whole]
    return TrainingCounts(
        masks=sum(record.has_mask for record in teaching),
        sizes=sum(
            record.size is not None or (record.has_mask and record.counts is Counts.REGION) for record in teaching
        ),
        labels=len(labels),
        label_classes=len(set(labels)),
        held_out=len(finished) - len(teaching),
        only_sized=sum(record.size is not None and not record.has_mask for record in teaching),
    )


def class_figure(class_id: int) -> str:
    """Under this name a round keeps the Dice of a mask class."""
    return f"{_CLASS}{class_id}"


def is_for_the_project_alone(name: str) -> bool:
    """Whether a figure means something only beside the classes and rounds of a project, not on a model's card."""
    return name.startswith((_CLASS, "change_", CROSSED))


def class_figures(figures: Mapping[str, float]) -> tuple[ClassFigure, ...]:
    """The classes that a round's figures tell of, in the order of their ids."""
    ids = {int(name.removeprefix(_CLASS).removesuffix("_before")) for name in figures if name.startswith(_CLASS)}
    return tuple(
        ClassFigure(one, figures.get(f"{class_figure(one)}_before"), figures.get(class_figure(one)))
        for one in sorted(ids)
    )


def candidate_model_of(record: RoundRecord) -> CandidateModel:
    """The candidate that a round made."""
    figures = record.figures
    return CandidateModel(
        record.model_id,
        record.number,
        figures.get("dice_before"),
        figures.get("dice"),
        int(figures.get("held_out", 0)),
        record.annotations,
        int(figures.get("pseudo", 0)),
        figures.get("class_dice_before"),
        figures.get("class_dice"),
        (figures["change_low"], figures["change_high"]) if "change_low" in figures else None,
        class_figures(figures),
        crossed_of(figures),
        next((name for name in figures if name.startswith(KIND)), ""),
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """A round whose model was measured: mean Dice on `held_out` regions after `annotations` to learn from."""

    round: int
    annotations: int
    dice: float
    held_out: int


def measured_rounds(project: Project) -> list[Measured]:
    """The rounds with a Dice on held-out regions, in their order; those rolled back are measurements too."""
    return [
        Measured(record.number, record.annotations, record.figures["dice"], int(record.figures["held_out"]))
        for record in project.rounds.all()
        if record.figures.get("held_out") and "dice" in record.figures
    ]


def open_candidate(project: Project) -> CandidateModel | None:
    """The candidate of the last round while nobody has decided about it; None when there is nothing to decide."""
    rounds = project.rounds.all()
    if not rounds or project.models.get(rounds[-1].model_id).status is not ModelStatus.CANDIDATE:
        return None
    return candidate_model_of(rounds[-1])


def slides_to_predict(project: Project, *, on_screen: int | None = None) -> list[int]:
    """The slides that show what a retraining gave, the most telling first.

    The one on the screen, then the annotated ones, then the others that have maps. So old and new can be compared, and
    decided about, before all are predicted.
    """
    annotated = {record.slide_id for record in project.annotations.finished()}
    slides = [slide.id for slide in project.slides.all()]
    shown = [slide_id for slide_id in slides if slide_id in annotated or project.maps.find(slide_id) is not None]
    return sorted(shown, key=lambda slide_id: (slide_id != on_screen, slide_id not in annotated))


def nothing_to_learn_from(project: Project) -> ProjectError:
    """Why a retraining cannot begin: nothing is annotated, or only labels and sizes, or all masks are held out."""
    finished = project.annotations.finished()
    if not finished:
        advice = tr("Annotate a region first: choose 'Ask me', paint, and finish it.")
        return ProjectError(tr("There is no annotation to train on."), advice=advice)
    advice = tr("Paint at least one region and finish it with Done.")
    if any(record.has_mask for record in finished):
        return ProjectError(tr("Every mask is held out to measure the model; none is left to train on."), advice=advice)
    message = tr_plural(
        "{count} region has a label or a size, but no mask to train on.",
        "{count} regions have a label or a size, but no mask to train on.",
        len(finished),
    )
    return ProjectError(message, advice=advice)
