"""Projects without a network: a model folder whose weights nobody loads, pictures of tissue, maps written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.network_config import NetworkConfig
from histoloop.slides.tiling import Window
from histoloop.store.cards import CARD, WEIGHTS, Card, card_text
from histoloop.store.maps import MapWriter
from histoloop.workflows.projects import create_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord

STRIDE = 32


@pytest.fixture(scope="session")
def scheme() -> ClassScheme:
    return ClassScheme(
        labels=(LabelClass("benign", "gland"), LabelClass("malignant", "tumour")),
        masks=(MaskClass("gland", "#00a0ff"), MaskClass("tumour", "#d01020")),
    )


@pytest.fixture(scope="session")
def make_model(scheme: ClassScheme) -> Callable[..., Path]:
    """Write a model folder: a whole card, and bytes in place of weights."""

    def make(folder: Path, *, weights: bytes = b"weights", **changes: Any) -> Path:
        values: dict[str, Any] = {
            "name": folder.name,
            "title": "A tiny model",
            "description": "For tests.",
            "licence": "CC0-1.0",
            "attribution": "Nobody",
            "network": NetworkConfig(labels=2),
            "scheme": scheme,
            "mpp": 1.0,
            "mean": (0.6, 0.4, 0.6),
            "std": (0.2, 0.2, 0.2),
            "training": {},
            "figures": {},
            "parent": None,
            "created": "2026-01-01T00:00:00+00:00",
            **changes,
        }
        folder.mkdir(parents=True)
        (folder / CARD).write_text(card_text(Card(**values)), encoding="utf-8")
        (folder / WEIGHTS).write_bytes(weights)
        return folder

    return make


@pytest.fixture
def project(tmp_path: Path, make_model: Callable[..., Path]) -> Iterator[Project]:
    model = make_model(tmp_path / "given" / "tiny")
    with create_project(tmp_path / "project", name="Colon", start=model) as project:
        yield project


@pytest.fixture(scope="session")
def paint_tissue() -> Callable[..., Path]:
    """Write a picture that is tissue all over, or up to a column."""

    def paint(path: Path, *, width: int = 160, height: int = 96, until: int | None = None, seed: int = 0) -> Path:
        noise = np.random.default_rng(seed).integers(-12, 13, (height, width, 3))
        pixels = np.array((215, 140, 185)) + noise
        if until is not None:
            pixels[:, until:] = 245
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path, compress_level=1)
        return path

    return paint


@pytest.fixture
def add_slide(tmp_path: Path, project: Project, paint_tissue: Callable[..., Path]) -> Callable[..., SlideRecord]:
    """Add a picture of tissue to the project."""

    def add(name: str = "a.png", *, mpp: float | None = 0.5, **options: Any) -> SlideRecord:
        path = paint_tissue(tmp_path / "slides" / name, seed=len(project.slides.all()), **options)
        with Image.open(path) as picture:
            width, height = picture.size
        return project.slides.add(path, width=width, height=height, mpp=mpp, vendor="picture")

    return add


@pytest.fixture
def add_map(project: Project) -> Callable[..., Path]:
    """Write the maps of a slide by a model (the current one) and keep them.

    `foreground` (h, w) is at map pixels, or one number for all; `labels` (2, rows, columns) is per cell, or the name
    of the label that is likeliest everywhere.
    """

    def add(
        slide: SlideRecord,
        foreground: np.ndarray | float,
        *,
        labels: np.ndarray | str = "benign",
        downsample: float = 1.0,
        model_id: int | None = None,
    ) -> Path:
        model = project.models.current() if model_id is None else project.models.get(model_id)
        folder = project.maps.new_folder(slide.id, model.id)
        names = project.scheme.label_names
        with MapWriter(
            folder,
            slide_width=slide.width,
            slide_height=slide.height,
            downsample=downsample,
            labels=names,
            stride_px=STRIDE,
            model_hash=model.hash,
        ) as writer:
            whole = np.zeros((writer.rows * STRIDE, writer.columns * STRIDE), np.float32)
            if isinstance(foreground, np.ndarray):
                whole[: foreground.shape[0], : foreground.shape[1]] = foreground
            else:
                whole[:] = foreground
            if isinstance(labels, str):
                cells = np.zeros((len(names), writer.rows, writer.columns), np.float32)
                cells[names.index(labels)] = 9.0
            else:
                cells = labels
            writer.write(Window(0, 0, whole.shape[1], whole.shape[0]), whole, cells)
        project.maps.add(slide.id, model.id, folder.name)
        return folder

    return add


# --- data sets and recipes small enough to train on in a second -------------------------------------------------------

COMMON = """
description = "Tiny"
source = "this test"

[network]
backbone = "mobilenet_v2"
decoder_channels = [8, 8, 8, 8, 8]

[network.pooling]
name = "POOLING"
modalities = 1

[classify.loop]
epochs = 1
batch_size = 4

[segment.loop]
epochs = 1
batch_size = 4

[robustness]
tiles = 2
steps = 2
"""
KINDS: dict[str, tuple[str, str, str]] = {
    "labels": ("", '[classify]\nsupervision = "labels"', "average"),
    "attention": ("", '[classify]\nsupervision = "labels"', "attention"),
    "min-max": ("", '[classify]\nsupervision = "min-max"\n[classify.erasing]\ndepth = 1', "average"),
    "sizes": ("", '[classify]\nsupervision = "sizes"', "average"),
    "jia": ("", '[classify]\nsupervision = "sizes"\nscores = "sigmoid"\n[classify.sizes]\nloss = "jia"',
            "generalised-mean"),
    "hybrid": ("mask_fraction = 0.5", '[classify]\nsupervision = "labels"', "average"),
    "several": ("", '[classify]\nsupervision = "labels"\nscores = "sigmoid"', "deep-mil"),
    "unet": ("mask_fraction = 1.0", '[classify]\nsupervision = "none"\n[segment]\nfreeze = false', "average"),
}  # fmt: skip


@pytest.fixture(scope="session")
def write_recipe() -> Callable[..., str]:
    def write(folder: Path, kind: str, *, epochs: int = 1) -> str:
        head, tail, pooling = KINDS[kind]
        text = f'name = "tiny-{kind}"\n{head}\n{COMMON}\n{tail}\n'.replace("POOLING", pooling)
        path = folder / f"tiny-{kind}.toml"
        path.write_text(text.replace("epochs = 1", f"epochs = {epochs}"), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="session")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen tiles of two classes, each with a mask: a dark disc, reddish in one class."""
    folder = tmp_path_factory.mktemp("data") / "discs"
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64]
    for name, colour in (("benign", (60, 40, 180)), ("malignant", (180, 40, 60))):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            disc = (rows - rng.integers(20, 44)) ** 2 + (columns - rng.integers(20, 44)) ** 2 < 14**2
            pixels = rng.integers(215, 245, (64, 64, 3)).astype(np.uint8)
            pixels[disc] = colour
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
            Image.fromarray(np.uint8(255) * disc).save(folder / name / f"{number}_mask.png")
    return folder


@pytest.fixture(scope="session")
def discs_of_several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 24 tiles, a third each with a blue disc, a red one, or both; masks are of all discs of a tile."""
    folder = tmp_path_factory.mktemp("data") / "several"
    folder.mkdir()
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:64, :64]
    table = ["image,label,mask,case,split"]
    for number in range(24):
        labels = (("gland",), ("tumour",), ("gland", "tumour"))[number % 3]
        pixels, mask = rng.integers(215, 245, (64, 64, 3)).astype(np.uint8), np.zeros((64, 64), bool)
        for label in labels:
            middle = 16 if label == "gland" else 48
            disc = (rows - rng.integers(20, 44)) ** 2 + (columns - middle) ** 2 < 12**2
            pixels[disc], mask[disc] = (60, 40, 180) if label == "gland" else (180, 40, 60), True
        Image.fromarray(pixels).save(folder / f"{number}.png")
        Image.fromarray(np.uint8(255) * mask).save(folder / f"{number}_mask.png")
        part = ("train", "train", "val", "test")[number // 6]
        table.append(f"{number}.png,{';'.join(labels)},{number}_mask.png,case {number},{part}")
    (folder / "manifest.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    return folder
