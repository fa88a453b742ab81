"""The training loop: forward, loss, backward, step, once for every network and objective here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from histoloop.errors import RecipeError
from histoloop.progress import Progress, Work

if TYPE_CHECKING:
    from histoloop.training.samples import Batch


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How long and how fast to learn. The learning rate rises over the first epoch and falls by a cosine to zero.

    `precision` 'bfloat16' halves the time on processors and GPUs that have it, at some loss of determinism between
    machines; weights stay float32.
    """

    epochs: int = 30
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    optimiser: Literal["sgd", "adamw"] = "adamw"
    precision: Literal["float32", "bfloat16"] = "float32"
    validate_every: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError("learning_rate must be above 0 and weight_decay at least 0")


@dataclass(frozen=True, slots=True, eq=False)
class FitResult:
    """The best state found, its figures, and the figures of every validated epoch."""

    weights: Mapping[str, Tensor]
    figures: Mapping[str, float]
    history: tuple[Mapping[str, float], ...]


def fit(
    network: nn.Module,
    *,
    stage: str,
    epoch_batches: Callable[[int], Iterable[Batch]],
    batches_per_epoch: int,
    objective: Callable[[Batch], Tensor],
    validate: Callable[[], Mapping[str, float]],
    rank_by: str | None,
    settings: LoopSettings,
    device: torch.device,
) -> Work[FitResult]:
    """Train the network's trainable parameters; keep the epoch whose figure `rank_by` is highest (ties: the later).

    The last epoch is kept when `rank_by` is None or `validate` returns nothing to rank by. Leaves the best
    weights in the network. RecipeError when the loss stops being a number.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = _optimiser(parameters, settings)
    total_steps = settings.epochs * batches_per_epoch
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, batches_per_epoch, total_steps))
    history: list[Mapping[str, float]] = []
    best: FitResult | None = None
    for epoch in range(settings.epochs):
        network.train()
        losses: list[float] = []
        for batch in epoch_batches(epoch):
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
                loss = objective(batch.to(device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(_checked(float(loss.detach()), stage=stage, epoch=epoch))
            yield Progress(stage, epoch + len(losses) / batches_per_epoch, settings.epochs, f"epoch {epoch + 1}")
        figures: dict[str, float] = {"epoch": epoch + 1, "loss": sum(losses) / len(losses)}
        if (epoch + 1) % settings.validate_every == 0 or epoch + 1 == settings.epochs:
            network.eval()
            with torch.inference_mode():
                figures |= validate()
            history.append(figures)
            if best is None or _rank(figures, rank_by) >= _rank(best.figures, rank_by):
                best = FitResult(_copy(network), figures, ())
        yield Progress(stage, epoch + 1, settings.epochs, f"epoch {epoch + 1}", figures)
    assert best is not None  # the last epoch is always validated
    network.load_state_dict(best.weights)
    network.eval()
    return FitResult(best.weights, best.figures, tuple(history))


def _optimiser(parameters: list[nn.Parameter], settings: LoopSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, nesterov=True, weight_decay=decay)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)


def _rate(step: int, warmup_steps: int, total_steps: int) -> float:
    if step < warmup_steps and total_steps > warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * step / max(1, total_steps)))


def _checked(loss: float, *, stage: str, epoch: int) -> float:
    if not math.isfinite(loss):
        raise RecipeError(
            f"{stage}: the loss became {loss} in epoch {epoch + 1}.",
            advice="Lower learning_rate in the recipe; nothing was saved or changed.",
        )
    return loss


def _rank(figures: Mapping[str, float], rank_by: str | None) -> float:
    """Higher is better; epochs without the figure are alike, so that the last one wins."""
    return 0.0 if rank_by is None else figures.get(rank_by, 0.0)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
