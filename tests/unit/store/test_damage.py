"""Rows that the program cannot have written, and weights and cards that were changed, are told in words."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing

import numpy as np
import pytest
from safetensors.numpy import save_file

from histoloop.annotations.records import AnnotationStatus, Patch
from histoloop.errors import ModelError, ProjectError, RecipeError
from histoloop.geometry import Region
from histoloop.store.cards import CARD, WEIGHTS, load_card, model_hash
from histoloop.store.model_folder import copy_model, load_weights
from histoloop.store.project import DATABASE, Project
from histoloop.store.project_database import Database
from histoloop.store.records import ModelStatus, NewQuery
from histoloop.store.shipped import SUMS, check_shipped
from histoloop.training.recipe import load_recipe


@pytest.fixture
def whole(project, slide, start):
    """A project with a row of each kind."""
    model = project.models.add("m", hash="h", parent=None, round=0, status=ModelStatus.CURRENT)
    project.predictions.add(slide.id, model.id, {"benign": 0.25, "malignant": 0.75})
    project.slides.set_label(slide.id, "benign", person="Ada")
    draft = start()
    project.drafts.append_patch(draft.id, Patch(1, 1, np.ones((2, 2), np.uint8)))
    project.drafts.assess(draft.id, label="benign", size=0.5)
    project.queries.add([NewQuery(slide.id, Region(0, 0, 9, 9), "entropy", 0.5, 1, {"share": 0.5}, "benign")])
    project.rounds.add(model.id, None, {"dice": 0.5}, 1)
    project.settings.set("brush", 3)
    project.classes.recolour(1, "#00aa00")
    return project


def read_everything(folder):
    with Project.open(folder) as project:
        for slide in project.slides.all():
            project.slides.label_history(slide.id)
            project.predictions.find(slide.id, 1)
        project.models.all()
        for record in project.annotations.all():
            project.annotations.assessments(record.id)
            project.annotations.load_mask(record.id)
        project.queries.all()
        project.rounds.all()
        project.settings.get("brush")
        project.classes.changes()


NOT_TEXT = b"caf\xe9"
DAMAGE = [
    ("project", "name", NOT_TEXT),
    ("class", "name", NOT_TEXT),
    ("class", "name", "a\0b"),
    ("class", "colour", "red"),
    ("class", "merged_into", 1),
    ("class", "removed", 1),
    ("label_class", "class_id", 77),
    ("class_change", "detail", "{"),
    ("class_change", "kind", "paint"),
    ("setting", "value", "nothing"),
    ("slide", "path", "a\0b.svs"),
    ("slide", "path", NOT_TEXT),
    ("slide", "name", "a\0b"),
    ("slide", "width", 10**15),
    ("slide", "height", "tall"),
    ("slide", "mpp", float("inf")),
    ("slide", "mpp", "fine"),
    ("slide", "tissue_px", "some"),
    ("slide", "vendor", b"\0\1"),
    ("slide_label", "person", NOT_TEXT),
    ("model", "hash", b"\xff"),
    ("model", "folder", "m\0"),
    ("model", "round", "first"),
    ("prediction", "probabilities", "{"),
    ("prediction", "probabilities", '"benign"'),
    ("prediction", "probabilities", '{"benign": NaN}'),
    ("prediction", "probabilities", '{"benign": "much"}'),
    ("annotation", "width", 0),
    ("annotation", "width", 10**12),
    ("annotation", "x", "left"),
    ("annotation", "mask_downsample", float("-inf")),
    ("annotation", "person", NOT_TEXT),
    ("assessment", "person", b"\0"),
    ("patch", "payload", b"no zlib"),
    ("patch", "payload", b""),
    ("patch", "payload", zlib.compress(bytes(1_000_000))),
    ("patch", "width", 3),
    ("patch", "width", 10**12),
    ("patch", "x", 10**6),
    ("patch", "y", -4),
    ("query", "evidence", "nothing"),
    ("query", "evidence", "[]"),
    ("query", "score", "high"),
    ("query", "height", -1),
    ("round", "figures", "[1]"),
    ("round", "figures", '{"dice": Infinity}'),
    ("round", "annotations", "many"),
]


@pytest.mark.parametrize(
    ("table", "column", "value"), DAMAGE, ids=[f"{row[0]}.{row[1]}-{n}" for n, row in enumerate(DAMAGE)]
)
def test_a_row_that_cannot_be_is_told_in_words(whole, table, column, value):
    folder = whole.folder
    whole.close()
    read_everything(folder)
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        changed = "CAST(? AS TEXT)" if value is NOT_TEXT else "?"
        database.execute(f"UPDATE {table} SET {column} = {changed}", (value,))
    with pytest.raises(ProjectError) as caught:
        read_everything(folder)
    assert "backup" in caught.value.advice
    assert len(caught.value.message) < 1000


def test_a_database_without_the_row_of_its_project_is_told_in_words(project):
    project.close()
    with closing(sqlite3.connect(project.folder / DATABASE)) as database, database:
        database.execute("DELETE FROM project")
    with pytest.raises(ProjectError, match="holds no project"):
        Project.open(project.folder)


def test_no_row_makes_the_program_look_outside_the_project(project, slide, tmp_path):
    (tmp_path / "outside").mkdir()
    model = project.models.add("m", hash="h", parent=None, round=0, status=ModelStatus.CURRENT)
    project.maps.add(slide.id, model.id, "../../outside")
    assert project.maps.find(slide.id) is None


def test_a_prediction_that_is_no_number_is_not_kept(project, slide):
    model = project.models.add("m", hash="h", parent=None, round=0, status=ModelStatus.CURRENT)
    with pytest.raises(ValueError, match="JSON"):
        project.predictions.add(slide.id, model.id, {"benign": float("nan")})
    assert project.predictions.find(slide.id, model.id) is None


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_a_mask_that_is_no_picture_is_told_in_words(project, start, content):
    draft = start()
    project.drafts.finish(draft.id, AnnotationStatus.DONE, label="benign")
    for path in project.annotations.folder.iterdir():
        path.write_bytes(content)
    with pytest.raises(ProjectError, match=r"mask .* cannot be read"):
        project.annotations.load_mask(draft.id)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_at_the_end_loses_no_mask_that_was_kept(project, slide, monkeypatch, when):
    run = Database.run

    def interrupted(self, sql, *values):
        if sql != "COMMIT":
            return run(self, sql, *values)
        if when == "after":
            run(self, sql, *values)
        raise KeyboardInterrupt

    mask = np.arange(16, dtype=np.uint8).reshape(4, 4) % 2
    monkeypatch.setattr(Database, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        project.annotations.add_with_masks(slide.id, [(Region(0, 0, 4, 4), mask, mask)], person="Ada")
    monkeypatch.undo()
    kept = project.annotations.all()
    assert len(kept) == (1 if when == "after" else 0)
    assert len(list(project.annotations.folder.iterdir())) == 2 * len(kept)
    for record in kept:
        assert (project.annotations.load_mask(record.id)[0] == mask).all()


# --- models ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_weights_that_are_no_numbers_are_refused(make_model, tmp_path, value, kind):
    folder = make_model(tmp_path / "m")
    save_file(
        {"good": np.ones(3, kind), "bad": np.array([0, value], kind), "count": np.zeros(1, np.int64)}, folder / WEIGHTS
    )
    with pytest.raises(ModelError, match="bad holds values that are not numbers"):
        load_weights(folder)


def test_shipped_weights_are_held_against_their_hash(make_model, tmp_path, monkeypatch):
    from histoloop import paths

    monkeypatch.setattr(paths, "shipped_models", lambda: tmp_path)
    folder = make_model(tmp_path / "m")
    save_file({"a": np.ones(3, np.float32)}, folder / WEIGHTS)
    digest = model_hash(folder)
    (tmp_path / SUMS).write_text(f"{digest}  m/{WEIGHTS}\n")
    check_shipped(folder, digest)
    with pytest.raises(ModelError, match="not those that came with the program"):
        check_shipped(folder, "0" * 64)
    check_shipped(make_model(tmp_path / "elsewhere" / "m"), "0" * 64)


def test_the_hashes_of_all_shipped_models_are_shipped():
    from histoloop import paths
    from histoloop.store.cards import list_models

    for folder in list_models(paths.shipped_models()):
        check_shipped(folder, model_hash(folder))
        assert f"{folder.name}/{WEIGHTS}" in (paths.shipped_models() / SUMS).read_text()


def test_a_model_is_copied_whole_with_its_own_files_alone(make_model, tmp_path):
    source = make_model(tmp_path / "m")
    (source / WEIGHTS).write_bytes(b"weights")
    (source / "notes.txt").write_text("mine")
    (source / "link").symlink_to(tmp_path)
    assert copy_model(source, tmp_path / "copies" / "m") == model_hash(source)
    assert sorted(path.name for path in (tmp_path / "copies" / "m").iterdir()) == [CARD, WEIGHTS]


TEXTS = {
    "deep": "name = " + "[" * 60_000,
    "deep tables": "name = " + "{a=" * 10_000,
    "many dots": "[" + ".".join("a" * 5_000) + "]",
    "digits": "mpp = " + "9" * 20_000,
    "megabytes": "description = '" + "x" * 2_000_000 + "'",
    "long": "\n".join(f"key{number} = 1" for number in range(20_000)),
    "no text": "\udcff",
    "nothing": "",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_card_that_is_too_much_is_refused_in_words(make_model, tmp_path, text):
    folder = make_model(tmp_path / "m")
    (folder / CARD).write_bytes(f"+++\n{TEXTS[text]}\n+++\n\nText\n".encode(errors="surrogateescape"))
    with pytest.raises(ModelError) as caught:
        load_card(folder)
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("text", TEXTS)
def test_a_recipe_that_is_too_much_is_refused_in_words(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_bytes(TEXTS[text].encode(errors="surrogateescape"))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("value", ["nan", "inf", "-1.0", "0.0"])
@pytest.mark.parametrize("key", ["mpp", "threshold"])
def test_a_card_with_a_number_that_cannot_be_is_refused(make_model, tmp_path, key, value):
    folder = make_model(tmp_path / "m")
    lines = (folder / CARD).read_text().splitlines()
    lines = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in lines]
    (folder / CARD).write_text("\n".join(lines))
    with pytest.raises(ModelError, match=key):
        load_card(folder)
