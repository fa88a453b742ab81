"""Long work is a generator of Progress records; every yield is a place to cancel."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

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


def staged(work: Work[Result], *, number: int, of: int) -> Work[Result]:
    """The steps of one slide, the `number`-th of `of`, as parts of the whole."""
    return mapped(work, lambda step: Progress(step.stage, number + step.fraction, of, step.message, step.figures))
