"""Where the parts of long work run, and their results as they come."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from histoloop.workflows.cluster.dask_workers import on_dask
from histoloop.workflows.cluster.processes import in_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

Part = TypeVar("Part")
Result = TypeVar("Result")

RETRIES = 2
"""So many times a part is tried again that failed for no reason of its own: a worker that ended, a disk that hung."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where parts run.

    Without `dask` in `jobs` processes of this machine. With it on a Dask cluster: the address of its scheduler, 'local'
    for one of `jobs` workers on this machine, 'slurm' for one of `jobs` jobs of a SLURM queue.
    """

    jobs: int | None = None
    dask: str = ""

    @property
    def is_here(self) -> bool:
        """Whether the parts run one after the other in this process."""
        return not self.dask and self.jobs in (None, 1)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the parts may run on other machines, whose GPUs and memory are not those of this one."""
        return self.dask not in ("", "local")


HERE = Spread()


@dataclass(frozen=True, slots=True)
class Finished(Generic[Part, Result]):
    """A part that came to its end: with its result, or with the error that it ended in."""

    part: Part
    outcome: Result | Exception

    def result(self) -> Result:
        """The result; raises the error."""
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def spread_over(
    spread: Spread, function: Callable[[Part], Result], parts: Sequence[Part]
) -> Generator[Finished[Part, Result] | None, None, None]:
    """The results of `function`, which other processes can import, for all parts, in the order in which they come.

    Gives None about every second in which none came. A part whose worker ends is tried again `RETRIES` times; on Dask
    so is one that fails with an error that is not a HistoLoopError. Closing it ends the processes, or has the cluster
    forget what it has not begun. ClusterError where the cluster cannot be had.
    """
    if spread.dask:
        answers = on_dask(function, parts, where=spread.dask, jobs=spread.jobs, retries=RETRIES)
    else:
        answers = in_processes(function, parts, jobs=spread.jobs or 1, retries=RETRIES)
    with contextlib.closing(answers):
        for answer in answers:
            yield None if answer is None else Finished(parts[answer[0]], answer[1])
