"""Which libraries of the system the frozen program needs, and the Debian packages that hold them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from installers.bundle import files
from installers.program import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TABLE = REPOSITORY / "packaging" / "linux" / "libraries.toml"

_ELF = b"\x7fELF"
_BATCH = 200
_NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[(.+)\]")
_SONAME = re.compile(r"\(SONAME\)\s+Library soname: \[(.+)\]")
_GLIBC = re.compile(r"Name: GLIBC_(\d+)\.(\d+)")
_CXX = re.compile(r"Name: GLIBCXX_3\.4\.(\d+)")
_FILE = re.compile(r"^File: (.+)$", re.MULTILINE)


_GCC_OF_CXX = {28: 9, 29: 11, 30: 12, 31: 13, 32: 13, 33: 14, 34: 15}
"""The GCC whose C++ library brought GLIBCXX_3.4.N; it counts its Debian package's versions by GCC's."""


class UnknownLibraryError(Exception):
    """The frozen program needs a library that packaging/linux/libraries.toml does not name."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the files of a bundle want from the system.

    `libraries` maps the soname of each library that is not in the bundle to the first file that needs it; `glibc` is
    the newest (major, minor) version of the C library that any file asks for, `cxx` the newest N of the C++ library's
    GLIBCXX_3.4.N, 0 when none is asked for.
    """

    libraries: dict[str, str]
    glibc: tuple[int, int]
    cxx: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """packaging/linux/libraries.toml: packages by soname, those loaded by name, and sonames that may be absent."""

    packages: dict[str, str]
    loaded: dict[str, str]
    optional: dict[str, str]


def load_table(path: Path = TABLE) -> Table:
    """Read the table."""
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    return Table(packages=read["packages"], loaded=read["loaded"], optional=read["optional"])


def find_needs(bundle: Path) -> Needs:
    """Read the dynamic sections of every program and library in a folder (with readelf)."""
    programs = [path for path in files(bundle) if not path.is_symlink() and _is_elf(path)]
    inside = {path.name for path in files(bundle)}
    needed: dict[str, str] = {}
    glibc = (2, 17)  # the oldest that a 64-bit PyTorch can have been built for
    cxx = 0
    for start in range(0, len(programs), _BATCH):
        read = _readelf(programs[start : start + _BATCH])
        names = [None, *_FILE.findall(read)]
        for name, part in zip(names, _FILE.split(read)[::2], strict=True):
            inside.update(_SONAME.findall(part))
            for soname in _NEEDED.findall(part):
                needed.setdefault(soname, "" if name is None else str(name))
            glibc = max([glibc, *((int(major), int(minor)) for major, minor in _GLIBC.findall(part))])
            cxx = max([cxx, *map(int, _CXX.findall(part))])
    outside = {soname: user for soname, user in sorted(needed.items()) if soname not in inside}
    return Needs({soname: _within(bundle, user) for soname, user in outside.items()}, glibc, cxx)


def depends(needs: Needs, table: Table) -> list[str]:
    """The Debian dependencies, sorted; UnknownLibraryError when the table lacks one."""
    unknown = [
        f"{soname} (of {user})"
        for soname, user in needs.libraries.items()
        if soname not in table.packages and soname not in table.optional
    ]
    if unknown:
        raise UnknownLibraryError(f"{TABLE.name} does not name {', '.join(unknown)}: add its package, or why not")
    packages = {table.packages[soname] for soname in needs.libraries if soname in table.packages}
    least = {"libc6": f"{needs.glibc[0]}.{needs.glibc[1]}"} | _least_cxx(needs.cxx)
    packages |= {"libc6", *table.loaded}
    return sorted(f"{package} (>= {least[package]})" if package in least else package for package in packages)


def _least_cxx(cxx: int) -> dict[str, str]:
    if cxx < min(_GCC_OF_CXX):
        return {}
    if cxx not in _GCC_OF_CXX:
        raise UnknownLibraryError(f"GLIBCXX_3.4.{cxx} is of a GCC that libraries.py does not name")
    return {"libstdc++6": str(_GCC_OF_CXX[cxx])}


def required_sonames(needs: Needs, table: Table) -> list[str]:
    """The libraries that must be there, for distributions with other package names."""
    return sorted(soname for soname in needs.libraries if soname not in table.optional)


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_ELF)) == _ELF


def _readelf(paths: Iterable[Path]) -> str:
    """What readelf says, a `File:` line before each file's part."""
    names = [str(path) for path in paths]
    done = subprocess.run(
        ["readelf", "--dynamic", "--version-info", "--wide", *names],
        capture_output=True,
        text=True,
        errors="replace",
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    if done.returncode != 0:
        raise ValueError(f"readelf cannot read the bundle: {done.stderr.strip()[:500]}")
    return done.stdout if len(names) > 1 else f"File: {names[0]}\n{done.stdout}"


def _within(bundle: Path, name: str) -> str:
    return name.removeprefix(f"{bundle}/")
