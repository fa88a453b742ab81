"""Long work is a generator of Progress records; every yield is a place to cancel."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from histoloop.language import tr

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a piece of long work has come.

    `stage` is a plain phrase ('Predicting slide.svs'); `done` of `total` are in any unit (tiles, epochs);
    `figures` carries live values such as {'loss': 0.31, 'dice': 0.74}.
    """

    stage: str
    done: float
    total: float
    message: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        """Share done, in [0, 1]; 0 when the total is not known yet."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0

    @property
    def must_arrive(self) -> bool:
        """Whether it carries news: others may be dropped when many come at once."""
        return bool(self.figures)


Work = Generator[Progress, None, Result]


def finish(work: Work[Result], on_progress: Callable[[Progress], None] | None = None) -> Result:
    """Run long work to its end and return its result, telling `on_progress` of each step."""
    while True:
        try:
            step = next(work)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        if on_progress is not None:
            on_progress(step)


def mapped(work: Work[Result], change: Callable[[Progress], Progress]) -> Work[Result]:
    """Long work whose steps are reported as `change` makes of them; closing it closes the work."""
    try:
        while True:
            try:
                step = next(work)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            yield change(step)
    finally:
        work.close()


def staged(work: Work[Result], *, number: float, of: float, weight: float = 1.0) -> Work[Result]:
    """The steps of one slide as parts of the whole: from `number` to `number` + `weight`, `of` so much in all."""
    return mapped(
        work, lambda step: Progress(step.stage, number + weight * step.fraction, of, step.message, step.figures)
    )


# --- the time that is left --------------------------------------------------------------------------------------------

ENOUGH_SHARE, ENOUGH_SECONDS = 0.03, 2.0
"""Of a stage, before anything is said of the time that it takes."""

FEWEST_STEPS = 4
"""Before the pace is that of the later half of the time: a few steps more or less make no pace."""

WELL_KNOWN = 0.2
"""From this share of a stage on, its own pace alone counts."""

DOUBT = 0.1
"""Of all that the last work took: so much more of it is taken to go as it did then, when today's pace is compared.

A stage of a second that takes two says little of one that took a minute.
"""

MOST_SCALE = 4.0
"""How many times slower, or faster, than last time the stages still to come are taken to be at most."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of earlier work of the same kind, how long it took, in seconds, and how much it was (0: not known).

    `amount` is the `total` of its steps: today's stage of this name is in the same unit.
    """

    name: str
    seconds: float
    amount: float = 0.0


class TimeLeft:
    """Estimates how long work still takes, from the measured pace of its stages.

    A stage goes on as long as the share done does not fall, whatever it calls itself: slide after slide is one stage.
    Its pace is that of the later half of its time, so that a slow beginning is soon forgotten. Stages still to come
    take as long as the `earlier` ones of the last work of this kind did, scaled by how this one compares so far; one
    that has begun as long as it would have taken then for as much as there is to do now.
    """

    def __init__(self, earlier: Sequence[Stage] = ()) -> None:
        self._earlier = earlier
        self._done: list[Stage] = []
        self._name = ""
        self._began = self._from = 0.0
        self._place: int | None = None  # of the stage that runs among the earlier ones
        self._samples: deque[tuple[float, float]] = deque()
        self._amount = 0.0  # of the stage that runs
        self._more: dict[int, float] = {}  # how many times as much as then an earlier stage is today, by its place

    @property
    def knows_all(self) -> bool:
        """Whether the stages still to come are known."""
        return self._place is not None

    def after(self, step: Progress, now: float) -> float | None:
        """Seconds left after a step at `now` (seconds), of what is known of the work; None while that says nothing."""
        if not self._samples or self._is_new(step):
            self._begin(step, now)
        self._samples.append((now, step.fraction))
        left = self._left_of_stage(now, step.fraction)
        if self._place is None:
            return left
        left = self._weighed(left, step.fraction, now)
        return left + self._scale(now - self._began + left) * self._seconds(self._place + 1, len(self._earlier))

    def stages(self, now: float) -> list[Stage]:
        """The stages so far with their seconds, the one that runs as if it ended `now`."""
        return [*self._done, self._running(now)] if self._samples else list(self._done)

    def _running(self, now: float) -> Stage:
        return Stage(self._name, now - self._began, self._amount)

    def _is_new(self, step: Progress) -> bool:
        fell = step.fraction < self._samples[-1][1]
        return fell or (step.stage != self._name and step.fraction == 0)

    def _begin(self, step: Progress, now: float) -> None:
        if self._samples:
            self._done.append(self._running(now))
        self._name, self._began, self._from, self._amount = step.stage, now, step.fraction, max(0.0, step.total)
        self._samples.clear()
        start = 0 if self._place is None else self._place + 1
        found = [number for number, stage in enumerate(self._earlier) if stage.name == step.stage]
        self._place = next((number for number in found if number >= start), found[-1] if found else None)
        if self._place is not None and (before := self._earlier[self._place].amount) > 0 and self._amount > 0:
            self._more[self._place] = self._amount / before

    def _left_of_stage(self, now: float, share: float) -> float | None:
        done, spent = share - self._from, now - self._began
        if done < ENOUGH_SHARE or spent < ENOUGH_SECONDS:
            return None
        middle = self._began + spent / 2
        while len(self._samples) > FEWEST_STEPS and self._samples[1][0] <= middle:
            self._samples.popleft()
        then, before = self._samples[0]
        moved = share - before
        pace = moved / (now - then) if moved > 0 and now > then else done / spent
        return (1 - share) / pace

    def _weighed(self, measured: float | None, share: float, now: float) -> float:
        """Of the stage that runs: the first part of it goes by the earlier one, until its own pace is well known."""
        assert self._place is not None
        known = self._seconds(self._place, self._place + 1)
        whole = self._scale_before() * known
        done = share - self._from
        expected = whole * (1 - share) if done > 0 else max(0.0, whole - (now - self._began))
        if measured is None:
            return expected
        weight = min(1.0, done / WELL_KNOWN)
        return weight * measured + (1 - weight) * expected

    def _seconds(self, first: int, end: int) -> float:
        """Of so many earlier stages, had they been as much as they are today, where that is known."""
        return sum(self._earlier[place].seconds * self._more.get(place, 1.0) for place in range(first, end))

    def _scale_before(self) -> float:
        """How the stages that are done compare with the earlier ones."""
        return self._compared(sum(stage.seconds for stage in self._done), self._seconds(0, self._place or 0))

    def _scale(self, stage_seconds: float) -> float:
        """How all stages so far do, where the one that runs takes so many seconds in all."""
        assert self._place is not None
        done = sum(stage.seconds for stage in self._done)
        return self._compared(done + stage_seconds, self._seconds(0, self._place + 1))

    def _compared(self, now: float, before: float) -> float:
        """Today's time by that of earlier work, no further from 1 than `MOST_SCALE`."""
        doubt = DOUBT * self._seconds(0, len(self._earlier))
        return min(max((now + doubt) / (before + doubt), 1 / MOST_SCALE), MOST_SCALE) if before + doubt > 0 else 1.0


def in_words(seconds: float) -> str:
    """A duration for people."""
    whole = round(seconds)
    if whole < 60:
        return tr("{seconds} s", seconds=max(1, whole))
    if whole < 3600:
        return tr("{minutes} min {seconds:02d} s", minutes=whole // 60, seconds=whole % 60)
    return tr("{hours} h {minutes:02d} min", hours=whole // 3600, minutes=whole % 3600 // 60)
