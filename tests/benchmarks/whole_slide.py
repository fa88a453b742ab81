"""`histoloop predict` on whole slides: how it grows, what each step takes, how far from the limits, and other programs.

    python tests/benchmarks/whole_slide.py [growth] [stages] [peers] [limits] [glass] [--write] [--again]

Slides are synthetic tissue all over, at 0.25 um per pixel in JPEG tiles, with levels at 1/4 and 1/16; the shipped model
reads 1.15 um. Processes have one thread; seconds are CPU seconds, user and kernel together, of the whole process.

- growth: the whole command on slides of 4,096 to 61,440 px, exact and fast
- stages: the slide of 16,384 px step by step, timed inside of the process, each step by the thread that does it
- peers: the command on a slide of 8,192 px, and the same network over it in a plain loop, without and with the halo
- limits: what the processor computes at best, and what the network needs
- glass: a slide of 61,440 px that is glass but for a square of tissue of 8,192 px, and one with 24,576 px

Figures are kept in build/benchmarks as they come; `--again` measures them anew. With `--write` the tables go into
docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench.measured import Kept, run_measured, show, table
from bench.slides_of_tissue import block_of_tissue, write_slide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARTS = ("growth", "stages", "peers", "limits", "glass")
SIDES_PX = (4096, 8192, 16384, 32768, 61_440)
SIDE_PX, PEERS_PX, CORE_PX = 16384, 8192, 1024
PRECISIONS = ("exact", "fast")
GLASS_PX, TISSUES_PX = 61_440, (8_192, 24_576)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        steps: dict[str, Callable[..., dict[str, Any]]] = {"stages": _stages, "loop": _loop, "limits": _limits}
        print(json.dumps(steps[options.step[0]](*options.step[1:])))
        return
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), again=options.again)
        for part in options.parts or PARTS:
            show(f"whole slides, {part}", getattr(bench, part)(), write=options.write)


class Bench:
    """Measures in processes, over slides that are made when they are needed."""

    def __init__(self, scratch: Path, *, again: bool) -> None:
        self.scratch = scratch
        self.kept = Kept("whole_slide", again=again)
        self._block: np.ndarray | None = None

    def slide(self, side_px: int, tissue_px: int | None = None) -> Path:
        path = self.scratch / f"{side_px}-{tissue_px or side_px}.tif"
        if not path.exists():
            self._block = block_of_tissue() if self._block is None else self._block
            write_slide(path, self._block, side_px, tissue_px=tissue_px)
        return path

    def predicted(self, side_px: int, precision: str, tissue_px: int | None = None) -> dict[str, Any]:
        """What the command takes, with the network's pixels in millions."""

        def measure() -> dict[str, Any]:
            path = self.slide(side_px, tissue_px)
            with tempfile.TemporaryDirectory() as out:
                command = ["-m", "histoloop", "predict", str(path), "--out", out, "--precision", precision]
                spent = run_measured(command, home=self.scratch)
                mpx = _mask_px(Path(out) / f"{path.stem}-mask.png") / 1e6
            return {"cpu_s": spent.cpu_s, "kernel_s": spent.kernel_s, "peak_MB": spent.peak_mb, "million_px": mpx}

        return self.kept.get(f"predict {side_px} {tissue_px} {precision}", measure)

    def step(self, *arguments: str) -> dict[str, Any]:
        def measure() -> dict[str, Any]:
            spent = run_measured([__file__, "--step", *arguments], home=self.scratch)
            found = json.loads(spent.printed.splitlines()[-1])
            return {**found, "cpu_s": spent.cpu_s, "peak_MB": spent.peak_mb}

        name = " ".join(Path(one).stem if one.endswith(".tif") else one for one in arguments)
        return self.kept.get(name, measure)

    def growth(self) -> str:
        rows = []
        for side in SIDES_PX:
            exact, fast = (self.predicted(side, precision) for precision in PRECISIONS)
            figures = [f"{one['cpu_s']:.1f} ({one['kernel_s']:.1f})" for one in (exact, fast)]
            memory = [f"{one['peak_MB']:,}" for one in (exact, fast)]
            rows.append([f"{side:,}", f"{exact['million_px']:.1f}", *figures, *memory])
        return table(["side, px", "pixels of the model, millions", "exact, CPU s (in the kernel)",
                      "fast, CPU s (in the kernel)", "exact, peak MB", "fast, peak MB"], rows)  # fmt: skip

    def stages(self) -> str:
        found = {precision: dict(self.step("stages", str(self.slide(SIDE_PX)), precision)) for precision in PRECISIONS}
        for one in found.values():
            one["stages"] = one["stages"] | {"all the rest": one["cpu_s"] - sum(one["stages"].values())}
        millions = self.predicted(SIDE_PX, "fast")["million_px"]
        rows = [
            [name, *(f"{one['stages'][name]:.2f}" for one in found.values()),
             *(f"{one['stages'][name] / millions:.3f}" for one in found.values())]
            for name in found["fast"]["stages"]
        ]  # fmt: skip
        total = [f"{one['cpu_s']:.2f}" for one in found.values()]
        total += [f"{one['cpu_s'] / millions:.3f}" for one in found.values()]
        head = ["step", "exact, CPU s", "fast, CPU s", "exact, a million px", "fast, a million px"]
        return table(head, [*rows, ["together", *total]])

    def peers(self) -> str:
        rows = []
        for precision in PRECISIONS:
            own = self.predicted(PEERS_PX, precision)
            rows.append([f"histoloop predict --precision {precision}", "exact", f"{own['cpu_s']:.1f}",
                         f"{own['peak_MB']:,}"])  # fmt: skip
        for halo, says in (("0", "none: seams"), ("exact", "320 px")):
            for numbers in ("float32", "bfloat16"):
                found = self.step("loop", str(self.slide(PEERS_PX)), halo, numbers)
                rows.append([f"plain loop, {numbers}", says, f"{found['cpu_s']:.1f}", f"{found['peak_MB']:,}"])
        return table(["program", "halo", "CPU s", "peak MB"], rows)

    def limits(self) -> str:
        found = self.step("limits")
        rows = []
        for precision, numbers in zip(PRECISIONS, ("float32", "bfloat16"), strict=True):
            one = found[numbers]
            least = found["needed"] / one["conv"]
            rows.append([precision, f"{one['gemm']:.0f}", f"{one['conv']:.0f}", f"{found['whole']:.0f}",
                         f"{found['needed']:.0f}", f"{least:.2f}", f"{one['tile_s']:.2f}"])  # fmt: skip
        return table(["numbers", "product of matrices, GFLOP/s", "best convolution, GFLOP/s",
                      "GFLOP a tile as the network is", "GFLOP as it is computed", "s of these at best",
                      "s a tile"], rows)  # fmt: skip

    def glass(self) -> str:
        rows = []
        for tissue in TISSUES_PX:
            found = self.predicted(GLASS_PX, "fast", tissue)
            rows.append([f"{GLASS_PX:,}", f"{tissue:,}", f"{found['million_px']:.0f}", f"{found['cpu_s']:.1f}",
                         f"{found['peak_MB']:,}"])  # fmt: skip
        return table(["side, px", "tissue, px", "pixels of the mask, millions", "fast, CPU s", "peak MB"], rows)


def _mask_px(path: Path) -> int:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(path) as picture:
        return picture.width * picture.height


# --- steps in processes of their own ---


def _stages(slide: str, precision: str) -> dict[str, Any]:
    """CPU seconds of a thread by step, while the command runs in this process."""
    seconds: Counter[str] = Counter()
    began = time.process_time()
    from histoloop.exchange.geojson import GeojsonFile
    from histoloop.exchange.mask_pictures import MaskPng
    from histoloop.inference import predictor
    from histoloop.localisation.bands import MaskBands, ValueCounts
    from histoloop.localisation.contours import Outliner
    from histoloop.store.maps import MapWriter
    from histoloop.workflows.prediction import predict_files, predict_slide

    seconds["imports"] = time.process_time()  # with the start of Python

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        started = time.thread_time()
        try:
            yield
        finally:
            seconds[stage] += time.thread_time() - started

    def wrap(owner: Any, name: str, stage: str) -> None:
        inner = getattr(owner, name)

        def outer(*arguments: Any, **named: Any) -> Any:
            with timed(stage):
                return inner(*arguments, **named)

        setattr(owner, name, outer)

    wrap(predict_files, "open_model", "loading the model")
    wrap(predict_slide, "survey", "finding tissue")
    wrap(predictor.SharedWindows, "read", "decoding and resizing")
    wrap(predictor.BatchRunner, "run", "the network")
    wrap(predictor, "_distances", "likeness to the training data")
    wrap(MapWriter, "write", "maps to disk")
    wrap(ValueCounts, "add", "areas")
    wrap(Outliner, "add", "outlines")
    wrap(Outliner, "close", "outlines")
    wrap(MaskPng, "add", "PNG")
    wrap(GeojsonFile, "add_all", "GeoJSON")

    def bands(mask: MaskBands) -> Iterator[np.ndarray]:
        made = mask.made()
        while True:
            with timed("masks"):
                band = next(made, None)
            if band is None:
                return
            yield band

    MaskBands.__iter__ = bands  # type: ignore[method-assign]
    assert began < seconds["imports"]
    with tempfile.TemporaryDirectory() as out:
        from histoloop.progress import finish
        from histoloop.store.shipped import DEFAULT_MODEL

        finish(
            predict_files.predict_files(
                [Path(slide)], out=Path(out), model=DEFAULT_MODEL, device="cpu", precision=precision
            )
        )
    return {"stages": dict(seconds)}


def _loop(slide: str, halo: str, numbers: str) -> dict[str, Any]:
    """The network in PyTorch as it comes, tile after tile; the mask is all that there is of it."""
    import torch

    import histoloop.inference.model
    from histoloop.slides.reader import open_slide
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.prediction.loaded_model import open_model

    histoloop.inference.model.keep_freed_memory = lambda: False
    model = open_model(DEFAULT_MODEL, device="cpu")
    network = model.network.eval()
    around = 0 if halo == "0" else network.receptive_radius_px
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (model.colours.mean, model.colours.std))
    with open_slide(slide) as opened, torch.inference_mode(), torch.autocast("cpu", enabled=numbers == "bfloat16"):
        downsample = model.card.mpp / (opened.mpp or 0.25)
        side = int(opened.width / downsample)
        mask = np.zeros((side, side), bool)
        for y in range(0, side, CORE_PX):
            for x in range(0, side, CORE_PX):
                height, width = (min(CORE_PX, -(-(side - start) // 32) * 32) for start in (y, x))
                pixels = opened.read_scaled(
                    x - around, y - around, width + 2 * around, height + 2 * around, downsample=downsample
                )
                tile = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
                logits = network((tile - mean) / std).mask_logits_BLHW
                core = logits[0, 0, around : around + height, around : around + width].float().sigmoid() > 0.5
                mask[y : y + height, x : x + width] = core.numpy()[: side - y, : side - x]
    return {"foreground": float(mask.mean())}


def _limits() -> dict[str, Any]:
    """GFLOP/s of products and convolutions, and GFLOP of a tile of the network."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from histoloop.networks.needed import Box
    from histoloop.store.shipped import DEFAULT_MODEL
    from histoloop.workflows.prediction.loaded_model import open_model

    torch.set_num_threads(1)
    model = open_model(DEFAULT_MODEL, device="cpu")
    network = model.network.eval()
    lean, halo = model.folded(), network.halo
    side = CORE_PX + halo.before_px + halo.after_px
    core = Box.of(halo.before_px, halo.before_px, CORE_PX, CORE_PX)
    picture = np.tile(block_of_tissue()[:1024, :1024], (2, 2, 1))[:side, :side]
    found: dict[str, Any] = {}

    def least(run: Callable[[], object], runs: int = 5) -> float:
        taken = []
        for _run in range(runs + 1):
            began = time.process_time()
            run()
            taken.append(time.process_time() - began)
        return min(taken)

    with torch.inference_mode():
        counters = []
        for own in (network, lean.network):
            with FlopCounterMode(display=False) as counter:
                if own is network:
                    own(
                        torch.zeros(
                            1,
                            3,
                            CORE_PX + 2 * network.receptive_radius_px,
                            0 + CORE_PX + 2 * network.receptive_radius_px,
                        )
                    )
                else:
                    own.forward_core(torch.zeros(1, 3, side, side), core)
            counters.append(counter.get_total_flops() / 1e9)
        found["whole"], found["needed"] = counters
        for precision, numbers in zip(PRECISIONS, ("float32", "bfloat16"), strict=True):
            kind = getattr(torch, numbers)
            matrix = torch.randn(2048, 2048, dtype=kind)
            gemm = 2 * 2048**3 / least(lambda matrix=matrix: matrix @ matrix) / 1e9
            best = 0.0
            for channels, size in ((64, 352), (128, 176), (256, 88), (512, 44)):
                planes = torch.randn(1, channels, size, size, dtype=kind).to(memory_format=torch.channels_last)
                weight = torch.randn(channels, channels, 3, 3, dtype=kind).to(memory_format=torch.channels_last)
                taken = least(lambda planes=planes, weight=weight: torch.conv2d(planes, weight, padding=1))
                best = max(best, 2 * channels**2 * 9 * size**2 / taken / 1e9)
            tile = least(lambda precision=precision: lean.predict_cores([picture], core, precision=precision), 3)
            found[numbers] = {"gemm": gemm, "conv": best, "tile_s": tile}
    return found


if __name__ == "__main__":
    main()
