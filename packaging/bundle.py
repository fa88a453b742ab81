"""Freezes the program into dist/histoloop and writes build/bundle-report.json and .md (`make bundle`)."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from bundle_report import BundleReport, Start, as_markdown, file_sizes, left_out, size_by_package, write_report

ROOT = Path(__file__).resolve().parent.parent
PACKAGING, BUILD, DIST = ROOT / "packaging", ROOT / "build", ROOT / "dist"
STARTS = 6
START_PATIENCE_S = 600


def main() -> int:
    """Build, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=STARTS, help="how often the window is started to be timed")
    parser.add_argument("--report-only", action="store_true", help="report on the bundle that is there")
    options = parser.parse_args()
    build_s = _known_build_seconds() if options.report_only else freeze()
    bundle = DIST / "histoloop"
    report = BundleReport(
        version=_version(),
        flavour=flavour(),
        system=platform.platform(),
        build_s=round(build_s, 1),
        packages=size_by_package(file_sizes(bundle)),
        starts=tuple(time_start(bundle) for _start in range(options.starts)) if _has_display() else (),
        left_out=left_out(tomllib.loads((PACKAGING / "excluded.toml").read_text("utf-8")), sys.platform),
    )
    write_report(report, BUILD)
    print(as_markdown(report))
    return 0


def freeze() -> float:
    """Run PyInstaller; the seconds it took."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--distpath", DIST, "--workpath", BUILD / "frozen"]
    subprocess.run([*map(str, command), str(PACKAGING / "histoloop.spec")], cwd=ROOT, check=True)
    return time.monotonic() - begun


def flavour() -> str:
    """What the torch that is installed computes on."""
    cuda = importlib.import_module("torch").version.cuda
    return "CPU" if cuda is None else f"CUDA {cuda}"


def time_start(bundle: Path) -> Start:
    """Start the window once and let it end, as a user who has never started it."""
    program = bundle / f"histoloop-gui{'.exe' if sys.platform == 'win32' else ''}"
    with tempfile.TemporaryDirectory(prefix="histoloop-start-") as home:
        times = Path(home) / "times.json"
        subprocess.run(
            [str(program), "--start-times", str(times)],
            env=os.environ | {"HISTOLOOP_HOME": home, "HOME": home},
            timeout=START_PATIENCE_S,
            check=True,
        )
        return Start(**json.loads(times.read_text("utf-8")))


def _has_display() -> bool:
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _version() -> str:
    sys.path.insert(0, str(ROOT / "app"))
    return str(importlib.import_module("histoloop").__version__)


def _known_build_seconds() -> float:
    return float(json.loads((BUILD / "bundle-report.json").read_text("utf-8"))["build_s"])


if __name__ == "__main__":
    raise SystemExit(main())
