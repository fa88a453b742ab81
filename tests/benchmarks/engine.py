"""What each lever of the engine gives on one tile: CPU seconds with one thread, memory, difference of the foreground.

    python tests/benchmarks/engine.py [--model NAME] [--runs 3] [--write]
    python tests/benchmarks/engine.py --learning [--data FOLDER] [--seeds 3] [--write]

Each row has the levers of those above it. Rows run in a process each, one after the other, over the same synthetic
tissue (a core of 1024 px at the model's resolution, with glass on no side); seconds are the least of the runs after a
first one, of user and kernel time. With --write the table between the marks of docs/performance.md is made anew.

With --learning a quick round of six regions of GlaS is measured instead, from the shipped model on, and the Dice of
what it learned on 16 others.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from bench.measured import show

import histoloop.inference.model
import histoloop.training.loop
from histoloop.geometry import Region
from histoloop.inference.precision import has_bfloat16
from histoloop.networks.needed import Box
from histoloop.networks.unet import mask_probabilities
from histoloop.progress import finish
from histoloop.slides.synthetic import SyntheticSpec, SyntheticTissue
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.training.cached import dice_figures, train_on_features
from histoloop.training.datasets import read_dataset
from histoloop.training.features import FeatureTile, spread_views, view_of
from histoloop.training.recipe import load_recipe, recipe_path
from histoloop.workflows.prediction.loaded_model import open_model
from histoloop.workflows.retraining.fit import quick_settings

if TYPE_CHECKING:
    from histoloop.training.samples import TrainingTile

ROOT = Path(__file__).resolve().parents[2]
CORE_PX = 1024
REGIONS, HELD_OUT = 6, 16
THRESHOLD = 0.5
LEVERS = (
    "the whole window, memory given back at once",
    "+ memory kept for the next layer",
    "+ channels last",
    "+ to each side the halo that the network reads",
    "+ layers only where the core needs them",
    "+ batch norms folded, the decoder convolves before it enlarges",
    "+ bfloat16",
)
HALF_PRECISION = "+ bfloat16"
SMALL_CROPS = "+ 150 steps on 128 px at twice the rate"
LEARNING = (
    "60 steps on 256 px, memory given back at once",
    "+ memory kept for the next layer",
    HALF_PRECISION,
    SMALL_CROPS,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--learning", action="store_true")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lever", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--tile", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lever is not None and options.learning:
        print(json.dumps(learn(options.lever, options.model, options.data, options.seeds)))
        return
    if options.lever is not None:
        print(json.dumps(run_lever(options.lever, options.model, options.tile, options.runs)))
        return
    if options.learning:
        name, text = "learning", learning_table(options.model, options.data, options.seeds)
    else:
        name, text = "levers", table(measure(options.model, options.runs))
    show(name, text, write=options.write)


def measure(model: str, runs: int) -> list[dict[str, float]]:
    """Figures of each lever, and how far its foreground is from the first one's."""
    loaded = open_model(model, device="cpu")
    radius = loaded.network.receptive_radius_px
    side = CORE_PX + 2 * radius
    pixels = SyntheticTissue(SyntheticSpec(0, side, side, mpp=loaded.card.mpp, margin_um=0)).read(
        Region(0, 0, side, side)
    )[0]
    levers = LEVERS if has_bfloat16() else LEVERS[:-1]
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        tile = Path(scratch) / "tile.npy"
        np.save(tile, pixels)
        for number in range(len(levers)):
            command = [sys.executable, "-W", "ignore", __file__, "--model", model, "--runs", str(runs)]
            command += ["--lever", str(number), "--tile", str(tile)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{levers[number]}: {found[-1]}", file=sys.stderr, flush=True)
            foreground = np.load(_foreground_beside(tile, number))
            first = np.load(_foreground_beside(tile, 0))
            found[-1]["difference"] = float(np.abs(foreground - first).max())
            found[-1]["flipped"] = float(((foreground > THRESHOLD) != (first > THRESHOLD)).mean())
    return found


def run_lever(number: int, name: str, tile: Path, runs: int) -> dict[str, float]:
    """CPU seconds, those of them in the kernel, and peak memory in MB of a lever and those before it."""
    torch.set_num_threads(1)
    if number < 1:
        histoloop.inference.model.keep_freed_memory = lambda: False
    model = open_model(name, device="cpu")
    network = model.network
    folded = model.folded()
    radius, halo = network.receptive_radius_px, network.halo
    pixels = np.load(tile)
    if number >= 3:
        first, last = radius - halo.before_px, radius + CORE_PX + halo.after_px
        pixels = np.ascontiguousarray(pixels[first:last, first:last])
        core = Box.of(halo.before_px, halo.before_px, CORE_PX, CORE_PX)
    else:
        core = Box.of(radius, radius, CORE_PX, CORE_PX)

    def predict() -> np.ndarray:
        if number >= 4:
            lean = folded if number >= 5 else model
            masks = lean.predict_cores([pixels], core, precision="fast" if number >= 6 else "exact")[0].masks
            assert masks is not None
            return masks
        with torch.inference_mode():
            tile_BCHW = model.padded(pixels, multiple_px=network.stride_px)[0]
            output = network(tile_BCHW if number >= 2 else tile_BCHW.contiguous())
            masks = mask_probabilities(output.mask_logits_BLHW)[0].numpy()
            return masks[..., slice(*core.rows), slice(*core.columns)]

    taken = []
    for _run in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_SELF)
        began = time.process_time()
        masks = predict()
        after = resource.getrusage(resource.RUSAGE_SELF)
        taken.append((time.process_time() - began, after.ru_stime - before.ru_stime))
    np.save(_foreground_beside(tile, number), masks)
    seconds, kernel = min(taken[1:])
    return {"seconds": seconds, "kernel": kernel, "first": taken[0][0], "peak_MB": after.ru_maxrss // 1024}


def learn(number: int, name: str, data: Path, seeds: int) -> dict[str, float]:
    """CPU seconds of learning alone and the Dice afterwards, LEARNING up to a number: means over the seeds.

    Each seed has six regions of its own.
    """
    torch.set_num_threads(1)
    if number < 1:
        histoloop.inference.model.keep_freed_memory = histoloop.training.loop.keep_freed_memory = lambda: False
    model = open_model(name, device="cpu")
    dataset = finish(read_dataset(data / "glas", scale=0.5))
    step = len(dataset.training) // (REGIONS + HELD_OUT)
    tiles = dataset.training[:: max(1, step)]
    settings = quick_settings(load_recipe(recipe_path("retrain-quick")))

    def seen(tile: TrainingTile, count: int) -> list[FeatureTile]:
        views = [view_of(tile, view, stain=settings.stain, seed=0) for view in spread_views(count)]
        return [FeatureTile(model.features(view.pixels), view.mask) for view in views]

    held_out = [seen(tile, 1)[0] for tile in tiles[REGIONS : REGIONS + HELD_OUT]]
    others = [tile for place, tile in enumerate(dataset.training) if place % max(1, step)]
    if number < LEARNING.index(SMALL_CROPS):
        loop = replace(settings.loop, epochs=60 // settings.steps_per_epoch, learning_rate=2e-3)
        settings = replace(settings, loop=loop, crop_px=256)
    if number >= LEARNING.index(HALF_PRECISION):
        settings = replace(settings, loop=replace(settings.loop, precision="bfloat16" if has_bfloat16() else "float32"))
    seconds, dice = [], []
    for seed in range(seeds):
        chosen = random.Random(seed).sample(others, REGIONS) if seed else tiles[:REGIONS]
        painted = [seen(tile, settings.views) for tile in chosen]
        decoder = copy.deepcopy(model.network.decoder)
        began = time.process_time()
        finish(train_on_features(decoder, annotated=painted, settings=settings, device=model.device, seed=seed))
        seconds.append(time.process_time() - began)
        dice.append(dice_figures(decoder, held_out, device=model.device)["dice"])
    before = dice_figures(model.network.decoder, held_out, device=model.device)["dice"]
    return {"seconds": float(np.mean(seconds)), "dice": float(np.mean(dice)), "before": before}


def learning_table(model: str, data: Path, seeds: int) -> str:
    lines = ["| quick round | CPU s | Dice on held-out regions |", "|---|---|---|"]
    for number, lever in enumerate(LEARNING):
        if lever == HALF_PRECISION and not has_bfloat16():
            continue
        command = [sys.executable, "-W", "ignore", __file__, "--model", model, "--data", str(data)]
        command += ["--learning", "--seeds", str(seeds), "--lever", str(number)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(done.stdout.splitlines()[-1])
        if not number:
            lines.append(f"| the shipped model | - | {row['before']:.4f} |")
        lines.append(f"| {lever} | {row['seconds']:.2f} | {row['dice']:.4f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def _foreground_beside(tile: Path, number: int) -> Path:
    return tile.with_name(f"foreground-{number}.npy")


def table(found: list[dict[str, float]]) -> str:
    lines = [
        "| lever | CPU s a tile | of these in the kernel | the first tile | peak memory, MB | differs by at most | "
        "pixels that flip |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in zip(LEVERS, found, strict=False):
        figures = f"{row['seconds']:.2f} | {row['kernel']:.2f} | {row['first']:.2f} | {row['peak_MB']:.0f}"
        differs = f"{row['difference']:.1g} | {row['flipped']:.2%}" if row is not found[0] else "- | -"
        lines.append(f"| {name} | {figures} | {differs} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
