"""All strategies together: what is listed, in which order, and what a user reads of them."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest

import histoloop.acquisition
from histoloop.acquisition.strategies import STRATEGIES, reason_of, shows_score
from histoloop.acquisition.strategies.at_random import RANDOM, random_scores
from histoloop.acquisition.strategy import Facts, Inputs, Needed, score_each
from histoloop.language import speak
from histoloop.progress import Progress, finish

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Query:
    strategy: str
    evidence: Facts = field(default_factory=dict)


@pytest.fixture
def english() -> Iterator[None]:
    yield
    speak("en")


def test_strategies_are_listed_in_their_order() -> None:
    assert list(STRATEGIES) == [
        "random",
        "entropy",
        "least-confidence",
        "margin",
        "ratio",
        "mc-dropout",
        "k-center",
        "vaal",
        "svm-margin",
        "learned-loss",
        "cod",
        "cod-softmax",
    ]
    assert len({strategy.order for strategy in STRATEGIES.values()}) == len(STRATEGIES)


def test_every_strategy_has_a_title_a_sentence_what_it_needs_and_a_source() -> None:
    assert len({strategy.title for strategy in STRATEGIES.values()}) == len(STRATEGIES)
    for name, strategy in STRATEGIES.items():
        assert strategy.name == name
        assert strategy.sentence.endswith(".")
        assert strategy.needs.inputs in get_args(Needed)
        assert "section" in strategy.source


def test_only_what_maps_give_does_without_a_network_and_only_decoders_give_outputs_and_losses() -> None:
    without_network = [name for name, strategy in STRATEGIES.items() if not strategy.needs.network]
    assert without_network == ["random", "entropy", "least-confidence", "margin", "ratio"]
    with_decoder = [name for name, strategy in STRATEGIES.items() if strategy.needs.decoder]
    assert with_decoder == ["mc-dropout", "learned-loss", "cod", "cod-softmax"]
    needed = {name: strategy.needs.annotated for name, strategy in STRATEGIES.items() if strategy.needs.annotated}
    assert needed == {"vaal": 1, "svm-margin": 2, "learned-loss": 2}


@pytest.mark.parametrize("code", ["en", "de", "fr"])
def test_every_strategy_says_why_even_where_nothing_is_left_to_say_it_with(code: str, english: None) -> None:
    speak(code)
    for name in STRATEGIES:
        sentence = reason_of(Query(name))
        assert sentence.endswith(".")
        assert "{" not in sentence


@pytest.mark.parametrize(
    ("query", "english_text", "german", "french"),
    [
        (
            Query("entropy", {"share": 0.57}),
            "The model is unsure about 57% of this region.",
            "Bei 57\N{NARROW NO-BREAK SPACE}% dieser Region ist das Modell unsicher.",
            "Le modèle hésite sur 57\N{NARROW NO-BREAK SPACE}% de cette région.",
        ),
        (
            Query("svm-margin", {"classes": ["benign", "my class"]}),
            "Its features lie between benign and my class.",
            "Ihre Merkmale liegen zwischen benigne und my class.",
            "Ses caractéristiques se situent entre bénin et my class.",
        ),
    ],
)
def test_the_same_query_gives_its_reason_in_the_language_spoken(
    query: Query, english_text: str, german: str, french: str, english: None
) -> None:
    assert reason_of(query) == english_text
    speak("de")
    assert reason_of(query) == german
    speak("fr")
    assert reason_of(query) == french


def test_a_query_of_a_strategy_that_is_not_here_has_no_reason() -> None:
    assert reason_of(Query("of a later version", {"share": 0.5})) == ""


def test_scores_are_shown_but_of_chance_and_coverage_which_tell_a_person_nothing() -> None:
    assert [name for name in STRATEGIES if not shows_score(Query(name))] == ["random", "k-center"]
    assert not shows_score(Query("not here"))


def test_random_scores_follow_their_seed() -> None:
    assert np.array_equal(random_scores(5, seed=1), random_scores(5, seed=1))
    assert not np.array_equal(random_scores(5, seed=1), random_scores(5, seed=2))


class Five(Inputs):
    """Five candidates of which nothing is known."""

    count, seed = 5, 1


def test_random_needs_nothing_but_a_seed() -> None:
    assert np.array_equal(finish(RANDOM.score(Five()))([]), random_scores(5, seed=1))


def test_what_a_provider_does_not_have_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="probabilities are not provided"):
        finish(STRATEGIES["entropy"].score(Five()))
    for strategy in list(STRATEGIES.values())[1:]:
        with pytest.raises(NotImplementedError, match="declare"):
            finish(strategy.score(Five()))([])


def test_scores_need_no_torch_and_no_optimiser_until_one_is_fitted() -> None:
    modules = [found.name for found in pkgutil.walk_packages(histoloop.acquisition.__path__, "histoloop.acquisition.")]
    assert "histoloop.acquisition.strategies.discrepancy" in modules
    lines = [f"import {module}" for module in modules]
    lines += ["import sys", "assert not {'torch', 'scipy.optimize'} & set(sys.modules)"]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


class Unequal(Inputs):
    """Three candidates, the second three times as much work as each of the others."""

    count, seed = 3, 0

    def size(self, index: int) -> float:
        return (1.0, 3.0, 1.0)[index]


def test_a_larger_candidate_is_more_of_the_work() -> None:
    steps: list[Progress] = []
    scores_after = finish(score_each(Unequal(), float), steps.append)
    assert scores_after([]).tolist() == [0.0, 1.0, 2.0]
    assert [step.fraction for step in steps] == pytest.approx([0.0, 0.2, 0.8])
