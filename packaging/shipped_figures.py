"""Measure a model of models/ anew on the validation part of its data set, and state it with intervals on its card.

    python packaging/shipped_figures.py MODEL DATA

MODEL is the name of a folder in models/, DATA the data set that it was trained on, dealt as stated. What the card has
of other things stays; that the figures which it had are still the same is a check: it ends where one differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from histoloop import paths
from histoloop.progress import finish
from histoloop.store.cards import CARD, Card, card_text, load_card
from histoloop.store.files import write_beside
from histoloop.store.model_folder import METRICS, RECIPE
from histoloop.training.datasets import read_dataset
from histoloop.training.measures.intervals import INTERVALS, FiguresByCase, interval_text
from histoloop.training.recipe import load_recipe
from histoloop.workflows.experiments.train import validation_figures
from histoloop.workflows.prediction.loaded_model import choose_device, load_model

CALIBRATION = (
    "`calibration_error` and `brier_score` say how far probabilities mean what they say (0 is best). " + INTERVALS
)
SAME = 2e-3
"""So far a figure may be from the one on the card: other processors round differently."""


def main() -> None:
    """Measure, check and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    folder = paths.shipped_models() / options.model
    card, scale = load_card(folder), load_recipe(folder / RECIPE).data.scale
    dataset = finish(read_dataset(options.data, seed=0, scale=scale))
    model = load_model(folder, choose_device("auto"))
    figures = validation_figures(model, dataset.validation, dataset.scheme)
    card = with_figures(card, figures)
    write_beside(folder / CARD, card_text(card))
    write_beside(folder / METRICS, json.dumps(dict(card.figures), indent=2) + "\n")
    print(f"{len(dataset.validation)} tiles, {len(figures.intervals)} figures with intervals: {folder / CARD}")


def with_figures(card: Card, measured: FiguresByCase) -> Card:
    """The card with these figures, their intervals and their table; SystemExit where one is another than before."""
    found = {name: round(value, 4) for name, value in measured.values.items()}
    others = {name: (card.figures[name], value) for name, value in found.items() if name in card.figures}
    if changed := {name: pair for name, pair in others.items() if abs(pair[0] - pair[1]) > SAME}:
        raise SystemExit(f"measured otherwise than on the card: {changed}")
    figures = {name: card.figures.get(name, value) for name, value in found.items()}
    bounds = {name: (round(low, 4), round(high, 4)) for name, (low, high) in measured.intervals.items()}
    before, _table, after = _parted(card.description)
    rows = "\n".join(f"| {name} | {value:.4g} | {interval_text(bounds.get(name))} |" for name, value in figures.items())
    table = f"| figure | value | 95 % |\n|---|---|---|\n{rows}"
    return dataclasses.replace(
        card,
        figures={**figures, **{name: value for name, value in card.figures.items() if name not in figures}},
        intervals=bounds,
        description=f"{before.removesuffix(CALIBRATION).rstrip()} {CALIBRATION}\n\n{table}\n\n{after}",
    )


def _parted(description: str) -> tuple[str, str, str]:
    """What is before the table of figures, the table, and what is after it, without the empty lines between."""
    parts = description.strip().split("\n\n")
    number = next(number for number, part in enumerate(parts) if part.startswith("| figure | value |"))
    return "\n\n".join(parts[:number]), parts[number], "\n\n".join(parts[number + 1 :])


if __name__ == "__main__":
    main()
