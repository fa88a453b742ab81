"""Errors that a user can act on. Each says what went wrong and what to do about it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class HistoLoopError(Exception):
    """Something the user can mend: `message` says what went wrong, `advice` what to do."""

    def __init__(self, message: str, *, advice: str) -> None:
        super().__init__(message, advice)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.advice))


def _rebuild(kind: type[HistoLoopError], message: str, advice: str) -> HistoLoopError:
    return kind(message, advice=advice)


class SlideError(HistoLoopError):
    """A slide file that cannot be opened or read; names the file, the reason and the way on."""

    def __init__(self, path: Path, reason: str, *, advice: str) -> None:
        super().__init__(tr("{path}: {reason}.", path=path, reason=reason), advice=advice)
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_slide_error, (self.path, self.reason, self.advice))


def _rebuild_slide_error(path: Path, reason: str, advice: str) -> SlideError:
    return SlideError(path, reason, advice=advice)


class ReplacedSlideError(SlideError):
    """Where a slide of a project was, there is another one now."""

    def __init__(self, path: Path) -> None:
        advice = tr("Restore the file that was added, or give this one another name and import it as a slide.")
        super().__init__(path, tr("its content differs"), advice=advice)
        self.message = tr("{path} is not the slide it should be: its content differs.", path=path)

    def __reduce__(self) -> tuple[object, ...]:
        return (ReplacedSlideError, (self.path,))


class DataError(HistoLoopError):
    """A data set, mask or table that does not fit."""


class ProjectError(HistoLoopError):
    """A project folder that cannot be created, opened or written."""


class ClassError(HistoLoopError):
    """A class of a project that cannot be as it was wanted: its name, its colour, or how many there are."""


class ModelError(HistoLoopError):
    """A model folder that is missing, broken or does not fit."""


class RecipeError(HistoLoopError):
    """A recipe with an unknown key or a value out of range."""


class PlaceError(HistoLoopError):
    """A place that cannot be written: a folder is missing or not the user's to write, or its disk is full."""


class ExportError(PlaceError):
    """A file that cannot be written where the user asked."""


class ProjectPlaceError(ProjectError, PlaceError):
    """A project whose folder or database cannot be written."""


class ModelPlaceError(ModelError, PlaceError):
    """A model that cannot be written where it should go."""


class DeviceError(HistoLoopError):
    """A compute device that was asked for and is not there."""


class ClusterError(HistoLoopError):
    """Processes or machines that work was to be spread over, and that are not there or ended."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """' (did you mean ...?)', for the end of a sentence about `word`, when something known is close; else nothing."""
    originals = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), originals, n=1, cutoff=0.5)
    return f" (did you mean {originals[close[0]]!r}?)" if close else ""
