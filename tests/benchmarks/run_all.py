"""Run the benchmarks of speed and memory, each in processes of its own; print their tables, write docs/performance.md.

    make benchmarks [BENCHMARKS="PART ... [--again] [--no-write]"]

Without a PART all run, in the order below, which takes an hour or more. What was measured is kept in build/benchmarks,
so that the same command goes on where it was interrupted, until the code of the program changes or `--again` is given.
Parts of which something is missing on this machine are skipped, and why is said. `window` and `strokes` are printed
alone: docs/results.md has them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RUNS = 3
DATA = Path(os.environ.get("HISTOLOOP_DATA", HERE.parents[2] / "shared" / "data"))
SLIDE = DATA / "slides" / "CMU-1-Small-Region.svs"


PARTS = {
    "levers": ["engine.py"],
    "learning": ["engine.py", "--learning"],
    "click-to-view": ["click_to_view.py"],
    "growth": ["whole_slide.py", "growth"],
    "stages": ["whole_slide.py", "stages"],
    "limits": ["whole_slide.py", "limits"],
    "peers": ["whole_slide.py", "peers"],
    "glass": ["whole_slide.py", "glass"],
    "after-network": ["after_network.py"],
    "decoding": ["decoding.py", "SLIDE", "--runs", "3"],
    "start-up": ["startup.py"],
    "slides": ["many_slides.py", "table"],
    "zoom": ["zoom.py"],
    "region-sizes": ["region_sizes.py"],
    "regions": ["many_regions.py", "table"],
}
"""Scripts that write a table of docs/performance.md each."""
KEEP = {
    "whole_slide.py", "after_network.py", "startup.py", "many_slides.py", "many_regions.py", "zoom.py",
    "click_to_view.py",
}  # fmt: skip
"""Those that keep what they measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join([*PARTS, *PRINTED]))
    parser.add_argument("--again", action="store_true", help="measure anew what is kept")
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md as it is")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS) - set(PRINTED)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; parts are {', '.join([*PARTS, *PRINTED])}")
    failed = []
    for part in options.parts or [*PARTS, *PRINTED]:
        print(f"\n== {part}", flush=True)
        if part in PRINTED:
            PRINTED[part]()
        elif why := _missing(part):
            print(f"skipped: {why}", flush=True)
        elif not _table(part, again=options.again, write=not options.no_write):
            failed.append(part)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _missing(part: str) -> str:
    """What a part needs that is not here."""
    if part in ("learning", "click-to-view") and not (DATA / "glas").is_dir():
        return f"there is no {DATA / 'glas'}; HISTOLOOP_DATA names the folder of the data sets"
    if part == "decoding" and not SLIDE.is_file():
        return f"there is no {SLIDE}, OpenSlide's test slide"
    return ""


def _table(part: str, *, again: bool, write: bool) -> bool:
    """Run it; whether it ended well."""
    script, *arguments = PARTS[part]
    command = [sys.executable, "-W", "ignore", str(HERE / script)]
    command += [str(SLIDE) if one == "SLIDE" else one for one in arguments]
    command += ["--write"] if write else []
    command += ["--again"] if again and script in KEEP else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HISTOLOOP_DATA": str(DATA)}
    return subprocess.run(command, check=False, env=environment).returncode == 0


def window() -> None:
    """The project of the demonstration under load."""
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / "project"
        demo = ["-m", "histoloop", "demo", "--rounds", "1", "--seed", "0", "--project", str(project)]
        subprocess.run([sys.executable, *demo], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        responsiveness(project)


def responsiveness(project: Path) -> None:
    """Gaps between ticks of 10 ms; medians over the runs, the longest over all of them."""
    print("| where | work | p50 ms | p99 ms | longest ms | runs |\n|---|---|---|---|---|---|", flush=True)
    for work in ("idle", "predict", "retrain"):
        for where in ("thread", "child", "window"):
            found = [_run("responsiveness.py", where, work, str(project)) for _run_number in range(RUNS)]
            p50 = statistics.median(row["p50_ms"] for row in found)
            p99 = statistics.median(row["p99_ms"] for row in found)
            longest = max(row["longest_ms"] for row in found)
            print(f"| {where} | {work} | {p50:.1f} | {p99:.1f} | {longest:.1f} | {RUNS} |", flush=True)


def strokes() -> None:
    """What a stroke costs, by the number of slides; medians over the runs, the longest over all of them."""
    print(
        "| slides | median ms | longest ms | looked for | databases opened | runs |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for slides in (10, 200, 2000):
        found = [_run("strokes.py", str(slides)) for _run_number in range(RUNS)]
        median = statistics.median(row["median_ms"] for row in found)
        longest = max(row["longest_ms"] for row in found)
        looked, opened = found[-1]["looks for a slide"], found[-1]["opened databases"]
        print(f"| {slides} | {median:.1f} | {longest:.1f} | {looked:g} | {opened:g} | {RUNS} |", flush=True)


def _run(script: str, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{script} {' '.join(arguments)} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


PRINTED = {"window": window, "strokes": strokes}
"""What is printed alone."""


if __name__ == "__main__":
    main()
