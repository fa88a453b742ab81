"""What a project reports of its slides, models, annotations, queries and rounds; times are ISO-8601, UTC."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from histoloop.annotations.packed import packed, unpacked
from histoloop.annotations.records import AnnotationStatus, Counts, Patch, QueryStatus
from histoloop.geometry import Region
from histoloop.slides.objective import mpp_of_objective


class ModelStatus(StrEnum):
    """Where a model of a project stands; at most one is CURRENT."""

    CANDIDATE = "candidate"
    CURRENT = "current"
    KEPT = "kept"
    ROLLED_BACK = "rolled back"


class MppFrom(StrEnum):
    """Where a resolution is from: its file STATED it, a person has GIVEN it, or it is estimated by the OBJECTIVE."""

    NOT_KEPT = ""
    STATED = "stated"
    GIVEN = "given"
    OBJECTIVE = "objective"


def is_unlike(distance: float | None) -> bool:
    """Whether a distance from the training data, in units of its threshold, is too far; not where it is not known."""
    return distance is not None and distance > 1


@dataclass(frozen=True, slots=True)
class SlideLabel:
    """The label that a person gave a whole slide; `label` None took back the one before.

    `person` is empty where it is not known.
    """

    label: str | None
    person: str
    created: str


class SlideFile(StrEnum):
    """What is found at the path of a slide."""

    IN_PLACE = "in place"
    MISSING = "missing"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class SlideRecord:
    """A slide that the project refers to.

    `path` is as the user named it, links not followed; `name` is what a person calls it and no other slide of the
    project has: that of its file or DICOM series, with folders in front where several are alike ('patient-1/a.png').
    `fingerprint` is of its content (store/fingerprint.py).
    `width` and `height` are level-0 pixels, `mpp` micrometres per level-0 pixel (None: unknown), `given_label` the
    label that a person gave the whole slide (None: none, or taken back), `predicted` the probability per label by the
    current model (None: not predicted by it), `tissue_px` its tissue in level-0 pixels (None: not measured).
    `unlike` is how far it is from what that model was trained on, above 1 unlike it (None: not known); `mpp_from` is
    where its resolution is from ('' : not kept), `objective` the power of the objective that its file states,
    `stated_case` the pseudonym of the patient that its DICOM file states ('': none).
    """

    id: int
    path: Path
    name: str
    fingerprint: str
    width: int
    height: int
    mpp: float | None
    vendor: str
    given_label: SlideLabel | None
    predicted: Mapping[str, float] | None
    tissue_px: float | None
    unlike: float | None = None
    mpp_from: MppFrom = MppFrom.NOT_KEPT
    objective: float | None = None
    stated_case: str = ""

    @property
    def is_unlike(self) -> bool:
        """Whether it is unlike what the current model was trained on, so that what that predicts means nothing."""
        return is_unlike(self.unlike)

    @property
    def estimated_mpp(self) -> float | None:
        """The resolution that the objective suggests, um per pixel; None where the file states none."""
        return None if self.objective is None else mpp_of_objective(self.objective)

    @property
    def extent(self) -> Region:
        """The whole slide."""
        return Region(0, 0, self.width, self.height)

    @property
    def label(self) -> str | None:
        """The label that a person gave the whole slide."""
        return None if self.given_label is None else self.given_label.label

    def exists(self) -> bool:
        """Whether a file is at `path` now; asks the disk."""
        return self.path.is_file()

    def file(self) -> SlideFile:
        """What is at `path` now, by its size; asks the disk once, and reads nothing.

        What is sure reads a part of the file: workflows/contents/slides.py.
        """
        return self.look()[0]

    def look(self) -> tuple[SlideFile, object]:
        """As `file`, and what changes when that file goes, comes or is written anew."""
        try:
            found = self.path.stat()
        except (OSError, ValueError):
            return SlideFile.MISSING, None
        stamp = found.st_size, found.st_mtime_ns, found.st_ino
        if not stat.S_ISREG(found.st_mode):
            return SlideFile.MISSING, stamp
        same_size = found.st_size == int(self.fingerprint.partition("-")[0])
        return (SlideFile.IN_PLACE if same_size else SlideFile.REPLACED), stamp


def predicted_names(probabilities: Mapping[str, float]) -> tuple[str, ...]:
    """The likeliest label, then those others that are likelier than not; none without probabilities.

    Only a model whose labels do not exclude each other gives several.
    """
    ranked = sorted(probabilities, key=probabilities.__getitem__, reverse=True)
    return tuple(name for number, name in enumerate(ranked) if number == 0 or probabilities[name] > 0.5)


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model that the project has used; `parent` is the id of the model it was retrained from, `round` 0 the start."""

    id: int
    folder: Path
    hash: str
    parent: int | None
    round: int
    status: ModelStatus
    created: str


@dataclass(frozen=True, slots=True)
class AnnotationRecord:
    """What a person gave a region: a mask, a label, a size, or several of them.

    `label` and `size` (foreground fraction of the region, 0..1, as estimated) are None where none was given.
    `has_mask` says whether it was done with a mask (a draft has none yet), `mask_downsample` is level-0 pixels per
    pixel of the mask or of the draft (None: neither). `held_out` says whether the mask judges models instead of
    training them (settled when the region is first done with a mask), `model_hash` is the model whose prediction the
    mask started from, `continues` the annotation that was reopened. `counts` says what of the mask counts.

    `reading_of` is the annotation of the first reader that this one was painted without sight of (None: it is none of a
    second reader); `adjudicated` is when `adjudicator` chose this one of the two (None: nobody did).
    """

    id: int
    slide_id: int
    region: Region
    mask_downsample: float | None
    has_mask: bool
    status: AnnotationStatus
    label: str | None
    size: float | None
    person: str
    created: str
    updated: str
    held_out: bool
    model_hash: str | None
    query_id: int | None
    continues: int | None
    counts: Counts
    reading_of: int | None = None
    adjudicated: str | None = None
    adjudicator: str = ""


@dataclass(frozen=True, slots=True)
class Assessment:
    """Label and size (foreground fraction, 0..1) that a person gave a region at one time; None: not given."""

    label: str | None
    size: float | None
    person: str
    created: str


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """A mask class of today: the permanent `id` that masks keep, its name and its colour ('#rrggbb')."""

    id: int
    name: str
    colour: str


class ClassChangeKind(StrEnum):
    """What was done to the mask classes."""

    ADD = "add"
    RENAME = "rename"
    RECOLOUR = "recolour"
    REORDER = "reorder"
    MERGE = "merge"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class ClassChangeRecord:
    """A change of the mask classes: of the class `name`, with the name or colour that it got or went into (`to`).

    Both are empty where there is no such thing; `undone` says whether it was taken back.
    """

    kind: ClassChangeKind
    name: str
    to: str
    created: str
    undone: bool


class StepKind(StrEnum):
    """What a person does: PAINTED, ASSESSED and said what COUNTED in a draft, ENDED a draft, DELETED annotations.

    LEFT_OUT is a query that was not opened, IMPORTED are annotations that came from elsewhere.
    """

    PAINTED = "painted"
    ASSESSED = "assessed"
    COUNTED = "counted"
    ENDED = "ended"
    LEFT_OUT = "left out"
    DELETED = "deleted"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Step:
    """Something a person did that can be taken back; `undone` says whether it is.

    `status` is what a draft or query became by it (None for strokes, labels and sizes).
    """

    id: int
    kind: StepKind
    slide_id: int
    annotation_id: int | None
    query_id: int | None
    person: str
    status: AnnotationStatus | None
    undone: bool


class PaintedStep:
    """A stroke of a draft: the rectangle that it changed, as it was before and after, both with their origins.

    Many are kept as long as a region is painted, so that large rectangles are packed.
    """

    __slots__ = ("_after", "_before")

    def __init__(self, before: Patch, after: Patch) -> None:
        self._before, self._after = packed(before), packed(after)

    @property
    def before(self) -> Patch:
        """What was there."""
        return unpacked(self._before)

    @property
    def after(self) -> Patch:
        """What is there since."""
        return unpacked(self._after)


@dataclass(frozen=True, slots=True)
class AssessedStep:
    """Label and size of a draft, before and after they were given."""

    before: tuple[str | None, float | None]
    after: tuple[str | None, float | None]


@dataclass(frozen=True, slots=True)
class CountedStep:
    """What counted in a draft before and after that was changed."""

    before: Counts
    after: Counts


StepInDraft = PaintedStep | AssessedStep | CountedStep


@dataclass(frozen=True, slots=True, eq=False)
class DraftSteps:
    """What was done in a draft, oldest first, and what was taken back of it, in the order to do it again."""

    done: tuple[StepInDraft, ...]
    undone: tuple[StepInDraft, ...]


@dataclass(frozen=True, slots=True)
class NewQuery:
    """A region to ask about: how it was chosen, its score (highest first), and what its strategy found in it.

    `evidence` is a JSON object; the strategy makes the sentence for the user of it.
    """

    slide_id: int
    region: Region
    strategy: str
    score: float
    round: int
    evidence: Mapping[str, Any]
    class_name: str


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """A region the model asks about, and where the question stands."""

    id: int
    slide_id: int
    region: Region
    strategy: str
    score: float
    round: int
    evidence: Mapping[str, Any]
    class_name: str
    status: QueryStatus
    created: str


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One retraining: the model it made, the one before, its figures, and how many annotations it learned from.

    `person` is who asked for it ('': not known).
    """

    id: int
    number: int
    model_id: int
    parent: int | None
    figures: Mapping[str, float]
    annotations: int
    created: str
    person: str = ""
