"""A process that was not started from a desktop."""

from __future__ import annotations

import io
import locale
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from histoloop import paths
from histoloop.environment import may_write, settle_in, write_numbers_with_a_point
from histoloop.errors import PlaceError
from histoloop.store.temporary import temporary_folder

LIBRARIES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NAPARI_CONFIG", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TORCH_HOME",
             "CUDA_CACHE_PATH", "XDG_DATA_HOME")  # fmt: skip


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set stays within the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in LIBRARIES:
        os.environ.pop(name, None)


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_without_a_home_projects_and_settings_belong_under_the_root_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(sys, "platform", "linux")
    os.environ.pop("HISTOLOOP_HOME")
    settle_in()
    assert paths.user_data() == Path("/.local/share/histoloop")
    assert paths.projects() == Path("/Documents/HistoLoop")


def test_without_a_home_libraries_are_given_the_root_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", no_home)
    settle_in()
    assert os.environ["HOME"] == os.sep


def test_libraries_keep_what_they_keep_in_histoloop_home(tmp_path: Path) -> None:
    os.environ["HISTOLOOP_HOME"] = str(tmp_path / "mine")
    settle_in()
    kept = tmp_path / "mine" / "libraries"
    assert os.environ["XDG_CACHE_HOME"] == str(kept / "cache")
    assert os.environ["NAPARI_CONFIG"] == str(kept / "napari" / "settings.yaml")
    assert os.environ["MPLCONFIGDIR"] == str(kept / "matplotlib")
    assert os.environ["TORCH_HOME"] == str(kept / "torch")
    assert not kept.exists()


def test_what_the_user_says_of_libraries_holds(tmp_path: Path) -> None:
    os.environ["HISTOLOOP_HOME"] = str(tmp_path / "mine")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    settle_in()
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / "cache")


def closed(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Let folders and what is in them refuse writing (root may write anywhere)."""
    really = os.access

    def access(place: Path, mode: int) -> bool:
        return really(place, mode) and not any(Path(place).is_relative_to(folder) for folder in folders)

    monkeypatch.setattr(os, "access", access)


def test_a_home_that_cannot_be_written_leaves_libraries_a_folder_for_temporary_files_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    closed(monkeypatch, home)
    os.environ.pop("HISTOLOOP_HOME")
    os.environ["HOME"] = str(home)
    settle_in()
    kept = tmp_path / f"histoloop-{os.getuid()}"
    assert os.environ["XDG_CACHE_HOME"] == str(kept / "cache")
    assert os.environ["XDG_CONFIG_HOME"] == str(kept / "config")
    assert kept.stat().st_mode & 0o777 == 0o700
    assert paths.user_data() == home / ".local" / "share" / "histoloop"  # where nothing is kept: the window says so


def test_a_folder_that_somebody_put_in_that_place_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home, theirs = tmp_path / "home", tmp_path / "theirs"
    home.mkdir()
    theirs.mkdir()
    (tmp_path / f"histoloop-{os.getuid()}").symlink_to(theirs)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    closed(monkeypatch, home)
    os.environ.pop("HISTOLOOP_HOME")
    os.environ["HOME"] = str(home)
    settle_in()
    cache = Path(os.environ["XDG_CACHE_HOME"])
    assert cache.parent.parent == tmp_path
    assert cache.parent.name.startswith("histoloop-")
    assert not cache.parent.is_symlink()


def test_a_home_of_ones_own_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.environ.pop("HISTOLOOP_HOME")
    os.environ["HOME"] = str(tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    before = dict(os.environ)
    settle_in()
    assert dict(os.environ) == before


def test_a_folder_that_is_not_there_may_be_written_where_it_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert may_write(tmp_path / "a" / "b")
    assert not may_write(tmp_path / "file" / "b")
    assert not may_write(Path("/proc/1/histoloop"))


def test_names_that_the_output_cannot_say_are_written_as_their_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    settle_in()
    sys.stdout.write("Größe \udce9.svs\n")
    sys.stdout.flush()
    assert written.getvalue() == b"Gr\\xf6\\xdfe \\udce9.svs\n"


@pytest.mark.skipif(os.name != "posix", reason="numbers of streams are given anew on POSIX only")
def test_a_closed_output_gives_its_number_to_no_other_file(tmp_path: Path) -> None:
    code = (
        "import sys; from histoloop.environment import settle_in; settle_in(); print('lost'); "
        f"file = open({str(tmp_path / 'file')!r}, 'w'); file.write(str(file.fileno()))"
    )
    subprocess.run(["sh", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, code], check=True)
    assert int((tmp_path / "file").read_text()) > 2


def test_numbers_of_c_libraries_have_a_point_where_the_user_writes_a_comma() -> None:
    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        write_numbers_with_a_point()
        assert locale.localeconv()["decimal_point"] == "."
        assert locale.setlocale(locale.LC_NUMERIC) == "C"
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


def test_without_a_folder_for_temporary_files_the_users_own_serves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    os.environ["HISTOLOOP_HOME"] = str(tmp_path)
    monkeypatch.setattr(tempfile, "gettempdir", none)
    settle_in()
    assert os.environ["TMPDIR"] == str(tmp_path / "temporary")
    assert (tmp_path / "temporary").is_dir()


def test_a_temporary_folder_that_cannot_be_made_is_told_with_the_variable_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(PlaceError, match="TMPDIR"), temporary_folder("x"):
        pass


def test_a_temporary_folder_is_taken_away_with_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder("x") as folder:
        (folder / "file").touch()
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []
