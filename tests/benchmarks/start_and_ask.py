"""Asking for labels on top of a self-supervised start (ssl-al): strategies against random labels, up to half of all.

    python tests/benchmarks/start_and_ask.py RESULTS [--data FOLDER] [--seeds 0,1,2,3,4] [--write]

RESULTS is a folder: `features` has what each start makes of the tiles, `asked.jsonl` a line for each session that is
done, so that a stopped benchmark goes on where it was. FOLDER holds `ebhi-seg/` (default: HISTOLOOP_DATA, else
../shared/data). With --write the table between the marks of docs/active-learning.md and its picture are made anew.

The starts are those of tests/benchmarks/small_start.py, random weights and SimSiam with gentle views, three of each. A
session begins with 2 % of the labels, drawn in every class alike; each round a linear head learns from them on the
frozen features and the next tiles are asked for: at random, where the head's entropy is highest, far from all that are
labelled (k-center greedy), or nearest to a boundary of a linear SVM (C = 5). The validation part measures.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench.pages import put_between
from scipy.special import softmax
from self_supervised import SCALE, draw_labels
from small_start import frozen_features

from histoloop.acquisition.linear_probe import LinearProbe
from histoloop.acquisition.strategies.coreset import cover_distance
from histoloop.acquisition.strategies.svm import fit_linear_svm, minimum_margin
from histoloop.progress import finish
from histoloop.threads import wait_without_spinning
from histoloop.training.datasets import read_dataset
from histoloop.training.measures.metrics import accuracy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "active-learning.md"
PICTURE = PAGE.with_name("pictures") / "start-and-ask.png"
START, END = "<!-- start and ask: made by tests/benchmarks/start_and_ask.py -->", "<!-- end of start and ask -->"
STARTS = {"random": "random weights", "gentle": "SimSiam"}
PRETRAININGS, EPOCHS = 3, 20
SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    (options.results / "features").mkdir(parents=True, exist_ok=True)
    file = options.results / "asked.jsonl"
    done = {(row["start"], row["strategy"], row["seed"]) for row in _rows(file)}
    wanted = [
        (start, strategy, int(seed)) for seed in options.seeds.split(",") for start in STARTS for strategy in STRATEGIES
    ]
    if left := [one for one in wanted if one not in done]:
        tiles = Tiles(options.results / "features", options.data)
        for start, strategy, seed in left:
            row = {"start": start, "strategy": strategy, "seed": seed, "accuracy": tiles.session(start, strategy, seed)}
            with file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    rows = _rows(file)
    print("\n".join(table(rows)))
    if options.write:
        draw(rows)
        picture = f"![Accuracy over the share of labels](pictures/{PICTURE.name})"
        put_between(PAGE, START, END, "\n".join([*table(rows), "", picture]))


def _rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


class Tiles:
    """The tiles as each start sees them, and sessions over them."""

    def __init__(self, folder: Path, data: Path) -> None:
        self._folder = folder
        self._dataset = finish(read_dataset(data / "ebhi-seg", scale=SCALE))
        self._labels, self._truth = (
            [tile.label for tile in part] for part in (self._dataset.training, self._dataset.validation)
        )

    def features(self, start: str, pretraining: int) -> tuple[Floats, Floats]:
        """Of the training and of the validation part (N, D), brought to mean 0 and deviation 1 over the former."""
        file = self._folder / f"{start}-{pretraining}.npz"
        if not file.exists():
            known, unseen, _figures = frozen_features(start, self._dataset, seed=pretraining, epochs=EPOCHS)
            np.savez(file, known=known, unseen=unseen)
        with np.load(file) as kept:
            known, unseen = np.asarray(kept["known"], float), np.asarray(kept["unseen"], float)
        mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
        return (known - mean) / spread, (unseen - mean) / spread

    def session(self, start: str, strategy: str, seed: int) -> list[float]:
        """Accuracy in percent at each of `SHARES`."""
        known, unseen = self.features(start, seed % PRETRAININGS)
        chosen, found = draw_labels(self._labels, SHARES[0], seed), []
        rng = np.random.default_rng(seed)
        for following in (*SHARES[1:], None):
            labels = [self._labels[index] for index in chosen]
            head = LinearProbe.fit(known, chosen, labels, kind="linear", classes=len(self._dataset.scheme.labels))
            found.append(100 * accuracy(head.predict(unseen), self._truth))
            if following is not None:
                pool = np.setdiff1d(np.arange(len(known)), chosen)
                wanted = round(following * len(known)) - len(chosen)
                picked = STRATEGIES[strategy](Round(head, known[chosen], labels, known[pool], wanted, rng))
                chosen = [*chosen, *pool[picked].tolist()]
        return found


# --- what is asked for: places in the pool ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """What a strategy may go by: features of the labelled tiles and of the pool, and the head that the former gave."""

    head: LinearProbe
    labelled_LD: Floats
    labels_L: list[int]
    pool_ND: Floats
    wanted: int
    rng: np.random.Generator


def _at_random(given: Round) -> NDArray[np.intp]:
    return given.rng.permutation(len(given.pool_ND))[: given.wanted]


def _by_entropy(given: Round) -> NDArray[np.intp]:
    head = given.head
    scaled_ND = (given.pool_ND - head.centre_D) / head.width_D
    shares_NC = softmax(scaled_ND @ head.weights_CD.T + head.biases_C, axis=1)
    return np.argsort((shares_NC * np.log(shares_NC + 1e-12)).sum(axis=1), kind="stable")[: given.wanted]


def _by_cover(given: Round) -> NDArray[np.intp]:
    scores, picks = cover_distance(given.labelled_LD, given.pool_ND), []
    while len(picks) < given.wanted:
        picks.append(int(np.asarray(scores(picks)).argmax()))
    return np.array(picks)


def _by_margin(given: Round) -> NDArray[np.intp]:
    svm = fit_linear_svm(given.labelled_LD, [str(label) for label in given.labels_L])
    return np.argsort(-minimum_margin(svm, given.pool_ND), kind="stable")[: given.wanted]


STRATEGIES: dict[str, Callable[[Round], NDArray[np.intp]]] = {
    "random": _at_random,
    "entropy": _by_entropy,
    "k-center": _by_cover,
    "svm-margin": _by_margin,
}


# --- the table and the picture ----------------------------------------------------------------------------------------


def table(rows: Sequence[dict]) -> list[str]:
    """Mean and standard deviation over sessions, and against random labels in the mean over the shares."""
    lines = [f"| start | asked by | {' | '.join(f'{share:.0%}' for share in SHARES)} | against random | sessions |"]
    lines += ["|---|---|" + "---|" * (len(SHARES) + 2)]
    for start, title in STARTS.items():
        for strategy in STRATEGIES:
            runs, at_random = _sessions(rows, start, strategy), _sessions(rows, start, "random")
            if not runs:
                continue
            cells = [_cell([run[number] for run in runs.values()]) for number in range(len(SHARES))]
            means = {seed: statistics.mean(run) for seed, run in runs.items()}
            ahead = [means[seed] - statistics.mean(at_random[seed]) for seed in means if seed in at_random]
            against = "" if strategy == "random" else f"{statistics.mean(ahead):+.1f} ± {statistics.stdev(ahead):.1f}"
            lines.append(f"| {title} | {strategy} | {' | '.join(cells)} | {against} | {len(runs)} |")
    return lines


def _sessions(rows: Sequence[dict], start: str, strategy: str) -> dict[int, list[float]]:
    """The accuracies of each seed."""
    return {row["seed"]: row["accuracy"] for row in rows if (row["start"], row["strategy"]) == (start, strategy)}


def _cell(values: list[float]) -> str:
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def draw(rows: Sequence[dict]) -> None:
    """The mean of each strategy over the share of labels, solid after SimSiam, dashed after random weights."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots()
    for start, line in (("gentle", "-"), ("random", "--")):
        for number, strategy in enumerate(STRATEGIES):
            if runs := _sessions(rows, start, strategy):
                means = [statistics.mean(column) for column in zip(*runs.values(), strict=True)]
                label = f"{STARTS[start]}, {strategy}"
                axes.plot([100 * share for share in SHARES], means, line, color=f"C{number}", marker=".", label=label)
    axes.set(xlabel="share of the labels, %", ylabel="accuracy, %")
    axes.grid(alpha=0.3)
    figure.legend(fontsize=7, ncols=4, loc="outside lower center")
    figure.savefig(PICTURE)


if __name__ == "__main__":
    wait_without_spinning()
    main()
