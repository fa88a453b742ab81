"""Loaded by the Dask workers of a test (`preload`): each prediction that begins leaves a line, `NAME PID`."""

from __future__ import annotations

import os
from typing import Any

from histoloop.workflows.prediction import predict_files


def dask_setup(_worker: object) -> None:
    """Wrap what predicts a slide."""
    predict_to_files = predict_files.predict_to_files

    def counted(slide: Any, model: Any, **options: Any) -> Any:
        with open(os.environ["HISTOLOOP_TEST_BEGUN"], "a", encoding="utf-8") as begun:
            begun.write(f"{slide.path.name} {os.getpid()}\n")
        return predict_to_files(slide, model, **options)

    predict_files.predict_to_files = counted
