"""HistoLoop: predict, query, annotate, retrain on histology slides, on one machine.

The public names are loaded when they are first used, so that `import histoloop` is quick and brings in neither torch
nor Qt; `__init__.pyi` tells type checkers of them, docs/python.md people. All else may change with every version.
"""

from __future__ import annotations

__version__ = "0.2.0"

_HOMES = {
    "ClassScheme": "histoloop.annotations.records",
    "HistoLoopError": "histoloop.errors",
    "HowToLearn": "histoloop.workflows.contents.rounds",
    "LoadedModel": "histoloop.workflows.prediction.loaded_model",
    "PredictedSlide": "histoloop.workflows.reports",
    "Progress": "histoloop.progress",
    "Project": "histoloop.store.project",
    "Region": "histoloop.geometry",
    "Slide": "histoloop.slides.reader",
    "ask": "histoloop.workflows.queries.ask",
    "create_project": "histoloop.workflows.projects",
    "export_project": "histoloop.workflows.export",
    "find_slides": "histoloop.slides.find",
    "finish": "histoloop.progress",
    "import_slides": "histoloop.workflows.projects",
    "keep": "histoloop.workflows.decisions",
    "model_names": "histoloop.store.shipped",
    "open_model": "histoloop.workflows.prediction.loaded_model",
    "open_slide": "histoloop.slides.reader",
    "opened_project": "histoloop.workflows.projects",
    "predict_files": "histoloop.workflows.prediction.predict_files",
    "predict_project": "histoloop.workflows.prediction.predict",
    "predict_slide": "histoloop.workflows.prediction.predict_slide",
    "reason_of": "histoloop.acquisition.strategies",
    "retrain": "histoloop.workflows.retraining.retrain",
    "roll_back": "histoloop.workflows.decisions",
    "write_mask": "histoloop.workflows.prediction.predict_slide",
    "write_polygons": "histoloop.workflows.prediction.predict_slide",
}
"""Public names and the modules they live in. Plain strings: the layers of the package stay as they are."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
