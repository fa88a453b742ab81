"""Frozen encoders as starts of a project, on EBHI-Seg and GlaS; a table of docs/results.md.

    python tests/benchmarks/encoder_starts.py RESULTS [--data FOLDER] [--encoder NAME=MODEL ...] [--only ebhi]
        [--seeds 3] [--write]

What a project gains from the encoder it begins with, when it has no model that fits: the encoder stays frozen, and a
fresh decoder of one foreground, as light as the live loop's, learns for 360 steps from 4, 8 or 16 pictures of the
training part, painted with their true masks (equal numbers of each label, sampled at random), on kept features in
turned and flipped views. Dice is the mean over the pictures of the part that measures: the validation part by case of
EBHI-Seg, every second one of test A of GlaS. Beside it, the accuracy of a linear head on the pooled features that has
all labels of the training part, on all of the part that measures.

Measured are the encoders of the two shipped models, MobileNetV2 with random weights (what the decoder learns without
any help), and the encoder of each MODEL, a folder. RESULTS is a folder; what was stopped goes on there. FOLDER holds
`glas/` and `ebhi-seg/` (default: HISTOLOOP_DATA, else ../shared/data). With --write the part between the marks of
docs/results.md is made anew from what is there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from pixel_classes import spread

from histoloop.acquisition.linear_probe import fit_linear_head
from histoloop.acquisition.selection import select
from histoloop.acquisition.strategies.at_random import random_scores
from histoloop.inference.model import Model
from histoloop.network_config import NetworkConfig
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.unet import Decoder
from histoloop.progress import finish
from histoloop.store.array_cache import ArrayCache
from histoloop.store.cards import model_hash
from histoloop.store.files import write_beside
from histoloop.store.shipped import DEFAULT_ENCODER, DEFAULT_MODEL, find_model
from histoloop.training.cached import CachedSettings, dice_figures, train_on_features
from histoloop.training.datasets import DataSet, measured_colours, read_dataset
from histoloop.training.features import FeatureTile
from histoloop.training.loop import LoopSettings
from histoloop.training.measures.metrics import accuracy, balanced_accuracy
from histoloop.training.pretrained import unfold
from histoloop.training.samples import TrainingTile, foreground
from histoloop.workflows.live.learner import LiveSettings
from histoloop.workflows.live.tile_features import coarse
from histoloop.workflows.prediction.loaded_model import choose_device, load_model
from histoloop.workflows.regions.kept_features import KeptFeatures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results.md"
START = "<!-- encoder starts: made by tests/benchmarks/encoder_starts.py -->"
END = "<!-- end of encoder starts -->"

REGIONS = (4, 8, 16)
STEPS = 360
LIGHT = LiveSettings()

FIELDS = {
    "ebhi": ("ebhi-seg", "EBHI-Seg, training to validation by case"),
    "glas": ("glas", "GlaS, training part to test A"),
}
EVERY = {"ebhi": 1, "glas": 2}
"""Of the pictures that measure, each so-manieth measures a decoder."""

SETTINGS = CachedSettings(
    loop=LoopSettings(epochs=1, batch_size=LIGHT.batch_size, learning_rate=LIGHT.learning_rate, warmup_epochs=0),
    steps_per_epoch=STEPS,
    loss="bce+dice",
    views=4,
    stain=LIGHT.stain,
    crop_px=LIGHT.crop_px,
)

MPP = 1.15
"""Micrometres per pixel as every encoder sees the tiles: those of the shipped model."""


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """An encoder's kept features of a data set."""

    field: str
    dataset: DataSet
    kept: KeptFeatures

    @property
    def measured(self) -> Sequence[TrainingTile]:
        """The tiles that measure and teach nothing."""
        return self.dataset.test or self.dataset.validation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--encoder", action="append", default=[], metavar="NAME=MODEL")
    parser.add_argument("--only", choices=tuple(FIELDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    encoders: dict[str, Callable[[DataSet], tuple[Model, str]]] = {
        "colon ResNet-18 (shipped)": lambda _dataset: of_model(find_model(DEFAULT_MODEL)),
        "general MobileNetV2, ImageNet (shipped)": lambda _dataset: of_model(find_model(DEFAULT_ENCODER)),
        "MobileNetV2, random": random_encoder,
    }
    for given in options.encoder:
        name, _, folder = given.partition("=")
        encoders[name] = lambda _dataset, folder=folder: of_model(Path(folder))
    for field in [options.only] if options.only else list(FIELDS):
        for name, make in encoders.items():
            measure(options.results, options.data, field, name, make, options.seeds)
    if options.write:
        write(options.results)


# --- encoders ---------------------------------------------------------------------------------------------------------


def of_model(folder: Path) -> tuple[Model, str]:
    """The encoder of a model, and what it is known by."""
    loaded = load_model(folder, choose_device("auto"))
    return loaded, model_hash(folder)


def random_encoder(dataset: DataSet) -> tuple[Model, str]:
    """A MobileNetV2 with random weights, whose batch norms know the training tiles."""
    torch.manual_seed(0)
    network = Hybrid(NetworkConfig(labels=0, backbone="mobilenet_v2"))
    colours = measured_colours([tile.pixels for tile in dataset.training])
    some = dataset.training[:: max(1, len(dataset.training) // 32)]
    unfold(
        network.backbone,
        (colours.normalise(torch.from_numpy(tile.pixels).permute(2, 0, 1)[None].float() / 255) for tile in some),
    )
    return Model(network.eval(), colours, choose_device("auto")), f"random mobilenet_v2 {dataset.scheme.label_names}"


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(
    results: Path,
    data: Path,
    field: str,
    name: str,
    make: Callable[[DataSet], tuple[Model, str]],
    seeds: int,
) -> None:
    """All of an encoder on a data set that is not there yet, a file each."""
    slug = "".join(letter if letter.isalnum() else "-" for letter in name.lower())
    shots = {
        (seed, count): results / f"{field}-{slug}-{seed}-{count}.json" for seed in range(seeds) for count in REGIONS
    }
    linear = results / f"{field}-{slug}-linear.json"
    if linear.exists() and all(file.exists() for file in shots.values()):
        return
    dataset = finish(read_dataset(data / FIELDS[field][0], model_mpp=MPP))
    model, key = make(dataset)
    bench = Bench(field, dataset, KeptFeatures(model, ArrayCache(results / "kept", limit_bytes=20 * 1024**3), key=key))
    if not linear.exists():
        keep(linear, {"field": field, "encoder": name} | linear_accuracy(bench))
    for (seed, count), file in shots.items():
        if not file.exists():
            started = time.process_time()
            found = few_shot(bench, seed, count)
            row = {"field": field, "encoder": name, "seed": seed, "regions": count}
            keep(file, row | {"dice": found["dice"], "cpu_s": round(time.process_time() - started, 1)})


def keep(file: Path, row: dict[str, object]) -> None:
    write_beside(file, json.dumps(row, indent=1) + "\n")
    print(json.dumps(row), flush=True)


def few_shot(bench: Bench, seed: int, count: int) -> dict[str, float]:
    """Figures of a fresh decoder that has learned from so many painted tiles."""
    pool = [tile for tile in bench.dataset.training if tile.mask is not None and tile.mask.any()]
    labels = [str(tile.label) for tile in pool]
    chosen = [pool[index] for index in select(random_scores(len(pool), seed=seed), labels, count=count)]
    torch.manual_seed(seed)
    stages = len(LIGHT.widths) + 1
    decoder = Decoder(bench.kept.model.network.backbone.channels, LIGHT.widths)
    views = [
        [light(view, stages) for view in bench.kept.views(tile.name, tile, seed=number, count=4, stain=LIGHT.stain)]
        for number, tile in enumerate(chosen)
    ]
    device = bench.kept.model.device
    finish(train_on_features(decoder, annotated=views, settings=SETTINGS, device=device, seed=seed))
    decoder.eval()
    dice = [
        dice_figures(decoder, [light(masked(bench, tile), stages)], device=device)["dice"]
        for tile in bench.measured[:: EVERY[bench.field]]
        if tile.mask is not None
    ]
    return {"dice": statistics.mean(dice)}


def light(tile: FeatureTile, stages: int) -> FeatureTile:
    """With the stages alone that the decoder takes."""
    return dataclasses.replace(tile, features=coarse(tile.features, stages))


def masked(bench: Bench, tile: TrainingTile) -> FeatureTile:
    assert tile.mask is not None
    return FeatureTile(bench.kept.of(tile.name, lambda: tile, seed=0), foreground(tile.mask), known=tile.known)


def linear_accuracy(bench: Bench) -> dict[str, float]:
    """Of a linear head on pooled features of the last stage, standardised over the training part."""
    known, unknown = (
        [tile for tile in tiles if tile.label is not None] for tiles in (bench.dataset.training, bench.measured)
    )
    learned, unseen = (
        np.stack([bench.kept.of(tile.name, lambda tile=tile: tile, seed=0).embedding for tile in tiles])
        for tiles in (known, unknown)
    )
    mean, spread = learned.mean(axis=0), learned.std(axis=0) + 1e-6
    labels = [tile.label for tile in known if tile.label is not None]
    truth = [tile.label for tile in unknown if tile.label is not None]
    weights, bias = fit_linear_head(
        (learned - mean) / spread, labels, classes=len(bench.dataset.scheme.labels), decay=1e-3
    )
    found = (((unseen - mean) / spread) @ weights.T + bias).argmax(axis=1).tolist()
    return {"accuracy": accuracy(found, truth), "balanced": balanced_accuracy(found, truth)}


# --- the table --------------------------------------------------------------------------------------------------------


def write(results: Path) -> None:
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(results.glob("*.json"))]
    parts = [section(title, [row for row in rows if row["field"] == field]) for field, (_, title) in FIELDS.items()]
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START, 1)
    _old, after = rest.split(END, 1)
    PAGE.write_text(f"{before}{START}\n\n" + "\n\n".join(filter(None, parts)) + f"\n\n{END}{after}", encoding="utf-8")


def section(title: str, rows: Sequence[dict[str, object]]) -> str:
    names = list(dict.fromkeys(str(row["encoder"]) for row in rows))
    if not names:
        return ""
    counts = " | ".join(f"Dice, {count} regions" for count in REGIONS)
    lines = [
        f"### {title}",
        "",
        f"| frozen encoder | {counts} | seeds | linear head, accuracy | balanced |",
        "|" + "---|" * (len(REGIONS) + 4),
    ]
    for name in names:
        own = [row for row in rows if row["encoder"] == name]
        shots = [[float(str(row["dice"])) for row in own if row.get("regions") == count] for count in REGIONS]
        heads = [row for row in own if "accuracy" in row]
        cells = [
            name,
            *(spread(values) if values else "" for values in shots),
            str(min(map(len, shots))),
            *(f"{100 * float(str(heads[0][key])):.1f}" if heads else "" for key in ("accuracy", "balanced")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
