"""Models out of data sets: every supervision, stopped and gone on with, and nothing half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.special import expit, softmax

from histoloop.errors import DataError, ModelError, RecipeError
from histoloop.localisation.methods import posterior_of
from histoloop.progress import Progress, finish
from histoloop.store.cards import load_card
from histoloop.store.model_folder import EARLIER
from histoloop.training.checkpoint import Checkpoint
from histoloop.training.datasets import read_dataset
from histoloop.training.recipe import load_recipe
from histoloop.workflows.experiments.train import train_model
from histoloop.workflows.prediction.loaded_model import load_model
from histoloop.workflows.prediction.robustness import robustness_of
from histoloop.workflows.retraining import starting_weights

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("kind", ["labels", "attention", "min-max", "sizes", "jia", "hybrid", "unet"])
def test_every_supervision_makes_a_model_that_can_be_loaded(
    kind: str, discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "models" / kind
    steps: list[Progress] = []
    work = train_model(recipe=write_recipe(tmp_path, kind), data=discs, out=out, device="cpu", mpp=1.0)
    assert finish(work, steps.append) == out
    assert sorted(path.name for path in out.parent.iterdir()) == [kind]  # nothing else is left
    assert sorted(path.name for path in out.iterdir()) == [
        "card.md", "earlier.safetensors", "metrics.json", "recipe.toml", "weights.safetensors",
    ]  # fmt: skip
    model = load_model(out, torch.device("cpu"))
    assert model.card.network == load_recipe(out / "recipe.toml").network_config(2)
    assert model.card.mpp == 1.0
    assert model.card.training["recipe"] == f"tiny-{kind}"
    assert set(model.card.scheme.label_names) == {"benign", "malignant"}
    figures = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert {"accuracy", "dice", "pooled_dice", "dice_all_foreground"} <= set(figures)
    assert all(0 <= figures[name] <= 1 for name in ("accuracy", "dice", "pooled_dice"))
    stages = {step.stage for step in steps}
    assert ("Training the masks" in stages) == (kind in ("hybrid", "unet"))
    assert ("Training the classifier" in stages) == (kind != "unet")
    outline = "U-Net decoder" if kind in ("hybrid", "unet") else "no outline"
    assert outline in (out / "card.md").read_text(encoding="utf-8")
    assert model.card.training["masks"] == {"hybrid": 4.0, "unet": 10.0}.get(kind, 0.0)


@pytest.mark.parametrize(("kind", "stages"), [("sizes", 1), ("hybrid", 2)])
def test_a_training_that_was_killed_goes_on_to_the_same_weights(
    kind: str, stages: int, discs: Path, write_recipe: Callable[..., str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(Checkpoint, "EVERY_SECONDS", 0.0)
    recipe = write_recipe(tmp_path, kind, epochs=2)

    def start(name: str) -> object:
        return train_model(recipe=recipe, data=discs, out=tmp_path / name, device="cpu", mpp=1.0)

    finish(start("whole"))  # type: ignore[arg-type]
    state, out = tmp_path / "cut.training", tmp_path / "cut"
    for stage in range(stages):  # killed within the second epoch of every stage
        work = start("cut")
        for step in work:  # type: ignore[attr-defined]
            if step.stage == ("Training the classifier", "Training the masks")[stage] and step.done > 1:
                break
        work.close()  # type: ignore[attr-defined]
        assert not out.exists()
        assert len(list(state.iterdir())) == stage + 1
    resumed: list[Progress] = []
    finish(start("cut"), resumed.append)  # type: ignore[arg-type]
    assert min(step.done for step in resumed if step.stage.startswith("Training")) > 1
    whole, cut = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())
    assert (tmp_path / "whole" / EARLIER).read_bytes() == (out / EARLIER).read_bytes()
    assert not state.exists()
    assert load_card(tmp_path / "whole").figures == load_card(out).figures


def test_the_state_of_another_training_is_not_gone_on_with(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "EVERY_SECONDS", 0.0)
    recipe = write_recipe(tmp_path, "labels", epochs=2)
    work = train_model(recipe=recipe, data=discs, out=tmp_path / "m", device="cpu", mpp=1.0)
    for step in work:
        if step.stage.startswith("Training") and step.done > 1:
            break
    work.close()
    fewer = tmp_path / "fewer"
    shutil.copytree(discs, fewer)
    (fewer / "benign" / "7.png").unlink()
    (fewer / "benign" / "7_mask.png").unlink()
    for changes in ({"seed": 1}, {"epochs": 3}, {"mpp": 0.5}, {"data": fewer}, {"split": "case"}):
        given = {"recipe": recipe, "data": discs, "out": tmp_path / "m", "device": "cpu", "mpp": 1.0, **changes}
        with pytest.raises(ModelError, match="another recipe, data set or seed"):
            finish(train_model(**given))  # type: ignore[arg-type]
    assert (tmp_path / "m.training").is_dir()


def test_what_else_is_in_the_folder_of_the_state_stays(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "EVERY_SECONDS", 0.0)
    recipe = write_recipe(tmp_path, "labels", epochs=1)
    (tmp_path / "m.training").mkdir()
    (tmp_path / "m.training" / "notes.txt").write_text("mine")
    finish(train_model(recipe=recipe, data=discs, out=tmp_path / "m", device="cpu", mpp=1.0))
    assert [path.name for path in (tmp_path / "m.training").iterdir()] == ["notes.txt"]


def test_a_training_that_failed_for_good_leaves_nothing_behind(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "EVERY_SECONDS", 0.0)
    recipe = write_recipe(tmp_path, "labels", epochs=3)
    work = train_model(recipe=recipe, data=discs, out=tmp_path / "out" / "m", device="cpu", mpp=1.0)

    def broken(*_: object, **__: object) -> torch.Tensor:
        return torch.tensor(float("nan"), requires_grad=True)

    with pytest.raises(RecipeError, match="learning_rate"):  # noqa: PT012 - the second epoch is the broken one
        for step in work:
            if step.stage.startswith("Training") and step.done == 1:
                monkeypatch.setattr("torch.nn.functional.cross_entropy", broken)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_exists_is_never_written_to(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(ModelError, match="exists already"):
        finish(train_model(recipe=write_recipe(tmp_path, "labels"), data=discs, out=tmp_path / "m", mpp=1.0))
    assert list((tmp_path / "m").iterdir()) == []


@pytest.mark.parametrize("kind", ["labels", "unet"])
def test_data_of_one_class_cannot_train(
    kind: str, discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    shutil.copytree(discs / "benign", tmp_path / "one" / "benign")
    with pytest.raises(DataError, match="'benign'"):
        finish(train_model(recipe=write_recipe(tmp_path, kind), data=tmp_path / "one", out=tmp_path / "m", mpp=1.0))
    assert not list(tmp_path.glob("m*"))


def test_a_decoder_needs_masks_and_nothing_is_left_without(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(discs, bare, ignore=shutil.ignore_patterns("*_mask.png"))
    recipe = write_recipe(tmp_path, "unet")
    with pytest.raises(DataError, match="leaves no mask"):
        finish(train_model(recipe=recipe, data=bare, out=tmp_path / "m", device="cpu", mpp=1.0))
    assert not list(tmp_path.glob("m*"))


def test_sizes_need_masks_or_sizes(discs: Path, write_recipe: Callable[..., str], tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(discs, bare, ignore=shutil.ignore_patterns("*_mask.png"))
    recipe = write_recipe(tmp_path, "sizes")
    with pytest.raises(DataError, match="no size"):
        finish(train_model(recipe=recipe, data=bare, out=tmp_path / "m", device="cpu", mpp=1.0))
    assert not list(tmp_path.glob("m*"))


def test_epochs_shorten_every_stage(discs: Path, write_recipe: Callable[..., str], tmp_path: Path) -> None:
    steps: list[Progress] = []
    recipe = write_recipe(tmp_path, "hybrid", epochs=9)
    finish(train_model(recipe=recipe, data=discs, out=tmp_path / "m", device="cpu", mpp=1.0, epochs=1), steps.append)
    assert {step.total for step in steps if step.stage.startswith("Training")} == {1}


def test_random_starts_are_not_taken_for_folded_weights(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*_: object) -> None:
        raise AssertionError("random weights have nothing to unfold")

    monkeypatch.setattr(starting_weights, "unfold", unwanted)
    recipe = write_recipe(tmp_path, "labels")
    finish(train_model(recipe=recipe, data=discs, out=tmp_path / "m", device="cpu", mpp=1.0))


# --- several labels -------------------------------------------------------------------------------------------------


def test_a_model_of_several_labels_is_measured_label_by_label(
    discs_of_several: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path, "several")
    finish(train_model(recipe=recipe, data=discs_of_several, out=tmp_path / "m", device="cpu", mpp=1.0))
    card = load_card(tmp_path / "m")
    assert card.network.scores == "sigmoid"
    assert {"mean_average_precision", "label_error", "binary_cross_entropy", "dice"} <= set(card.figures)
    for name in ("gland", "tumour"):
        assert 0 <= card.figures[f"error {name}"] <= 1
        assert 0 < card.figures[f"average precision {name}"] <= 1
    assert not any(name in card.figures for name in ("accuracy", "balanced_accuracy", "recall gland"))
    assert "sigmoid is above 0.5" in card.description


@pytest.mark.parametrize(
    ("kind", "words"), [("labels", 'scores = "sigmoid"'), ("sizes", "one label"), ("unet", "sigmoid")]
)
def test_recipes_of_one_label_refuse_tiles_with_several_before_anything_is_written(
    kind: str, words: str, discs_of_several: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path, kind)
    with pytest.raises(DataError, match="6 of the 18 tiles have several labels") as refused:
        finish(train_model(recipe=recipe, data=discs_of_several, out=tmp_path / "m", device="cpu", mpp=1.0))
    assert words in str(refused.value)
    assert not list(tmp_path.glob("m*"))


# --- the robustness figure ------------------------------------------------------------------------------------------


def robust_recipe(folder: Path, write_recipe: Callable[..., str], *, tiles: int) -> str:
    path = Path(write_recipe(folder, "labels"))
    path.write_text(path.read_text(encoding="utf-8").replace("tiles = 2", f"tiles = {tiles}"), encoding="utf-8")
    return str(path)


def test_the_card_says_how_little_a_validation_tile_must_change(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    steps: list[Progress] = []
    recipe = write_recipe(tmp_path, "labels")
    finish(train_model(recipe=recipe, data=discs, out=tmp_path / "m", device="cpu", mpp=1.0), steps.append)
    card = load_card(tmp_path / "m")
    assert card.figures["attack_tiles"] == 2
    assert card.figures["attack_steps"] == 2
    assert 0 <= card.figures["attack_success_rate"] <= 1
    assert ("attack_median_l2" in card.figures) == (card.figures["attack_success_rate"] > 0)
    assert "## Robustness" in card.description
    assert "2 labelled tiles of the validation part" in card.description
    assert "| attack" not in card.description  # it is no figure of the table above, and said in words
    assert steps[-1].stage == "Attacking m"
    assert dict(card.figures) == json.loads((tmp_path / "m" / "metrics.json").read_text(encoding="utf-8"))


def test_a_recipe_can_leave_the_robustness_figure_out(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    recipe = robust_recipe(tmp_path, write_recipe, tiles=0)
    finish(train_model(recipe=recipe, data=discs, out=tmp_path / "m", device="cpu", mpp=1.0))
    card = load_card(tmp_path / "m")
    assert not robustness_of(card).values
    assert "Robustness" not in card.description


def test_without_validation_tiles_training_tiles_are_attacked_and_the_card_says_so(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    lines = [f"{path},{path.parent.name},train" for path in sorted(discs.glob("*/[0-6].png"))]
    lines += [f"{path},,val" for path in sorted(discs.glob("*/7.png"))]
    (tmp_path / "tiles.csv").write_text("\n".join(["image,label,split", *lines]), encoding="utf-8")
    recipe = robust_recipe(tmp_path, write_recipe, tiles=3)
    work = train_model(recipe=recipe, data=tmp_path / "tiles.csv", out=tmp_path / "m", device="cpu", mpp=1.0)
    finish(work)
    card = load_card(tmp_path / "m")
    assert card.figures["attack_tiles"] == 3
    assert "3 labelled tiles of the training part" in card.description


def test_the_warnings_of_a_data_set_are_told_before_the_training(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    told: list[str] = []
    work = train_model(
        recipe=write_recipe(tmp_path, "labels"), data=discs, out=tmp_path / "m", device="cpu", warn=told.append
    )
    for step in work:
        if step.stage == "Training the classifier":
            break
    work.close()
    assert [text for text in told if "resolution is unknown" in text]
    assert [text for text in told if "states no split" in text]


# --- starting from another model --------------------------------------------------------------------------------------


def recipe_from(weights: Path, folder: Path, write_recipe: Callable[..., str]) -> str:
    path = Path(write_recipe(folder, "labels"))
    text = path.read_text(encoding="utf-8").replace("[network]\n", f'[network]\nweights = "{weights.as_posix()}"\n')
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_backbone_out_of_a_model_keeps_the_colours_of_that_models_card(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    finish(train_model(recipe=write_recipe(tmp_path, "labels"), data=discs, out=tmp_path / "a", device="cpu", mpp=1.0))
    first = load_card(tmp_path / "a")
    dark = tmp_path / "dark"
    for path in discs.glob("*/*.png"):
        (dark / path.parent.name).mkdir(parents=True, exist_ok=True)
        with Image.open(path) as picture:  # masks lose their white, and are foreground all the same
            picture.point(lambda value: value // 2).save(dark / path.parent.name / path.name)
    recipe = recipe_from(tmp_path / "a" / "weights.safetensors", tmp_path, write_recipe)
    finish(train_model(recipe=recipe, data=dark, out=tmp_path / "b", device="cpu", mpp=1.0))
    second = load_card(tmp_path / "b")
    assert (second.mean, second.std) == (first.mean, first.std)
    assert "from a's weights" in second.description
    shutil.copy(tmp_path / "a" / "weights.safetensors", tmp_path / "w.safetensors")  # without a card beside it
    recipe = recipe_from(tmp_path / "w.safetensors", tmp_path, write_recipe)
    finish(train_model(recipe=recipe, data=dark, out=tmp_path / "c", device="cpu", mpp=1.0))
    assert max(load_card(tmp_path / "c").mean) < 0.6 * max(first.mean)


# --- what probabilities are worth -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "loss"), [("labels", "cross_entropy"), ("several", "binary_cross_entropy")])
def test_a_temperature_is_fitted_on_the_validation_part_and_kept_and_applied(
    kind: str,
    loss: str,
    discs: Path,
    discs_of_several: Path,
    write_recipe: Callable[..., str],
    tmp_path: Path,
) -> None:
    data = discs_of_several if kind == "several" else discs
    recipe = Path(write_recipe(tmp_path, kind))
    finish(train_model(recipe=str(recipe), data=data, out=tmp_path / "plain", device="cpu", mpp=1.0))
    text = recipe.read_text(encoding="utf-8")
    assert "[classify]\n" in text
    recipe.write_text(text.replace("[classify]\n", "[classify]\ntemperature_scaling = true\n"), encoding="utf-8")
    finish(train_model(recipe=str(recipe), data=data, out=tmp_path / "scaled", device="cpu", mpp=1.0))
    plain, scaled = (load_model(tmp_path / name, torch.device("cpu")) for name in ("plain", "scaled"))
    assert plain.hash == scaled.hash
    temperature = scaled.card.network.temperature
    assert temperature != plain.card.network.temperature == 1.0
    assert scaled.card.figures[loss] < plain.card.figures[loss]
    assert "fitted on these tiles" in scaled.card.description
    tile = finish(read_dataset(data, mpp=1.0)).validation[0]
    scores = plain.predict_tile(tile.pixels).scores
    stated = expit(scores / temperature) if kind == "several" else softmax(scores / temperature)
    output = scaled.predict_tile(tile.pixels)
    assert output.scores == pytest.approx(scores)
    assert posterior_of(output.scores, output.config) == pytest.approx(stated, rel=1e-5)


def test_every_measured_figure_of_a_card_has_an_interval(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path
) -> None:
    finish(train_model(recipe=write_recipe(tmp_path, "hybrid"), data=discs, out=tmp_path / "m", device="cpu", mpp=1.0))
    card = load_card(tmp_path / "m")
    assert {"calibration_error", "brier_score"} <= set(card.figures)
    extent = {"tiles", "cases", "attack_tiles", "attack_steps"}
    assert set(card.figures) - extent == set(card.intervals)
    low, high = card.intervals["dice"]
    assert low <= card.figures["dice"] <= high
    assert f"| dice | {card.figures['dice']:.4g} | {low:.4g} to {high:.4g} |" in card.description
