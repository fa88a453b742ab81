"""The loop on GlaS (real tissue, Sirinukunwattana et al. 2017), its own masks as the annotator.

    HISTOLOOP_DATA=FOLDER python tests/benchmarks/glas_rounds.py STRATEGY [ROUNDS] [PER_ROUND] [SEED]

The shipped model, which never saw GlaS, starts on the 85 training pictures; each round asks for PER_ROUND regions by
STRATEGY (entropy or random), takes their masks, retrains and keeps. After each round Dice is measured on test set A
(60 pictures, at the model's resolution and threshold): mean over pictures and pooled over pixels. A JSON line a round.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.progress import finish
from histoloop.slides.tiling import working_downsample
from histoloop.store.project import Project
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.training.readers.tiles import shrink_foreground
from histoloop.training.samples import TrainingTile
from histoloop.training.segment import segmentation_figures
from histoloop.workflows.decisions import keep
from histoloop.workflows.experiments.demo import annotate_with
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_model
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.projects import create_project, import_slides
from histoloop.workflows.queries.ask import ask
from histoloop.workflows.retraining.retrain import retrain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.annotations.records import Mask

MPP = 0.62


def main(strategy: str, *, rounds: int, per_round: int, seed: int) -> None:
    data = Path(os.environ["HISTOLOOP_DATA"]) / "glas"
    place = choose_device("auto")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        with create_project(folder, name="GlaS", start=DEFAULT_MODEL) as project:
            finish(import_slides(project, pictures(data, "train"), mpp=MPP))
        with Project.open(folder) as project:
            model = load_model(project.models.current().folder, place)
            test = [_tile(picture, model) for picture in pictures(data, "testA")]
            _tell(strategy, seed, 0, 0, model, test, started=time.monotonic())
            for number in range(1, rounds + 1):
                started = time.monotonic()
                finish(predict_project(project))
                for query in finish(ask(project, strategy=strategy, count=per_round, seed=seed)).queries:
                    mask, region = truth(project.slides.get(query.slide_id).path), query.region
                    mask = mask[region.y : region.bottom, region.x : region.right]
                    annotate_with(project, query.slide_id, region, query.id, mask)
                result = finish(retrain(project, seed=seed))
                keep(project, result.model_id)
                model = load_model(project.models.current().folder, place)
                _tell(strategy, seed, number, result.annotations, model, test, started=started)


def pictures(data: Path, part: str) -> list[Path]:
    """The pictures of a part ('train', 'testA', 'testB') of GlaS, sorted by path."""
    return sorted(path for path in data.glob(f"{part}_*.png") if not path.stem.endswith("_anno"))


def truth(picture: Path) -> Mask:
    """Glands of a picture as mask class 1."""
    annotated = picture.with_name(f"{picture.stem}_anno.png")
    return (np.asarray(Image.open(annotated)) > 0).astype(np.uint8)


def _tile(picture: Path, model: LoadedModel) -> TrainingTile:
    pixels = Image.open(picture).convert("RGB")
    downsample = working_downsample(MPP, model.card.mpp)
    width, height = round(pixels.width / downsample), round(pixels.height / downsample)
    small = np.array(pixels.resize((width, height), Image.Resampling.BOX))
    return TrainingTile(small, None, shrink_foreground(truth(picture) > 0, height=height, width=width), picture.name)


def _tell(
    strategy: str,
    seed: int,
    number: int,
    annotations: int,
    model: LoadedModel,
    test: list[TrainingTile],
    *,
    started: float,
) -> None:
    figures = segmentation_figures(model, test, threshold=model.card.threshold)
    row = {"strategy": strategy, "seed": seed, "round": number, "trained on": annotations}
    row |= {name: round(value, 4) for name, value in figures.items() if "dice" in name}
    print(json.dumps(row | {"seconds": round(time.monotonic() - started)}), flush=True)


def _given() -> Iterator[int]:
    for default, given in zip((4, 6, 0), [*sys.argv[2:5], None, None, None], strict=False):
        yield default if given is None else int(given)


if __name__ == "__main__":
    ROUNDS, PER_ROUND, SEED = _given()
    main(sys.argv[1], rounds=ROUNDS, per_round=PER_ROUND, seed=SEED)
