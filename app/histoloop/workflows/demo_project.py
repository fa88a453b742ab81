"""The demo project: synthetic slides that know their own masks. Nothing here needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.slides.synthetic import SyntheticLabel, SyntheticSpec, write_synthetic_slide
from histoloop.workflows.projects import create_project, import_slides
from histoloop.workflows.shipped import DEFAULT_MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.progress import Work

SLIDE_PX = (3200, 2400)
MPP = 0.5
LABELS: tuple[SyntheticLabel, ...] = ("benign", "malignant", "mixed")


def specifications(seed: int) -> dict[str, SyntheticSpec]:
    """The slides of the demo project by file name."""
    return {
        f"{label}-{seed}.tiff": SyntheticSpec(
            seed=seed * 100 + number, width=SLIDE_PX[0], height=SLIDE_PX[1], mpp=MPP, label=label
        )
        for number, label in enumerate(LABELS)
    }


def create_demo_project(folder: Path, *, seed: int = 0) -> Work[Path]:
    """Make a project with synthetic slides inside its own folder, ready to predict; returns the folder."""
    with create_project(folder, name="Demo", model=DEFAULT_MODEL) as project:
        paths = []
        for name, spec in specifications(seed).items():
            path = folder / "slides" / name
            path.parent.mkdir(exist_ok=True)
            yield from write_synthetic_slide(path, spec)
            paths.append(path)
        yield from import_slides(project, paths)
    return folder
