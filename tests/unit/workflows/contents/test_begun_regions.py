"""What a person began to paint on a slide, to be shown again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.records import AnnotationStatus, Patch
from histoloop.geometry import Region
from histoloop.workflows import annotate
from histoloop.workflows.contents.masks import begun_regions

if TYPE_CHECKING:
    from histoloop.store.project import Project

REGION = Region(10, 20, 40, 30)


def test_what_one_began_has_ones_strokes_until_it_is_done(project: Project, add_slide) -> None:
    slide = add_slide(mpp=1.0)
    draft = annotate.begin(project, slide_id=slide.id, region=REGION, person="Ada")
    assert begun_regions(project, slide.id, "Ada") == []
    project.drafts.append_patch(draft.id, Patch(5, 6, np.full((4, 8), 1, np.uint8)))
    ((region, mask),) = begun_regions(project, slide.id, "Ada")
    assert region == REGION
    assert (mask[6:10, 5:13] == 1).all()
    assert np.count_nonzero(mask) == 32
    project.drafts.finish(draft.id, AnnotationStatus.DONE)
    assert begun_regions(project, slide.id, "Ada") == []


def test_what_another_began_is_not_shown(project: Project, add_slide) -> None:
    slide = add_slide(mpp=1.0)
    draft = annotate.begin(project, slide_id=slide.id, region=REGION, person="Ada")
    project.drafts.append_patch(draft.id, Patch(0, 0, np.full((4, 8), 1, np.uint8)))
    assert begun_regions(project, slide.id, "Ben") == []
