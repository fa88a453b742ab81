"""Parts of work as tasks on a Dask cluster (https://distributed.dask.org): the optional extra `histoloop[cluster]`."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import queue
import secrets
import socket
from typing import TYPE_CHECKING, Any

import histoloop
from histoloop.errors import ClusterError, HistoLoopError
from histoloop.language import tr
from histoloop.workflows.cluster.processes import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from histoloop.workflows.cluster.processes import Answers

_log = logging.getLogger(__name__)

INSTALL = "pip install 'histoloop[cluster]'"
LOCAL, SLURM = "local", "slurm"
ANSWER_S = 20
"""So long a scheduler may take to answer."""


def check_installed(where: str) -> None:
    """ClusterError, with the command that installs it, where the extra is not there."""
    _needed("distributed")
    if where == SLURM:
        _needed("dask_jobqueue")


def on_dask(
    function: Callable[[Any], Any], parts: Sequence[Any], *, where: str, jobs: int | None, retries: int
) -> Answers:
    """As `in_processes`, on a cluster; a part is a task.

    A task whose worker ends goes to another one, and one that fails is tried again, unless it fails with a
    HistoLoopError, which says what is wrong with the part itself. ClusterError where no cluster answers, where its
    workers have another version of HistoLoop or none, and where the scheduler ends.
    """
    check_installed(where)
    with _client(where, jobs) as client:
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        run = secrets.token_hex(4)
        tasks = {}
        for number, part in enumerate(parts):
            key = f"histoloop-{run}-{number}"
            future = client.submit(_answer, function, part, histoloop.__version__, key=key, retries=retries, pure=False)
            tasks[future] = number
            future.add_done_callback(done.put)
        try:
            while tasks:
                try:
                    future = done.get(timeout=PATIENCE_S)
                except queue.Empty:
                    _check_alive(client, where)
                    yield None
                    continue
                if future in tasks:
                    yield tasks.pop(future), _outcome(future)
                    future.release()
        finally:
            client.cancel(list(tasks))


def _answer(function: Callable[[Any], Any], part: Any, version: str) -> Any:
    """On a worker: the result of a part, or the HistoLoopError that says why there is none."""
    if version != histoloop.__version__:
        return ClusterError(
            tr(
                "The worker on {host} has HistoLoop {theirs}, this command has {own}.",
                host=socket.gethostname(),
                theirs=histoloop.__version__,
                own=version,
            ),
            advice=tr("Install the same version on all machines."),
        )
    try:
        return function(part)
    except HistoLoopError as error:
        return error


def _outcome(future: Any) -> Any:
    """The result of a task, or what it ended in; ClusterError where the cluster is to blame."""
    if future.cancelled():
        raise _lost()
    error = future.exception()
    if error is None:
        answer = future.result()
        if isinstance(answer, ClusterError):
            raise answer
        return answer
    if type(error).__name__ == "KilledWorker":
        return ClusterError(
            tr("The worker that worked on it ended unexpectedly, each time it was tried."),
            advice=tr("Memory may have run out: give each worker more, or fewer threads. Its log has the details."),
        )
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "histoloop":
        raise ClusterError(
            tr("The workers of this cluster do not have HistoLoop."),
            advice=tr("Install it in the environment that they run in: {command}", command=INSTALL),
        ) from error
    return error


def _check_alive(client: Any, where: str) -> None:
    if client.status in ("closed", "closing"):
        raise _lost()
    if not client.scheduler_info(n_workers=1).get("workers"):
        _log.info("no worker at %s yet", where)


def _lost() -> ClusterError:
    return ClusterError(
        tr("The Dask cluster has ended, or has dropped these tasks."),
        advice=tr("What was done is kept: start the cluster, and give the same command again."),
    )


@contextlib.contextmanager
def _client(where: str, jobs: int | None) -> Iterator[Any]:
    """Somebody to submit tasks to; a cluster that was started for them ends with the block."""
    distributed = _needed("distributed")
    with contextlib.ExitStack() as stack:
        if where == LOCAL:
            address: Any = stack.enter_context(_local_cluster(distributed, jobs or _side_by_side()))
        elif where == SLURM:
            address = stack.enter_context(_slurm_cluster(jobs or 1))
        else:
            address = where
        try:
            client = distributed.Client(address, timeout=ANSWER_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterError(
                tr("No Dask scheduler answers at {address}: {reason}.", address=where, reason=error),
                advice=tr("Start one with `dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`."),
            ) from error
        yield stack.enter_context(client)


def _side_by_side() -> int:
    return max(1, (os.cpu_count() or 1) // 2)


def _local_cluster(distributed: Any, jobs: int) -> Any:
    """Workers of this machine, a thread each, which may start processes of their own; the cores are shared out."""
    dask = _needed("dask")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    libraries = ("OMP", "MKL", "OPENBLAS")
    counts = {f"distributed.nanny.pre-spawn-environ.{library}_NUM_THREADS": threads for library in libraries}
    dask.config.set({"distributed.worker.daemon": False, **counts})
    return distributed.LocalCluster(
        n_workers=jobs, threads_per_worker=1, memory_limit=0, dashboard_address=":0", silence_logs=logging.CRITICAL
    )


def _slurm_cluster(jobs: int) -> Any:
    """Jobs of a SLURM queue, as the settings of dask-jobqueue have them."""
    jobqueue = _needed("dask_jobqueue")
    try:
        cluster = jobqueue.SLURMCluster()
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)  # one that ends at its time limit is replaced
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise ClusterError(
            tr("No jobs can be submitted to SLURM: {reason}.", reason=error),
            advice=tr("Describe a job (cores, memory, walltime, queue) in ~/.config/dask/jobqueue.yaml."),
        ) from error
    return cluster


def _needed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ClusterError(
            tr("--dask needs Dask's distributed package, which is not installed."),
            advice=tr("Install it: {command}", command=INSTALL),
        ) from error
