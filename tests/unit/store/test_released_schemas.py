"""Every schema that was ever released opens: `schemas/version-N.sql` is a project's database as version N wrote it.

A dump is made once, when its version is released, and never changed, so that nobody can edit an old migration unseen.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from histoloop.store.project import DATABASE, Project
from histoloop.store.records import MppFrom
from histoloop.store.schema import MIGRATIONS

DUMPS = sorted(
    (Path(__file__).parent / "schemas").glob("version-*.sql"), key=lambda dump: int(dump.stem.removeprefix("version-"))
)
VERSIONS = range(1, len(MIGRATIONS) + 1)


def tables(database: sqlite3.Connection) -> dict[str, str]:
    found = database.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    return {name: " ".join(sql.split()).replace('"', "") for name, sql in found}


def project_of(version: int, folder: Path) -> Path:
    for part in (folder, folder / "masks", folder / "maps", folder / "models"):
        part.mkdir(parents=True)
    dump = Path(__file__).parent / "schemas" / f"version-{version}.sql"
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.executescript(dump.read_text(encoding="utf-8"))
    return folder


def test_there_is_a_dump_of_every_schema_version() -> None:
    assert [dump.name for dump in DUMPS] == [f"version-{version}.sql" for version in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_project_of_a_released_version_opens_with_what_it_holds(version: int, tmp_path: Path) -> None:
    with Project.open(project_of(version, tmp_path / "old")) as project:
        (slide,) = project.slides.all()
        assert (project.name, slide.name, slide.label, slide.mpp) == ("Colon", "a.svs", "malignant", 0.5)
        assert slide.predicted == {"benign": 0.25, "malignant": 0.75}
        (record,) = project.annotations.all()
        assert (record.label, record.size, record.person, record.has_mask) == ("benign", 0.25, "Ada", True)
        assert project.queries.get(5).strategy == "entropy"
        assert [row.number for row in project.rounds.all()] == [1]
        assert project.settings.get("last slide") == 1
    copies = [copy.name for copy in (tmp_path / "old").glob("project-version-*.db")]
    assert len(copies) == (0 if version == len(MIGRATIONS) else 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_then_has_the_tables_of_a_new_project(version: int, tmp_path: Path, scheme) -> None:
    Project.create(tmp_path / "new", name="Colon", scheme=scheme).close()
    Project.open(project_of(version, tmp_path / "old")).close()
    with (
        closing(sqlite3.connect(tmp_path / "new" / DATABASE)) as new,
        closing(sqlite3.connect(tmp_path / "old" / DATABASE)) as old,
    ):
        assert tables(old) == tables(new)
        assert old.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_of_slides_and_predictions_before_version_7_it_is_not_known_where_they_are_from(tmp_path: Path) -> None:
    with Project.open(project_of(6, tmp_path / "old")) as project:
        (slide,) = project.slides.all()
        assert (slide.unlike, slide.is_unlike, slide.mpp_from, slide.objective) == (None, False, "", None)
        project.slides.set_mpp(slide.id, 0.25, mpp_from=MppFrom.OBJECTIVE)
        project.predictions.add(slide.id, project.models.current().id, {"benign": 1.0}, unlike=1.5)
        (slide,) = project.slides.all()
        assert (slide.mpp, slide.mpp_from, slide.is_unlike) == (0.25, "objective", True)
