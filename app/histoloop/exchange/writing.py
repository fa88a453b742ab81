"""Errors of writing, in words for the user."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from histoloop.errors import ExportError
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def export_to(path: Path) -> Iterator[None]:
    """Turn an OSError inside into an ExportError that names the file; its cause is the OSError."""
    try:
        yield
    except OSError as error:
        advice = tr("Choose a folder that you may write to, on a disk with free space; close the file if it is open.")
        raise ExportError(
            tr("{path} cannot be written: {reason}.", path=path, reason=error.strerror or error), advice=advice
        ) from error
