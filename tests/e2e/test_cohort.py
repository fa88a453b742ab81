"""A cohort on a Dask cluster, one of whose workers is killed: a row a slide, and nothing predicted twice."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import count_predictions
import numpy as np
import pytest
from PIL import Image
from tiny_model import write_tiny_model

from histoloop.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

SLIDES = 40

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that kills a worker"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty small pictures of noise in the colour of tissue, and a tiny model."""
    folder = tmp_path_factory.mktemp("cohort")
    (folder / "slides").mkdir()
    rng = np.random.default_rng(0)
    for number in range(SLIDES):
        pixels = np.array((205, 130, 180)) + rng.integers(-25, 26, (96, 128, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "slides" / f"case-{number:02}.png")
    write_tiny_model(folder / "tiny")
    return folder


def rows(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two workers, which write down what they begin."""
    distributed = pytest.importorskip("distributed", reason="the extra histoloop[cluster] is not installed")
    monkeypatch.setenv("HISTOLOOP_TEST_BEGUN", str(tmp_path / "begun"))
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        memory_limit=0,
        dashboard_address=":0",
        silence_logs=50,
        preload=[str(Path(count_predictions.__file__))],
    ) as cluster:
        yield cluster


def wait_for(table: Path, count: int, running: threading.Thread) -> None:
    deadline = time.monotonic() + 600
    while len(rows(table)) < count and running.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_worker_is_killed_half_way_and_every_slide_has_one_row(cohort: Path, cluster: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["predict", str(cohort / "slides"), "--out", str(out), "--model", str(cohort / "tiny"), "--mpp", "1"]
    arguments += ["--device", "cpu", "--dask", cluster.scheduler_address]
    codes: list[int] = []
    running = threading.Thread(target=lambda: codes.append(main(arguments)))
    running.start()
    wait_for(out / "summary.csv", SLIDES // 2, running)
    begun = [line.split() for line in (tmp_path / "begun").read_text(encoding="utf-8").splitlines()]
    victim = int(begun[-1][1])
    os.kill(victim, signal.SIGKILL)
    running.join(900)
    assert codes == [0]
    table = rows(out / "summary.csv")
    names = sorted(f"case-{number:02}.png" for number in range(SLIDES))
    assert sorted(Path(row["path"]).name for row in table) == names
    assert {row["status"] for row in table} == {"predicted"}
    assert all((out / name).is_file() for row in table for name in row["files"].split(";"))
    begun = [line.split() for line in (tmp_path / "begun").read_text(encoding="utf-8").splitlines()]
    counts = Counter(name for name, _pid in begun)
    (*_done, in_its_hands) = [name for name, pid in begun if int(pid) == victim]
    assert {name for name, count in counts.items() if count > 1} <= {in_its_hands}
    assert len({pid for _name, pid in begun}) >= 2
    assert not (out / "rows").exists()
    assert main([*arguments, "--json", str(tmp_path / "again.json")]) == 0
    assert len(rows(out / "summary.csv")) == SLIDES
    assert len((tmp_path / "begun").read_text(encoding="utf-8").splitlines()) == len(begun)


def test_a_command_that_is_terminated_leaves_a_whole_table_and_the_next_goes_on(cohort: Path, tmp_path: Path) -> None:
    out, slides = tmp_path / "out", [str(path) for path in sorted((cohort / "slides").iterdir())[:12]]
    command = [sys.executable, "-m", "histoloop", "predict", *slides, "--out", str(out)]
    command += ["--model", str(cohort / "tiny"), "--mpp", "1", "--device", "cpu", "--jobs", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 600
        while len(rows(out / "summary.csv")) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _out, error = process.communicate(timeout=120)
    assert process.returncode == 143, error
    assert "Traceback" not in error
    kept = rows(out / "summary.csv")  # a row that was seen before it was on the disk is taken back
    assert 1 <= len(kept) < len(slides)
    assert list(out.glob("**/*partial*")) == []
    arguments = ["predict", *slides, "--out", str(out), "--model", str(cohort / "tiny"), "--mpp", "1"]
    assert main([*arguments, "--device", "cpu"]) == 0
    table = rows(out / "summary.csv")
    assert table[: len(kept)] == kept
    assert sorted(row["path"] for row in table) == slides
