"""Train and measure every way from a label to a mask on GlaS and EBHI-Seg, and write the table of docs/methods.md.

    python tests/benchmarks/methods_table.py RESULTS [--data FOLDER] [--seeds 0,1,2] [--only glas] [--write]

RESULTS is a folder: one JSON file for each finished run, so that a stopped benchmark goes on where it was. FOLDER holds
`glas/`, `ebhi-seg/` and `weights/mobilenet_v2-imagenet.safetensors` (default: HISTOLOOP_DATA, else ../shared/data).
With --write the tables between the marks of docs/methods.md are made anew from what is there.

The reduced protocol: MobileNetV2 from ImageNet at half resolution. GlaS: the quick recipes as they are (30 epochs), the
official training part less a fifth of its patients (validation), measured on test A. EBHI-Seg: 5 epochs, split by case,
measured on its validation part, which chooses nothing (the last epoch is kept).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START, END = "<!-- methods table: made by tests/benchmarks/methods_table.py -->", "<!-- end of methods table -->"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: which recipe, which drawing and rule, and what the paper has for it on GlaS."""

    title: str
    recipe: str
    method: str
    rule: str
    paper: str


ROWS = (
    Row("CAM, average", "quick-cam", "cam", "true-label", "68.43"),
    Row("Grad-CAM", "quick-cam", "grad-cam", "true-label", "68.48"),
    Row("Max", "quick-max", "cam", "true-label", "67.51"),
    Row("Log-sum-exp, q = 10", "quick-lse", "cam", "true-label", "65.61"),
    Row("WILDCAT", "quick-wildcat", "cam", "true-label", "68.62"),
    Row("Deep MIL, adapted", "quick-deep-mil", "attention", "true-label", "72.13"),
    Row("Deep MIL, adapted, gated", "quick-deep-mil-gated", "attention", "true-label", ""),
    Row("Multi-class deep MIL, d = 0.1", "quick-multi-class-mil", "cam", "true-label", ""),
    Row("Min-max, u = 0", "quick-min-max-u0", "min-max", "", "F1+ 39.99, F1- 65.30"),
    Row("Min-max, u = 4", "quick-min-max", "min-max", "", "F1+ 72.54, F1- 66.51"),
    Row("Min-max, u = 4, as its authors' code", "quick-min-max-code", "min-max", "", ""),
    Row("Size: Jia et al.", "quick-size-jia", "sigmoid", "true-label", "72.58"),
    Row("Size: KL", "quick-size-kl", "size", "", "75.72"),
    Row("Size: L2", "quick-size-l2", "size", "", "75.04"),
    Row("Size: adaptive", "quick-size-adaptive", "size", "", "79.07"),
    Row("Hybrid, all masks, frozen", "quick-hybrid", "decoder", "", "86.53"),
    Row("U-Net, all masks", "quick-unet", "decoder", "", "90.54"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """A data set of the benchmark."""

    title: str
    folder: str
    part: str
    epochs: int | None


FIELDS = {
    "glas": Field("GlaS, official training part to test A", "glas", "test", None),
    "ebhi": Field("EBHI-Seg, training to validation by case", "ebhi-seg", "val", 5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--only", choices=tuple(FIELDS))
    parser.add_argument("--recipes", help="only these, with commas between")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    recipes = options.recipes.split(",") if options.recipes else list(dict.fromkeys(row.recipe for row in ROWS))
    for seed in map(int, options.seeds.split(",") if options.seeds else ()):
        for field in [options.only] if options.only else list(FIELDS):
            for recipe in recipes:
                run(options.results, options.data, field, recipe, seed)
    if options.write:
        write(options.results)


def run(results: Path, data: Path, name: str, recipe: str, seed: int) -> None:
    """Train and measure once, unless that has been done."""
    done, field = results / f"{name}-{recipe}-{seed}.json", FIELDS[name]
    if done.exists():
        return
    model = results / "models" / f"{name}-{recipe}-{seed}"
    model.parent.mkdir(exist_ok=True)
    started = time.monotonic()
    if not model.exists():
        plan = results / "models" / f"{recipe}.toml"
        plan.write_text(reduced_recipe(recipe, data), encoding="utf-8")
        train = ["train", "--recipe", plan, "--data", data / field.folder, "--out", model, "--seed", seed]
        _histoloop(*train, *(["--epochs", field.epochs] if field.epochs else []))
    minutes = (time.monotonic() - started) / 60
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "table.json"
        pictures = ["--pictures", results / "pictures" / model.name] if seed == 0 else []
        _histoloop(
            "evaluate",
            "--model",
            model,
            "--data",
            data / field.folder,
            "--split",
            field.part,
            "--json",
            table,
            *pictures,
        )
        content = json.loads(table.read_text(encoding="utf-8"))
    content["minutes"] = round(minutes, 1)
    beside = done.with_suffix(".partial")
    beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
    beside.replace(done)
    print(f"{done.name}: {minutes:.1f} minutes", flush=True)


def reduced_recipe(recipe: str, data: Path) -> str:
    """The recipe from the weights that lie with the data: the shipped ones download torchvision's."""
    weights = (data / "weights" / "mobilenet_v2-imagenet.safetensors").resolve().as_posix()
    middle = "[0.50196, 0.50196, 0.50196]"  # its input is (x - 128) / 128
    named = f'name = "{recipe}"\ndescription = "{recipe} from weights that lie with the data"\n'
    return f'extends = "{recipe}"\n{named}[network]\nweights = "{weights}"\nmean = {middle}\nstd = {middle}\n'


def _histoloop(*arguments: object) -> None:
    command = [sys.executable, "-m", "histoloop", *map(str, arguments), "--device", "auto"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")


# --- the table --------------------------------------------------------------------------------------------------------

COLUMNS = {
    "error": "error",
    "f1_foreground": "F1+",
    "f1_background": "F1-",
    "dice_pooled": "pooled Dice",
    "dice_classes": "class Dice",
}


def write(results: Path) -> None:
    """Put the tables between the marks of docs/methods.md."""
    page = ROOT / "docs" / "methods.md"
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _old, after = rest.split(END)
    tables = "\n".join(table(results, name) for name in FIELDS if any(results.glob(f"{name}-*.json")))
    page.write_text(f"{before}{START}\n\n{tables}\n{END}{after}", encoding="utf-8")


def table(results: Path, name: str) -> str:
    """One data set's table; percent, mean and, from three seeds on, standard deviation."""
    paper = "paper" if name == "glas" else ""
    head = ["method", "masks", *COLUMNS.values(), "seeds", "minutes", *([paper] if paper else [])]
    lines = [f"### {FIELDS[name].title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [_line(results, name, Row("All foreground", ROWS[0].recipe, "all foreground", "", "66.01"), paper)]
    there = [row for row in ROWS if any(results.glob(f"{name}-{row.recipe}-[0-9]*.json"))]
    lines += [_line(results, name, row, paper) for row in there]
    if missing := [row.title for row in ROWS if row not in there]:
        lines += ["", f"Not run yet: {'; '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _line(results: Path, name: str, row: Row, paper: str) -> str:
    runs = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(results.glob(f"{name}-{row.recipe}-[0-9]*.json"))
    ]
    found = [figures for run in runs for figures in _figures(run, row)]
    cells = [_percent([figures.get(column) for figures in found]) for column in COLUMNS]
    minutes = f"{statistics.median(run['minutes'] for run in runs):.0f}" if runs else "-"
    last = [row.paper or "-"] if paper else []
    return f"| {' | '.join([row.title, row.rule or '-', *cells, str(len(runs)), minutes, *last])} |"


def _figures(run: dict, row: Row) -> list[dict]:
    return [
        one["figures"] for one in run["rows"] if one["method"].endswith(row.method) and one["rule"] == row.rule
        and one["method"] in (row.method, f"{run['about']['model']}: {row.drawing}")
    ]  # fmt: skip


def _percent(values: list[float | None]) -> str:
    known = [100 * value for value in values if value is not None]
    if not known:
        return "-"
    spread = f" ± {statistics.stdev(known):.1f}" if len(known) > 2 else ""
    return f"{statistics.mean(known):.1f}{spread}"


if __name__ == "__main__":
    main()
