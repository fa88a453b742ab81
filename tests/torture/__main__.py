"""`make torture`: run the trials that were not run yet, side by side, until they are done or the time is up."""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from . import shim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .trials import Trial

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
FOLDER = ROOT / "build" / "torture"
PAGE = ROOT / "docs" / "reliability.md"


def main() -> int:
    """Exit code 0 when nothing was found."""
    options = _options()
    folder: Path = options.out.resolve()
    if options.write:
        from .report import write_table

        write_table(folder / "results.jsonl", PAGE)
        return 0
    if shim.compiler() is None:
        print("no C compiler: nothing can be tried", file=sys.stderr)
        return 2
    library = shim.build(folder)
    if os.environ.get("LD_PRELOAD") != str(library):
        _with_shim(library)
    return _run(folder, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of material and results")
    parser.add_argument("--workers", type=int, default=2, help="trials side by side (default: 2)")
    parser.add_argument("--minutes", type=float, default=60, help="stop then; the same command goes on (default: 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--short", action="store_true", help="a few trials of every kind")
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="these kinds alone, e.g. kill 'power cut'")
    parser.add_argument("--scenes", nargs="+", metavar="SCENE", help="these scenes alone")
    parser.add_argument("--count", type=int, help="how many trials of each kind")
    parser.add_argument("--only", metavar="KEY", help="this trial alone, with all its problems")
    parser.add_argument("--retry", action="store_true", help="once more those trials that found something")
    parser.add_argument("--write", action="store_true", help="write the table of the results into docs/reliability.md")
    return parser.parse_args()


def _with_shim(library: Path) -> None:
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(TESTS / "support"), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONHASHSEED": "0",
        "PYTHONWARNINGS": "ignore",
    }
    os.execve(sys.executable, [sys.executable, "-m", "torture", *sys.argv[1:]], environment)


def _run(folder: Path, options: argparse.Namespace) -> int:
    warnings.simplefilter("ignore")
    _import_everything()
    from .material import make_material
    from .plan import FULL, POWER_CUTS, SHORT, trials
    from .power import why_not

    begun = time.monotonic()
    material = make_material(folder / "material")
    counts = dict(SHORT if options.short else FULL)
    if options.count is not None:
        counts = dict.fromkeys(counts, options.count)
    wanted = counts[POWER_CUTS] and (not options.kinds or POWER_CUTS in options.kinds)
    if wanted and (reason := why_not(folder / "try")):
        print(f"no power cuts: {reason}", flush=True)
        counts[POWER_CUTS] = 0
    planned = trials(counts, seed=options.seed)
    if options.only:
        planned = [trial for trial in planned if trial.key == options.only]
    planned = [
        trial
        for trial in planned
        if (not options.kinds or trial.kind in options.kinds) and (not options.scenes or trial.scene in options.scenes)
    ]
    shutil.rmtree(folder / "undisturbed", ignore_errors=True)
    (folder / "undisturbed").mkdir()
    results = folder / "results.jsonl"
    done = {} if options.only else read_results(results)
    left = [
        trial for trial in planned if trial.key not in done or (options.retry and bool(done[trial.key]["problems"]))
    ]
    print(f"{len(left)} of {len(planned)} trials to do", flush=True)
    deadline = begun + options.minutes * 60
    _work(left, folder, material, results, workers=options.workers, deadline=deadline, aloud=bool(options.only))
    found = read_results(results)
    mine = [found[trial.key] for trial in planned if trial.key in found]
    _summarise(mine, len(planned), time.monotonic() - begun)
    return 1 if any(row["problems"] for row in mine) or not mine else 0


def read_results(path: Path) -> dict[str, dict[str, object]]:
    """The newest result of each trial, by its key."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return {row["key"]: row for row in rows}


def _import_everything() -> None:
    import torch

    import histoloop

    torch.set_num_threads(1)
    for found in pkgutil.walk_packages(histoloop.__path__, "histoloop."):
        if ".gui" not in found.name and not found.name.endswith("__main__"):
            import_module(found.name)
    for name in ("damaged", "parallel", "power", "plan", "report"):
        import_module(f"torture.{name}")


def _work(
    trials: Sequence[Trial],
    folder: Path,
    material: object,
    results: Path,
    *,
    workers: int,
    deadline: float,
    aloud: bool,
) -> None:
    """Deal the trials out to forked workers; ends when all are done or at the deadline."""
    source, sink = os.pipe()
    children = []
    for number in range(workers):
        child = os.fork()
        if child == 0:
            os.close(sink)
            code = 1
            try:
                _worker(number, trials, source, folder, material, results, deadline, aloud)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    os.close(source)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        for index in range(len(trials)):
            os.write(sink, struct.pack("<q", index))
    except BrokenPipeError:
        pass
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", flush=True)
    os.close(sink)
    for child in children:
        os.waitpid(child, 0)


def _worker(
    number: int,
    trials: Sequence[Trial],
    source: int,
    folder: Path,
    material: object,
    results: Path,
    deadline: float,
    aloud: bool,
) -> None:
    from .trials import Bench

    bench = Bench(folder / f"worker-{number}" / "trial", material, folder / "undisturbed")  # type: ignore[arg-type]
    file = os.open(results, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    while time.monotonic() < deadline and (record := os.read(source, 8)):
        trial = trials[struct.unpack("<q", record)[0]]
        result = _tried(bench, trial)
        os.write(file, (result.as_json() + "\n").encode())
        if aloud or result.problems:
            for kind, words in result.problems[: 99 if aloud else 2]:
                print(f"{trial.key} {trial.scene}: {kind}: {words if aloud else words[-200:]}", flush=True)


def _tried(bench: object, trial: Trial):  # type: ignore[no-untyped-def]
    from .damaged import damaged
    from .parallel import at_once
    from .plan import DAMAGED, INTERRUPTS, KILLS, PARALLEL, POWER_CUTS, WRITE_FAULTS
    from .power import power_cut
    from .trials import Result, interrupt, kill, write_fault

    ways = {
        KILLS: kill,
        INTERRUPTS: interrupt,
        WRITE_FAULTS: write_fault,
        POWER_CUTS: power_cut,
        DAMAGED: damaged,
        PARALLEL: at_once,
    }
    try:
        return ways[trial.kind](bench, trial)  # type: ignore[arg-type]
    except Exception:
        return Result(trial, [("other", f"the trial itself failed: {traceback.format_exc()[-700:]}")], 0.0, 0.0)


def _summarise(rows: Sequence[dict[str, object]], planned: int, seconds: float) -> None:
    from .report import table

    print(f"{len(rows)} of {planned} trials done; {seconds / 60:.1f} minutes this time\n")
    print(table(rows))


if __name__ == "__main__":
    sys.exit(main())
