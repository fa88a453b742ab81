from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from histoloop import paths
from histoloop.errors import RecipeError
from histoloop.localisation.methods import localisation_methods
from histoloop.network_config import MinMaxConfig
from histoloop.training.recipe import Recipe, load_recipe, parse_recipe, recipe_path, shipped_recipes

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'name = "r"\ndescription = "d"\nsource = "s"\n'


@pytest.mark.parametrize("path", sorted((paths.resources() / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_named_after_their_file(path: Path) -> None:
    assert load_recipe(path).name == path.stem


@pytest.mark.parametrize("path", shipped_recipes(), ids=lambda path: path.stem)
def test_shipped_recipes_make_a_network_and_say_where_they_come_from(path: Path) -> None:
    recipe = load_recipe(path)
    config = recipe.network_config(labels=2)
    assert config.labels == 2
    assert localisation_methods(config)
    assert bool(config.decoder_channels) == bool(recipe.mask_fraction)
    assert config.background == ("-size" in path.stem and "jia" not in path.stem)
    assert (config.minmax is not None) == ("min-max" in path.stem)
    assert recipe.description
    assert recipe.source
    assert "\n" not in recipe.description + recipe.source


def test_every_row_of_the_papers_table_has_a_recipe_and_a_quick_one() -> None:
    names = {path.stem for path in shipped_recipes()}
    rows = {name.removeprefix("glas-") for name in names if name.startswith("glas-")}
    assert rows <= {name.removeprefix("quick-") for name in names if name.startswith("quick-")}
    assert {"cam", "max", "lse", "wildcat", "deep-mil", "min-max", "min-max-u0", "size-jia", "size-kl", "size-l2",
            "size-adaptive", "hybrid", "unet"} <= rows  # fmt: skip


def test_settings_reach_their_dataclass() -> None:
    recipe = parse_recipe(
        HEAD + "[segment.loop]\nepochs = 7\nlearning_rate = 1\n[network.pooling]\nkmax = 0.2", name="r"
    )
    assert isinstance(recipe, Recipe)
    assert recipe.segment.loop.epochs == 7
    assert recipe.segment.loop.learning_rate == 1.0
    assert recipe.network.pooling.kmax == 0.2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[segment.loop]\nepoch = 7", ["epoch", "did you mean 'epochs'?"]),
        ("[network.poolin]\nname = 1", ["poolin", "pooling"]),
        ('[segment]\nloss = "bse"', ["loss", "bce"]),
        ("[segment.loop]\nepochs = 0", ["epochs must be at least 1"]),
        ("[segment.loop]\nepochs = 1.5", ["epochs", "int"]),
        ("[segment.loop]\nepochs = true", ["epochs", "int"]),
        ('[segment.loop]\nlearning_rate = "fast"', ["learning_rate", "float"]),
        ("mask_fraction = 1.5", ["mask_fraction"]),
        ("epochs = = 3", ["TOML"]),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_what_to_do(text: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as refused:
        parse_recipe(HEAD + text, name="my.toml")
    for word in ["my.toml", *words]:
        assert word in str(refused.value)


def test_a_recipe_that_extends_another_takes_over_what_it_does_not_set() -> None:
    parent = load_recipe(recipe_path("glas-wildcat"))
    child = parse_recipe(f'extends = "glas-wildcat"\n{HEAD}[network.pooling]\nkmax = 0.3', name="r")
    assert child.network.pooling == dataclasses.replace(parent.network.pooling, kmax=0.3)
    assert child.network.backbone == parent.network.backbone
    assert child.augment == parent.augment
    assert (child.name, child.description, child.source) == ("r", "d", "s")


def test_a_recipe_may_extend_one_that_extends_another(tmp_path: Path) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text(HEAD + "[classify.loop]\nepochs = 3\nbatch_size = 5", encoding="utf-8")
    second.write_text(f"extends = '{first}'\n{HEAD}[classify.loop]\nepochs = 4", encoding="utf-8")
    third = parse_recipe(f"extends = '{second}'\n{HEAD}[network]\nbackbone = 'resnet34'", name="third.toml")
    assert (third.classify.loop.epochs, third.classify.loop.batch_size) == (4, 5)
    assert third.network.backbone == "resnet34"


def test_a_recipe_that_extends_another_still_has_a_name_of_its_own() -> None:
    with pytest.raises(RecipeError, match="name and description must be given"):
        parse_recipe('extends = "glas-cam"\n[classify.loop]\nepochs = 1', name="my.toml")


def test_recipes_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(f"extends = '{two}'\n{HEAD}", encoding="utf-8")
    two.write_text(f"extends = '{one}'\n{HEAD}", encoding="utf-8")
    with pytest.raises(RecipeError, match="cannot extend"):
        load_recipe(one)


@pytest.mark.parametrize(("parent", "words"), [("3", "cannot extend 3"), ('"glas-cat"', "did you mean 'glas-cam'")])
def test_a_parent_that_is_none_is_refused(parent: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        parse_recipe(f"extends = {parent}\n{HEAD}", name="r")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[network]\nbackbone = "resnet19"', ["did you mean 'resnet18'?", "mobilenet_v2"]),
        ("[network]\nstride = 8", ["stride is 8", "16, 32"]),
        ("[network]\nstride = 16.0", ["stride is 16.0"]),
        ("[network]\nmean = [0.5, 0.5]", ["RGB triples"]),
        ("mask_fraction = 1.0\n[network]\nstride = 16", ["stride of 32"]),
        ("mask_fraction = 1.0\n[network]\ndecoder_channels = [8, 8]", ["five widths"]),
        ('mask_fraction = 1.0\n[classify]\nsupervision = "min-max"', ["no decoder"]),
        ('[classify]\nsupervision = "min-max"\n[network.pooling]\nname = "attention"', ["neither attention"]),
        ('[classify]\nsupervision = "sizes"\n[network.pooling]\nname = "attention"', ["background map"]),
        ('[classify]\nsupervision = "min-max"\nscores = "sigmoid"', ["cannot be 'sigmoid'"]),
        ('[classify]\nsupervision = "sizes"\n[classify.sizes]\nloss = "jia"', ["generalised-mean"]),
        ('[classify]\nsupervision = "none"', ["masks must teach all"]),
        ('[classify]\nsupervision = "label"', ["did you mean 'labels'?"]),
        ("[classify.sizes]\nweight = -1.0", ["weight"]),
        ('[classify]\nsupervision = "min-max"\ntemperature_scaling = true', ["temperature_scaling", "min-max"]),
        ("[classify.erasing]\ndepth = -1", ["depth"]),
        ("[classify.adversarial]\nepsilon = -1.0", ["epsilon"]),
        ("[classify]\nlabel_smoothing = 1.0", ["label_smoothing"]),
        ("[classify.loop]\nlearning_rate = nan", ["learning_rate", "no number"]),
        ("[network.pooling]\nsharpness = inf", ["sharpness", "no number"]),
        ("[data]\nscale = 2.0", ["scale"]),
        ("network = 3", ["network", "NetworkRecipe"]),
    ],
)
def test_what_does_not_go_together_is_refused_when_it_is_read(text: str, words: list[str]) -> None:
    with pytest.raises(RecipeError) as refused:
        parse_recipe(HEAD + text, name="my.toml")
    for word in ["my.toml", *words]:
        assert word in str(refused.value)


def test_the_supervision_gives_the_network_its_maps() -> None:
    sizes = parse_recipe(HEAD + '[classify]\nsupervision = "sizes"', name="r").network_config(3)
    assert sizes.background
    assert not sizes.decoder_channels
    decoder = parse_recipe(HEAD + "mask_fraction = 0.1", name="r").network_config(3)
    assert decoder.decoder_channels
    assert not decoder.background
    minmax = parse_recipe(HEAD + '[classify]\nsupervision = "min-max"\n[network.minmax]\nomega = 4', name="r")
    assert minmax.network_config(3).minmax == MinMaxConfig(omega=4.0)


def test_the_multi_label_recipe_is_the_multi_class_one_with_a_probability_for_each_label() -> None:
    several, one = (load_recipe(recipe_path(f"quick-multi-{kind}-mil")) for kind in ("label", "class"))
    assert several.classify == dataclasses.replace(one.classify, scores="sigmoid")
    assert several.network == one.network
    assert (several.network.pooling.name, several.network.pooling.zeroed) == ("deep-mil", 0.1)
    assert several.network_config(3).scores == "sigmoid"
    assert one.network_config(3).scores == "softmax"


def test_a_recipe_without_a_name_is_refused() -> None:
    with pytest.raises(RecipeError, match="name"):
        parse_recipe("mask_fraction = 0.5", name="my.toml")


def test_an_unknown_recipe_name_lists_the_shipped_ones() -> None:
    with pytest.raises(RecipeError, match="did you mean 'ebhi-resnet18'"):
        recipe_path("ebhi-resnet")


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="absent"):
        load_recipe(tmp_path / "absent.toml")
