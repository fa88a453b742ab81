"""Peak memory of one optimisation step of min-max entropy, with erasing (u=4) and without (u=0).

    python tests/benchmarks/erasing_memory.py

ResNet-18, 8 tiles of 256 x 256 pixels, SGD with momentum. The localizer's scores do not depend on the tile, so that no
tile loses trust and all five looks are taken: the worst case. Every figure is of a process of its own. 'Above the
start' is the peak minus what the process held before the step, network and batch included. glibc is told to hand
freed tensors back to the system, because what it keeps for later varies by some 10 % from run to run. What autograd
keeps for the backward pass is counted. The aim is a ratio of at most 1.10.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import weakref
from pathlib import Path

import torch
from torch import Tensor, nn

from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.minmax import MinMax
from histoloop.training.erasing import erasing_parts

BATCH, SIDE_PX, DEPTHS = 8, 256, (0, 4)
MIB = 1 << 20
HAND_BACK = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}


def main() -> None:
    print("| masks | device | what | u=0 MiB | u=4 MiB | ratio | parts |\n|---|---|---|---|---|---|---|", flush=True)
    for masks in ("detached", "attached"):
        for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            without, deep = (_child(masks, device, depth) for depth in DEPTHS)
            for what in (key for key in without if key != "parts"):
                ratio = deep[what] / without[what]
                figures = f"{without[what] / MIB:.1f} | {deep[what] / MIB:.1f} | {ratio:.3f}"
                print(f"| {masks} | {device} | {what} | {figures} | {without['parts']}, {deep['parts']} |", flush=True)


def _child(masks: str, device: str, depth: int) -> dict[str, int]:
    command = [sys.executable, str(Path(__file__)), masks, device, str(depth)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | HAND_BACK)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def one_step(masks: str, device: torch.device, depth: int) -> dict[str, int]:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="average", modalities=1)
    minmax = MinMaxConfig(detach=masks == "detached")
    network = MinMax(NetworkConfig(labels=2, pooling=pooling, decoder_channels=(), minmax=minmax))
    nn.init.zeros_(network.localizer.convolution.weight)
    network.to(device).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
    tiles_BCHW = torch.randn(BATCH, 3, SIDE_PX, SIDE_PX, device=device)
    labels_B = network.localizer.convolution.bias.argmax().expand(BATCH)
    saved, parts, before = SavedBytes(), 0, _resident()
    with torch.autograd.graph.saved_tensors_hooks(saved.pack, saved.unpack):
        for part in erasing_parts(network, tiles_BCHW, labels_B, depth=depth):
            part.backward()
            parts += 1
    optimiser.step()
    figures = {"parts": parts, "kept for the backward pass": saved.peak}
    if device.type == "cuda":
        return figures | {"allocated": torch.cuda.max_memory_allocated(device)}
    return figures | {"resident": _resident(), "resident above the start": _resident() - before}


def _resident() -> int:
    """Peak resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class _Kept(list[Tensor]):
    """What autograd keeps in place of a tensor; a plain list cannot be watched."""


class SavedBytes:
    """Bytes that graphs keep for their backward passes, now and at most; shared storage counts once for each use."""

    def __init__(self) -> None:
        self.now = self.peak = 0

    def pack(self, tensor: Tensor) -> _Kept:
        kept, size = _Kept([tensor.detach()]), tensor.nbytes
        weakref.finalize(kept, self._count, -size)
        self._count(size)
        return kept

    @staticmethod
    def unpack(kept: _Kept) -> Tensor:
        return kept[0]

    def _count(self, size: int) -> None:
        self.now += size
        self.peak = max(self.peak, self.now)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(one_step(sys.argv[1], torch.device(sys.argv[2]), int(sys.argv[3]))))
