"""Projects that were made with an older schema open with everything they hold."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from histoloop.annotations.records import AnnotationStatus, Origin, QueryStatus
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.store.planes import write_plane
from histoloop.store.project import DATABASE, Project
from histoloop.store.project_database import Database
from histoloop.store.schema import APPLICATION_ID, MIGRATIONS

WHEN = "2026-01-02T03:04:05.678+00:00"
LATER = "2026-02-03T04:05:06.789+00:00"
ONES = np.ones((9, 12), np.uint8)


def insert(database, table, **values):
    marks = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


def add_annotation(database, masks, number, mask, **values):
    def files(name):
        return {
            f"{name}mask_file": write_plane(masks, mask, stem="mask"),
            f"{name}origin_file": write_plane(masks, np.zeros_like(mask), stem="origin"),
        }

    final = files("") if values["status"] == "done" else {}
    insert(
        database, "annotation", id=number, slide_id=1, x=20 * number, y=0, width=12, height=9, mask_downsample=1.0,
        person="Ada", created=WHEN, updated=LATER, model_hash="abc", **files("base_"), **final, **values,
    )  # fmt: skip


def add_rest(database, tmp_path, scheme):
    insert(database, "project", id=1, name="Colon", scheme=json.dumps(dataclasses.asdict(scheme)), created=WHEN)
    for number, label in ((1, "malignant"), (2, None)):
        insert(
            database, "slide", id=number, path=str(tmp_path / f"{number}.svs"), name=f"{number}.svs", fingerprint="6-x",
            width=1000, height=800, mpp=0.5, vendor="aperio", label=label, tissue_px=7.0, added=WHEN,
        )  # fmt: skip
    insert(database, "model", id=1, folder="m", hash="abc", round=0, status="current", created=WHEN)
    probabilities = '{"benign": 0.25, "malignant": 0.75}'
    insert(database, "prediction", slide_id=1, model_id=1, probabilities=probabilities, created=WHEN)
    insert(
        database, "query", id=5, slide_id=1, x=20, y=0, width=12, height=9, strategy="entropy", score=0.5, round=1,
        reason="", class_name="", status="annotated", created=WHEN, updated=LATER,
    )  # fmt: skip
    insert(database, "round", number=1, model_id=1, figures='{"dice": 0.5}', annotations=2, created=WHEN)


@pytest.fixture
def version_1(tmp_path, scheme):
    """A project as version 1 wrote it: labelled and unlabelled slides, annotations in every state, a query, a round."""
    folder = tmp_path / "old"
    masks = folder / "masks"
    for part in (masks, folder / "maps", folder / "models"):
        part.mkdir(parents=True)
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        for statement in MIGRATIONS[0].split(";"):
            database.execute(statement)
        add_rest(database, tmp_path, scheme)
        done = {"status": "done", "mask": ONES}
        add_annotation(
            database, masks, 1, finish_order=1, region_number=1, label="benign", size=0.3, query_id=5, **done
        )
        add_annotation(database, masks, 2, finish_order=2, region_number=2, **done)
        add_annotation(database, masks, 3, finish_order=3, region_number=3, held_out=1, label="malignant", **done)
        add_annotation(database, masks, 4, status="draft", mask=0 * ONES, continues=1, label="benign")
        add_annotation(database, masks, 5, status="skipped", mask=0 * ONES)
        payload = zlib.compress(np.full((2, 3), 2, np.uint8).tobytes())
        insert(database, "patch", annotation_id=4, x=1, y=2, width=3, height=2, payload=payload, created=LATER)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute("PRAGMA user_version = 1")
    return folder


def test_slides_of_version_1_keep_their_labels_and_predictions(version_1):
    with Project.open(version_1) as project:
        labelled, other = project.slides.all()
        assert (labelled.label, labelled.mpp, labelled.tissue_px) == ("malignant", 0.5, 7.0)
        assert labelled.predicted == {"benign": 0.25, "malignant": 0.75}
        assert other.label is None
        said = project.slides.get(labelled.id).given_label
        assert (said.label, said.person, said.created) == ("malignant", "", WHEN)
        assert project.slides.label_history(other.id) == []


def test_annotations_of_version_1_keep_masks_labels_sizes_and_what_is_held_out(version_1):
    with Project.open(version_1) as project:
        records = project.annotations.all()
        assert [record.id for record in records] == [1, 2, 3, 4, 5]
        assert [(record.label, record.size) for record in records] == [
            ("benign", 0.3), (None, None), ("malignant", None), ("benign", None), (None, None),
        ]  # fmt: skip
        assert [record.held_out for record in records] == [False, False, True, False, False]
        assert [record.has_mask for record in records] == [True, True, True, False, False]
        first = records[0]
        assert (first.region, first.person, first.query_id) == (Region(20, 0, 12, 9), "Ada", 5)
        assert (first.created, first.updated, first.model_hash) == (WHEN, LATER, "abc")
        assert project.annotations.load_mask(1)[0].all()
        assert [record.id for record in project.annotations.with_mask()] == [1, 2, 3]
        assert [(said.label, said.size, said.person) for said in project.annotations.assessments(1)] == [
            ("benign", 0.3, "Ada")
        ]
        assert project.queries.get(5).status is QueryStatus.ANNOTATED
        assert [record.annotations for record in project.rounds.all()] == [2]


def test_a_draft_of_version_1_goes_on_with_its_strokes(version_1):
    with Project.open(version_1) as project:
        draft = project.drafts.find(1, Region(80, 0, 12, 9))
        assert (draft.id, draft.continues) == (4, 1)
        mask, origin = project.annotations.load_mask(draft.id)
        assert (mask == 2).sum() == (origin == Origin.HUMAN).sum() == 6
        project.drafts.assess(draft.id, label="malignant", size=0.5)
        done = project.drafts.finish(draft.id, AnnotationStatus.DONE)
        assert (done.label, done.size, done.held_out) == ("malignant", 0.5, False)
        later = project.annotations.add(2, Region(0, 0, 5, 5), label="benign", size=None, person="Bo")
        assert later.id == 6


def test_what_refers_to_an_annotation_still_does_and_foreign_keys_are_on(version_1):
    with Project.open(version_1) as project:
        with pytest.raises(ValueError, match="FOREIGN KEY"):
            project.models.add("x", hash="x", parent=77, round=1)
        with closing(Database(version_1 / DATABASE)) as database:
            assert database.all("PRAGMA foreign_key_check") == []
            with pytest.raises(ValueError, match="FOREIGN KEY"), database.transaction():
                database.run("DELETE FROM annotation WHERE id = 4")


def test_the_copy_beside_a_migrated_database_is_the_old_one(version_1):
    Project.open(version_1).close()
    Project.open(version_1).close()
    (copy,) = version_1.glob("project-version-1-*.db")
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT label FROM slide ORDER BY id").fetchall() == [("malignant",), (None,)]


def test_a_project_that_refers_to_what_is_gone_is_refused_and_stays_as_it_was(version_1):
    path = version_1 / DATABASE
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM annotation WHERE id = 4")
    with pytest.raises(ProjectError, match="patch that are gone"):
        Project.open(version_1)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("SELECT COUNT(*) FROM annotation WHERE label IS NOT NULL").fetchone() == (2,)


def test_a_migrated_project_has_the_tables_of_a_new_one(version_1, project):
    def tables(folder):
        with closing(sqlite3.connect(folder / DATABASE)) as database:
            found = database.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
            return {name: " ".join(sql.split()) for name, sql in found}

    Project.open(version_1).close()
    assert tables(version_1) == tables(project.folder)


# --- reasons of version 2 ---------------------------------------------------------------------------------------------


APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"


@pytest.fixture
def version_2(tmp_path):
    """A project as version 2 wrote it, and what adds an open query by a strategy with a sentence to it."""
    folder = tmp_path / "old"
    for part in (folder, folder / "masks", folder / "maps", folder / "models"):
        part.mkdir()
    dump = Path(__file__).parent / "schemas" / "version-2.sql"
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.executescript(dump.read_text(encoding="utf-8"))

    def add(strategy, reason):
        with closing(sqlite3.connect(folder / DATABASE)) as database, database:
            insert(
                database, "query", id=6, slide_id=1, x=20, y=0, width=12, height=9, strategy=strategy, score=0.5,
                round=1, reason=reason, class_name="", status="open", created=WHEN, updated=WHEN,
            )  # fmt: skip
            insert(
                database, "slide", id=2, path="/slides/b a.svs", name="b a.svs", fingerprint="6-y", width=9, height=9,
                mpp=0.5, vendor="aperio", tissue_px=None, added=WHEN,
            )  # fmt: skip
        return folder

    return add


@pytest.mark.parametrize(
    ("strategy", "reason", "evidence"),
    [
        ("random", "Drawn at random, so that the measurement stays fair.", {}),
        ("entropy", "The model is unsure about 7% of this region.", {"share": 0.07}),
        ("ratio", "The model is unsure about 100% of this region.", {"share": 1.0}),
        ("margin", "Bei 57\N{NARROW NO-BREAK SPACE}% dieser Region ist das Modell unsicher.", {"share": 0.57}),
        ("cod", "Le modèle a changé de réponse sur 0\N{NARROW NO-BREAK SPACE}% de cette région.", {"share": 0.0}),
        ("mc-dropout", "What nobody can read, 50 percent, % of it.", {}),
        ("learned-loss", "The model expects to be wrong here, judging by where it was wrong before.", {}),
        ("k-center", "It looks unlike all that is annotated; a region of a.svs comes nearest.", {"beside": "a.svs"}),
        ("vaal", "It looks unlike all that is annotated; a region of b a.svs comes nearest.", {"beside": "b a.svs"}),
        ("k-center", "Sie sieht anders aus als alles Annotierte; am nächsten kommt eine Region von a.svs.",
         {"beside": "a.svs"}),
        ("vaal", f"Elle ne ressemble à rien ; une région de a.svs s{APOSTROPHE}en approche le plus.",
         {"beside": "a.svs"}),
        ("k-center", "It is the most typical region: nothing is annotated yet to compare with.", {}),
        ("svm-margin", "By its looks it lies between malignant and benign.", {"classes": ["malignant", "benign"]}),
        ("svm-margin", "Dem Aussehen nach liegt sie zwischen benign und malignant.",
         {"classes": ["benign", "malignant"]}),
        ("svm-margin", f"D{APOSTROPHE}après son aspect, elle se situe entre bénin et malin.", {}),
        ("of another time", "Because of 5%.", {}),
    ],
)  # fmt: skip
def test_what_a_sentence_of_version_2_says_is_kept_as_far_as_it_can_be_read(version_2, strategy, reason, evidence):
    with Project.open(version_2(strategy, reason)) as project:
        (query,) = project.queries.open()
        assert query.evidence == evidence
        assert (query.strategy, query.score, query.region) == (strategy, 0.5, Region(20, 0, 12, 9))
        assert project.queries.get(5).evidence == {}


def test_every_percentage_of_version_2_is_said_again_as_it_was(version_2):
    folder = version_2("entropy", "The model is unsure about 0% of this region.")
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        for percent in range(101):
            database.execute(
                "INSERT INTO query SELECT ?, slide_id, x, y, width, height, strategy, score, round, ?, class_name, "
                "status, created, updated FROM query WHERE id = 6",
                (100 + percent, f"The model is unsure about {percent}% of this region."),
            )
    with Project.open(folder) as project:
        for percent in range(101):
            assert f"{project.queries.get(100 + percent).evidence['share']:.0%}" == f"{percent}%"
