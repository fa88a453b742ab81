"""How long a round will take, in words, before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.workflows.contents.estimates import SECONDS, estimate, extent_figures, in_words
from histoloop.workflows.contents.rounds import HowToLearn

if TYPE_CHECKING:
    from histoloop.store.project import Project


def test_without_a_round_it_is_what_two_cores_took_and_says_so(project: Project) -> None:
    found = estimate(project, HowToLearn())
    assert not found.measured
    assert found.seconds == SECONDS["masks", "full"]
    assert "two processor cores" in found.text


def test_a_quick_round_is_shorter_and_a_self_supervised_start_far_longer(project: Project) -> None:
    quick, full, first = (
        estimate(project, HowToLearn(pace=pace)).seconds for pace in ("quick", "full", "self-supervised")
    )
    assert quick < full < first / 10


def test_the_last_round_of_the_same_kind_tells(project: Project) -> None:
    model = project.models.current()
    how = HowToLearn(pace="quick")
    project.rounds.add(model.id, model.id, {"seconds": 12.0, **extent_figures(how)}, 3)
    project.rounds.add(model.id, model.id, {"seconds": 500.0, **extent_figures(HowToLearn())}, 3)
    found = estimate(project, how)
    assert found.measured
    assert found.seconds == 12.0
    assert found.text == "about 10 s, like the last such round"
    assert estimate(project, HowToLearn(pace="quick", propagation=True)).seconds == 48.0
    assert not estimate(project, HowToLearn("sizes")).measured


def test_a_self_supervised_start_that_was_made_is_not_counted_again(project: Project) -> None:
    kept = project.folder / "pretrained" / "base.safetensors"
    kept.parent.mkdir()
    kept.write_bytes(b"")
    assert estimate(project, HowToLearn(pace="self-supervised")).seconds == SECONDS["labels", "full"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2, "about 5 s"), (42, "about 40 s"), (70, "about a minute"), (200, "about 3 minutes"), (3500, "about an hour"),
     (14_400, "about 4 hours")],
)  # fmt: skip
def test_times_are_said_as_a_person_would(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
