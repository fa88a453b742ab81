"""What a process that was ended left in a project's folder: cleared away, or brought into the project, when alone."""

from __future__ import annotations

import logging
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from histoloop.errors import ModelError
from histoloop.store.cards import load_card, model_hash
from histoloop.store.files import clear_partial
from histoloop.store.fingerprint import OWN_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.store.parts.maps import Maps
    from histoloop.store.parts.models import Models
    from histoloop.store.parts.rounds import Rounds

_MAP_FOLDER = re.compile(r"slide-\d{4,}-model-\d{4,}-[0-9a-f]{8}")
_MODEL_FOLDER = re.compile(r"round-\d{3,}-[0-9a-f]{8}")

_log = logging.getLogger(__name__)


def clear_leftovers(project_folder: Path) -> int:
    """Remove half-written files and folders from those folders of a project that nobody writes in; how many there were.

    Only names that the program gives, in the folders that are its own; links are neither followed nor removed.
    """
    count = sum(map(clear_partial, _own_folders(project_folder)))
    if count:
        _log.info("%d half-written files and folders removed", count)
    return count


def clear_lost_maps(maps: Maps) -> int:
    """Remove maps that were finished but never kept; how many there were. They can be made again.

    Nobody else may have the project open to change it.
    """
    kept = maps.folder_names()
    lost = [path for path in _folders_named(maps.folder, _MAP_FOLDER) if path.name not in kept]
    for path in lost:
        shutil.rmtree(path, ignore_errors=True)
    return len(lost)


def recover_models(models: Models, rounds: Rounds) -> int:
    """Bring in models whose training ended but which were never kept, as candidates of a round; how many there were.

    Nobody else may have the project open to change it.
    """
    known = {record.folder.name for record in models.all()}
    count = 0
    for folder in sorted(_folders_named(models.folder, _MODEL_FOLDER)):
        if folder.name in known:
            continue
        with suppress(ModelError):
            card, digest = load_card(folder), model_hash(folder)
            parent = next((record for record in models.all() if record.hash == card.parent), None)
            if parent is not None:
                rounds.add_candidate(
                    models,
                    folder.name,
                    hash=digest,
                    parent=parent.id,
                    figures=card.figures,
                    annotations=int(float(card.training.get("regions", 0))),
                )
                count += 1
    return count


def _own_folders(project_folder: Path) -> Iterator[Path]:
    """A project's folder, the folders that the program makes in it, and those in them that hold files it makes."""
    yield project_folder
    for name in sorted(OWN_FOLDERS):
        folder = project_folder / name
        if folder.is_dir() and not folder.is_symlink():
            yield folder
            if name in ("cache", "pretrained", "pseudo"):
                yield from (path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _folders_named(folder: Path, name: re.Pattern[str]) -> list[Path]:
    if not folder.is_dir() or folder.is_symlink():
        return []
    return [path for path in folder.iterdir() if name.fullmatch(path.name) and path.is_dir() and not path.is_symlink()]
