"""Annotations that come from elsewhere are one step of a person, taken back and done again as a whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from histoloop.annotations.records import Origin, QueryStatus
from histoloop.geometry import Region
from histoloop.store.project import DATABASE, Project
from histoloop.store.records import NewQuery, StepKind

SELECT_STEPS = "SELECT id, kind, slide_id, annotation_id, query_id, patch_id, person, detail, created, undone FROM step"
REGIONS = (Region(0, 0, 6, 5), Region(10, 0, 4, 5))


def planes(region: Region, value: int) -> tuple[Region, np.ndarray, np.ndarray]:
    shape = (region.height, region.width)
    return region, np.full(shape, value, np.uint8), np.full(shape, Origin.HUMAN, np.uint8)


def counting(project: Project) -> list[int]:
    return [record.id for record in project.annotations.finished()]


def test_all_regions_of_an_import_are_taken_back_and_done_again_together(project, slide):
    earlier = project.annotations.add_with_masks(slide.id, [planes(REGIONS[0], 1)], person="Bo")[0].id
    imported = [
        record.id
        for record in project.annotations.add_with_masks(
            slide.id, [planes(region, 2) for region in REGIONS], person="Ada"
        )
    ]
    assert counting(project) == imported
    step = project.history.undo("Ada")
    assert step is not None
    assert step.kind is StepKind.IMPORTED
    assert counting(project) == [earlier]
    assert project.history.undo("Ada") is None
    assert project.history.redo("Ada") is not None
    assert counting(project) == imported


def test_a_question_that_an_import_answered_is_open_again(project, slide):
    (query,) = project.queries.add([NewQuery(slide.id, REGIONS[0], "entropy", 0.6, 1, {}, "benign")])
    project.annotations.add_with_masks(slide.id, [planes(REGIONS[0], 1)], person="Ada", query_id=query.id)
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED
    project.history.undo("Ada")
    assert project.queries.get(query.id).status is QueryStatus.OPEN
    project.history.redo("Ada")
    assert project.queries.get(query.id).status is QueryStatus.ANNOTATED


def test_masks_are_kept_step_by_step_and_gone_when_that_is_given_up(project, slide):
    adding = project.annotations.adding_masks(slide.id, [planes(region, 2) for region in REGIONS], person="Ada")
    assert [next(adding), next(adding)] == [1, 2]
    files = list(project.annotations.folder.iterdir())
    assert files
    adding.close()
    assert not any(file.exists() for file in files)
    assert counting(project) == []


def test_the_steps_of_version_6_stay_as_they_were(tmp_path):
    dump = Path(__file__).parent / "schemas" / "version-6.sql"
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
        database.executescript(dump.read_text(encoding="utf-8"))
        database.execute(
            "INSERT INTO step (kind, slide_id, person, detail, created) "
            "VALUES ('left out', (SELECT MIN(id) FROM slide), 'Ada', '{\"after\": \"skipped\"}', '2026-01-01')"
        )
        database.commit()
        before = database.execute(SELECT_STEPS).fetchall()
    Project.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
        assert database.execute(SELECT_STEPS).fetchall() == before
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
