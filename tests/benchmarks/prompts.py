"""How well one click and one box find a gland: Dice by gland of the segmenter that is shipped, and of simpler ways.

    python tests/benchmarks/prompts.py GLAS [--glands N] [--json FILE]

GLAS is the folder of the GlaS pictures with their `_anno` masks. From the test parts A and B, N glands (default 300)
are taken at random, seed 0, those cut by the edge of the picture too. The click is where the gland is deepest, the box
is its bounding box, enlarged by 3 pixels as a hand would draw it; a click has the same radius of 50 pixels for all, so
that it reaches 200.
Prints per way: mean and median Dice, the share of glands above 0.8, and milliseconds a gland (one thread).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.segmentation import flood, random_walker

from histoloop.annotations.prompts import Prompts, segment

SLACK_PX, RADIUS_PX, SMALLEST_PX = 3, 50, 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--glands", type=int, default=300)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results: dict[str, list[tuple[float, float]]] = {}
    for pixels, truth in glands(given.folder, given.glands):
        for name, (way, prompts) in ways(truth).items():
            began = time.perf_counter()
            found = way(pixels, prompts)
            results.setdefault(name, []).append((dice(found, truth), 1000 * (time.perf_counter() - began)))
    table = {name: summary(np.array(values)) for name, values in results.items()}
    for name, row in table.items():
        print(f"{name:28}", "  ".join(f"{what} {figure:g}" for what, figure in row.items()))
    if given.json:
        given.json.write_text(json.dumps(table, indent=1))


def glands(folder: Path, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels of a picture and the mask of one of its glands."""
    found = []
    for path in sorted(folder.glob("test[AB]_*_anno.png")):
        objects = np.asarray(Image.open(path))
        objects = objects if objects.ndim == 2 else objects[..., 0]
        for value in np.unique(objects[objects > 0]):
            if np.count_nonzero(objects == value) >= SMALLEST_PX:
                found.append((path, int(value)))
    chosen = np.random.default_rng(0).permutation(len(found))[:count]
    taken = []
    for index in chosen:
        path, value = found[index]
        pixels = np.asarray(Image.open(path.with_name(path.name.replace("_anno", ""))).convert("RGB"))
        objects = np.asarray(Image.open(path))
        taken.append((pixels, (objects if objects.ndim == 2 else objects[..., 0]) == value))
    return taken


def ways(truth: np.ndarray):
    depth = ndimage.distance_transform_edt(np.pad(truth, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    click = Prompts(inside=((column + 0.5, row + 0.5),), radius_px=RADIUS_PX)
    rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    box = Prompts(box=(columns[0] - SLACK_PX, rows[0] - SLACK_PX, columns[-1] + 1 + SLACK_PX, rows[-1] + 1 + SLACK_PX))
    return {
        "click: colours alike": (alike, click),
        "click: random walker": (walker, click),
        "click: shipped": (segment, click),
        "box: ellipse in it": (ellipse, box),
        "box: random walker": (walker, box),
        "box: shipped": (segment, box),
    }


def alike(pixels: np.ndarray, prompts: Prompts) -> np.ndarray:
    """What is within 15 of the clicked colour in Lab and connected to it."""
    (x, y), *_rest = prompts.inside
    lab = ndimage.gaussian_filter(rgb2lab(pixels), (2, 2, 0))
    away = np.linalg.norm(lab - lab[int(y), int(x)], axis=-1)
    return ndimage.binary_fill_holes(flood(away <= 15, (int(y), int(x))))


def ellipse(pixels: np.ndarray, prompts: Prompts) -> np.ndarray:
    left, top, right, bottom = prompts.box
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
    return np.hypot((2 * x - left - right) / (right - left), (2 * y - top - bottom) / (bottom - top)) < 1


def walker(pixels: np.ndarray, prompts: Prompts) -> np.ndarray:
    """scikit-image's random walker: seeds in the middle and outside, on every fourth pixel."""
    step = 4
    small = pixels[::step, ::step]
    y, x = np.mgrid[: small.shape[0], : small.shape[1]] * step + 0.5
    seeds = np.zeros(small.shape[:2], np.int8)
    if prompts.box is not None:
        left, top, right, bottom = prompts.box
        seeds[(x < left) | (x > right) | (y < top) | (y > bottom)] = 2
        across = np.hypot((2 * x - left - right) / (right - left), (2 * y - top - bottom) / (bottom - top))
        seeds[across <= max(0.4, across.min())] = 1
    else:
        (px, py), *_rest = prompts.inside
        distance = np.hypot(x - px, y - py)
        seeds[distance > 4 * prompts.radius_px] = 2
        seeds[distance <= max(step, distance.min())] = 1
    if not (seeds == 2).any():
        seeds[0, 0] = 2
    found = random_walker(small, seeds, beta=130, mode="cg_j", channel_axis=-1, tol=1e-3) == 1
    return np.kron(found, np.ones((step, step), bool))[: pixels.shape[0], : pixels.shape[1]]


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))


def summary(values: np.ndarray) -> dict[str, float]:
    scores, milliseconds = values[:, 0], values[:, 1]
    return {
        "mean": round(float(scores.mean()), 3),
        "median": round(float(np.median(scores)), 3),
        "above 0.8": round(float((scores > 0.8).mean()), 3),
        "ms": round(float(np.median(milliseconds))),
    }


if __name__ == "__main__":
    main()
