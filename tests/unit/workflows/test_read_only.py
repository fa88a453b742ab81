"""A project that is read only refuses work before it begins, and is still looked at and exported from."""

from __future__ import annotations

import pytest

from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.workflows.add_model import add_model
from histoloop.workflows.annotate import begin, import_annotation
from histoloop.workflows.export import export_project
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.projects import import_slides, opened_project
from histoloop.workflows.queries.ask import ask
from histoloop.workflows.retraining.retrain import retrain

WORK = {
    "import": lambda project, tmp_path: next(import_slides(project, [tmp_path])),
    "predict": lambda project, tmp_path: next(predict_project(project)),
    "query": lambda project, tmp_path: next(ask(project)),
    "annotate": lambda project, tmp_path: begin(project, slide_id=1, region=Region(0, 0, 32, 32), person="Ada"),
    "annotate from a file": lambda project, tmp_path: import_annotation(
        project, mask_file=tmp_path / "none.png", slide_name="a.png", person="Ada"
    ),
    "train": lambda project, tmp_path: next(retrain(project)),
    "add a model": lambda project, tmp_path: add_model(project, tmp_path / "given" / "other"),
}


@pytest.mark.parametrize("work", WORK)
def test_work_that_writes_is_refused_before_it_begins(project, add_slide, make_model, tmp_path, work):
    add_slide()
    make_model(tmp_path / "given" / "other", title="Another")
    before = sorted(project.folder.rglob("*"))
    with opened_project(project.folder, read_only=True) as read, pytest.raises(ProjectError, match="reading only"):
        WORK[work](read, tmp_path)
    assert sorted(project.folder.rglob("*")) == before


def test_a_project_that_is_read_only_is_exported(project, add_slide, add_map, tmp_path):
    slide = add_slide()
    add_map(slide, 1.0)
    with opened_project(project.folder, read_only=True) as read:
        report = finish(export_project(read, tmp_path / "out"))
    assert report.failed == ()
    assert (tmp_path / "out" / "a-mask.png").is_file()
