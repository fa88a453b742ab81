"""Tissue is found once a slide, and anew where the slide or the way of finding it is another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import histoloop
from histoloop.errors import ReplacedSlideError, SlideError
from histoloop.slides.tissue import Survey, TissueMask, find_tissue, survey
from histoloop.store.array_cache import CACHE
from histoloop.store.project import Project
from histoloop.workflows.contents import kept_tissue
from histoloop.workflows.contents.kept_tissue import survey_of_slide, tissue_of_slide
from histoloop.workflows.contents.slides import open_project_slide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.slides.reader import Slide
    from histoloop.store.records import SlideRecord


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked for in slides, in order."""
    done: list[str] = []

    def find(slide: Slide) -> TissueMask:
        done.append("tissue")
        return find_tissue(slide)

    def look(slide: Slide, *, sampled: bool = False) -> Survey:
        done.append("sampled" if sampled else "survey")
        return survey(slide, sampled=sampled)

    monkeypatch.setattr(kept_tissue, "find_tissue", find)
    monkeypatch.setattr(kept_tissue, "survey", look)
    return done


def test_masks_are_found_once_and_come_back_as_they_were(
    project: Project, add_slide: Callable[..., SlideRecord], looked: list[str]
) -> None:
    record = add_slide(until=70)
    with open_project_slide(record) as slide:
        expected, tissue = survey(slide), find_tissue(slide)
    assert 0 < expected.tissue.mask.mean() < 1
    for _time in range(2):
        found = survey_of_slide(project, record)
        for own, theirs in ((found.tissue, expected.tissue), (found.specimen, expected.specimen)):
            np.testing.assert_array_equal(own.mask, theirs.mask)
            assert own.mask.dtype == np.bool_
            assert own.downsample == theirs.downsample
        np.testing.assert_array_equal(tissue_of_slide(project, record).mask, tissue.mask)
    assert looked == ["survey", "tissue"]


def test_a_slide_that_is_open_is_looked_at_as_it_is(
    project: Project, add_slide: Callable[..., SlideRecord], looked: list[str]
) -> None:
    record = add_slide()
    with open_project_slide(record) as slide:
        first = survey_of_slide(project, record, slide=slide)
        np.testing.assert_array_equal(survey_of_slide(project, record, slide=slide).tissue.mask, first.tissue.mask)
    assert looked == ["survey"]


def test_a_survey_of_the_whole_will_do_for_a_sampled_one_and_not_the_other_way_round(
    project: Project, add_slide: Callable[..., SlideRecord], looked: list[str]
) -> None:
    record, other = add_slide("a.png"), add_slide("b.png")
    survey_of_slide(project, record)
    survey_of_slide(project, record, sampled=True)
    for _time in range(2):
        survey_of_slide(project, other, sampled=True)
    survey_of_slide(project, other)
    assert looked == ["survey", "sampled", "survey"]


def test_slides_of_other_content_or_resolution_are_looked_at_anew(
    project: Project, add_slide: Callable[..., SlideRecord], looked: list[str]
) -> None:
    record = add_slide("a.png")
    survey_of_slide(project, record)
    survey_of_slide(project, add_slide("b.png"))
    survey_of_slide(project, replace(record, mpp=0.25))
    assert len(looked) == 3


@pytest.mark.parametrize(("where", "what"), [(kept_tissue, "RULE"), (histoloop, "__version__")])
def test_another_way_of_finding_looks_anew(
    project: Project,
    add_slide: Callable[..., SlideRecord],
    looked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    what: str,
) -> None:
    record = add_slide()
    survey_of_slide(project, record)
    monkeypatch.setattr(where, what, "another")
    survey_of_slide(project, record)
    assert len(looked) == 2


@pytest.mark.parametrize("damage", ["cut", "foreign", "deleted"])
def test_what_is_damaged_is_as_if_it_had_not_been_kept(
    project: Project, add_slide: Callable[..., SlideRecord], looked: list[str], damage: str
) -> None:
    record = add_slide()
    first = tissue_of_slide(project, record)
    (path,) = (project.folder / CACHE / "tissue").iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "foreign":
        from safetensors.numpy import save_file

        save_file({"tissue": np.zeros(9, np.uint8), "tissue size": np.array([3.0, 4.0, 1.0])}, path)
    else:
        path.unlink()
    np.testing.assert_array_equal(tissue_of_slide(project, record).mask, first.mask)
    assert looked == ["tissue", "tissue"]


def test_a_slide_that_is_gone_or_replaced_is_refused_though_its_masks_are_kept(
    project: Project, add_slide: Callable[..., SlideRecord], paint_tissue: Callable[..., Path]
) -> None:
    record = add_slide()
    survey_of_slide(project, record)
    paint_tissue(record.path, seed=5)
    with pytest.raises(ReplacedSlideError):
        survey_of_slide(project, record)
    record.path.unlink()
    with pytest.raises(SlideError):
        survey_of_slide(project, record)


def test_nothing_is_kept_in_a_folder_that_is_a_link(
    project: Project, add_slide: Callable[..., SlideRecord], looked: list[str], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (project.folder / CACHE).symlink_to(tmp_path / "elsewhere")
    record = add_slide()
    for _time in range(2):
        survey_of_slide(project, record)
    assert looked == ["survey", "survey"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_project_that_is_only_looked_at_is_left_as_it_is(
    project: Project, add_slide: Callable[..., SlideRecord], looked: list[str]
) -> None:
    record = add_slide()
    with Project.open(project.folder, read_only=True) as reading:
        survey_of_slide(reading, record, sampled=True)
    assert not (project.folder / CACHE).exists()
    survey_of_slide(project, record)
    with Project.open(project.folder, read_only=True) as reading:
        survey_of_slide(reading, record)
    assert looked == ["sampled", "survey"]
