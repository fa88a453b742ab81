"""What keeping the features of a frozen backbone saves: Monte-Carlo dropout, entropy, discrepancy and embeddings.

    python tests/benchmarks/kept_features.py [--data FOLDER] [--regions 8] [--passes 50] [--write]

Both ways score the same regions of GlaS by the shipped model, one after the other in the same process, and the scores
are compared: the plain way runs the whole network for every pass of every strategy, the other the backbone once.
With --write the table between the marks of docs/active-learning.md is made anew.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from histoloop.acquisition.strategies.discrepancy import cod
from histoloop.acquisition.strategies.dropout import PassVariance
from histoloop.acquisition.strategies.uncertainty import mean_pixel_entropy
from histoloop.inference.features import CELL_PX, decode, probability
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import finish
from histoloop.store.shipped import DEFAULT_MODEL, find_model
from histoloop.training.datasets import read_dataset
from histoloop.workflows.prediction.loaded_model import load_model

if TYPE_CHECKING:
    import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "active-learning.md"
START, END = "<!-- kept features: made by tests/benchmarks/kept_features.py -->", "<!-- end of kept features -->"
CPU = torch.device("cpu")
DROPOUT = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--regions", type=int, default=8)
    parser.add_argument("--passes", type=int, default=50)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    model = load_model(find_model(DEFAULT_MODEL), CPU)
    dataset = finish(read_dataset(options.data / "glas", scale=0.5))
    tiles = dataset.training[:: max(1, len(dataset.training) // options.regions)][: options.regions]
    pairs = [compare(model, tile, options.passes) for tile in tiles]
    text = table(pairs, options.passes)
    print(text)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(START, 1)
        _old, after = rest.split(END, 1)
        PAGE.write_text(f"{before}{START}\n\n{text}\n{END}{after}", encoding="utf-8")


def compare(model, tile, passes: int) -> dict[str, tuple[float, float, float, float]]:
    """Seconds plain, seconds with kept features, score plain, score kept, of each strategy; of one region."""
    network = model.network
    assert isinstance(network, Hybrid)
    decoder = network.decoder
    assert decoder is not None
    height, width = tile.pixels.shape[:2]
    pixels, _valid = model.padded(tile.pixels, multiple_px=CELL_PX)

    def whole(dropout: float) -> np.ndarray:
        with torch.inference_mode():
            features = network.classifier(pixels).features
            return decoder(features, dropout=dropout)[0, 0, :height, :width].numpy()

    started = time.perf_counter()
    features = model.features(tile.pixels)
    once = time.perf_counter() - started

    def kept(dropout: float) -> np.ndarray:
        return decode(decoder, features, device=CPU, dropout=dropout)

    found: dict[str, tuple[float, float, float, float]] = {}
    for name, score in (
        ("entropy", entropy),
        ("cod, two models", change),
        (f"mc-dropout, {passes} passes", dropped(passes)),
    ):
        times, scores = [], []
        for run in (whole, kept):
            torch.manual_seed(0)
            started = time.perf_counter()
            scores.append(score(run))
            times.append(time.perf_counter() - started)
        found[name] = (times[0], times[1], scores[0], scores[1])
    found["the backbone, once"] = (0.0, once, 0.0, 0.0)
    return found


def entropy(run) -> float:
    return mean_pixel_entropy(probability(run(0.0)))


def change(run) -> float:
    return cod(run(0.0) + 1.0, run(0.0))


def dropped(passes: int):
    def score(run) -> float:
        variance = PassVariance()
        for _ in range(passes):
            variance.add(probability(run(DROPOUT)))
        return variance.mean_variance()

    return score


def table(pairs, passes: int) -> str:
    lines = ["| strategy | plain, s a region | kept features, s a region | ratio | largest difference of scores |",
             "|---|---|---|---|---|"]  # fmt: skip
    names = [name for name in pairs[0] if name != "the backbone, once"]
    for name in names:
        plain, kept = (statistics.median(one[name][place] for one in pairs) for place in (0, 1))
        differ = max(abs(one[name][2] - one[name][3]) / max(1e-9, abs(one[name][2])) for one in pairs)
        lines.append(f"| {name} | {plain:.3f} | {kept:.3f} | {plain / kept:.1f} | {differ:.2%} |")
    once = statistics.median(one["the backbone, once"][1] for one in pairs)
    plain, kept = (sum(statistics.median(one[name][place] for one in pairs) for name in names) for place in (0, 1))
    lines.append(f"| all three, with the one pass of the backbone ({once:.3f} s) | {plain:.3f} | {kept + once:.3f} | "
                 f"{plain / (kept + once):.1f} | |")  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
