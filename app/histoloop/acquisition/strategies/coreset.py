"""Core-set: ask for what lies farthest from everything that is annotated, in the space of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.strategy import (
    STAGE,
    Estimates,
    Evidence,
    Facts,
    Floats,
    Inputs,
    Needs,
    ScoresAfter,
    Strategy,
)
from histoloop.language import mark, tr
from histoloop.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from histoloop.progress import Work

ROWS, CENTRES = 8192, 64
"""Of a product of matrices at a time."""

ESTIMATED = 2_000_000
"""Values of a pool (regions times features) up to which exact distances cost next to nothing."""

NEAREST = mark("Left: this region. Right: the annotated region that is most similar.")


class CoverDistance:
    """Euclidean distance of every candidate to the nearest annotated or picked region.

    A score that changes with every pick, for `selection.select_setwise`: its highest is the next centre of k-center
    greedy (ssl-al, section 4). With nothing annotated and nothing picked yet there is no distance; then it is minus the
    distance to the mean of the pool, so that the first pick is the most typical region. (The field draws the first
    centre at random; the guarantee, at most twice the best radius, holds for any first centre, and this one follows
    from the pool.) ValueError when the two have different numbers of features.
    """

    def __init__(self, labelled_ND: NDArray[np.floating], pool_ND: NDArray[np.floating]) -> None:
        self._pool_ND = _points(pool_ND)
        labelled_ND = _points(labelled_ND)
        self._cover_N: Floats = np.full(len(self._pool_ND), np.inf)
        self._taken = 0
        self._typical = len(labelled_ND) == 0 and len(self._pool_ND) > 0
        for centre_D in labelled_ND:
            self._add(centre_D)

    def __call__(self, picks: Sequence[int]) -> Floats:
        """Scores (N,) of the pool once `picks` are annotated. Each call's picks begin with those of the call before."""
        for pick in picks[self._taken :]:
            self._add(self._pool_ND[pick])
        self._taken = len(picks)
        if self._typical and not picks:
            return -_distance(self._pool_ND, self._pool_ND.mean(axis=0))
        return self._cover_N.copy()

    def _add(self, centre_D: Floats) -> None:
        np.minimum(self._cover_N, _distance(self._pool_ND, centre_D), out=self._cover_N)


class LargeCoverDistance:
    """`CoverDistance` of a pool so large that its distances are estimated first; picks and scores are the same.

    Squared distances to a block of centres are |p|^2 + |c|^2 - 2 p.c, a product of matrices of single precision, after
    the mean of the pool was taken off. Nothing of N x N is made, and no copy of the pool in double precision. With u =
    2^-24 a product of D terms is wrong by at most about D u |p| |c|, and what is rounded before and after by a few
    u (|p| + |c|)^2; `Estimates.tolerance` is (D + 16) u (|p| + |c|)^2 of the longest p and c. Distances of those that
    may be the highest are computed as there.
    """

    def __init__(self, labelled_ND: NDArray[np.floating], pool_ND: NDArray[np.floating]) -> None:
        self._pool_ND, self._labelled_ND = np.asarray(pool_ND), _points(labelled_ND)
        _points(self._pool_ND[:0])
        if len(labelled_ND) and labelled_ND.shape[1] != pool_ND.shape[1]:
            raise ValueError(f"points of {pool_ND.shape[1]} features and a centre of {labelled_ND.shape[1]}")
        self._mean_D = self._pool_ND.mean(axis=0, dtype=np.float64)
        self._near_ND = np.empty(self._pool_ND.shape, np.float32)
        for rows in _blocks(len(self._pool_ND)):
            self._near_ND[rows] = self._pool_ND[rows] - self._mean_D
        self._squares_N = np.einsum("nd,nd->n", self._near_ND, self._near_ND)
        self._cover_N = np.full(len(self._pool_ND), np.inf, np.float32)
        self._tolerance = 0.0
        self._picks: list[int] = []
        self._add(self._labelled_ND)

    def __call__(self, picks: Sequence[int]) -> Floats | Estimates:
        """As of `CoverDistance`; estimates once there is a distance."""
        self._add(_points(self._pool_ND[list(picks[len(self._picks) :])]))
        self._picks = list(picks)
        if not picks and len(self._labelled_ND) == 0:
            parts = (_distance(_points(self._pool_ND[rows]), self._mean_D) for rows in _blocks(len(self._pool_ND)))
            return -np.concatenate(list(parts))
        return Estimates(self._cover_N.copy(), self._tolerance, self._exact)

    def _add(self, centres_MD: Floats) -> None:
        for some in _blocks(len(centres_MD), CENTRES):
            near_MD = (centres_MD[some] - self._mean_D).astype(np.float32)
            squares_M = np.einsum("md,md->m", near_MD, near_MD)
            longest = np.sqrt(self._squares_N.max()) + np.sqrt(squares_M.max())
            error = (near_MD.shape[1] + 16) * np.finfo(np.float32).epsneg * float(longest) ** 2
            self._tolerance = max(self._tolerance, error)
            for rows in _blocks(len(self._near_ND)):
                squared = squares_M - 2 * (self._near_ND[rows] @ near_MD.T)
                found = squared.min(axis=1) + self._squares_N[rows]
                np.minimum(self._cover_N[rows], found, out=self._cover_N[rows])

    def _exact(self, indices: NDArray[np.intp]) -> Floats:
        points_ND, cover_N = _points(self._pool_ND[indices]), np.full(len(indices), np.inf)
        for centre_D in (*self._labelled_ND, *_points(self._pool_ND[self._picks])):
            np.minimum(cover_N, _distance(points_ND, centre_D), out=cover_N)
        return cover_N


def cover_distance(labelled_ND: NDArray[np.floating], pool_ND: NDArray[np.floating]) -> ScoresAfter:
    """`CoverDistance`, estimated where the pool has more than `ESTIMATED` values."""
    return (LargeCoverDistance if np.size(pool_ND) > ESTIMATED else CoverDistance)(labelled_ND, pool_ND)


def _blocks(count: int, size: int = ROWS) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


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


def _score(inputs: Inputs) -> Work[ScoresAfter]:
    yield Progress(tr(STAGE), 0, inputs.count)
    return cover_distance(inputs.annotated_embeddings(), pool_embeddings(inputs))


def pool_embeddings(inputs: Inputs) -> NDArray[np.float32]:
    """Embeddings (N, D) of all candidates."""
    return np.stack([inputs.embedding(index) for index in range(inputs.count)])


def beside_most_alike(inputs: Inputs, index: int) -> Evidence:
    """The annotated region that a candidate is most like, however little that is; nothing before the first."""
    annotated_MD = inputs.annotated_embeddings()
    if not len(annotated_MD):
        return Evidence()
    distances = np.linalg.norm(annotated_MD - inputs.embedding(index), axis=1)
    nearest = int(distances.argmin())
    return Evidence({"beside": inputs.annotated_slide(nearest)}, beside=inputs.annotated_pixels(nearest))


def reason_by_nearest(facts: Facts) -> str:
    """Of `beside_most_alike`."""
    if "beside" not in facts:
        return tr("Nothing is annotated yet: together, the questions cover the variety of the tissue.")
    return tr("It looks unlike anything annotated; the most similar region is on {slide}.", slide=facts["beside"])


STRATEGIES = (
    Strategy(
        name="k-center",
        order=70,
        title=mark("Unlike anything annotated"),
        sentence=mark("Asks about the tissue that looks least like anything annotated so far."),
        source=mark("ssl-al, section 4 (k-center greedy)"),
        needs=Needs("embeddings"),
        score=_score,
        reason=reason_by_nearest,
        evidence=beside_most_alike,
        caption=NEAREST,
        shows_score=False,
    ),
)
