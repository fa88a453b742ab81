"""What a quick round costs from the click on *Retrain* until old and new masks are in view, and what goes on after it.

    HISTOLOOP_DATA=FOLDER python tests/benchmarks/click_to_view.py [--write] [--again]

A project of the 85 training pictures of GlaS, predicted by the shipped model; 8 of them are annotated with the data
set's masks, of which the project holds 2 out. The round runs in a process with one thread; what it imports is not
counted, since the window's job process has it by then. CPU seconds, user and kernel together. With --write the table
between the marks of docs/performance.md is made anew.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.measured import Kept, run_measured, show, table
from glas_rounds import MPP, pictures, truth

from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.store.project import Project
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.experiments.demo import annotate_with
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.projects import create_project, import_slides
from histoloop.workflows.retraining.retrain import learn

ANNOTATED = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--round", type=Path, metavar="PROJECT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.round:
        print(json.dumps(_round(options.round)))
        return
    found = Kept("click_to_view", again=options.again).get("round", _measured)
    rows = [
        ["learning, until the candidate is kept and offered", "-", f"{found['learning']:.1f}"],
        ["the picture on the screen", "1", f"{found['screen']:.1f}"],
        ["together: from the click until old and new are in view", "", f"{found['learning'] + found['screen']:.1f}"],
        ["the rest, while the user decides", f"{found['others']}", f"{found['rest']:.1f}"],
    ]
    show("click to view", table(["step", "pictures predicted", "CPU s"], rows), write=options.write)


def _measured() -> dict[str, Any]:
    """The figures of a round in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        _annotated_project(folder)
        spent = run_measured([__file__, "--round", str(folder)], home=Path(scratch))
    return dict(json.loads(spent.printed.splitlines()[-1]))


def _annotated_project(folder: Path) -> None:
    with create_project(folder, name="GlaS", start=DEFAULT_MODEL) as project:
        finish(import_slides(project, pictures(Path(os.environ["HISTOLOOP_DATA"]) / "glas", "train"), mpp=MPP))
    with Project.open(folder) as project:
        finish(predict_project(project))
        for slide in project.slides.all()[:: len(project.slides.all()) // ANNOTATED][:ANNOTATED]:
            mask = truth(slide.path)
            annotate_with(project, slide.id, Region(0, 0, mask.shape[1], mask.shape[0]), None, mask)


def _round(folder: Path) -> dict[str, Any]:
    """CPU seconds of the steps of a quick round, in the order of the window."""
    with Project.open(folder) as project:
        started = time.process_time()
        candidate = finish(learn(project, how=HowToLearn(pace="quick")))
        learned = time.process_time()
        shown, *others = (slide.id for slide in project.slides.all())
        finish(predict_project(project, slide_ids=[shown], model_id=candidate.model_id))
        seen = time.process_time()
        finish(predict_project(project, slide_ids=others, model_id=candidate.model_id))
        return {
            "learning": learned - started,
            "screen": seen - learned,
            "rest": time.process_time() - seen,
            "others": len(others),
        }


if __name__ == "__main__":
    main()
