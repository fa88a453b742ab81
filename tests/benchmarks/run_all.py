"""Run the benchmarks, each in processes of its own, and print tables for docs/results.md.

make benchmarks
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RUNS = 3


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / "project"
        demo = ["-m", "histoloop", "demo", "--rounds", "1", "--seed", "0", "--project", str(project)]
        subprocess.run([sys.executable, *demo], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        responsiveness(project)
    strokes()


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


if __name__ == "__main__":
    main()
