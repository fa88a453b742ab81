"""Dice of a model's masks on GlaS's test A over thresholds, beside what chance would reach, and the AUC of its pixels.

    python tests/benchmarks/thresholds.py MODEL --drawing attention [--scale 0.5] [--data FOLDER]

MODEL is a model folder; FOLDER holds `glas/` (default: HISTOLOOP_DATA, else ../shared/data). Masks are of the true
label. Chance is a mask of the same share of all pixels that knows nothing: 2 s p / (s + p), p the foreground's share.
The AUC is how often a pixel of the foreground has a higher value than one of the background (chance: 50 %), over all
pixels and as the mean over tiles.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from histoloop.progress import finish
from histoloop.training.datasets import read_dataset
from histoloop.workflows.prediction.loaded_model import choose_device, load_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
THRESHOLDS = np.arange(0.1, 0.65, 0.05)
BINS = 1000


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
    counts, of_tiles = np.zeros((2, BINS)), []
    for tile in dataset.test:
        assert tile.mask is not None
        output = model.predict_tile(tile.pixels)
        values = output.foreground(options.drawing, label=tile.label)
        of_tile = np.stack([np.histogram(values[tile.mask == on], BINS, (0, 1))[0] for on in (False, True)])
        counts += of_tile
        if of_tile.sum(axis=1).all():
            of_tiles.append(auc(of_tile))
        masks_THW = values[None] > THRESHOLDS[:, None, None]
        hit += (masks_THW & tile.mask).sum(axis=(1, 2))
        called += masks_THW.sum(axis=(1, 2))
        foreground, pixels = foreground + int(tile.mask.sum()), pixels + tile.mask.size
    prevalence = foreground / pixels
    print("| threshold | called foreground, % | pooled Dice | of chance |\n|---|---|---|---|")
    for threshold, inside, count in zip(THRESHOLDS, hit, called, strict=True):
        share, dice = count / pixels, 2 * inside / (count + foreground)
        chance = 2 * share * prevalence / (share + prevalence)
        print(f"| {threshold:.2f} | {100 * share:.0f} | {100 * dice:.1f} | {100 * chance:.1f} |")
    print(f"\nAUC of pixels: {100 * auc(counts):.1f} over all, {100 * np.mean(of_tiles):.1f} as the mean over tiles")


def auc(counts_2B: NDArray[np.float64]) -> float:
    """From histograms (2, bins) of the values of background and foreground; values of one bin count half."""
    background, foreground = counts_2B / counts_2B.sum(axis=1, keepdims=True)
    below = np.cumsum(background) - background
    return float(np.sum(foreground * (below + background / 2)))


if __name__ == "__main__":
    main()
