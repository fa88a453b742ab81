"""Core-set: ask for what lies farthest from everything that is annotated, in the space of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.strategy import STAGE, Evidence, Facts, Floats, Inputs, Needs, ScoresAfter, Strategy
from histoloop.language import mark, tr
from histoloop.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.progress import Work

NEAREST = mark("Left: this region. Right: the annotated region most like it.")


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
    return CoverDistance(inputs.annotated_embeddings(), pool_embeddings(inputs))


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
        return tr("Nothing is annotated yet: the questions together cover how the tissue looks.")
    return tr("It looks unlike all that is annotated; a region of {slide} comes nearest.", slide=facts["beside"])


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
    ),
)
