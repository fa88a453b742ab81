"""What files would become with what was chosen for them so far, and what is still to be decided. No widgets."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from histoloop.annotations.records import Counts
from histoloop.exchange.outlines.classes import NOTHING
from histoloop.geometry import Region
from histoloop.gui.dialogs.import_files import FileEntry
from histoloop.gui.kit.widgets import visible_name
from histoloop.language import tr, tr_plural
from histoloop.store.records import AnnotationRecord
from histoloop.workflows.contents.import_preview import FilePreview, regions_of, which_lie_in, which_overlap
from histoloop.workflows.contents.mask_files import MaskFile
from histoloop.workflows.import_annotations import PlannedImport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False)
class FilePlan:
    """A file that was looked at: what was `chosen` for its classes (None: nothing yet) and what of it `counts`.

    `regions` are those that it would become, `earlier` the finished annotations in them.
    """

    entry: FileEntry
    preview: FilePreview
    chosen: tuple[str | None, ...]
    counts: Counts
    regions: tuple[Region, ...]
    earlier: tuple[AnnotationRecord, ...]

    @staticmethod
    def of(entry: FileEntry, preview: FilePreview, chosen: Sequence[str | None], counts: Counts) -> FilePlan:
        """The plan for a file."""
        regions = tuple(regions_of(preview, chosen, counts=counts))
        touched = which_overlap([record.region for record in preview.earlier], regions)
        return FilePlan(
            entry, preview, tuple(chosen), counts, regions, tuple(itertools.compress(preview.earlier, touched))
        )

    def coming(self, keeps: Callable[[int], bool]) -> list[Region]:
        """The regions but for those that are left to what stays there."""
        stays = [record.region for record in self.preview.earlier if keeps(record.id)]
        lie_in = which_lie_in(self.regions, stays)
        return [region for region, lies in zip(self.regions, lie_in, strict=True) if not lies]

    @property
    def brings_nothing(self) -> bool:
        """Whether all its classes are left out."""
        return all(own == NOTHING for own in self.chosen)

    def planned(self, keeps: Callable[[int], bool], remember: Mapping[str, str]) -> PlannedImport:
        """As it is imported."""
        preview, entry = self.preview, self.entry
        chosen = {
            foreign.names: own for foreign, own in zip(preview.classes, self.chosen, strict=True) if own is not None
        }
        file = MaskFile(
            entry.path,
            frame=entry.frame,
            units_um=entry.units_um,
            chosen=chosen,
            corner=entry.corner,
            counts=self.counts,
        )
        seen = frozenset(record.id for record in preview.earlier)
        return PlannedImport(
            file,
            preview.stamp,
            preview.slide_id,
            self.regions,
            preview.slide_is_there,
            seen,
            frozenset(filter(keeps, seen)),
            remember,
        )


def why_not_yet(
    entries: Sequence[FileEntry],
    plans: Sequence[FilePlan],
    *,
    undecided: Sequence[str],
    coming: int,
    slide_names: Mapping[int, str],
) -> str:
    """Why nothing can be imported yet; empty where it can.

    `undecided` are the classes that nothing was chosen for, `coming` the number of regions that would be annotated.
    """
    if not entries:
        return tr("Add files from QuPath, ASAP or ImageScope, or mask images.")
    if any(entry.is_read for entry in entries):
        return tr("Files are still being read.")
    if without := [entry.path.name for entry in entries if entry.slide_id is None]:
        return tr("Choose the slide of {name}.", name=visible_name(without[0]))
    if troubled := [entry.path.name for entry in entries if entry.trouble]:
        return tr(
            "{name} cannot be imported as it is: set its position, or remove it from the list.",
            name=visible_name(troubled[0]),
        )
    if twice := _meant_twice(plans):
        return tr(
            "{one} and {other} cover the same area of {slide}: import one after the other.",
            one=visible_name(twice[0].path.name),
            other=visible_name(twice[1].path.name),
            slide=visible_name(slide_names[twice[0].slide_id]),
        )
    if undecided:
        return tr_plural(
            "{count} class has no matching class in the project yet: {names}.",
            "{count} classes have no matching class in the project yet: {names}.",
            len(undecided),
            names=", ".join(map(visible_name, undecided[:_NAMED])) + (", …" if len(undecided) > _NAMED else ""),
        )
    if all(plan.brings_nothing for plan in plans) and not all(plan.preview.is_picture for plan in plans):
        return tr("No outline would be imported: choose a class for at least one.")
    return "" if coming else tr("All of it lies in regions that stay as they are: let the file replace at least one.")


def what_comes(coming: int) -> str:
    """How many regions would be annotated, in words."""
    return tr_plural("{count} region will be annotated.", "{count} regions will be annotated.", coming)


def _meant_twice(plans: Sequence[FilePlan]) -> tuple[FilePreview, FilePreview] | None:
    """Two files of which one would replace what the other brings."""
    for one, other in itertools.combinations(plans, 2):
        if one.preview.slide_id == other.preview.slide_id and any(which_overlap(one.regions, other.regions)):
            return one.preview, other.preview
    return None
