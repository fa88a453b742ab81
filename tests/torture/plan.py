"""Which trials there are: by kind, scene and number, the same for the same seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from .damaged import SHARES
from .parallel import CROWDS
from .scenes import SCENES
from .trials import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KINDS = ("kill", "interrupt", "write fault", "power cut", "damaged", "parallel")
KILLS, INTERRUPTS, WRITE_FAULTS, POWER_CUTS, DAMAGED, PARALLEL = KINDS
FULL: Mapping[str, int] = dict(zip(KINDS, (1000, 100, 300, 60, 3000, 30), strict=True))
SHORT: Mapping[str, int] = dict(zip(KINDS, (10, 4, 5, 2, 30, 1), strict=True))
ERRORS = ("ENOSPC", "EIO", "EDQUOT")


def trials(counts: Mapping[str, int], *, seed: int = 0) -> list[Trial]:
    """All trials, the kinds mixed, so that a run that is cut short has some of each."""
    found = [
        (number / counts[kind], trial)
        for kind in KINDS
        for number, trial in enumerate(_of_kind(kind, counts.get(kind, 0), seed))
    ]
    return [trial for _place, trial in sorted(found, key=lambda each: each[0])]


def _of_kind(kind: str, count: int, seed: int) -> Iterator[Trial]:
    weights: Mapping[str, float] = {
        INTERRUPTS: {name: float(scene.weight) for name, scene in SCENES.items() if name != "paint"},
        DAMAGED: SHARES,
        PARALLEL: {"writers": 3.0, "one region": 2.0, "create": 1.0},
    }.get(kind, {name: float(scene.weight) for name, scene in SCENES.items()})
    for number, name in enumerate(_dealt(weights, count)):
        rng = random.Random(f"{seed}/{kind}/{number}")
        yield Trial(f"{kind}/{seed}/{number}", kind, name, _settings(kind, number, rng))


def _settings(kind: str, number: int, rng: random.Random) -> dict[str, object]:
    share = rng.random()
    if kind == KILLS:
        return {"share": share, "torn": rng.random() < 0.3}
    if kind == INTERRUPTS:
        return {"share": share, "signal": rng.choice(("SIGINT", "SIGTERM"))}
    if kind == WRITE_FAULTS:
        return {"share": share, "error": rng.choice(ERRORS), "once": rng.random() < 0.4}
    if kind == POWER_CUTS:
        return {"share": None if number % 5 in (1, 3) else share}
    return {"seed": rng.randrange(2**31)}


def _dealt(weights: Mapping[str, float], count: int) -> list[str]:
    """Names, as often as they weigh, evenly mixed."""
    total = sum(weights.values())
    due = dict.fromkeys(weights, 0.0)
    names = []
    for _turn in range(count):
        for name, weight in weights.items():
            due[name] += weight / total
        chosen = max(due, key=lambda name: due[name])
        due[chosen] -= 1
        names.append(chosen)
    return names


assert set(CROWDS) == {"writers", "one region", "create"}
