"""One trial: prepare, let something happen, look, do it again, look again."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import shutil
import signal
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import shim
from .checks import HALF, OTHER, STUCK, TRACEBACK, Problem, differences
from .children import Ended, run
from .scenes import SCENES, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .material import Material
    from .scenes import Scene

CODES = (0, 1, 2, 3, 4, 130, 143)
LONGEST_S, LARGEST_MB = 30.0, 1000.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be tried; `key` names it for good."""

    key: str
    kind: str
    scene: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it: problems as (kind, words), seconds and peak MB at most, exit code of the first command."""

    trial: Trial
    problems: list[Problem]
    seconds: float
    megabytes: float
    code: int = 0

    def as_json(self) -> str:
        trial = self.trial
        return json.dumps(
            {
                "key": trial.key,
                "kind": trial.kind,
                "scene": trial.scene,
                "settings": trial.settings,
                "problems": self.problems,
                "code": self.code,
                "seconds": round(self.seconds, 2),
                "megabytes": round(self.megabytes),
            }
        )


def result_of(trial: Trial, problems: list[Problem], *ends: Ended) -> Result:
    """The result of a trial whose disturbed command is the first of `ends`."""
    seconds, megabytes = (max(getattr(ended, name) for ended in ends) for name in ("seconds", "megabytes"))
    return Result(trial, problems, seconds, megabytes, ends[0].code)


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A scene without anything happening: how many calls it makes, and the state it ends in."""

    calls: int
    taking_room: int
    state: dict[str, Any]


class Bench:
    """Where a worker's trials run: one at a time, in a folder that is cleared after each.

    What scenes end in by themselves is in `shared`, for all workers.
    """

    def __init__(self, folder: Path, material: Material, shared: Path) -> None:
        self.folder, self.material, self.shared = folder, material, shared
        self._undisturbed: dict[str, Undisturbed] = {}

    @contextmanager
    def place(self) -> Iterator[Place]:
        """An empty place."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        place = Place(self.folder, self.material)
        place.enter()
        try:
            yield place
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def undisturbed(self, scene: Scene) -> Undisturbed:
        """A scene as it ends by itself; a program that cannot do even that ends the run."""
        kept = self.shared / f"{scene.name}.json"
        if scene.name not in self._undisturbed and kept.exists():
            self._undisturbed[scene.name] = Undisturbed(**json.loads(kept.read_text()))
        if scene.name not in self._undisturbed:
            with self.place() as place:
                scene.prepare(place)
                ended = run(_counting(scene, place), place.folder, name="count", timeout=120)
                if ended.code not in scene.fine:
                    raise SystemExit(f"{scene.name} fails by itself:\n{ended.out}\n{ended.err}")
                calls, taking_room = json.loads((place.folder / "calls").read_text())
                state = json.loads(json.dumps(self.state(scene, place)["state"]))
            self._undisturbed[scene.name] = found = Undisturbed(calls, taking_room, state)
            partial = self.shared / f"{scene.name}-{os.getpid()}"
            partial.write_text(json.dumps(dataclasses.asdict(found)))
            partial.replace(kept)
        return self._undisturbed[scene.name]

    def state(self, scene: Scene, place: Place) -> dict[str, Any]:
        """{'state': ...} of a place, looked at in a process of its own, or {'error': ...}."""

        def work() -> int:
            (place.folder / "state").write_text(json.dumps(scene.state(place)))
            return 0

        ended = run(work, place.folder, name="state")
        if ended.code:
            return {"error": ended.err[-300:]}
        return {"state": json.loads((place.folder / "state").read_text())}

    def look(self, place: Place, find: Callable[[Place], list[Problem]]) -> list[Problem]:
        """Problems, looked for in a process of its own."""

        def work() -> int:
            (place.folder / "problems").write_text(json.dumps(find(place)))
            return 0

        ended = run(work, place.folder, name="look")
        if ended.code:
            return [(TRACEBACK if "Traceback" in ended.err else OTHER, f"looking: {ended.err[-400:]}")]
        return [(kind, words) for kind, words in json.loads((place.folder / "problems").read_text())]

    def again(self, scene: Scene, place: Place) -> tuple[list[Problem], Ended]:
        """Do the scene again and compare with the undisturbed one."""
        scene.grow_older(place)
        ended = run(lambda: scene.run(place), place.folder, name="again")
        problems = judged(ended, "again")
        if ended.code not in (*scene.fine, *scene.fine_again):
            problems.append((STUCK, f"again: exit code {ended.code}: {ended.err.strip()[-300:]}"))
            return problems, ended
        expected = self.undisturbed(scene).state

        def find(there: Place) -> list[Problem]:
            try:
                different = differences(expected, json.loads(json.dumps(scene.state(there))))
            except Exception:
                return [(STUCK, f"again: the state cannot be read: {traceback.format_exc()[-300:]}")]
            found = [(HALF, f"after doing it again: {text}") for text in different[:4]]
            return [*found, *scene.broken(there), *scene.status(there), *scene.left_over(there)]

        problems += self.look(place, find)
        return problems, ended


def _shortened(trace: str) -> str:
    """Where in the program the last error came from, and its last line."""
    frames = re.findall(r'histoloop/(\S+)", line (\d+)', trace)
    lines = [line for line in trace[trace.rfind("Traceback") :].splitlines() if line and not line.startswith(" ")]
    return f"{' > '.join(':'.join(frame) for frame in frames[-4:])}: {(lines[1:] or lines)[0][:200]}"


def judged(ended: Ended, when: str) -> list[Problem]:
    """What is wrong with the way a command ended by itself."""
    problems: list[Problem] = []
    if "Traceback" in ended.err or "Traceback" in ended.out:
        problems.append((TRACEBACK, f"{when}: {_shortened(ended.err or ended.out)}"))
    if ended.late:
        problems.append((OTHER, f"{when}: not done after {ended.seconds:.0f} s"))
    elif ended.code < 0:
        problems.append((OTHER, f"{when}: ended by {signal.Signals(-ended.code).name}: {ended.err[-300:]}"))
    elif ended.code not in CODES:
        problems.append((OTHER, f"{when}: exit code {ended.code}"))
    elif ended.code in (1, 4) and not ended.err.strip():
        problems.append((OTHER, f"{when}: exit code {ended.code} without a word"))
    return problems


def _counting(scene: Scene, place: Place) -> Callable[[], int]:
    def work() -> int:
        shim.watch(place.disk)
        shim.arm(shim.Mode.COUNT)
        code = scene.run(place)
        counts = [shim.counted(), shim.counted(shim.Calls.TAKING_ROOM)]
        (place.folder / "calls").write_text(json.dumps(counts))
        return code

    return work


def kill(bench: Bench, trial: Trial) -> Result:
    """End the process at a call that changes a file, or in the middle of a write."""
    scene = SCENES[trial.scene]
    undisturbed = bench.undisturbed(scene)
    number = 1 + int(trial.settings["share"] * undisturbed.calls)
    mode = shim.Mode.TEAR if trial.settings["torn"] else shim.Mode.KILL
    with bench.place() as place:
        scene.prepare(place)
        ended = run(_armed(scene, place, mode, number), place.folder)
        problems = [] if ended.code == -signal.SIGKILL else judged(ended, "killed")
        problems += bench.look(place, scene.broken)
        more, again = bench.again(scene, place)
    return result_of(trial, problems + more, ended, again)


def _armed(
    scene: Scene, place: Place, mode: shim.Mode, number: int, error: int = 0, calls: shim.Calls = shim.Calls.ALL
) -> Callable[[], int]:
    def work() -> int:
        shim.watch(place.disk)
        shim.arm(mode, number, error=error, calls=calls)
        code = scene.run(place)
        shim.arm(shim.Mode.ASLEEP)
        return code

    return work


def write_fault(bench: Bench, trial: Trial) -> Result:
    """Let a call that takes room on the disk fail, once or from then on."""
    scene = SCENES[trial.scene]
    number = 1 + int(trial.settings["share"] * bench.undisturbed(scene).taking_room)
    error = getattr(errno, trial.settings["error"])
    mode = shim.Mode.FAIL if trial.settings["once"] else shim.Mode.FAIL_ON
    with bench.place() as place:
        scene.prepare(place)
        ended = run(_armed(scene, place, mode, number, error, shim.Calls.TAKING_ROOM), place.folder)
        problems = judged(ended, "failing disk")
        if ended.code not in (*scene.fine, 1, 3, 4):
            problems.append((OTHER, f"failing disk: exit code {ended.code}"))
        problems += bench.look(place, scene.broken)
        if ended.code == 0:
            problems += _not_as_reported(bench, scene, place)
        more, again = bench.again(scene, place)
    return result_of(trial, problems + more, ended, again)


def interrupt(bench: Bench, trial: Trial) -> Result:
    """Send SIGINT (Ctrl+C) or SIGTERM at a call that changes a file: the command ends as soon as it can."""
    scene = SCENES[trial.scene]
    number = 1 + int(trial.settings["share"] * bench.undisturbed(scene).calls)
    sent = getattr(signal, trial.settings["signal"])
    with bench.place() as place:
        scene.prepare(place)
        ended = run(_armed(scene, place, shim.Mode.SIGNAL, number, sent), place.folder)
        problems = judged(ended, trial.settings["signal"])
        if ended.code not in (*scene.fine, 128 + sent):
            problems.append((OTHER, f"{trial.settings['signal']}: exit code {ended.code}: {ended.err[-200:]}"))
        problems += bench.look(place, scene.broken)
        if ended.code == 0:
            problems += _not_as_reported(bench, scene, place)
        more, again = bench.again(scene, place)
    return result_of(trial, problems + more, ended, again)


def _not_as_reported(bench: Bench, scene: Scene, place: Place) -> list[Problem]:
    """All was reported as done: then it is."""
    found = bench.state(scene, place)
    if "error" in found:
        return [(HALF, f"exit code 0, and the state cannot be read: {found['error']}")]
    different = differences(bench.undisturbed(scene).state, found["state"])
    return [(HALF, f"exit code 0, and {text}") for text in different[:4]]
