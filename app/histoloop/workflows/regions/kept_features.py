"""Features of tiles that are kept on disk: each tile and view goes through the frozen classifier once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.inference.features import Features
from histoloop.networks.arrays import to_arrays, to_tensors
from histoloop.training.features import FeatureTile, spread_views, view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from histoloop.inference.model import Model
    from histoloop.store.array_cache import ArrayCache
    from histoloop.training.samples import TrainingTile


class KeptFeatures:
    """Features by the frozen classifier of `model`, kept under `key`, which stands for its weights.

    `in_memory` keeps all that were asked for in memory too. A tile is known by its name, and is read only when it has
    to go through the classifier; `seed` is of the stain of its views (training/features.py: view_of).
    """

    def __init__(self, model: Model, cache: ArrayCache, *, key: str, in_memory: bool = False) -> None:
        self.model = model
        self._cache, self._key = cache, key
        self._memory: dict[str, Features] | None = {} if in_memory else None

    def of(
        self, name: str, tile: Callable[[], TrainingTile], *, seed: int, view: int = 0, stain: float = 0.0
    ) -> Features:
        """Features of a tile, or of a view of it with another stain."""
        key = f"{self._key}|{name}|{view}|{stain if view else 0}"
        if self._memory is not None and key in self._memory:
            return self._memory[key]
        features = self._load(key) or self._extract(key, view_of(tile(), view, stain=stain, seed=seed))
        if self._memory is not None:
            self._memory[key] = features
        return features

    def has(self, name: str) -> bool:
        """Whether the features of a tile as it is are kept."""
        key = f"{self._key}|{name}|0|0"
        return (self._memory is not None and key in self._memory) or self._cache.has(key)

    def views(self, name: str, tile: TrainingTile, *, seed: int, count: int, stain: float) -> list[FeatureTile]:
        """The tile as it is and `count` - 1 views of it, each with its mask."""
        found: list[FeatureTile] = []
        for view in spread_views(count):
            features = self.of(name, lambda: tile, seed=seed, view=view, stain=stain)
            turned = view_of(tile, view, stain=0, seed=0)
            found.append(FeatureTile(features, turned.mask, known=turned.known))
        return found

    def _load(self, key: str) -> Features | None:
        kept = self._cache.get(key)
        return None if kept is None else Features.of_tensors(to_tensors(kept))

    def _extract(self, key: str, tile: TrainingTile) -> Features:
        features = self.model.features(tile.pixels)
        self._cache.put(key, to_arrays(features.as_tensors()))
        return features
