"""The loop: parts one by one, learning rates, what is decayed; and a training that stops and goes on."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from histoloop.errors import ModelError, RecipeError
from histoloop.losses.robust import AdaptiveRobustLoss
from histoloop.progress import Progress, Work, finish
from histoloop.training.checkpoint import Checkpoint
from histoloop.training.loop import FitResult, LoopSettings, fit
from histoloop.training.samples import Batch, TrainingTile, collate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CPU = torch.device("cpu")
STEPS = 3


def some_batches(epoch: int) -> Iterator[Batch]:
    rng = np.random.default_rng(epoch)
    for _ in range(STEPS):
        tiles = [TrainingTile(rng.integers(0, 256, (8, 8, 3), np.uint8), n % 2, None, "t") for n in range(4)]
        yield collate(tiles, multiple_px=8)


class Setting:
    """A small network with batch norm and dropout, and an objective with parameters of its own."""

    def __init__(self, optimiser: str = "adamw", epochs: int = 5, **changes: object) -> None:
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.AdaptiveAvgPool2d(1)]
        self.network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 2))
        self.learned = AdaptiveRobustLoss(2)
        values = {"epochs": epochs, "learning_rate": 0.01, "optimiser": optimiser, **changes}
        self.settings = LoopSettings(**values)  # type: ignore[arg-type]
        self.validated = 0

    def objective(self, batch: Batch) -> Iterable[Tensor]:
        found = self.network(batch.tiles_BCHW)
        wanted = nn.functional.one_hot(batch.labels_B, 2).float()
        yield self.learned(found - wanted).mean()
        yield self.network(batch.tiles_BCHW).square().mean()

    def validate(self) -> Mapping[str, float]:
        """Best after the second epoch."""
        self.validated += 1
        with torch.no_grad():
            weight = float(self.network[6].weight.abs().sum())
        return {"figure": -abs(weight - 1.5)}

    def train(self, checkpoint: Checkpoint | None = None, **changes: object) -> Work[FitResult]:
        arguments = {
            "stage": "Training",
            "epoch_batches": some_batches,
            "batches_per_epoch": STEPS,
            "objective": self.objective,
            "validate": self.validate,
            "rank_by": "figure",
            "settings": self.settings,
            "device": CPU,
            "learned": (self.learned,),
            "checkpoint": checkpoint,
            **changes,
        }
        return fit(self.network, **arguments)  # type: ignore[arg-type]


class Often(Checkpoint):
    """Saves after every epoch."""

    EVERY_SECONDS = 0.0


def stop_after(work: Work[FitResult], epochs: int) -> None:
    """Kill a training in the middle of the epoch after so many."""
    for step in work:
        if step.done > epochs:
            break
    work.close()


# --- parts --------------------------------------------------------------------------------------------------------


def test_parts_are_propagated_back_one_by_one_and_the_loss_is_their_sum() -> None:
    setting = Setting(epochs=1)
    alive: list[str] = []

    class Watch(torch.autograd.Function):
        @staticmethod
        def forward(_context: object, value: Tensor, name: str) -> Tensor:
            _context.name = name  # type: ignore[attr-defined]
            return value.clone()

        @staticmethod
        def backward(context: object, *gradients: Tensor) -> tuple[Tensor, None]:
            alive.append(f"back {context.name}")  # type: ignore[attr-defined]
            return gradients[0], None

    def objective(_batch: Batch) -> Iterator[Tensor]:
        weight = setting.network[6].weight
        for name, value in (("a", 1.0), ("b", 2.0)):
            alive.append(f"ask {name}")
            yield Watch.apply(weight.sum() * 0 + value, name)  # type: ignore[no-untyped-call]

    steps: list[Progress] = []
    finish(setting.train(objective=objective), steps.append)
    assert alive == ["ask a", "back a", "ask b", "back b"] * STEPS
    assert steps[-1].figures["loss"] == 3.0


def test_parts_teach_as_their_sum_does() -> None:
    def summed(setting: Setting) -> Callable[[Batch], Iterator[Tensor]]:
        def objective(batch: Batch) -> Iterator[Tensor]:
            yield torch.stack(list(Setting.objective(setting, batch))).sum()

        return objective

    apart, together = Setting("sgd"), Setting("sgd")
    one = finish(apart.train()).weights
    other = finish(together.train(objective=summed(together))).weights
    for name, value in one.items():
        torch.testing.assert_close(value, other[name])


# --- learning rates and weight decay ------------------------------------------------------------------------------


def test_the_rate_rises_over_the_warm_up_and_falls_by_a_cosine_to_zero() -> None:
    loop = LoopSettings(epochs=10, learning_rate=0.2, warmup_epochs=1)
    rates = [loop.rate(step, 4) for step in range(40)]
    assert rates[:4] == pytest.approx([0.05, 0.1, 0.15, 0.2])
    assert rates[20] == pytest.approx(0.1)
    assert rates[39] == pytest.approx(0.1 * (1 + math.cos(math.pi * 39 / 40)))
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[4:]))


def test_the_rate_of_steps_falls_by_the_factor_every_so_many_epochs() -> None:
    loop = LoopSettings(epochs=5, learning_rate=1.0, warmup_epochs=0, schedule="steps", step_epochs=2, step_factor=0.1)
    assert [loop.rate(step, 3) for step in range(0, 15, 3)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert loop.rate(5, 3) == 1.0


def test_a_training_that_is_all_warm_up_has_none() -> None:
    assert LoopSettings(epochs=1, learning_rate=0.1, warmup_epochs=1).rate(0, 4) == pytest.approx(0.1)


def test_every_step_is_taken_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[list[float]] = []
    original = torch.optim.SGD.step

    def step(self: torch.optim.SGD, closure: None = None) -> object:
        taken.append([group["lr"] for group in self.param_groups])
        return original(self, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    setting = Setting("sgd", epochs=2)
    finish(setting.train())
    expected = [setting.settings.rate(number, STEPS) for number in range(2 * STEPS)]
    assert taken == [[rate, rate] for rate in expected]


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_learned_modules_learn_without_weight_decay_and_the_network_with(optimiser: str) -> None:
    setting = Setting(optimiser, epochs=1, weight_decay=0.5)
    torch.nn.init.constant_(setting.learned.latent_alpha, 2.0)
    before = setting.network[6].weight.detach().clone()

    def flat(_batch: Batch) -> Iterator[Tensor]:
        yield 0.0 * (setting.network[6].weight.sum() + setting.learned.latent_alpha.sum())

    finish(setting.train(objective=flat))
    assert torch.equal(setting.learned.latent_alpha, torch.full((2,), 2.0))
    assert (setting.network[6].weight.abs() < before.abs()).all()


def test_what_the_objective_learns_is_learned() -> None:
    setting = Setting()
    finish(setting.train())
    assert not torch.equal(setting.learned.latent_scale, torch.zeros(2))


def test_after_each_step_the_number_of_steps_is_told_and_what_cannot_be_trained_is_not() -> None:
    setting = Setting(epochs=2, weight_decay=0.5)
    companion = nn.Linear(2, 2).requires_grad_(False)
    before = companion.weight.clone()
    steps: list[int] = []
    finish(setting.train(learned=(setting.learned, companion), after_step=steps.append))
    assert steps == list(range(1, 2 * STEPS + 1))
    assert torch.equal(companion.weight, before)


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"batch_size": 0}, {"validate_every": 0}, {"step_epochs": 0}, {"learning_rate": 0.0},
     {"weight_decay": -1.0}, {"warmup_epochs": -1}, {"step_factor": 0.0}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        LoopSettings(**changes)  # type: ignore[arg-type]


# --- what is kept -------------------------------------------------------------------------------------------------


def test_the_best_epoch_is_kept_and_of_equals_the_later() -> None:
    figures = iter([0.5, 0.7, 0.7, 0.6])
    setting = Setting(epochs=4)
    kept: list[Tensor] = []

    def validate() -> Mapping[str, float]:
        kept.append(setting.network[6].weight.detach().clone())
        return {"figure": next(figures)}

    result = finish(setting.train(validate=validate))
    assert result.figures["epoch"] == 3
    assert torch.equal(setting.network[6].weight, kept[2])
    assert torch.equal(result.weights["6.weight"], kept[2])
    assert [row["figure"] for row in result.history] == [0.5, 0.7, 0.7, 0.6]
    assert not setting.network.training


def test_the_last_epoch_is_kept_where_nothing_ranks() -> None:
    result = finish(Setting(epochs=3).train(rank_by=None))
    assert result.figures["epoch"] == 3


def test_validation_comes_every_so_many_epochs_and_at_the_end() -> None:
    setting = Setting(epochs=5, validate_every=2)
    result = finish(setting.train())
    assert [row["epoch"] for row in result.history] == [2, 4, 5]
    assert setting.validated == 3


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_with_advice(value: float) -> None:
    setting = Setting()

    def objective(_batch: Batch) -> Iterator[Tensor]:
        yield setting.network[6].weight.sum() * value

    with pytest.raises(RecipeError, match="learning_rate"):
        finish(setting.train(objective=objective))


@pytest.mark.parametrize(("rank_by", "epochs"), [(None, 1), (None, 3), ("figure", 4)])
def test_the_parameters_one_epoch_before_the_kept_one_are_handed_out(rank_by: str | None, epochs: int) -> None:
    figures = iter([0.5, 0.7, 0.6, 0.1])
    setting = Setting(epochs=epochs, schedule="steps")
    states = [{name: value.clone() for name, value in setting.network.state_dict().items()}]

    def validate() -> Mapping[str, float]:
        states.append({name: value.clone() for name, value in setting.network.state_dict().items()})
        return {"figure": next(figures)}

    result = finish(setting.train(rank_by=rank_by, validate=validate))
    kept = epochs if rank_by is None else 2
    assert result.figures["epoch"] == kept
    before = {**result.weights, **result.earlier}
    parameters = {name for name, _parameter in setting.network.named_parameters()}
    assert result.earlier.keys() <= parameters  # both states have the same buffers
    assert all(torch.equal(states[kept - 1][name], before[name]) for name in parameters)
    assert all(not torch.equal(value, result.weights[name]) for name, value in result.earlier.items())
    way_back = result.way_back()
    assert way_back.keys() == result.earlier.keys()
    torch.testing.assert_close(result.weights["6.weight"] + way_back["6.weight"], states[kept - 1]["6.weight"])


def test_the_earlier_state_is_from_before_the_rate_fell_to_nothing() -> None:
    setting = Setting(epochs=20)
    states: list[Tensor] = []

    def validate() -> Mapping[str, float]:
        states.append(setting.network.state_dict()["6.weight"].clone())
        return {}

    result = finish(setting.train(validate=validate))
    settings = setting.settings
    high = [epoch for epoch in range(1, 20) if settings.rate(STEPS * epoch - 1, STEPS) >= 0.1 * settings.learning_rate]
    assert 14 < high[-1] < 18
    assert torch.equal(result.earlier["6.weight"], states[high[-1] - 1])
    last = (result.weights["6.weight"] - states[-2]).norm()
    assert (result.weights["6.weight"] - result.earlier["6.weight"]).norm() > 20 * last


def test_of_a_part_that_does_not_learn_no_earlier_state_is_kept() -> None:
    setting = Setting(epochs=2)
    setting.network[0].requires_grad_(False)
    earlier = finish(setting.train()).earlier
    assert "6.weight" in earlier
    assert not {"0.weight", "0.bias", "1.running_mean"} & set(earlier)


# --- going on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("stopped", [1, 3])
def test_a_training_that_goes_on_ends_as_if_it_had_never_stopped(optimiser: str, stopped: int, tmp_path: Path) -> None:
    whole = Setting(optimiser)
    expected = finish(whole.train())
    stop_after(Setting(optimiser).train(Often(tmp_path / "state", "a")), stopped)
    resumed = Setting(optimiser)
    torch.manual_seed(99)  # what was drawn before has no part in it
    result = finish(resumed.train(Often(tmp_path / "state", "a")))
    assert resumed.validated == 5 - stopped
    assert result.figures == expected.figures
    assert result.history == expected.history
    for name, value in expected.weights.items():
        assert torch.equal(result.weights[name], value), name
    assert result.earlier.keys() == expected.earlier.keys()
    assert all(torch.equal(value, result.earlier[name]) for name, value in expected.earlier.items())
    for own, other in ((whole.network, resumed.network), (whole.learned, resumed.learned)):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in own.state_dict().items())


def test_a_training_that_was_done_is_not_repeated(tmp_path: Path) -> None:
    expected = finish(Setting().train(Checkpoint(tmp_path / "state", "a")))
    again = Setting()
    result = finish(again.train(Checkpoint(tmp_path / "state", "a")))
    assert again.validated == 0
    assert result.figures == expected.figures
    assert all(torch.equal(value, again.network.state_dict()[name]) for name, value in expected.weights.items())


def test_the_state_is_saved_now_and_then_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state"
    work = Setting(epochs=3).train(Checkpoint(path, "a"))
    seen = []
    for step in work:
        if step.done == int(step.done):
            seen.append(path.is_file())
    assert seen[-1]
    assert not any(seen[:-2])


def test_the_state_of_another_training_is_refused_with_a_way_on(tmp_path: Path) -> None:
    finish(Setting(epochs=1).train(Checkpoint(tmp_path / "state", "a")))
    before = (tmp_path / "state").read_bytes()
    with pytest.raises(ModelError, match="another recipe, data set or seed") as refused:
        finish(Setting(epochs=1).train(Checkpoint(tmp_path / "state", "b")))
    assert "--out" in refused.value.advice
    assert (tmp_path / "state").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"no tensors at all", "cut"])
def test_a_broken_state_is_refused_with_what_to_do(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "state"
    finish(Setting(epochs=1).train(Checkpoint(path, "a")))
    path.write_bytes(path.read_bytes()[:-9] if isinstance(content, str) else content)
    with pytest.raises(ModelError, match="can go on") as refused:
        finish(Setting(epochs=1).train(Checkpoint(path, "a")))
    assert "Delete" in refused.value.advice


def test_a_state_that_cannot_be_written_leaves_the_old_one_and_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    stop_after(Setting().train(Often(path, "a")), 1)
    before = path.read_bytes()

    def full(_tensors: object, target: Path, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("histoloop.training.checkpoint.save_file", full)
    with pytest.raises(ModelError, match="No space left") as refused:
        finish(Setting().train(Often(path, "a")))
    assert "disk" in refused.value.advice
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["state"]
