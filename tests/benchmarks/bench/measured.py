"""What benchmarks share: what a process needs, results that are kept as they come, tables of docs/performance.md."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoloop.store.files import write_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "build" / "benchmarks"


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds of a process, user and kernel together, those in the kernel, its peak memory, what it printed."""

    cpu_s: float
    kernel_s: float
    peak_mb: int
    printed: str


def run_measured(command: Sequence[str], *, home: Path) -> Spent:
    """Run this Python with arguments in a process with one thread; SystemExit with what it says where it fails.

    Its bytecode is kept for the next run, as that of an installed program.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HISTOLOOP_HOME": str(home)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen([sys.executable, "-W", "ignore", *command], stdout=out, stderr=err, env=environment)
        _pid, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{err.read()}")
        return Spent(used.ru_utime + used.ru_stime, used.ru_stime, used.ru_maxrss // 1024, out.read())


@cache
def source() -> str:
    """Changes with the code of the program."""
    code = hashlib.sha256()
    for path in sorted((ROOT / "app").rglob("*.py")):
        code.update(path.read_bytes())
    return code.hexdigest()


class Kept:
    """Figures by name in a file of build/benchmarks, so that an interrupted benchmark goes on.

    Those of another source of the program, or of before `again` was asked for, are forgotten.
    """

    def __init__(self, name: str, *, again: bool) -> None:
        self._path = RESULTS / f"{name}.json"
        self._found: dict[str, Any] = {}
        if self._path.exists() and not again:
            kept = json.loads(self._path.read_text("utf-8"))
            self._found = kept["figures"] if kept["source"] == source() else {}

    def get(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The figures of a name: those that are kept, or measured now."""
        if name not in self._found:
            self._found[name] = measure()
            RESULTS.mkdir(parents=True, exist_ok=True)
            write_beside(self._path, json.dumps({"source": source(), "figures": self._found}, indent=1))
            print(f"{name}: {self._found[name]}", file=sys.stderr, flush=True)
        found: dict[str, Any] = self._found[name]
        return found


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """As Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def show(name: str, text: str, *, write: bool) -> None:
    """Print a table, and put it between its marks in docs/performance.md: 'NAME: made by', 'end of NAME'."""
    print(f"\n{text}", flush=True)
    if write:
        head, rest = PAGE.read_text("utf-8").split(f"<!-- {name}: made by ", 1)
        script, rest = rest.split(" -->", 1)
        _old, after = rest.split(f"<!-- end of {name} -->", 1)
        write_beside(PAGE, f"{head}<!-- {name}: made by {script} -->\n\n{text}\n\n<!-- end of {name} -->{after}")
