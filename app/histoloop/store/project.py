"""A project: a folder with project.db (SQLite), masks, maps and models. The one place that speaks SQL."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import zlib
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from histoloop.annotations.raster import apply_patch
from histoloop.annotations.records import AnnotationStatus, ClassScheme, Mask, Origin, Patch, QueryStatus
from histoloop.errors import ProjectError
from histoloop.store import rows
from histoloop.store.cards import Card, load_card
from histoloop.store.files import file_beside
from histoloop.store.fingerprint import find_by_fingerprint, fingerprint
from histoloop.store.planes import read_plane, write_plane
from histoloop.store.records import (
    AnnotationRecord,
    Assessment,
    ModelRecord,
    ModelStatus,
    NewQuery,
    QueryRecord,
    RoundRecord,
    SlideLabel,
    SlideRecord,
)
from histoloop.store.schema import (
    APPLICATION_ID,
    MIGRATIONS,
    NEWEST_DONE,
    SELECT_ANNOTATIONS,
    SELECT_EARLIEST_OVERLAP,
    SELECT_EVERY_ANNOTATION,
    SELECT_MASK_OF_REGION,
    SELECT_QUERIES,
    SELECT_SLIDES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from histoloop.geometry import Region

DATABASE = "project.db"
BUSY_TIMEOUT_S = 10.0

_QUERY_STATUS_AFTER = {
    AnnotationStatus.DONE: QueryStatus.ANNOTATED,
    AnnotationStatus.SKIPPED: QueryStatus.SKIPPED,
    AnnotationStatus.CANNOT_TELL: QueryStatus.CANNOT_TELL,
}


def is_held_out(number: int) -> bool:
    """Whether the region that is done as the `number`-th (from 1) judges models instead of training them.

    Every fourth, from the third: 3, 7, 11, ... A quarter is held out, and three annotations are enough to begin.
    """
    return number % 4 == 3


class Project:
    """An open project; a context manager.

    Several processes may have one project open; within a process each thread opens its own. Whatever a method has
    written when it returns is on disk, whole, and survives the end of the process. Methods raise ProjectError when
    the database cannot be read or written, ValueError for an id that does not exist or a value out of range.
    """

    def __init__(self, folder: Path, database: _Database) -> None:
        self.folder = folder
        self._database = database
        row = database.one("SELECT * FROM project")
        self.name: str = row["name"]
        self.scheme = rows.scheme_from_json(row["scheme"])

    @classmethod
    def create(cls, folder: Path, *, name: str, scheme: ClassScheme) -> Self:
        """Make a new project in `folder` (made if missing) and open it; ProjectError when it holds one already."""
        path = folder / DATABASE
        if path.exists():
            advice = "Open it, or choose another folder for the new one."
            raise ProjectError(f"There is a project in {folder} already.", advice=advice)
        try:
            for part in (folder, folder / "masks", folder / "maps", folder / "models"):
                part.mkdir(parents=True, exist_ok=True)
            with file_beside(path) as partial:
                partial.touch()
                with closing(_Database(partial)) as database:
                    database.migrate()
                    with database.transaction():
                        scheme_json = rows.scheme_to_json(scheme)
                        database.insert("project", id=1, name=name, scheme=scheme_json, created=_now())
        except OSError as error:
            advice = "Choose a folder that you may write to, on a disk with free space."
            raise ProjectError(f"No project can be made in {folder}: {error.strerror}.", advice=advice) from error
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the project in `folder`, its database brought to this schema (a copy of the old one is kept beside).

        Slides that were moved together with the project are found. Raises ProjectError when there is no project, when
        it is broken, or when a newer HistoLoop wrote it.
        """
        folder = folder.absolute()
        path = folder / DATABASE
        if not path.is_file():
            advice = f"Choose the folder that holds {DATABASE}, or make a new project."
            raise ProjectError(f"There is no project in {folder}.", advice=advice)
        database = _Database(path)
        try:
            database.check_is_project()
            database.migrate()
            database.use_write_ahead_log()
            project = cls(folder, database)
            project._follow_own_move()
        except BaseException:
            database.close()
            raise
        return project

    def close(self) -> None:
        """Close the database; the project can be opened again."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Folders and settings

    @property
    def masks_folder(self) -> Path:
        """Where the masks of annotations are."""
        return self.folder / "masks"

    @property
    def maps_folder(self) -> Path:
        """Where the maps of slides are, each in a folder of its own."""
        return self.folder / "maps"

    @property
    def models_folder(self) -> Path:
        """Where the models made in this project are."""
        return self.folder / "models"

    def new_map_folder(self, slide_id: int, model_id: int) -> Path:
        """A name under `maps_folder` that nothing uses yet; the folder is not made."""
        return self.maps_folder / f"slide-{slide_id:04d}-model-{model_id:04d}-{secrets.token_hex(4)}"

    def new_model_folder(self, round_number: int) -> Path:
        """A name under `models_folder` that nothing uses yet; the folder is not made."""
        return self.models_folder / f"round-{round_number:03d}-{secrets.token_hex(4)}"

    def get_setting(self, key: str) -> Any:
        """A setting's JSON value; None when it was never set."""
        row = self._database.first("SELECT value FROM setting WHERE key = ?", key)
        return None if row is None else json.loads(row["value"])

    def set_setting(self, key: str, value: Any) -> None:
        """Keep a JSON value (TypeError for any other) under a key."""
        text = json.dumps(value)
        with self._database.transaction():
            self._database.run("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", key, text)

    # Slides

    def add_slide(self, path: Path, *, width: int, height: int, mpp: float | None, vendor: str) -> SlideRecord:
        """Refer to a slide file; one that is here already is returned as it is, one that was removed comes back.

        A missing slide of the project with the same fingerprint is taken to have moved here. Raises SlideError when
        the file cannot be read, ProjectError when its content is no longer what the project knows by this path.
        """
        path = path.absolute()
        mark = fingerprint(path)
        with self._database.transaction():
            if known := self._database.first("SELECT * FROM slide WHERE path = ?", str(path)):
                _check_same(path, known["fingerprint"], mark)
                slide_id: int = known["id"]
                self._database.run("UPDATE slide SET removed = NULL WHERE id = ?", slide_id)
            elif lost := [slide for slide in self.slides() if not slide.found and slide.fingerprint == mark]:
                slide_id = lost[0].id
                self._point_slide(slide_id, path)
            else:
                slide_id = self._database.insert(
                    "slide",
                    path=str(path),
                    relative_path=self._relative(path),
                    name=path.name,
                    fingerprint=mark,
                    width=width,
                    height=height,
                    mpp=mpp,
                    vendor=vendor,
                    added=_now(),
                )
        return self.slide(slide_id)

    def slides(self) -> list[SlideRecord]:
        """The slides, in the order they were added."""
        return [rows.slide_of(row) for row in self._database.all(f"{SELECT_SLIDES} ORDER BY slide.id")]

    def slide(self, slide_id: int) -> SlideRecord:
        """One slide."""
        return rows.slide_of(self._database.one(f"{SELECT_SLIDES} AND slide.id = ?", slide_id))

    def remove_slide(self, slide_id: int) -> None:
        """Take a slide out of the project with its annotations and queries; adding its file again brings them back."""
        self._set_slide(slide_id, "removed", _now())

    def set_mpp(self, slide_id: int, mpp: float) -> None:
        """Say how many micrometres a level-0 pixel of the slide is wide.

        Maps and predictions that were made at another resolution no longer count.
        """
        if not mpp > 0:
            raise ValueError(f"mpp must be positive, not {mpp}")
        before = self.slide(slide_id).mpp
        with self._database.transaction():
            self._database.run("UPDATE slide SET mpp = ? WHERE id = ?", mpp, slide_id)
            if before != mpp:
                self._database.run("DELETE FROM map WHERE slide_id = ?", slide_id)
                self._database.run("DELETE FROM prediction WHERE slide_id = ?", slide_id)

    def set_slide_label(self, slide_id: int, label: str | None, *, person: str) -> None:
        """Say what the whole slide is, in the words of the scheme; None takes it back. What was said before is kept."""
        self._check_label(label)
        self.slide(slide_id)
        with self._database.transaction():
            self._database.insert("slide_label", slide_id=slide_id, label=label, person=person, created=_now())

    def slide_label(self, slide_id: int) -> SlideLabel | None:
        """What the whole slide is, by whom and when that was said; None while nobody said it, or took it back."""
        said = self.slide_labels(slide_id)
        return said[-1] if said and said[-1].label is not None else None

    def slide_labels(self, slide_id: int) -> list[SlideLabel]:
        """Everything that was ever said of the whole slide, oldest first."""
        self.slide(slide_id)
        found = self._database.all("SELECT * FROM slide_label WHERE slide_id = ? ORDER BY id", slide_id)
        return [rows.slide_label_of(row) for row in found]

    def set_tissue(self, slide_id: int, tissue_px: float) -> None:
        """Keep how much tissue the slide has, in level-0 pixels."""
        self._set_slide(slide_id, "tissue_px", tissue_px)

    def set_prediction(self, slide_id: int, model_id: int, probabilities: Mapping[str, float]) -> None:
        """Keep the probability per label that a model gave a slide; the newest of a model counts.

        The labels of the current model are the project's (ValueError otherwise); a model brought in to compare with
        may have labels of its own.
        """
        if self.model(model_id).status is ModelStatus.CURRENT:
            for name in probabilities:
                self._check_label(name)
        text = json.dumps({name: float(value) for name, value in probabilities.items()})
        with self._database.transaction():
            self._database.insert(
                "prediction", slide_id=slide_id, model_id=model_id, probabilities=text, created=_now()
            )

    def prediction(self, slide_id: int, model_id: int) -> dict[str, float] | None:
        """The probability per label that a model gave a slide; None when it has not been predicted with it."""
        row = self._database.first(
            "SELECT probabilities FROM prediction WHERE slide_id = ? AND model_id = ? ORDER BY id DESC LIMIT 1",
            slide_id,
            model_id,
        )
        return None if row is None else dict(json.loads(row["probabilities"]))

    def relocate(self, slide_id: int, path: Path) -> SlideRecord:
        """Say where the file of a slide is now; ProjectError when it is another slide's."""
        path = path.absolute()
        _check_same(path, self.slide(slide_id).fingerprint, fingerprint(path))
        with self._database.transaction():
            self._point_slide(slide_id, path)
        return self.slide(slide_id)

    def find_moved(self, folder: Path) -> list[SlideRecord]:
        """Look under `folder` for the slides whose files are missing, by fingerprint; the slides found again."""
        found = [
            (slide, path)
            for slide in self.slides()
            if not slide.found and (path := find_by_fingerprint(slide.fingerprint, folder.absolute()))
        ]
        return [self.relocate(slide.id, path) for slide, path in found]

    def _set_slide(self, slide_id: int, column: str, value: float | str) -> None:
        self.slide(slide_id)
        with self._database.transaction():
            self._database.run(f"UPDATE slide SET {column} = ? WHERE id = ?", value, slide_id)

    def _point_slide(self, slide_id: int, path: Path) -> None:
        values = (str(path), self._relative(path), path.name, slide_id)
        self._database.run("UPDATE slide SET path = ?, relative_path = ?, name = ? WHERE id = ?", *values)

    def _relative(self, path: Path) -> str | None:
        """The path as seen from the project, so that both can move together; None between drives of Windows."""
        try:
            return Path(os.path.relpath(path, self.folder)).as_posix()
        except ValueError:
            return None

    def _follow_own_move(self) -> None:
        """Find the slides that were moved together with the project folder."""
        lost = {slide.id: slide for slide in self.slides() if not slide.found}
        for row in self._database.all("SELECT id, relative_path FROM slide WHERE relative_path IS NOT NULL"):
            path = Path(os.path.normpath(self.folder / row["relative_path"]))
            if row["id"] in lost and path.is_file() and fingerprint(path) == lost[row["id"]].fingerprint:
                self.relocate(row["id"], path)

    # Models, maps, rounds

    def add_model(
        self,
        folder_name: str,
        *,
        hash: str,
        parent: int | None,
        round: int,
        status: ModelStatus | str = ModelStatus.CANDIDATE,
    ) -> ModelRecord:
        """Keep a model: its folder's name under `models_folder`, or the absolute path of one that lies elsewhere."""
        with self._database.transaction():
            if ModelStatus(status) is ModelStatus.CURRENT:
                self._keep_current_model()
            model_id = self._database.insert(
                "model",
                folder=folder_name,
                hash=hash,
                parent=parent,
                round=round,
                status=ModelStatus(status),
                created=_now(),
            )
        return self.model(model_id)

    def models(self) -> list[ModelRecord]:
        """The models, in the order they were added."""
        return [rows.model_of(row, self.models_folder) for row in self._database.all("SELECT * FROM model ORDER BY id")]

    def model(self, model_id: int) -> ModelRecord:
        """One model."""
        return rows.model_of(self._database.one("SELECT * FROM model WHERE id = ?", model_id), self.models_folder)

    def current_model(self) -> ModelRecord:
        """The model that predicts and asks now; ProjectError before the first."""
        return self._first_model("SELECT * FROM model WHERE status = 'current'")

    def current_card(self) -> Card:
        """The card of the current model."""
        return load_card(self.current_model().folder)

    def base_model(self) -> ModelRecord:
        """The model that the project began with: theta_0, from which every retraining starts again."""
        return self._first_model("SELECT * FROM model WHERE parent IS NULL ORDER BY id LIMIT 1")

    def make_current(self, model_id: int) -> None:
        """Let this model predict and ask from now on; the one that did is kept."""
        self.set_model_status(model_id, ModelStatus.CURRENT)

    def set_model_status(self, model_id: int, status: ModelStatus) -> None:
        """Say where a model stands; when it becomes the current one, the one that was is kept."""
        self.model(model_id)
        with self._database.transaction():
            if ModelStatus(status) is ModelStatus.CURRENT:
                self._keep_current_model()
            self._database.update("model", model_id, status=ModelStatus(status))

    def _first_model(self, sql: str) -> ModelRecord:
        row = self._database.first(sql)
        if row is None:
            raise ProjectError(f"{self.folder} has no such model yet.", advice="Choose a model for the project.")
        return rows.model_of(row, self.models_folder)

    def _keep_current_model(self) -> None:
        self._database.run("UPDATE model SET status = ? WHERE status = ?", ModelStatus.KEPT, ModelStatus.CURRENT)

    def add_map(self, slide_id: int, model_id: int, folder_name: str) -> None:
        """Keep which folder under `maps_folder` holds the maps of a slide by a model; the newest counts."""
        with self._database.transaction():
            self._database.insert("map", slide_id=slide_id, model_id=model_id, folder=folder_name, created=_now())

    def map_folder(self, slide_id: int, model_id: int | None = None) -> Path | None:
        """The folder of the newest maps of a slide by a model (None: the current one); None when there are none."""
        row = self._database.first(
            """SELECT map.folder FROM map JOIN model ON model.id = map.model_id
            WHERE map.slide_id = ? AND (model.id = ? OR ? IS NULL AND model.status = 'current')
            ORDER BY map.id DESC LIMIT 1""",
            slide_id,
            model_id,
            model_id,
        )
        folder = None if row is None else self.maps_folder / row["folder"]
        return folder if folder is not None and folder.is_dir() else None

    def add_round(
        self, model_id: int, parent: int | None, figures: Mapping[str, float], annotations: int
    ) -> RoundRecord:
        """Keep a retraining: the model made, the one before, its figures, and how many annotations it learned from."""
        with self._database.transaction():
            number = self._database.one("SELECT COALESCE(MAX(number), 0) + 1 AS next FROM round")["next"]
            round_id = self._database.insert(
                "round",
                number=number,
                model_id=model_id,
                parent=parent,
                figures=json.dumps(dict(figures)),
                annotations=annotations,
                created=_now(),
            )
        return rows.round_of(self._database.one("SELECT * FROM round WHERE id = ?", round_id))

    def rounds(self) -> list[RoundRecord]:
        """The retrainings, oldest first; numbered from 1."""
        return [rows.round_of(row) for row in self._database.all("SELECT * FROM round ORDER BY number")]

    # Queries

    def add_queries(self, queries: Iterable[NewQuery]) -> list[QueryRecord]:
        """Put regions into the queue, all or none."""
        now = _now()
        with self._database.transaction():
            ids = [
                self._database.insert(
                    "query",
                    slide_id=query.slide_id,
                    **_edges(query.region),
                    strategy=query.strategy,
                    score=float(query.score),
                    round=query.round,
                    reason=query.reason,
                    class_name=query.class_name,
                    status=QueryStatus.OPEN,
                    created=now,
                    updated=now,
                )
                for query in queries
            ]
        return [self.query(query_id) for query_id in ids]

    def queries(
        self,
        status: QueryStatus | None = QueryStatus.OPEN,
        *,
        slide_id: int | None = None,
        class_name: str | None = None,
    ) -> list[QueryRecord]:
        """Queries of a status (None: all), of a slide, of a class; newest round first, then highest score."""
        found = self._database.all(
            f"""{SELECT_QUERIES} AND (?1 IS NULL OR query.status = ?1) AND (?2 IS NULL OR slide_id = ?2)
            AND (?3 IS NULL OR class_name = ?3) ORDER BY round DESC, score DESC, query.id""",
            status,
            slide_id,
            class_name,
        )
        return [rows.query_of(row) for row in found]

    def query(self, query_id: int) -> QueryRecord:
        """One query."""
        return rows.query_of(self._database.one("SELECT * FROM query WHERE id = ?", query_id))

    def set_query_status(self, query_id: int, status: QueryStatus) -> None:
        """Say where a query stands; only open ones are in the queue."""
        self.query(query_id)
        with self._database.transaction():
            self._set_query_status(query_id, status)

    def supersede_open_queries(self) -> int:
        """Close the queries nobody answered, because new ones are asked; how many there were."""
        with self._database.transaction():
            sql = "UPDATE query SET status = ?, updated = ? WHERE status = ?"
            return self._database.run(sql, QueryStatus.SUPERSEDED, _now(), QueryStatus.OPEN)

    def _set_query_status(self, query_id: int, status: QueryStatus) -> None:
        values = (QueryStatus(status), _now(), query_id)
        self._database.run("UPDATE query SET status = ?, updated = ? WHERE id = ?", *values)

    # Annotations

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
        continues: AnnotationRecord | None = None,
    ) -> AnnotationRecord:
        """Begin a draft that starts from `mask` ((region.height, region.width), or both divided by one downsample).

        `origin_model` is the hash of the model that predicted the mask, `origin` where all of its pixels come from:
        HUMAN for a mask that was drawn elsewhere. `continues` is a finished annotation without a mask, whose label and
        size the draft begins with; one with a mask is reopened instead.
        """
        self.slide(slide_id)
        plane = np.full(mask.shape, origin, dtype=np.uint8)
        return self._insert_annotation(
            mask,
            plane,
            continues,
            slide_id=slide_id,
            region=region,
            model_hash=origin_model,
            person=person,
            query_id=query_id,
        )

    def add_annotation_without_mask(
        self,
        slide_id: int,
        region: Region,
        *,
        label: str | None,
        size: float | None,
        person: str,
        query_id: int | None = None,
    ) -> AnnotationRecord:
        """Keep a label, a size (foreground fraction), or both, of a region as a finished annotation; closes its query.

        A mask that the region was given before stays its mask.
        """
        self.slide(slide_id)
        self._check_said(label, size)
        now = _now()
        with self._database.transaction():
            place = self._finish_without_mask(slide_id, region)
            annotation_id = self._database.insert(
                "annotation",
                slide_id=slide_id,
                **_edges(region),
                **place,
                status=AnnotationStatus.DONE,
                person=person,
                query_id=query_id,
                created=now,
                updated=now,
            )
            self._say(annotation_id, label, size, person)
            if query_id is not None:
                self._set_query_status(query_id, QueryStatus.ANNOTATED)
        return self.annotation(annotation_id)

    def reopen_annotation(self, annotation_id: int, *, person: str | None = None) -> AnnotationRecord:
        """A new draft that continues from a finished annotation, by the same person unless said.

        The finished one counts until the draft is done: the newest done of a region wins.
        """
        old = self.annotation(annotation_id)
        if old.status is AnnotationStatus.DRAFT:
            raise ValueError(f"annotation {annotation_id} is a draft; it needs no reopening")
        mask, origin = self.load_mask(annotation_id)
        return self._insert_annotation(
            mask,
            origin,
            old,
            slide_id=old.slide_id,
            region=old.region,
            model_hash=old.model_hash,
            person=old.person if person is None else person,
            query_id=old.query_id,
            held_out=old.held_out,
        )

    def attach_query(self, annotation_id: int, query_id: int) -> AnnotationRecord:
        """Let a draft answer a query, which leaves the queue with it."""
        self._draft_row(annotation_id)
        self.query(query_id)
        with self._database.transaction():
            self._database.update("annotation", annotation_id, query_id=query_id)
        return self.annotation(annotation_id)

    def append_patch(self, annotation_id: int, patch: Patch) -> None:
        """Add a change to the journal of a draft; on disk when this returns, whatever happens to the process."""
        row = self._draft_row(annotation_id)
        self._check_patch(row, patch)
        height, width = patch.values.shape
        now = _now()
        with self._database.transaction():
            self._database.insert(
                "patch",
                annotation_id=annotation_id,
                x=patch.x,
                y=patch.y,
                width=width,
                height=height,
                payload=zlib.compress(np.ascontiguousarray(patch.values).tobytes()),
                created=now,
            )
            self._database.run("UPDATE annotation SET updated = ? WHERE id = ?", now, annotation_id)

    def assess_annotation(
        self, annotation_id: int, *, label: str | None, size: float | None, person: str | None = None
    ) -> None:
        """Say label and size (foreground fraction) of a draft as they are now; None: not said, or taken back.

        On disk when this returns, whatever happens to the process; what was said before is kept.
        """
        row = self._draft_row(annotation_id)
        self._check_label(label)
        _check_size(size)
        with self._database.transaction():
            self._say(annotation_id, label, size, row["person"] if person is None else person)
            self._database.update("annotation", annotation_id, updated=_now())

    def assessments(self, annotation_id: int) -> list[Assessment]:
        """Every label and size that was ever said of an annotation, oldest first; the last one counts."""
        found = self._database.all("SELECT * FROM assessment WHERE annotation_id = ? ORDER BY id", annotation_id)
        return [rows.assessment_of(row) for row in found]

    def load_mask(self, annotation_id: int) -> tuple[Mask, Mask]:
        """Mask and origin (values of `Origin`) of an annotation, both (H, W): for a draft its journal replayed.

        A pixel whose value a patch changed is of HUMAN origin. ValueError for one that was done without a mask.
        """
        row = self._annotation_row(annotation_id)
        if row["mask_file"] is not None:
            return read_plane(self.masks_folder / row["mask_file"]), read_plane(self.masks_folder / row["origin_file"])
        if row["status"] == AnnotationStatus.DONE:
            raise ValueError(f"annotation {annotation_id} was done without a mask")
        mask = read_plane(self.masks_folder / row["base_mask_file"])
        origin = read_plane(self.masks_folder / row["base_origin_file"])
        for patch in self._journal(annotation_id):
            before = mask.copy()
            apply_patch(mask, patch)
            origin[mask != before] = Origin.HUMAN
        return mask, origin

    def finish_annotation(
        self,
        annotation_id: int,
        status: AnnotationStatus,
        *,
        label: str | None = None,
        size: float | None = None,
        with_mask: bool = True,
    ) -> AnnotationRecord:
        """Close a draft, and its query with it. A label or size that is None leaves what was said before.

        DONE writes the mask and its origins to files of their own, pixels nobody touched as ACCEPTED, and settles
        whether the region is held out (`is_held_out`): a region done before, or overlapping such a one, goes where
        that one went, so that no pixel both trains and judges. Without `with_mask` the draft's mask is set aside and
        only label and size are done; a mask that the region was given before stays its mask.
        """
        if status not in _QUERY_STATUS_AFTER:
            raise ValueError(f"an annotation is finished as done, skipped or cannot tell, not {status}")
        row = self._draft_row(annotation_id)
        label = row["label"] if label is None else label
        size = row["size"] if size is None else size
        done = status is AnnotationStatus.DONE
        self._check_said(label, size, needed=done and not with_mask)
        files = self._write_final_planes(row) if done and with_mask else {}
        with self._database.transaction():
            self._draft_row(annotation_id)
            changes = {"status": status, "updated": _now(), **files}
            if done and with_mask:
                changes |= self._place_in_order(row["slide_id"], rows.region_of(row))
            elif done:
                changes |= self._finish_without_mask(row["slide_id"], rows.region_of(row))
            self._database.update("annotation", annotation_id, **changes)
            if (label, size) != (row["label"], row["size"]):
                self._say(annotation_id, label, size, row["person"])
            if row["query_id"] is not None:
                self._set_query_status(row["query_id"], _QUERY_STATUS_AFTER[status])
        return self.annotation(annotation_id)

    def annotations(
        self, slide_id: int | None = None, status: AnnotationStatus | None = None
    ) -> list[AnnotationRecord]:
        """All annotations ever begun (of a slide, of a status), oldest first."""
        found = self._database.all(
            f"""{SELECT_ANNOTATIONS} AND (?1 IS NULL OR slide_id = ?1) AND (?2 IS NULL OR status = ?2)
            ORDER BY annotation.id""",
            slide_id,
            status,
        )
        return [rows.annotation_of(row) for row in found]

    def finished_annotations(self) -> list[AnnotationRecord]:
        """The annotations that count, in order of finishing: of each region the newest done, with a mask or without."""
        found = self._database.all(f"{SELECT_ANNOTATIONS} AND {NEWEST_DONE} ORDER BY finish_order")
        return [rows.annotation_of(row) for row in found]

    def training_annotations(self) -> list[AnnotationRecord]:
        """Those of them that have a mask; held-out ones too."""
        return [record for record in self.finished_annotations() if record.has_mask]

    def annotation(self, annotation_id: int) -> AnnotationRecord:
        """One annotation."""
        return rows.annotation_of(self._annotation_row(annotation_id))

    def find_draft(self, slide_id: int, region: Region) -> AnnotationRecord | None:
        """The newest draft of a region, to go on with after a crash; None when there is none."""
        drafts = self.annotations(slide_id, AnnotationStatus.DRAFT)
        return next((draft for draft in reversed(drafts) if draft.region == region), None)

    def _insert_annotation(
        self,
        mask: Mask,
        origin: Mask,
        continues: AnnotationRecord | None,
        *,
        slide_id: int,
        region: Region,
        person: str,
        **values: float | str | None,
    ) -> AnnotationRecord:
        downsample = _mask_downsample(region, mask)
        self._check_values(mask)
        stem = _stem(slide_id, region)
        mask_file = write_plane(self.masks_folder, mask, stem=f"{stem}-start")
        origin_file = write_plane(self.masks_folder, origin, stem=f"{stem}-start-origin")
        now = _now()
        with self._database.transaction():
            annotation_id = self._database.insert(
                "annotation",
                slide_id=slide_id,
                **_edges(region),
                **values,
                person=person,
                mask_downsample=downsample,
                status=AnnotationStatus.DRAFT,
                created=now,
                updated=now,
                base_mask_file=mask_file,
                base_origin_file=origin_file,
                continues=None if continues is None else continues.id,
            )
            if continues is not None and (continues.label, continues.size) != (None, None):
                self._say(annotation_id, continues.label, continues.size, person)
        return self.annotation(annotation_id)

    def _write_final_planes(self, row: rows.Row) -> dict[str, Any]:
        mask, origin = self.load_mask(row["id"])
        origin[origin == Origin.UNTOUCHED] = Origin.ACCEPTED
        stem = _stem(row["slide_id"], rows.region_of(row))
        return {
            "mask_file": write_plane(self.masks_folder, mask, stem=stem),
            "origin_file": write_plane(self.masks_folder, origin, stem=f"{stem}-origin"),
        }

    def _finish_without_mask(self, slide_id: int, region: Region) -> dict[str, Any]:
        """What a region done with label or size alone is kept with: the mask it was given before, or none."""
        before = self._database.first(SELECT_MASK_OF_REGION, slide_id=slide_id, **_edges(region))
        if before is not None:
            return dict(before) | self._place_in_order(slide_id, region)
        nothing = {"mask_downsample": None, "model_hash": None, "held_out": False}
        return nothing | {"finish_order": self._last_done()["finish_order"] + 1}

    def _place_in_order(self, slide_id: int, region: Region) -> dict[str, Any]:
        """When a mask is done: its place among what is done, its region's number, whether it is held out."""
        last = self._last_done()
        earlier = self._database.first(SELECT_EARLIEST_OVERLAP, slide_id=slide_id, **_edges(region))
        number = last["region_number"] + 1 if earlier is None else earlier["region_number"]
        held_out = is_held_out(number) if earlier is None else bool(earlier["held_out"])
        return {"finish_order": last["finish_order"] + 1, "region_number": number, "held_out": held_out}

    def _last_done(self) -> rows.Row:
        return self._database.one(
            """SELECT COALESCE(MAX(finish_order), 0) AS finish_order, COALESCE(MAX(region_number), 0) AS region_number
            FROM annotation"""
        )

    def _say(self, annotation_id: int, label: str | None, size: float | None, person: str) -> None:
        self._database.insert(
            "assessment",
            annotation_id=annotation_id,
            label=label,
            size=None if size is None else float(size),
            person=person,
            created=_now(),
        )

    def _journal(self, annotation_id: int) -> Iterator[Patch]:
        for row in self._database.all("SELECT * FROM patch WHERE annotation_id = ? ORDER BY id", annotation_id):
            values = np.frombuffer(zlib.decompress(row["payload"]), dtype=np.uint8)
            yield Patch(row["x"], row["y"], values.reshape(row["height"], row["width"]))

    def _annotation_row(self, annotation_id: int) -> rows.Row:
        return self._database.one(f"{SELECT_EVERY_ANNOTATION} WHERE annotation.id = ?", annotation_id)

    def _draft_row(self, annotation_id: int) -> rows.Row:
        row = self._annotation_row(annotation_id)
        if row["status"] != AnnotationStatus.DRAFT:
            raise ValueError(f"annotation {annotation_id} is {row['status']}, not a draft; reopen it to change it")
        return row

    def _check_patch(self, row: rows.Row, patch: Patch) -> None:
        height, width = patch.values.shape
        bottom, right = _mask_shape(rows.region_of(row), row["mask_downsample"])
        if min(patch.x, patch.y) < 0 or patch.x + width > right or patch.y + height > bottom:
            raise ValueError(f"a patch of {width} x {height} at ({patch.x}, {patch.y}) reaches past the mask")
        self._check_values(patch.values)

    def _check_values(self, mask: Mask) -> None:
        if mask.dtype != np.uint8 or mask.ndim != 2 or mask.size == 0:
            raise ValueError(f"a mask is (H, W) uint8, not {mask.shape} {mask.dtype}")
        if int(mask.max()) > len(self.scheme.masks):
            raise ValueError(f"mask value {mask.max()} where the highest class is {len(self.scheme.masks)}")

    def _check_said(self, label: str | None, size: float | None, *, needed: bool = True) -> None:
        self._check_label(label)
        _check_size(size)
        if needed and label is None and size is None:
            raise ValueError("an annotation without a mask needs a label or a size")

    def _check_label(self, label: str | None) -> None:
        if label is not None and label not in self.scheme.label_names:
            raise ValueError(f"no label {label!r}; there are {', '.join(self.scheme.label_names)}")


class _Database:
    """A connection to project.db, and the errors of SQLite in words for the user."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
            )
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        self._connection.close()

    def check_is_project(self) -> None:
        """Raise ProjectError for a database of something else."""
        if self._pragma("application_id") != APPLICATION_ID or self._pragma("user_version") < 1:
            advice = f"Choose a folder whose {DATABASE} was made by HistoLoop."
            raise ProjectError(f"{self.path} is not the database of a project.", advice=advice)

    def use_write_ahead_log(self) -> None:
        """Let others read while one writes."""
        with self._explained():
            self._connection.execute("PRAGMA journal_mode = WAL")

    def migrate(self) -> None:
        """Bring the tables to the newest schema in one step, after a copy of an older database was put beside it."""
        version = self._pragma("user_version")
        if version > len(MIGRATIONS):
            advice = "Update the program, or open one of the copies beside the database."
            raise ProjectError(f"{self.path} was written by a newer HistoLoop.", advice=advice)
        if version == len(MIGRATIONS):
            return
        if version > 0:
            self._copy_beside(version)
        # A table that others refer to can only be made anew while foreign keys are off, and they can only be switched
        # outside of a transaction (sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema Changes").
        self.run("PRAGMA foreign_keys = OFF")
        try:
            with self.transaction():
                self._run_migrations()
        finally:
            self.run("PRAGMA foreign_keys = ON")

    def _run_migrations(self) -> None:
        # The version is read again, now that nobody else can write: another process may have migrated meanwhile.
        for script in MIGRATIONS[self._pragma("user_version") :]:
            for statement in script.split(";"):
                self.run(statement)
        self.run(f"PRAGMA application_id = {APPLICATION_ID}")
        self.run(f"PRAGMA user_version = {len(MIGRATIONS)}")
        if broken := self.all("PRAGMA foreign_key_check"):
            table = broken[0]["table"]
            advice = "Restore the project's folder from a backup, or open it with the HistoLoop it was made with."
            raise ProjectError(f"{self.path} refers to rows of its table {table} that are gone.", advice=advice)

    def all(self, sql: str, *values: object, **named: object) -> list[sqlite3.Row]:
        with self._explained():
            found: list[sqlite3.Row] = self._connection.execute(sql, named or values).fetchall()
            return found

    def first(self, sql: str, *values: object, **named: object) -> sqlite3.Row | None:
        found = self.all(sql, *values, **named)
        return found[0] if found else None

    def one(self, sql: str, *values: object) -> sqlite3.Row:
        row = self.first(sql, *values)
        if row is None:
            raise ValueError(f"nothing in the project has the id {', '.join(map(str, values))}")
        return row

    def run(self, sql: str, *values: object) -> int:
        """Execute a statement of a transaction; how many rows it changed."""
        with self._explained():
            return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, **values: object) -> int:
        """Add a row within a transaction; its id."""
        marks = ", ".join("?" * len(values))
        with self._explained():
            sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"
            row_id = self._connection.execute(sql, tuple(values.values())).lastrowid
        assert row_id is not None
        return row_id

    def update(self, table: str, row_id: int, **values: object) -> None:
        """Change a row within a transaction."""
        columns = ", ".join(f"{column} = ?" for column in values)
        self.run(f"UPDATE {table} SET {columns} WHERE id = ?", *values.values(), row_id)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, durably, or nothing does."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _pragma(self, name: str) -> int:
        row = self.first(f"PRAGMA {name}")
        return 0 if row is None else int(row[0])

    def _copy_beside(self, version: int) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = self.path.with_name(f"{self.path.stem}-version-{version}-{stamp}.db")
        with self._explained(), closing(sqlite3.connect(path)) as copy:
            self._connection.backup(copy)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.IntegrityError as error:
            raise ValueError(f"the project cannot hold this: {error}") from error
        except sqlite3.DatabaseError as error:
            raise ProjectError(f"{self.path}: {error}.", advice=_advice(error)) from error


def _advice(error: sqlite3.DatabaseError) -> str:
    if "locked" in str(error):
        return "Another program is writing to this project: wait for it or close it, then try again."
    if isinstance(error, sqlite3.OperationalError):
        return "Check that the project's folder may be written to and that its disk is not full."
    return "The file is broken: restore the project's folder from a backup."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _edges(region: Region) -> dict[str, int]:
    return {"x": region.x, "y": region.y, "width": region.width, "height": region.height}


def _stem(slide_id: int, region: Region) -> str:
    return f"slide-{slide_id:04d}-x{region.x}-y{region.y}"


def _check_size(size: float | None) -> None:
    if size is not None and not 0 <= size <= 1:
        raise ValueError(f"size is a fraction of the region, between 0 and 1, not {size}")


def _mask_shape(region: Region, downsample: float) -> tuple[int, int]:
    return round(region.height / downsample), round(region.width / downsample)


def _mask_downsample(region: Region, mask: Mask) -> float:
    """Level-0 pixels per mask pixel; ValueError when the mask's shape is not the region's."""
    downsample = region.width / mask.shape[1] if mask.ndim == 2 and mask.size else 0.0
    if downsample < 1 or mask.shape != _mask_shape(region, downsample):
        raise ValueError(f"a mask of shape {mask.shape} for a region of {region.width} x {region.height} pixels")
    return downsample


def _check_same(path: Path, expected: str, found: str) -> None:
    if found != expected:
        advice = "Choose the file that was added to the project, or add this one as a slide of its own."
        raise ProjectError(f"{path} is not the slide it should be: its content differs.", advice=advice)
