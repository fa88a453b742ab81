"""What a project holds and what is broken in it is told; what can be mended is, and nothing else is touched."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from histoloop.annotations.records import AnnotationStatus
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.store.cards import model_hash
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.rounds import open_candidate
from histoloop.workflows.contents.slides import save_thumbnail, thumbnail_path
from histoloop.workflows.mend import MendReport, mend_project
from histoloop.workflows.status import ProjectStatus, SlideState, project_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord


def status(project: Project) -> ProjectStatus:
    return finish(project_status(project))


def mended(project: Project, *look_in: Path) -> MendReport:
    return finish(mend_project(project, look_in=look_in))


def broken(project: Project) -> list[tuple[str, str]]:
    return [(trouble.what, trouble.reason) for trouble in status(project).broken]


@pytest.fixture
def slide(project: Project, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]) -> SlideRecord:
    """A slide with everything: thumbnail, map, prediction."""
    record = add_slide("a.png")
    save_thumbnail(thumbnail_path(project, record.id), Image.new("RGB", (16, 10)))
    add_map(record, 0.5)
    project.predictions.add(record.id, project.models.current().id, {"benign": 0.75, "malignant": 0.25})
    return record


def grown_old(path: Path) -> Path:
    """As if nobody had written there for two minutes."""
    for each in (path, *path.rglob("*")):
        os.utime(each, (each.stat().st_atime, each.stat().st_mtime - 120))
    return path


def test_a_whole_project_is_told_with_all_that_it_holds(project: Project, slide: SlideRecord) -> None:
    project.slides.set_label(slide.id, "malignant", person="Ada")
    project.annotations.add(slide.id, Region(0, 0, 20, 10), label="benign", size=0.5, person="Ada")
    draft = project.drafts.start(
        slide.id, Region(40, 0, 20, 10), mask=np.ones((10, 20), np.uint8), origin_model=None, person="Bo"
    )
    assert status(project).annotations == {"done": 1, "with a mask": 0, "held out": 0, "drafts": 1}
    project.drafts.finish(draft.id, AnnotationStatus.DONE)
    found = status(project)
    assert found.slides == (
        SlideState(slide.id, "a.png", str(slide.path), "there", "predicted", "benign", "malignant", 0.5),
    )
    assert found.annotations["with a mask"] == 1
    assert (found.name, found.rounds, found.current_model, found.candidate) == ("Colon", 0, "tiny", "")
    assert found.broken == ()
    assert found.as_json()["slides"][0]["prediction"] == "predicted"


def test_looking_changes_nothing(project: Project, slide: SlideRecord) -> None:
    thumbnail_path(project, slide.id).unlink()
    before = sorted(path for path in project.folder.rglob("*") if not path.name.startswith("project.db"))
    status(project)
    assert sorted(path for path in project.folder.rglob("*") if not path.name.startswith("project.db")) == before


@pytest.mark.parametrize("damage", [None, b"", b"\x89PNG\r\n\x1a\n no picture"])
def test_a_thumbnail_that_is_missing_or_damaged_is_made_again(
    project: Project, slide: SlideRecord, damage: bytes | None
) -> None:
    path = thumbnail_path(project, slide.id)
    path.unlink() if damage is None else path.write_bytes(damage)
    assert broken(project) == [("a.png", "it has no thumbnail" if damage is None else "its thumbnail is damaged")]
    report = mended(project)
    assert [trouble.what for trouble in report.mended] == ["a.png"]
    assert report.left == ()
    with Image.open(path) as picture:
        assert picture.size == (160, 96)


@pytest.mark.parametrize("what", ["chunk", "metadata"])
def test_damaged_maps_are_set_aside_and_the_slide_is_to_be_predicted_again(
    project: Project, slide: SlideRecord, what: str
) -> None:
    folder = project.maps.find(slide.id)
    assert folder is not None
    file = folder / {"chunk": "foreground/0/c/0/0", "metadata": "zarr.json"}[what]
    file.write_bytes(file.read_bytes()[:-3])
    ((name, reason),) = broken(project)
    assert name == "a.png"
    assert "The maps in" in reason
    assert mended(project).left == ()
    assert project.maps.find(slide.id) is None
    assert not folder.exists()


def test_maps_without_a_prediction_are_set_aside(
    project: Project, slide: SlideRecord, add_slide: Callable[..., SlideRecord], add_map: Callable[..., Path]
) -> None:
    other = add_slide("b.png")
    save_thumbnail(thumbnail_path(project, other.id), Image.new("RGB", (16, 10)))
    add_map(other, 0.5)
    assert broken(project) == [("b.png", "it has maps, but no class: predicting was ended in between")]
    assert mended(project).left == ()
    assert project.maps.find(other.id) is None
    assert project.maps.find(slide.id) is not None


def test_a_moved_slide_is_found_where_one_looks_and_left_otherwise(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    slide.path.rename(tmp_path / "elsewhere" / "deep" / "renamed.png")
    assert status(project).slides[0].file == "missing"
    (left,) = mended(project).left
    assert "not where it was" in left.reason
    assert "--look-in FOLDER" in left.advice
    assert mended(project, tmp_path / "elsewhere").left == ()
    assert project.slides.all()[0].path == tmp_path / "elsewhere" / "deep" / "renamed.png"


def test_a_slide_renamed_in_its_folder_is_found_without_being_told(project: Project, slide: SlideRecord) -> None:
    slide.path.rename(slide.path.with_name("renamed.png"))
    assert mended(project).left == ()
    assert project.slides.all()[0].path.name == "renamed.png"


def test_another_file_in_the_place_of_a_slide_is_told_and_left(
    project: Project, slide: SlideRecord, paint_tissue: Callable[..., Path]
) -> None:
    paint_tissue(slide.path, seed=9)
    assert status(project).slides[0].file == "replaced"
    (left,) = mended(project).left
    assert "its content differs" in left.reason


def test_a_project_without_a_current_model_gets_its_first_one_again(project: Project) -> None:
    first = project.models.current()
    project.models.set_status(first.id, ModelStatus.CANDIDATE)
    assert broken(project) == [("the project", "it has no current model")]
    assert mended(project).left == ()
    assert project.models.current().id == first.id


@pytest.mark.parametrize("known", [True, False])
def test_a_finished_training_that_was_never_offered_is_offered(
    project: Project, make_model: Callable[..., Path], known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoloop.workflows.project_checks.load_weights", lambda folder: {})
    current = project.models.current()
    folder = make_model(
        project.folder / "models" / "round-001-abcdef01",
        weights=b"others",
        parent=current.hash,
        figures={"dice": 0.75, "dice_before": 0.5, "held_out": 2.0},
        training={"recipe": "retrain", "regions": 5.0, "round": 1.0},
    )
    if known:
        project.models.add(folder.name, hash=model_hash(folder), parent=current.id, round=1)
    else:
        grown_old(folder)
    assert [what for what, _reason in broken(project)] == ["model round-001-abcdef01"]
    assert mended(project).left == ()
    candidate = open_candidate(project)
    assert candidate is not None
    assert (candidate.annotations, candidate.old_dice, candidate.new_dice, candidate.held_out) == (5, 0.5, 0.75, 2)
    assert status(project).candidate == "round-001-abcdef01"


def test_a_changed_model_is_told_and_one_that_is_shipped_is_copied_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.models.current().folder
    (folder / "weights.safetensors").write_bytes(b"changed")
    assert broken(project) == [("model tiny", "its weights are not those that the project knows")]
    monkeypatch.setattr("histoloop.paths.shipped_models", lambda: tmp_path / "nothing")
    assert len(mended(project).left) == 1
    monkeypatch.setattr("histoloop.paths.shipped_models", lambda: tmp_path / "given")
    assert mended(project).left == ()
    assert model_hash(folder) == project.models.current().hash
    assert (folder.with_name("tiny.broken-1") / "weights.safetensors").read_bytes() == b"changed"


def test_a_mask_that_cannot_be_read_is_told_and_left(project: Project, slide: SlideRecord) -> None:
    draft = project.drafts.start(
        slide.id, Region(0, 0, 20, 10), mask=np.ones((10, 20), np.uint8), origin_model=None, person="Bo"
    )
    project.drafts.finish(draft.id, AnnotationStatus.DONE)
    for file in (project.folder / "masks").iterdir():
        file.write_bytes(b"no picture")
    (left,) = mended(project).left
    assert left.what == f"annotation {draft.id} of a.png"
    assert "its mask cannot be read" in left.reason


def test_leftovers_are_removed_but_not_what_is_being_written_nor_what_lies_outside(
    project: Project, slide: SlideRecord, tmp_path: Path
) -> None:
    maps, outside = project.folder / "maps", tmp_path / "outside"
    kept = project.maps.find(slide.id)
    assert kept is not None
    old = [project.folder / ".project.0a1b.partial.db", project.folder / "masks" / ".m.0a1b.partial.png"]
    for file in old:
        file.write_bytes(b"half")
    orphan = maps / "slide-0009-model-0001-0a1b2c3d"
    shutil.copytree(kept, orphan)
    partial = maps / ".slide-0001-model-0001-0a1b2c3d.0a1b.partial"
    partial.mkdir()
    (partial / "zarr.json").write_text("{}", encoding="utf-8")
    old += [orphan, partial]
    for path in old:
        grown_old(path)
    young = project.folder / "masks" / ".n.0a1b.partial.png"
    young.write_bytes(b"being written")
    outside.mkdir()
    (outside / ".z.0a1b.partial.png").write_bytes(b"somebody's")
    grown_old(outside / ".z.0a1b.partial.png")
    (project.folder / "linked").symlink_to(outside)
    assert {what for what, _reason in broken(project)} == {path.name for path in old}
    assert mended(project).left == ()
    assert not any(path.exists() for path in old)
    assert young.exists()
    assert kept.is_dir()
    assert (outside / ".z.0a1b.partial.png").exists()


def test_all_kinds_of_trouble_at_once_are_told_each(project: Project, slide: SlideRecord) -> None:
    folder = project.maps.find(slide.id)
    assert folder is not None
    (folder / "zarr.json").unlink()
    thumbnail_path(project, slide.id).unlink()
    slide.path.unlink()
    reasons = [reason for _what, reason in broken(project)]
    assert len(reasons) == 3
    report = mended(project)
    assert len(report.mended) == 1  # the maps; without the file there is no thumbnail
    assert {trouble.what for trouble in report.left} == {"a.png"}
