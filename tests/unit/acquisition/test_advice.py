from __future__ import annotations

import pytest

from histoloop.acquisition.advice import advice, advised_strategy


@pytest.mark.parametrize("self_supervised", [False, True])
@pytest.mark.parametrize(
    ("annotated", "candidates", "strategy"),
    [(0, 0, "random"), (5, 995, "random"), (5, 95, "random"), (10, 90, "entropy")],
)
def test_the_advice_goes_by_the_share_that_is_annotated(
    annotated: int, candidates: int, strategy: str, self_supervised: bool
) -> None:
    text = advice(annotated, candidates, self_supervised)
    assert advised_strategy(annotated, candidates) == strategy
    assert ("Ask at random" in text) == (strategy == "random")
    assert ("Ask where the model is unsure" in text) == (strategy == "entropy")


def test_the_advice_names_the_budget_its_sources_and_what_they_measured() -> None:
    text = advice(12, 1988, False)
    assert text.startswith("12 of 2,000 regions are annotated (0.6%). ")
    assert "Zolfaghari Bengar et al. 2021, section 5, measured on everyday photographs" in text
    assert "Belharbi et al. 2020, Table 3, GlaS" in text


def test_learning_from_the_slides_first_is_advised_only_to_who_has_not() -> None:
    assert "first (self-supervised): that saved far more" in advice(1, 500, False)
    assert "after self-supervised pretraining on the slides" in advice(1, 500, True)


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        advice(-1, 3, True)
