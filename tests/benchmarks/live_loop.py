"""How fast and how well the live loop learns: light decoders on kept features of GlaS, and the window's own times.

    python tests/benchmarks/live_loop.py RESULTS [--data FOLDER] [--only NAME ...] [--write]

A decoder learns on the kept features of pictures of GlaS' training part, painted as in pixel_classes.py, and is
measured on every third picture of test A: Dice pooled over pixels, of the foreground and of the classes in the mean,
against the processor's seconds (of two threads) that the learning took. RESULTS is a folder with a file for each
trial; what is there already is not measured again.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pixel_classes
import torch

from histoloop.inference.features import Features, decode, probability
from histoloop.localisation.stitcher import foreground_of, hard_mask
from histoloop.networks.unet import Decoder
from histoloop.progress import finish
from histoloop.store.files import write_beside
from histoloop.training.cached import CachedSettings, train_on_features
from histoloop.training.features import FeatureTile
from histoloop.training.loop import LoopSettings
from histoloop.training.metrics import class_figures
from histoloop.training.samples import foreground, values_of
from histoloop.workflows.regions.kept_features import KeptFeatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.training.samples import TrainingTile

THREADS = 2
CPU = torch.device("cpu")
STAGES = (64, 64, 128, 256, 512)
EVERY = 3
"""Every third picture of test A measures."""


@dataclass(frozen=True)
class Trial:
    """A decoder's widths, how it learns, and from how many regions.

    `grown` are numbers of regions after each of which it learned so many steps before, from the last (a warm start).
    `model` masks of so many other pictures are learned from too, with a weight.
    """

    name: str
    widths: tuple[int, ...] = (48, 32, 24)
    crop: int = 256
    batch: int = 4
    rate: float = 3e-3
    steps: int = 120
    regions: int = 8
    views: int = 2
    seed: int = 0
    classes: int = 2
    precision: str = "float32"
    loss: str = "bce+dice"
    grown: tuple[int, ...] = ()
    newest: int = 0
    taught: int = 0
    taught_steps: int = 0
    weight: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)


SEARCH = [
    Trial("stride-4", steps=60),
    Trial("narrower", widths=(32, 24, 16), steps=60),
    Trial("narrower-128x8", widths=(32, 24, 16), crop=128, batch=8, steps=60),
    Trial("narrower-128x4", widths=(32, 24, 16), crop=128, steps=60),
    Trial("narrower-128x4-120", widths=(32, 24, 16), crop=128, steps=120),
    Trial("narrower-128x8-fast", widths=(32, 24, 16), crop=128, batch=8, steps=60, rate=1e-2),
    Trial("narrower-128x8-one-view", widths=(32, 24, 16), crop=128, batch=8, steps=60, views=1),
    Trial("narrower-128x8-half", widths=(32, 24, 16), crop=128, batch=8, steps=60, precision="bfloat16"),
    Trial("narrower-128x8-20", widths=(32, 24, 16), crop=128, batch=8, steps=20, rate=1e-2),
    Trial("stride-8-128x8", widths=(32, 24), crop=128, batch=8, steps=60),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", pixel_classes.ROOT.parent / "shared/data"))
    )
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    options.results.mkdir(parents=True, exist_ok=True)
    learn(options.results, options.data, [trial for trial in SEARCH if not options.only or trial.name in options.only])


# --- learning ---------------------------------------------------------------------------------------------------------


def learn(results: Path, data: Path, trials: Sequence[Trial]) -> None:
    """Each trial that is not there yet, a file each."""
    wanted = [trial for trial in trials if not (results / f"{trial.name}.json").exists()]
    if not wanted:
        return
    bench = pixel_classes.prepare(results, data / "glas")
    kept = KeptFeatures(bench.start, bench.cache, key=bench.start.hash)
    numbers = {tile.name: number for number, tile in enumerate(bench.pool)}
    test = [
        (kept.of(tile.name, lambda tile=tile: tile, seed=number), values_of(tile.mask))
        for number, tile in enumerate(bench.test)
        if number % EVERY == 0 and tile.mask is not None
    ]

    def views(tiles: Sequence[TrainingTile], trial: Trial) -> list[list[FeatureTile]]:
        found = [kept.views(tile.name, tile, seed=numbers[tile.name], count=trial.views, stain=0.06) for tile in tiles]
        if trial.classes > 1:
            return found
        return [[FeatureTile(one.features, foreground(one.mask), known=one.known) for one in tile] for tile in found]

    for trial in wanted:
        decoder, row = None, {"regions": 0}
        torch.manual_seed(trial.seed)
        decoder = Decoder(STAGES, trial.widths, mask_classes=trial.classes)
        pseudo: list[FeatureTile] = []
        if trial.taught:
            others = bench.pool[:: max(1, len(bench.pool) // trial.taught)][: trial.taught]
            for tile in others:
                mask = bench.start.predict_classes(tile.pixels)
                features = kept.of(tile.name, lambda tile=tile: tile, seed=numbers[tile.name])
                pseudo.append(FeatureTile(features, mask if trial.classes > 1 else mask > 0))
            if trial.taught_steps:
                seconds = run(decoder, [[one] for one in pseudo], [], trial, trial.taught_steps)
                report(results, f"{trial.name}-taught", decoder, test, seconds, trial)
        for number, count in enumerate((*trial.grown, trial.regions)):
            tiles = bench.regions(trial.seed, count) if count else []
            annotated = views(tiles, trial)
            annotated += annotated[-1:] * trial.newest
            seconds = run(decoder, annotated, pseudo if trial.weight else [], trial, trial.steps, seed=number)
            last = number == len(trial.grown)
            report(results, trial.name if last else f"{trial.name}-at-{count}", decoder, test, seconds, trial)


def run(decoder, annotated, pseudo, trial: Trial, steps: int, *, seed: int = 0) -> tuple[float, float]:
    """Learn so many steps; seconds on the wall and of the processor."""
    settings = CachedSettings(
        loop=LoopSettings(
            epochs=1, batch_size=trial.batch, learning_rate=trial.rate, warmup_epochs=0, precision=trial.precision
        ),
        steps_per_epoch=steps,
        loss=trial.loss,
        crop_px=trial.crop,
        views=trial.views,
        pseudo_weight=trial.weight * len(annotated) / max(1, len(pseudo)),
    )
    wall, cpu = time.monotonic(), time.process_time()
    finish(
        train_on_features(
            decoder, annotated=annotated, pseudo=pseudo, settings=settings, device=CPU, seed=trial.seed + seed
        )
    )
    return time.monotonic() - wall, time.process_time() - cpu


def report(results: Path, name: str, decoder: Decoder, test, seconds: tuple[float, float], trial: Trial) -> None:
    decoder.eval()
    started = time.process_time()
    pairs = []
    for features, mask in test:
        found = hard_mask(probability(decode(decoder, features, device=CPU)), threshold=0.5)
        pairs.append((found if decoder.mask_classes > 1 else found.astype(np.uint8), mask if decoder.mask_classes > 1 else (mask > 0).astype(np.uint8)))
    figures = class_figures(pairs, mask_classes=decoder.mask_classes)
    row = asdict(trial) | {
        "name": name,
        "foreground": figures["pooled_dice"],
        "macro": figures["class_dice"],
        "wall": seconds[0],
        "cpu": seconds[1],
        "decode_cpu": (time.process_time() - started) / len(test),
        "parameters": sum(tensor.numel() for tensor in decoder.parameters()),
    }
    write_beside(results / f"{name}.json", json.dumps(row, indent=1) + "\n")
    print(f"{name:32s} foreground {100 * row['foreground']:.1f} macro {100 * row['macro']:.1f} wall {row['wall']:.1f} cpu {row['cpu']:.1f} decode {row['decode_cpu']:.3f}", flush=True)


if __name__ == "__main__":
    main()
