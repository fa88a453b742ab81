"""Label propagation (label-prop, Algorithm 1) and strategies beside random questions, with decoders that have settled.

    python tests/benchmarks/propagation.py RESULTS [--data FOLDER] [--only glas] [--views 1,4] [--crop 96] [--seeds 3]
        [--rounds 2] [--strategies random,random+propagation] [--full] [--write]

RESULTS is a folder: `glas-start` is the classifier of tests/benchmarks/active_learning.py (made where it is not there),
`propagation.jsonl` has a line for each round of a session that is done, and `sessions` what the next round begins with,
so that a stopped benchmark goes on where it was, and more rounds can be asked for. With --write the table between the
marks of docs/active-learning.md is made anew from what is there, and the picture beside it.

The protocol: kept features of a frozen network, on GlaS that classifier at half resolution, on EBHI-Seg the shipped
ImageNet encoder; decoders of 360 steps from theta_0, batches of 4 crops of 96 px (--crop: another size, the
paper's 416 at full resolution being 192 or 224 here), the epoch chosen on the validation tiles; two rounds in place of
the paper's 25. `1 view`: annotated tiles as they are, the paper's regime; `4 views`: also
turned, flipped and with another stain, as the program has it. With --full a decoder of twice as many steps and 4 views
learns from all masks of the pool.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from active_learning import FIELDS, start_model
from bench.pages import put_between

from histoloop.acquisition.learning_curve import area_under_curve
from histoloop.progress import finish
from histoloop.threads import wait_without_spinning
from histoloop.workflows.experiments.sessions import State, Way, advance, first_state, full_supervision
from histoloop.workflows.experiments.simulate import PRESETS, simulation_setup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.workflows.experiments.sessions import SessionSettings, SimulationSetup

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "active-learning.md"
PICTURE = PAGE.with_name("pictures") / "propagation.png"
START = "<!-- propagation: made by tests/benchmarks/propagation.py -->"
END = "<!-- end of propagation -->"


@dataclass(frozen=True, slots=True)
class Budget:
    """Regions of each class that are annotated at first, and in each later round."""

    first: int
    later: int
    text: str


BUDGETS = {
    "glas": Budget(4, 4, "GlaS, 4 of each class at first, then 4 more"),
    "ebhi": Budget(1, 1, "EBHI-Seg, 1 of each class at first, then 1 more"),
}
EPOCHS, STEPS_PER_EPOCH = 24, 15
SMALL = 96
TEST, FULL_STEPS = 120, 2
ALL_MASKS = "all masks"
ENCODER = "general-mobilenetv2"


def settings_of(name: str, *, views: int, crop_px: int, rounds: int) -> SessionSettings:
    base = PRESETS["quick"].session
    loop = replace(base.learn.loop, epochs=EPOCHS, precision="bfloat16", validate_every=6)
    learn = replace(base.learn, loop=loop, steps_per_epoch=STEPS_PER_EPOCH, views=views, crop_px=crop_px)
    budget = BUDGETS[name]
    return replace(base, rounds=rounds, first_per_class=budget.first, per_class=budget.later, learn=learn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--only", choices=tuple(FIELDS))
    parser.add_argument("--views", default="1,4")
    parser.add_argument("--crop", type=int, default=SMALL)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--strategies", default="random,random+propagation")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    (options.results / "sessions").mkdir(parents=True, exist_ok=True)
    file = options.results / "propagation.jsonl"
    done = {(*_session(line), line["number"]) for line in lines_of(file)}
    for name in [options.only] if options.only else list(FIELDS):
        wanted = [
            (name, int(views), options.crop, strategy, seed)
            for seed in range(options.seeds)
            for views in options.views.split(",")
            for strategy in options.strategies.split(",")
        ]
        if options.full:
            wanted = [(name, 4, options.crop, ALL_MASKS, seed) for seed in range(options.seeds)]
        if missing := [one for one in wanted if (*one, 1 if options.full else options.rounds) not in done]:
            setup = _setup(options.results, options.data, name)
            for _name, views, _crop, strategy, seed in missing:
                for line in run(options, setup, name, views=views, strategy=strategy, seed=seed):
                    with file.open("a", encoding="utf-8") as opened:
                        opened.write(json.dumps(line) + "\n")
                    print(json.dumps(line), flush=True)
    if options.write:
        write(lines_of(file))


def lines_of(file: Path) -> list[dict]:
    """A line for each round of each session, of equals the last; none where there is no file."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    found = [json.loads(line) for line in text.splitlines()]
    return list({(*_session(line), line["number"]): line for line in found}.values())


def _session(line: dict) -> tuple[str, int, int, str, int]:
    return line["data"], line["views"], line.get("crop_px", SMALL), line["strategy"], line["seed"]


def _setup(results: Path, data: Path, name: str) -> SimulationSetup:
    start = start_model(results, data, name) if name == "glas" else ROOT / "models" / ENCODER
    settings = replace(PRESETS["quick"], test=TEST)
    return finish(simulation_setup(data=data / FIELDS[name].folder, model=start, work=results, settings=settings))


def run(
    options: argparse.Namespace, setup: SimulationSetup, name: str, *, views: int, strategy: str, seed: int
) -> Iterator[dict]:
    """The rounds of a session that are not there yet, each when it is done."""
    settings = settings_of(
        name, views=views, crop_px=options.crop, rounds=options.rounds + 1
    )  # the last one asks too: more may follow
    about = {"data": name, "views": views, "crop_px": options.crop, "strategy": strategy, "seed": seed}
    if strategy == ALL_MASKS:
        reached = finish(full_supervision(setup, replace(settings, full_steps=FULL_STEPS), seed))
        yield about | {"number": 1, "annotated": len(setup.pool), "dice": reached}
        return
    kept = options.results / "sessions" / f"{name}-{views}-{strategy}-{seed}{_of_crop(options.crop)}.pt"
    state = first_state(setup, settings, seed)
    if kept.exists():
        content = torch.load(kept, weights_only=True)
        decoder = setup.fresh_decoder(settings, seed)
        decoder.load_state_dict(content.pop("decoder"))
        state = State(**content, decoder=decoder)
    while state.round < options.rounds:
        began = time.process_time()
        state, found = finish(advance(setup, Way.parse(strategy), state, settings, seed))
        cpu_s = round(time.process_time() - began, 1)
        yield about | found.as_json() | {"cpu_s": cpu_s}
        assert state.decoder is not None
        numbers = {"annotated": state.annotated, "pseudo": state.pseudo, "round": state.round}
        torch.save(numbers | {"threshold": state.threshold, "decoder": state.decoder.state_dict()}, kept)


def _of_crop(crop_px: int) -> str:
    return "" if crop_px == SMALL else f"-{crop_px}"


# --- the table and the picture ----------------------------------------------------------------------------------------


def write(lines: list[dict]) -> None:
    """Put the table between the marks of the page, and draw the picture."""
    groups = {
        key: [line for line in lines if _session(line)[:3] == key]
        for key in sorted({_session(line)[:3] for line in lines}, key=lambda key: (list(FIELDS).index(key[0]), key))
    }
    draw(groups)
    picture = f"![Mean Dice over annotated regions](pictures/{PICTURE.name})"
    tables = "\n\n".join(table(*key, group) for key, group in groups.items())
    put_between(PAGE, START, END, f"{picture}\n\n{tables}")


def table(name: str, views: int, crop_px: int, lines: list[dict]) -> str:
    """A row for each strategy: Dice with so many regions, and AUC; beside each the difference from random, by seed."""
    full = [100 * line["dice"] for line in lines if line["strategy"] == ALL_MASKS]
    lines = [line for line in lines if line["strategy"] != ALL_MASKS]
    counts = sorted({line["annotated"] for line in lines})
    figures = {f"{count} regions": figures_of(lines, number) for number, count in enumerate(counts)}
    if len(counts) > 1:
        figures["AUC"] = figures_of(lines, None)
    head = ["strategy", *(cell for title in figures for cell in (title, "against random")), "seeds"]
    title = f"{BUDGETS[name].text}; {views} view{'s' * (views > 1)} of each, crops of {crop_px} px:"
    rows = [title, "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for strategy in dict.fromkeys(line["strategy"] for line in lines):
        cells = []
        for of_strategy in figures.values():
            found, at_random = of_strategy.get(strategy, {}), of_strategy.get("random", {})
            paired = [found[seed] - at_random[seed] for seed in found if seed in at_random]
            cells += [_cell(list(found.values())), "" if strategy == "random" else _cell(paired, sign="+")]
        seeds = len({line["seed"] for line in lines if line["strategy"] == strategy})
        rows.append(f"| {' | '.join([strategy, *cells, str(seeds)])} |")
    if full:
        shares = [100 * value / statistics.mean(full) for value in figures_of(lines, 0)["random"].values()]
        rows += [
            "",
            f"All masks of the pool: {_cell(full)} ({len(full)} seeds). Random questions reach {_cell(shares)} %",
        ]
        rows[-1] += f" of that with {counts[0]} regions."
    return "\n".join(rows)


def figures_of(lines: list[dict], number: int | None) -> dict[str, dict[int, float]]:
    """Dice in percent of the `number`-th round, or the AUC of all, by strategy and seed, where they are there."""
    rounds = max(line["number"] for line in lines)
    found: dict[str, dict[int, list[float]]] = {}
    for line in sorted(lines, key=lambda one: one["number"]):
        found.setdefault(line["strategy"], {}).setdefault(line["seed"], []).append(100 * line["dice"])
    return {
        strategy: {
            seed: area_under_curve(curve) if number is None else curve[number]
            for seed, curve in of_strategy.items()
            if len(curve) > (rounds - 1 if number is None else number)
        }
        for strategy, of_strategy in found.items()
    }


def _cell(values: Sequence[float], *, sign: str = "") -> str:
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.1f}{spread}"


def draw(groups: dict[tuple[str, int, int], list[dict]]) -> None:
    """Curves of each strategy, a panel a group; bars are one standard deviation."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(groups), 3.6), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)
    for panel, ((name, views, crop_px), all_lines) in zip(axes[0], groups.items(), strict=True):
        full = [100 * line["dice"] for line in all_lines if line["strategy"] == ALL_MASKS]
        lines = [line for line in all_lines if line["strategy"] != ALL_MASKS]
        if full:
            panel.axhline(statistics.mean(full), color="0.5", ls="--", label="all masks")
        counts = sorted({line["annotated"] for line in lines})
        for place, strategy in enumerate(dict.fromkeys(line["strategy"] for line in lines)):
            rounds = [list(figures_of(lines, number).get(strategy, {}).values()) for number in range(len(counts))]
            there = [number for number, values in enumerate(rounds) if values]
            means = [statistics.mean(rounds[number]) for number in there]
            spreads = [statistics.stdev(rounds[number]) if len(rounds[number]) > 1 else 0 for number in there]
            beside = [counts[number] + 0.15 * place for number in there]
            panel.errorbar(beside, means, yerr=spreads, marker="o", capsize=3, label=strategy)
        panel.set(
            title=f"{FIELDS[name].title.split(':')[0]}, {views} view{'s' * (views > 1)}, {crop_px} px",
            xlabel="annotated regions",
            xticks=counts,
            xlim=(counts[0] - 2, counts[-1] + 2),
        )
        panel.grid(alpha=0.3)
    axes[0][0].set_ylabel("mean Dice, %")
    for panel in axes[0]:
        panel.legend(fontsize=8)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    wait_without_spinning()
    main()
