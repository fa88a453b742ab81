"""The tar.gz of a small stand-in: installed for a user, upgraded, removed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from installers.tarball import build_tarball

RELEASED = 1_780_000_000

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64" or shutil.which("readelf") is None,
    reason="the tar.gz is for Linux on x86_64",
)


@pytest.fixture
def source(bundle, program, found, tmp_path) -> Path:
    """The tar.gz, unpacked."""
    packed = build_tarball(
        bundle, tmp_path / "out", program=program, work=tmp_path / "work", found=found, released=RELEASED
    )
    assert packed.name == f"histoloop-{program.version}-linux-x86_64.tar.gz"
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xzf", packed, "-C", unpacked], check=True)  # as people do
    (folder,) = unpacked.iterdir()
    return folder


@pytest.fixture
def home(tmp_path) -> Path:
    """A home with work in it, and a space in its name."""
    folder = tmp_path / "the home"
    (folder / ".local" / "share" / "histoloop" / "projects").mkdir(parents=True)
    (folder / ".local" / "share" / "histoloop" / "projects" / "mine").write_text("weeks of work")
    return folder


def call(script: Path, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {"HOME": str(home), "PATH": os.environ["PATH"]} | environment
    return subprocess.run(["sh", script], env=known, capture_output=True, text=True)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def test_it_installs_and_both_commands_run(source, home):
    done = call(source / "install.sh", home)
    assert done.returncode == 0, done.stderr
    for name in ("histoloop", "histoloop-gui"):
        asked = subprocess.run([home / ".local" / "bin" / name, "a b"], capture_output=True, text=True, check=True)
        assert asked.stdout.splitlines()[1] == "a b"


def test_the_menu_entry_finds_the_program_without_the_path(source, home, program):
    call(source / "install.sh", home)
    entry = (home / ".local" / "share" / "applications" / f"{program.id}.desktop").read_text()
    assert f'Exec="{home}/.local/bin/histoloop-gui" %F\n' in entry
    assert f'Exec="{home}/.local/bin/histoloop-gui" --demo\n' in entry
    assert "@BIN@" not in entry


def test_a_path_with_signs_of_its_own_is_quoted_in_the_menu_entry(source, tmp_path, program):
    odd = tmp_path / "50% of $HOME & more"
    assert call(source / "install.sh", tmp_path, PREFIX=str(odd)).returncode == 0
    entry = (odd / "share" / "applications" / f"{program.id}.desktop").read_text()
    assert f'Exec="{tmp_path}/50%% of \\\\$HOME & more/bin/histoloop-gui" %F\n' in entry


def test_removed_it_leaves_the_home_as_it_was(source, home):
    before = files(home)
    call(source / "install.sh", home)
    assert files(home) > before
    done = call(home / ".local" / "lib" / "histoloop" / "uninstall.sh", home)
    assert done.returncode == 0, done.stderr
    caches = {
        name
        for name in files(home)
        if Path(name).parent.as_posix() in (".local/share/mime", ".local/share/applications")
    }
    assert files(home) - caches == before
    assert not any("histoloop" in (home / name).read_text() for name in caches if name.endswith("cache"))
    assert str(home) in done.stdout


def test_an_upgrade_leaves_nothing_of_the_version_before(source, home):
    call(source / "install.sh", home)
    stale = home / ".local" / "lib" / "histoloop" / "_internal" / "stale.so"
    stale.write_text("")
    again = call(source / "install.sh", home)
    assert again.returncode == 0, again.stderr
    assert not stale.exists()
    assert (home / ".local" / "lib" / "histoloop" / "histoloop").is_file()
    assert (home / ".local" / "share" / "histoloop" / "projects" / "mine").read_text() == "weeks of work"


def test_a_folder_of_somebody_else_is_not_replaced(source, home):
    other = home / ".local" / "lib" / "histoloop"
    other.mkdir(parents=True)
    (other / "mine").write_text("")
    done = call(source / "install.sh", home)
    assert done.returncode == 1
    assert "not put there by this script" in done.stderr
    assert files(other) == {"mine"}


def test_a_missing_library_is_named(source, home):
    (source / "libraries.txt").write_text("libc.so.6\nlibnobodyhas.so.7\n")
    done = call(source / "install.sh", home)
    assert done.returncode == 0
    assert "libnobodyhas.so.7" in done.stderr
    assert "libc.so.6" not in done.stderr


def test_a_prefix_that_depends_on_where_one_stands_is_refused(source, home):
    assert call(source / "install.sh", home, PREFIX="here").returncode == 2


def test_removing_what_is_not_there_says_so(source, home):
    done = call(source / "uninstall.sh", home)
    assert done.returncode == 1
    assert "There is no HistoLoop" in done.stderr
