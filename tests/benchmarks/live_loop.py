"""How fast and how well the live loop learns: light decoders on kept features of GlaS, and the window's own times.

    python tests/benchmarks/live_loop.py RESULTS [--data FOLDER] [--only NAME ...] [--write]

A decoder learns on the kept features of pictures of GlaS' training part, painted as in pixel_classes.py, and is
measured on every third picture of test A: Dice pooled over pixels, of the foreground and of the classes in the mean,
against the processor's seconds (of two threads) that the learning took. RESULTS is a folder with a file for each
trial; what is there already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pixel_classes
import torch

from histoloop.annotations.records import AnnotationStatus, Origin
from histoloop.geometry import Region
from histoloop.inference.features import decode, probability
from histoloop.localisation.stitcher import hard_mask
from histoloop.networks.unet import Decoder
from histoloop.progress import finish
from histoloop.store.files import write_beside
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.training.cached import CachedSettings, train_on_features
from histoloop.training.features import FeatureTile
from histoloop.training.loop import LoopSettings
from histoloop.training.measures.metrics import class_figures
from histoloop.training.samples import foreground, values_of
from histoloop.workflows.contents.live_masks import LiveProgress
from histoloop.workflows.live.learner import LiveLearner
from histoloop.workflows.live.tile_features import coarse
from histoloop.workflows.projects import create_project, import_slides
from histoloop.workflows.regions.kept_features import KeptFeatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.progress import Progress
    from histoloop.store.project import Project
    from histoloop.training.samples import TrainingTile

HERE = Path(__file__).resolve().parent
WITH_DISPLAY = HERE.parents[1] / "packaging" / "with_display.sh"
PAGE = HERE.parents[1] / "docs" / "results.md"
START, END = "<!-- live loop: made by tests/benchmarks/live_loop.py -->", "<!-- end of live loop -->"
THREADS = 1
SIDE = 300
WINDOW_REGIONS = (8, 50)
CPU = torch.device("cpu")
STAGES = (64, 64, 128, 256, 512)
EVERY = 3
"""Every third picture of test A measures."""


@dataclass(frozen=True)
class Trial:
    """A decoder's widths, how it learns, and from how many regions.

    `grown` are numbers of regions after each of which it learned so many steps before, from the last (a warm start).
    `model` masks of so many other pictures are learned from too, with a weight.
    """

    name: str
    widths: tuple[int, ...] = (48, 32, 24)
    crop: int = 256
    batch: int = 4
    rate: float = 3e-3
    steps: int = 120
    regions: int = 8
    views: int = 2
    seed: int = 0
    classes: int = 2
    precision: str = "float32"
    loss: str = "bce+dice"
    grown: tuple[int, ...] = ()
    newest: int = 0
    taught: int = 0
    taught_steps: int = 0
    weight: float = 0.0


BEST = {"widths": (32, 24, 16), "crop": 128, "batch": 8, "steps": 60}
COUNTS = (1, 2, 4, 8, 16, 50)

SEARCH = [
    Trial("as chosen", **BEST),
    Trial("stride 4, wider", **BEST | {"widths": (48, 32, 24)}),
    Trial("stride 2", **BEST | {"widths": (32, 24, 16, 12)}),
    Trial("stride 8", **BEST | {"widths": (32, 24)}),
    Trial("batches of 4", **BEST | {"batch": 4}),
    Trial("crops of 256, batches of 4", **BEST | {"crop": 256, "batch": 4}),
    Trial("30 steps", **BEST | {"steps": 30}),
    Trial("120 steps", **BEST | {"steps": 120}),
    Trial("360 steps", **BEST | {"steps": 360}),
    Trial("rate 0.01", **BEST | {"rate": 1e-2}),
    Trial("one view", **BEST | {"views": 1}),
    Trial("four views", **BEST | {"views": 4}),
]
COLD = [Trial(f"cold {count}", **BEST | {"regions": count}) for count in COUNTS]
WARM = [
    Trial("warm 50", **BEST | {"regions": 50, "steps": 60}, grown=(1, 2, 4, 8, 16), newest=3),
    Trial("taught 8", **BEST | {"regions": 8}, grown=(1, 2, 4), newest=3, taught=24, taught_steps=180),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("HISTOLOOP_DATA", pixel_classes.ROOT.parent / "shared/data"))
    )
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--write", action="store_true", help="make the part of docs/results.md anew")
    parser.add_argument("--updates", action="store_true", help="measure updates on a real slide, and nothing else")
    parser.add_argument("--window", action="store_true", help="measure the window's times, and nothing else")
    options = parser.parse_args()
    if options.write:
        write(options.results)
        return
    if options.updates:
        torch.set_num_threads(THREADS)
        updates(options.results, options.data / "slides" / "CMU-1-Small-Region.svs")
        return
    if options.window:
        window(options.results, options.data / "slides" / "CMU-1-Small-Region.svs")
        return
    torch.set_num_threads(THREADS)
    options.results.mkdir(parents=True, exist_ok=True)
    learn(
        options.results,
        options.data,
        [trial for trial in (*SEARCH, *COLD, *WARM) if not options.only or trial.name in options.only],
    )


# --- learning ---------------------------------------------------------------------------------------------------------


def learn(results: Path, data: Path, trials: Sequence[Trial]) -> None:
    """Each trial that is not there yet, a file each."""
    wanted = [trial for trial in trials if not (results / f"{trial.name.replace(' ', '-')}.json").exists()]
    if not wanted:
        return
    bench = pixel_classes.prepare(results, data / "glas")
    kept = KeptFeatures(bench.start, bench.cache, key=bench.start.hash)
    numbers = {tile.name: number for number, tile in enumerate(bench.pool)}
    test = [
        (kept.of(tile.name, lambda tile=tile: tile, seed=number), values_of(tile.mask))
        for number, tile in enumerate(bench.test)
        if number % EVERY == 0 and tile.mask is not None
    ]

    def views(tiles: Sequence[TrainingTile], trial: Trial) -> list[list[FeatureTile]]:
        stages = len(trial.widths) + 1
        found = [
            [
                replace(one, features=coarse(one.features, stages))
                for one in kept.views(tile.name, tile, seed=numbers[tile.name], count=trial.views, stain=0.06)
            ]
            for tile in tiles
        ]
        if trial.classes > 1:
            return found
        return [[FeatureTile(one.features, foreground(one.mask), known=one.known) for one in tile] for tile in found]

    for trial in wanted:
        torch.manual_seed(trial.seed)
        decoder = Decoder(STAGES, trial.widths, mask_classes=trial.classes)
        pseudo: list[FeatureTile] = []
        if trial.taught:
            others = bench.pool[:: max(1, len(bench.pool) // trial.taught)][: trial.taught]
            for tile in others:
                mask = bench.start.predict_classes(tile.pixels)
                features = kept.of(tile.name, lambda tile=tile: tile, seed=numbers[tile.name])
                features = coarse(features, len(trial.widths) + 1)
                pseudo.append(FeatureTile(features, mask if trial.classes > 1 else mask > 0))
            if trial.taught_steps:
                seconds = run(decoder, [[one] for one in pseudo], [], trial, trial.taught_steps)
                report(results, f"{trial.name}-taught", decoder, test, seconds, trial)
        for number, count in enumerate((*trial.grown, trial.regions)):
            tiles = bench.regions(trial.seed, count) if count else []
            annotated = views(tiles, trial)
            annotated += annotated[-1:] * trial.newest
            seconds = run(decoder, annotated, pseudo if trial.weight else [], trial, trial.steps, seed=number)
            last = number == len(trial.grown)
            report(results, trial.name if last else f"{trial.name}-at-{count}", decoder, test, seconds, trial)


def run(decoder, annotated, pseudo, trial: Trial, steps: int, *, seed: int = 0) -> tuple[float, float]:
    """Learn so many steps; seconds on the wall and of the processor."""
    settings = CachedSettings(
        loop=LoopSettings(
            epochs=1, batch_size=trial.batch, learning_rate=trial.rate, warmup_epochs=0, precision=trial.precision
        ),
        steps_per_epoch=steps,
        loss=trial.loss,
        crop_px=trial.crop,
        views=trial.views,
        pseudo_weight=trial.weight * len(annotated) / max(1, len(pseudo)),
    )
    wall, cpu = time.monotonic(), time.process_time()
    finish(
        train_on_features(
            decoder, annotated=annotated, pseudo=pseudo, settings=settings, device=CPU, seed=trial.seed + seed
        )
    )
    return time.monotonic() - wall, time.process_time() - cpu


def report(results: Path, name: str, decoder: Decoder, test, seconds: tuple[float, float], trial: Trial) -> None:
    decoder.eval()
    started = time.process_time()
    pairs = []
    for features, mask in test:
        found = hard_mask(probability(decode(decoder, features, device=CPU)), threshold=0.5)
        pairs.append(
            (
                found if decoder.mask_classes > 1 else found.astype(np.uint8),
                mask if decoder.mask_classes > 1 else (mask > 0).astype(np.uint8),
            )
        )
    figures = class_figures(pairs, mask_classes=decoder.mask_classes)
    row = asdict(trial) | {
        "name": name,
        "foreground": figures["pooled_dice"],
        "macro": figures["class_dice"],
        "wall": seconds[0],
        "cpu": seconds[1],
        "decode_cpu": (time.process_time() - started) / len(test),
        "parameters": sum(tensor.numel() for tensor in decoder.parameters()),
    }
    write_beside(results / f"{name.replace(' ', '-')}.json", json.dumps(row, indent=1) + "\n")
    dice = f"foreground {100 * row['foreground']:.1f} mean {100 * row['macro']:.1f}"
    print(f"{name:28s} {dice} cpu {row['cpu']:.1f} s, a picture {row['decode_cpu']:.3f} s", flush=True)


# --- from Done to new masks -------------------------------------------------------------------------------------------


def updates(results: Path, slide: Path) -> None:
    """What an update costs on a real slide, from what is finished to new masks in a view of 900 x 700 pixels."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        project = create_project(Path(scratch) / "project", name="Live", start=DEFAULT_MODEL)
        finish(import_slides(project, [slide]))
        learner, painted = LiveLearner(device="cpu"), 0
        for count in WINDOW_REGIONS:
            while painted < count:
                if painted == count - 1:
                    update(learner, project)
                paint(project, painted)
                painted += 1
            row = update(learner, project) | {"annotated": painted}
            rows.append(row | {"mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024})
            print(rows[-1], flush=True)
        project.close()
    write_beside(results / "updates.json", json.dumps({"updates": rows}, indent=1) + "\n")


def update(learner: LiveLearner, project: Project) -> dict[str, float]:
    """Seconds on the wall and of the processor until the view is new, and the load of the machine."""
    wall, cpu, found = time.monotonic(), time.process_time(), {}

    def note(step: Progress) -> None:
        if isinstance(step, LiveProgress) and step.in_view and not found:
            found.update(wall=time.monotonic() - wall, cpu=time.process_time() - cpu)

    slide_id = project.slides.all()[0].id
    report = finish(learner.update(project, slide_id=slide_id, view=Region(300, 300, 900, 700)), note)
    return found | {"learned": report.regions, "load": os.getloadavg()[0]}


def paint(project: Project, number: int) -> None:
    """A disc of one of two classes in the square of a number."""
    columns = project.slides.all()[0].width // SIDE
    place = Region(number % columns * SIDE, number // columns * SIDE, SIDE, SIDE)
    rows, across = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    mask = np.where(rows**2 + across**2 < (0.37 * SIDE) ** 2, 1 + number % 2, 0).astype(np.uint8)
    slide_id = project.slides.all()[0].id
    draft = project.drafts.start(slide_id, place, mask=mask, origin_model=None, person="b", origin=Origin.HUMAN)
    project.drafts.finish(draft.id, AnnotationStatus.DONE)


# --- the window -------------------------------------------------------------------------------------------------------


def window(results: Path, slide: Path) -> None:
    """From Done to new masks in view, with 8 and with 50 annotated regions; the last of them is finished in the window.

    In a process of its own, which loads no torch (it would not go together with a software OpenGL), on a display lent
    to it where there is none.
    """
    results.mkdir(parents=True, exist_ok=True)
    for regions in WINDOW_REGIONS:
        path = results / f"window-{regions}.json"
        if not path.exists():
            script = [sys.executable, str(HERE / "live_loop_window.py"), str(slide), str(regions), str(path)]
            subprocess.run(["bash", str(WITH_DISPLAY), *script], check=True)
        print(path.read_text(encoding="utf-8"), flush=True)


# --- the tables -------------------------------------------------------------------------------------------------------


def write(results: Path) -> None:
    """The part between the marks, of what is there."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]
    learned = {row["name"]: row for row in found if "foreground" in row}
    lines = ["| regions | begun | foreground | mean of classes | s to learn |", "|---|---|---|---|---|"]
    for count in COUNTS:
        warm = "warm 50" if count == COUNTS[-1] else f"warm 50-at-{count}"
        cold = "as chosen" if count == 8 else f"cold {count}"
        lines += [line(learned[name], count, how) for name, how in ((cold, "anew"), (warm, "warm")) if name in learned]
    lines += ["", "| 8 regions | foreground | mean of classes | s to learn | s a picture |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['name']} | {percent(row)} | {row['cpu']:.1f} | {row['decode_cpu']:.3f} |"
        for trial in SEARCH
        if (row := learned.get(trial.name))
    ]
    of_updates = [row for one in found for row in one.get("updates", ())]
    if of_updates:
        lines += ["", "| annotated regions | learned from | Done to new masks, s | s of one core | MiB | load |"]
        lines += ["|---|---|---|---|---|---|"]
    for row in of_updates:
        cells = (row["annotated"], row["learned"], f"{row['wall']:.1f}", f"{row['cpu']:.1f}", row["mib"])
        lines.append(f"| {' | '.join(map(str, cells))} | {row['load']:.0f} |")
    windows = [row for row in found if "runs" in row]
    if windows:
        lines += ["", "| window: annotated regions | Done to masks drawn, s | s of one core | child, MiB | load |"]
        lines += ["|---|---|---|---|---|"]
    for row in sorted(windows, key=lambda row: row["regions"]):
        runs = [run for run in row["runs"] if not run["held_out"]]
        walls, loads = ([f"{run[key]:.1f}" for run in runs] for key in ("wall_s", "load"))
        cpus = [f"{run['window_cpu_s']:.1f} + {run['child_cpu_s']:.1f}" for run in runs]
        cells = (row["regions"], ", ".join(walls), ", ".join(cpus), row["child_mib"], ", ".join(loads))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START, 1)
    _old, after = rest.split(END, 1)
    PAGE.write_text(f"{before}{START}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


def line(row: dict[str, Any], count: int, how: str) -> str:
    return f"| {count} | {how} | {percent(row)} | {row['cpu']:.1f} |"


def percent(row: dict[str, Any]) -> str:
    return f"{100 * row['foreground']:.1f} | {100 * row['macro']:.1f}"


if __name__ == "__main__":
    main()
