"""What a training needs to go on after it was stopped: one file, replaced whole every now and then."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn, optim

from histoloop.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """Where a training stood: epochs done, best weights so far with their figures, figures of every validated epoch.

    `earlier` are those tensors of the state before the best that differ from it (training/loop.py: FitResult), `before`
    is the state that the next best one is compared with.
    """

    epochs: int
    best: Mapping[str, Tensor]
    figures: Mapping[str, float]
    history: tuple[Mapping[str, float], ...]
    earlier: Mapping[str, Tensor] = field(default_factory=dict)
    before: Mapping[str, Tensor] = field(default_factory=dict)


class Checkpoint:
    """The state of one stage of a training in the file `path`.

    `key` identifies what is trained (recipe, data, seed): a file with another key is of another training and refused.
    """

    EVERY_SECONDS = 30.0
    """Writing takes as long as an epoch of a small data set; a stopped training repeats no more than this."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        self._written = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last saving is long enough ago."""
        return time.monotonic() - self._written >= self.EVERY_SECONDS

    def save(
        self, saved: Saved, network: nn.Module, optimiser: optim.Optimizer, learned: Sequence[nn.Module] = ()
    ) -> None:
        """Write beside and rename: what was there before stays whole until the new state is.

        ModelError when the file cannot be written.
        """
        tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in saved.best.items()}
        tensors |= {f"earlier.{name}": tensor for name, tensor in saved.earlier.items()}
        tensors |= {f"before.{name}": tensor for name, tensor in saved.before.items()}
        for number, module in enumerate(learned):
            tensors |= {f"learned.{number}.{name}": tensor for name, tensor in module.state_dict().items()}
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items() if value is not None}
        head = {
            "key": self.key,
            "epochs": saved.epochs,
            "figures": dict(saved.figures),
            "history": [dict(figures) for figures in saved.history],
        }
        whole = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        beside = self.path.with_name(f"{self.path.name}.partial")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file(whole, beside, metadata={"training": json.dumps(head)})
            os.replace(beside, self.path)
        except (OSError, SafetensorError) as error:
            advice = "Check that the folder may be written to and that the disk is not full."
            raise ModelError(f"{self.path} cannot be written: {error}.", advice=advice) from error
        finally:
            beside.unlink(missing_ok=True)
        self._written = time.monotonic()

    def restore(
        self, network: nn.Module, optimiser: optim.Optimizer, learned: Sequence[nn.Module] = ()
    ) -> Saved | None:
        """Fill network, optimiser and learned modules; None when nothing was saved. ModelError for another training."""
        if not self.path.is_file():
            return None
        head, tensors = self._read()
        network.load_state_dict(_part(tensors, "network."))
        for number, module in enumerate(learned):
            module.load_state_dict(_part(tensors, f"learned.{number}."))
        plain = optimiser.state_dict()
        plain["state"] = _nested(_part(tensors, "optimiser."))
        optimiser.load_state_dict(plain)
        history = tuple(head["history"])
        best, earlier, before = (_part(tensors, f"{name}.") for name in ("best", "earlier", "before"))
        return Saved(head["epochs"], best, head["figures"], history, earlier, before)

    def _read(self) -> tuple[dict[str, Any], Tensors]:
        advice = f"Delete {self.path} to start anew."
        try:
            with safe_open(self.path, framework="pt") as file:
                head: dict[str, Any] = json.loads(file.metadata()["training"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.path} holds no training that can go on: {error}.", advice=advice) from error
        if head.get("key") != self.key:
            reason = f"{self.path} is of a training with another recipe, data set or seed."
            raise ModelError(reason, advice=f"Repeat that command, give another --out, or: {advice}")
        return head, tensors


def discard(folder: Path, *names: str) -> None:
    """Remove checkpoints by name, and their folder if nothing else is in it."""
    with suppress(OSError):
        for name in names:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _part(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _nested(flat: Tensors) -> dict[int, dict[str, Tensor]]:
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        index, key = name.split(".", 1)
        states.setdefault(int(index), {})[key] = tensor
    return states
