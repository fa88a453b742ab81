"""The training loop: forward, loss, backward, step, once for every network and objective here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from histoloop.allocator import keep_freed_memory
from histoloop.errors import RecipeError
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.training.checkpoint import Checkpoint, Saved
from histoloop.training.ranks import Ranks, current_ranks

WELL_ABOVE_ZERO = 0.1
"""Share of the highest learning rate down to which an epoch moves the weights enough to tell models apart by it."""


class OnDevice(Protocol):
    """What a step is made of: it can be brought to a device, and knows where it is.

    Where several processes train together it has a `share` (Batch), else 1 is taken.
    """

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""

    def to(self, device: torch.device) -> Self:
        """The same on a device."""


StepBatch = TypeVar("StepBatch", bound=OnDevice)


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How long and how fast to learn. The learning rate rises over the first `warmup_epochs`, then falls.

    By `schedule` 'cosine' it falls to zero; by 'steps' it is multiplied by `step_factor` every `step_epochs`. After the
    warm-up it is never below `least_rate`. `precision` 'bfloat16' halves the time on processors and GPUs that have it,
    at some loss of determinism between machines; weights stay float32.
    """

    epochs: int = 30
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    optimiser: Literal["sgd", "adamw"] = "adamw"
    schedule: Literal["cosine", "steps"] = "cosine"
    warmup_epochs: int = 1
    step_epochs: int = 80
    step_factor: float = 0.1
    least_rate: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    validate_every: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validate_every", "step_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError("learning_rate must be above 0 and weight_decay at least 0")
        if self.warmup_epochs < 0 or not 0 < self.step_factor <= 1:
            raise ValueError("warmup_epochs must be at least 0 and step_factor in (0, 1]")
        if not 0 <= self.least_rate <= self.learning_rate:
            raise ValueError(f"least_rate must lie between 0 and learning_rate, not {self.least_rate}")

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0 over all epochs."""
        warmup, total = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        if step < warmup and total > warmup:
            return self.learning_rate * (step + 1) / warmup
        if self.schedule == "steps":
            share = self.step_factor ** (step // (self.step_epochs * steps_per_epoch))
        else:
            share = 0.5 * (1 + math.cos(math.pi * step / max(1, total)))
        return max(self.learning_rate * share, self.least_rate)


@dataclass(frozen=True, slots=True, eq=False)
class FitResult:
    """The best state found, its figures, and the figures of every validated epoch.

    `earlier` are the parameters, as far as they differ, of the newest state before the kept one to which a rate of at
    least `WELL_ABOVE_ZERO` led: under a constant rate one epoch before, under a cosine, whose last epochs move nothing,
    more (tod section V: how far the outputs moved in between tells models apart without labels). Buffers are those of
    the kept state in both: batch norms' averages move however little is learned.
    """

    weights: Mapping[str, Tensor]
    figures: Mapping[str, float]
    history: tuple[Mapping[str, float], ...]
    earlier: Mapping[str, Tensor] = field(default_factory=dict)

    def way_back(self) -> dict[str, Tensor]:
        """What to add to `weights` to be in the earlier state; what it would leave as it is has no entry."""
        return {name: tensor - self.weights[name] for name, tensor in self.earlier.items()}


def fit(
    network: nn.Module,
    *,
    stage: str,
    epoch_batches: Callable[[int], Iterable[StepBatch]],
    batches_per_epoch: int,
    objective: Callable[[StepBatch], Iterable[Tensor]],
    validate: Callable[[], Mapping[str, float]],
    rank_by: str | None,
    settings: LoopSettings,
    device: torch.device,
    seed: int = 0,
    learned: Sequence[nn.Module] = (),
    steady: Mapping[nn.Module, float] | None = None,
    after_step: Callable[[int], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Work[FitResult]:
    """Train the network's trainable parameters; keep the epoch whose figure `rank_by` is highest (ties: the later).

    The loss of a batch is the sum of the parts that `objective` gives. Each is propagated back before the next one is
    asked for, so that only one graph is in memory. `learned` modules belong to the objective: what can be trained of
    them is, without weight decay, and the checkpoint keeps them. `steady` parts of the network learn at a rate that
    stays what it is, the settings' times a factor. `after_step` is given how many steps have been taken,
    over all epochs. The last epoch is kept when `rank_by` is None or `validate` returns nothing to rank by. Leaves the
    best weights in the network. Each epoch draws its own random numbers, so that a training that goes on from a
    `checkpoint` ends as if it had never stopped. RecipeError when the loss stops being a number.

    Of processes that train together (training/ranks.py) the first measures and keeps the checkpoint; all end with the
    same weights.
    """
    keep_freed_memory()
    ranks = current_ranks()
    optimiser = _optimiser(network, learned, settings, steady or {})
    saved = checkpoint.restore(network, optimiser, learned) if checkpoint else None
    _check_alike(ranks, saved, network, learned)
    history = list(saved.history) if saved else []
    best = FitResult(saved.best, saved.figures, (), saved.earlier) if saved else None
    before = dict(saved.before) if saved else _copy(network)
    for epoch in range(saved.epochs if saved else 0, settings.epochs):
        torch.manual_seed(epoch_seed(seed, epoch))
        network.train()
        message = tr("epoch {epoch}", epoch=epoch + 1)
        losses: list[float] = []
        for batch in epoch_batches(epoch):
            rate = settings.rate(epoch * batches_per_epoch + len(losses), batches_per_epoch)
            losses.append(_step(optimiser, objective, batch.to(device), rate=rate, settings=settings, ranks=ranks))
            _check(losses[-1], stage=stage, epoch=epoch)
            if after_step:
                after_step(epoch * batches_per_epoch + len(losses))
            yield Progress(stage, epoch + len(losses) / batches_per_epoch, settings.epochs, message)
        ranks.average_buffers(network)
        now = _copy(network)
        figures: dict[str, float] = {"epoch": epoch + 1, "loss": sum(losses) / len(losses)}
        if (epoch + 1) % settings.validate_every == 0 or epoch + 1 == settings.epochs:
            network.eval()
            with torch.inference_mode():
                figures |= ranks.of_the_first(validate() if ranks.is_first else {})
            history.append(figures)
            if best is None or _rank(figures, rank_by) >= _rank(best.figures, rank_by):
                best = FitResult(now, figures, (), _moved(network, before, now))
        last_rate = settings.rate((epoch + 1) * batches_per_epoch - 1, batches_per_epoch)
        if last_rate >= WELL_ABOVE_ZERO * settings.learning_rate:
            before = now
        if checkpoint and best and ranks.is_first and (epoch + 1 == settings.epochs or checkpoint.is_due()):
            state = Saved(epoch + 1, best.weights, best.figures, tuple(history), best.earlier, before)
            checkpoint.save(state, network, optimiser, learned)
        yield Progress(stage, epoch + 1, settings.epochs, message, figures)
    assert best is not None  # the last epoch is always validated
    network.load_state_dict(best.weights)
    network.eval()
    return FitResult(best.weights, best.figures, tuple(history), best.earlier)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of all that is sampled in an epoch."""
    return seed * 1_000_003 + epoch


def _step(
    optimiser: torch.optim.Optimizer,
    objective: Callable[[StepBatch], Iterable[Tensor]],
    batch: StepBatch,
    *,
    rate: float,
    settings: LoopSettings,
    ranks: Ranks,
) -> float:
    """One step down the sum of the parts; returns it. Of several processes each has a share of it."""
    share: float = getattr(batch, "share", 1.0)
    for group in optimiser.param_groups:
        group["lr"] = group.get(_STEADY, rate)
    optimiser.zero_grad(set_to_none=True)
    total, parts = 0.0, iter(objective(batch))
    while True:
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            part = next(parts, None)
        if part is None:
            break
        (part if share == 1 else share * part).backward()  # type: ignore[no-untyped-call]
        total += share * float(part.detach())
    ranks.average_gradients([parameter for group in optimiser.param_groups for parameter in group["params"]])
    optimiser.step()
    return ranks.mean(total, batch.device)


def _check_alike(ranks: Ranks, saved: Saved | None, network: nn.Module, learned: Sequence[nn.Module]) -> None:
    """Have all processes begin at the same place; RecipeError where they cannot read one checkpoint."""
    begun = saved.epochs if saved else 0
    if ranks.of_the_first(begun) != begun:
        raise RecipeError(
            tr("The processes of this training do not find the same state to continue from."),
            advice=tr("Give --out on a disk that all machines have."),
        )
    for module in (network, *learned):
        ranks.start_alike(module)


_STEADY = "steady_rate"
"""Where a group of parameters has a rate that no schedule changes."""


def _optimiser(
    network: nn.Module, learned: Sequence[nn.Module], settings: LoopSettings, steady: Mapping[nn.Module, float]
) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    apart = {id(parameter) for module in steady for parameter in module.parameters()}
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in _trainable(network) if id(parameter) not in apart]},
        {"params": [parameter for module in learned for parameter in _trainable(module)], "weight_decay": 0.0},
        *({"params": _trainable(module), _STEADY: rate * factor} for module, factor in steady.items()),
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True, weight_decay=decay)
    return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def _check(loss: float, *, stage: str, epoch: int) -> None:
    if not math.isfinite(loss):
        raise RecipeError(
            tr("{stage}: the loss became {loss} in epoch {epoch}.", stage=stage, loss=loss, epoch=epoch + 1),
            advice=tr("Lower learning_rate in the recipe; nothing was saved or changed."),
        )


def _rank(figures: Mapping[str, float], rank_by: str | None) -> float:
    """Higher is better; epochs without the figure are alike, so that the last one wins."""
    return 0.0 if rank_by is None else figures.get(rank_by, 0.0)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def _moved(network: nn.Module, before: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters before, as far as they differ."""
    names = [name for name, _parameter in network.named_parameters()]
    return {name: before[name] for name in names if not torch.equal(before[name], now[name])}
