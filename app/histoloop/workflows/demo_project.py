"""The demo project: synthetic slides that know their own masks. Nothing here needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.slides.synthetic import SyntheticLabel, SyntheticSpec, write_synthetic_slide
from histoloop.store.project import DATABASE
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project, import_slides

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.progress import Work

SLIDE_PX = (2200, 1700)
MPP = 0.5
LABELS: tuple[SyntheticLabel, ...] = ("benign", "malignant", "mixed")
SLIDES_PER_LABEL = 2


def specifications(seed: int) -> dict[str, SyntheticSpec]:
    """The slides of the demo project by file name; each has a stain of its own."""
    numbered = [(label, number) for number in range(1, SLIDES_PER_LABEL + 1) for label in LABELS]
    return {
        f"{label}-{number}.tiff": SyntheticSpec(
            seed=seed * 100 + index, width=SLIDE_PX[0], height=SLIDE_PX[1], mpp=MPP, label=label
        )
        for index, (label, number) in enumerate(numbered)
    }


def create_demo_project(folder: Path, *, seed: int = 0) -> Work[Path]:
    """Make a project with synthetic slides inside its own folder, ready to predict; returns the folder.

    Slides that an interrupted attempt left there are made again; a project in the folder is an error (ProjectError).
    """
    if (folder / DATABASE).exists():
        raise ProjectError(
            tr("There is already a project in {folder}.", folder=folder),
            advice=tr("Choose another folder for the demo."),
        )
    slides = folder / "slides"
    yield from create_demo_slides(slides, seed=seed)
    with create_project(folder, name="Demo", start=DEFAULT_MODEL) as project:
        yield from import_slides(project, [slides])
    return folder


def create_demo_slides(folder: Path, *, seed: int) -> Work[None]:
    """Write the slides of the demo project into a folder, made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, spec in specifications(seed).items():
        yield from write_synthetic_slide(folder / name, spec)
