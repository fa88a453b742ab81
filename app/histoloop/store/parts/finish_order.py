"""The order in which annotations are done, and which of them are held out to judge models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from histoloop.store import rows
from histoloop.store.schema import COUNT_SAMPLED_DONE, SELECT_EARLIEST_OVERLAP, SELECT_MASK_OF_REGION, SELECT_SAMPLED

if TYPE_CHECKING:
    from histoloop.geometry import Region
    from histoloop.store.project_database import Database


def is_held_out(number: int, *, sampled: bool = False, sampled_before: int = 0) -> bool:
    """Whether the region that is done as the `number`-th (from 1) judges models instead of training them.

    Every fourth, from the third: 3, 7, 11, ... A quarter is held out, and three annotations are enough to begin. Where
    some questions were sampled at random among others, these judge, for they alone stand for all tissue: of the
    `sampled` regions every other one, beginning with the first (`sampled_before` are done already), and none that a
    strategy chose.
    """
    if sampled:
        return sampled_before % 2 == 0
    return number % 4 == 3 and not sampled_before


class FinishOrder:
    """What the annotation of a region that is done next is kept with: columns of its row, by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def with_mask(self, slide_id: int, region: Region, query_id: int | None) -> dict[str, Any]:
        """When a mask is done: its place among what is done, its region's number, whether it is held out.

        A region done before, or overlapping such a one, goes where that one went.
        """
        last = self._last()
        earlier = self._database.first(SELECT_EARLIEST_OVERLAP, slide_id=slide_id, **rows.edges_of(region))
        place = {"finish_order": last["finish_order"] + 1}
        if earlier is not None:
            return place | {"region_number": earlier["region_number"], "held_out": bool(earlier["held_out"])}
        number = last["region_number"] + 1
        sampled = self._database.first(SELECT_SAMPLED, id=query_id) is not None
        before = self._database.one(COUNT_SAMPLED_DONE)["regions"]
        return place | {
            "region_number": number,
            "held_out": is_held_out(number, sampled=sampled, sampled_before=before),
        }

    def without_mask(self, slide_id: int, region: Region, query_id: int | None) -> dict[str, Any]:
        """When label or size alone is done: the mask that the region was given before, or none."""
        before = self._database.first(SELECT_MASK_OF_REGION, slide_id=slide_id, **rows.edges_of(region))
        if before is not None:
            return dict(before) | self.with_mask(slide_id, region, query_id)
        nothing = {"mask_downsample": None, "model_hash": None, "held_out": False}
        return nothing | {"finish_order": self._last()["finish_order"] + 1}

    def _last(self) -> rows.Row:
        return self._database.one(
            """SELECT COALESCE(MAX(finish_order), 0) AS finish_order, COALESCE(MAX(region_number), 0) AS region_number
            FROM annotation"""
        )
