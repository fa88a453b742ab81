"""The acquisition strategies: each module is one, or a family of near-identical ones, and holds all of it.

A module offers the strategies in its `STRATEGIES`; they are found by listing this package.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.acquisition.strategy import Facts, Strategy


def _offered() -> dict[str, Strategy]:
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    strategies: list[Strategy] = [strategy for module in modules for strategy in module.STRATEGIES]
    return {strategy.name: strategy for strategy in sorted(strategies, key=lambda strategy: strategy.order)}


STRATEGIES: Mapping[str, Strategy] = _offered()
"""All strategies by name, in the order in which they are listed."""


class Query(Protocol):
    """What is kept of a chosen region."""

    @property
    def strategy(self) -> str:
        """By which strategy it was chosen."""

    @property
    def evidence(self) -> Facts:
        """What the strategy found in it."""


def reason_of(query: Query) -> str:
    """Why a region is asked about, in one sentence in the language spoken now; '' for a strategy not known here."""
    strategy = STRATEGIES.get(query.strategy)
    return "" if strategy is None else strategy.reason(query.evidence)


def shows_score(query: Query) -> bool:
    """Whether the score of a region is worth showing to a person; not of a strategy that is not known here."""
    strategy = STRATEGIES.get(query.strategy)
    return strategy is not None and strategy.shows_score
