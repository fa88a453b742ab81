"""A project: a folder with `project.db` (SQLite), and masks, maps, models, thumbnails and logs beside it.

Slides are referenced, not copied. What was painted is in the journal (table `patch`) before it is called saved. Files
get new names, rows new revisions: nothing is overwritten in place.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import sqlite3
import zlib
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from histoloop.annotations.raster import apply_patch
from histoloop.annotations.records import (
    AnnotationStatus,
    ClassScheme,
    LabelClass,
    Mask,
    MaskClass,
    Origin,
    Patch,
    QueryStatus,
)
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.store.cards import Card, load_card
from histoloop.store.fingerprint import find_by_fingerprint, fingerprint
from histoloop.store.planes import read_plane, write_plane
from histoloop.store.records import (
    AnnotationRecord,
    ModelRecord,
    ModelStatus,
    NewQuery,
    QueryRecord,
    RoundRecord,
    SlideRecord,
)
from histoloop.store.schema import APPLICATION_ID, MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

DATABASE = "project.db"
BUSY_MS = 15_000
HELD_OUT_EVERY = 4
FIRST_HELD_OUT = 3


def is_held_out(region_number: int) -> bool:
    """Whether the n-th region annotated (from 1) judges models instead of training them: the 3rd, 7th, 11th, ..."""
    return region_number % HELD_OUT_EVERY == FIRST_HELD_OUT


class Project:
    """An open project; a context manager. Each thread and process opens its own; several may be open at a time."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._db = connection
        row = self._one("SELECT name, scheme FROM project")
        self.name: str = row["name"]
        self.scheme = _scheme_from_json(row["scheme"])

    # --- opening and closing --------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: Path, *, name: str, scheme: ClassScheme) -> Self:
        """Make a project in a folder that is new or empty (ProjectError otherwise)."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ProjectError(f"{folder} is not empty.", advice="Choose a new folder for the project.")
        try:
            for part in (folder, *(folder / name for name in ("masks", "maps", "models", "thumbnails", "logs"))):
                part.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProjectError(
                f"{folder} cannot be made: {error}.", advice="Choose a folder you may write to, on a disk with room."
            ) from error
        connection = _connect(folder / DATABASE)
        with _transaction(connection):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        _migrate(folder / DATABASE, connection)
        with _transaction(connection):
            connection.execute(
                "INSERT INTO project (id, name, scheme, created) VALUES (1, ?, ?, ?)",
                (name, _scheme_to_json(scheme), _now()),
            )
        return cls(folder.resolve(), connection)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a project, bringing an older one up to date; ProjectError when it is none, broken, or newer."""
        database = folder / DATABASE
        if not database.is_file():
            raise ProjectError(
                f"{folder} is not a HistoLoop project: it holds no {DATABASE}.",
                advice="Choose the folder that the project was made in, or make a new project.",
            )
        try:
            connection = _connect(database)
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                connection.close()
                raise ProjectError(
                    f"{database} belongs to another program.", advice="Choose the folder of a HistoLoop project."
                )
            _migrate(database, connection)
            return cls(folder.resolve(), connection)
        except (sqlite3.DatabaseError, TypeError) as error:
            raise ProjectError(
                f"{database} cannot be read: {error}.",
                advice="Copy the project folder back from a backup; masks and maps beside it are untouched.",
            ) from error

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def maps_folder(self) -> Path:
        """Where the maps of slides are kept."""
        return self.folder / "maps"

    @property
    def models_folder(self) -> Path:
        """Where the project's models are kept."""
        return self.folder / "models"

    @property
    def masks_folder(self) -> Path:
        """Where masks and pixel origins of annotations are kept."""
        return self.folder / "masks"

    # --- settings -------------------------------------------------------------------------------------------------

    def get_setting(self, key: str, default: Any = None) -> Any:
        """A value kept for this project (anything JSON holds)."""
        row = self._db.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a value with this project."""
        self._write("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", key, json.dumps(value))

    # --- slides ---------------------------------------------------------------------------------------------------

    def add_slide(self, path: Path, *, width: int, height: int, mpp: float | None, vendor: str) -> SlideRecord:
        """Refer to a slide; ProjectError when it is in the project already."""
        place = path.resolve()
        digest = fingerprint(place)
        values = (str(place), self._relative(place), place.name, digest, width, height, mpp, vendor, _now())
        try:
            identity = self._write(
                "INSERT INTO slide (path, relative_path, name, fingerprint, width, height, mpp, vendor, added) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *values,
            )
        except sqlite3.IntegrityError as error:
            raise ProjectError(f"{place} is in the project already.", advice="Nothing needs to be done.") from error
        return self.slide(identity)

    def slides(self) -> list[SlideRecord]:
        """All slides, in the order they were added."""
        return [self._slide(row) for row in self._db.execute("SELECT * FROM slide WHERE removed IS NULL ORDER BY id")]

    def slide(self, slide_id: int) -> SlideRecord:
        """One slide; ValueError for an id that is not there."""
        return self._slide(self._row("slide", slide_id))

    def remove_slide(self, slide_id: int) -> None:
        """Leave a slide out of the project from now on; its file, annotations and maps stay where they are."""
        row = self._row("slide", slide_id)
        now = _now()
        # The path gets a suffix so that the same file can be added again.
        self._write(
            "UPDATE slide SET removed = ?, path = ? WHERE id = ?", now, f"{row['path']}#removed {now}", slide_id
        )

    def set_mpp(self, slide_id: int, mpp: float) -> None:
        """State the micrometres per level-0 pixel of a slide; its maps no longer hold and are forgotten."""
        if not mpp > 0:
            raise ValueError(f"mpp must be positive, not {mpp}")
        with _transaction(self._db):
            self._db.execute("UPDATE slide SET mpp = ? WHERE id = ?", (mpp, slide_id))
            self._db.execute("DELETE FROM map WHERE slide_id = ?", (slide_id,))
            self._db.execute("DELETE FROM prediction WHERE slide_id = ?", (slide_id,))

    def set_label(self, slide_id: int, label: str | None) -> None:
        """What a person says of a slide as a whole; None takes it back."""
        self._check_label(label)
        self._write("UPDATE slide SET label = ? WHERE id = ?", label, slide_id)

    def set_tissue(self, slide_id: int, tissue_px: float) -> None:
        """Keep how many level-0 pixels of a slide are tissue."""
        self._write("UPDATE slide SET tissue_px = ? WHERE id = ?", tissue_px, slide_id)

    def set_prediction(self, slide_id: int, model_id: int, probabilities: Mapping[str, float] | None) -> None:
        """Keep a model's probability per label of a slide; None (no tissue) keeps nothing."""
        if probabilities is None:
            return
        self._write(
            "INSERT INTO prediction (slide_id, model_id, probabilities, created) VALUES (?, ?, ?, ?)",
            slide_id,
            model_id,
            json.dumps(dict(probabilities)),
            _now(),
        )

    def relocate(self, slide_id: int, path: Path) -> None:
        """Point a slide to where its file is now; ProjectError when that is another file."""
        record, place = self.slide(slide_id), path.resolve()
        if fingerprint(place) != record.fingerprint:
            raise ProjectError(
                f"{place} is not the slide {record.name}: its content differs.",
                advice="Choose the file that was moved, or import this one as a new slide.",
            )
        self._write(
            "UPDATE slide SET path = ?, relative_path = ?, name = ? WHERE id = ?",
            str(place),
            self._relative(place),
            place.name,
            slide_id,
        )

    def find_moved(self, folder: Path) -> list[SlideRecord]:
        """Look under a folder for slides whose files are gone, by their fingerprints; the ones found again."""
        found = []
        for record in self.slides():
            if record.found:
                continue
            place = find_by_fingerprint(record.fingerprint, folder)
            if place is not None:
                self.relocate(record.id, place)
                found.append(self.slide(record.id))
        return found

    # --- models ---------------------------------------------------------------------------------------------------

    def add_model(self, folder_name: str, *, hash: str, parent: int | None, round: int) -> ModelRecord:
        """Enter a model whose folder is in `models_folder`, as a candidate."""
        identity = self._write(
            "INSERT INTO model (folder, hash, parent, round, status, created) VALUES (?, ?, ?, ?, ?, ?)",
            folder_name,
            hash,
            parent,
            round,
            ModelStatus.CANDIDATE.value,
            _now(),
        )
        return self.model(identity)

    def models(self) -> list[ModelRecord]:
        """All models, oldest first."""
        return [self._model(row) for row in self._db.execute("SELECT * FROM model ORDER BY id")]

    def model(self, model_id: int) -> ModelRecord:
        """One model; ValueError for an id that is not there."""
        return self._model(self._row("model", model_id))

    def current_model(self) -> ModelRecord:
        """The model whose predictions are shown; ProjectError when there is none."""
        row = self._db.execute("SELECT * FROM model WHERE status = 'current'").fetchone()
        if row is None:
            raise ProjectError("The project has no model.", advice="Make a new project and import the slides again.")
        return self._model(row)

    def base_model(self) -> ModelRecord:
        """The model the project started from: theta_0 of every round."""
        row = self._db.execute("SELECT * FROM model WHERE parent IS NULL ORDER BY id").fetchone()
        if row is None:
            raise ProjectError("The project has no model.", advice="Make a new project and import the slides again.")
        return self._model(row)

    def current_card(self) -> Card:
        """The card of the current model."""
        return load_card(self.current_model().folder)

    def make_current(self, model_id: int) -> None:
        """Show this model's predictions from now on; the one before is kept."""
        self._row("model", model_id)
        with _transaction(self._db):
            self._db.execute("UPDATE model SET status = 'kept' WHERE status = 'current'")
            self._db.execute("UPDATE model SET status = 'current' WHERE id = ?", (model_id,))

    def set_model_status(self, model_id: int, status: ModelStatus) -> None:
        """Set a model aside; ValueError for the current one, which `make_current` replaces."""
        if status is ModelStatus.CURRENT or self.model(model_id).status is ModelStatus.CURRENT:
            raise ValueError("make_current decides which model is current")
        self._write("UPDATE model SET status = ? WHERE id = ?", status.value, model_id)

    # --- maps -----------------------------------------------------------------------------------------------------

    def add_map(self, slide_id: int, model_id: int, folder_name: str) -> None:
        """Enter the maps that a model made of a slide; their folder is in `maps_folder`."""
        self._write(
            "INSERT INTO map (slide_id, model_id, folder, created) VALUES (?, ?, ?, ?)",
            slide_id,
            model_id,
            folder_name,
            _now(),
        )

    def map_folder(self, slide_id: int, model_id: int | None = None) -> Path | None:
        """The newest maps of a slide by a model (the current one); None when there are none on disk."""
        model = self.current_model().id if model_id is None else model_id
        row = self._db.execute(
            "SELECT folder FROM map WHERE slide_id = ? AND model_id = ? ORDER BY id DESC", (slide_id, model)
        ).fetchone()
        folder = None if row is None else self.maps_folder / row["folder"]
        return folder if folder is not None and folder.is_dir() else None

    # --- annotations ----------------------------------------------------------------------------------------------

    def start_annotation(
        self,
        slide_id: int,
        region: Region,
        *,
        mask: Mask,
        origin_model: str | None,
        person: str,
        query_id: int | None = None,
        origin: Origin = Origin.UNTOUCHED,
    ) -> AnnotationRecord:
        """Begin a draft from a mask of the region at level-0 resolution.

        `origin_model` is the hash of the model that made the mask; `origin` says where its pixels come from.
        """
        slide = self.slide(slide_id)
        if not slide.extent.contains(region):
            raise ValueError(f"{region} does not lie inside {slide.name} ({slide.width} x {slide.height})")
        origins = np.full(mask.shape, origin, np.uint8)
        return self._start(slide_id, region, mask, origins, origin_model, person, query_id, continues=None)

    def reopen_annotation(self, annotation_id: int) -> AnnotationRecord:
        """A new draft that goes on from a finished annotation; the finished one stays as it is."""
        record = self.annotation(annotation_id)
        if record.status is not AnnotationStatus.DONE:
            raise ValueError(f"annotation {annotation_id} is {record.status.value}, not done")
        mask, origin = self.load_mask(annotation_id)
        return self._start(
            record.slide_id,
            record.region,
            mask,
            origin,
            record.model_hash,
            record.person,
            record.query_id,
            continues=annotation_id,
        )

    def append_patch(self, annotation_id: int, patch: Patch) -> None:
        """Journal a change of a draft's mask; it is on disk when this returns. ValueError for another status."""
        record = self._draft(annotation_id)
        mask_like = np.empty((record.region.height, record.region.width), np.uint8)
        apply_patch(mask_like, patch)  # refuses a patch that reaches past the mask
        if int(patch.values.max()) > len(self.scheme.masks):
            raise ValueError(f"mask value {int(patch.values.max())} names no class of the project")
        height, width = patch.values.shape
        self._write(
            "INSERT INTO patch (annotation_id, x, y, width, height, payload, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
            annotation_id,
            patch.x,
            patch.y,
            width,
            height,
            zlib.compress(np.ascontiguousarray(patch.values).tobytes()),
            _now(),
        )

    def load_mask(self, annotation_id: int) -> tuple[Mask, Mask]:
        """Mask and pixel origins (`Origin`) of an annotation, (height, width) each, as of its last patch."""
        row = self._row("annotation", annotation_id)
        if row["mask_file"] is not None:
            return self._planes(row["mask_file"], row["origin_file"])
        mask, origin = self._planes(row["base_mask_file"], row["base_origin_file"])
        for patch in self._patches(annotation_id):
            height, width = patch.values.shape
            place = np.s_[patch.y : patch.y + height, patch.x : patch.x + width]
            origin[place][mask[place] != patch.values] = Origin.HUMAN
            apply_patch(mask, patch)
        return mask, origin

    def finish_annotation(
        self, annotation_id: int, status: AnnotationStatus, *, label: str | None = None, size: float | None = None
    ) -> AnnotationRecord:
        """Close a draft. DONE keeps its mask, what nobody touched counting as accepted, and closes its query."""
        record = self._draft(annotation_id)
        self._check_label(label)
        if size is not None and not 0 <= size <= 1:
            raise ValueError(f"size is a fraction, not {size}")
        if status is AnnotationStatus.DRAFT:
            raise ValueError("a draft is finished as done, skipped or cannot tell")
        files: tuple[str | None, str | None] = (None, None)
        if status is AnnotationStatus.DONE:
            mask, origin = self.load_mask(annotation_id)
            origin[origin == Origin.UNTOUCHED] = Origin.ACCEPTED
            files = self._write_planes(annotation_id, mask, origin)
        with _transaction(self._db):
            order, number, held_out = self._finish_order(record) if status is AnnotationStatus.DONE else (None, None, 0)
            self._db.execute(
                "UPDATE annotation SET status = ?, label = ?, size = ?, updated = ?, mask_file = ?, origin_file = ?, "
                "finish_order = ?, region_number = ?, held_out = ? WHERE id = ?",
                (status.value, label, size, _now(), *files, order, number, held_out, annotation_id),
            )
            if record.query_id is not None:
                self._set_query_status(record.query_id, _QUERY_AFTER[status])
        return self.annotation(annotation_id)

    def annotation(self, annotation_id: int) -> AnnotationRecord:
        """One annotation; ValueError for an id that is not there."""
        return self._annotation(self._row("annotation", annotation_id))

    def annotations(
        self, slide_id: int | None = None, status: AnnotationStatus | None = None
    ) -> list[AnnotationRecord]:
        """Annotations in the order they were begun; of the finished ones of a region only the newest."""
        rows = self._db.execute(
            "SELECT annotation.* FROM annotation JOIN slide ON slide.id = slide_id AND slide.removed IS NULL "
            "WHERE (? IS NULL OR slide_id = ?) AND (? IS NULL OR status = ?) AND NOT EXISTS ("
            "SELECT 1 FROM annotation AS newer WHERE newer.slide_id = annotation.slide_id AND newer.x = annotation.x "
            "AND newer.y = annotation.y AND newer.width = annotation.width AND newer.height = annotation.height "
            "AND newer.status = 'done' AND annotation.status = 'done' "
            "AND newer.finish_order > annotation.finish_order) ORDER BY annotation.id",
            (slide_id, slide_id, status, status),
        )
        return [self._annotation(row) for row in rows]

    def training_annotations(self) -> list[AnnotationRecord]:
        """Finished annotations whose slides are where they should be; held-out ones included, and marked."""
        there = {slide.id for slide in self.slides() if slide.found}
        return [record for record in self.annotations(status=AnnotationStatus.DONE) if record.slide_id in there]

    # --- queries --------------------------------------------------------------------------------------------------

    def add_queries(self, queries: Sequence[NewQuery]) -> list[QueryRecord]:
        """Put regions into the queue, all or none."""
        identities = []
        with _transaction(self._db):
            for query in queries:
                region, now = query.region, _now()
                cursor = self._db.execute(
                    "INSERT INTO query (slide_id, x, y, width, height, strategy, score, round, reason, class_name, "
                    "status, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?)",
                    (query.slide_id, region.x, region.y, region.width, region.height, query.strategy, query.score,
                     query.round, query.reason, query.class_name, now, now),
                )  # fmt: skip
                identities.append(cursor.lastrowid)
        return [self.query(identity) for identity in identities if identity is not None]

    def query(self, query_id: int) -> QueryRecord:
        """One query; ValueError for an id that is not there."""
        return self._query(self._row("query", query_id))

    def queries(self, status: QueryStatus | None = QueryStatus.OPEN, slide_id: int | None = None) -> list[QueryRecord]:
        """Queries in the order they were asked; the open ones unless another status (None: any) is wanted."""
        rows = self._db.execute(
            "SELECT query.* FROM query JOIN slide ON slide.id = slide_id AND slide.removed IS NULL "
            "WHERE (? IS NULL OR status = ?) AND (? IS NULL OR slide_id = ?) ORDER BY query.id",
            (status, status, slide_id, slide_id),
        )
        return [self._query(row) for row in rows]

    def set_query_status(self, query_id: int, status: QueryStatus) -> None:
        """Settle a query."""
        self._row("query", query_id)
        with _transaction(self._db):
            self._set_query_status(query_id, status)

    def supersede_open_queries(self) -> None:
        """Empty the queue before a new one; drafts begun on its regions stay."""
        self._write("UPDATE query SET status = 'superseded', updated = ? WHERE status = 'open'", _now())

    # --- rounds ---------------------------------------------------------------------------------------------------

    def add_round(self, model_id: int, parent: int | None, figures: Mapping[str, float], annotations: int) -> int:
        """Enter a retraining: the model it made, the one before, its figures, how many annotations it used."""
        return self._write(
            "INSERT INTO round (number, model_id, parent, figures, annotations, created) "
            "VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM round), ?, ?, ?, ?, ?)",
            model_id,
            parent,
            json.dumps(dict(figures)),
            annotations,
            _now(),
        )

    def rounds(self) -> list[RoundRecord]:
        """All retrainings, oldest first."""
        return [
            RoundRecord(
                id=row["id"],
                number=row["number"],
                model_id=row["model_id"],
                parent=row["parent"],
                figures=json.loads(row["figures"]),
                annotations=row["annotations"],
                created=row["created"],
            )
            for row in self._db.execute("SELECT * FROM round ORDER BY number")
        ]

    # --- rows to records ------------------------------------------------------------------------------------------

    def _slide(self, row: sqlite3.Row) -> SlideRecord:
        path = self._place(row)
        prediction = self._db.execute(
            "SELECT probabilities FROM prediction JOIN model ON model.id = model_id AND model.status = 'current' "
            "WHERE slide_id = ? ORDER BY prediction.id DESC",
            (row["id"],),
        ).fetchone()
        return SlideRecord(
            id=row["id"],
            path=path,
            name=row["name"],
            fingerprint=row["fingerprint"],
            width=row["width"],
            height=row["height"],
            mpp=row["mpp"],
            vendor=row["vendor"],
            label=row["label"],
            predicted=None if prediction is None else json.loads(prediction["probabilities"]),
            tissue_px=row["tissue_px"],
            found=path.exists(),
        )

    def _place(self, row: sqlite3.Row) -> Path:
        """Where a slide is: where it was, or at the same place beside a project folder that was moved with it."""
        path = Path(row["path"])
        if not path.exists() and row["relative_path"] is not None:
            beside = Path(self.folder / row["relative_path"]).resolve()
            if beside.exists():
                return beside
        return path

    def _relative(self, place: Path) -> str | None:
        try:
            return Path(os.path.relpath(place, self.folder)).as_posix()
        except ValueError:  # another drive on Windows
            return None

    def _model(self, row: sqlite3.Row) -> ModelRecord:
        return ModelRecord(
            id=row["id"],
            folder=self.models_folder / row["folder"],
            hash=row["hash"],
            parent=row["parent"],
            round=row["round"],
            status=ModelStatus(row["status"]),
            created=row["created"],
        )

    def _annotation(self, row: sqlite3.Row) -> AnnotationRecord:
        names = {field.name for field in dataclasses.fields(AnnotationRecord)} - {"region", "status", "held_out"}
        return AnnotationRecord(
            **{name: row[name] for name in names},
            region=_region(row),
            status=AnnotationStatus(row["status"]),
            held_out=bool(row["held_out"]),
        )

    def _query(self, row: sqlite3.Row) -> QueryRecord:
        names = {field.name for field in dataclasses.fields(QueryRecord)} - {"region", "status"}
        return QueryRecord(
            **{name: row[name] for name in names}, region=_region(row), status=QueryStatus(row["status"])
        )

    # --- inner steps ----------------------------------------------------------------------------------------------

    def _start(
        self,
        slide_id: int,
        region: Region,
        mask: Mask,
        origin: Mask,
        model_hash: str | None,
        person: str,
        query_id: int | None,
        *,
        continues: int | None,
    ) -> AnnotationRecord:
        if mask.shape != (region.height, region.width):
            raise ValueError(f"a mask of shape {mask.shape} for a region of {region.width} x {region.height}")
        if int(mask.max(initial=0)) > len(self.scheme.masks):
            raise ValueError(f"mask value {int(mask.max())} names no class of the project")
        stem = f"slide-{slide_id}"
        mask_file = write_plane(self.masks_folder, mask, stem=f"{stem}-start")
        origin_file = write_plane(self.masks_folder, origin, stem=f"{stem}-start-origin")
        now = _now()
        identity = self._write(
            "INSERT INTO annotation (slide_id, x, y, width, height, mask_downsample, status, person, created, updated, "
            "model_hash, query_id, continues, base_mask_file, base_origin_file) "
            "VALUES (?, ?, ?, ?, ?, 1.0, 'draft', ?, ?, ?, ?, ?, ?, ?, ?)",
            *(slide_id, region.x, region.y, region.width, region.height),
            *(person, now, now, model_hash, query_id, continues, mask_file, origin_file),
        )
        return self.annotation(identity)

    def _draft(self, annotation_id: int) -> AnnotationRecord:
        record = self.annotation(annotation_id)
        if record.status is not AnnotationStatus.DRAFT:
            raise ValueError(f"annotation {annotation_id} is {record.status.value}, not a draft")
        return record

    def _patches(self, annotation_id: int) -> Iterator[Patch]:
        for row in self._db.execute("SELECT * FROM patch WHERE annotation_id = ? ORDER BY id", (annotation_id,)):
            values = np.frombuffer(zlib.decompress(row["payload"]), np.uint8).reshape(row["height"], row["width"])
            yield Patch(row["x"], row["y"], values)

    def _planes(self, mask_file: str, origin_file: str) -> tuple[Mask, Mask]:
        return read_plane(self.masks_folder / mask_file), read_plane(self.masks_folder / origin_file)

    def _write_planes(self, annotation_id: int, mask: Mask, origin: Mask) -> tuple[str, str]:
        stem = f"annotation-{annotation_id}"
        return (
            write_plane(self.masks_folder, mask, stem=stem),
            write_plane(self.masks_folder, origin, stem=f"{stem}-origin"),
        )

    def _finish_order(self, record: AnnotationRecord) -> tuple[int, int, int]:
        """Place among all finished ones, number of its region, and whether that region is held out."""
        order = self._one("SELECT COALESCE(MAX(finish_order), 0) + 1 AS next FROM annotation")["next"]
        region = record.region
        before = self._db.execute(
            "SELECT region_number, held_out FROM annotation WHERE status = 'done' AND slide_id = ? AND x = ? AND y = ? "
            "AND width = ? AND height = ?",
            (record.slide_id, region.x, region.y, region.width, region.height),
        ).fetchone()
        if before is not None:
            return order, before["region_number"], before["held_out"]
        number = self._one("SELECT COALESCE(MAX(region_number), 0) + 1 AS next FROM annotation")["next"]
        return order, number, int(is_held_out(number))

    def _set_query_status(self, query_id: int, status: QueryStatus) -> None:
        self._db.execute("UPDATE query SET status = ?, updated = ? WHERE id = ?", (status.value, _now(), query_id))

    def _check_label(self, label: str | None) -> None:
        if label is not None and label not in self.scheme.label_names:
            raise ValueError(f"no label {label!r}; there are {', '.join(self.scheme.label_names)}")

    def _row(self, table: str, identity: int) -> sqlite3.Row:
        row: sqlite3.Row | None = self._db.execute(f"SELECT * FROM {table} WHERE id = ?", (identity,)).fetchone()
        if row is None:
            raise ValueError(f"the project has no {table} {identity}")
        return row

    def _one(self, statement: str) -> sqlite3.Row:
        row: sqlite3.Row = self._db.execute(statement).fetchone()
        return row

    def _write(self, statement: str, *values: object) -> int:
        """Run one statement as a transaction of its own; the id of the row it inserted, if any."""
        with _transaction(self._db):
            return self._db.execute(statement, values).lastrowid or 0


_QUERY_AFTER = {
    AnnotationStatus.DONE: QueryStatus.ANNOTATED,
    AnnotationStatus.SKIPPED: QueryStatus.SKIPPED,
    AnnotationStatus.CANNOT_TELL: QueryStatus.CANNOT_TELL,
}


def _connect(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.row_factory = sqlite3.Row
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _migrate(database: Path, connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, step by step, after copying an older database beside itself."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        connection.close()
        raise ProjectError(
            f"{database} was made by a newer HistoLoop (schema {version}; this one knows {len(MIGRATIONS)}).",
            advice="Update HistoLoop; the project was not touched.",
        )
    if 0 < version < len(MIGRATIONS):
        backup = sqlite3.connect(database.with_name(f"project-schema-{version}-{secrets.token_hex(3)}.db"))
        connection.backup(backup)
        backup.close()
    for number in range(version, len(MIGRATIONS)):
        with _transaction(connection):
            for statement in MIGRATIONS[number].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")


def _region(row: sqlite3.Row) -> Region:
    return Region(row["x"], row["y"], row["width"], row["height"])


def _scheme_to_json(scheme: ClassScheme) -> str:
    return json.dumps(dataclasses.asdict(scheme))


def _scheme_from_json(text: str) -> ClassScheme:
    table = json.loads(text)
    return ClassScheme(
        labels=tuple(LabelClass(**label) for label in table["labels"]),
        masks=tuple(MaskClass(**mask) for mask in table["masks"]),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
