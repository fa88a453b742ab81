from __future__ import annotations

import contextlib
import os
import sys
import tempfile

import pytest

from histoloop.errors import PlaceError
from histoloop.store import temporary as module
from histoloop.store.files import beside, clear_partial, file_beside, folder_beside
from histoloop.store.presence import Presence, present
from histoloop.store.temporary import temporary_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked on Windows")


def is_alone(folder):
    with contextlib.closing(Presence(folder)) as presence, presence.alone() as alone:
        return alone


def test_one_who_came_first_is_alone_until_another_comes(tmp_path):
    assert is_alone(tmp_path)
    with present(tmp_path):
        assert not is_alone(tmp_path)
        with present(tmp_path):
            pass
        assert not is_alone(tmp_path)
    assert is_alone(tmp_path)


def test_one_who_was_alone_stays_among_the_others_afterwards(tmp_path):
    with contextlib.closing(Presence(tmp_path)) as first:
        with first.alone() as alone:
            assert alone
        assert not is_alone(tmp_path)


def test_nobody_is_alone_in_a_folder_that_is_a_link_or_is_not_there(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert not is_alone(tmp_path / "link")
    assert not is_alone(tmp_path / "absent")


@pytest.mark.parametrize("writing", [file_beside, folder_beside])
def test_what_is_being_written_is_not_cleared_away(tmp_path, writing):
    left = beside(tmp_path / "left")
    left.write_text("")
    with writing(tmp_path / "new") as partial:
        assert clear_partial(tmp_path) == 0
        assert partial.exists()
    assert clear_partial(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_temporary_folder_is_removed_afterwards(place):
    with temporary_folder("histoloop-maps") as folder:
        assert folder.parent == place
        (folder / "map").mkdir()
    assert list(place.iterdir()) == []


def test_temporary_folders_of_ended_processes_are_removed_and_no_others(place):
    def old(path):
        os.utime(path, (0, 0), follow_symlinks=False)
        return path

    outside = place / "outside"
    (outside / "precious").mkdir(parents=True)
    link = place / "histoloop-maps-link"
    link.symlink_to(outside)
    file = place / "histoloop-maps-file"
    file.write_text("")
    new, left = place / "histoloop-maps-new", place / "histoloop-maps-left"
    for folder in (new, left):
        (folder / "map").mkdir(parents=True)
    for path in (left, file, link):
        old(path)
    with temporary_folder("histoloop-maps") as own:
        old(own)
        with temporary_folder("histoloop-maps") as other:
            assert sorted(place.iterdir()) == sorted([outside, link, file, new, own, other])
    assert (outside / "precious").exists()


def test_no_place_for_temporary_files_is_told_in_words(monkeypatch):
    def fail(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tempfile, "mkdtemp", fail)
    with pytest.raises(PlaceError, match="nowhere to put temporary files: No space left") as caught:
        with temporary_folder("histoloop-maps"):
            pass
    assert "TMPDIR" in caught.value.advice
