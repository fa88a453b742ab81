"""What long work returns. Needs neither torch nor Qt: the window reads these from its child process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from histoloop.annotations.records import ClassScheme, Mask
from histoloop.geometry import Region
from histoloop.progress import Progress
from histoloop.store.records import AnnotationRecord, QueryRecord


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the files of an import: ids of new slides, files known before, and (file, reason) of failures.

    `passed_over` are (file, reason) of what was found in folders and is no slide, `recognised` (file, which slide) of
    those known ones that are slides of other paths: copies, and slides that were moved or renamed. `notes` are (file,
    sentences) of new slides that are unusual.
    """

    added: tuple[int, ...]
    known: tuple[Path, ...]
    failed: tuple[tuple[Path, str], ...]
    passed_over: tuple[tuple[Path, str], ...] = ()
    recognised: tuple[tuple[Path, str], ...] = ()
    notes: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PredictReport:
    """Ids of the slides that were predicted, and (slide name, reason) of those that were not."""

    predicted: tuple[int, ...]
    failed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SlidePredicted(Progress):
    """The maps of a slide by a model are there now, while the slides after it are still to be predicted."""

    slide_id: int = 0
    model_id: int = 0

    @property
    def must_arrive(self) -> bool:
        """It is told however soon it follows another step."""
        return True


@dataclass(frozen=True, slots=True)
class AskReport:
    """The regions that are asked about, the best first, and (slide, reason) of slides that none could be taken from.

    `why_fewer` are sentences about why there are not as many as were asked for, or not in the way asked for; empty: all
    is as asked for.
    """

    queries: tuple[QueryRecord, ...]
    failed: tuple[tuple[str, str], ...] = ()
    why_fewer: str = ""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Files that were written, and (slide, reason) of slides that could not be exported, or not as they should be.

    `exported` are the slides of which there are files.
    """

    files: tuple[Path, ...]
    failed: tuple[tuple[str, str], ...]
    exported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportedAnnotation:
    """What an annotation file became: a record, or one per part of a large place.

    `notes` are sentences about what was assumed or mended, `left_out` about what was not understood.
    """

    records: tuple[AnnotationRecord, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def record(self) -> AnnotationRecord:
        """The first, which is the only one of a region of usual size."""
        return self.records[0]


@dataclass(frozen=True, slots=True)
class TileRobustness:
    """What an attack made of a tile: `norm_l2` is that of the smallest change found that breaks it.

    Not `broken`: none was found, and the norm is 0. Broken at norm 0: misclassified as it stands.
    """

    name: str
    label: str
    broken: bool
    norm_l2: float


@dataclass(frozen=True, slots=True)
class RobustnessReport:
    """How far a model's labels can be trusted under small changes: per tile, and `figures` over all of them.

    `intervals` are of those figures that other cases may change (training/measures/intervals.py).
    """

    tiles: tuple[TileRobustness, ...]
    figures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class PredictedSlide:
    """What a model says of a slide without a project.

    `mask` (h, w) holds mask values of `scheme`, each pixel `downsample` level-0 pixels wide. `probabilities` are per
    label, empty where no tissue was found, which `note` then states. `mpp` is um per level-0 pixel, None if unknown;
    `model_mpp` is what the model was made for, um per mask pixel; `bounds` is the part of the slide that QuPath shows
    where OpenSlide states one; `unlike` is how far it is from the training data, above 1 unlike it (None: not known);
    `numbers` are those that the network computed in.
    """

    mask: Mask
    downsample: float
    scheme: ClassScheme
    probabilities: Mapping[str, float]
    tissue_area_px: float
    mpp: float | None
    model: str
    model_mpp: float
    note: str
    bounds: Region | None = None
    unlike: float | None = None
    numbers: str = "float32"


@dataclass(frozen=True, slots=True)
class PagesReport:
    """The pages that were written, (slide, reason) of slides without one, and the names of those that have one."""

    files: tuple[Path, ...]
    failed: tuple[tuple[str, str], ...]
    slides: tuple[str, ...]
