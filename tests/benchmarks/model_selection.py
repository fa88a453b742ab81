"""Rank saved models without labels on GlaS and compare with their true order; writes into docs/active-learning.md.

    python tests/benchmarks/model_selection.py RESULTS [--data FOLDER] [--write]

RESULTS is a folder: one JSON file and one model folder for each training that is done, so that a stopped benchmark goes
on where it was. FOLDER holds `glas/` and `weights/mobilenet_v2-imagenet.safetensors` (default: HISTOLOOP_DATA, else
../shared/data). With --write the table between the marks of docs/active-learning.md is made anew from what is there.

The protocol: GlaS at a quarter of its resolution. Decoders learn over the same frozen ImageNet MobileNetV2, 6 steps an
epoch, the last epoch of 12 kept, by two schedules of the learning rate: from the masks of 1 to 20 training pictures
(each set holds the smaller ones), and, as in the paper, from as many masks each, 8, with another start and other
pictures each time. Every figure is taken from the model as it was saved, on the 60 pictures of test A, whose masks
only Dice sees.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from histoloop.acquisition.strategies.discrepancy import cod
from histoloop.acquisition.strategies.uncertainty import mean_pixel_entropy
from histoloop.inference.model import Model
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.build import build_network
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import finish
from histoloop.store.cards import Card
from histoloop.store.model_folder import save_model
from histoloop.training.augment import AugmentSettings
from histoloop.training.datasets import DataSet, read_dataset
from histoloop.training.loop import LoopSettings
from histoloop.training.metrics import dice
from histoloop.training.pretrained import is_folded, start_backbone, unfold
from histoloop.training.samples import collate
from histoloop.training.segment import SegmentSettings, train_decoder
from histoloop.workflows.experiments.rank_models import output_of
from histoloop.workflows.prediction.loaded_model import load_model, one_epoch_earlier

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "active-learning.md"
START = "<!-- model selection: made by tests/benchmarks/model_selection.py -->"
END = "<!-- end of model selection -->"
CPU = torch.device("cpu")

SCALE = 0.25
MIDDLE = (0.50196, 0.50196, 0.50196)
COLOURS = Colours(MIDDLE, MIDDLE)
"""The weights' input is (x - 128) / 128."""
BUDGETS = (1, 2, 3, 5, 8, 12, 16, 20)
SAME, SEEDS = 8, range(8)
LOOP = LoopSettings(epochs=12, batch_size=4, learning_rate=1e-3, validate_every=12)
SCHEDULES = {
    "constant": dataclasses.replace(LOOP, schedule="steps"),  # steps of 80 epochs: the rate stays as it is
    "cosine": LOOP,
}
AUGMENT = AugmentSettings(scale_min=0.85, scale_max=1.2, crop_px=128, stain=0.06)
MEASURES = {
    "discrepancy, logits": "logit",
    "discrepancy, probabilities": "softmax",
    "entropy": "entropy",
    "training loss": "loss",
}
"""Row of the table -> figure of a model; of each the lowest is to be the best."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--schedules", default=",".join(SCHEDULES), help="train these ('': only --write)")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    (options.results / "models").mkdir(parents=True, exist_ok=True)
    missing = [
        (schedule, budget, seed)
        for schedule in filter(None, options.schedules.split(","))
        for budget, seed in [*((budget, 0) for budget in BUDGETS), *((SAME, seed) for seed in SEEDS if seed)]
        if not _file(options.results, schedule, budget, seed).exists()
    ]
    if missing:
        dataset = finish(read_dataset(options.data / "glas", scale=SCALE))
        for schedule, budget, seed in missing:
            run(options.results, options.data, dataset, schedule, budget, seed)
    if options.write:
        write(options.results)


def run(results: Path, data: Path, dataset: DataSet, schedule: str, budget: int, seed: int) -> None:
    """Train, save and measure one model."""
    started = time.monotonic()
    done = _file(results, schedule, budget, seed)
    folder = results / "models" / done.stem
    loss = _train(folder, data, dataset, schedule, budget, seed) if not folder.exists() else _loss(folder)
    figures = {"loss": loss} | _measure(folder, dataset)
    content = {"schedule": schedule, "budget": budget, "seed": seed, **figures, "seconds": time.monotonic() - started}
    beside = done.with_suffix(".partial")
    beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
    beside.replace(done)
    print(json.dumps(content), flush=True)


def _file(results: Path, schedule: str, budget: int, seed: int) -> Path:
    return results / f"{schedule}-{budget:02d}-{seed}.json"


def _loss(folder: Path) -> float:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["loss"]


def _train(folder: Path, data: Path, dataset: DataSet, schedule: str, budget: int, seed: int) -> float:
    masked = (*dataset.training, *dataset.validation)
    chosen = np.random.default_rng(seed).permutation(len(masked))[:budget]
    network = _network(data, dataset, seed)
    fitted = finish(
        train_decoder(
            Model(network, COLOURS, CPU),
            training=[masked[index] for index in chosen],
            validation=(),
            settings=SegmentSettings(loop=SCHEDULES[schedule], loss="bce+dice", steps_per_epoch=6, keep="last"),
            augmentation=AUGMENT,
            seed=seed,
        )
    )
    loss = float(fitted.figures["loss"])
    card = Card(
        name=folder.name,
        title=folder.name,
        description="",
        licence=dataset.licence,
        attribution=dataset.attribution,
        network=network.config,
        scheme=dataset.scheme,
        mpp=dataset.mpp,
        mean=MIDDLE,
        std=MIDDLE,
        training={"recipe": schedule, "masks": float(budget), "seed": float(seed)},
        figures={"loss": loss},
        parent=None,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    save_model(folder, card, network.state_dict(), recipe="", half=True, way_back=fitted.way_back())
    return loss


def _network(data: Path, dataset: DataSet, seed: int) -> Hybrid:
    """A fresh decoder over the ImageNet backbone."""
    torch.manual_seed(seed)
    config = NetworkConfig(
        2,
        backbone="mobilenet_v2",
        pooling=PoolingConfig(name="average", modalities=1),
        decoder_channels=(48, 32, 24, 16, 8),
    )
    network = build_network(config)
    assert isinstance(network, Hybrid)
    weights = data / "weights" / "mobilenet_v2-imagenet.safetensors"
    finish(start_backbone(network.backbone, config.backbone, str(weights)))
    if is_folded(network.backbone):
        tiles = dataset.training[::8]
        unfold(network.backbone, (COLOURS.normalise(collate([t], multiple_px=32).tiles_BCHW) for t in tiles))
    return network


def _measure(folder: Path, dataset: DataSet) -> dict[str, float]:
    """Of a model as it was saved, over the test tiles."""
    model = load_model(folder, CPU)
    earlier = one_epoch_earlier(model)
    outputs = [(output_of(earlier, tile), output_of(model, tile)) for tile in dataset.test]
    probabilities = [1 / (1 + np.exp(-now)) for _before, now in outputs]
    per_tile = [
        dice(probability > model.card.threshold, tile.mask)
        for probability, tile in zip(probabilities, dataset.test, strict=True)
        if tile.mask is not None
    ]
    figures = {
        "dice": float(np.mean(per_tile)),
        "entropy": float(np.mean([mean_pixel_entropy(probability) for probability in probabilities])),
    }
    for kind in ("logit", "softmax"):
        values = [cod(before, now, outputs=kind) ** 2 for before, now in outputs]
        figures[kind] = float(np.mean(values))
        figures[f"{kind} within"] = spearman([-value for value in values], per_tile)
    return figures


# --- the table --------------------------------------------------------------------------------------------------------


def spearman(one: list[float], other: list[float]) -> float:
    """Spearman's rank correlation; equal values share their mean rank."""
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: list[float]) -> np.ndarray:
    found = np.asarray(values)
    return np.array([np.mean(np.flatnonzero(np.sort(found) == value)) for value in found])


def write(results: Path) -> None:
    """Put the table between the marks of the page."""
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(results.glob("*.json"))]
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    _old, after = rest.split(END)
    PAGE.write_text(f"{before}{START}\n\n{table(runs)}\n{END}{after}", encoding="utf-8")


def table(runs: list[dict]) -> str:
    """A column for each schedule and kind of candidates; a row for each measure."""
    groups = {
        f"{name}, 1 to 20 masks": [run for run in runs if run["schedule"] == name and not run["seed"]]
        for name in SCHEDULES
    }
    groups |= {
        f"{name}, {SAME} masks each": [run for run in runs if run["schedule"] == name and run["budget"] == SAME]
        for name in SCHEDULES
    }
    groups = {name: group for name, group in groups.items() if len(group) > 2}
    head = [f"{name} ({len(group)} models)" for name, group in groups.items()]
    lines = [f"| lowest first by | {' | '.join(head)} |", f"|{'---|' * (len(head) + 1)}"]
    for title, name in MEASURES.items():
        cells = [_cell(group, name) for group in groups.values()]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    spans = [_span([run["dice"] for run in group]) for group in groups.values()]
    lines.append(f"| Dice of the worst, the mean and the best model | {' | '.join(spans)} |")
    within = [f"{np.mean([run['logit within'] for run in group]):+.2f}" for group in groups.values()]
    lines.append(f"| within a model: pictures by discrepancy, logits, against their Dice | {' | '.join(within)} |")
    return "\n".join(lines) + "\n"


def _cell(group: list[dict], name: str) -> str:
    """Rank correlation with the true order, and the Dice of the model that comes first."""
    correlation = spearman([-run[name] for run in group], [run["dice"] for run in group])
    return f"{correlation:+.2f} (first: {100 * min(group, key=lambda run: run[name])['dice']:.1f})"


def _span(values: list[float]) -> str:
    return " / ".join(f"{100 * value:.1f}" for value in (min(values), float(np.mean(values)), max(values)))


if __name__ == "__main__":
    main()
