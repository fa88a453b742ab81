"""Why one slide failed is said in words; a place that cannot be written is told apart, by its name."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from histoloop.errors import DataError, ExportError, PlaceError, ProjectPlaceError
from histoloop.store.temporary import place_for_temporary_files
from histoloop.workflows.boundary import prepare_folder, why_it_failed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DataError("It does not fit.", advice="Take another."), "It does not fit. Take another."),
        (MemoryError("Unable to allocate 6.7 GiB"), "There is not enough memory for it. Close other programs"),
        (PermissionError(errno.EACCES, "Permission denied", "/scans/a.svs"), "Permission denied (/scans/a.svs)."),
        (OSError(errno.EIO, "Input/output error"), "Input/output error."),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "m" * 300),
            "mmm' is too long for a file. Give it a shorter one.",
        ),
        (UnicodeEncodeError("utf-8", "m\udce4use", 1, 2, "surrogates not allowed"), "not valid text (UTF-8)"),
        (RuntimeError("zstd: \x1b[31mbad\nsecond line"), "It cannot be processed (RuntimeError: zstd: \x1b[31mbad)."),
        (ValueError(), "It cannot be processed (ValueError)."),
    ],
)
def test_whatever_is_raised_becomes_a_sentence(error: Exception, words: str, tmp_path: Path) -> None:
    assert words in why_it_failed(error, writing_to=[tmp_path])


@pytest.mark.parametrize("chained", [False, True])
def test_a_full_disk_is_the_fault_of_the_place_and_not_of_the_slide(tmp_path: Path, chained: bool) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "b" / "zarr.json"))
    error: Exception = full
    if chained:
        error = ExportError("mask.png cannot be written.", advice="")
        error.__cause__ = full
    for name in "ab":
        (tmp_path / name).mkdir()
    with pytest.raises(PlaceError, match=r"Nothing can be written to .*/b: No space left on device"):
        why_it_failed(error, writing_to=[tmp_path / "a", tmp_path / "b"])


def test_a_folder_that_went_away_is_the_fault_of_the_place(tmp_path: Path) -> None:
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", str(tmp_path / "gone" / "a.png"))
    with pytest.raises(PlaceError, match=r"Nothing can be written to .*gone"):
        why_it_failed(error, writing_to=[tmp_path / "gone"])
    assert "No such file" in why_it_failed(error, writing_to=[tmp_path])


def test_a_file_that_cannot_be_written_is_of_its_slide_while_its_place_can(tmp_path: Path) -> None:
    error = ExportError("a-mask.png cannot be written: Is a directory.", advice="Remove it.")
    error.__cause__ = IsADirectoryError(errno.EISDIR, "Is a directory")
    assert why_it_failed(error, writing_to=[tmp_path]) == "a-mask.png cannot be written: Is a directory. Remove it."
    with pytest.raises(ProjectPlaceError):
        why_it_failed(ProjectPlaceError("The disk is full.", advice=""), writing_to=[tmp_path])


def test_a_folder_is_prepared_with_those_above_it_and_nothing_stays_in_it(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "one" / "two")
    assert list((tmp_path / "one" / "two").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceError, match=r"Nothing can be written to .*file"):
        prepare_folder(tmp_path / "file")


def test_a_folder_for_temporary_files_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    with pytest.raises(PlaceError, match=r"There is no folder .*absent for temporary files"):
        place_for_temporary_files()
