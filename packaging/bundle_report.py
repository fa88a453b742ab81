"""What a bundle weighs and how fast it starts, as build/bundle-report.json and .md."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

MB = 1e6
PROGRAM, LIBRARIES, LICENCES = "program and Python modules", "libraries of the system", "licences and versions"
_SHARED = re.compile(r"\.(so|dll|dylib|pyd)(\.|$)", re.IGNORECASE)
_PROGRAM_FILES = re.compile(r"base_library\.zip|lib-dynload|(lib)?python3?[\d.]*(\.so.*|\.dll)?|Python")


@dataclass(frozen=True, slots=True)
class PackageSize:
    """The files of one package in the bundle; links are not counted."""

    package: str
    size_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of the process to the splash and to the window on the screen."""

    splash_s: float
    window_s: float


@dataclass(frozen=True, slots=True)
class BundleReport:
    """All that is told of a build. The first of `starts` is the first run of new files, and apart in the median."""

    version: str
    flavour: str
    system: str
    build_s: float
    packages: tuple[PackageSize, ...]
    starts: tuple[Start, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(package.size_bytes for package in self.packages)

    @property
    def files(self) -> int:
        """Number of files."""
        return sum(package.files for package in self.packages)

    @property
    def median_start(self) -> Start | None:
        """Of the starts after the first; None where the window was not started that often."""
        later = self.starts[1:]
        if not later:
            return None
        return Start(
            statistics.median(start.splash_s for start in later), statistics.median(start.window_s for start in later)
        )

    def as_json(self) -> dict[str, object]:
        """The report as plain values."""
        median = self.median_start
        totals = {"size_bytes": self.size_bytes, "files": self.files}
        return asdict(self) | totals | {"median_start": None if median is None else asdict(median)}


def package_of(path: PurePosixPath) -> str:
    """The package that a file belongs to, by its path in the bundle."""
    parts = path.parts[1:] if path.parts[0] == "_internal" else ()
    if not parts or _PROGRAM_FILES.fullmatch(parts[0]):
        return PROGRAM
    if parts[0].endswith((".dist-info", ".egg-info")):
        return LICENCES
    if len(parts) == 1:
        return LIBRARIES if _SHARED.search(parts[0]) else PROGRAM
    if parts[0] == "nvidia":
        return "CUDA"
    return parts[0].removesuffix(".libs").lower() if parts[0].endswith(".libs") else parts[0]


def size_by_package(sizes: Iterable[tuple[PurePosixPath, int]]) -> tuple[PackageSize, ...]:
    """Packages of (path in the bundle, bytes) of each file, largest first."""
    found: dict[str, tuple[int, int]] = {}
    for path, size in sizes:
        bytes_before, files_before = found.get(package_of(path), (0, 0))
        found[package_of(path)] = (bytes_before + size, files_before + 1)
    packages = (PackageSize(name, *numbers) for name, numbers in found.items())
    return tuple(sorted(packages, key=lambda package: (-package.size_bytes, package.package)))


def file_sizes(bundle: Path) -> list[tuple[PurePosixPath, int]]:
    """(path in the bundle, bytes) of each file that is no link."""
    return [
        (PurePosixPath(path.relative_to(bundle).as_posix()), path.stat().st_size)
        for path in bundle.rglob("*")
        if path.is_file() and not path.is_symlink()
    ]


def left_out(excluded: Mapping[str, Sequence[Mapping[str, object]]], platform: str) -> tuple[tuple[str, str], ...]:
    """(names or patterns, reason) of each group of excluded.toml that holds on a platform (as in sys.platform)."""
    return tuple(
        (", ".join(group["names" if kind == "module" else "patterns"]), str(group["why"]))  # type: ignore[arg-type]
        for kind in ("module", "file")
        for group in excluded[kind]
        if group.get("platform", platform) == platform
    )


def as_markdown(report: BundleReport, *, packages: int = 25) -> str:
    """The report to read, with the largest `packages`."""
    median = report.median_start
    rest = report.packages[packages:]
    return "\n".join(
        [
            f"# Bundle of HistoLoop {report.version}, {report.flavour}",
            "",
            f"Built on {report.system} in {report.build_s:.0f} s: {report.size_bytes / MB:,.0f} MB in "
            f"{report.files:,} files.",
            "",
            "Start-up was not measured: there was no display."
            if median is None
            else f"From the start of the process to the splash {median.splash_s:.1f} s, to the window "
            f"{median.window_s:.1f} s (median of {len(report.starts) - 1}; the first start of new files "
            f"took {report.starts[0].splash_s:.1f} s and {report.starts[0].window_s:.1f} s).",
            "",
            "| package | MB | files |",
            "|---|---:|---:|",
            *(f"| {row.package} | {row.size_bytes / MB:,.1f} | {row.files:,} |" for row in report.packages[:packages]),
            f"| {len(rest)} more | {sum(row.size_bytes for row in rest) / MB:,.1f} "
            f"| {sum(row.files for row in rest):,} |",
            "",
            "## Left out",
            "",
            *(f"- {why}: `{what}`" for what, why in report.left_out),
            "",
        ]
    )


def write_report(report: BundleReport, folder: Path) -> tuple[Path, Path]:
    """Write `bundle-report.json` and `bundle-report.md` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "bundle-report.json", folder / "bundle-report.md"
    files[0].write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    files[1].write_text(as_markdown(report), encoding="utf-8")
    return files
