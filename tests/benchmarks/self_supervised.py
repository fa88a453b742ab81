"""A self-supervised start against a random one on EBHI-Seg with few labels (ssl-al), for docs/active-learning.md.

    python tests/benchmarks/self_supervised.py RESULTS [--data FOLDER] [--seeds 0,1,2] [--epochs N] [--write]

RESULTS is a folder: what is there already is not done again, and a pretraining that was stopped goes on where it was.
FOLDER holds `ebhi-seg/` and `weights/mobilenet_v2-imagenet.safetensors` (default: HISTOLOOP_DATA, else
../shared/data). With --write the table and the picture between the marks of docs/active-learning.md are made anew.

The reduced protocol: ResNet-18, as in the paper, on tiles at half resolution (112 px). SimSiam learns from the training
part without its labels, from random weights, in crops of 96 px, by the recipe quick-pretrain. Then the backbone is
frozen; its pooled features are brought to mean 0 and standard deviation 1 over the training part, which needs no label;
and a linear head and a linear SVM (C = 5) learn from a share of the labels, drawn in every class alike, at least one of
each. Random weights get the batch-norm statistics of the training part, so that they lose by their weights alone.
ImageNet weights, of a MobileNetV2, are an upper reference. The validation part, of other cases, measures and chooses
nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from histoloop.acquisition.linear_probe import PROBES, LinearProbe
from histoloop.networks.backbone import Backbone
from histoloop.networks.backbones import build_backbone
from histoloop.networks.colours import Colours
from histoloop.progress import finish
from histoloop.threads import wait_without_spinning
from histoloop.training.datasets import DataSet, measured_colours, read_dataset
from histoloop.training.measures.metrics import accuracy, balanced_accuracy
from histoloop.training.pretrained import colours_of, start_backbone
from histoloop.workflows.retraining.pretrain import pretrain_on_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from histoloop.networks.network import SlideNetwork
    from histoloop.progress import Progress
    from histoloop.training.self_supervised import Tiles

    Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[2]
START, END = (
    "<!-- self-supervised start: made by tests/benchmarks/self_supervised.py -->",
    "<!-- end of self-supervised start -->",
)
STARTS = {
    "random": "random weights",
    "simsiam": "SimSiam on the tiles, no labels",
    "imagenet": "ImageNet weights (MobileNetV2)",
}
HEADS = {"linear": "linear head", "svm": "linear SVM"}
BUDGETS = (0.01, 0.02, 0.05, 0.1)
BACKBONE, SCALE, CPU = "resnet18", 0.5, torch.device("cpu")
REFERENCE = "mobilenet_v2"
BATCH = 32
MIDDLE = (128 / 255,) * 3  # the ImageNet weights' input is (x - 128) / 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    if not all((options.results / f"{start}.json").exists() for start in STARTS):
        dataset = finish(read_dataset(options.data / "ebhi-seg", scale=SCALE))
        for start in ("random", "imagenet", "simsiam"):
            measure(start, dataset, options.results, options.data, seeds=seeds, epochs=options.epochs)
    if options.write:
        write(options.results)


def measure(start: str, dataset: DataSet, results: Path, data: Path, *, seeds: list[int], epochs: int) -> None:
    """Accuracy of both heads at every budget and seed, unless that has been done."""
    done = results / f"{start}.json"
    if done.exists():
        return
    began = time.monotonic()
    backbone, colours, about = _backbone(start, dataset, results, data, epochs=epochs)
    tiles = [[tile.pixels for tile in part] for part in (dataset.training, dataset.validation)]
    known, unseen = (pooled_features(backbone, part, colours=colours, device=CPU) for part in tiles)
    rows = [row for budget in BUDGETS for seed in seeds for row in _rows(dataset, known, unseen, budget, seed)]
    content = {"start": start, "minutes": (time.monotonic() - began) / 60, **about, "rows": rows}
    beside = done.with_suffix(".partial")
    beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
    beside.replace(done)
    print(f"{done.name}: {content['minutes']:.1f} minutes", flush=True)


def _backbone(
    start: str, dataset: DataSet, results: Path, data: Path, *, epochs: int
) -> tuple[Backbone, Colours, dict[str, object]]:
    torch.manual_seed(0)
    backbone = build_backbone(REFERENCE if start == "imagenet" else BACKBONE)
    colours = measured_colours([tile.pixels for tile in dataset.training])
    if start == "random":
        take_statistics(backbone, dataset, colours)
        return backbone, colours, {}
    if start == "imagenet":
        finish(start_backbone(backbone, REFERENCE, str(data / "weights" / "mobilenet_v2-imagenet.safetensors")))
        return backbone, Colours(MIDDLE, MIDDLE), {}
    weights, log = results / "simsiam.safetensors", results / "pretraining.jsonl"
    if not weights.exists():
        recipe = results / "reduced-pretrain.toml"
        recipe.write_text(_reduced(), encoding="utf-8")
        work = pretrain_on_dataset(
            data / "ebhi-seg", out=weights, recipe=str(recipe), epochs=epochs, part="train", device="cpu"
        )
        finish(work, lambda step: _keep(step, log))
    finish(start_backbone(backbone, BACKBONE, str(weights)))
    stated = colours_of(str(weights))
    assert stated is not None
    return backbone, stated, {"pretraining": [json.loads(line) for line in log.read_text().splitlines()]}


def _reduced() -> str:
    named = 'name = "reduced-pretrain"\ndescription = "quick-pretrain of a ResNet-18"\n'
    faster = '[pretrain.loop]\nprecision = "bfloat16"\n'
    return f'extends = "quick-pretrain"\n{named}[network]\nbackbone = "{BACKBONE}"\n{faster}'


def _keep(step: Progress, log: Path) -> None:
    """A line an epoch; one that is repeated after a stop counts twice here, not in the weights."""
    if step.figures:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(step.figures) | {"seconds": round(time.process_time())}) + "\n")


@torch.no_grad()
def take_statistics(backbone: Backbone, dataset: DataSet, colours: Colours) -> None:
    """Let the batch norms measure the training part; no weight changes."""
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # a mean over all batches
    backbone.train()
    order = np.random.default_rng(0).permutation(len(dataset.training))
    for part in np.array_split(order, len(order) // 64):
        pixels = np.stack([dataset.training[index].pixels for index in part])
        backbone(colours.normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255))


def _rows(
    dataset: DataSet, known: NDArray[np.float32], unseen: NDArray[np.float32], budget: float, seed: int
) -> list[dict[str, object]]:
    labels, truth = ([tile.label for tile in part] for part in (dataset.training, dataset.validation))
    chosen = draw_labels(labels, budget, seed)
    taught = [labels[index] for index in chosen]
    predicted = {
        kind: LinearProbe.fit(known, chosen, taught, kind=kind, classes=len(dataset.scheme.labels)).predict(unseen)
        for kind in PROBES
    }
    return [
        {
            "head": head,
            "budget": budget,
            "seed": seed,
            "labels": len(chosen),
            "accuracy": accuracy(found, truth),
            "balanced_accuracy": balanced_accuracy(found, truth),
        }
        for head, found in predicted.items()
    ]


def draw_labels(labels: list[int], budget: float, seed: int) -> list[int]:
    """Indices of about a share `budget` of every class, at least one of each."""
    rng, classes = np.random.default_rng(seed), np.asarray(labels)
    chosen = []
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        chosen += rng.permutation(members)[: max(1, round(budget * len(members)))].tolist()
    return sorted(chosen)


# --- the table and the picture ----------------------------------------------------------------------------------------


def write(results: Path) -> None:
    """Put the table between the marks of docs/active-learning.md, and the picture beside the guide's."""
    page = ROOT / "docs" / "active-learning.md"
    found = {start: json.loads((results / f"{start}.json").read_text(encoding="utf-8")) for start in STARTS}
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _old, after = rest.split(END)
    picture = ROOT / "docs" / "pictures" / "self-supervised-start.png"
    draw(found, picture)
    lines = [*_table(found, "accuracy"), "", "Balanced accuracy, in which the rare classes count as much:", ""]
    lines += [*_table(found, "balanced_accuracy"), "", *_pretraining(found), ""]
    lines += [f"![Accuracy over the share of labels](pictures/{picture.name})"]
    page.write_text(f"{before}{START}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


def _table(found: dict[str, dict], figure: str) -> list[str]:
    counts = {row["budget"]: row["labels"] for row in found["random"]["rows"]}
    heads = [f"{budget:.0%} ({counts[budget]} labels)" for budget in BUDGETS]
    lines = [f"| start | head | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    for start, title in STARTS.items():
        for head, name in HEADS.items():
            cells = [_percent(values(found[start], head, budget, figure)) for budget in BUDGETS]
            lines.append(f"| {title} | {name} | {' | '.join(cells)} |")
    return lines


def values(content: dict, head: str, budget: float, figure: str) -> list[float]:
    """In percent, one a seed."""
    return [100 * row[figure] for row in content["rows"] if row["head"] == head and row["budget"] == budget]


def _percent(figures: list[float]) -> str:
    spread = f" ± {statistics.stdev(figures):.1f}" if len(figures) > 1 else ""
    return f"{statistics.mean(figures):.1f}{spread}"


def _pretraining(found: dict[str, dict]) -> list[str]:
    epochs = found["simsiam"]["pretraining"]
    last = epochs[-1]
    return [
        f"The pretraining: {last['epoch']:.0f} epochs; the loss, which is -1 at best, went from "
        f"{epochs[0]['loss']:.2f} to {last['loss']:.2f}; at the end the projections had a spread of "
        f"{last['spread']:.2f} (1: all directions, 0: collapsed) over {last['dimensions']:.1f} dimensions."
    ]


COLOURS = {"random": "0.5", "simsiam": "tab:red", "imagenet": "tab:blue"}


def draw(found: dict[str, dict], picture: Path) -> None:
    """Accuracy over the share of labels, a panel for each head."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), dpi=110, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    percents = [100 * budget for budget in BUDGETS]
    for axes, (head, name) in zip(panels, HEADS.items(), strict=True):
        for start, title in STARTS.items():
            runs = np.array([values(found[start], head, budget, "accuracy") for budget in BUDGETS])
            mean, spread = runs.mean(axis=1), runs.std(axis=1, ddof=1)
            style = "--" if start == "imagenet" else "-"
            (line,) = axes.plot(percents, mean, style, marker="o", color=COLOURS[start], label=title)
            axes.fill_between(percents, mean - spread, mean + spread, color=line.get_color(), alpha=0.15, lw=0)
        axes.set(title=name, xlabel="share of the labels, %", xscale="log")
        axes.set_xticks(percents, [f"{percent:g}" for percent in percents], minor=False)
        axes.minorticks_off()
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy on other cases, %")
    panels[0].legend(frameon=False, fontsize=8)
    beside = picture.with_suffix(".partial.png")
    figure.savefig(beside)
    beside.replace(picture)


# --- frozen features (ssl-al section 4) -------------------------------------------------------------------------------


def pooled_features(
    network: SlideNetwork | Backbone,
    tiles: Tiles,
    *,
    colours: Colours,
    device: torch.device,
    stage: int = -1,
) -> NDArray[np.float32]:
    """Features (N, D) of tiles: the maps of a stage of the backbone, averaged over the whole tile.

    In evaluation mode, in which the network is left. Neighbours of one size go through it together.
    """
    backbone = network if isinstance(network, Backbone) else network.backbone
    backbone.to(device).eval()
    rows = [np.empty((0, backbone.channels[stage]), np.float32)]
    with torch.inference_mode():
        for batch in _batches(tiles):
            tiles_BCHW = torch.from_numpy(np.stack(batch)).to(device).permute(0, 3, 1, 2).float() / 255
            rows.append(backbone(colours.normalise(tiles_BCHW))[stage].float().mean(dim=(2, 3)).cpu().numpy())
    return np.concatenate(rows)


def _batches(tiles: Tiles) -> Iterator[list[NDArray[np.uint8]]]:
    """All tiles in order, each read once."""
    for _shape, alike in itertools.groupby((tiles[number] for number in range(len(tiles))), key=np.shape):
        while batch := list(itertools.islice(alike, BATCH)):
            yield batch


if __name__ == "__main__":
    wait_without_spinning()
    main()
