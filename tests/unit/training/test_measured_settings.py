"""Settings that were chosen by measurement: what the guide's figures rest on. Who changes one measures anew."""

from __future__ import annotations

import pytest

from histoloop.localisation.stitcher import NAMING_CELLS
from histoloop.training.cached import CachedSettings
from histoloop.training.loop import WELL_ABOVE_ZERO
from histoloop.training.recipe import load_recipe, recipe_path
from histoloop.workflows.experiments.simulate import PRESETS
from histoloop.workflows.queries.score_project import PASSES


def test_the_quick_preset_learns_until_its_decoders_have_settled() -> None:
    """docs/active-learning.md, 'How long a decoder learns': 60 steps lie 2.2 points below 720, 240 steps 0.4."""
    learn = PRESETS["quick"].session.learn
    assert learn.loop.epochs * learn.steps_per_epoch == 240
    assert (learn.loop.learning_rate, learn.loop.batch_size, learn.crop_px, learn.views) == (4e-3, 4, 192, 4)


def test_the_quick_pace_of_the_window_learns_as_long_as_was_measured() -> None:
    """docs/active-learning.md, 'How long a decoder learns': 150 steps of 128 px for the 60 of 256 px it had before."""
    segment = load_recipe(recipe_path("retrain-quick")).segment
    assert segment.loop.epochs * segment.steps_per_epoch == 150
    assert segment.loop.learning_rate == 4e-3
    assert load_recipe(recipe_path("retrain-quick")).augment.crop_px == 128


@pytest.mark.parametrize("where", ["simulation", "recipe"])
def test_consistency_of_masks_has_a_gradient_that_counts_towards_an_average_that_is_ahead(where: str) -> None:
    """docs/active-learning.md, 'Consistency': 0.05 of probabilities pulls with a hundredth of the masks' gradient."""
    recipe = load_recipe(recipe_path("retrain-consistency"))
    steady = CachedSettings().consistency if where == "simulation" else recipe.segment.consistency
    assert (steady.weight, steady.outputs, steady.recency) == (1.0, "softmax", 4.0)
    assert PRESETS["quick"].session.learn.consistency == CachedSettings().consistency


def test_consistency_of_labels_is_the_papers() -> None:
    """Tod eq 7 and Tab. VIII, of the scores themselves."""
    steady = load_recipe(recipe_path("retrain-consistency")).classify.consistency
    assert (steady.weight, steady.decay, steady.outputs) == (0.05, 0.999, "logit")


def test_what_else_was_chosen_by_measurement() -> None:
    assert NAMING_CELLS == 2.0  # docs/methods.md, 'Without a decoder of classes'
    assert WELL_ABOVE_ZERO == 0.1  # docs/active-learning.md, 'Choosing a model without labels'
    assert PASSES == PRESETS["quick"].session.score.passes == 20
