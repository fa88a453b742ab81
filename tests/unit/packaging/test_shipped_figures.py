"""The figures of a shipped model: measured anew, with intervals, and never others than before."""

from __future__ import annotations

import pytest

from histoloop import paths
from histoloop.store.cards import card_text, load_card, read_card
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.training.measures.intervals import FiguresByCase
from shipped_figures import with_figures


def test_the_shipped_model_states_its_calibration_and_how_far_each_figure_may_be_off() -> None:
    card = load_card(paths.shipped_models() / DEFAULT_MODEL)
    assert 0 < card.figures["calibration_error"] < 1
    for name in ("accuracy", "calibration_error", "dice"):
        low, high = card.intervals[name]
        assert low < card.figures[name] < high
        assert f"| {name} |" in card.description


def test_what_is_measured_anew_takes_the_place_of_the_table_alone() -> None:
    card = load_card(paths.shipped_models() / DEFAULT_MODEL)
    measured = FiguresByCase(
        {**{name: card.figures[name] for name in ("tiles", "dice")}, "new_figure": 0.25},
        {"new_figure": (0.125, 0.5)},
    )
    found = read_card(card_text(with_figures(card, measured)), source="a card")
    assert found.figures == {**card.figures, "new_figure": 0.25}
    assert found.intervals == {"new_figure": (0.125, 0.5)}
    assert "| new_figure | 0.25 | 0.125 to 0.5 |" in found.description
    assert found.description.count("95 % stand the bounds") == 1
    assert found.description.endswith(card.description.rpartition("\n\n")[2])
    assert with_figures(found, measured) == found


def test_figures_other_than_those_on_the_card_are_not_written() -> None:
    card = load_card(paths.shipped_models() / DEFAULT_MODEL)
    with pytest.raises(SystemExit, match="dice"):
        with_figures(card, FiguresByCase({"dice": card.figures["dice"] - 0.01}))
