"""Rows of the database to records."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import reprlib
import types
import typing
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

import numpy as np

from histoloop.annotations.records import AnnotationStatus, Counts, Mask, Origin, Patch, QueryStatus, rgb
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.language import tr
from histoloop.store.records import (
    AnnotationRecord,
    Assessment,
    ClassChangeKind,
    ClassChangeRecord,
    ClassRecord,
    ModelRecord,
    ModelStatus,
    MppFrom,
    QueryRecord,
    RoundRecord,
    SlideLabel,
    SlideRecord,
    Step,
    StepKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_SIDE_PX = 100_000_000
"""Of a slide or region; the largest slides have less than a million."""

Record = TypeVar("Record")
Values = ParamSpec("Values")


def _checked(read: Callable[Values, Record]) -> Callable[Values, Record]:
    """Let a reader of rows raise ProjectError for a row that the program cannot have written."""

    @functools.wraps(read)
    def checked(*args: Values.args, **options: Values.kwargs) -> Record:
        with damage_explained():
            record = read(*args, **options)
            _check_values(record)
        return record

    return checked


@contextmanager
def damage_explained() -> Iterator[None]:
    """Turn what a value that the program cannot have written leads to into a ProjectError."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ProjectError(
            tr("The project's database is damaged: {reason}.", reason=reprlib.repr(str(error))),
            advice=tr("Restore the project's folder from a backup."),
        ) from error


@functools.cache
def _kinds_of(record: Any) -> dict[str, tuple[Any, ...]]:
    """The types that each field of a record may have."""
    hints = typing.get_type_hints(record)
    return {
        field.name: tuple(
            typing.get_origin(kind) or kind
            for kind in (typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,))
        )
        for field in dataclasses.fields(record)
        for hint in (hints[field.name],)
    }


def _check_values(record: Any) -> None:
    """Raise TypeError or ValueError for a record with a value of a wrong type, or one that cannot be."""
    kind: Any = type(record)
    for name, kinds in _kinds_of(kind).items():
        value = getattr(record, name)
        if not isinstance(value, (*kinds, int) if float in kinds else kinds):
            raise TypeError(f"{name} is {reprlib.repr(value)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} is {value}")
        if isinstance(value, int) and name in ("width", "height") and not 0 < value <= LONGEST_SIDE_PX:
            raise ValueError(f"{name} is {value}")
        if isinstance(value, str | Path) and "\0" in str(value):
            raise ValueError(f"{name} is {reprlib.repr(value)}")
        if isinstance(value, Region):
            _check_values(value)


def numbers_of(text: str) -> dict[str, float]:
    """Numbers by name, of a JSON object; ProjectError for another."""
    with damage_explained():
        table = json.loads(text)
        if not isinstance(table, dict):
            raise TypeError(reprlib.repr(text))
        for name, value in table.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} is {reprlib.repr(value)}")
        return table


class Row(Protocol):
    """A row of a table, its values by the names of the columns."""

    def __getitem__(self, column: str, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


def region_of(row: Row) -> Region:
    """The region of a row with columns x, y, width, height."""
    return Region(row["x"], row["y"], row["width"], row["height"])


def edges_of(region: Region) -> dict[str, int]:
    """Those columns of a region."""
    return {"x": region.x, "y": region.y, "width": region.width, "height": region.height}


@_checked
def slide_of(row: Row, *, name: str) -> SlideRecord:
    """A slide, of SELECT_SLIDES, by a name that tells it apart."""
    given = None if row["label"] is None else slide_label_of(row)
    return SlideRecord(
        id=row["id"],
        path=Path(row["path"]),
        name=name,
        fingerprint=row["fingerprint"],
        width=row["width"],
        height=row["height"],
        mpp=row["mpp"],
        vendor=row["vendor"],
        given_label=given,
        predicted=None if row["predicted"] is None else numbers_of(row["predicted"]),
        tissue_px=row["tissue_px"],
        unlike=row["unlike"],
        mpp_from=MppFrom(row["mpp_from"]),
        objective=row["objective"],
        stated_case="" if row["stated_case"] is None else str(json.loads(row["stated_case"])),
    )


@_checked
def slide_label_of(row: Row) -> SlideLabel:
    """The label given to a slide at one time."""
    return SlideLabel(row["label"], row["person"], row["created"])


@_checked
def assessment_of(row: Row) -> Assessment:
    """The label and size given to a region at one time."""
    return Assessment(row["label"], row["size"], row["person"], row["created"])


@_checked
def model_of(row: Row, models_folder: Path) -> ModelRecord:
    """A model; its folder is relative to the models of the project, or absolute for one that lies elsewhere."""
    return ModelRecord(
        id=row["id"],
        folder=models_folder / row["folder"],
        hash=row["hash"],
        parent=row["parent"],
        round=row["round"],
        status=ModelStatus(row["status"]),
        created=row["created"],
    )


@_checked
def annotation_of(row: Row) -> AnnotationRecord:
    """An annotation."""
    return AnnotationRecord(
        id=row["id"],
        slide_id=row["slide_id"],
        region=region_of(row),
        mask_downsample=row["mask_downsample"],
        has_mask=row["mask_file"] is not None,
        status=AnnotationStatus(row["status"]),
        label=row["label"],
        size=row["size"],
        person=row["person"],
        created=row["created"],
        updated=row["updated"],
        held_out=bool(row["held_out"]),
        model_hash=row["model_hash"],
        query_id=row["query_id"],
        continues=row["continues"],
        counts=Counts(row["counts"]),
        reading_of=row["reading_of"],
        adjudicated=row["adjudicated"],
        adjudicator=row["adjudicator"],
    )


@_checked
def step_of(row: Row) -> Step:
    """A step."""
    detail = json.loads(row["detail"])
    status = detail.get("status", detail.get("after") if row["kind"] == StepKind.LEFT_OUT else None)
    return Step(
        id=row["id"],
        kind=StepKind(row["kind"]),
        slide_id=row["slide_id"],
        annotation_id=row["annotation_id"],
        query_id=row["query_id"],
        person=row["person"],
        status=None if status is None else AnnotationStatus(status),
        undone=row["undone"] is not None,
    )


@_checked
def query_of(row: Row) -> QueryRecord:
    """A query."""
    return QueryRecord(
        id=row["id"],
        slide_id=row["slide_id"],
        region=region_of(row),
        strategy=row["strategy"],
        score=row["score"],
        round=row["round"],
        evidence=json.loads(row["evidence"]),
        class_name=row["class_name"],
        status=QueryStatus(row["status"]),
        created=row["created"],
    )


@_checked
def round_of(row: Row) -> RoundRecord:
    """A round."""
    return RoundRecord(
        id=row["id"],
        number=row["number"],
        model_id=row["model_id"],
        parent=row["parent"],
        figures=numbers_of(row["figures"]),
        annotations=row["annotations"],
        created=row["created"],
        person=row["person"],
    )


def patch_of(row: Row) -> Patch:
    """A change of a mask; ProjectError when it is damaged."""
    with damage_explained():
        region = region_of(row)
        _check_values(region)
        values = _plane_of(row["payload"], region)
        origins = None if row["origins"] is None else _plane_of(row["origins"], region)
        if origins is not None and origins.max() > max(Origin):
            raise ValueError(f"a pixel has the origin {origins.max()}")
        return Patch(region.x, region.y, values, origins)


def _plane_of(packed: bytes, region: Region) -> Mask:
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(packed, region.area + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(content) != region.area or not reader.eof:
        raise ValueError(f"a change of {region.width} x {region.height} pixels has others")
    return np.frombuffer(content, dtype=np.uint8).reshape(region.height, region.width)


def packed_plane(plane: Mask) -> bytes:
    """A (H, W) plane of a change, as the journal keeps it."""
    return zlib.compress(np.ascontiguousarray(plane).tobytes())


@_checked
def class_of(row: Row) -> ClassRecord:
    """A mask class."""
    rgb(row["colour"])
    return ClassRecord(row["id"], row["name"], row["colour"])


@_checked
def class_change_of(row: Row) -> ClassChangeRecord:
    """A change of the mask classes."""
    detail = json.loads(row["detail"])
    return ClassChangeRecord(
        ClassChangeKind(row["kind"]),
        detail.get("name", ""),
        detail.get("to", ""),
        row["created"],
        row["undone"] is not None,
    )
