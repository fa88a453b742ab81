"""Simulated sessions: the same start for all, resumable, with honest bounds."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from histoloop.errors import DataError, RecipeError
from histoloop.progress import finish
from histoloop.training.cached import CachedSettings
from histoloop.training.loop import LoopSettings
from histoloop.training.teacher import ConsistencySettings
from histoloop.workflows.cluster.spread import Spread
from histoloop.workflows.experiments import sessions
from histoloop.workflows.experiments.sessions import SessionSettings, Way
from histoloop.workflows.experiments.simulate import PRESETS, Simulation, SimulationSettings, adjusted, simulate
from histoloop.workflows.experiments.train import train_model
from histoloop.workflows.queries.learned_loss_scores import LearnedLossSettings
from histoloop.workflows.queries.score_regions import ScoringSettings
from histoloop.workflows.queries.vaal_scores import PAPER_VAAL, VaalSettings, vaal_scores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.networks.unet import Decoder

TINY = SimulationSettings(
    SessionSettings(
        rounds=3,
        first_per_class=1,
        per_class=1,
        neighbours=1,
        decoder_channels=(8, 8, 8, 4, 4),
        learn=CachedSettings(
            loop=LoopSettings(epochs=1, batch_size=2, learning_rate=5e-3, warmup_epochs=0),
            steps_per_epoch=2,
            views=2,
            crop_px=64,
        ),
        score=ScoringSettings(passes=2, vaal=VaalSettings(steps=5), learned_loss=LearnedLossSettings(steps=5)),
        full_steps=1,
    )
)


@pytest.fixture(scope="module")
def model(discs: Path, write_recipe: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    recipe = write_recipe(folder, "labels")
    return finish(train_model(recipe=recipe, data=discs, out=folder / "start", device="cpu", mpp=1.0))


def run(
    discs: Path, model: Path, json_file: Path, *strategies: str, seeds: int = 1, rounds: int | None = None,
    classes: bool = False, spread: Spread | None = None,
) -> Simulation:  # fmt: skip
    return finish(
        simulate(
            data=discs, model=model, strategies=strategies, seeds=seeds, rounds=rounds, json_file=json_file,
            settings=TINY, mpp=1.0, device="cpu", classes=classes, spread=spread or Spread(1),
        )
    )  # fmt: skip


def test_every_strategy_runs_a_whole_session_from_the_same_first_query(
    discs: Path, model: Path, tmp_path: Path
) -> None:
    ways = [
        "random", "entropy", "least-confidence", "margin", "ratio", "mc-dropout", "k-center", "vaal", "svm-margin",
        "learned-loss", "cod", "cod-softmax", "random+propagation", "entropy+propagation+consistency",
        "random+propagation-uncapped",
    ]  # fmt: skip
    found = run(discs, model, tmp_path / "all.json", *ways)
    assert [curve.name for curve in found.curves] == ways
    for curve in found.curves:
        assert curve.annotated == (2, 4, 6)
        assert len(curve.dice) == 1
        assert all(0 <= value <= 1 for value in curve.dice[0])
    content = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    first = {session["strategy"]: session["rounds"][0] for session in content["sessions"]}
    same = {name: found["dice"] for name, found in first.items() if "+" not in name and name != "mc-dropout"}
    assert len(set(same.values())) == 1
    for session in content["sessions"]:
        asked = [name for one in session["rounds"] for name in one["asked"]]
        assert len(asked) == len(set(asked)) == 4  # nobody is asked twice; the last round asks nothing
    pseudo = {name: found["pseudo"] for name, found in first.items()}
    assert pseudo["random"] == 0
    assert pseudo["random+propagation"] > 0


def test_a_round_goes_on_from_the_one_before_where_that_is_asked_for(discs: Path, model: Path, tmp_path: Path) -> None:
    anew, on = run(discs, model, tmp_path / "s.json", "random", "random+continued", rounds=2).curves
    assert on.name == "random+continued"
    assert anew.dice[0][0] == on.dice[0][0]
    one, other = (load_file(tmp_path / "s.json.work" / f"{way.name}-0.safetensors") for way in (anew, on))
    assert any(not np.array_equal(tensor, other[name]) for name, tensor in one.items())


def test_the_first_questions_of_what_compares_rounds_are_those_at_random(
    discs: Path, model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "s.json"
    found = run(discs, model, file, "random", "cod", rounds=2)
    assert [warning for warning in found.warnings if "no earlier round" in warning] == [
        "cod: the first questions are at random, for there is no earlier round to compare with."
    ]
    first = {one["strategy"]: one["rounds"][0]["asked"] for one in json.loads(file.read_text())["sessions"]}
    assert first["cod"] == first["random"] != []


def test_the_paper_preset_has_the_papers_values() -> None:
    session = PRESETS["paper"].session
    loop = session.learn.loop
    assert (session.rounds, session.first_per_class, session.score.passes) == (25, 4, 50)  # label-prop section 4
    assert (loop.optimiser, loop.learning_rate, loop.step_factor, loop.step_epochs) == ("sgd", 0.1, 0.9, 100)
    assert (loop.epochs, loop.batch_size, session.learn.steps_per_epoch) == (1000, 20, 0)


def test_the_results_are_written_as_json_csv_and_picture(discs: Path, model: Path, tmp_path: Path) -> None:
    found = run(discs, model, tmp_path / "two.json", "random", "entropy", seeds=2)
    content = json.loads((tmp_path / "two.json").read_text(encoding="utf-8"))
    assert set(content["curves"]) == {"random", "entropy"}
    assert content["curves"]["random"]["annotated"] == [2, 4, 6]
    dice = [one["dice"] for one in content["sessions"][0]["rounds"]]
    assert found.curves[1].areas[0] == pytest.approx((dice[0] / 2 + dice[1] + dice[2] / 2) / 2)
    assert content["lower"] == found.lower
    assert len(content["upper"]) == 2
    with (tmp_path / "two.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 3
    assert {row["strategy"] for row in rows} == {"random", "entropy"}
    with Image.open(tmp_path / "two.png") as picture:
        assert min(picture.size) > 400


def test_a_stopped_simulation_goes_on_to_the_same_figures(
    discs: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(discs, model, tmp_path / "whole.json", "cod", "random+propagation")
    work = simulate(
        data=discs, model=model, strategies=["cod", "random+propagation"], seeds=1,
        json_file=tmp_path / "parts.json", settings=TINY, mpp=1.0, device="cpu", spread=Spread(1),
    )  # fmt: skip
    rounds, advance = [], sessions.advance

    def count(*args: object) -> object:
        rounds.append(1)
        return advance(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("histoloop.workflows.experiments.simulate.advance", count)
    for _step in work:
        if len(rounds) == 3:  # in the last round of the first session
            work.close()
            break
    again = run(discs, model, tmp_path / "parts.json", "cod", "random+propagation")
    assert [curve.dice for curve in again.curves] == [curve.dice for curve in whole.curves]
    assert len(rounds) < 2 * 6  # what was done was not done again


def test_what_is_finished_is_not_run_again_and_more_can_be_added(
    discs: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(discs, model, tmp_path / "more.json", "random")
    shutil.rmtree(tmp_path / "more.json.work")
    asked: list[str] = []
    advance = sessions.advance

    def note(setup: object, way: Way, *rest: object) -> object:
        asked.append(way.name)
        return advance(setup, way, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("histoloop.workflows.experiments.simulate.advance", note)
    found = run(discs, model, tmp_path / "more.json", "random", "entropy")
    assert set(asked) == {"entropy"}
    assert [curve.name for curve in found.curves] == ["random", "entropy"]


def test_sessions_that_were_consistent_otherwise_alone_are_played_again(
    discs: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(discs, model, tmp_path / "one.json", "random", "random+consistency")
    asked: list[str] = []
    advance = sessions.advance

    def note(setup: object, way: Way, *rest: object) -> object:
        asked.append(way.name)
        return advance(setup, way, *rest)  # type: ignore[arg-type]

    learn = dataclasses.replace(TINY.session.learn, consistency=ConsistencySettings(weight=0.5, outputs="logit"))
    monkeypatch.setattr("histoloop.workflows.experiments.simulate.advance", note)
    monkeypatch.setattr(
        f"{__name__}.TINY", dataclasses.replace(TINY, session=dataclasses.replace(TINY.session, learn=learn))
    )
    run(discs, model, tmp_path / "one.json", "random", "random+consistency")
    assert set(asked) == {"random+consistency"}


def test_a_file_of_another_simulation_is_refused_and_left_alone(discs: Path, model: Path, tmp_path: Path) -> None:
    run(discs, model, tmp_path / "one.json", "random")
    before = (tmp_path / "one.json").read_bytes()
    with pytest.raises(RecipeError, match="something else"):
        run(discs, model, tmp_path / "one.json", "random", rounds=2)
    assert (tmp_path / "one.json").read_bytes() == before


def test_a_pool_smaller_than_the_questions_is_annotated_whole_and_then_nobody_is_asked(
    discs: Path, model: Path, tmp_path: Path
) -> None:
    found = run(discs, model, tmp_path / "long.json", "random", "random+propagation", rounds=7)
    pool = json.loads((tmp_path / "long.json").read_text(encoding="utf-8"))["about"]["pool"]
    for curve in found.curves:
        assert curve.annotated[-1] == pool
        assert max(curve.annotated) == pool


def test_the_same_regions_and_seed_are_learned_once(
    discs: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Decoder] = []
    train = sessions.train_on_features

    def count(decoder: Decoder, **rest: object) -> object:
        made.append(decoder)
        return train(decoder, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(sessions, "train_on_features", count)
    run(discs, model, tmp_path / "one.json", "random", "entropy", "k-center", rounds=1)
    assert len(made) == 2  # all masks, and the first query that the three have in common


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("entrop", "There is no strategy"),
        ("random+magic", "cannot be joined"),
        ("random+propagation+propagation", "joins something twice"),
        ("random+propagation+propagation-uncapped", "joins something twice"),
    ],
)
def test_a_strategy_that_is_not_known_or_joined_wrongly_is_refused_with_an_example(text: str, word: str) -> None:
    with pytest.raises(RecipeError, match=word) as error:
        Way.parse(text)
    assert "random" in str(error.value)


def test_a_way_is_written_as_it_is_read() -> None:
    way = Way("entropy", propagation=True, consistency=True)
    assert Way.parse(way.name) == way
    uncapped = Way("random", propagation=True, uncapped=True)
    assert Way.parse(uncapped.name) == uncapped
    assert Way.parse(" random ") == Way("random")


def test_data_without_masks_is_refused(discs: Path, model: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(discs, bare, ignore=shutil.ignore_patterns("*_mask.png"))
    with pytest.raises(DataError, match="no masks"):
        run(bare, model, tmp_path / "bare.json", "random")
    assert not (tmp_path / "bare.json").exists()


def test_settings_out_of_range_are_refused() -> None:
    for change in ({"rounds": 0}, {"first_per_class": 0}, {"per_class": 0}, {"neighbours": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            dataclasses.replace(TINY.session, **change)


def test_sessions_of_classes_have_curves_of_their_dice_and_go_on_where_they_were(
    discs: Path, model: Path, tmp_path: Path
) -> None:
    ways = ["margin", "least-confidence", "mc-dropout", "cod", "learned-loss", "random+propagation+consistency"]
    found = run(discs, model, tmp_path / "classes.json", *ways, rounds=2, classes=True)
    content = json.loads((tmp_path / "classes.json").read_text(encoding="utf-8"))
    assert content["about"]["mask_classes"] == ["gland", "tumour"]
    for session, curve in zip(content["sessions"], sorted(found.curves, key=lambda one: one.name), strict=True):
        assert [one["class_dice"] for one in session["rounds"]] == list(curve.dice[0])
        assert all(0 <= one["class_dice"] <= 1 and 0 <= one["dice"] <= 1 for one in session["rounds"])
    assert run(discs, model, tmp_path / "classes.json", *ways, rounds=2, classes=True) == found
    with pytest.raises(RecipeError, match="something else"):
        run(discs, model, tmp_path / "classes.json", *ways, rounds=2)


def test_a_session_of_one_foreground_has_no_figure_of_classes(discs: Path, model: Path, tmp_path: Path) -> None:
    run(discs, model, tmp_path / "one.json", "random", rounds=1)
    content = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))
    assert "mask_classes" not in content["about"]
    assert "class_dice" not in content["sessions"][0]["rounds"][0]


def test_sessions_side_by_side_give_the_same_figures(discs: Path, model: Path, tmp_path: Path) -> None:
    here = run(discs, model, tmp_path / "here.json", "random", "entropy", rounds=2)
    there = run(discs, model, tmp_path / "there.json", "random", "entropy", rounds=2, spread=Spread(2))
    assert [curve.name for curve in there.curves] == [curve.name for curve in here.curves]
    for own, other in zip(here.curves, there.curves, strict=True):
        np.testing.assert_allclose(own.dice, other.dice, atol=1e-4)


def test_numbers_of_a_strategy_can_be_given_and_the_others_stay() -> None:
    quick = PRESETS["quick"]
    assert adjusted(quick) == quick
    found = adjusted(quick, passes=50, neighbours=7, pseudo_weight=0.5, vaal="paper")
    session = found.session
    assert (session.score.passes, session.neighbours, session.learn.pseudo_weight) == (50, 7, 0.5)
    assert session.score.vaal is PAPER_VAAL is PRESETS["paper"].session.score.vaal
    assert adjusted(PRESETS["paper"], vaal="quick").session.score.vaal == quick.session.score.vaal
    assert (found.pool, session.rounds, session.learn.views) == (
        quick.pool,
        quick.session.rounds,
        quick.session.learn.views,
    )


def test_vaal_as_its_authors_have_it_can_be_built_and_steps() -> None:
    """Widths and weights of Sinha et al. 2019."""
    assert (PAPER_VAAL.widths, PAPER_VAAL.discriminator_widths) == ((128, 256, 512, 1024), (512,) * 4)
    assert (PAPER_VAAL.beta, PAPER_VAAL.adversarial_weight, PAPER_VAAL.learning_rate) == (1.0, 1.0, 5e-4)
    settings = dataclasses.replace(PAPER_VAAL, steps=1, batch_size=2, side_px=16)
    tiles, annotated = torch.rand(4, 3, 16, 16), torch.tensor([True, True, False, False])
    work = vaal_scores(tiles, annotated, settings=settings, device=torch.device("cpu"), seed=0)
    assert np.isfinite(finish(work)).all()
