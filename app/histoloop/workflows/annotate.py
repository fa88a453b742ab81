"""What a person does with a region or slide: paint from the model's mask on, say label and size, skip, bring along."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.annotations.records import AnnotationStatus, Mask, Origin, QueryStatus
from histoloop.errors import DataError, ProjectError
from histoloop.exchange.geojson import read_geojson_mask
from histoloop.exchange.mask_pictures import read_mask
from histoloop.language import tr, tr_plural
from histoloop.store.maps import open_map
from histoloop.workflows.contents.masks import predicted_mask

if TYPE_CHECKING:
    from histoloop.geometry import Region
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord, SlideRecord


def begin(
    project: Project, *, slide_id: int, region: Region, query_id: int | None = None, person: str
) -> AnnotationRecord:
    """Start annotating a region from the current model's mask of it (empty where there is no map yet).

    An open draft of the same query or region is resumed, and a finished annotation of it reopened, instead. One that
    was finished without a mask goes on from its label and size, and from the model's mask.
    """
    draft = project.drafts.find(slide_id, region)
    if draft is not None:
        return draft if query_id is None else project.drafts.attach(draft.id, query_id)
    finished = _finished(project, slide_id, region)
    if finished is not None and finished.has_mask:
        return project.drafts.reopen(finished.id, person=person)
    mask, model_hash = starting_mask(project, slide_id, region)
    return project.drafts.start(
        slide_id, region, mask=mask, origin_model=model_hash, person=person, query_id=query_id, continues=finished
    )


def _finished(project: Project, slide_id: int, region: Region) -> AnnotationRecord | None:
    """What was said of just this region."""
    said = project.annotations.finished()
    return next((record for record in said if record.slide_id == slide_id and record.region == region), None)


def starting_mask(project: Project, slide_id: int, region: Region) -> tuple[Mask, str | None]:
    """The current model's mask of a region at level-0 resolution, and that model's hash; empty before a prediction."""
    folder = project.maps.find(slide_id)
    if folder is None:
        return np.zeros((region.height, region.width), np.uint8), None
    slide_map = open_map(folder)
    threshold = project.models.current_card().threshold
    return predicted_mask(slide_map, project.scheme, region, threshold=threshold), slide_map.model_hash


def finish(
    project: Project,
    annotation_id: int,
    *,
    label: str | None = None,
    size: float | None = None,
    with_mask: bool = True,
) -> AnnotationRecord:
    """Call a draft done: pixels nobody painted count as accepted; its query leaves the queue.

    Without `with_mask` only its label and size (foreground fraction) are done, and the mask of the draft is not used.
    """
    return project.drafts.finish(annotation_id, AnnotationStatus.DONE, label=label, size=size, with_mask=with_mask)


def skip(project: Project, query_id: int) -> None:
    """Take a query off the queue; it is not asked again."""
    project.queries.set_status(query_id, QueryStatus.SKIPPED)


def cannot_tell(project: Project, query_id: int) -> None:
    """Take a query off the queue as one that no one could answer."""
    project.queries.set_status(query_id, QueryStatus.CANNOT_TELL)


def label_slide(project: Project, *, slide_name: str, label: str, person: str) -> SlideRecord:
    """Say what a slide is as a whole, in the words of the project's classes."""
    _check_label(project, label)
    slide = _slide_called(project, slide_name)
    project.slides.set_label(slide.id, label, person=person)
    return project.slides.get(slide.id)


def import_annotation(
    project: Project,
    *,
    mask_file: Path | None = None,
    query_id: int | None = None,
    slide_name: str | None = None,
    region: Region | None = None,
    mask_class: str | None = None,
    label: str | None = None,
    size: float | None = None,
    person: str,
) -> AnnotationRecord:
    """Take mask, label and size, or some of them, as the finished annotation of a query's region, a region, or a slide.

    The mask is a picture or GeoJSON. A picture must have the region's shape; one of another size but the same
    proportions is scaled. Its non-zero values are mask values of the project's scheme, or all `mask_class` where that
    is given. Its pixels count as human. `size` is the foreground fraction of the region. What is not given stays as it
    was said before, except that a new mask says its own size.
    """
    slide, place = _place(project, query_id=query_id, slide_name=slide_name, region=region)
    _check_label(project, label)
    before = _finished(project, slide.id, place)
    label = before.label if before is not None and label is None else label
    if mask_file is None:
        size = before.size if before is not None and size is None else size
        if label is None and size is None:
            raise DataError(tr("There is nothing to annotate with."), advice=tr("Give a mask, a label or a size."))
        return project.annotations.add(slide.id, place, label=label, size=size, person=person, query_id=query_id)
    mask = _mask_from_file(project, mask_file, place, mask_class)
    draft = project.drafts.start(
        slide.id, place, mask=mask, origin_model=None, person=person, query_id=query_id, origin=Origin.HUMAN
    )
    return project.drafts.finish(draft.id, AnnotationStatus.DONE, label=label, size=size)


def _mask_from_file(project: Project, file: Path, place: Region, mask_class: str | None) -> Mask:
    value = None if mask_class is None else _mask_value(project, mask_class)
    if file.suffix.lower() in (".geojson", ".json"):
        return read_geojson_mask(file, place, project.scheme)
    return _in_scheme(_fit(read_mask(file), place, file), project, value, file)


def _check_label(project: Project, label: str | None) -> None:
    if label is not None and label not in project.scheme.label_names:
        raise DataError(
            tr("There is no label {label!r}.", label=label),
            advice=tr("Name one of {names}.", names=", ".join(project.scheme.label_names)),
        )


def _place(
    project: Project, *, query_id: int | None, slide_name: str | None, region: Region | None
) -> tuple[SlideRecord, Region]:
    """The slide and region meant: a query's, or a named slide's region or whole."""
    if query_id is not None:
        try:
            query = project.queries.get(query_id)
        except ValueError as error:
            raise ProjectError(
                tr("There is no query {number}.", number=query_id), advice=tr("List them with: histoloop query.")
            ) from error
        return project.slides.get(query.slide_id), query.region
    slide = _slide_called(project, slide_name)
    place = region or slide.extent
    if not slide.extent.contains(place):
        raise DataError(
            tr(
                "The region reaches past {slide} ({width} x {height} pixels).",
                slide=slide.name,
                width=slide.width,
                height=slide.height,
            ),
            advice=tr("Give x, y, width and height in level-0 pixels of the slide."),
        )
    return slide, place


def _slide_called(project: Project, name: str | None) -> SlideRecord:
    named = [slide for slide in project.slides.all() if name in (slide.name, str(slide.path), Path(slide.name).stem)]
    if len(named) != 1:
        names = ", ".join(slide.name for slide in project.slides.all()[:8])
        message = tr("No slides are called {name!r}.", name=name)
        if named:
            message = tr_plural(
                "{count} slide is called {name!r}.", "{count} slides are called {name!r}.", len(named), name=name
            )
        raise ProjectError(message, advice=tr("Name one by its file name or path: {names}.", names=names))
    return named[0]


def _mask_value(project: Project, name: str) -> int:
    try:
        return project.scheme.mask_value(name)
    except ValueError as error:
        names = ", ".join(project.scheme.mask_names)
        raise DataError(
            tr("no mask class {name!r}; there are {names}.", name=name, names=names),
            advice=tr("Name one of these classes."),
        ) from error


def _fit(mask: Mask, place: Region, file: Path) -> Mask:
    """The mask at the region's size; only one of the same proportions is scaled."""
    height, width = mask.shape
    if (width, height) == (place.width, place.height):
        return mask
    if abs(width * place.height - height * place.width) > max(place.width, place.height):
        raise DataError(
            tr(
                "{file} is {mask_width} x {mask_height} pixels; the region is {width} x {height}.",
                file=file,
                mask_width=width,
                mask_height=height,
                width=place.width,
                height=place.height,
            ),
            advice=tr("Give a mask of the region's size, or of the same proportions."),
        )
    return np.array(Image.fromarray(mask).resize((place.width, place.height), Image.Resampling.NEAREST))


def _in_scheme(mask: Mask, project: Project, value: int | None, file: Path) -> Mask:
    """Pixel values of the project's scheme: all `value` where one is given."""
    if value is not None:
        return np.where(mask > 0, value, 0).astype(np.uint8)
    if int(mask.max(initial=0)) > len(project.scheme.masks):
        raise DataError(
            tr_plural(
                "{file} holds the value {highest}; the project has {count} mask class.",
                "{file} holds the value {highest}; the project has {count} mask classes.",
                len(project.scheme.masks),
                file=file,
                highest=int(mask.max()),
            ),
            advice=tr(
                "Say what its foreground is: --mask-class {names}.", names=" or ".join(project.scheme.mask_names)
            ),
        )
    return mask
