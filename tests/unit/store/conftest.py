from __future__ import annotations

import numpy as np
import pytest

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.geometry import Region
from histoloop.store.project import Project


@pytest.fixture
def scheme():
    return ClassScheme(
        labels=(LabelClass("benign", "gland"), LabelClass("malignant", "tumour")),
        masks=(MaskClass("gland", "#00a000"), MaskClass("tumour", "#d00000")),
    )


@pytest.fixture
def project(tmp_path, scheme):
    with Project.create(tmp_path / "project", name="Colon", scheme=scheme) as project:
        yield project


@pytest.fixture
def add_slide(tmp_path):
    """Add a slide file with this content; the store never looks into it."""

    def add(project, name="a.svs", content=b"pixels", folder=tmp_path):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
        return project.add_slide(path, width=1000, height=800, mpp=0.5, vendor="aperio")

    return add


@pytest.fixture
def slide(project, add_slide):
    return add_slide(project)


@pytest.fixture
def start(project, slide):
    """Start an annotation of the n-th region of the slide; the regions do not touch."""

    def start_one(number=0, *, value=0, **options):
        region = Region(number * 20, 0, 12, 9)
        mask = np.full((9, 12), value, np.uint8)
        settings = {"origin_model": None, "person": "Ada", "mask": mask, **options}
        return project.start_annotation(slide.id, settings.pop("region", region), **settings)

    return start_one
