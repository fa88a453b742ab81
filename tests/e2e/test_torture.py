"""A few trials of every kind that `make torture` runs by the thousand (docs/reliability.md)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

TESTS = Path(__file__).resolve().parent.parent

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the calls of the C library are watched on Linux only"),
    pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler"),
]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Sequence[dict[str, Any]]:
    """The results of the short form."""
    out = tmp_path_factory.mktemp("torture")
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "torture", "--short", "--minutes", "5", "--out", str(out)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    shutil.rmtree(out, ignore_errors=True)
    return rows


@pytest.mark.parametrize(
    ("kind", "count"), [("kill", 10), ("interrupt", 4), ("write fault", 5), ("damaged", 30), ("parallel", 1)]
)
def test_nothing_is_lost_or_half_and_every_failure_has_words(
    kind: str, count: int, trials: Sequence[dict[str, Any]]
) -> None:
    of_kind = [row for row in trials if row["kind"] == kind]
    assert len(of_kind) == count
    assert {row["key"]: row["problems"] for row in of_kind if row["problems"]} == {}


def test_what_was_reported_as_done_survives_a_power_cut(trials: Sequence[dict[str, Any]]) -> None:
    cuts = [row for row in trials if row["kind"] == "power cut"]
    if not cuts:
        pytest.skip("no file system can be mounted here")
    assert {row["key"]: row["problems"] for row in cuts if row["problems"]} == {}
