from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.geometry import Region
from histoloop.network_config import NetworkConfig
from histoloop.store.cards import CARD, Card, card_text
from histoloop.store.project import Project
from histoloop.store.project_database import Database


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
        return project.slides.add(path, width=1000, height=800, mpp=0.5, vendor="aperio")

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
        return project.drafts.start(slide.id, settings.pop("region", region), **settings)

    return start_one


@pytest.fixture
def make_model(scheme):
    """Write a model folder that is a card alone."""

    def make(folder):
        card = Card(
            name=folder.name, title="Tiny", description="", licence="CC0-1.0", attribution="", network=NetworkConfig(2),
            scheme=scheme, mpp=1.0, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), training={}, figures={}, parent=None,
            created="2026-01-01T00:00:00+00:00",
        )  # fmt: skip
        folder.mkdir(parents=True)
        (folder / CARD).write_text(card_text(card), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def watched(monkeypatch):
    """What is asked of the database (SQL) and of the disk (paths) from here on."""
    asked = {"sql": [], "paths": []}
    query, run, stat = Database.all, Database.run, Path.stat

    def record(kind, function):
        def recording(self, *args, **options):
            asked[kind].append(args[0] if kind == "sql" else self)
            return function(self, *args, **options)

        return recording

    monkeypatch.setattr(Database, "all", record("sql", query))
    monkeypatch.setattr(Database, "run", record("sql", run))
    monkeypatch.setattr(Path, "stat", record("paths", stat))
    monkeypatch.setattr(Path, "is_file", record("paths", Path.is_file))
    return asked
