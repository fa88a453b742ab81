"""The teacher: a copy that follows by the paper's numbers, buffers too, and learns nothing by itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from histoloop.training.teacher import RECENCY, ConsistencySettings, Teacher


def student() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5))


class Scalar(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def test_it_begins_as_a_copy_with_the_buffers() -> None:
    own = student()
    own(torch.randn(2, 3, 8, 8))  # moves the statistics of the batch norm
    teacher = Teacher(own)
    copied = teacher.module.state_dict()
    assert all(torch.equal(value, copied[name]) for name, value in own.state_dict().items())
    with torch.no_grad():
        own[0].weight.zero_()
    assert teacher.module[0].weight.any()  # type: ignore[index]


def test_it_follows_by_the_ramped_average() -> None:
    own, expected = Scalar(-2.0), [-0.5, -0.0666666666667, 0.075, 0.14]
    teacher = Teacher(own)
    for step, (value, average) in enumerate(zip([1.0, 0.8, 0.5, 0.4], expected, strict=True), start=1):
        nn.init.constant_(own.value, value)
        teacher.update(own, step)
        assert float(teacher.module.value) == pytest.approx(average, rel=2e-6)  # type: ignore[arg-type]


def test_after_many_steps_it_keeps_the_decay() -> None:
    own = Scalar(1.0)
    teacher = Teacher(own)
    for step, (value, average) in enumerate(
        zip([1.0, 0.8, 0.5, 0.4], [1.0, 0.9998, 0.9993002, 0.9987008998], strict=True), start=10_000
    ):
        nn.init.constant_(own.value, value)
        teacher.update(own, step)
        assert float(teacher.module.value) == pytest.approx(average, rel=1e-6)  # type: ignore[arg-type]


def test_with_recency_it_is_ahead_of_a_student_within_the_steps_of_a_round() -> None:
    """A student that comes near to 1 and jitters around it; the plain mean is still of its beginning."""
    jitter = torch.randn(61, generator=torch.Generator().manual_seed(0)) / 5
    own = Scalar(-2.0)
    teachers = {recency: Teacher(own, recency=recency) for recency in (0.0, RECENCY)}
    errors: dict[str, float] = {"student": 0.0, "0": 0.0, f"{RECENCY:g}": 0.0}
    for step in range(1, 61):
        nn.init.constant_(own.value, float(1 - 3 * 0.85**step + jitter[step]))
        for teacher in teachers.values():
            teacher.update(own, step)
        if step > 40:
            errors["student"] += abs(own.value.item() - 1)
            for recency, teacher in teachers.items():
                errors[f"{recency:g}"] += abs(teacher.module.value.item() - 1)  # type: ignore[operator]
    assert errors[f"{RECENCY:g}"] < errors["student"] / 1.5
    assert errors["0"] > errors["student"]


def test_recency_forgets_by_the_formula_until_the_decay_is_reached() -> None:
    own = Scalar(0.0)
    teacher = Teacher(own, recency=9.0, decay=0.9)
    nn.init.constant_(own.value, 1.0)
    teacher.update(own, 1)
    assert float(teacher.module.value) == pytest.approx(10 / 11)  # type: ignore[arg-type]
    teacher = Teacher(Scalar(0.0), recency=9.0, decay=0.9)
    teacher.update(own, 1000)
    assert float(teacher.module.value) == pytest.approx(0.1)  # type: ignore[arg-type]


def test_buffers_are_averaged_and_integers_copied() -> None:
    own = student()
    teacher = Teacher(own)
    before = own[1].running_mean.clone()
    own(3 + torch.randn(2, 3, 8, 8))
    teacher.update(own, 1)
    norm = teacher.module[1]  # type: ignore[index]
    torch.testing.assert_close(norm.running_mean, (before + own[1].running_mean) / 2)
    assert norm.num_batches_tracked == 1


def test_it_stays_in_evaluation_mode_and_gets_no_gradient() -> None:
    own = student()
    teacher = Teacher(own).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    tiles = torch.randn(2, 3, 8, 8)
    said = teacher(tiles)
    assert torch.equal(said, teacher(tiles))  # no dropout
    assert not said.requires_grad
    (own(tiles) - said).square().mean().backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(torch.equal(value, teacher.state_dict()[name]) for name, value in before.items())
    assert own.training


def test_a_student_of_other_tensors_and_a_step_below_one_are_refused() -> None:
    teacher = Teacher(student())
    with pytest.raises(ValueError, match="other tensors"):
        teacher.update(Scalar(1.0), 1)
    with pytest.raises(ValueError, match="from 1, not 0"):
        teacher.update(student(), 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": -0.1},
        {"decay": 1.0},
        {"decay": -0.1},
        {"unlabelled_per_step": 0},
        {"recency": -1.0},
        {"outputs": "scores"},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        ConsistencySettings(**changes)  # type: ignore[arg-type]
