"""A project of four classes of its own that begins with an encoder alone; a table of docs/results.md.

    python tests/benchmarks/own_classes.py RESULTS [--seeds 1] [--pace full] [--encoder NAME] [--write]

Six synthetic slides are told apart into gland, tumour, lumen and stroma, which no model here was ever trained on. The
first questions cover the tissue (k-center), the later ones are where the model is unsure (entropy); the slides' own
masks answer them, four a round, and each round learns from them as the window does (a quarter of the regions is held
out to judge). After 4, 8 and 16 regions the current model is measured on six fields of tissue that no project ever
sees: Dice of a class is pooled over all their pixels, and the mean of the four stands beside them.

RESULTS is a folder; the run of a seed that is whole there is not made again, of another its rounds so far are shown.
With --write the part between the marks of docs/results.md is made anew from what is there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from histoloop.annotations.records import Mask, MaskClass
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue
from histoloop.slides.tiling import working_downsample
from histoloop.store.files import write_beside
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.store.temporary import temporary_folder
from histoloop.training.measures.metrics import class_dice
from histoloop.training.readers.tiles import shrink_classes
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.decisions import keep
from histoloop.workflows.demo_project import LABELS, MPP, create_demo_slides, specifications
from histoloop.workflows.experiments.demo import TEST_PX, TEST_SLIDES, annotate_with
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_model
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.projects import create_project, import_slides
from histoloop.workflows.queries.ask import ask
from histoloop.workflows.retraining.retrain import retrain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.slides.reader import Pixels

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results.md"
START = "<!-- own classes: made by tests/benchmarks/own_classes.py -->"
END = "<!-- end of own classes -->"

NAMES = ("gland", "tumour", "lumen", "stroma")
LUMEN, STROMA = 3, 4
ROUNDS = 4
REPORTED = (4, 8, 16)
QUESTIONS = 4
SIDE_MAP_PX = 192
BRIGHT = 205
"""Grey level above which tissue inside a gland is lumen, and outside of it glass; smoothed over some micrometres."""
SMOOTH_UM = 2.0


def four_classes(pixels: Pixels, glands: Mask) -> Mask:
    """Mask values (H, W) of the four classes, from the pixels and the mask of glands that a synthetic slide knows."""
    grey = ndimage.gaussian_filter(pixels.mean(axis=2), SMOOTH_UM / MPP)
    glass = ndimage.gaussian_filter(pixels.min(axis=2).astype(float), SMOOTH_UM / MPP) > 225
    inside = np.where(grey > BRIGHT, LUMEN, glands)
    return np.where(glands > 0, inside, np.where(glass, 0, STROMA)).astype(np.uint8)


def run(seed: int, pace: str, encoder: str, device: str) -> Iterator[dict[str, Any]]:
    """The rows of one seed: after each round the annotated regions, the Dice of each class and their mean."""
    with temporary_folder("histoloop-own-classes") as scratch:
        slides = scratch / "slides"
        finish(create_demo_slides(slides, seed=seed))
        truth = {name: SyntheticTissue(spec) for name, spec in specifications(seed).items()}
        classes = tuple(MaskClass(name, "") for name in NAMES)
        with create_project(
            scratch / "project", name="Own classes", start=encoder, classes=classes, encoder_only=True
        ) as project:
            finish(import_slides(project, [slides]))
            tests = test_fields(seed)
            for _round in range(ROUNDS):
                started = time.monotonic()
                if project.models.current_card().trained:
                    finish(predict_project(project, device=device))
                asked = finish(ask(project, count=QUESTIONS, seed=seed, region_map_px=SIDE_MAP_PX, device=device))
                for query in asked.queries:
                    pixels, glands = truth[project.slides.get(query.slide_id).name].read(query.region)
                    annotate_with(project, query.slide_id, query.region, query.id, four_classes(pixels, glands))
                result = finish(retrain(project, how=HowToLearn(pace=pace), device=device, seed=seed))
                if project.models.current().id != result.model_id:
                    keep(project, result.model_id)
                model = load_model(project.models.current().folder, choose_device(device))
                dice = measure(model, tests)
                yield {
                    "regions": len(project.annotations.with_mask()),
                    "strategies": sorted({query.strategy for query in asked.queries}),
                    "dice": dict(zip(NAMES, dice, strict=True)),
                    "macro": statistics.fmean(dice),
                    "seconds": round(time.monotonic() - started, 1),
                }


def test_fields(seed: int) -> list[tuple[Pixels, Mask]]:
    """Fields of tissue that no project sees, at level 0, with their masks."""
    fields = []
    for number in range(TEST_SLIDES):
        spec = SyntheticSpec(
            seed=1_000_000 + seed * 100 + number, width=TEST_PX, height=TEST_PX, mpp=MPP, label=LABELS[number % 3]
        )
        pixels, glands = SyntheticTissue(spec).read(Region(0, 0, TEST_PX, TEST_PX))
        fields.append((pixels, four_classes(pixels, glands)))
    return fields


def measure(model: LoadedModel, fields: list[tuple[Pixels, Mask]]) -> list[float]:
    """Pooled Dice of each class at the model's resolution."""
    size = round(TEST_PX / working_downsample(MPP, model.card.mpp))
    pairs = []
    for pixels, mask in fields:
        small = np.array(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
        pairs.append((model.predict_classes(small), shrink_classes(mask, height=size, width=size)))
    return [0.0 if value is None else value for value in class_dice(pairs, mask_classes=len(NAMES)).per_class]


def page_part(results: Path) -> str:
    """The table in Markdown, of all runs that are there."""
    lines = [
        "| rounds | regions | " + " | ".join(NAMES) + " | mean | seeds |",
        "|---|---" + "|---" * (len(NAMES) + 2) + "|",
    ]
    for pace in ("quick", "full"):
        runs = [json.loads(path.read_text("utf-8")) for path in sorted(results.glob(f"own-{pace}-*.json"))]
        for regions in REPORTED:
            rows = [row for table in runs for row in table if row["regions"] == regions]
            if not rows:
                continue
            of_class = [f"{100 * statistics.fmean(row['dice'][name] for row in rows):.1f}" for name in NAMES]
            mean = f"{100 * statistics.fmean(row['macro'] for row in rows):.1f}"
            lines.append(f"| {pace} | {regions} | {' | '.join(of_class)} | {mean} | {len(rows)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is not there yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--pace", choices=("quick", "full"), default="full")
    parser.add_argument("--encoder", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for seed in range(options.seeds):
        path = options.results / f"own-{options.pace}-{seed}.json"
        if path.exists() and len(json.loads(path.read_text("utf-8"))) == ROUNDS:
            continue
        table: list[dict[str, Any]] = []
        for row in run(seed, options.pace, options.encoder, options.device):
            table.append(row)
            print(seed, options.pace, row, flush=True)
            write_beside(path, json.dumps(table, indent=1) + "\n")
    part = page_part(options.results)
    print(part)
    if options.write:
        text = PAGE.read_text("utf-8")
        before, after = text.split(START)[0], text.split(END)[1]
        write_beside(PAGE, f"{before}{START}\n{part}\n{END}{after}")


if __name__ == "__main__":
    main()
