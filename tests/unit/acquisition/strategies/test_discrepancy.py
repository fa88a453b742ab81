from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from histoloop.acquisition.strategies.discrepancy import STRATEGIES, Outputs, cod, discrepancy_map
from histoloop.acquisition.strategy import Inputs
from histoloop.progress import finish

if TYPE_CHECKING:
    from histoloop.acquisition.strategy import Strategy

NEW = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, -1.0, 3.0]])
OLD = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 3.0], [1.0, -1.0, 3.0]])
LOGITS = arrays(np.float64, (2, 3, 4), elements=st.floats(-50, 50))
EITHER = pytest.mark.parametrize("outputs", ["logit", "softmax"])


def test_the_discrepancy_of_class_logits_is_the_norm_of_their_difference() -> None:
    values = [cod(old, new) for old, new in zip(OLD, NEW, strict=True)]
    assert values == pytest.approx([1.41421356237, 3.0, 0.0], rel=1e-9)


def test_the_softmax_form_is_the_norm_not_half_its_square() -> None:
    values = [cod(old, new, outputs="softmax") for old, new in zip(OLD, NEW, strict=True)]
    assert values == pytest.approx([0.42096285413, 0.705587357788, 0.0], rel=1e-9)
    assert [value**2 / 2 for value in values] == pytest.approx([0.0886048622785, 0.248926759735, 0.0], rel=1e-9)


@EITHER
@given(logits=LOGITS)
@settings(deadline=None, max_examples=20)
def test_identical_models_have_no_discrepancy(outputs: Outputs, logits: NDArray[np.float64]) -> None:
    for output in (logits, logits[0], logits[0, 0]):
        assert cod(output, output, outputs=outputs) == 0


@EITHER
@given(old=LOGITS, new=LOGITS)
@settings(deadline=None, max_examples=20)
def test_discrepancy_is_symmetric_and_regions_of_any_size_compare(
    outputs: Outputs, old: NDArray[np.float64], new: NDArray[np.float64]
) -> None:
    value = cod(old, new, outputs=outputs)
    assert value == pytest.approx(cod(new, old, outputs=outputs))
    assert value == pytest.approx(cod(np.tile(old, (1, 2, 3)), np.tile(new, (1, 2, 3)), outputs=outputs), abs=1e-12)


@EITHER
def test_a_foreground_logit_is_one_of_two_whose_other_is_zero(outputs: Outputs) -> None:
    old, new = NEW, OLD
    pair_old, pair_new = (np.stack([np.zeros_like(logits), logits]) for logits in (old, new))
    assert cod(old, new, outputs=outputs) == pytest.approx(cod(pair_old, pair_new, outputs=outputs))


def test_the_map_shows_where_the_output_moved() -> None:
    old = np.zeros((2, 2))
    new = np.array([[0.0, 0.0], [3.0, -4.0]])
    assert np.array_equal(discrepancy_map(old, new), [[0, 0], [3, 4]])
    assert cod(old, new) == pytest.approx(2.5)


def test_logit_and_softmax_rank_differently() -> None:
    sure, unsure = (np.array([20.0]), np.array([30.0])), (np.array([-1.0]), np.array([1.0]))
    logit = [cod(old[:, None], new[:, None]) for old, new in (sure, unsure)]
    softmax = [cod(old[:, None], new[:, None], outputs="softmax") for old, new in (sure, unsure)]
    assert logit[0] > logit[1]
    assert softmax[0] < softmax[1]


def test_outputs_that_do_not_compare_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        cod(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="one shape"):
        cod(np.zeros((0, 2)), np.zeros((0, 2)))
    with pytest.raises(ValueError, match="finite"):
        cod(np.array([np.inf]), np.array([np.inf]))
    with pytest.raises(ValueError, match="'logit' or 'softmax'"):
        cod(np.zeros(2), np.zeros(2), outputs="sigmoid")  # type: ignore[arg-type]


@dataclass(frozen=True)
class Decoded:
    logits: NDArray[np.float64]

    @property
    def outcomes(self) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-self.logits))


@dataclass(frozen=True)
class DecodedClasses:
    logits: NDArray[np.float64]

    @property
    def outcomes(self) -> NDArray[np.float64]:
        powers = np.exp(self.logits)
        return powers / powers.sum(axis=0)


class Changed(Inputs):
    """Two regions; one pixel of four of the second moved, far in logits and in probability."""

    count, seed = 2, 0

    def output(self, index: int) -> Decoded:
        return Decoded(np.array([[0.0, 0], [0, 4 * index]]))

    def earlier_output(self, index: int) -> Decoded:
        return Decoded(np.zeros((2, 2)))


@pytest.mark.parametrize(("strategy", "outputs"), [(STRATEGIES[0], "logit"), (STRATEGIES[1], "softmax")])
def test_each_strategy_scores_by_the_change_of_its_outputs(strategy: Strategy, outputs: Outputs) -> None:
    inputs = Changed()
    scores_N = finish(strategy.score(inputs))([])
    new, old = inputs.output(1).logits, inputs.earlier_output(1).logits
    assert scores_N.tolist() == [0, cod(old, new, outputs=outputs)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_says_how_much_has_changed_and_shows_where(strategy: Strategy) -> None:
    evidence = strategy.evidence(Changed(), 1)
    assert evidence.facts == {"share": 0.25}
    assert evidence.strength is not None
    assert (evidence.strength > 0.4).tolist() == [[False, False], [False, True]]
    sentence = "The model's prediction has changed over 25% of this region since the last round."
    assert strategy.reason(evidence.facts) == sentence
    assert strategy.reason({}) == "The model's prediction for this region has changed since the last round."


class ChangedClasses(Inputs):
    """One region of two pixels; the second one's probability moved from background to the second of two classes."""

    count, seed = 1, 0

    def output(self, index: int) -> DecodedClasses:
        return DecodedClasses(np.array([[[9.0, 0]], [[0, 0]], [[0, 9.0]]]))

    def earlier_output(self, index: int) -> DecodedClasses:
        return DecodedClasses(np.array([[[9.0, 9.0]], [[0, 0]], [[0, 0]]]))


@pytest.mark.parametrize(("strategy", "score"), list(zip(STRATEGIES, (9.0, 0.99963), strict=True)))
def test_a_change_from_one_class_to_another_is_asked_about(strategy: Strategy, score: float) -> None:
    inputs = ChangedClasses()
    assert finish(strategy.score(inputs))([]).tolist() == [pytest.approx(score, rel=1e-4)]
    evidence = strategy.evidence(inputs, 0)
    assert evidence.facts == {"share": 0.5}
    assert evidence.strength is not None
    assert (evidence.strength > 0.4).tolist() == [[False, True]]
