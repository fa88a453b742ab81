"""Core-set: ask for what lies farthest from everything that is annotated, in the space of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class CoverDistance:
    """Euclidean distance of every candidate to the nearest annotated or picked region.

    A score that changes with every pick, for `strategies.select_setwise`: its highest is the next centre of k-center
    greedy. With nothing annotated and nothing picked yet there is no distance; then it is minus the distance to the
    mean of the pool, so that the first pick is the most typical region. (The field draws the first centre at random;
    the guarantee, at most twice the best radius, holds for any first centre, and this one follows from the pool.)
    """

    def __init__(self, labelled_ND: NDArray[np.floating], pool_ND: NDArray[np.floating]) -> None:
        self._pool_ND = _points(pool_ND)
        labelled_ND = _points(labelled_ND)
        self._cover_N: Floats = np.full(len(self._pool_ND), np.inf)
        self._seen = 0
        self._typical = len(labelled_ND) == 0 and len(self._pool_ND) > 0
        for centre_D in labelled_ND:
            self._add(centre_D)

    def __call__(self, picks: Sequence[int]) -> Floats:
        """Scores (N,) of the pool once `picks` are annotated. Each call's picks begin with those of the call before."""
        for pick in picks[self._seen :]:
            self._add(self._pool_ND[pick])
        self._seen = len(picks)
        if self._typical and not picks:
            return -_distance(self._pool_ND, self._pool_ND.mean(axis=0))
        return self._cover_N.copy()

    def _add(self, centre_D: Floats) -> None:
        np.minimum(self._cover_N, _distance(self._pool_ND, centre_D), out=self._cover_N)


def k_center_greedy(labelled_ND: NDArray[np.floating], pool_ND: NDArray[np.floating], count: int) -> list[int]:
    """Indices of `count` points of the pool, each the farthest from all before (ssl-al, section 4, KCenterGreedy).

    Euclidean; ties go to the lowest index; no point twice, also among identical ones; the whole pool when it is
    smaller than `count`. `labelled_ND` may be empty (0, D): see `CoverDistance` for the first pick. ValueError when
    the two have different numbers of features or `count` is negative.
    """
    if count < 0:
        raise ValueError(f"count must not be negative, got {count}")
    scores_after = CoverDistance(labelled_ND, pool_ND)
    picks: list[int] = []
    for _ in range(min(count, len(pool_ND))):
        scores = scores_after(picks)
        scores[picks] = -np.inf
        picks.append(int(np.argmax(scores)))
    return picks


def cover_radius(centres_ND: NDArray[np.floating], pool_ND: NDArray[np.floating]) -> float:
    """The largest distance from a point of the pool to its nearest centre; 0 for no pool, infinite for no centre."""
    if len(pool_ND) == 0:
        return 0.0
    pool = _points(pool_ND)
    cover = np.full(len(pool), np.inf)
    for centre_D in _points(centres_ND):
        np.minimum(cover, _distance(pool, centre_D), out=cover)
    return float(cover.max())


def _points(points_ND: NDArray[np.floating]) -> Floats:
    points = np.asarray(points_ND, np.float64)
    if points.ndim != 2:
        raise ValueError(f"points are (N, D), got an array of shape {points.shape}")
    return points


def _distance(points_ND: Floats, centre_D: Floats) -> Floats:
    if points_ND.shape[1] != len(centre_D):
        raise ValueError(f"points of {points_ND.shape[1]} features and a centre of {len(centre_D)}")
    distance: Floats = np.linalg.norm(points_ND - centre_D, axis=1)
    return distance
