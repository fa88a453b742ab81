"""Only slides that are where they were, and are what they were, count as predicted and are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.errors import ProjectError
from histoloop.progress import finish
from histoloop.workflows.contents.candidate_regions import find_candidate_regions
from histoloop.workflows.prediction import predict
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.queries.ask import ask
from histoloop.workflows.regions.tiles import unlabelled_regions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord


@pytest.fixture
def three(
    project: Project,
    add_slide: Callable[..., SlideRecord],
    add_map: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> list[SlideRecord]:
    """Predicted slides: the first in its place, one that moved, and one that another took the place of."""
    monkeypatch.setattr(predict, "load_project_model", lambda _folder, _device: None)  # nothing is left to predict
    slides = [add_slide(f"{name}.png", width=400, height=400) for name in "abc"]
    for slide in slides:
        add_map(slide, 0.5)
        project.predictions.add(slide.id, project.models.current().id, {})
    slides[1].path.rename(slides[1].path.with_name("moved.png"))
    slides[2].path.write_bytes(slides[0].path.read_bytes() + b"\0")
    return slides


def test_slides_that_moved_or_were_replaced_are_told_though_they_were_predicted_before(
    project: Project, three: list[SlideRecord]
) -> None:
    report = finish(predict_project(project, device="cpu"))
    assert report.predicted == (three[0].id,)
    (moved, why_moved), (replaced, why_replaced) = report.failed
    assert (moved, replaced) == ("b.png", "c.png")
    assert "the file is not where it was. Connect its disk, or use 'Find moved slides'" in why_moved
    assert f"{three[2].path} is not the slide it should be: its content differs." in why_replaced


def test_regions_are_chosen_on_slides_in_their_place_alone(project: Project, three: list[SlideRecord]) -> None:
    asked = finish(find_candidate_regions(project, region_map_px=128)).regions
    free = finish(unlabelled_regions(project, mpp=1.0, count=100, seed=0))
    assert {candidate.slide.id for candidate in asked} == {slide.id for slide, _region in free} == {three[0].id}


def test_where_no_slide_is_in_its_place_asking_says_so(project: Project, three: list[SlideRecord]) -> None:
    three[0].path.unlink()
    with pytest.raises(ProjectError, match="none of the slide files was found"):
        finish(ask(project, strategy="random", count=1, seed=0))
