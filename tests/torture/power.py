"""Power cuts: what is on the disk of a mounted ext4 at a moment is what its image holds, journal included."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import shim
from .checks import LOST, OTHER, differences
from .children import Child
from .scenes import SCENES
from .trials import judged, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .scenes import Place, Scene
    from .trials import Bench, Result, Trial

IMAGE_BYTES = 96 * 1024**2
OPTIONS = "loop,commit=300"


def why_not(folder: Path) -> str:
    """Why no image can be mounted here; '' where it can."""
    if os.geteuid() != 0:
        return "only root may mount an image"
    for program in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_image(folder / "try.img")
        with _mounted(folder / "try.img", folder / "try"):
            pass
    except subprocess.CalledProcessError as error:
        return f"an image cannot be mounted ({(error.stderr or b'').decode().strip()[:80]})"
    finally:
        (folder / "try.img").unlink(missing_ok=True)
    return ""


def _make_image(path: Path) -> None:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    _call("mkfs.ext4", "-q", "-F", "-m", "0", str(path))


@contextmanager
def _mounted(image: Path, folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    _call("mount", "-t", "ext4", "-o", OPTIONS, str(image), str(folder))
    try:
        yield
    finally:
        if subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode:
            _call("umount", "-l", str(folder))


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LD_PRELOAD": ""})


def power_cut(bench: Bench, trial: Trial) -> Result:
    """Stop at a call, or right after the command ended, and go on from what the disk held then."""
    scene = SCENES[trial.scene]
    undisturbed = bench.undisturbed(scene)
    share = trial.settings["share"]
    with bench.place() as place:
        image, later = place.folder / "disk.img", place.folder / "later.img"
        _make_image(image)
        with _mounted(image, place.disk):
            scene.prepare(place)
            os.sync()
        with _mounted(image, place.disk):
            number = undisturbed.calls + 1_000_000 if share is None else 1 + int(share * undisturbed.calls)
            child = Child(_stopping(scene, place, number), place.folder)
            stopped = child.wait_for_stop()
            shutil.copyfile(image, later)
            ended = child.end() if stopped else child.wait()
        problems = [] if stopped else judged(ended, "power cut")
        if not stopped and share is not None and ended.code not in scene.fine:
            problems.append((OTHER, f"exit code {ended.code}: {ended.err[-200:]}"))
        image.unlink()
        with _mounted(later, place.disk):
            problems += bench.look(place, scene.broken)
            if not stopped and ended.code in scene.fine:
                problems += _gone(bench, scene, place)
            more, again = bench.again(scene, place)
    return result_of(trial, problems + more, ended, again)


def _stopping(scene: Scene, place: Place, number: int) -> Callable[[], int]:
    def work() -> int:
        shim.watch(place.disk)
        shim.arm(shim.Mode.STOP, number)
        return scene.run(place)

    return work


def _gone(bench: Bench, scene: Scene, place: Place) -> list[tuple[str, str]]:
    """The command had ended and had reported that all is done: then it is on the disk."""
    found = bench.state(scene, place)
    if "error" in found:
        return [(LOST, f"reported as done, and not readable: {found['error']}")]
    different = differences(bench.undisturbed(scene).state, found["state"])
    return [(LOST, f"reported as done, and {text}") for text in different[:4]]
