"""The annotations of a project as a list for people: what they say, and deleting some. Needs neither torch nor Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.annotations.records import LEFT_OUT_VALUE, AnnotationStatus, Counts, Origin
from histoloop.language import mark, tr
from histoloop.store.records import AnnotationRecord, SlideRecord
from histoloop.workflows.contents.masks import said_mask
from histoloop.workflows.contents.slides import open_project_slide

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from histoloop.annotations.records import ClassScheme, Mask
    from histoloop.store.project import Project

HELD_OUT = "held out"
SMALL_MM2 = 0.01
"""Smaller areas are shown in square micrometres."""
BACKGROUND = mark("background")
STATES = {
    "draft": mark("Draft"),
    "done": mark("Done"),
    HELD_OUT: mark("Held out"),
    "skipped": mark("Skipped"),
    "cannot tell": mark("Cannot tell"),
}
"""What an annotation can be, and how that is called; `HELD_OUT` is done, and judges models instead of training them."""


@dataclass(frozen=True, slots=True)
class ListedAnnotation:
    """An annotation with the name of its slide, and what it is (of `STATES`)."""

    record: AnnotationRecord
    slide: SlideRecord
    state: str


def listed_annotations(project: Project) -> list[ListedAnnotation]:
    """Drafts with work in them, and how each region ended, the newest first; what was deleted is not among them."""
    slides = {slide.id: slide for slide in project.slides.all()}
    return [
        ListedAnnotation(record, slides[record.slide_id], _state_of(record)) for record in project.annotations.listed()
    ]


def _state_of(record: AnnotationRecord) -> str:
    done = record.status is AnnotationStatus.DONE
    return HELD_OUT if done and record.has_mask and record.held_out else str(record.status)


def annotated_mask(project: Project, record: AnnotationRecord) -> Mask | None:
    """The mask (H, W) of an annotation, `LEFT_OUT_VALUE` where it says nothing; None where nobody painted any.

    Of a draft of strokes that is all that is not painted yet.
    """
    if record.has_mask:
        return said_mask(project, record)
    if record.status is AnnotationStatus.DONE or not project.drafts.has_strokes(record.id):
        return None
    mask, origin = project.annotations.load_painted(record.id)
    left_out = origin != Origin.HUMAN if record.counts is Counts.STROKES else origin == Origin.LEFT_OUT
    mask[left_out] = LEFT_OUT_VALUE
    return mask


def class_areas(mask: Mask, scheme: ClassScheme, *, mpp: float | None, downsample: float = 1.0) -> dict[str, float]:
    """The area of each class that a mask has, by name, in square millimetres, or in level-0 pixels without `mpp`.

    Background counts where the mask says something (not where it has `LEFT_OUT_VALUE`). A mask pixel is `downsample`
    level-0 pixels wide.
    """
    pixel = downsample**2 if mpp is None else (downsample * mpp / 1000) ** 2
    counts = np.bincount(mask.ravel(), minlength=LEFT_OUT_VALUE + 1)
    names = {0: BACKGROUND, **dict(enumerate(scheme.mask_names, start=1))}
    return {name: float(counts[value] * pixel) for value, name in names.items() if counts[value]}


def areas_of(project: Project, listed: ListedAnnotation) -> dict[str, float]:
    """`class_areas` of an annotation; empty where nobody painted."""
    mask = annotated_mask(project, listed.record)
    if mask is None:
        return {}
    downsample = listed.record.mask_downsample or 1.0
    return class_areas(mask, project.scheme, mpp=listed.slide.mpp, downsample=downsample)


def thumbnail(
    slide: SlideRecord, record: AnnotationRecord, mask: Mask | None, scheme: ClassScheme, *, side_px: int
) -> NDArray[np.uint8]:
    """(h, w, 3) a region with the edges of its mask, at most `side_px` wide and high; SlideError without its file."""
    region = record.region
    with open_project_slide(slide) as opened:
        downsample = max(region.width, region.height) / side_px
        pixels = np.array(opened.read_region_scaled(region, downsample=max(1.0, downsample)))
    if mask is None:
        return pixels
    height, width = pixels.shape[:2]
    small = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
    inside = np.ones_like(small, np.bool_)
    for axis in (0, 1):
        for step in (-1, 1):
            inside &= np.roll(small, step, axis) == small
    for value, mask_class in enumerate(scheme.masks, start=1):
        pixels[(small == value) & ~inside] = [int(mask_class.colour[at : at + 2], 16) for at in (1, 3, 5)]
    return pixels


def delete_annotations(project: Project, ids: Sequence[int], *, person: str) -> dict[int, str]:
    """Delete annotations as one step that can be taken back; what is not in the list is passed over, with a reason.

    Nothing is learned from them any more and they judge no model; their files stay in the project's folder.
    """
    project.check_writable()
    there = {each.record.id for each in listed_annotations(project)}
    unknown = {number: "there is no such annotation in the list" for number in ids if number not in there}
    project.deletions.delete([number for number in dict.fromkeys(ids) if number in there], person=person)
    return unknown


def areas_in_words(areas: Mapping[str, float], *, mpp: float | None) -> list[tuple[str, str]]:
    """(class, area with its unit), the largest first, background last."""
    ranked = sorted(areas, key=lambda name: (name == BACKGROUND, -areas[name]))
    return [
        (name, tr("{area:,.0f} px", area=areas[name]) if mpp is None else _in_words(areas[name])) for name in ranked
    ]


def _in_words(area_mm2: float) -> str:
    if area_mm2 < SMALL_MM2:
        return tr("{area:,.0f} \N{MICRO SIGN}m\N{SUPERSCRIPT TWO}", area=area_mm2 * 1e6)
    return tr("{area:.3g} mm\N{SUPERSCRIPT TWO}", area=area_mm2)
