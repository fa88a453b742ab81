from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.progress import finish
from histoloop.workflows.experiments.demo import run_demo

if TYPE_CHECKING:
    from pathlib import Path


def test_dice_on_unseen_slides_rises_over_the_rounds_of_the_demo(tmp_path: Path) -> None:
    report = finish(run_demo(tmp_path / "project", rounds=1, seed=0, device="cpu"))
    first, last = report.rounds[0], report.rounds[-1]
    assert (first.round, first.annotations) == (0, 0)
    assert last.annotations > 0
    assert last.dice > first.dice + 0.05
