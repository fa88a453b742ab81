"""Several processes write to one project at once: nothing of what each of them reported is lost."""

from __future__ import annotations

import os
import random
import sys
from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.records import Patch
from histoloop.cli import main
from histoloop.errors import HistoLoopError
from histoloop.geometry import Region
from histoloop.store.project import Project
from histoloop.workflows.annotate import begin, finish

from .checks import HALF, LOST, OTHER, find_broken, find_left_over
from .children import Child
from .scenes import SCENES
from .trials import judged, result_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.records import SlideRecord

    from .checks import Problem
    from .scenes import Place
    from .trials import Bench, Result, Trial

STROKES = 10
SIDE = 120


def at_once(bench: Bench, trial: Trial) -> Result:
    """Start them all, wait for all, look."""
    rng = random.Random(trial.settings["seed"])
    works, check = CROWDS[trial.scene]
    with bench.place() as place:
        SCENES["create" if trial.scene == "create" else "query"].prepare(place)
        children = [Child(work, place.folder, name=f"writer-{number}") for number, work in enumerate(works(place, rng))]
        ends = [child.wait() for child in children]
        problems = [problem for ended in ends for problem in judged(ended, "at once")]
        problems += [
            (OTHER, f"exit code {ended.code}: {ended.err.strip()[-200:]}")
            for ended in ends
            if ended.code != 0 and trial.scene != "create"
        ]
        codes = [ended.code for ended in ends]
        problems += bench.look(place, lambda there: [*find_broken(there.project), *check(there, codes)])
        problems += bench.look(place, lambda there: find_left_over(there.project))
    return result_of(trial, problems, *ends)


Works = list["Callable[[], int]"]


def _run(*arguments: object) -> Callable[[], int]:
    return lambda: main([str(each) for each in arguments])


# --- all kinds of writers in one project ------------------------------------------------------------------------------


def _writers(place: Place, rng: random.Random) -> Works:
    made, project = place.material, place.project
    works = [
        _run("import", project, made.more_slides / "d.tiff"),
        _run("import", project, made.more_slides / "e.png", made.more_slides / "f.tiff"),
        _run("annotate", project, "--query", 1, "--mask", made.annotations / "of-query-1.png"),
        _run("annotate", project, "--slide", "b.png", "--label", "malignant", "--person", "Ada"),
        lambda: _paint(project, "Grace", 0, place.folder / "reported-0"),
        lambda: _paint(project, "Edith", 1, place.folder / "reported-1"),
    ]  # where nobody is asked: else one of them would have to say --replace
    rng.shuffle(works)
    return works


def _region(project: Project, slide: SlideRecord, number: int) -> Region:
    """One of the places on a slide that no question is about."""
    asked = [query.region for query in project.queries.all() if query.slide_id == slide.id]
    places = (
        Region(x, y, SIDE, SIDE)
        for y in range(20, slide.height - SIDE, SIDE + 5)
        for x in range(10, slide.width - SIDE, SIDE + 5)
    )
    free = [place for place in places if not any(place.overlaps(other) for other in asked)]
    return free[number]


def _paint(project_folder: Path, person: str, number: int, reported: Path) -> int:
    file = os.open(reported, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        with Project.open(project_folder) as project:
            slide = next(slide for slide in project.slides.all() if slide.name == "a.tiff")
            draft = begin(project, slide_id=slide.id, region=_region(project, slide, number), person=person)
            for count in range(STROKES):
                values = np.full((8, 8), 1 + number, np.uint8)
                project.drafts.append_patch(draft.id, Patch(10 * count, 5, values))
                os.write(file, b"stroke\n")
            finish(project, draft.id)
            os.write(file, b"done\n")
    except HistoLoopError as error:
        print(f"histoloop: {error}", file=sys.stderr)
        return 1
    return 0


def _all_written(place: Place, _codes: list[int]) -> list[Problem]:
    found: list[Problem] = []
    with Project.open(place.project) as project:
        names = sorted(slide.name for slide in project.slides.all())
        if names != ["a.tiff", "b.png", "c.tiff", "d.tiff", "e.png", "f.tiff"]:
            found.append((LOST, f"slides: {names}"))
        labels = {slide.name: slide.label for slide in project.slides.all()}
        if labels.get("b.png") != "malignant":
            found.append((LOST, f"label: {labels.get('b.png')}"))
        finished = {record.person: record for record in project.annotations.finished()}
        if set(finished) != {"Grace", "Edith", "command line"}:
            found.append((LOST, f"annotations of {sorted(finished)}"))
        for number, person in enumerate(("Grace", "Edith")):
            reported = (place.folder / f"reported-{number}").read_text().splitlines()
            if person not in finished or reported[-1] != "done":
                continue
            mask, _origin = project.annotations.load_mask(finished[person].id)
            for count in range(STROKES):
                if not (mask[5:13, 10 * count : 10 * count + 8] == 1 + number).all():
                    found.append((LOST, f"stroke {count} of {person}"))
    return found


# --- two windows' worth of strokes in one region ----------------------------------------------------------------------


def _one_region(place: Place, _rng: random.Random) -> Works:
    return [
        lambda: _paint(place.project, "Grace", 0, place.folder / "reported-0"),
        lambda: _run("annotate", place.project, "--slide", "c.tiff", "--label", "benign")(),
        lambda: _run("annotate", place.project, "--slide", "c.tiff", "--region", "0,0,100,100", "--size", "0.4")(),
        lambda: _run("query", place.project, "--count", 2, "--side", 128, "--device", "cpu")(),
    ]


def _region_written(place: Place, _codes: list[int]) -> list[Problem]:
    with Project.open(place.project) as project:
        people = {record.person for record in project.annotations.finished()}
        label = {slide.name: slide.label for slide in project.slides.all()}["c.tiff"]
    return [(LOST, f"people {people}, label {label}")] * (people != {"Grace", "command line"} or label != "benign")


# --- two first imports ------------------------------------------------------------------------------------------------


def _two_first_imports(place: Place, _rng: random.Random) -> Works:
    made = place.material
    return [
        _run("import", place.project, made.slides / name, "--model", made.model, "--mpp", 0.5)
        for name in ("a.tiff", "b.png", "c.tiff")
    ]


def _one_project(place: Place, codes: list[int]) -> list[Problem]:
    with Project.open(place.project) as project:
        names = {slide.name for slide in project.slides.all()}
        models = len(project.models.all())
    wanted = {name for name, code in zip(("a.tiff", "b.png", "c.tiff"), codes, strict=True) if code == 0}
    found: list[Problem] = [(LOST, f"slides {sorted(names)} of {sorted(wanted)}")] * (not wanted <= names)
    return found + [(HALF, f"{models} models")] * (models != 1) + [(OTHER, "nobody made the project")] * (not wanted)


CROWDS: dict[str, tuple[Callable[[Place, random.Random], Works], Callable[[Place, list[int]], list[Problem]]]] = {
    "writers": (_writers, _all_written),
    "one region": (_one_region, _region_written),
    "create": (_two_first_imports, _one_project),
}
