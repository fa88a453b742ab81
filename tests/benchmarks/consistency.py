"""What consistency over time is worth (tod eq 6-9): is the teacher ahead, how hard does it pull, what is gained.

    python tests/benchmarks/consistency.py RESULTS [--data FOLDER] [--seeds 3] [--write]

RESULTS is a folder as of decoder_steps.py: its `glas-start` is used, or made. `consistency.jsonl` has a line for each
training that is done, so that a stopped benchmark goes on where it was. With --write the tables between the marks of
docs/active-learning.md are made anew from what is there.

The protocol is that of decoder_steps.py, with the quick preset: 8 regions of the training part of GlaS, 18 that choose
the epoch, 60 of test A that measure. The first part lets several averages follow one training that takes nothing from
them, and measures all as they stand after some steps; the second trains with each pull.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from decoder_steps import set_up

from histoloop.losses.consistency import Outputs, mask_consistency
from histoloop.progress import finish
from histoloop.training.cached import CachedSettings, dice_figures, train_on_features
from histoloop.training.features import FeatureTile, collate_features
from histoloop.training.mask_objective import MaskObjective
from histoloop.training.teacher import RECENCY, ConsistencySettings, Teacher
from histoloop.workflows.experiments.sessions import first_state
from histoloop.workflows.experiments.simulate import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.networks.unet import Decoder
    from histoloop.workflows.experiments.sessions import SimulationSetup

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "active-learning.md"
START = "<!-- consistency: made by tests/benchmarks/consistency.py -->"
END = "<!-- end of consistency -->"

SESSION = replace(PRESETS["quick"].session, first_per_class=4)
LEARN = SESSION.learn
STOPS = (60, 120, 180, 240)
RECENCIES = (0.0, 4.0, 9.0, 19.0, 39.0)
OUTPUTS: tuple[Outputs, ...] = ("softmax", "logit")
PULLED = 4


@dataclass(frozen=True, slots=True)
class Variant:
    """A pull to a teacher; a weight of 0 is without."""

    weight: float
    recency: float = 0.0
    outputs: Outputs = "softmax"

    @property
    def name(self) -> str:
        how = f"lambda {self.weight:g}, {self.outputs}, recency {self.recency:g}"
        return how if self.weight else "without consistency"

    def settings(self) -> CachedSettings:
        return replace(LEARN, consistency=ConsistencySettings(self.weight, recency=self.recency, outputs=self.outputs))


def variants() -> list[Variant]:
    """In the order of what they tell."""
    mended = [Variant(1.0, RECENCY), Variant(0.05, RECENCY, "logit")]
    return [Variant(0.0), Variant(0.05), *mended, Variant(5.0, RECENCY), Variant(0.01, RECENCY, "logit")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    file = options.results / "consistency.jsonl"
    done = {(one["variant"], one["seed"]) for one in _lines(file)}
    names = ["teachers", *(variant.name for variant in variants())]
    missing = [(name, seed) for seed in range(options.seeds) for name in names if (name, seed) not in done]
    if missing:
        setup = set_up(options.results, options.data)
        plans = {variant.name: variant for variant in variants()}
        for name, seed in missing:
            found = follow(setup, seed) if name == "teachers" else train(setup, plans[name], seed)
            line = {"variant": name, "seed": seed, **found}
            with file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(START)
        _old, after = rest.split(END)
        PAGE.write_text(f"{before}{START}\n\n{tables(list(_lines(file)))}\n{END}{after}", encoding="utf-8")


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        yield from (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """What a seed learns from: views of the annotated tiles, and the others of the pool."""

    annotated: Sequence[Sequence[FeatureTile]]
    unlabelled: Sequence[FeatureTile]

    @staticmethod
    def of(setup: SimulationSetup, seed: int) -> Tiles:
        chosen = first_state(setup, SESSION, seed).annotated
        others = [tile for index, tile in enumerate(setup.pool) if index not in chosen]
        return Tiles(
            [setup.views(index, LEARN) for index in chosen],
            [FeatureTile(setup.features(tile), None) for tile in others],
        )


def train(setup: SimulationSetup, variant: Variant, seed: int) -> dict[str, float]:
    """Learn and measure once."""
    tiles, decoder = Tiles.of(setup, seed), setup.fresh_decoder(SESSION, seed)
    work = train_on_features(
        decoder,
        annotated=tiles.annotated,
        unlabelled=tiles.unlabelled if variant.weight else (),
        validation=setup.validation,
        settings=variant.settings(),
        device=setup.device,
        seed=seed,
    )
    finish(work)
    return {"dice": dice_figures(decoder, setup.test, device=setup.device)["dice"]}


def follow(setup: SimulationSetup, seed: int) -> dict[str, Any]:
    """Let averages follow a training, and measure them and the pulls of eq 7 of weight 1 on the way.

    The pull is the norm of the gradient, over that of the loss of the masks.
    """
    tiles, decoder = Tiles.of(setup, seed), setup.fresh_decoder(SESSION, seed)
    teachers = {recency: Teacher(decoder, recency=recency) for recency in RECENCIES}
    work = train_on_features(decoder, annotated=tiles.annotated, settings=LEARN, device=setup.device, seed=seed)
    found: dict[str, Any] = {}
    step = 0
    for progress in work:
        if progress.figures:  # the end of an epoch, which is no step
            continue
        step += 1
        for teacher in teachers.values():
            teacher.update(decoder, step)
        if step in STOPS:
            decoder.eval()
            dice = {
                f"{recency:g}": dice_figures(teacher.module, setup.test, device=setup.device)["dice"]  # type: ignore[arg-type]
                for recency, teacher in teachers.items()
            }
            own = dice_figures(decoder, setup.test, device=setup.device)["dice"]
            pull = {
                f"{recency:g} {outputs}": _pull(decoder, teachers[recency], tiles, outputs)
                for recency in (0.0, RECENCY)
                for outputs in OUTPUTS
            }
            found[str(step)] = {"student": own, "teachers": dice, "pull": pull}
            decoder.train()
    return {"steps": found}


def _pull(decoder: Decoder, teacher: Teacher, tiles: Tiles, outputs: Outputs) -> float:
    """The norm of the gradient of eq 7 over that of the masks' loss."""

    def norm(loss: torch.Tensor) -> float:
        decoder.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        grads = [one.grad.norm() for one in decoder.parameters() if one.grad is not None]
        return float(torch.stack(grads).norm())

    generator = torch.Generator().manual_seed(0)
    masked = collate_features(
        [views[0] for views in tiles.annotated[:PULLED]], crop_px=LEARN.crop_px, generator=generator
    )
    bare = collate_features(list(tiles.unlabelled[:PULLED]), crop_px=LEARN.crop_px, generator=generator)
    painted = [(views[0].mask, views[0].known) for views in tiles.annotated if views[0].mask is not None]
    of_masks = MaskObjective.of(decoder, painted, LEARN.loss)
    loss = of_masks(
        decoder(masked.stages).float(), masked.masks_BHW, valid_BHW=masked.valid_BHW, weights_B=masked.weights_B
    )
    teacher_BLHW = teacher(bare.stages).float()
    distance = mask_consistency(decoder(bare.stages).float(), teacher_BLHW, valid_BHW=bare.valid_BHW, outputs=outputs)
    pull = norm(distance) / norm(loss)
    decoder.zero_grad(set_to_none=True)
    return pull


# --- the tables -------------------------------------------------------------------------------------------------------


def tables(lines: Sequence[dict[str, Any]]) -> str:
    """Student and teachers by steps; the pulls; what each variant gained over none with the same seeds."""
    of_teachers = [line["steps"] for line in lines if line["variant"] == "teachers"]
    head = " | ".join(f"{step} steps" for step in STOPS)
    rows = [f"| Dice of | {head} |", f"|---|{'---|' * len(STOPS)}"]

    def row(name: str, values: list[list[float]], form: str) -> str:
        cells = [f"{np.mean(one):{form}} ± {np.std(one):{form}}" for one in values]
        return f"| {name} | {' | '.join(cells)} |"

    rows.append(row("the student", [[100 * run[str(step)]["student"] for run in of_teachers] for step in STOPS], ".1f"))
    for recency in RECENCIES:
        values = [[100 * run[str(step)]["teachers"][f"{recency:g}"] for run in of_teachers] for step in STOPS]
        rows.append(row(f"its average, recency {recency:g}", values, ".1f"))
    rows += ["", f"| pull of lambda = 1 | {head} |", f"|---|{'---|' * len(STOPS)}"]
    for key in of_teachers[0][str(STOPS[0])]["pull"] if of_teachers else ():
        recency, outputs = key.split()
        values = [[run[str(step)]["pull"][key] for run in of_teachers] for step in STOPS]
        rows.append(row(f"{outputs}, recency {recency}", values, ".2f"))
    rows += ["", "| training | Dice | over none, same seeds | seeds |", "|---|---|---|---|"]
    none = {line["seed"]: line["dice"] for line in lines if line["variant"] == Variant(0.0).name}
    for variant in variants():
        found = {line["seed"]: line["dice"] for line in lines if line["variant"] == variant.name}
        if found:
            dice = 100 * np.array(list(found.values()))
            gain = 100 * np.array([value - none[seed] for seed, value in found.items()])
            over = f"{gain.mean():+.1f} ± {gain.std():.1f}" if variant.weight else ""
            rows.append(f"| {variant.name} | {dice.mean():.1f} ± {dice.std():.1f} | {over} | {len(found)} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
