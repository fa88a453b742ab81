"""Rows of the database to records, and class schemes to JSON and back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Protocol

from histoloop.annotations.records import AnnotationStatus, ClassScheme, LabelClass, MaskClass, QueryStatus
from histoloop.geometry import Region
from histoloop.store.records import (
    AnnotationRecord,
    Assessment,
    ModelRecord,
    ModelStatus,
    QueryRecord,
    RoundRecord,
    SlideLabel,
    SlideRecord,
    Step,
    StepKind,
)


class Row(Protocol):
    """A row of a table, its values by the names of the columns."""

    def __getitem__(self, column: str, /) -> Any: ...


def region_of(row: Row) -> Region:
    """The region of a row with columns x, y, width, height."""
    return Region(row["x"], row["y"], row["width"], row["height"])


def edges_of(region: Region) -> dict[str, int]:
    """Those columns of a region."""
    return {"x": region.x, "y": region.y, "width": region.width, "height": region.height}


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
        predicted=None if row["predicted"] is None else json.loads(row["predicted"]),
        tissue_px=row["tissue_px"],
    )


def slide_label_of(row: Row) -> SlideLabel:
    """The label given to a slide at one time."""
    return SlideLabel(row["label"], row["person"], row["created"])


def assessment_of(row: Row) -> Assessment:
    """The label and size given to a region at one time."""
    return Assessment(row["label"], row["size"], row["person"], row["created"])


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
    )


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


def round_of(row: Row) -> RoundRecord:
    """A round."""
    return RoundRecord(
        id=row["id"],
        number=row["number"],
        model_id=row["model_id"],
        parent=row["parent"],
        figures=json.loads(row["figures"]),
        annotations=row["annotations"],
        created=row["created"],
    )


def scheme_to_json(scheme: ClassScheme) -> str:
    """The classes as JSON text."""
    return json.dumps(dataclasses.asdict(scheme))


def scheme_from_json(text: str) -> ClassScheme:
    """The classes of such a text."""
    table = json.loads(text)
    return ClassScheme(
        labels=tuple(LabelClass(**label) for label in table["labels"]),
        masks=tuple(MaskClass(**mask) for mask in table["masks"]),
    )
