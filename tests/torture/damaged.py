"""Damaged inputs: each ends with words, soon, in little memory, and touches nothing but the project."""

from __future__ import annotations

import os
import random
import resource
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.cli import main

from . import shim
from .checks import HALF, LOST, OTHER, find_broken, map_digest
from .children import run
from .mutate import damage_bytes, damage_database, damage_text
from .trials import LARGEST_MB, LONGEST_S, judged, result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .children import Ended
    from .scenes import Place
    from .trials import Bench, Result, Trial

MORE_ADDRESSES = 6 * 1024**3
"""What a command may ask for beyond what it has: enough to see the peak, too little to bring the machine down."""

Command = list[object]


def damaged(bench: Bench, trial: Trial) -> Result:
    """Damage one file by chance, and use it."""
    rng = random.Random(trial.settings["seed"])
    with bench.place() as place:
        place.temporary.mkdir(parents=True)
        command, done = INPUTS[trial.scene](place, rng)
        before = _files_of(place.folder / "bystander")
        outside = place.folder / "outside"
        ended = run(_watched(place, command, outside), place.folder, timeout=LONGEST_S + 15)
        what = f"{done}: {' '.join(map(str, command))[:200]}"
        problems = judged(ended, what)
        if ended.seconds > LONGEST_S and not ended.late:
            problems.append((OTHER, f"{what}: {ended.seconds:.0f} s"))
        if ended.megabytes > LARGEST_MB:
            problems.append((OTHER, f"{what}: {ended.megabytes:.0f} MB"))
        if ended.code in (4, 130, 143):
            problems.append((OTHER, f"{what}: exit code {ended.code}"))
        problems += [
            (HALF, f"{what}: exit code 0, and {words}") for words in _taken_for_whole(place, ended, done, command)
        ]
        touched = outside.read_text().splitlines() if outside.exists() else []
        problems += [(OTHER, f"{what}: outside of the project: {line}") for line in sorted(set(touched))[:3]]
        if before != _files_of(place.folder / "bystander"):
            problems.append((LOST, f"{what}: a file outside of the project is not as it was"))
        if trial.scene in HARMLESS_TO_PROJECTS and place.project.exists():
            problems += bench.look(place, lambda there: find_broken(there.project))
    return result_of(trial, problems, ended)


def _watched(place: Place, command: Command, outside: Path) -> Callable[[], int]:
    def work() -> int:
        file = os.open(outside, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        allowed = [place.disk, place.folder / "home", place.folder.parent / "nothing"]
        shim.log_others(file, [*(each.resolve() for each in allowed), *_devices()])
        with open("/proc/self/statm", encoding="ascii") as sizes:
            now = int(sizes.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MORE_ADDRESSES, now + MORE_ADDRESSES))
        return main([str(each) for each in command])

    return work


def _taken_for_whole(place: Place, ended: Ended, done: str, command: Command) -> list[str]:
    """What a command that reported success should have noticed."""
    found = []
    if ended.code != 0:
        return found
    if done.startswith("weights of a project"):
        found.append("the weights are not those of the hash in the database")
    if done.startswith("map: ") and command[0] == "export":
        folder = place.project / "maps" / done.removeprefix("map: ").split("/")[0]
        try:
            map_digest(folder)
        except Exception as error:
            found.append(f"the map cannot be read ({type(error).__name__})")
    summary = place.out / "summary.csv"
    if command[0] == "predict" and summary.exists() and ",nan" in summary.read_text(encoding="utf-8"):
        found.append("a probability that is no number")
    return found


def _devices() -> list[Path]:
    return [Path(name) for name in ("/dev/null", "/dev/tty", "/dev/shm", "/proc/self", "/dev/urandom")]


def _files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- what is damaged, and the command that uses it --------------------------------------------------------------------


def _project(place: Place, stage: str) -> Path:
    shutil.copytree(place.material.project(stage), place.project)
    bystander = place.folder / "bystander"
    bystander.mkdir()
    (bystander / "notes.txt").write_text("not ours\n", encoding="utf-8")
    (place.disk / "passwd").symlink_to(bystander / "notes.txt")
    return place.project


def _damaged_copy(
    source: Path, folder: Path, rng: random.Random, damage: Callable[[bytes, random.Random], bytes]
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / source.name
    content = damage(source.read_bytes(), rng)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return path


def _a_file(folder: Path, rng: random.Random, *endings: str) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file() and (not endings or path.suffix in endings))
    return rng.choice(files)


def _slide(place: Place, rng: random.Random) -> tuple[Command, str]:
    source = _a_file(place.material.kinds_of_slides, rng)
    path = _damaged_copy(source, place.disk / "input", rng, damage_bytes)
    if rng.random() < 0.6:
        _project(place, "imported")
        return ["import", place.project, path], source.name
    return ["predict", path, "--out", place.out, "--model", place.material.model, "--device", "cpu"], source.name


def _annotate(place: Place, path: Path, rng: random.Random) -> Command:
    command: Command = ["annotate", place.project, "--slide", "a.tiff", "--mask", path]
    if rng.random() < 0.7:
        command += ["--map-class", "inner=-", "--mask-class", "gland"]
    return command


def _outlines(place: Place, rng: random.Random) -> tuple[Command, str]:
    source = _a_file(place.material.annotations, rng, ".geojson")
    _project(place, "imported")
    return _annotate(place, _damaged_copy(source, place.disk / "input", rng, damage_text), rng), source.name


def _xml(place: Place, rng: random.Random) -> tuple[Command, str]:
    source = _a_file(place.material.annotations, rng, ".xml")
    _project(place, "imported")
    return _annotate(place, _damaged_copy(source, place.disk / "input", rng, damage_text), rng), source.name


def _mask(place: Place, rng: random.Random) -> tuple[Command, str]:
    source = rng.choice([place.material.annotations / name for name in MASKS])
    _project(place, "imported")
    path = _damaged_copy(source, place.disk / "input", rng, damage_bytes)
    command: Command = ["annotate", place.project, "--slide", "a.tiff", "--mask", path]
    return command + (["--mask-class", "gland"] if rng.random() < 0.3 else []), source.name


MASKS = ("mask.png", "mask.tif", "mask16.tif", "palette.png", "colours.png", "mask.bmp")


def _table(place: Place, rng: random.Random) -> tuple[Command, str]:
    shutil.copytree(place.material.data, place.disk / "data")
    path = _damaged_copy(place.material.data / "manifest.csv", place.disk / "data", rng, damage_text)
    return ["evaluate", "--model", place.material.model, "--data", path, "--mpp", 0.5, "--device", "cpu"], path.name


def _recipe(place: Place, rng: random.Random) -> tuple[Command, str]:
    path = _damaged_copy(place.material.recipe, place.disk / "input", rng, damage_text)
    if rng.random() < 0.75:
        return ["recipes", "--show", path], path.name
    return [
        "train", "--recipe", path, "--data", place.material.data, "--out", place.out / "model", "--mpp", 0.5,
        "--epochs", 1, "--device", "cpu",
    ], path.name  # fmt: skip


def _of_model(place: Place, rng: random.Random, name: str, damage: Callable[[bytes, random.Random], bytes]) -> Path:
    shutil.copytree(place.material.model, place.disk / "model")
    _damaged_copy(place.material.model / name, place.disk / "model", rng, damage)
    return place.disk / "model"


def _predict_one(place: Place, model: Path) -> Command:
    return ["predict", place.material.slides / "b.png", "--out", place.out, "--model", model, "--device", "cpu"]


def _card(place: Place, rng: random.Random) -> tuple[Command, str]:
    return _predict_one(place, _of_model(place, rng, "card.md", damage_text)), "card.md"


def _weights(place: Place, rng: random.Random) -> tuple[Command, str]:
    if rng.random() < 0.5:
        return _predict_one(place, _of_model(place, rng, "weights.safetensors", damage_bytes)), "weights of a model"
    folder = _project(place, "imported") / "models" / "tiny"
    before = (folder / "weights.safetensors").read_bytes()
    path = _damaged_copy(place.material.model / "weights.safetensors", folder, rng, damage_bytes)
    changed = path.read_bytes() != before
    return ["query", place.project, "--count", 1, "--side", 128, "--device", "cpu"], (
        "weights of a project" if changed else "weights as they were"
    )


def _use_project(place: Place, rng: random.Random) -> Command:
    return rng.choice(
        (
            ["query", place.project, "--count", 1, "--side", 128, "--device", "cpu"],
            ["export", place.project, "--out", place.out],
            ["annotate", place.project, "--slide", "b.png", "--label", "benign"],
            ["status", place.project],
            ["doctor", place.project],
            ["import", place.project, place.material.more_slides / "e.png"],
            ["train", place.project, "--pace", "quick", "--epochs", 1, "--device", "cpu"],
        )
    )


def _database(place: Place, rng: random.Random) -> tuple[Command, str]:
    _project(place, "annotated")
    done = damage_database(place.project / "project.db", rng)
    return _use_project(place, rng), f"database: {done}"


def _map(place: Place, rng: random.Random) -> tuple[Command, str]:
    _project(place, "annotated")
    files = sorted(path for path in (place.project / "maps").rglob("*") if path.is_file())
    names = [path for path in files if path.name == "zarr.json"]
    path = rng.choice(names if rng.random() < 0.5 else [each for each in files if each not in names])
    damage = damage_text if path.name == "zarr.json" else damage_bytes
    path.write_bytes(damage(path.read_bytes(), rng))
    command = _use_project(place, rng)
    return command, f"map: {path.relative_to(place.project / 'maps')}"


INPUTS: dict[str, Callable[[Place, random.Random], tuple[Command, str]]] = {
    "slides": _slide,
    "GeoJSON": _outlines,
    "XML": _xml,
    "mask pictures": _mask,
    "tables": _table,
    "recipes": _recipe,
    "cards": _card,
    "weights": _weights,
    "databases": _database,
    "maps": _map,
}
SHARES = {
    "slides": 12, "GeoJSON": 3, "XML": 2, "mask pictures": 3, "tables": 2, "recipes": 2, "cards": 1.5,
    "weights": 1.5, "databases": 2, "maps": 2,
}  # fmt: skip
HARMLESS_TO_PROJECTS = ("slides", "GeoJSON", "XML", "mask pictures")
