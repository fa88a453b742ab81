"""What a round keeps of a cross-validation, and which regions are left out together or compare fairly."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from histoloop.geometry import Region
from histoloop.store.parts import annotations, drafts, rounds
from histoloop.workflows import annotate
from histoloop.workflows.contents.cross_validation import CrossValidated, crossed_of, folds_of, new_to_model
from histoloop.workflows.contents.rounds import CandidateModel
from histoloop.workflows.contents.verdict import Verdict, crossed_in_words, in_words, rose, verdict_of

FOUND = CrossValidated(7, 0.8, (0.7, 0.9), 5, 0.6, 0.75, (0.05, 0.25))
FEW = CandidateModel(2, 1, 0.7, 0.69, 1, 6, kind="kind masks quick")


def test_figures_of_a_round_give_back_the_cross_validation_that_they_were_made_of() -> None:
    assert crossed_of({"dice": 0.5, **FOUND.as_figures()}) == FOUND
    alone = CrossValidated(3, 0.8, (0.7, 0.9))
    assert crossed_of(alone.as_figures()) == alone
    assert crossed_of({"dice": 0.5}) is None


def test_up_to_eight_regions_are_left_out_one_by_one_and_those_that_overlap_together() -> None:
    apart = [(1, Region(100 * number, 0, 50, 50)) for number in range(7)]
    assert folds_of(apart) == [[number] for number in range(7)]
    assert folds_of([*apart, (1, Region(120, 10, 100, 50)), (2, Region(0, 0, 50, 50))]) == [
        [0],
        [1, 2, 7],
        [3],
        [4],
        [5],
        [6],
        [8],
    ]
    many = folds_of([(1, Region(100 * number, 0, 50, 50)) for number in range(19)])
    assert len(many) == 8
    assert sorted(one for fold in many for one in fold) == list(range(19))
    assert many[0] == [0, 8, 16]


def test_regions_are_new_to_a_model_that_were_painted_later_or_held_out_and_overlap_nothing_it_learned(
    project, make_model, paint_tissue, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(10)
    for part in (annotations, drafts, rounds):
        monkeypatch.setattr(part, "timestamp", lambda: f"2026-01-01T00:00:{next(ticks)}.000+00:00")
    path = paint_tissue(tmp_path / "slide.png", width=640, height=64)
    slide = project.slides.add(path, width=640, height=64, mpp=1.0, vendor="picture")

    def paint(x: int) -> int:
        draft = project.drafts.start(
            slide.id, Region(x, 0, 64, 64), mask=np.ones((64, 64), np.uint8), origin_model=None, person="Ada"
        )
        return annotate.finish(project, draft.id).id

    for x in (0, 100, 200):
        paint(x)
    folder = make_model(project.models.new_folder(1))
    model = project.models.add(folder.name, hash="one", parent=None, round=1)
    project.rounds.add(model.id, None, {}, 2)
    for x in (300, 400):
        paint(x)
    records = project.annotations.finished()
    held_out = [one.held_out for one in records]
    assert held_out == [False, False, True, False, False]
    assert new_to_model(project, model.id, records) == [False, False, True, True, True]
    moved = dataclasses.replace(records[3], region=Region(130, 0, 64, 64))
    assert new_to_model(project, model.id, [moved]) == [False]
    assert new_to_model(project, project.models.first().id, records) == [True] * 5


def test_a_cross_validation_tells_where_the_held_out_regions_do_not_and_never_against_them() -> None:
    assert verdict_of(FEW) is Verdict.TOO_FEW
    assert not rose(FEW)
    crossed = dataclasses.replace(FEW, crossed=FOUND)
    assert verdict_of(crossed) is Verdict.BETTER
    assert rose(crossed)
    assert in_words(crossed) == "Better by cross-validation."
    assert crossed_in_words(crossed.crossed) == (
        "Cross-validated on 7 painted regions: Dice 0.800, 95% interval 0.70 to 0.90. On 5 of them, new to the model "
        "before: 0.600 → 0.750 (+0.150, 95% interval +0.05 to +0.25)."
    )
    unclear = dataclasses.replace(FOUND, change=(-0.05, 0.25))
    assert verdict_of(dataclasses.replace(FEW, crossed=unclear)) is Verdict.TOO_FEW
    worse = dataclasses.replace(FEW, change=(-0.3, -0.1), held_out=2, crossed=FOUND)
    assert verdict_of(worse) is Verdict.WORSE


def test_without_regions_that_are_new_the_model_before_is_not_compared() -> None:
    alone = dataclasses.replace(FEW, crossed=CrossValidated(7, 0.8, (0.7, 0.9), 1))
    assert verdict_of(alone) is Verdict.TOO_FEW
    assert crossed_in_words(alone.crossed).endswith("it cannot be compared.")


@pytest.mark.parametrize(
    ("changes", "can"),
    [
        ({}, True),
        ({"held_out": 0, "annotations": 2}, False),
        ({"held_out": 8, "annotations": 24}, False),
        ({"kind": "kind labels full"}, False),
        ({"kind": "kind masks self-supervised"}, False),
        ({"crossed": FOUND}, False),
    ],
)
def test_it_is_offered_where_few_regions_measure_a_model_of_masks(changes: dict[str, object], can: bool) -> None:
    assert dataclasses.replace(FEW, **changes).can_be_crossed is can
