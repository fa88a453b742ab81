"""Dice of a model's masks on GlaS's test A over thresholds, beside what chance would reach with as many pixels.

    python tests/benchmarks/thresholds.py MODEL --drawing attention [--scale 0.5] [--data FOLDER]

MODEL is a model folder; FOLDER holds `glas/` (default: HISTOLOOP_DATA, else ../shared/data). Masks are of the true
label. Chance is a mask of the same share of all pixels that knows nothing: 2 s p / (s + p), p the foreground's share.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from histoloop.progress import finish
from histoloop.training.datasets import read_dataset
from histoloop.workflows.prediction.loaded_model import choose_device, load_model

ROOT = Path(__file__).resolve().parents[2]
THRESHOLDS = np.arange(0.1, 0.65, 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--drawing", required=True)
    parser.add_argument("--scale", type=float, default=0.5)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    options = parser.parse_args()
    model = load_model(options.model, choose_device("cpu"))
    dataset = finish(read_dataset(options.data / "glas", scale=options.scale))
    hit, called = np.zeros(len(THRESHOLDS)), np.zeros(len(THRESHOLDS))
    foreground = pixels = 0
    for tile in dataset.test:
        assert tile.mask is not None
        output = model.predict_tile(tile.pixels)
        masks_THW = output.foreground(options.drawing, label=tile.label)[None] > THRESHOLDS[:, None, None]
        hit += (masks_THW & tile.mask).sum(axis=(1, 2))
        called += masks_THW.sum(axis=(1, 2))
        foreground, pixels = foreground + int(tile.mask.sum()), pixels + tile.mask.size
    prevalence = foreground / pixels
    print("| threshold | called foreground, % | pooled Dice | of chance |\n|---|---|---|---|")
    for threshold, inside, count in zip(THRESHOLDS, hit, called, strict=True):
        share, dice = count / pixels, 2 * inside / (count + foreground)
        chance = 2 * share * prevalence / (share + prevalence)
        print(f"| {threshold:.2f} | {100 * share:.0f} | {100 * dice:.1f} | {100 * chance:.1f} |")


if __name__ == "__main__":
    main()
