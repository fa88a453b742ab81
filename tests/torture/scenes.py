"""Commands in the middle of which something happens: what they start from, how they are done again, what must hold."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from histoloop.annotations.records import AnnotationStatus, Patch
from histoloop.cli import main
from histoloop.errors import HistoLoopError
from histoloop.store.model_folder import load_weights
from histoloop.store.project import Project
from histoloop.workflows.annotate import begin, finish

from .checks import HALF, LEFT, LOST, Problem, digest, find_broken, find_left_over, state_of
from .material import REGION, Material

STROKES = 12


@dataclass(frozen=True, slots=True)
class Place:
    """Folders of one trial. `disk` is what breaks: project, results, temporary files."""

    folder: Path
    material: Material

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    @property
    def project(self) -> Path:
        return self.disk / "project"

    @property
    def out(self) -> Path:
        return self.disk / "out"

    @property
    def temporary(self) -> Path:
        return self.disk / "tmp"

    @property
    def acknowledged(self) -> Path:
        """What was reported as done, a line each; not on the disk that breaks."""
        return self.folder / "acknowledged"

    def enter(self) -> None:
        """Have this process keep its log and temporary files here."""
        os.environ["HISTOLOOP_HOME"] = str(self.folder / "home")
        os.environ["TMPDIR"] = str(self.temporary)


@dataclass(frozen=True, slots=True)
class Scene:
    """One command. `weight` is how often it is tried, `stage` the project it starts from, if any.

    `run` does it and gives the exit code; `state` is what it ends in. `fine_again` are exit codes of doing it again
    once it had been done (1 where what is finished is not replaced unasked); the state tells whether it had.
    `has_slides`: whether the files of the project's slides are there.
    """

    name: str
    stage: str | None
    run: Callable[[Place], int]
    weight: int = 1
    state: Callable[[Place], dict[str, Any]] = lambda place: state_of(place.project)
    kept: Callable[[Place], list[Problem]] = lambda _place: []
    fine: tuple[int, ...] = (0,)
    fine_again: tuple[int, ...] = (0,)
    has_slides: bool = True

    def prepare(self, place: Place) -> None:
        """Lay out the disk as it is before the command."""
        place.temporary.mkdir(parents=True)
        if self.stage is not None:
            shutil.copytree(place.material.project(self.stage), place.project)

    def broken(self, place: Place) -> list[Problem]:
        """What is wrong right after something happened."""
        return [*find_broken(place.project), *self.kept(place)]

    def status(self, place: Place) -> list[Problem]:
        """What `histoloop status` finds broken in the end; where the slides' files are there at all."""
        if not (self.has_slides and place.project.exists()):
            return []
        code = _command("status", place.project)
        return [(HALF, f"status finds something broken in the end, exit code {code}")] * (code != 0)

    def grow_older(self, place: Place) -> None:
        """Let a minute pass for temporary folders: those of a moment ago may be somebody's."""
        for path in place.temporary.iterdir() if place.temporary.exists() else ():
            os.utime(path, (path.stat().st_atime - 60, path.stat().st_mtime - 60))

    def left_over(self, place: Place) -> list[Problem]:
        """What stayed, after all, that should not."""
        found = find_left_over(place.project) if place.project.exists() else []
        for folder in (place.out, place.temporary):
            if folder.exists():
                names = [path for path in sorted(folder.rglob("*")) if "partial" in path.name]
                names += (
                    [path for path in place.temporary.iterdir() if not _is_pythons(path)]
                    if folder == place.temporary
                    else []
                )
                found += [(LEFT, str(path.relative_to(place.disk))) for path in names]
        return found


def _is_pythons(path: Path) -> bool:
    """Whether a file is what Python's `tempfile` tries a folder for temporary files with, and removes at once."""
    return re.fullmatch(r"[a-z0-9_]{8}", path.name) is not None and path.is_file() and path.stat().st_size <= 4


def _command(*arguments: object) -> int:
    return main([str(each) for each in arguments])


def _create(place: Place) -> int:
    made = place.material
    there = (place.project / "project.db").exists()
    return _command("import", place.project, made.slides, "--mpp", 0.5, *(() if there else ("--model", made.model)))


def _import(place: Place) -> int:
    return _command("import", place.project, place.material.more_slides, "--mpp", 0.5)


def _query(place: Place) -> int:
    return _command("query", place.project, "--count", 2, "--side", 128, "--device", "cpu")


def _predict_files(place: Place) -> int:
    made = place.material
    return _command("predict", made.slides, "--out", place.out, "--model", made.model, "--mpp", 0.5, "--device", "cpu")


def _annotate_mask(place: Place) -> int:
    return _command("annotate", place.project, "--query", 1, "--mask", place.material.annotations / "of-query-1.png")


def _annotate_outlines(place: Place) -> int:
    outlines = place.material.annotations / "outlines.geojson"
    return _command("annotate", place.project, "--slide", "a.tiff", "--mask", outlines, "--map-class", "inner=-")


def _label(place: Place) -> int:
    return _command("annotate", place.project, "--slide", "b.png", "--label", "malignant")


def _train(place: Place) -> int:
    return _command("train", place.project, "--pace", "quick", "--epochs", 1, "--keep", "--device", "cpu")


def _export(place: Place) -> int:
    return _command("export", place.project, "--out", place.out)


def _migrate(place: Place) -> int:
    return _command("annotate", place.project, "--slide", "a.svs", "--label", "benign")


def _recipe(place: Place) -> int:
    made = place.material
    data = ("--recipe", made.recipe, "--data", made.data, "--mpp", 0.5)
    return _command("train", *data, "--out", place.out / "model", "--device", "cpu")


# --- painting ---------------------------------------------------------------------------------------------------------


def stroke(number: int) -> Patch:
    """The `number`-th stroke: the later ones lie over the earlier."""
    return Patch(4 * number, 3 * number, np.full((40, 50), 1 + number % 2, np.uint8))


def _paint(place: Place) -> int:
    """Strokes through the store, each reported once the store has it."""
    reported = os.open(place.acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        with Project.open(place.project) as project:
            slide = next(slide for slide in project.slides.all() if slide.name == "a.tiff")
            draft = begin(project, slide_id=slide.id, region=REGION, person="Grace")
            for number in range(STROKES):
                project.drafts.append_patch(draft.id, stroke(number))
                os.write(reported, b"stroke\n")
            finish(project, draft.id, label="malignant")
            os.write(reported, b"done\n")
    except HistoLoopError as error:
        print(f"histoloop: {error}", file=sys.stderr)
        return 1
    return 0


def _painted(place: Place) -> list[Problem]:
    """Every stroke that was reported is there, and the region is done where that was reported."""
    lines = place.acknowledged.read_text().splitlines() if place.acknowledged.exists() else []
    if not lines:
        return []
    with Project.open(place.project) as project:
        records = [record for record in project.annotations.all() if record.region == REGION]
        if not records:
            return [(LOST, f"{len(lines)} strokes were reported, and there is no draft")]
        record = records[-1]
        mask, _origin = project.annotations.load_mask(record.id)
        strokes = lines.count("stroke") if lines[-1] != "done" else STROKES
        drawn = np.zeros_like(mask)
        for number in range(min(strokes, STROKES)):
            patch = stroke(number)
            drawn[patch.y : patch.y + 40, patch.x : patch.x + 50] = patch.values
        following = stroke(strokes) if strokes < STROKES else None
        missing = (drawn > 0) & (mask != drawn)
        if following is not None:  # one more may be there, not yet reported
            missing[following.y : following.y + 40, following.x : following.x + 50] = False
        if missing.any():
            return [(LOST, f"{strokes} strokes were reported, and {int(missing.sum())} of their pixels are not there")]
        if lines[-1] == "done" and record.status is not AnnotationStatus.DONE:
            return [(LOST, "the region was reported as done, and is a draft")]
    return []


# --- results that are files -------------------------------------------------------------------------------------------


def _files(place: Place) -> dict[str, Any]:
    """The files of a results folder by content; times and paths inside tables do not vary here."""
    found: dict[str, Any] = {}
    for path in sorted(each for each in place.out.rglob("*") if "partial" not in each.name):
        if path.suffix == ".png":
            with Image.open(path) as picture:
                found[path.name] = digest(np.asarray(picture).tobytes())
        elif path.suffix in (".geojson", ".tiff"):
            found[path.name] = digest(path.read_bytes())
        elif path.is_file():
            found[path.name] = len(path.read_text(encoding="utf-8").splitlines())
    return found


def _recipe_state(place: Place) -> dict[str, Any]:
    folder = place.out / "model"
    values = load_weights(folder)
    return {"weights": digest(b"".join(values[name].round(3).tobytes() for name in sorted(values)))}


def _model_is_whole(place: Place) -> list[Problem]:
    if not (place.out / "model").exists():
        return []
    try:
        load_weights(place.out / "model")
    except HistoLoopError as error:
        return [(HALF, f"the model: {error}")]
    return []


def _trained(place: Place) -> dict[str, Any]:
    """A round is there, and every model is of one; which figures it has does not matter, nor how often it was tried."""
    found = state_of(place.project)
    with Project.open(place.project) as project:
        in_rounds = {row.model_id for row in project.rounds.all()}
        alone = [record.round for record in project.models.all() if record.round > 0 and record.id not in in_rounds]
    for slide in found["slides"].values():
        slide["map"], slide["predicted"] = slide["map"] is not None, slide["predicted"] is not None
    return found | {"models without a round": alone}


SCENES = {
    scene.name: scene
    for scene in (
        Scene("create", None, _create, weight=4),
        Scene("import", "imported", _import, weight=2),
        Scene("predict", "imported", _query, weight=4),
        Scene("query", "asked", _query, weight=2),
        Scene(
            "predict files", None, _predict_files, weight=3, state=lambda place: _files(place),
        ),
        Scene("mask", "asked", _annotate_mask, weight=2, fine_again=(0, 1)),
        Scene("outlines", "asked", _annotate_outlines, weight=2, fine=(0, 3), fine_again=(0, 1)),
        Scene("label", "imported", _label),
        Scene("paint", "asked", _paint, weight=4, kept=_painted),
        Scene("train", "annotated", _train, weight=4, state=_trained),
        Scene("export", "annotated", _export, weight=2, state=lambda place: _files(place)),
        Scene("migrate 1", "version-1", _migrate, has_slides=False),
        Scene("migrate 2", "version-2", _migrate, has_slides=False),
        Scene("recipe", None, _recipe, weight=2, state=_recipe_state, kept=_model_is_whole, fine_again=(0, 1)),
    )
}  # fmt: skip
