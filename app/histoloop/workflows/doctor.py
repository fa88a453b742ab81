"""Look at the machine: versions, GPU, OpenGL, OpenSlide, disk; say what to do about each problem."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import histoloop
from histoloop import paths
from histoloop.language import tr, tr_plural
from histoloop.store.cards import list_models

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGES = ("torch", "torchvision", "napari", "PySide6", "openslide-python", "openslide-bin", "numpy", "zarr", "pillow")
OF_THE_WINDOW = ("napari", "PySide6")
WINDOW = "pip install 'histoloop[gui]'"
PROBE_SECONDS = 60
ENOUGH_DISK_GB = 5
SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "microsoft basic render")
_NO_CONSOLE = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""On Windows a program of the console would open one when the window asks."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: 'ok', a 'note' that limits something, or a 'problem' that stops something."""

    name: str
    state: Literal["ok", "note", "problem"]
    value: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding as plain strings."""
        return asdict(self)


def examine() -> list[Finding]:
    """All findings, in a fixed order; nothing is changed. Takes some seconds."""
    return [
        Finding("HistoLoop", "ok", histoloop.__version__),
        Finding("Python", "ok", _python()),
        *(_package(name) for name in PACKAGES),
        _openslide(),
        _processors(),
        _gpu(),
        _opengl(),
        _models(),
        _disk(),
    ]


def _python() -> str:
    return tr("{version} on {system}", version=platform.python_version(), system=platform.platform())


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        if name in OF_THE_WINDOW:
            return Finding(name, "note", tr("not installed"), tr("Only the window needs it: {command}", command=WINDOW))
        advice = tr("Install HistoLoop again (make setup, or the installer).")
        return Finding(name, "problem", tr("not installed"), advice)


def _openslide() -> Finding:
    try:
        reader = importlib.import_module("histoloop.slides.reader")
        return Finding("OpenSlide", "ok", str(reader.openslide_version()))
    except (ImportError, OSError) as error:
        return Finding("OpenSlide", "problem", str(error), tr("Install openslide-bin, which contains the library."))


def _processors() -> Finding:
    cores = os.cpu_count() or 1
    said = tr_plural("{count} core", "{count} cores", cores)
    if cores < 2:
        return Finding(tr("Processor"), "note", said, tr("Retraining and viewing share it; expect both to be slow."))
    return Finding(tr("Processor"), "ok", said)


def _gpu() -> Finding:
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        name = f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}"
        if wrong := self_test("cuda"):
            advice = tr(
                "Update the graphics driver; until then choose Settings > Compute on the processor (--device cpu)."
            )
            return Finding("GPU", "problem", f"{name}: {wrong}", advice)
        return Finding("GPU", "ok", name)
    if torch.version.cuda is None:
        advice = tr("Retraining runs on the processor, which is slower.")
        return Finding("GPU", "note", tr("this PyTorch has no CUDA"), advice)
    advice = tr(
        "Retraining runs on the processor. With an NVIDIA GPU, install a driver for CUDA {version}.",
        version=torch.version.cuda,
    )
    return Finding("GPU", "note", tr("no CUDA GPU can be used"), advice)


def self_test(device: str) -> str:
    """Let a device convolve once and compare with the processor; what is wrong with it, empty if nothing is."""
    torch = importlib.import_module("torch")
    generator = torch.Generator().manual_seed(0)
    tiles_BCHW, weights = (torch.rand(size, generator=generator) for size in ((1, 3, 64, 64), (8, 3, 3, 3)))
    expected = torch.nn.functional.conv2d(tiles_BCHW, weights)
    try:
        found = torch.nn.functional.conv2d(tiles_BCHW.to(device), weights.to(device)).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return tr("it cannot compute ({reason})", reason=str(error).strip().splitlines()[0])
    return "" if torch.allclose(found, expected, rtol=1e-2, atol=1e-2) else tr("it computes wrongly")


def in_words(findings: Sequence[Finding]) -> tuple[str, ...]:
    """What somebody who begins should know of the machine: GPU, drawing, and whatever is a problem."""
    by_name = {finding.name: finding for finding in findings}
    said = []
    if (gpu := by_name.get("GPU")) is not None and gpu.state != "problem":
        if gpu.state == "ok":
            said.append(tr("The GPU works ({device}): predicting and retraining run on it.", device=gpu.value))
        else:
            unused = tr("No GPU is used ({reason}). Everything still works, only more slowly.", reason=gpu.value)
            said.append(f"{unused} {gpu.advice}")
    if (opengl := by_name.get("OpenGL")) is not None and opengl.state == "ok":
        slow = any(word in opengl.value.lower() for word in SOFTWARE_RENDERERS)
        said.append(
            tr("Slides are rendered by the processor: zooming is slower.")
            if slow
            else tr("Slides are rendered by the GPU.")
        )
    said += [_problem(one) for one in findings if one.state == "problem"]
    return tuple(said)


def _problem(one: Finding) -> str:
    return " ".join((tr("{part}: {reason}.", part=one.name, reason=one.value), one.advice))


def _opengl() -> Finding:
    """Ask a child process to make an OpenGL context, since a broken driver can end the process that tries."""
    command = [*_command_line(), "probe-opengl"]
    advice = tr("Install or update the graphics driver (on Linux without a GPU: libgl1-mesa-dri); run it on a desktop.")
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Finding("OpenGL", "note", tr("no display"), tr("The window needs a display; the command line does not."))
    if importlib.util.find_spec("PySide6") is None:
        return Finding("OpenGL", "note", tr("not checked"), tr("Only the window needs it: {command}", command=WINDOW))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False, creationflags=_NO_CONSOLE
        )
    except subprocess.TimeoutExpired:
        return Finding("OpenGL", "problem", tr("the graphics driver does not answer"), advice)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [tr("exit code {code}", code=done.returncode)]
        return Finding("OpenGL", "problem", lines[-1], advice)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Finding("OpenGL", "ok", f"{found['version']} ({found['renderer']})")


def _command_line() -> list[str]:
    """What starts the `histoloop` command: of a frozen program the one beside the window, whichever of them this is."""
    if getattr(sys, "frozen", False):
        program = Path(sys.executable)
        return [str(program.with_name(f"histoloop{program.suffix}"))]
    return [sys.executable, "-m", "histoloop"]


def _models() -> Finding:
    names = [folder.name for folder in list_models(paths.shipped_models())]
    if not names:
        advice = tr("Install HistoLoop again: its models are missing.")
        return Finding(tr("Models"), "problem", tr("none are shipped"), advice)
    return Finding(tr("Models"), "ok", ", ".join(names))


def _disk() -> Finding:
    folder = paths.projects()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free / 1e9
    if free < ENOUGH_DISK_GB:
        little = tr("{free:.1f} GB free at {folder}", free=free, folder=there)
        return Finding(tr("Disk"), "note", little, tr("Maps and models need room: free some."))
    return Finding(tr("Disk"), "ok", tr("{free:.0f} GB free at {folder}", free=free, folder=there))
