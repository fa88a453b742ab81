"""The frozen program as on a user's machine: no source, no Python, no network, an empty home.

Run by `make bundle-test`; skipped where no bundle was built. HISTOLOOP_BUNDLE names another one than dist/histoloop,
for example an installed one; HISTOLOOP_SOURCE_TOUR a folder with an earlier tour of the source, to spare the run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 3600
SYSTEM_PREFIXES = {Path("/"), Path("/usr"), Path("/usr/local")}
KEPT_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "QT_QPA_PLATFORM", "LIBGL_ALWAYS_SOFTWARE",
                  "OMP_NUM_THREADS", "SYSTEMROOT", "WINDIR", "TMPDIR")  # fmt: skip
_LACKING = re.compile(
    r"(?:No module named|PackageNotFoundError:?(?: No package metadata was found for)?) '?([\w.-]+)'?"
)

SEAL = """
set -e
ip link set lo up 2>/dev/null || true
mount --bind "$1" "$2"
shift 2
while [ "$1" != -- ]; do mount -t tmpfs none "$1"; shift; done
shift
cd "$HOME"
export PATH="$NO_PATH"
exec "$@"
"""
"""Runs in namespaces of its own: puts the bundle where no source is, and empty folders over source and interpreter."""


@cache
def namespaces() -> tuple[str, ...]:
    """The command that gives a process its own mounts and no network; empty where that is not permitted."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return ()
    for command in (
        ("unshare", "--net", "--mount"),
        ("unshare", "--user", "--map-root-user", "--net", "--mount"),
    ):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return ()


def pytest_report_header() -> str:
    if namespaces():
        return "bundle: sealed by namespaces (no network; source tree and interpreter are hidden)"
    return "bundle: NOT sealed: namespaces are not permitted here, so network, source tree and interpreter are in reach"


@dataclass(frozen=True)
class FrozenProgram:
    """The bundle and the empty home that it runs in."""

    bundle: Path
    home: Path
    place: Path

    def run(self, *arguments: object, program: str = "histoloop") -> subprocess.CompletedProcess[str]:
        """Run to the end; what it prints is captured."""
        suffix = ".exe" if sys.platform == "win32" else ""
        seal = namespaces()
        where = self.place if seal else self.bundle
        command = [str(where / f"{program}{suffix}"), *map(str, arguments)]
        if seal:
            command = [*seal, "sh", "-c", SEAL, "seal", str(self.bundle), str(self.place), *_hidden(), "--", *command]
        return subprocess.run(
            command,
            env=self._environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def check(self, *arguments: object, program: str = "histoloop") -> str:
        """Run to the end, which must be a good one; its standard output. What a bundle lacks is said by name."""
        done = self.run(*arguments, program=program)
        told = done.stdout + done.stderr + self._log()
        if lacking := sorted(set(_LACKING.findall(told))):
            pytest.fail(f"The bundle lacks {', '.join(lacking)}: see packaging/histoloop.spec.\n{told}", pytrace=False)
        if done.returncode != 0 or "Traceback" in told:
            pytest.fail(f"{program} {arguments} ended with {done.returncode}:\n{told}", pytrace=False)
        return done.stdout

    def _environment(self) -> Mapping[str, str]:
        nothing = self.home / "no-programs"
        nothing.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        path = (
            os.environ["PATH"] if namespaces() else str(nothing)
        )  # the seal's own commands need one; it then drops it
        own = {"HOME": str(self.home), "USERPROFILE": str(self.home), "LOCALAPPDATA": str(self.home), "LANG": "C.UTF-8"}
        return kept | own | {"PATH": path, "NO_PATH": str(nothing)}

    def _log(self) -> str:
        return "".join(log.read_text("utf-8") for log in self.home.rglob("histoloop.log"))


def _hidden() -> list[str]:
    """Folders that the program must do without: the source tree, and the interpreter unless it is the system's."""
    folders = {ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()} - SYSTEM_PREFIXES
    outermost = [folder for folder in folders if not any(other in folder.parents for other in folders)]
    return sorted(map(str, outermost))


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The folder of the frozen program."""
    folder = Path(os.environ.get("HISTOLOOP_BUNDLE", ROOT / "dist" / "histoloop")).resolve()
    if not (folder / "_internal").is_dir():
        pytest.skip(f"there is no bundle at {folder}: run make bundle")
    return folder


@pytest.fixture(scope="session")
def frozen(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> FrozenProgram:
    """The frozen program, shut off."""
    return FrozenProgram(bundle, tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="session")
def display() -> None:
    """Skips what needs a display where there is none."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        pytest.skip("the window needs a display: run through packaging/with_display.sh")


@pytest.fixture(scope="session")
def frozen_tour(frozen: FrozenProgram, display: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tour of the frozen program."""
    out = tmp_path_factory.mktemp("frozen") / "tour"
    frozen.check("tour", "--out", out)
    return out


@pytest.fixture(scope="session")
def source_tour(display: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tour of the source."""
    if earlier := os.environ.get("HISTOLOOP_SOURCE_TOUR"):
        return Path(earlier)
    out = tmp_path_factory.mktemp("source") / "tour"
    subprocess.run([sys.executable, "-m", "histoloop", "tour", "--out", str(out)], check=True, timeout=PATIENCE_S)
    return out
