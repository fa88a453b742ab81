"""The commands that make and measure models, in this process: what they print, write and answer."""

from __future__ import annotations

import csv
import json
import tomllib
from contextlib import nullcontext
from typing import TYPE_CHECKING, NoReturn
from unittest.mock import MagicMock

import numpy as np
import pytest
from PIL import Image

from histoloop.cli import main
from histoloop.errors import DataError
from histoloop.training.recipe import load_recipe, parse_recipe, recipe_path, shipped_recipes
from histoloop.workflows.contents.rounds import CONSISTENCY_RECIPE, RECIPES
from histoloop.workflows.experiments.evaluate import EvaluationSettings
from histoloop.workflows.experiments.patch_grid import PatchSettings
from histoloop.workflows.experiments.simulate import PRESETS, adjusted
from histoloop.workflows.queries.score_project import PASSES
from histoloop.workflows.queries.score_regions import ScoringSettings
from histoloop.workflows.queries.vaal_scores import PAPER_VAAL

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = """
name = "tiny"
description = "Tiny"
source = "this test"
[network]
backbone = "mobilenet_v2"
[network.pooling]
name = "average"
modalities = 1
[classify.loop]
epochs = 1
batch_size = 4
[robustness]
tiles = 0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of two classes with masks, and a recipe."""
    made = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    for name, colour in (("benign", 90), ("malignant", 160)):
        (made / "data" / name).mkdir(parents=True)
        for number in range(5):
            pixels = rng.integers(colour - 30, colour + 30, (64, 64, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(made / "data" / name / f"{number}.png")
            Image.fromarray(mask).save(made / "data" / name / f"{number}_mask.png")
    (made / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    assert main(train(folder, folder / "model")) == 0
    return folder / "model"


def train(folder: Path, out: Path, *more: str) -> list[str]:
    given = ["--recipe", folder / "tiny.toml", "--data", folder / "data", "--out", out, "--device", "cpu", "--mpp", "1"]
    return ["train", *map(str, given), *more]


def evaluate(folder: Path, model: Path, *more: object) -> list[str]:
    return ["evaluate", "--model", str(model), "--data", str(folder / "data"), "--device", "cpu", "--mpp", "1",
            *map(str, more)]  # fmt: skip


def test_recipes_lists_every_recipe_for_a_data_set_with_its_line_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    of_projects = {*RECIPES.values(), CONSISTENCY_RECIPE}
    assert not set(lines) & of_projects
    for path in shipped_recipes():
        recipe = load_recipe(path)
        if recipe.name in of_projects:
            continue
        place = lines.index(recipe.name)
        assert lines[place + 1].strip() == recipe.description
        assert lines[place + 2].strip() == f"Source: {recipe.source}"


def test_a_recipe_that_is_shown_can_be_read_again_with_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "--show", "quick-size-jia"]) == 0
    text = capsys.readouterr().out
    assert parse_recipe(text, name="shown") == load_recipe(recipe_path("quick-size-jia"))
    assert "extends" not in tomllib.loads(text)


def test_train_writes_a_model_and_says_where(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(train(folder, tmp_path / "m", "--epochs", "1", "--seed", "3")) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"model written to {tmp_path / 'm'}"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_train_says_on_stderr_what_to_mind_of_the_data_set(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(train(folder, tmp_path / "m")) == 0
    told = capsys.readouterr().err.splitlines()
    minded = [number for number, line in enumerate(told) if line.startswith("Mind: ")]
    assert any("states no split" in told[number] for number in minded)
    assert max(minded) < told.index("Training the classifier")  # in time to think again


def test_evaluate_prints_a_table_and_writes_json_and_pictures(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", tmp_path / "new" / "e.json", "--pictures", tmp_path / "page", "--count", 3]
    assert main(evaluate(folder, model, "--by", "whole", *files)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["method", "masks"]
    assert [line.split("  ")[0] for line in lines[2:] if not line.startswith("  95 % of draws")] == [
        "all foreground", "model: cam", "model: cam", "model: grad-cam", "model: grad-cam",
    ]  # fmt: skip
    assert json.loads((tmp_path / "new" / "e.json").read_text(encoding="utf-8"))["about"]["tiles"] == 10
    assert (tmp_path / "page" / "index.html").is_file()


def test_evaluate_draws_a_reliability_diagram_and_writes_its_numbers_beside_it(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", tmp_path / "e.json", "--reliability", tmp_path / "r.png", "--count", 1]
    assert main(evaluate(folder, model, "--by", "whole", *files)) == 0
    assert {"ECE", "NLL", "Brier"} <= set(capsys.readouterr().out.splitlines()[0].split())
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    stated = json.loads((tmp_path / "e.json").read_text(encoding="utf-8"))["reliability"]
    with (tmp_path / "r.csv").open(encoding="utf-8") as file:
        rows = [{name: float(value) if value else None for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == stated
    assert sum(row["count"] for row in stated) == 10
    assert main(evaluate(folder, model, "--statistics", "--reliability", tmp_path / "s.png")) == 2


def test_evaluate_measures_the_part_that_is_asked_for(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiles = {}
    for part in ("train", "val", "test"):
        assert main(evaluate(folder, model, "--split", part, "--json", tmp_path / f"{part}.json")) == 0
        tiles[part] = json.loads((tmp_path / f"{part}.json").read_text(encoding="utf-8"))["about"]["tiles"]
    assert sum(tiles.values()) == 10
    assert tiles["train"] > tiles["test"] > 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train", "--recipe", "quick-cam"], 2, ["--data"]),
        (["train", "PROJECT", "--consistency", "--learn-from", "sizes"], 2, ["masks"]),
        (["train", "PROJECT", "--continued", "--learn-from", "labels"], 2, ["--continued", "masks"]),
        (["train", "--recipe", "quick-cam", "--data", "DATA", "--out", "OUT", "--consistency"], 2, ["PROJECT"]),
        (["train", "--recipe", "quick-kam", "--data", "DATA", "--out", "OUT"], 1, ["quick-cam"]),
        (["train", "--recipe", "quick-cam", "--data", "absent", "--out", "OUT"], 1, ["absent"]),
        (["recipes", "--show", "glas-wildcad"], 1, ["glas-wildcat"]),
        (["evaluate", "--model", "absent", "--data", "DATA"], 1, ["absent"]),
        (["evaluate", "--model", "MODEL", "--data", "absent"], 1, ["absent"]),
        (["evaluate", "--model", "MODEL", "--data", "DATA", "--split", "val", "--by", "whole"], 1, ["--by"]),
        (["evaluate", "--model", "MODEL", "--data", "DATA", "--layer", "classifier.backbon"], 1, ["backbone"]),
    ],
)
def test_what_cannot_be_done_is_said_on_stderr_with_an_exit_code(
    arguments: list[str], code: int, words: list[str], folder: Path, model: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    places = {"DATA": str(folder / "data"), "OUT": str(tmp_path / "m"), "MODEL": str(model)}
    assert main([places.get(argument, argument) for argument in arguments]) == code
    told = capsys.readouterr().err
    for word in words:
        assert word in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["patches", "s", "--masks", "m", "--out", "o", "--tumour-min", "0.6"], "--tumour-abundant"),
        (["patches", "s", "--masks", "m", "--out", "o", "--tissue-min", "2"], "--tissue-min"),
        (["evaluate", "--model", "m", "--data", "d", "--target", "x"], "--robustness"),
        (["evaluate", "--model", "m", "--data", "d", "--quantise", "1", "--robustness"], "not at least 2"),
        (["simulate", "--data", "d", "--json", "j", "--passes", "1"], "not at least 2"),
        (["simulate", "--data", "d", "--json", "j", "--pseudo-weight", "-1"], "no number from 0"),
    ],
)
def test_numbers_that_cannot_be_are_wrong_usage(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code  # type: ignore[assignment]
    assert code == 2
    assert words in capsys.readouterr().err


def test_the_protocol_of_patches_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = []

    def sample(*_: object, settings: PatchSettings, **__: object) -> NoReturn:
        given.append(settings)
        raise DataError("enough", advice="stop")

    monkeypatch.setattr("histoloop.workflows.experiments.sample_patches.sample_patches", sample)
    options = ["--tissue-min", "0.3", "--tumour-min", "0.25", "--tumour-abundant", "0.6", "--abundant-share", "0.64"]
    assert main(["patches", str(tmp_path), "--masks", "m", "--out", "o", "--patch", "256", *options]) == 1
    assert given == [PatchSettings(256, 0.3, 0.25, 0.6, 0.64)]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What the workflows behind `simulate`, `evaluate` and `rank` are called with; none of them runs."""
    calls: list[dict[str, object]] = []

    def record(*_: object, **named: object) -> NoReturn:
        calls.append(named)
        raise DataError("enough", advice="stop")

    experiments = "histoloop.workflows.experiments"
    for name in ("simulate.simulate", "evaluate.evaluate_model", "rank_models.rank_on_dataset"):
        monkeypatch.setattr(f"{experiments}.{name}", record)
    return calls


def test_numbers_of_the_strategies_are_passed_on(given: list[dict[str, object]]) -> None:
    options = ["--passes", "7", "--neighbours", "9", "--pseudo-weight", "0.3", "--vaal", "paper"]
    assert main(["simulate", "--data", "d", "--json", "j", *options]) == 1
    wanted = adjusted(PRESETS["quick"], passes=7, neighbours=9, pseudo_weight=0.3, vaal="paper")
    assert given[0]["settings"] == wanted
    session = wanted.session
    numbers = (session.score.passes, session.neighbours, session.learn.pseudo_weight, session.score.vaal)
    assert numbers == (7, 9, 0.3, PAPER_VAAL)
    assert main(["simulate", "--data", "d", "--json", "j", "--preset", "paper"]) == 1
    assert given[1]["settings"] == PRESETS["paper"]


def test_what_is_to_be_measured_is_passed_on(given: list[dict[str, object]]) -> None:
    options = ["--robustness", "--quantise", "256", "--target", "tumour", "--probe", "svm", "--views"]
    assert main(["evaluate", "--model", "colon-ebhi-resnet18", "--data", "d", *options]) == 1
    wanted = EvaluationSettings(robustness=True, quantise_levels=256, target="tumour", probe="svm", views=True)
    assert given[0]["settings"] == wanted


def test_models_are_ranked_by_probabilities_unless_it_is_said_otherwise(given: list[dict[str, object]]) -> None:
    assert main(["rank", "--data", "d", "colon-ebhi-resnet18"]) == 1
    assert main(["rank", "--data", "d", "colon-ebhi-resnet18", "--outputs", "logit"]) == 1
    assert [call["outputs"] for call in given] == ["softmax", "logit"]


def test_how_regions_are_scored_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def record(*_: object, settings: ScoringSettings, **__: object) -> NoReturn:
        given.append(settings)
        raise DataError("enough", advice="stop")

    monkeypatch.setattr("histoloop.workflows.projects.opened_project", lambda _folder: nullcontext(MagicMock()))
    monkeypatch.setattr("histoloop.workflows.prediction.predict.predict_project", lambda *_, **__: iter(()))
    monkeypatch.setattr("histoloop.cli.questions.run", lambda work: next(work, MagicMock()))
    monkeypatch.setattr("histoloop.workflows.queries.ask.ask", record)
    assert main(["query", "P"]) == 1
    assert main(["query", "P", "--passes", "50", "--vaal", "paper"]) == 1
    assert given == [ScoringSettings(passes=PASSES), ScoringSettings(passes=50, vaal=PAPER_VAAL)]
