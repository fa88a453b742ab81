"""Recipes as the user sees them: the list of those that are shipped, and the text that is kept with a model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from histoloop.store.toml import dump_toml
from histoloop.training.recipe import Recipe, load_recipe, shipped_recipes
from histoloop.workflows.contents.rounds import CONSISTENCY_RECIPE, RECIPES


@dataclass(frozen=True, slots=True)
class RecipeSummary:
    """A shipped recipe in a line."""

    name: str
    description: str
    source: str


def list_recipes() -> tuple[RecipeSummary, ...]:
    """The shipped recipes that make a model from a data set, by name."""
    of_projects = {*RECIPES.values(), CONSISTENCY_RECIPE}
    recipes = [load_recipe(path) for path in shipped_recipes() if path.stem not in of_projects]
    return tuple(RecipeSummary(recipe.name, recipe.description, recipe.source) for recipe in recipes)


def recipe_text(recipe: Recipe) -> str:
    """The recipe as TOML with every setting, whatever it took over from others."""
    return dump_toml(dataclasses.asdict(recipe))
