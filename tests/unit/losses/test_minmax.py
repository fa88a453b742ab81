"""The terms of min-max eq 9 against the oracle, and where each is lowest."""

from __future__ import annotations

import math

import torch

from histoloop.losses.minmax import label_cross_entropy, uniform_cross_entropy

LABELS = torch.tensor([0, 2])
FOREGROUND = torch.tensor([[2.0, 0.5, -1.0], [0.3, 0.1, 0.7]])
BACKGROUND = torch.tensor([[0.2, 0.0, -0.1], [1.0, -1.0, 0.5]])
LOCALIZER = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 2.0]])


def test_the_terms_have_the_values_of_the_paper() -> None:
    terms = (
        label_cross_entropy(FOREGROUND, LABELS),
        uniform_cross_entropy(BACKGROUND),
        label_cross_entropy(LOCALIZER, LABELS),
    )
    for term, expected in zip(terms, (0.519213640926, 1.24739399024, 0.479525339188), strict=True):
        assert term.shape == (2,)
        torch.testing.assert_close(term.mean(), torch.tensor(expected), rtol=1e-6, atol=0)
    torch.testing.assert_close(sum(terms).mean(), torch.tensor(2.24613297036), rtol=1e-6, atol=0)


def test_the_background_costs_least_where_no_class_is_preferred() -> None:
    scores = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(uniform_cross_entropy(torch.full((1, 3), 4.0)), torch.tensor([math.log(3)]))
    assert bool((uniform_cross_entropy(scores) > math.log(3)).all())


def test_extreme_scores_stay_finite() -> None:
    scores = torch.tensor([[1e4, -1e4, 0.0]])
    assert bool(uniform_cross_entropy(scores).isfinite().all())
    assert bool(label_cross_entropy(scores, torch.tensor([1])).isfinite().all())
