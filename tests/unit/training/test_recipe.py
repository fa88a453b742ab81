from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop import paths
from histoloop.errors import RecipeError
from histoloop.training.recipe import Recipe, load_recipe, parse_recipe, recipe_path

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'name = "r"\ndescription = "d"\nsource = "s"\n'


@pytest.mark.parametrize("path", sorted((paths.resources() / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_named_after_their_file(path: Path) -> None:
    assert load_recipe(path).name == path.stem


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
        ("[segment.loop]\nepoch = 7", ["epoch", "Did you mean 'epochs'?"]),
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


def test_a_recipe_without_a_name_is_refused() -> None:
    with pytest.raises(RecipeError, match="name"):
        parse_recipe("mask_fraction = 0.5", name="my.toml")


def test_an_unknown_recipe_name_lists_the_shipped_ones() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'ebhi-resnet18'"):
        recipe_path("ebhi-resnet")


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="absent"):
        load_recipe(tmp_path / "absent.toml")
