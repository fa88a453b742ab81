from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from histoloop.errors import PlaceError, ProjectError
from histoloop.store import project_database as module
from histoloop.store.project import DATABASE, Project
from histoloop.store.schema import MIGRATIONS

COLUMN = "ALTER TABLE slide ADD COLUMN note TEXT NOT NULL DEFAULT 'none'; CREATE TABLE extra (id INTEGER PRIMARY KEY)"


def columns_of_slide(path):
    with closing(sqlite3.connect(path)) as database:
        return [row[1] for row in database.execute("PRAGMA table_info(slide)")]


def version_of(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("PRAGMA user_version").fetchone()[0]


def test_a_project_is_opened_with_the_name_and_classes_it_was_made_with(project, scheme):
    with Project.open(project.folder) as again:
        assert (again.name, again.scheme) == ("Colon", scheme)


def test_a_project_has_folders_for_what_it_keeps(project):
    assert project.annotations.folder.is_dir()
    assert project.maps.folder.is_dir()
    assert project.models.folder.is_dir()


def test_new_folders_have_names_that_nothing_uses(project):
    assert not project.maps.new_folder(1, 1).exists()
    assert project.maps.new_folder(1, 1) != project.maps.new_folder(1, 1)
    assert project.models.new_folder(1) != project.models.new_folder(1)


def test_a_folder_with_a_project_takes_no_second_one(project, scheme):
    with pytest.raises(ProjectError, match="already"):
        Project.create(project.folder, name="other", scheme=scheme)
    assert project.name == "Colon"


def test_a_project_cannot_be_made_where_a_file_is(tmp_path, scheme):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ProjectError, match="No project can be made"):
        Project.create(tmp_path / "taken", name="x", scheme=scheme)


def test_a_folder_without_a_project_is_refused(tmp_path):
    with pytest.raises(ProjectError, match="There is no project") as caught:
        Project.open(tmp_path)
    assert DATABASE in caught.value.advice


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_a_file_that_is_no_database_is_refused(tmp_path, content):
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(ProjectError):
        Project.open(tmp_path)


def test_a_database_cut_short_is_refused(project):
    project.close()
    path = project.folder / DATABASE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ProjectError):
        Project.open(project.folder).slides.all()


def test_the_database_of_something_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / DATABASE
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE song (title TEXT)")
    before = path.read_bytes()
    with pytest.raises(ProjectError, match="not the database of a project"):
        Project.open(tmp_path)
    assert path.read_bytes() == before


def test_a_project_of_a_newer_schema_is_refused_and_left_alone(project):
    project.close()
    path = project.folder / DATABASE
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    with pytest.raises(ProjectError, match="newer HistoLoop") as caught:
        Project.open(project.folder)
    assert "Update" in caught.value.advice
    assert path.read_bytes() == before


def test_an_older_schema_is_migrated_with_its_rows_and_a_copy_is_kept(project, slide, monkeypatch):
    project.close()
    monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, COLUMN))
    with Project.open(project.folder) as migrated:
        assert [record.id for record in migrated.slides.all()] == [slide.id]
    path = project.folder / DATABASE
    (copy,) = project.folder.glob(f"project-version-{len(MIGRATIONS)}-*.db")
    assert (version_of(path), version_of(copy)) == (len(MIGRATIONS) + 1, len(MIGRATIONS))
    assert "note" in columns_of_slide(path)
    assert "note" not in columns_of_slide(copy)


def test_a_schema_is_migrated_once(project, monkeypatch):
    project.close()
    monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, COLUMN))
    Project.open(project.folder).close()
    Project.open(project.folder).close()
    assert len(list(project.folder.glob("project-version-*.db"))) == 1


def test_a_migration_that_fails_leaves_the_old_schema(project, slide, monkeypatch):
    project.close()
    monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, f"{COLUMN}; SELECT * FROM nowhere"))
    with pytest.raises(ProjectError):
        Project.open(project.folder)
    monkeypatch.undo()
    path = project.folder / DATABASE
    assert version_of(path) == len(MIGRATIONS)
    assert "note" not in columns_of_slide(path)
    with Project.open(project.folder) as again:
        assert again.slides.all() == [slide]


def test_two_may_have_a_project_open_and_see_what_the_other_wrote(project):
    with Project.open(project.folder) as other:
        other.settings.set("brush", 12)
        assert project.settings.get("brush") == 12


@pytest.fixture
def database(project):
    """The database of the project, opened by another."""
    with closing(module.Database(project.folder / DATABASE)) as database:
        yield database


def test_a_reader_is_not_held_up_by_a_writer(project, database):
    with database.transaction():
        assert project.slides.all() == []


def test_a_writer_that_waits_too_long_is_told_why(project, database, monkeypatch):
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.0)
    with (
        Project.open(project.folder) as other,
        database.transaction(),
        pytest.raises(ProjectError, match="locked") as caught,
    ):
        other.settings.set("brush", 12)
    assert "Another program" in caught.value.advice


def test_an_error_undoes_the_whole_transaction(project, database):
    def fail():
        with database.transaction():
            with database.transaction():
                database.insert("setting", key="a", value="1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert project.settings.get("a") is None


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "text", [1, "two"], {"a": {"b": [None]}}])
def test_settings_keep_json_values(project, value):
    project.settings.set("key", "earlier")
    project.settings.set("key", value)
    assert project.settings.get("key") == value


def test_a_setting_that_is_no_json_is_refused(project):
    with pytest.raises(TypeError):
        project.settings.set("key", object())
    assert project.settings.get("key") is None


def test_commits_wait_for_the_disk(database):
    assert database.one("PRAGMA synchronous")[0] == 2
    assert database.one("PRAGMA journal_mode")[0] == "wal"
    assert database.one("PRAGMA foreign_keys")[0] == 1


def test_a_disk_that_is_full_is_told_in_words_and_loses_nothing(project, database):
    project.settings.set("brush", 12)
    with database.transaction():
        database.run(f"PRAGMA max_page_count = {database.one('PRAGMA page_count')[0]}")

    def fill():
        with database.transaction():
            for number in range(1000):
                database.insert("setting", key=str(number), value="x" * 1000)

    with pytest.raises(PlaceError, match="full") as caught:
        fill()
    assert "disk is not full" in caught.value.advice
    assert project.settings.get("brush") == 12
    assert project.settings.get("0") is None
