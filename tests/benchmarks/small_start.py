"""Does a self-supervised start help a small network with few labels (ssl-al)? For docs/active-learning.md.

    python tests/benchmarks/small_start.py RESULTS.jsonl [--data FOLDER] [--seeds 0,1,2] [--epochs 20] [--write]

Prints the table of what RESULTS.jsonl holds; with --write it and its picture are put into docs/active-learning.md. A
line a start and seed is appended when it is done; what is there is not done again. FOLDER holds `ebhi-seg/` (default:
HISTOLOOP_DATA, else ../shared/data).

A ResNet-18 of a quarter of the width, from random weights, on tiles at half resolution (112 px). SimSiam learns from
the training part without its labels, by the recipe quick-pretrain, or by the views of `pretrain` and one rate for all.
Then the backbone is frozen; its pooled features are brought to mean 0 and standard deviation 1 over the training part;
and a linear head learns from a share of the labels, drawn five times. Random weights get the batch-norm statistics of
the training part. The validation part, of other cases, measures and chooses nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from bench.pages import put_between
from self_supervised import SCALE, draw_labels, pooled_features, take_statistics

from histoloop.acquisition.linear_probe import LinearProbe
from histoloop.networks.backbones import ResNetBackbone
from histoloop.networks.resnet import STAGE_WIDTHS, ResNet
from histoloop.progress import finish
from histoloop.threads import wait_without_spinning
from histoloop.training.datasets import DataSet, measured_colours, read_dataset
from histoloop.training.measures.metrics import accuracy
from histoloop.training.recipe import load_recipe, recipe_path
from histoloop.training.self_supervised import PretrainSettings, pretrain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "active-learning.md"
PICTURE = PAGE.with_name("pictures") / "small-start.png"
START, END = "<!-- small start: made by tests/benchmarks/small_start.py -->", "<!-- end of small start -->"
STARTS = {
    "random": "random weights",
    "gentle": "SimSiam, gentle views, ten times the rate for the predictor",
    "strong": "SimSiam, the views of photographs, one rate",
}
BUDGETS = (0.02, 0.05, 0.1)
DRAWS = 5
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    wanted = [(start, int(seed)) for start in STARTS for seed in options.seeds.split(",")]
    done = {(row["start"], row["seed"]) for row in _rows(options.results)}
    if left := [one for one in wanted if one not in done]:
        dataset = finish(read_dataset(options.data / "ebhi-seg", scale=SCALE))
        for start, seed in left:
            row = measure(start, dataset, seed=seed, epochs=options.epochs)
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    rows = _rows(options.results)
    print("\n".join(table(rows)))
    if options.write:
        draw(rows)
        picture = f"![Accuracy over the share of labels](pictures/{PICTURE.name})"
        put_between(PAGE, START, END, "\n".join([*table(rows), "", picture]))


def _rows(results: Path) -> list[dict]:
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.exists() else []


def measure(start: str, dataset: DataSet, *, seed: int, epochs: int) -> dict[str, object]:
    """Accuracy in percent at every budget, one a draw of the labels, and how the projections spread at the end."""
    began = time.process_time()
    known, unseen, figures = frozen_features(start, dataset, seed=seed, epochs=epochs)
    labels, truth = ([tile.label for tile in part] for part in (dataset.training, dataset.validation))
    found = {}
    for budget in BUDGETS:
        runs = []
        for draw in range(DRAWS):
            chosen = draw_labels(labels, budget, draw)
            probe = LinearProbe.fit(
                known, chosen, [labels[index] for index in chosen], kind="linear", classes=len(dataset.scheme.labels)
            )
            runs.append(100 * accuracy(probe.predict(unseen), truth))
        found[str(budget)] = runs
    return {"start": start, "seed": seed, "minutes": (time.process_time() - began) / 60, **figures, "accuracy": found}


def frozen_features(
    start: str, dataset: DataSet, *, seed: int, epochs: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], dict[str, float]]:
    """Pooled features of the training and of the validation part (N, 128) after a start, and its last figures."""
    colours = measured_colours([tile.pixels for tile in dataset.training])
    torch.manual_seed(seed)
    quarter = tuple(width // 4 for width in STAGE_WIDTHS)
    backbone = ResNetBackbone(ResNet((2, 2, 2, 2), wide=False, widths=quarter), (quarter[0], *quarter))
    figures: dict[str, float] = {}
    if start == "random":
        take_statistics(backbone, dataset, colours)
    else:
        work = pretrain(
            backbone,
            [tile.pixels for tile in dataset.training],
            settings=_settings(start, epochs),
            colours=colours,
            device=CPU,
            seed=seed,
        )
        figures = dict(
            finish(work, lambda step: print(start, seed, step.figures, flush=True) if step.figures else None).figures
        )
    known, unseen = (
        pooled_features(backbone, [tile.pixels for tile in part], colours=colours, device=CPU)
        for part in (dataset.training, dataset.validation)
    )
    return known, unseen, figures


def _settings(start: str, epochs: int) -> PretrainSettings:
    quick, paper = (
        load_recipe(recipe_path(name)).with_epochs(epochs).pretrain for name in ("quick-pretrain", "pretrain")
    )
    if start == "gentle":
        return quick
    views = dataclasses.replace(paper.views, crop_px=quick.views.crop_px, blur_max_px=quick.views.blur_max_px)
    return dataclasses.replace(quick, views=views, predictor_rate=1.0)


def table(rows: list[dict]) -> list[str]:
    """Mean over seeds and draws, and the spread of the means of the seeds."""
    heads = " | ".join(f"{budget:.0%} of the labels" for budget in BUDGETS)
    lines = [f"| start | {heads} | spread | dimensions | seeds |", "|---|" + "---|" * (len(BUDGETS) + 3)]
    for start, title in STARTS.items():
        of_start = [row for row in rows if row["start"] == start]
        if not of_start:
            continue
        cells = [_cell([statistics.mean(row["accuracy"][str(budget)]) for row in of_start]) for budget in BUDGETS]
        for figure in ("spread", "dimensions"):
            found = [row[figure] for row in of_start if figure in row]
            cells.append(f"{statistics.mean(found):.2f}" if found else "-")
        lines.append(f"| {title} | {' | '.join(cells)} | {len(of_start)} |")
    return lines


def draw(rows: list[dict]) -> None:
    """The means of the seeds over the share of labels, each seed a dot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    for number, (start, title) in enumerate(STARTS.items()):
        of_start = [row for row in rows if row["start"] == start]
        if not of_start:
            continue
        runs = [[statistics.mean(row["accuracy"][str(budget)]) for budget in BUDGETS] for row in of_start]
        means = [statistics.mean(column) for column in zip(*runs, strict=True)]
        percents = [100 * budget for budget in BUDGETS]
        axes.plot(percents, means, "-", color=f"C{number}", label=f"{title} (seeds: {len(runs)})")
        for run in runs:
            axes.plot(percents, run, "o", color=f"C{number}", alpha=0.5)
    axes.set(xlabel="share of the labels, %", ylabel="accuracy, %")
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside lower center")
    figure.savefig(PICTURE)


def _cell(means: list[float]) -> str:
    return f"{statistics.mean(means):.1f}" + (f" ± {statistics.stdev(means):.1f}" if len(means) > 1 else "")


if __name__ == "__main__":
    wait_without_spinning()
    main()
