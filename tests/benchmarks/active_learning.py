"""Simulate sessions of active learning on GlaS and EBHI-Seg with all strategies, and write docs/active-learning.md.

    python tests/benchmarks/active_learning.py RESULTS [--data FOLDER] [--only glas] [--seeds 3] [--jobs 2] [--write]

RESULTS is a folder; what was stopped goes on there. FOLDER holds `glas/`, `ebhi-seg/` and
`weights/mobilenet_v2-imagenet.safetensors` (default: HISTOLOOP_DATA, else ../shared/data). With --write the part
between the marks of docs/active-learning.md is made anew from what is there, and the pictures beside it.

The reduced protocol: `histoloop simulate --preset quick` from the classifier that the recipe quick-wildcat makes of the
training part's labels (MobileNetV2 from ImageNet, half resolution).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from methods_table import reduced_recipe

from histoloop.exchange.curves import Curve, draw_curves

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "active-learning.md"
START = "<!-- curves: made by tests/benchmarks/active_learning.py -->"
END = "<!-- end of curves -->"

STRATEGIES = (
    "random", "random+propagation", "random+propagation-uncapped", "entropy", "k-center", "svm-margin", "cod",
    "mc-dropout", "vaal", "learned-loss", "random+consistency", "random+propagation+consistency",
    "entropy+propagation", "least-confidence", "margin", "ratio", "cod-softmax",
)  # fmt: skip
PAPER = {"random": "78.57", "entropy": "79.13", "mc-dropout": "77.92", "random+propagation-uncapped": "81.48"}
"""AUC over 25 rounds on GlaS, label-prop Tab. 3 (its k of 40 takes in all regions of a class)."""


@dataclass(frozen=True, slots=True)
class Field:
    title: str
    folder: str
    epochs: int | None


FIELDS = {
    "glas": Field("GlaS: pool from the official training part, measured on test A", "glas", None),
    "ebhi": Field("EBHI-Seg: pool from the training part, measured on the validation part by case", "ebhi-seg", 5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--only", choices=tuple(FIELDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else list(FIELDS):
        if options.seeds:
            simulate(options.results, options.data, name, options.strategies, options.seeds, options.jobs)
    if options.write:
        write(options.results)


def simulate(results: Path, data: Path, name: str, strategies: str, seeds: int, jobs: int | None) -> None:
    field, start = FIELDS[name], start_model(results, data, name)
    side_by_side = ["--jobs", jobs] if jobs else []
    _histoloop(
        "simulate", "--data", data / field.folder, "--model", start, "--strategies", strategies,
        "--seeds", seeds, "--json", results / f"{name}.json", *side_by_side,
    )  # fmt: skip


def start_model(results: Path, data: Path, name: str) -> Path:
    """The classifier that all sessions start from, made where it is not there."""
    field, start = FIELDS[name], results / f"{name}-start"
    if not start.exists():
        plan = results / "quick-wildcat.toml"
        plan.write_text(reduced_recipe("quick-wildcat", data), encoding="utf-8")
        epochs = ["--epochs", field.epochs] if field.epochs else []
        _histoloop("train", "--recipe", plan, "--data", data / field.folder, "--out", start, *epochs)
    return start


def _histoloop(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "histoloop", *map(str, arguments)], check=True)


def write(results: Path) -> None:
    parts = []
    for name, field in FIELDS.items():
        file = results / f"{name}.json"
        if not file.exists():
            parts.append(f"### {field.title}\n\nNot run yet.")
            continue
        content = json.loads(file.read_text(encoding="utf-8"))
        draw(PAGE.with_name("pictures") / f"active-learning-{name}.png", field, content)
        parts.append(section(name, field, content))
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START, 1)
    _old, after = rest.split(END, 1)
    PAGE.write_text(f"{before}{START}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}", encoding="utf-8")


def draw(path: Path, field: Field, content: dict) -> None:
    """The curves of all strategies, of as many seeds as are there."""
    curves = [
        Curve(
            way,
            annotated=tuple(curve["annotated"]),
            dice=tuple(
                tuple(one["dice"] for one in session["rounds"])
                for session in content["sessions"]
                if session["strategy"] == way
            ),
            seconds_training=curve["seconds_training"],
            seconds_asking=curve["seconds_asking"],
        )
        for way, curve in content["curves"].items()
    ]
    upper = sum(content["upper"]) / len(content["upper"])
    draw_curves(path, curves, lower=content["lower"], upper=upper, title=field.title)


def section(name: str, field: Field, content: dict) -> str:
    about, curves = content["about"], content["curves"]
    upper, lower = sum(content["upper"]) / len(content["upper"]), content["lower"]
    annotated = next(iter(curves.values()))["annotated"]
    seeds = {one: sum(session["strategy"] == one for session in content["sessions"]) for one in curves}
    goal = 0.9 * upper
    lines = [
        f"### {field.title}",
        "",
        f"{about['pool']} regions to ask about, {about['validation']} that choose epochs, {about['test']} that measure."
        f" Class maps without any mask {100 * lower:.1f}, all masks {100 * upper:.1f}; 90 % of that: {100 * goal:.1f}. "
        f"Mean Dice after {', '.join(map(str, annotated))} annotated regions.",
        "",
        f"![learning curves](pictures/active-learning-{name}.png)",
        "",
        f"| strategy | AUC | {' | '.join(map(str, annotated))} | 90 % at | seconds to learn | to ask | seeds | paper |",
        "|" + "---|" * (len(annotated) + 7),
    ]
    for way, curve in sorted(curves.items(), key=lambda item: -item[1]["auc"]["mean"]):
        cells = [f"{100 * mean:.1f} ± {100 * std:.1f}" for mean, std in zip(curve["mean"], curve["std"], strict=True)]
        reached = [count for count, mean in zip(annotated, curve["mean"], strict=True) if mean >= goal]
        auc = curve["auc"]
        paper = PAPER.get(way, "") if name == "glas" else ""
        lines.append(
            f"| {way} | {100 * auc['mean']:.1f} ± {100 * auc['std']:.1f} | {' | '.join(cells)} | "
            f"{reached[0] if reached else '-'} | {curve['seconds_training']:.0f} | {curve['seconds_asking']:.0f} | "
            f"{seeds[way]} | {paper} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
