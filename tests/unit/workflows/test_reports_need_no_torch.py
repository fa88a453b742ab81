"""The window reads reports and asks for small things in its own process, which must start without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = (
    "histoloop.workflows.reports",
    "histoloop.workflows.contents.rounds",
    "histoloop.workflows.annotate",
    "histoloop.workflows.contents.weak_annotations",
    "histoloop.workflows.projects",
    "histoloop.workflows.demo_project",
    "histoloop.store.records",
)


HEAVY = ("torch", "PySide6", "napari")


def imported_after(*modules: str, watched: tuple[str, ...] = HEAVY) -> list[str]:
    """Which of the watched packages a fresh process has imported along with some modules."""
    script = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        f"print(*(name for name in {watched!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_what_the_window_imports_at_its_start_does_not_import_torch() -> None:
    assert imported_after(*LIGHT) == []


@pytest.mark.parametrize("module", ["histoloop.workflows.reports", "histoloop.store.records"])
def test_records_alone_do_not_import_torch(module: str) -> None:
    assert imported_after(module) == []


def test_the_check_sees_a_package_that_is_imported() -> None:
    assert imported_after("histoloop.store.records", watched=("numpy", "torch")) == ["numpy"]
