from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from histoloop.workflows.queries.learned_loss_scores import LearnedLossSettings, learned_loss_scores

CPU = torch.device("cpu")
SETTINGS = LearnedLossSettings()


def regions(count: int, *, seed: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Features of two stages of very different scale, and losses that depend on one feature of each."""
    generator = torch.Generator().manual_seed(seed)
    fine, coarse = (torch.randn(count, channels, generator=generator) for channels in (6, 10))
    return [1000 * fine + 50, 0.01 * coarse], (fine[:, 2] - coarse[:, 7]).exp()


def test_a_known_relation_of_features_and_losses_is_learned() -> None:
    annotated, losses = regions(60, seed=0)
    pool, truth = regions(100, seed=1)
    scores = learned_loss_scores(annotated, losses, pool, settings=SETTINGS, device=CPU, seed=0)
    assert scores.shape == (100,)
    assert scores.dtype == np.float64
    assert spearmanr(scores, truth).statistic > 0.9


@pytest.mark.parametrize("count", [2, 3])
def test_two_or_three_annotated_regions_are_enough(count: int) -> None:
    annotated, losses = regions(count, seed=0)
    scores = learned_loss_scores(annotated, losses, annotated, settings=SETTINGS, device=CPU, seed=0)
    assert np.array_equal(scores.argsort(), losses.numpy().argsort())


def test_the_same_seed_gives_the_same_scores_and_leaves_the_global_random_state_alone() -> None:
    annotated, losses = regions(9, seed=0)
    pool, _ = regions(5, seed=1)
    before = torch.get_rng_state()

    def score(seed: int) -> np.ndarray:
        return learned_loss_scores(annotated, losses, pool, settings=SETTINGS, device=CPU, seed=seed)

    first = score(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert np.array_equal(score(0), first)
    assert not np.array_equal(score(1), first)


def test_no_gradient_flows_into_the_features_nor_the_losses() -> None:
    annotated, losses = regions(4, seed=0)
    leaves = [stage.requires_grad_() for stage in annotated] + [losses.requires_grad_()]
    learned_loss_scores(annotated, losses, annotated, settings=SETTINGS, device=CPU, seed=0)
    assert all(leaf.grad is None for leaf in leaves)


def test_a_feature_that_never_changes_does_no_harm_and_half_precision_will_do() -> None:
    annotated, losses = regions(6, seed=0)
    stages = [torch.cat([stage, torch.full((6, 1), 7.0)], dim=1).half() for stage in annotated]
    scores = learned_loss_scores(stages, losses, stages, settings=SETTINGS, device=CPU, seed=0)
    assert np.isfinite(scores).all()


def test_an_empty_pool_has_no_scores() -> None:
    annotated, losses = regions(4, seed=0)
    nothing = [stage[:0] for stage in annotated]
    assert learned_loss_scores(annotated, losses, nothing, settings=SETTINGS, device=CPU, seed=0).shape == (0,)


@pytest.mark.parametrize(("losses", "why"), [([1.0], "two annotated"), ([], "two annotated"), ([2.0, 2.0], "rank")])
def test_losses_that_cannot_be_ranked_are_refused_in_words(losses: list[float], why: str) -> None:
    stages = [torch.randn(len(losses), 3)]
    with pytest.raises(ValueError, match=why):
        learned_loss_scores(stages, torch.tensor(losses), stages, settings=SETTINGS, device=CPU, seed=0)


def test_stages_and_losses_that_do_not_fit_are_refused() -> None:
    annotated, losses = regions(4, seed=0)
    for stages, values, pool in (
        (annotated, losses, annotated[:1]),
        (annotated, losses[:3], annotated),
        (annotated, losses, annotated[::-1]),
        (annotated, losses, [annotated[0], annotated[1][:2]]),
        (annotated, losses * torch.nan, annotated),
        ([], losses, []),
    ):
        with pytest.raises(ValueError, match=r"stages|losses|regions"):
            learned_loss_scores(stages, values, pool, settings=SETTINGS, device=CPU, seed=0)


@pytest.mark.parametrize("change", [{"steps": 0}, {"batch_size": 1}, {"margin": 0.0}, {"weight_decay": -1.0}])
def test_settings_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(SETTINGS, **change)
