"""What long work tells when it is done. Needs neither torch nor Qt: the window reads these from its child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
