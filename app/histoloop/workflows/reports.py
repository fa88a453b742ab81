"""What long work tells when it is done. Needs neither torch nor Qt: the window reads these from its child process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from histoloop.annotations.records import ClassScheme, Mask


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of the files of an import: ids of new slides, files known before, and (file, reason) of failures."""

    added: tuple[int, ...]
    known: tuple[Path, ...]
    failed: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True)
class PredictReport:
    """Ids of the slides that were predicted, and (slide name, reason) of those that were not."""

    predicted: tuple[int, ...]
    failed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Files that were written, and (slide, reason) of slides that have nothing to export."""

    files: tuple[Path, ...]
    failed: tuple[tuple[str, str], ...]


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
    """How far a model's labels can be trusted under small changes: per tile, and `figures` over all of them."""

    tiles: tuple[TileRobustness, ...]
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class PredictedSlide:
    """What a model says of a slide without a project.

    `mask` (h, w) holds mask values of `scheme`, each pixel `downsample` level-0 pixels wide. `probabilities` are per
    label, empty where no tissue was found, of which `note` then tells. `mpp` is um per level-0 pixel, None if unknown;
    `model_mpp` is what the model was made for, um per mask pixel.
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
