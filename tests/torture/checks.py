"""Whether a project is whole: read from its files and tables directly, and by opening it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import traceback
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from PIL import Image
from safetensors.numpy import load_file

from histoloop.annotations.records import QueryStatus
from histoloop.errors import HistoLoopError
from histoloop.store.project import DATABASE, Project
from histoloop.workflows.contents.slides import thumbnail_path

if TYPE_CHECKING:
    from pathlib import Path

LOST, TRACEBACK, HALF, STUCK, LEFT = "lost", "traceback", "half", "not completed", "left over"
OTHER = "other"
"""Kinds of what is wrong: work that was reported as done is gone; half a thing is taken for whole; doing it again does
not complete it; partial files stay; an exit code, a limit or a rule that does not hold."""

Problem = tuple[str, str]


def digest(content: bytes) -> str:
    """A short name of some content."""
    return hashlib.sha256(content).hexdigest()[:16]


def find_broken(folder: Path) -> list[Problem]:
    """What is wrong right now: a broken database, rows that name what is missing or broken."""
    path = folder / DATABASE
    if not path.exists():
        return []
    found: list[Problem] = []
    try:
        with Project.open(folder) as project:
            rows = _rows(path)
            found += _broken_models(project, rows["model"])
            found += _broken_maps(project, rows["map"])
            found += _broken_masks(project, rows["annotation"])
    except HistoLoopError as error:
        found.append((HALF, f"the project is not opened: {error}"))
    except Exception:
        found.append((TRACEBACK, f"opening: {traceback.format_exc()[-400:]}"))
    found += _broken_database(path)
    return found


def _broken_database(path: Path) -> list[Problem]:
    try:
        with closing(sqlite3.connect(path)) as database:
            ((said,),) = database.execute("PRAGMA integrity_check").fetchmany(1)
            strangers = database.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        return [(LOST, f"SQLite: {error}")]
    found = [] if said == "ok" else [(LOST, f"SQLite: {said}")]
    return found + [(LOST, f"SQLite: rows without their parents: {strangers[:3]}")] * bool(strangers)


def _rows(path: Path) -> dict[str, list[sqlite3.Row]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return {
            name: database.execute(f"SELECT * FROM {name}").fetchall()
            for name in ("model", "map", "annotation", "slide")
        }


def _broken_models(project: Project, rows: list[sqlite3.Row]) -> list[Problem]:
    found: list[Problem] = []
    if not any(row["status"] == "current" for row in rows):
        found.append((HALF, "the project opens without a current model"))
    for row in rows:
        weights = project.folder / "models" / row["folder"] / "weights.safetensors"
        if row["hash"] == "abc":  # of a dump of an old schema, which has rows alone
            continue
        try:
            content = weights.read_bytes()
            load_file(weights)
        except Exception as error:
            found.append((HALF, f"model {row['id']} ({row['status']}): {type(error).__name__}: {error}"))
            continue
        if hashlib.sha256(content).hexdigest() != row["hash"]:
            found.append((HALF, f"model {row['id']} ({row['status']}): its weights are not those of its hash"))
    return found


def _broken_maps(project: Project, rows: list[sqlite3.Row]) -> list[Problem]:
    found: list[Problem] = []
    for row in rows:
        if row["folder"] == "1-1":
            continue
        try:
            map_digest(project.folder / "maps" / row["folder"])
        except Exception as error:
            found.append((HALF, f"map {row['folder']}: {type(error).__name__}: {error}"))
    return found


def map_digest(folder: Path) -> str:
    """A name of the values of a map; an error where it is not whole."""
    group = zarr.open_group(folder, mode="r", zarr_format=3)
    labels = np.asarray(group["labels"][:])
    foreground = np.asarray(group["foreground/0"][:])
    covered = np.asarray(group["covered"][:])
    values = (labels.round(2) + 0.0, foreground.astype(np.float32).round(2) + 0.0, covered)
    return digest(b"".join(np.ascontiguousarray(each).tobytes() for each in values))


def _broken_masks(project: Project, rows: list[sqlite3.Row]) -> list[Problem]:
    found: list[Problem] = []
    for row in rows:
        for column in ("base_mask_file", "base_origin_file", "mask_file", "origin_file"):
            name = row[column]
            if name is None or len(name) <= 5:
                continue
            try:
                with Image.open(project.folder / "masks" / name) as picture:
                    picture.load()
            except Exception as error:
                found.append((HALF, f"annotation {row['id']}, {column}: {type(error).__name__}: {error}"))
    return found


def find_left_over(folder: Path) -> list[Problem]:
    """What nothing names and nobody will use: partial files, folders of maps and models.

    Whole planes of masks are let alone, as the program does: a copy of the database may name them.
    """
    found = [(LEFT, f"partial: {path.relative_to(folder)}") for path in sorted(folder.rglob("*partial*"))]
    if not (folder / DATABASE).exists():
        return found
    rows = _rows(folder / DATABASE)
    named = {
        "models": {row["folder"] for row in rows["model"]},
        "maps": {row["folder"] for row in rows["map"]},
    }
    for part, names in named.items():
        if (folder / part).is_dir():
            strangers = sorted(path.name for path in (folder / part).iterdir() if path.name not in names)
            found += [(LEFT, f"{part}: {name} belongs to nothing") for name in strangers if "partial" not in name]
    return found


def state_of(folder: Path) -> dict[str, Any]:
    """What a project holds, without ids, times and generated names: alike after the same work, however often begun."""
    with Project.open(folder) as project:
        slides = {}
        for slide in project.slides.all():
            maps = project.maps.find(slide.id)
            slides[slide.name] = {
                "size": (slide.width, slide.height, slide.mpp),
                "label": slide.label,
                "predicted": slide.predicted and {name: round(value, 2) for name, value in slide.predicted.items()},
                "map": None if maps is None else map_digest(maps),
                "thumbnail": _picture_size(thumbnail_path(project, slide.id)),
            }
        names = {slide.id: slide.name for slide in project.slides.all()}
        annotations = sorted(
            (
                names[record.slide_id],
                str(record.region),
                record.label or "",
                -1.0 if record.size is None else round(record.size, 3),
                digest(project.annotations.load_mask(record.id)[0].tobytes()) if record.has_mask else "",
            )
            for record in project.annotations.finished()
            if record.model_hash != "abc" and not record.person == "Ada"
        )
        queries = sorted(
            (names[query.slide_id], str(query.region), query.strategy)
            for query in project.queries.all()
            if query.status is QueryStatus.OPEN
        )
        return {
            "slides": slides,
            "annotations": annotations,
            "queries": queries,
            "model": project.models.current().round > 0,
            "rounds": len(project.rounds.all()) > 0,
        }


def _picture_size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.size
    except (OSError, SyntaxError):
        return None


def differences(expected: Any, found: Any, place: str = "") -> list[str]:
    """Where two states differ, in words."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            text
            for key in sorted(expected.keys() | found.keys())
            for text in differences(expected.get(key), found.get(key), f"{place}/{key}")
        ]
    normal = [json.loads(json.dumps(each)) for each in (expected, found)]
    return [] if normal[0] == normal[1] else [f"{place}: {str(normal[1])[:160]} instead of {str(normal[0])[:160]}"]
