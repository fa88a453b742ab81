"""Which rule should name the class of a mask whose decoder finds one foreground: the Dice of the classes, rule by rule.

    python tests/benchmarks/naming_masks.py --out FILE.json [--model NAME] [--data FOLDER] [--seeds 3]

On EBHI-Seg's validation part, no case of which the model has seen in training. Tiles are of one class each. A pair is a
tile of each of two mask classes side by side, as a region or slide is that holds both; `--seeds` times each tile is
paired anew. FOLDER holds `ebhi-seg/` (default: HISTOLOOP_DATA, else ../shared/data). Minutes on one core.

The foreground is the model's own in every row. Its class is named by the class maps at each pixel; by these averaged
around each cell (standard deviation in cells); by the average over each connected piece of foreground; by the label
predicted for the whole picture; by the true label. Intervals are by case, of pairs by the pair of cases.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax

from histoloop.localisation.methods import posterior_of
from histoloop.localisation.stitcher import mask_from_maps, upsample
from histoloop.progress import finish
from histoloop.store.shipped import find_model
from histoloop.training.datasets import read_dataset
from histoloop.training.measures.intervals import figures_by_case
from histoloop.training.measures.metrics import CountedMasks
from histoloop.workflows.experiments.truth import KnownTile, in_words_of
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from histoloop.inference.tile_output import TileOutput

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (1.0, 2.0, 4.0, 8.0)

Planes = NDArray[np.float32]


def weights_of(output: TileOutput, values: NDArray[np.uint8]) -> Planes:
    """(K, h, w) of each mask class at each cell of the class maps."""
    posterior = softmax(output.maps[: len(values)], axis=0)
    return np.stack([posterior[values == value].sum(axis=0) for value in np.unique(values)])


def by_piece(weights_KHW: Planes, output: TileOutput, foreground: NDArray[np.bool_]) -> NDArray[np.intp]:
    enlarged = upsample(weights_KHW, stride_px=output.config.stride, x=0, y=0, width=output.width, height=output.height)
    pieces, count = ndimage.label(foreground)
    means = np.stack([ndimage.mean(plane, pieces, np.arange(count + 1)) for plane in enlarged])
    return (1 + means.argmax(axis=0))[pieces]


def rules(output: TileOutput, model: LoadedModel, truth: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    scheme = model.card.scheme
    values = np.array([scheme.mask_value_of_label(index) for index in range(len(scheme.labels))], np.uint8)
    foreground = output.foreground() > model.card.threshold
    weights = weights_of(output, values)

    def mask(classes: NDArray[np.intp] | int) -> NDArray[np.uint8]:
        return np.where(foreground, classes, 0).astype(np.uint8)

    def named(width: float) -> NDArray[np.uint8]:
        return mask_from_maps(
            output.foreground(),
            output.maps[: len(values)],
            scheme,
            threshold=model.card.threshold,
            stride_px=output.config.stride,
            average_cells=width,
        )

    yield "class maps at each pixel", named(0.0)
    for width in WIDTHS:
        yield f"class maps averaged over {width:g} cells", named(width)
    yield "each piece of foreground by itself", mask(by_piece(weights, output, foreground))
    posterior = posterior_of(output.scores, output.config)
    yield "the predicted label", mask(int(values[posterior.argmax()]))
    sums = [posterior[values == value].sum() for value in np.unique(values)]
    yield "the likeliest mask class of the predicted labels", mask(1 + int(np.argmax(sums)))
    present = np.unique(truth[truth > 0])
    if len(present) == 1:
        yield "the true label", mask(int(present[0]))


def pairs_of(tiles: list[KnownTile], seeds: int) -> Iterator[tuple[KnownTile, KnownTile]]:
    first = [one for one in tiles if one.mask_value == 1]
    second = [one for one in tiles if one.mask_value == 2]
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        count = min(len(first), len(second))
        for left, right in zip(rng.permutation(len(first))[:count], rng.permutation(len(second))[:count], strict=True):
            yield first[left], second[right]


def measure(
    pictures: list[tuple[NDArray[np.uint8], NDArray[np.uint8], str]], model: LoadedModel, classes: int
) -> dict[str, object]:
    masks: dict[str, list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]] = {}
    cases: list[str] = []
    for number, (pixels, truth, case) in enumerate(pictures):
        cases.append(case)
        for rule, mask in rules(model.predict_tile(pixels), model, truth):
            masks.setdefault(rule, []).append((mask, truth))
        if number % 50 == 0:
            print(f"{number} of {len(pictures)}", flush=True)
    found: dict[str, object] = {}
    for rule, pairs in masks.items():
        counted = CountedMasks.of(pairs, mask_classes=classes)
        pooled = Pooled(counted)
        figures = figures_by_case(pooled, cases)
        found[rule] = {name: [value, *figures.intervals[name]] for name, value in figures.values.items()}
        line = "  ".join(f"{name} {100 * value:.1f}" for name, value in figures.values.items())
        print(f"{rule}: {line}", flush=True)
    return found


class Pooled:
    """Dice pooled over the classes (thesis eq 4.14), the mean of the classes' Dice, and of the foreground."""

    def __init__(self, counted: CountedMasks) -> None:
        self._counted = counted

    def __call__(self, rows: NDArray[np.intp]) -> dict[str, float]:
        agreed, predicted, truth = self._counted.counts_N3K[rows].sum(axis=0)[:, 1:].sum(axis=1)
        figures = self._counted.figures(rows)
        return {
            "pooled over classes": float(2 * agreed / (predicted + truth)),
            "mean of classes": figures["class_dice"],
            "foreground": figures["pooled_dice"],
        }


def beside(left: KnownTile, right: KnownTile, of: Callable[[KnownTile], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate([of(left), of(right)], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="colon-ebhi-resnet18")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    options = parser.parse_args()
    model = load_model(find_model(options.model), choose_device("cpu"))
    dataset = finish(
        read_dataset(options.data / "ebhi-seg", model_mpp=model.card.mpp, default_scheme=model.card.scheme)
    )
    tiles = [one for one in in_words_of(model.card, dataset.validation, dataset.scheme) if one.tile.mask is not None]

    def truth_of(one: KnownTile) -> NDArray[np.uint8]:
        return one.truth(classes=True)

    singles = [(one.tile.pixels, truth_of(one), one.tile.case) for one in tiles]
    mixed = [
        (
            beside(left, right, lambda one: one.tile.pixels),
            beside(left, right, truth_of),
            f"{left.tile.case} {right.tile.case}",
        )
        for left, right in pairs_of(tiles, options.seeds)
    ]
    classes = len(model.card.scheme.masks)
    found = {"model": options.model, "tiles": len(singles), "pairs": len(mixed)}
    for name, pictures in (("of tiles", singles), ("of pairs", mixed)):
        found[name] = measure(pictures, model, classes)
        options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
