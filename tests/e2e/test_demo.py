from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from histoloop.progress import finish
from histoloop.workflows import demo_project
from histoloop.workflows.experiments import demo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """One small slide of each label, half as many to measure on, two epochs in place of twenty."""
    monkeypatch.setattr(demo_project, "SLIDES_PER_LABEL", 1)
    monkeypatch.setattr(demo_project, "SLIDE_PX", (1400, 1100))
    monkeypatch.setattr(demo, "TEST_SLIDES", 3)
    monkeypatch.setattr(demo, "TEST_PX", 800)
    monkeypatch.setattr(demo, "retrain", functools.partial(demo.retrain, epochs=2))


@pytest.mark.usefixtures("small_demo")
def test_dice_on_unseen_slides_rises_over_the_rounds_of_the_demo(tmp_path: Path) -> None:
    report = finish(demo.run_demo(tmp_path / "project", rounds=1, seed=0, device="cpu"))
    first, last = report.rounds[0], report.rounds[-1]
    assert (first.round, first.annotations) == (0, 0)
    assert last.annotations > 0
    assert last.dice > first.dice + 0.02
