"""The loop run by itself on the demo project: the slides' own masks annotate, and test slides measure."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.annotations.records import AnnotationStatus, Mask, Origin
from histoloop.geometry import Region
from histoloop.progress import Progress, Work
from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue
from histoloop.slides.tiling import working_downsample
from histoloop.store.project import Project
from histoloop.training.measures.metrics import class_figures, pooled_dice
from histoloop.training.readers.tiles import shrink_classes, shrink_foreground
from histoloop.training.samples import TileMask, TrainingTile, foreground, values_of
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.decisions import keep
from histoloop.workflows.demo_project import LABELS, MPP, create_demo_project, specifications
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_model
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.queries.ask import ask
from histoloop.workflows.retraining.retrain import retrain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEST_SLIDES = 6
TEST_PX = 1300
QUERIES_PER_ROUND = 4


@dataclass(frozen=True, slots=True)
class DemoRound:
    """Pooled foreground Dice on the test slides after a round; round 0 is the shipped model.

    `class_dice` is the mean over gland and tumour of their pooled Dice, where classes are learned.
    """

    round: int
    annotations: int
    dice: float
    class_dice: float | None = None


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What a demo run was and gave."""

    seed: int
    device: str
    rounds: tuple[DemoRound, ...]
    seconds: float

    def as_json(self) -> dict[str, object]:
        """The report as plain values; `rounds` is the same for the same seed on the same machine."""
        rounds = [{key: value for key, value in asdict(one).items() if value is not None} for one in self.rounds]
        return asdict(self) | {"rounds": rounds}


def run_demo(folder: Path, *, rounds: int, seed: int, device: str = "auto", classes: bool = False) -> Work[DemoReport]:
    """Run the loop with the slides' own masks as the annotator, on a new project; entropy chooses the regions.

    The decoder learns one foreground (label-prop); with `classes` it learns to tell gland and tumour apart.
    """
    started = time.monotonic()
    place = choose_device(device)
    yield from create_demo_project(folder, seed=seed)
    with Project.open(folder) as project:
        truth = {name: SyntheticTissue(spec) for name, spec in specifications(seed).items()}
        model = load_model(project.models.current().folder, place)
        test = yield from _test_tiles(model, seed, classes=classes)
        table = [DemoRound(0, 0, *_test_dice(model, test))]
        for number in range(1, rounds + 1):
            yield from predict_project(project, device=device)
            asked = yield from ask(project, strategy="entropy", count=QUERIES_PER_ROUND, seed=seed)
            for query in asked.queries:
                tissue = truth[project.slides.get(query.slide_id).name]
                annotate_with(project, query.slide_id, query.region, query.id, tissue.read(query.region)[1])
            result = yield from retrain(project, how=HowToLearn(classes=classes), device=device, seed=seed)
            keep(project, result.model_id)
            model = load_model(project.models.current().folder, place)
            table.append(DemoRound(number, result.annotations, *_test_dice(model, test)))
            yield Progress("Demo", number, rounds, f"round {number}", {"dice": table[-1].dice})
    return DemoReport(seed, place.type, tuple(table), round(time.monotonic() - started, 1))


def annotate_with(project: Project, slide_id: int, region: Region, query_id: int | None, mask: Mask) -> None:
    """Finish an annotation with a mask that is known."""
    draft = project.drafts.start(
        slide_id,
        region,
        mask=mask,
        origin_model=None,
        person="synthetic truth",
        query_id=query_id,
        origin=Origin.HUMAN,
    )
    project.drafts.finish(draft.id, AnnotationStatus.DONE)


def _test_tiles(model: LoadedModel, seed: int, *, classes: bool) -> Work[list[TrainingTile]]:
    """Fields of tissue that no project ever sees, at the model's resolution, with their masks."""
    downsample = working_downsample(MPP, model.card.mpp)
    tiles = []
    for number in range(TEST_SLIDES):
        yield Progress("Making test slides", number, TEST_SLIDES)
        spec = SyntheticSpec(
            seed=1_000_000 + seed * 100 + number,
            width=TEST_PX,
            height=TEST_PX,
            mpp=MPP,
            label=LABELS[number % len(LABELS)],
        )
        pixels, mask = SyntheticTissue(spec).read(Region(0, 0, TEST_PX, TEST_PX))
        size = round(TEST_PX / downsample)
        small = np.array(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
        truth: TileMask = shrink_foreground(mask > 0, height=size, width=size)
        if classes:
            truth = shrink_classes(mask, height=size, width=size)
        tiles.append(TrainingTile(small, None, truth, f"test slide {number}"))
    return tiles


def _test_dice(model: LoadedModel, tiles: Sequence[TrainingTile]) -> tuple[float, float | None]:
    """Pooled Dice of the foreground, and the mean of the classes' where the truth tells them apart."""
    known = [(tile.pixels, tile.mask) for tile in tiles if tile.mask is not None]
    if known[0][1].dtype == np.bool_:
        return round(pooled_dice((model.predict_mask(pixels), foreground(mask)) for pixels, mask in known), 4), None
    pairs = [(model.predict_classes(pixels), values_of(mask)) for pixels, mask in known]
    figures = class_figures(pairs, mask_classes=len(model.card.scheme.masks))
    return round(figures["pooled_dice"], 4), round(figures["class_dice"], 4)
