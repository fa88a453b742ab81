"""What the program takes until it can be used: commands, and the first window; and the imports that take longest.

    packaging/with_display.sh python tests/benchmarks/startup.py [--write] [--again]

Each in a process of its own with one thread, five times after a first one that warms the disk's cache; CPU seconds of
the process, user and kernel together, the least of them, and seconds of the clock. `the first window` is until it is
shown and has handled its events, `and its canvas` until slides can be shown: a thread loads napari meanwhile, and the
GUI thread is held while the canvas is made. With `--write` the table goes into docs/performance.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench.measured import Kept, run_measured, show, table

RUNS = 5
LONGEST = 6
WINDOW = """
import os, sys, time
from pathlib import Path
from histoloop.gui.application import make_application
from histoloop.gui.kit.settings import Settings
from histoloop.gui.window.main_window import MainWindow
application = make_application()
window = MainWindow(Settings(Path(sys.argv[1]) / "settings.ini"))
window.show()
for _ in range(10):
    application.processEvents()
assert window.isVisible() and not window.viewer.has_canvas
"""
CANVAS = """
longest = 0.0
while not window.viewer.has_canvas:
    began = time.thread_time()
    application.processEvents()
    longest = max(longest, time.thread_time() - began)
    time.sleep(0.005)
print(longest)
sys.stdout.flush()
"""
END = "os._exit(0)"
WHAT = {
    "histoloop --version": ["-m", "histoloop", "--version"],
    "histoloop doctor": ["-m", "histoloop", "doctor"],
    "what predict imports": ["-c", "import histoloop.workflows.prediction.predict_files"],
    "torch alone": ["-c", "import torch"],
    "the first window": ["-c", WINDOW + END, "HOME"],
    "and its canvas": ["-c", WINDOW + CANVAS + END, "HOME"],
    "what the first window imports": ["-c", "import histoloop.gui.window.main_window"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    kept, rows = Kept("startup", again=options.again), []
    for name, command in WHAT.items():
        found = kept.get(name, lambda command=command: measure(command))
        held = "-" if found["held_s"] is None else f"{found['held_s'] * 1000:.0f}"
        rows.append([name, *(f"{found[key]:.2f}" for key in ("cpu_s", "clock_s")), held, f"{found['peak_MB']}",
                     found["imports"]])  # fmt: skip
    head = ["what", "CPU s", "s by the clock", "GUI thread held at most, CPU ms", "peak MB",
            "packages that take longest to import, ms of their own"]  # fmt: skip
    show("start-up", table(head, rows), write=options.write)


def measure(command: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        own = [home if one == "HOME" else one for one in command]
        cpu, clock, peak, held = [], [], 0, []
        for _run in range(RUNS + 1):
            began = time.monotonic()
            spent = run_measured(own, home=Path(home))
            cpu.append(spent.cpu_s)
            clock.append(time.monotonic() - began)
            peak = spent.peak_mb
            held += [float(spent.printed)] if CANVAS in command[1] else []
        told = subprocess.run([sys.executable, "-X", "importtime", *own], capture_output=True, text=True, check=False)
        return {"cpu_s": min(cpu[1:]), "clock_s": min(clock[1:]), "held_s": min(held[1:], default=None),
                "peak_MB": peak, "imports": longest(told.stderr)}  # fmt: skip


def longest(told: str) -> str:
    """The packages whose modules take longest together, without what they import from others."""
    own: Counter[str] = Counter()
    for line in told.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and len(parts) == 3 and parts[0].strip().isdigit():
            own[parts[2].strip().partition(".")[0]] += int(parts[0])
    return ", ".join(f"{name} {microseconds // 1000}" for name, microseconds in own.most_common(LONGEST))


if __name__ == "__main__":
    main()
