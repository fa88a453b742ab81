"""Training by several processes, a GPU each (torchrun): every step is one over all their tiles (DDP, Li et al. 2020).

The data are in one order, as one process has them; of each batch every process takes its part, and the gradients are
averaged before the step, so that all of them have the same weights. A training by W processes of B tiles is that of one
process of W * B tiles.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce

from histoloop.errors import DeviceError
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PATIENCE = timedelta(hours=12)
"""So long a process waits for the others, of which the first measures the epochs alone."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which of how many processes that train together this is, counted from 0; `local` among those of its machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process measures, writes and speaks for all."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Its part of `count` tiles; parts differ by one tile at most, those of the first are the larger ones."""
        return slice(*(place * count // self.size for place in (self.rank, self.rank + 1)))

    def share(self, count: int) -> float:
        """How much its mean over `part(count)` weighs in the mean over all processes."""
        part = self.part(count)
        return float((part.stop - part.start) * self.size / count)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Let the gradients be the means over all processes; of what no process has one there stays none."""
        if self.size == 1 or not parameters:
            return
        device = parameters[0].device
        present = torch.tensor([parameter.grad is not None for parameter in parameters], device=device).float()
        distributed.all_reduce(present)
        learned = [parameter for parameter, known in zip(parameters, present.tolist(), strict=True) if known]
        if not learned:
            return
        for parameter in learned:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in learned if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def mean(self, value: float, device: torch.device) -> float:
        """The mean of a number over all processes."""
        if self.size == 1:
            return value
        number = torch.tensor(value, device=device, dtype=torch.float32)
        distributed.all_reduce(number)
        return float(number) / self.size

    def average_buffers(self, network: nn.Module) -> None:
        """Let running statistics that each process gathered by itself be the means over all."""
        if self.size == 1:
            return
        for buffer in network.buffers():
            if buffer.is_floating_point():
                distributed.all_reduce(buffer)
                buffer /= self.size

    def of_the_first(self, value: Any) -> Any:
        """What the first process has, for all of them."""
        if self.size == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held, src=0)
        return held[0]

    def start_alike(self, network: nn.Module) -> None:
        """Give every process the weights of the first."""
        if self.size > 1:
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, src=0)


ALONE = Ranks()


def stated_ranks(environment: Mapping[str, str] | None = None) -> Ranks:
    """What torchrun states in the environment; ALONE where it did not start this process."""
    stated = os.environ if environment is None else environment
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    return Ranks(*(int(stated[name]) for name in names)) if all(name in stated for name in names) else ALONE


@contextmanager
def together(device: torch.device) -> Iterator[Ranks]:
    """Train with the other processes that torchrun started, while the block runs; DeviceError where they do not answer.

    On GPUs they talk by NCCL, on processors by Gloo.
    """
    ranks = stated_ranks()
    if ranks.size == 1:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DeviceError(
            tr("The processes of this training cannot find each other: {reason}.", reason=lines[0]),
            advice=tr("Start all of them with torchrun, which says where the first one is."),
        ) from error
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()


def current_ranks() -> Ranks:
    """The processes that train together at this moment."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ALONE
    return Ranks(distributed.get_rank(), distributed.get_world_size(), stated_ranks().local)


# --- batch normalisation over the tiles of all processes --------------------------------------------------------------


class _NormOfAll(nn.BatchNorm2d):
    """Batch normalisation whose statistics are of the tiles of all processes; on processors, where torch has none."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """As in torch."""
        if not self.training:
            return super().forward(x_BCHW)
        values = x_BCHW.float()
        count = torch.tensor([values.numel() / values.shape[1]], device=values.device)
        total = float(_sum_over_all(count))
        mean_C = _sum_over_all(values.sum(dim=(0, 2, 3))) / total
        apart = values - mean_C[:, None, None]
        variance_C = _sum_over_all(apart.square().sum(dim=(0, 2, 3))) / total
        self._follow(mean_C.detach(), variance_C.detach() * total / max(total - 1, 1))
        normal = apart * torch.rsqrt(variance_C + self.eps)[:, None, None]
        if self.affine:
            normal = normal * self.weight[:, None, None] + self.bias[:, None, None]
        return normal.to(x_BCHW.dtype)

    def _follow(self, mean_C: Tensor, variance_C: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        rate = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean_C, rate)
        self.running_var.lerp_(variance_C, rate)


def _sum_over_all(tensor: Tensor) -> Tensor:
    found: Tensor = all_reduce(tensor)  # type: ignore[no-untyped-call]
    return found


@contextmanager
def statistics_of_all(network: nn.Module, ranks: Ranks) -> Iterator[None]:
    """Have batch normalisation look at the tiles of all processes while the block runs.

    Layers that are more than that (of some timm networks) look at their own process's tiles.
    """
    replaced: list[tuple[nn.Module, str, nn.BatchNorm2d]] = []
    if ranks.size > 1:
        for parent in list(network.modules()):
            for name, child in parent.named_children():
                if type(child) is nn.BatchNorm2d:
                    setattr(parent, name, _norm_of_all(child))
                    replaced.append((parent, name, child))
    try:
        yield
    finally:
        for parent, name, child in replaced:
            setattr(parent, name, child)


def _norm_of_all(norm: nn.BatchNorm2d) -> nn.Module:
    """The same with the same tensors."""
    on_gpu = any(tensor.is_cuda for tensor in norm.state_dict().values())
    kind = nn.SyncBatchNorm if on_gpu else _NormOfAll
    made = kind(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    made.weight, made.bias = norm.weight, norm.bias
    made.running_mean, made.running_var = norm.running_mean, norm.running_var
    made.num_batches_tracked = norm.num_batches_tracked
    return made.train(norm.training)
