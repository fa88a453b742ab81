"""What recursive erasing finds on GlaS, look by look: how many tiles are still trusted, and how good R* is by then.

    python tests/benchmarks/erasing_steps.py MODEL [--any-loss] [--depth 4] [--sigma 10] [--scale 0.5] [--part test]

MODEL is a folder of a min-max model; FOLDER holds `glas/` (default: HISTOLOOP_DATA, else ../shared/data). The recursion
is the training's (min-max eq 12-14), with the tiles' true labels and each tile by itself. A look counts as trusted
where its trust is above 0, with --any-loss also where the loss has risen. R* is foreground from half its highest value
on; F1+ and F1- are means over tiles.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from histoloop.losses.minmax import label_cross_entropy
from histoloop.networks.minmax import MinMax, foreground_mask, posterior_map
from histoloop.progress import finish
from histoloop.training.datasets import read_dataset
from histoloop.training.erasing import trust_coefficients
from histoloop.training.measures.figures import MaskTally
from histoloop.training.samples import collate
from histoloop.workflows.prediction.loaded_model import choose_device, load_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.networks.colours import Colours
    from histoloop.training.samples import Batch

ROOT = Path(__file__).resolve().parents[2]


class Look(NamedTuple):
    """One look at one tile: its trust, the localizer's loss, and R* with it (H, W)."""

    trust: float
    loss: float
    gathered_HW: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--any-loss", action="store_true")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--sigma", type=float, default=10.0)
    parser.add_argument("--scale", type=float, default=0.5)
    parser.add_argument("--part", choices=("training", "test"), default="test")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    options = parser.parse_args()
    model = load_model(options.model, choose_device("cpu"))
    if not isinstance(model.network, MinMax):
        parser.error(f"{options.model} is no min-max model")
    steps = range(options.depth + 1)
    tallies, looks = [MaskTally() for _ in steps], []
    for tile in getattr(finish(read_dataset(options.data / "glas", scale=options.scale)), options.part):
        if tile.mask is None:
            continue
        batch = collate([tile], multiple_px=model.network.stride_px)
        taken = list(recursion(model.network, batch, model.colours, options))
        height, width = tile.mask.shape
        for number in steps:
            star = taken[min(number, len(taken) - 1)].gathered_HW[:height, :width].numpy()
            tallies[number].add((star > 0) & (star >= star.max() / 2), tile.mask)
        looks.append(taken)
    print("| looks | trusted, % | median loss | F1+ | F1- |\n|---|---|---|---|---|")
    for number, tally in zip(steps, tallies, strict=True):
        there = [taken[number] for taken in looks if number < len(taken)]
        trusted = sum(look.trust > 0 for look in there) / len(looks)
        figures = tally.figures()
        loss = f"{np.median([look.loss for look in there]):.2f}" if there else "-"
        print(
            f"| {number + 1} | {100 * trusted:.0f} | {loss} "
            f"| {100 * figures.f1_foreground:.1f} | {100 * figures.f1_background:.1f} |"
        )


@torch.inference_mode()
def recursion(
    network: MinMax,
    batch: Batch,
    colours: Colours,
    options: argparse.Namespace,
) -> Iterator[Look]:
    """Algorithm 1, lines 4-17, on one tile; ends with the first look that is not trusted."""
    erased = colours.normalise(batch.tiles_BCHW)
    gathered = torch.zeros_like(erased[:, 0])
    first, trust = None, torch.ones(1)
    for step in range(options.depth + 1):
        scores, maps = network.localize(erased, batch.valid_BHW)
        loss = label_cross_entropy(scores, batch.labels_B)
        first = loss if first is None or options.any_loss else first
        correct = scores.argmax(dim=1) == batch.labels_B
        trust = trust_coefficients(loss, correct, first, trust, step=step, sigma=options.sigma)
        size = (erased.shape[-2], erased.shape[-1])
        mask = foreground_mask(posterior_map(maps, scores), size, network.minmax, batch.valid_BHW)
        gathered = torch.maximum(gathered, trust.view(-1, 1, 1) * mask)
        yield Look(float(trust), float(loss), gathered[0].clone())
        if not float(trust):
            return
        erased = erased * (1 - gathered).unsqueeze(1)


if __name__ == "__main__":
    main()
