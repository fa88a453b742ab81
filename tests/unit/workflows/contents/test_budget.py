"""The papers' advice goes by how much of a project is annotated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop.progress import finish
from histoloop.workflows.annotate import skip
from histoloop.workflows.contents.budget import advised, began_self_supervised
from histoloop.workflows.contents.candidate_regions import REGION_MAP_PX, about_how_many, find_candidate_regions
from histoloop.workflows.queries.ask import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

SIDE = REGION_MAP_PX


@pytest.fixture
def predicted(project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]) -> SlideRecord:
    """A slide of three regions, all tissue, that the model has seen."""
    slide = add_slide("wide.png", mpp=1.0, width=3 * SIDE, height=SIDE)
    add_map(slide, np.full((SIDE, 3 * SIDE), 0.5, np.float32))
    project.slides.set_tissue(slide.id, float(slide.extent.area))
    return slide


def test_nothing_is_advised_before_anything_is_predicted(project: Project) -> None:
    assert advised(project) is None


@pytest.mark.usefixtures("predicted")
def test_the_regions_left_are_counted_as_asking_would_find_them(project: Project) -> None:
    assert about_how_many(project) == len(finish(find_candidate_regions(project)).regions) == 3
    skip(project, finish(ask(project, count=1)).queries[0].id, person="Ada")
    assert about_how_many(project) == len(finish(find_candidate_regions(project)).regions) == 2
    assert about_how_many(project, region_map_px=SIDE // 2) > 6


@pytest.mark.usefixtures("predicted")
def test_without_annotations_the_papers_ask_at_random(project: Project) -> None:
    found = advised(project)
    assert found is not None
    assert (found.strategy, found.share) == ("random", 0.0)
    assert "0 of 3 regions" in found.text


def test_a_model_began_self_supervised_when_the_round_that_made_it_did(project: Project) -> None:
    assert not began_self_supervised(project)
    parent = project.models.current().id
    model = project.models.add("round-1", hash="h", parent=parent, round=1)
    project.rounds.add(model.id, parent, {"kind masks self-supervised": 1.0}, 3)
    assert not began_self_supervised(project)
    project.models.make_current(model.id)
    assert began_self_supervised(project)
