"""Mask classes by the decoder against those by the class maps, on GlaS and EBHI-Seg; a table of docs/results.md.

    python tests/benchmarks/pixel_classes.py RESULTS [--data FOLDER] [--only glas] [--seeds 1] [--pace quick] [--write]

The shipped model starts on pictures of the training part, sampled at random in equal numbers of each mask class and
painted with their true masks: those of benign labels as gland, those of malignant ones as tumour. Both ways learn from
the same pictures by the recipe of a round of the loop: 'class maps' one foreground, whose classes the class maps name,
'class decoder' background and classes. Dice of a class is pooled over the pixels of the part that measures (test A of
GlaS, the validation part of EBHI-Seg); their mean stands beside the Dice of the foreground, which an ideal naming of
the classes would reach.

RESULTS is a folder; what was stopped goes on there. FOLDER holds `glas/` and `ebhi-seg/` (default: HISTOLOOP_DATA, else
../shared/data). With --write the part between the marks of docs/results.md is made anew from what is there.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from histoloop.acquisition.selection import select
from histoloop.acquisition.strategies.at_random import random_scores
from histoloop.networks.build import with_mask_classes
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import finish
from histoloop.store.array_cache import ArrayCache
from histoloop.store.files import write_beside
from histoloop.store.shipped import DEFAULT_MODEL, find_model
from histoloop.training.cached import train_on_features
from histoloop.training.datasets import read_dataset
from histoloop.training.measures.metrics import class_dice, class_figures
from histoloop.training.recipe import load_recipe, recipe_path
from histoloop.training.samples import TrainingTile, foreground, values_of
from histoloop.training.segment import train_decoder
from histoloop.workflows.contents.rounds import QUICK_RECIPE, RECIPES
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_model
from histoloop.workflows.regions.kept_features import KeptFeatures
from histoloop.workflows.retraining.fit import quick_settings

if TYPE_CHECKING:
    from histoloop.annotations.records import ClassScheme

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "results.md"
START = "<!-- pixel classes: made by tests/benchmarks/pixel_classes.py -->"
END = "<!-- end of pixel classes -->"

REGIONS = (0, 4, 8, 16)
MAPS, DECODER = "class maps", "class decoder"
WAYS = (MAPS, DECODER)
FIELDS = {
    "glas": ("glas", "GlaS, training part to test A"),
    "ebhi": ("ebhi-seg", "EBHI-Seg, training to validation by case"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """The model that both ways start from, the pool and the tiles that measure, all with masks of values."""

    start: LoadedModel
    pool: Sequence[TrainingTile]
    test: Sequence[TrainingTile]
    cache: ArrayCache

    @property
    def mask_names(self) -> tuple[str, ...]:
        """Of the classes that are told apart."""
        return self.start.card.scheme.mask_names

    def regions(self, seed: int, count: int) -> list[TrainingTile]:
        """So many tiles of the pool, equal numbers of each class; a larger number has those of a smaller one."""
        classes = [str(values_of(tile.mask).max()) for tile in self.pool if tile.mask is not None]
        chosen = select(random_scores(len(self.pool), seed=seed), classes, count=count)
        return [self.pool[index] for index in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--only", choices=tuple(FIELDS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--pace", choices=("quick", "full"), action="append")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else list(FIELDS):
        if options.seeds:
            measure(options.results, options.data, name, options.seeds, options.pace or ["quick", "full"])
    if options.write:
        write(options.results)


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(results: Path, data: Path, name: str, seeds: int, paces: Sequence[str]) -> None:
    """All that is not there yet, a file each."""
    wanted = [
        (pace, seed, count, way)
        for pace in paces
        for seed in range(seeds)
        for count in REGIONS
        if count
        for way in WAYS
    ]
    wanted = [("no", 0, 0, MAPS), *wanted]  # before the first region there is the start model alone
    files = {one: results / f"{name}-{'-'.join(map(str, one)).replace(' ', '-')}.json" for one in wanted}
    if all(file.exists() for file in files.values()):
        return
    bench = prepare(results, data / FIELDS[name][0])
    for (pace, seed, count, way), file in files.items():
        if file.exists():
            continue
        started = time.monotonic()
        model = learned(bench, way, pace, bench.regions(seed, count), seed) if count else bench.start
        seconds = time.monotonic() - started
        row = {"field": name, "pace": pace, "seed": seed, "regions": count, "way": way} | figures(bench, model)
        write_beside(file, json.dumps(row | {"seconds": round(seconds, 1)}, indent=1) + "\n")
        print(json.dumps(row), flush=True)


def prepare(results: Path, data: Path) -> Bench:
    start = load_model(find_model(DEFAULT_MODEL), choose_device("auto"))
    dataset = finish(read_dataset(data, model_mpp=start.card.mpp))
    test = dataset.test or dataset.validation
    cache = ArrayCache(results / "kept", limit_bytes=8 * 1024**3)
    return Bench(start, painted(dataset.training, dataset.scheme, start), painted(test, dataset.scheme, start), cache)


def painted(tiles: Sequence[TrainingTile], scheme: ClassScheme, start: LoadedModel) -> list[TrainingTile]:
    """The tiles that have foreground, their masks with the model's value of the mask class that their label has."""
    found = []
    for tile in tiles:
        if tile.mask is None or tile.label is None or not tile.mask.any():
            continue
        value = start.card.scheme.mask_value(scheme.labels[tile.label].mask)
        found.append(dataclasses.replace(tile, mask=(tile.mask * np.uint8(value)).astype(np.uint8)))
    return found


def learned(bench: Bench, way: str, pace: str, regions: Sequence[TrainingTile], seed: int) -> LoadedModel:
    """The start model after a round on the regions."""
    torch.manual_seed(seed)
    if way == MAPS:
        regions = [dataclasses.replace(tile, mask=foreground(tile.mask)) for tile in regions if tile.mask is not None]
    classes = len(bench.mask_names) if way == DECODER else 1
    model = bench.start.with_network(copy.deepcopy(with_mask_classes(bench.start.network, classes)))
    if pace == "quick":
        return quickly_learned(bench, model, regions, seed)
    recipe = load_recipe(recipe_path(RECIPES["masks"]))
    finish(
        train_decoder(
            model,
            training=regions,
            validation=(),
            settings=recipe.segment,
            augmentation=recipe.augment,
            seed=seed,
        )
    )
    return model.with_network(model.network)


def quickly_learned(bench: Bench, model: LoadedModel, regions: Sequence[TrainingTile], seed: int) -> LoadedModel:
    settings = quick_settings(load_recipe(recipe_path(QUICK_RECIPE)))
    network = model.network
    assert isinstance(network, Hybrid)
    assert network.decoder is not None
    kept = KeptFeatures(model, bench.cache, key=bench.start.hash)
    views = [
        kept.views(tile.name, tile, seed=number, count=settings.views, stain=settings.stain)
        for number, tile in enumerate(regions)
    ]
    finish(train_on_features(network.decoder, annotated=views, settings=settings, device=model.device, seed=seed))
    network.decoder.to(memory_format=torch.contiguous_format)
    return model.with_network(network)


def figures(bench: Bench, model: LoadedModel) -> dict[str, Any]:
    """Pooled Dice in [0, 1] of each class, of all of them in the mean, and of the foreground."""
    pairs = [(model.predict_classes(tile.pixels), values_of(tile.mask)) for tile in bench.test if tile.mask is not None]
    found = class_dice(pairs, mask_classes=len(bench.mask_names))
    named = dict(zip(bench.mask_names, found.per_class, strict=True))
    pooled = class_figures(pairs, mask_classes=len(bench.mask_names))["pooled_dice"]
    return {"classes": named, "macro": found.macro, "foreground": pooled}


# --- the table --------------------------------------------------------------------------------------------------------


def write(results: Path) -> None:
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(results.glob("*.json"))]
    parts = [section(FIELDS[name][1], own) for name in FIELDS if (own := [row for row in rows if row["field"] == name])]
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START, 1)
    _old, after = rest.split(END, 1)
    PAGE.write_text(f"{before}{START}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}", encoding="utf-8")


def section(title: str, rows: Sequence[dict[str, Any]]) -> str:
    names = list(rows[0]["classes"])
    lines = [
        f"### {title}",
        "",
        f"| pace | regions | classes by | {' | '.join(names)} | mean | foreground | mean / foreground | seeds |",
        "|" + "---|" * (len(names) + 7),
    ]
    for pace in ("no", "quick", "full"):
        for count in REGIONS:
            for way in WAYS:
                own = [row for row in rows if (row["pace"], row["regions"], row["way"]) == (pace, count, way)]
                if own:
                    lines.append(line(pace, count, way, own))
    return "\n".join(lines)


def line(pace: str, count: int, way: str, rows: Sequence[dict[str, Any]]) -> str:
    classes = [spread([row["classes"][name] for row in rows]) for name in rows[0]["classes"]]
    macro, whole = [row["macro"] for row in rows], [row["foreground"] for row in rows]
    share = statistics.mean(macro) / statistics.mean(whole)
    cells = [pace, count, way, *classes, spread(macro), spread(whole), f"{share:.2f}", len(rows)]
    return f"| {' | '.join(map(str, cells))} |"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation in percent, the latter where there are several."""
    mean = f"{100 * statistics.mean(values):.1f}"
    return f"{mean} ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else mean


if __name__ == "__main__":
    main()
