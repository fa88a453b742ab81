"""Choose among models without labels (tod, section V and VI-E) and compare with the truth; for docs/active-learning.md.

    python tests/benchmarks/model_selection.py RESULTS [--data FOLDER] [--kinds head,head-30,decoder] [--groups 3]
        [--write]

RESULTS is a folder: `selection.jsonl` has a line for each model that is done, so that a stopped benchmark goes on where
it was; `glas-start` is the classifier of tests/benchmarks/active_learning.py (made where it is not there). FOLDER holds
`glas/`, `ebhi-seg/` and `weights/mobilenet_v2-imagenet.safetensors` (default: HISTOLOOP_DATA, else ../shared/data).
With --write the table between the marks of docs/active-learning.md is made anew from what is there, and the picture
beside it.

The protocol: groups of models of one recipe that differ in what they learned from and in their random start; one is to
be chosen, for all samples or for each. `decoder`: 10 a group, on kept features of the frozen classifier, from the masks
of 8 pictures of GlaS, 120 steps, measured on the 60 pictures of test A. `head`: 20 a group, linear heads on pooled
features of an ImageNet MobileNetV2, from 6 labels of each class of EBHI-Seg, 50 epochs, measured on the 221 tiles of
the validation part; `head-30` from 30 labels of each class. Each at a constant rate and at one that falls by a cosine;
the last epoch is kept, and with it the earlier state that `rank` compares with. No label of what measures takes part in
the choice.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from active_learning import start_model
from bench.pages import put_between
from self_supervised import CPU, MIDDLE, REFERENCE, SCALE, pooled_features
from torch import nn
from torch.nn import functional

from histoloop.acquisition.model_selection import TOPS, selection_measures
from histoloop.acquisition.strategies.discrepancy import cod
from histoloop.inference.features import decode
from histoloop.networks.backbones import build_backbone
from histoloop.networks.colours import Colours
from histoloop.progress import finish
from histoloop.threads import wait_without_spinning
from histoloop.training.cached import train_on_features
from histoloop.training.datasets import read_dataset
from histoloop.training.loop import FitResult, LoopSettings, fit
from histoloop.training.measures.metrics import dice
from histoloop.training.pretrained import start_backbone
from histoloop.training.samples import foreground
from histoloop.workflows.experiments.simulate import PRESETS, simulation_setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from histoloop.workflows.experiments.sessions import SimulationSetup

    Run = Callable[[str, int], dict]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "active-learning.md"
PICTURE = PAGE.with_name("pictures") / "model-selection.png"
START = "<!-- model selection: made by tests/benchmarks/model_selection.py -->"
END = "<!-- end of model selection -->"

KINDS = {
    "head": "heads of 6 labels a class (accuracy on EBHI-Seg)",
    "head-30": "heads of 30 labels a class (accuracy on EBHI-Seg)",
    "decoder": "decoders of 8 masks (Dice on GlaS test A)",
}
GROUP = {"head": 20, "head-30": 20, "decoder": 10}
LABELS = {"head": 6, "head-30": 30}
SCHEDULES = ("constant", "cosine")
OUTPUTS = ("softmax", "logit")
MASKS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--groups", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    file = options.results / "selection.jsonl"
    done = {(line["kind"], line["schedule"], line["seed"]) for line in _lines(file)}
    for kind in filter(None, options.kinds.split(",")):
        seeds = range(options.groups * GROUP[kind])
        wanted = [(schedule, seed) for seed in seeds for schedule in SCHEDULES]
        if missing := [one for one in wanted if (kind, *one) not in done]:
            run = (_decoders if kind == "decoder" else functools.partial(_heads, kind=kind))(
                options.results, options.data
            )
            for schedule, seed in missing:
                line = {"kind": kind, "schedule": schedule, "seed": seed, **run(schedule, seed)}
                with file.open("a", encoding="utf-8") as opened:
                    opened.write(json.dumps(line) + "\n")
                print(kind, schedule, seed, round(float(np.mean(line["quality"])), 4), flush=True)
    if options.write:
        write(list(_lines(file)))


def _lines(file: Path) -> Iterator[dict]:
    if file.exists():
        yield from (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())


def _loop(schedule: str, *, epochs: int, rate: float, batch_size: int) -> LoopSettings:
    """Of the steps that the other schedule has, the first comes after the last epoch: a constant rate."""
    return LoopSettings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=rate,
        schedule="cosine" if schedule == "cosine" else "steps",
        step_epochs=epochs + 1,
        validate_every=epochs,
    )


# --- the models -------------------------------------------------------------------------------------------------------


def _decoders(results: Path, data: Path) -> Run:
    model = start_model(results, data, "glas")
    setup = finish(simulation_setup(data=data / "glas", model=model, work=results))

    def run(schedule: str, seed: int) -> dict:
        session = PRESETS["quick"].session
        loop = replace(_loop(schedule, epochs=10, rate=4e-3, batch_size=4), precision="bfloat16")
        learn = replace(session.learn, loop=loop, steps_per_epoch=12, crop_px=96, views=4)
        chosen = np.random.default_rng(seed).permutation(len(setup.pool))[:MASKS]
        decoder = setup.fresh_decoder(session, seed)
        torch.manual_seed(seed)
        annotated = [setup.views(int(index), learn) for index in chosen]
        fitted = finish(train_on_features(decoder, annotated=annotated, settings=learn, device=setup.device, seed=seed))
        now, before = _both_states(decoder, fitted, lambda: _logits(setup, decoder))
        quality = [
            dice(logits > 0, foreground(tile.mask))
            for logits, tile in zip(now, setup.test_tiles, strict=True)
            if tile.mask is not None
        ]
        return _moved(before, now) | {"quality": quality, "loss": fitted.figures["loss"]}

    return run


def _logits(setup: SimulationSetup, decoder: nn.Module) -> list[NDArray[np.float32]]:
    return [decode(decoder, tile.features, device=setup.device) for tile in setup.test]


def _heads(results: Path, data: Path, *, kind: str) -> Run:
    features, labels, unseen, truth = _pooled(results / "ebhi-pooled.npz", data)
    classes = int(labels.max()) + 1

    def run(schedule: str, seed: int) -> dict:
        rng = np.random.default_rng(seed)
        chosen = np.concatenate(
            [rng.permutation(np.flatnonzero(labels == one))[: LABELS[kind]] for one in range(classes)]
        )
        settings = _loop(schedule, epochs=50, rate=2e-3, batch_size=12)
        known = torch.from_numpy(np.c_[features[chosen], labels[chosen]].astype(np.float32))
        torch.manual_seed(seed)
        head = nn.Linear(features.shape[1], classes)

        def batches(epoch: int) -> Iterator[torch.Tensor]:
            order = torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(len(known)))
            yield from (known[part] for part in order.split(settings.batch_size))

        fitted = finish(
            fit(
                head,
                stage="heads",
                epoch_batches=batches,
                batches_per_epoch=len(known) // settings.batch_size,
                objective=lambda batch: iter([functional.cross_entropy(head(batch[:, :-1]), batch[:, -1].long())]),
                validate=dict,
                rank_by=None,
                settings=settings,
                device=CPU,
                seed=seed,
            )
        )
        now, before = _both_states(head, fitted, lambda: list(head(torch.from_numpy(unseen)).detach().numpy()))
        quality = [float(np.argmax(scores) == right) for scores, right in zip(now, truth, strict=True)]
        return _moved(before, now) | {"quality": quality, "loss": fitted.figures["loss"]}

    return run


def _pooled(file: Path, data: Path) -> tuple[NDArray[np.float32], ...]:
    """Features and labels of both parts of EBHI-Seg; features of mean 0 and deviation 1 over the training part."""
    if not file.exists():
        dataset = finish(read_dataset(data / "ebhi-seg", scale=SCALE))
        backbone = build_backbone(REFERENCE)
        finish(start_backbone(backbone, REFERENCE, str(data / "weights" / "mobilenet_v2-imagenet.safetensors")))
        known, unseen = (
            pooled_features(backbone, [tile.pixels for tile in part], colours=Colours(MIDDLE, MIDDLE), device=CPU)
            for part in (dataset.training, dataset.validation)
        )
        labels, truth = ([tile.label for tile in part] for part in (dataset.training, dataset.validation))
        np.savez(file, known=known, labels=np.array(labels), unseen=unseen, truth=np.array(truth))
    with np.load(file) as kept:
        known, labels, unseen, truth = (kept[name] for name in ("known", "labels", "unseen", "truth"))
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
    return (known - mean) / spread, labels, (unseen - mean) / spread, truth


def _both_states(
    network: nn.Module, fitted: FitResult, outputs: Callable[[], list[NDArray[np.float32]]]
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Outputs of the kept state and of the earlier one."""
    network.eval()
    now = outputs()
    network.load_state_dict(dict(fitted.weights) | dict(fitted.earlier))
    return now, outputs()


def _moved(before: list[NDArray[np.float32]], now: list[NDArray[np.float32]]) -> dict[str, list[float]]:
    """The squared discrepancy of each sample, by both kinds of outputs."""
    return {kind: [cod(old, new, outputs=kind) ** 2 for old, new in zip(before, now, strict=True)] for kind in OUTPUTS}


# --- the table and the picture ----------------------------------------------------------------------------------------


def write(lines: list[dict]) -> None:
    """Put the table between the marks of the page, and draw the picture."""
    groups = {
        (kind, schedule): [line for line in lines if line["kind"] == kind and line["schedule"] == schedule]
        for kind in KINDS
        for schedule in SCHEDULES
    }
    groups = {key: group for key, group in groups.items() if len(group) >= GROUP[key[0]]}
    draw(groups)
    picture = f"![What each way of choosing gives](pictures/{PICTURE.name})"
    put_between(PAGE, START, END, f"{table(groups)}\n\n{picture}")


WAYS = ("chosen by sample", "chosen by model", "mean model", "best model")


def _blocks(kind: str, lines: list[dict]) -> list[list[dict]]:
    """The groups of models of which one is to be chosen, those that are whole."""
    size = GROUP[kind]
    ordered = sorted(lines, key=lambda line: line["seed"])
    return [ordered[start : start + size] for start in range(0, len(ordered) - size + 1, size)]


def _chosen(group: list[dict], outputs: str) -> tuple[list[float], list[int]]:
    """Quality in percent by each of WAYS, and the hits."""
    moved, quality = (np.array([line[name] for line in group]) for name in (outputs, "quality"))
    found = selection_measures(moved, quality)
    ways = [100 * one for one in (found.by_sample, found.by_model, found.mean, found.best)]
    return ways, [hit for _k, hit in found.hits]


def _within(lines: list[dict], outputs: str) -> list[float]:
    """For each model the rank correlation over its samples: +1 where those that moved least are the best."""
    pairs = [(np.array(line[outputs]), np.array(line["quality"])) for line in lines]
    return [spearman(-moved, quality) for moved, quality in pairs if np.ptp(quality)]


def table(groups: dict[tuple[str, str], list[dict]]) -> str:
    """A row for each kind of models, schedule and kind of outputs; mean and spread over the groups."""
    tops = ", ".join(map(str, TOPS))
    head = ["models", "rate", "outputs", *WAYS, "by sample against mean", f"hits of the first {tops}", "within a model"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for (kind, schedule), group in groups.items():
        blocks = _blocks(kind, group)
        for outputs in OUTPUTS:
            found = [_chosen(block, outputs) for block in blocks]
            ways = [list(column) for column in zip(*(ways for ways, _hits in found), strict=True)]
            gains = [by_sample - mean for by_sample, mean in zip(ways[0], ways[2], strict=True)]
            hits = [statistics.mean(column) for column in zip(*(hits for _ways, hits in found), strict=True)]
            cells = [*map(_cell, ways), _cell(gains, sign="+"), ", ".join(f"{hit:.1f}" for hit in hits)]
            name = f"{len(blocks)} x {GROUP[kind]} {KINDS[kind]}"
            lines.append(
                f"| {' | '.join([name, schedule, outputs, *cells, _cell(_within(group, outputs), digits=2)])} |"
            )
    return "\n".join(lines)


def _cell(values: list[float], *, sign: str = "", digits: int = 1) -> str:
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.{digits}f}{spread}"


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Spearman's rank correlation; equal values share their mean rank."""
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    found = np.sort(np.asarray(values))
    return np.array([np.mean(np.flatnonzero(found == value)) for value in np.asarray(values)])


def draw(groups: dict[tuple[str, str], list[dict]]) -> None:
    """The models as dots, and what is chosen by softmax as marks, a column a group."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    marks = {"chosen by sample": "*", "chosen by model": "s", "mean model": "_"}
    for place, ((kind, _schedule), lines) in enumerate(groups.items()):
        models = [100 * float(np.mean(line["quality"])) for line in lines]
        axes.plot([place] * len(models), models, "o", color="0.8", label="" if place else "models")
        blocks = [dict(zip(WAYS, _chosen(block, "softmax")[0], strict=True)) for block in _blocks(kind, lines)]
        for number, (way, mark) in enumerate(marks.items()):
            beside, values = [place + 0.15 * (number + 1)] * len(blocks), [block[way] for block in blocks]
            axes.plot(beside, values, mark, ms=10, color=f"C{number}", label="" if place else f"{way}, each group")
    axes.set_xticks(range(len(groups)), [f"{kind},\n{schedule} rate" for kind, schedule in groups])
    axes.set_ylabel("Dice or accuracy, %")
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside upper center", ncols=4, markerscale=0.6)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    wait_without_spinning()
    main()
