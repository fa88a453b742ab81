"""How long a decoder must learn on kept features of GlaS: Dice by steps, for the quick preset and the quick pace.

    python tests/benchmarks/decoder_steps.py RESULTS [--data FOLDER] [--seeds 3] [--only preset] [--write]

RESULTS is a folder: `glas-start` is the classifier of tests/benchmarks/active_learning.py (made where it is not there),
`decoder-steps.jsonl` has a line for each training that is done, so that a stopped benchmark goes on where it was. With
--write the table between the marks of docs/active-learning.md is made anew from what is there.

The protocol: 8 regions of the training part, 4 of each label, sampled at random; 18 pictures choose the epoch of the
`preset`, and no picture that of the `window`, which keeps the last one; 60 of test A measure.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from active_learning import start_model

from histoloop.progress import finish
from histoloop.training.cached import CachedSettings, dice_figures, train_on_features
from histoloop.training.recipe import load_recipe, recipe_path
from histoloop.workflows.experiments.sessions import first_state
from histoloop.workflows.experiments.simulate import PRESETS, simulation_setup
from histoloop.workflows.retraining.fit import quick_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.workflows.experiments.sessions import SimulationSetup

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "active-learning.md"
START = "<!-- decoder steps: made by tests/benchmarks/decoder_steps.py -->"
END = "<!-- end of decoder steps -->"

STEPS = (60, 120, 240, 360, 720)
STEPS_PER_EPOCH = 15
ALL_MASKS = "all masks"


@dataclass(frozen=True, slots=True)
class Variant:
    """How a decoder learns; `kind` is preset, window or all masks."""

    kind: str
    steps: int
    views: int = 4
    rate: float = 4e-3
    crop_px: int = 192
    precision: str = "float32"

    @property
    def name(self) -> str:
        how = f"{self.views} views, {self.rate:g}, {self.crop_px} px, {self.precision}"
        return f"{self.kind}, {self.steps} steps, {how}"

    def settings(self) -> CachedSettings:
        base = PRESETS["quick"].session.learn
        if self.kind == "window":
            base = quick_settings(load_recipe(recipe_path("retrain-quick")))
        loop = replace(
            base.loop,
            epochs=self.steps // STEPS_PER_EPOCH,
            learning_rate=self.rate,
            precision=self.precision,
            validate_every=1 if self.steps <= 120 else 2,
        )
        return replace(base, loop=loop, steps_per_epoch=STEPS_PER_EPOCH, views=self.views, crop_px=self.crop_px)


def variants() -> list[Variant]:
    """In the order of what they tell."""
    found = [Variant("preset", steps) for steps in STEPS]
    found += [_window(steps, rate=2e-3, crop_px=256) for steps in STEPS]
    found += [_window(steps) for steps in (150, 180, 240, 360, 480)]
    found += [_window(150, rate=8e-3), _window(120, rate=8e-3, crop_px=192), _window(120, crop_px=256)]
    found += [_window(240, rate=2e-3), _window(240, crop_px=192), _window(240, crop_px=96)]
    found += [Variant("preset", steps, views=1) for steps in STEPS[::3]]
    found += [Variant("preset", 240, crop_px=128), Variant("preset", 360, crop_px=128)]
    found += [Variant("preset", 360, rate=2e-3), Variant("preset", 360, rate=8e-3)]
    return [*found, Variant(ALL_MASKS, 720)]


def _window(steps: int, *, rate: float = 4e-3, crop_px: int = 128) -> Variant:
    """At the window's quick pace; rate and crops are its own unless others are given."""
    return Variant("window", steps, rate=rate, crop_px=crop_px, precision="bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=("preset", "window", ALL_MASKS))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    file = options.results / "decoder-steps.jsonl"
    wanted = [
        (variant, seed)
        for seed in range(options.seeds)
        for variant in variants()
        if options.only in (None, variant.kind)
    ]
    done = {(one["variant"], one["seed"]) for one in _lines(file)}
    missing = [(variant, seed) for variant, seed in wanted if (variant.name, seed) not in done]
    if missing:
        setup = set_up(options.results, options.data)
        for variant, seed in missing:
            line = {"variant": variant.name, "seed": seed, **run(setup, variant, seed)}
            with file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(START)
        _old, after = rest.split(END)
        PAGE.write_text(f"{before}{START}\n\n{table(list(_lines(file)))}\n{END}{after}", encoding="utf-8")


def _lines(file: Path) -> Iterator[dict]:
    if file.exists():
        yield from (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())


def set_up(results: Path, data: Path) -> SimulationSetup:
    """The tiles of GlaS and its classifier, the features kept in RESULTS."""
    start = start_model(results, data, "glas")
    return finish(simulation_setup(data=data / "glas", model=start, work=results))


def run(setup: SimulationSetup, variant: Variant, seed: int) -> dict[str, float]:
    """Learn and measure once; `cpu_s` leaves out the pass of the backbone."""
    session = replace(PRESETS["quick"].session, first_per_class=4)
    settings = variant.settings()
    chosen = range(len(setup.pool)) if variant.kind == ALL_MASKS else first_state(setup, session, seed).annotated
    annotated = [setup.views(index, settings) for index in chosen]
    validation, test = ([] if variant.kind == "window" else setup.validation), setup.test
    decoder = setup.fresh_decoder(session, seed)
    torch.manual_seed(seed)
    began = time.process_time()
    finish(
        train_on_features(
            decoder, annotated=annotated, validation=validation, settings=settings, device=setup.device, seed=seed
        )
    )
    cpu = time.process_time() - began
    return {"dice": dice_figures(decoder, test, device=setup.device)["dice"], "cpu_s": round(cpu, 1)}


# --- the table --------------------------------------------------------------------------------------------------------


def table(lines: list[dict]) -> str:
    """A row for each variant: mean and spread of Dice, and seconds."""
    rows = ["| decoder | Dice | CPU s to learn | seeds |", "|---|---|---|---|"]
    for variant in variants():
        found = [line for line in lines if line["variant"] == variant.name]
        if found:
            dice = 100 * np.array([line["dice"] for line in found])
            spread = f" ± {dice.std():.1f}" if len(found) > 1 else ""
            seconds = np.mean([line["cpu_s"] for line in found])
            rows.append(f"| {variant.name} | {dice.mean():.1f}{spread} | {seconds:.0f} | {len(found)} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
