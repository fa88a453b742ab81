"""What of a project is exported, and where each pixel and outline of it comes from. Needs neither torch nor Qt."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import shapely

from histoloop.annotations.records import LEFT_OUT_VALUE, Origin
from histoloop.exchange.tables import PLAIN, TableStyle
from histoloop.localisation.bands import MaskBands
from histoloop.workflows.contents.masks import lay_over, said_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from histoloop.annotations.records import ClassScheme, Mask
    from histoloop.localisation.contours import Polygon
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord

Format = Literal["geojson", "png", "tiff"]
DrawnBy = Literal["person", "accepted", "model"]
FORMATS: tuple[Format, ...] = get_args(Format)
DRAWN_BY: tuple[DrawnBy, ...] = get_args(DrawnBy)
MIXED = "person and model"

_MODEL, _ACCEPTED, _PERSON = 1, 2, 3
HAND_NUMBERS: Mapping[DrawnBy, int] = {"model": _MODEL, "accepted": _ACCEPTED, "person": _PERSON}
"""The values of `drawn_in_band`."""


@dataclass(frozen=True, slots=True)
class ExportChoices:
    """Which slides (ids; None: all) and mask classes (names; None: all) are exported, as which files, drawn by whom.

    'person' is what somebody painted, 'accepted' what the model drew and somebody left as it was in a finished region,
    'model' everything else. The tables are always written, in the given style. ValueError for a format or hand that
    there is not, and where nothing is chosen.
    """

    slide_ids: frozenset[int] | None = None
    classes: frozenset[str] | None = None
    formats: frozenset[Format] = frozenset(FORMATS)
    drawn_by: frozenset[DrawnBy] = frozenset(DRAWN_BY)
    table: TableStyle = PLAIN

    def __post_init__(self) -> None:
        if not self.formats <= set(FORMATS) or not self.drawn_by <= set(DRAWN_BY):
            raise ValueError(f"cannot export {sorted(self.formats)} drawn by {sorted(self.drawn_by)}")
        if not self.drawn_by or self.classes == frozenset() or self.slide_ids == frozenset():
            raise ValueError("an export needs a slide, a class, and somebody who drew")

    def chosen(
        self, scheme: ClassScheme, bands: MaskBands, project: Project, slide_id: int, downsample: float
    ) -> MaskBands:
        """The bands of a slide's mask with 0 in place of what is not chosen; what was left out stays so."""
        dropped = [
            value
            for value, name in enumerate(scheme.mask_names, start=1)
            if self.classes is not None and name not in self.classes
        ]
        all_hands = self.drawn_by == set(DRAWN_BY)
        if not dropped and all_hands:
            return bands
        painted = finished_on(project, slide_id)

        def made() -> Iterator[Mask]:
            top = 0
            for band in bands:
                kept = band.copy()
                if not all_hands:
                    drawn = drawn_in_band(project, painted, band.shape, top=top, downsample=downsample)
                    hands = [HAND_NUMBERS[one] for one in self.drawn_by]
                    kept[(kept != LEFT_OUT_VALUE) & ~np.isin(drawn, hands)] = 0
                kept[np.isin(kept, dropped)] = 0
                yield kept
                top += len(band)

        return MaskBands(bands.height, bands.width, made)


def finished_on(project: Project, slide_id: int) -> list[AnnotationRecord]:
    """The finished regions of a slide that have a mask, in the order of finishing."""
    return [record for record in project.annotations.with_mask() if record.slide_id == slide_id]


def drawn_in_band(
    project: Project, painted: Sequence[AnnotationRecord], shape: tuple[int, ...], *, top: int, downsample: float
) -> Mask:
    """Who drew each pixel (of `HAND_NUMBERS`) of a band of this shape that begins at row `top` of a slide's mask."""
    drawn = np.full(shape, _MODEL, np.uint8)
    bottom = top + shape[0]
    for one in painted:
        if one.region.y < bottom * downsample and one.region.bottom > top * downsample:
            lay_over(drawn, _hands(project, one), one.region, downsample=downsample, top=top)
    return drawn


def _hands(project: Project, record: AnnotationRecord) -> Mask:
    """Who drew each pixel of a finished region."""
    _mask, origin = project.annotations.load_mask(record.id)
    return np.where(origin == Origin.HUMAN, _PERSON, _ACCEPTED).astype(np.uint8)


# --- outlines ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an outline comes from: `drawn_by` 'person', 'accepted', 'model' or 'person and model'.

    `person` finished the region at `time` (ISO 8601, UTC), both empty for the model's own outlines; several persons and
    times stand with semicolons between. `model` is the hash of the model in use, empty where a person drew it alone.
    """

    drawn_by: str
    person: str
    time: str
    model: str


class Provenances:
    """Tells where the outlines of a slide's mask come from, by the finished regions that they share pixels with."""

    def __init__(self, project: Project, slide_id: int) -> None:
        self._project = project
        self._painted = finished_on(project, slide_id)
        self._model = project.models.current().hash
        edges = [(one.region.x, one.region.y, one.region.right, one.region.bottom) for one in self._painted]
        self._edges_N4 = np.array(edges, np.float64).reshape(-1, 4)
        self._planes = functools.lru_cache(maxsize=8)(self._read_planes)  # of regions that outlines come from in turn

    def of(self, polygon: Polygon) -> Provenance:
        """Inside of finished regions it is a person's where most of its class there was painted, else accepted.

        An outline that also lies outside of them is 'person and model'.
        """
        left_top, right_bottom = polygon.exterior.min(axis=0), polygon.exterior.max(axis=0)
        meets_N = (self._edges_N4[:, :2] < right_bottom).all(axis=1) & (self._edges_N4[:, 2:] > left_top).all(axis=1)
        numbers = np.flatnonzero(meets_N).tolist()
        shape = shapely.Polygon(polygon.exterior, polygon.holes) if numbers else None
        boxes = {number: shapely.box(*self._edges_N4[number]) for number in numbers}
        here = [self._painted[number] for number in numbers if boxes[number].intersection(shape).area > 0]
        if shape is None or not here:
            return Provenance("model", "", "", self._model)
        persons = ";".join(dict.fromkeys(one.person for one in here if one.person))
        times = ";".join(dict.fromkeys(one.updated for one in here))
        if shapely.union_all(list(boxes.values())).intersection(shape).area < OUTSIDE * shape.area:
            return Provenance(MIXED, persons, times, self._model)
        by_hand = self._painted_share(polygon, here) > 0.5
        return Provenance("person" if by_hand else "accepted", persons, times, "" if by_hand else self._model)

    def _read_planes(self, annotation_id: int) -> tuple[Mask, Mask]:
        """Mask and hands of a finished region."""
        record = next(one for one in self._painted if one.id == annotation_id)
        return said_mask(self._project, record), _hands(self._project, record)

    def _painted_share(self, polygon: Polygon, here: Sequence[AnnotationRecord]) -> float:
        """Of the pixels of the outline's class in its box, the share that somebody painted."""
        (left, top), (right, bottom) = polygon.exterior.min(axis=0), polygon.exterior.max(axis=0)
        painted = total = 0
        for one in here:
            region = one.region
            part = np.s_[
                max(0, int(top) - region.y) : max(0, int(bottom) - region.y),
                max(0, int(left) - region.x) : max(0, int(right) - region.x),
            ]
            mask, hands = self._planes(one.id)
            own = mask[part] == polygon.value
            painted += int((own & (hands[part] == _PERSON)).sum())
            total += int(own.sum())
        return painted / total if total else 0.0


OUTSIDE = 0.98
"""An outline with less of its area in finished regions is the model's too; a mask pixel may reach over their edge."""
