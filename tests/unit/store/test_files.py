from __future__ import annotations

import errno
import os
import stat

import pytest
from safetensors.numpy import save_file

from histoloop.errors import PlaceError, ProjectError
from histoloop.store import files as module
from histoloop.store.files import (
    beside,
    clear_partial,
    file_beside,
    folder_beside,
    is_partial,
    make_folder,
    write_beside,
    written_to,
)


@pytest.fixture
def journal(monkeypatch):
    """The names that are flushed and renamed from here on, in order; those of partial files without what is random."""
    done = []

    def name(path):
        head, partial, _rest = os.path.basename(path).partition(".partial")
        return f"{head.split('.')[1]} (partial)" if partial else head

    fsync, replace, rename, link = os.fsync, os.replace, os.rename, os.link

    def flush(handle):
        done.append(f"flush {name(os.readlink(f'/proc/self/fd/{handle}'))}")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", flush)
    for word, function in (("replace", replace), ("rename", rename), ("link", link)):
        monkeypatch.setattr(
            os,
            word,
            lambda source, target, word=word, function=function: (
                done.append(f"{word} {name(source)} to {name(target)}"),
                function(source, target),
            ),
        )
    return done


linux = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are listed on Linux alone")


@linux
def test_a_file_is_flushed_then_renamed_then_its_folder_is_flushed(tmp_path, journal):
    write_beside(tmp_path / "a.txt", "whole")
    assert journal == ["flush a (partial)", "replace a (partial) to a.txt", f"flush {tmp_path.name}"]
    assert (tmp_path / "a.txt").read_text() == "whole"


@linux
def test_a_folder_is_flushed_with_all_in_it_before_it_appears(tmp_path, journal):
    with folder_beside(tmp_path / "map") as partial:
        (partial / "deep" / "deeper").mkdir(parents=True)
        (partial / "deep" / "deeper" / "chunk").write_text("1")
        (partial / "card").write_text("2")
    assert journal == [
        "flush chunk",
        "flush deeper",
        "flush deep",
        "flush card",
        "flush map (partial)",
        "rename map (partial) to map",
        f"flush {tmp_path.name}",
    ]


@linux
def test_folders_that_are_made_survive_a_power_cut_with_those_above(tmp_path, journal):
    make_folder(tmp_path / "a" / "b")
    assert journal == ["flush a", f"flush {tmp_path.name}"]


def test_a_new_file_never_replaces_another_process_s(tmp_path):
    path = tmp_path / "project.db"

    def make_second():
        with file_beside(path, replace=False) as partial:
            partial.write_text("second")
            path.write_text("first")

    with pytest.raises(FileExistsError):
        make_second()
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_appears_where_the_file_system_knows_no_links(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with file_beside(tmp_path / "a", replace=False) as partial:
        partial.write_text("whole")
    assert (tmp_path / "a").read_text() == "whole"
    with pytest.raises(FileExistsError), file_beside(tmp_path / "a", replace=False):
        pass


@pytest.mark.skipif(os.name != "posix", reason="rights are those of POSIX")
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_all_files_have_the_rights_that_the_user_s_umask_gives(tmp_path, umask, expected):
    numpy = pytest.importorskip("numpy")
    before = os.umask(umask)
    try:
        with file_beside(tmp_path / "weights.safetensors") as partial:
            save_file({"a": numpy.zeros(1)}, partial)
        with folder_beside(tmp_path / "model") as partial:
            save_file({"a": numpy.zeros(1)}, partial / "weights.safetensors")
            (partial / "card.md").write_text("card")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {expected}


def test_a_disk_that_fails_when_flushed_leaves_what_was_there(tmp_path, monkeypatch):
    write_beside(tmp_path / "a", "before")

    def fail(handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_beside(tmp_path / "a", "after")
    with pytest.raises(OSError, match="Input/output"), folder_beside(tmp_path / "map") as partial:
        (partial / "chunk").write_text("1")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "before"


def test_a_failure_to_write_is_told_in_words(tmp_path):
    with pytest.raises(ProjectError, match="map cannot be written: No space left on device") as caught:
        with written_to(tmp_path / "map"):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert isinstance(caught.value, PlaceError)
    assert "disk is not full" in caught.value.advice


def test_what_was_left_half_written_is_removed_and_nothing_else(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("")
    folder = tmp_path / "maps"
    folder.mkdir()
    kept = [folder / "map", folder / ".hidden", folder / ".note.partial", folder / ".a.0123456789ab.partial_of_mine"]
    for path in kept:
        path.write_text("")
    link = beside(folder / "link")
    link.symlink_to(outside)
    beside(folder / "file.png").write_text("")
    beside(folder / "file.db").with_name(f"{beside(folder / 'file.db').name}-journal").write_text("")
    partial = beside(folder / "map")
    partial.mkdir()
    (partial / "chunk").write_text("")
    (partial / "link").symlink_to(outside)
    assert clear_partial(folder) == 3
    assert sorted(folder.iterdir()) == sorted([*kept, link])
    assert (outside / "precious").exists()


def test_only_partial_files_of_the_name_that_is_meant_are_cleared_where_one_is(tmp_path):
    own, other = beside(tmp_path / "model"), beside(tmp_path / "model-2")
    own.mkdir()
    other.mkdir()
    assert clear_partial(tmp_path, of="model.") == 1
    assert list(tmp_path.iterdir()) == [other]


def test_a_folder_that_is_a_link_is_not_cleared(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    left = beside(elsewhere / "a")
    left.write_text("")
    (tmp_path / "maps").symlink_to(elsewhere)
    assert clear_partial(tmp_path / "maps") == 0
    assert left.exists()


@pytest.mark.parametrize("name", ["a" * 240 + ".png", "ä" * 120 + ".png"])
def test_a_name_of_the_full_length_can_be_written_beside(tmp_path, name):
    write_beside(tmp_path / name, "whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert is_partial(beside(tmp_path / name))
    assert module.beside(tmp_path / name) != module.beside(tmp_path / name)


def test_a_disk_that_knows_no_rights_and_flushes_no_folders_is_written_all_the_same(tmp_path, monkeypatch):
    fsync = os.fsync

    def flush(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    def refuse(path, mode, **options):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "chmod", refuse)
    with folder_beside(tmp_path / "model") as partial:
        (partial / "card.md").write_text("card")
        os.close(os.open(partial / "weights", os.O_CREAT | os.O_WRONLY, 0o600))
    write_beside(tmp_path / "a", "whole")
    assert (tmp_path / "a").read_text() == "whole"
    assert (tmp_path / "model" / "card.md").read_text() == "card"
