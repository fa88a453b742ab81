"""What can be found wrong with a command before any work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import DeviceError, HistoLoopError

if TYPE_CHECKING:
    import argparse


class WrongUsageError(HistoLoopError):
    """A command that asks for what cannot be had."""


def check_before_work(options: argparse.Namespace) -> None:
    """WrongUsageError where `--device` names one that is not there, PlaceError where `--json` cannot be written.

    ClusterError where `--dask` needs what is not installed. The GPUs of a cluster are those of its workers.
    """
    if dask := getattr(options, "dask", ""):
        from histoloop.workflows.cluster.dask_workers import check_installed

        check_installed(dask)
    if getattr(options, "device", "").startswith("cuda") and dask in ("", "local"):  # asking loads torch
        _check_device(options.device)
    if isinstance(file := getattr(options, "json", None), Path) and file != Path("-"):
        from histoloop.workflows.boundary import prepare_folder

        prepare_folder(file.absolute().parent)


def _check_device(name: str) -> None:
    from histoloop.workflows.prediction.loaded_model import choose_device

    try:
        choose_device(name)
    except DeviceError as error:
        raise WrongUsageError(error.message, advice=error.advice) from error
