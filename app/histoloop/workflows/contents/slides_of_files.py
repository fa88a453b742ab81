"""Which slide of a project a file of annotations belongs to, by its name."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from histoloop.exchange.naming import stem_of_slide, unique_stems

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.store.records import SlideRecord


def slides_of_file(file: Path, slides: Sequence[SlideRecord]) -> list[SlideRecord]:
    """The slides that a file is named after: NAME.geojson, NAME.svs.geojson, NAME_mask.png, and as exports are named.

    A slide's name with its ending comes before one without; several where the name does not tell them apart, none
    where no slide is called so. Case makes no difference.
    """
    stem = stem_of_slide(file)
    exported = unique_stems([slide.path for slide in slides], names=[slide.name for slide in slides])
    whole = {slide.id: (slide.name, PurePath(slide.name).name, slide.path.name) for slide in slides}
    short = {slide.id: (exported[slide.path], PurePath(slide.name).stem, slide.path.stem) for slide in slides}
    for names in (whole, short):
        found = [slide for slide in slides if stem in {name.casefold() for name in names[slide.id]}]
        if found:
            return found
    return []
