"""Label propagation: which unlabelled regions the model may annotate itself, because their colours are near.

label-prop, section 3. D, L, U and P are the paper's sets: all regions, annotated, unlabelled, pseudo-labelled ones.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BINS = 256
NEIGHBOURS = 40
"""The paper's k. It exceeds the size of every class of the paper's data sets, where it pseudo-labels everything."""

ROWS, EXACT_ROWS = 2048, 256
"""Regions that are compared at a time, by products of matrices and exactly."""

_MARGIN = 1e-3
"""Of a sum of 768 products of single precision, which are wrong by less than 768 * 2^-24 * 3 = 1.4e-4 together."""

SHARE_BY_CHANCE = 0.5
"""Share of a class's unlabelled regions that may come in if the colours carried no information; see `capped_k`."""


def colour_histograms(pixels_HW3: NDArray[np.uint8], valid_HW: NDArray[np.bool_] | None = None) -> Floats:
    """Frequencies (3, 256) of the values of R, G and B over the valid pixels (all, if None); each row sums to 1.

    For 8-bit values the same as 256 bins over [0, 1]. ValueError when no pixel is valid or the shape is another.
    """
    if pixels_HW3.ndim != 3 or pixels_HW3.shape[2] != 3 or pixels_HW3.dtype != np.uint8:
        raise ValueError(f"8-bit pixels (H, W, 3), got {pixels_HW3.dtype} of shape {pixels_HW3.shape}")
    values_N3 = pixels_HW3.reshape(-1, 3) if valid_HW is None else pixels_HW3[valid_HW]
    if len(values_N3) == 0:
        raise ValueError("a colour histogram needs at least one valid pixel")
    return np.stack([np.bincount(values_N3[:, plane], minlength=BINS) for plane in range(3)]) / len(values_N3)


def distance_matrix(histograms_N3B: NDArray[np.floating], classes: Sequence[str]) -> Floats:
    """Colour distances (N, N) within each class; infinite between regions of different classes, 0 on the diagonal.

    A distance is the sum over R, G and B of the Jensen-Shannon divergence of two histograms, in nats: 0 to 3 log 2.
    Exact, with 0 log 0 = 0; the authors' code adds 1e-8 to every count instead, which changes the sixth digit.
    """
    histograms = np.asarray(histograms_N3B, np.float64)
    if len(histograms) != len(classes):
        raise ValueError(f"{len(histograms)} histograms and {len(classes)} classes")
    distances = np.full((len(classes), len(classes)), np.inf)
    for members in _members(classes).values():
        for position, index in enumerate(members):
            later = members[position + 1 :]
            distances[index, index] = 0
            distances[index, later] = distances[later, index] = _divergence(histograms[later], histograms[index])
    return distances


def nearest_annotated(
    distances_NN: NDArray[np.floating],
    classes: Sequence[str],
    annotated: Collection[int],
    *,
    k: int | Mapping[str, int] = NEIGHBOURS,
) -> dict[int, int]:
    """U'', each with the annotated region it is taken in for: the nearest one among its k nearest neighbours.

    The neighbours are looked for from each UNLABELLED region, among all regions of its class, annotated or not
    (label-prop, Fig. 2); it comes in when at least one of them is annotated. `k` is one number or one per class, at
    least 1; ties go to the lowest index. A k of the class's size - 1 or more takes in every region of a class that has
    an annotated one: see `capped_k`.
    """
    distances = np.asarray(distances_NN)
    if distances.shape != (len(classes), len(classes)):
        raise ValueError(f"distances of shape {distances.shape} between {len(classes)} regions")
    labelled = frozenset(annotated)
    found: dict[int, int] = {}
    for name, members in _members(classes).items():
        reach = k if isinstance(k, int) else k[name]
        if reach < 1:
            raise ValueError(f"k must be at least 1, got {reach}")
        for index in (member for member in members if member not in labelled):
            rest = members[members != index]
            nearest = rest[np.argsort(distances[index, rest], kind="stable")[:reach]]
            hits = [int(other) for other in nearest if other in labelled]
            if hits:
                found[int(index)] = hits[0]
    return dict(sorted(found.items()))


def nearest_annotated_by_colour(
    histograms_N3B: NDArray[np.floating],
    classes: Sequence[str],
    annotated: Collection[int],
    *,
    k: int | Mapping[str, int] = NEIGHBOURS,
) -> dict[int, int]:
    """`nearest_annotated` of `distance_matrix`, without the matrix: memory grows with the regions, not their square.

    A region comes in unless k others of its class are nearer to it than the nearest annotated one. The squared
    Hellinger distance H of two histograms, 1 - sum sqrt(p q), bounds their divergence: H log 2 <= JS <= H (the
    quotient of the two generators falls from 1 where p = q to log 2 where they are disjoint). So most of those that are
    nearer are counted by a product of matrices of single precision, and only what lies between the bounds is compared
    exactly. ValueError as there.
    """
    histograms, labelled = np.asarray(histograms_N3B), frozenset(annotated)
    if len(histograms) != len(classes):
        raise ValueError(f"{len(histograms)} histograms and {len(classes)} classes")
    found: dict[int, int] = {}
    for name, members in _members(classes).items():
        reach = k if isinstance(k, int) else k[name]
        if reach < 1:
            raise ValueError(f"k must be at least 1, got {reach}")
        is_labelled = np.fromiter((int(member) in labelled for member in members), bool, len(members))
        known, open_ = members[is_labelled], members[~is_labelled]
        if len(known):
            for start in range(0, len(open_), ROWS):
                found |= _taken_in(histograms, open_[start : start + ROWS], known, open_, reach)
    return dict(sorted(found.items()))


def _taken_in(
    histograms: NDArray[np.floating],
    rows: NDArray[np.intp],
    known: NDArray[np.intp],
    others: NDArray[np.intp],
    reach: int,
) -> dict[int, int]:
    """Which of some rows have fewer than `reach` of the others nearer than the nearest known one, and that one."""
    nearest, distance = np.empty(len(rows), np.intp), np.empty(len(rows))
    for place, index in enumerate(rows):
        distances = _divergence(_doubles(histograms[known]), _doubles(histograms[index]))
        best = int(np.argmin(distances))
        nearest[place], distance[place] = known[best], distances[best]
    roots, nearer = _roots(histograms[rows]), np.zeros(len(rows), np.intp)
    in_doubt: list[list[NDArray[np.intp]]] = [[] for _ in rows]
    left = np.arange(len(rows))
    for start in range(0, len(others), ROWS):
        some = others[start : start + ROWS]
        hellinger = histograms.shape[1] - roots[left] @ _roots(histograms[some]).T
        itself = rows[left, np.newaxis] == some
        surely = (hellinger + _MARGIN < distance[left, np.newaxis]) & ~itself
        perhaps = (np.log(2) * (hellinger - _MARGIN) <= distance[left, np.newaxis]) & ~itself & ~surely
        nearer[left] += surely.sum(axis=1)
        for line in np.flatnonzero(nearer[left] < reach):
            in_doubt[left[line]].append(some[perhaps[line]])
        left = left[nearer[left] < reach]
        if not len(left):
            break
    found = {}
    for place in left.tolist():
        index, best = int(rows[place]), int(nearest[place])
        left_to_find = reach - int(nearer[place])
        if _fewer_nearer(histograms, index, (float(distance[place]), best), in_doubt[place], left_to_find):
            found[index] = best
    return found


def _fewer_nearer(
    histograms: NDArray[np.floating],
    index: int,
    limit: tuple[float, int],
    others: Sequence[NDArray[np.intp]],
    reach: int,
) -> bool:
    """Whether fewer than `reach` of the others come before (distance, index) of the limit, by distance, then index."""
    nearer, one = 0, _doubles(histograms[index])
    for some in others:
        for start in range(0, len(some), EXACT_ROWS):
            part = some[start : start + EXACT_ROWS]
            distances = _divergence(_doubles(histograms[part]), one)
            nearer += int(np.sum((distances < limit[0]) | ((distances == limit[0]) & (part < limit[1]))))
            if nearer >= reach:
                return False
    return True


def _doubles(histograms: NDArray[np.floating]) -> Floats:
    return np.asarray(histograms, np.float64)


def _roots(histograms_N3B: NDArray[np.floating]) -> NDArray[np.float32]:
    """Square roots (N, 3 B), whose products are the coefficients of Bhattacharyya."""
    roots: NDArray[np.float32] = np.sqrt(histograms_N3B, dtype=np.float64).astype(np.float32)
    return roots.reshape(len(histograms_N3B), -1)


def grown(
    histograms_N3B: NDArray[np.floating],
    classes: Sequence[str],
    annotated: Collection[int],
    pseudo: Collection[int],
    *,
    k: int = NEIGHBOURS,
    share: float = SHARE_BY_CHANCE,
) -> dict[int, int | None]:
    """P of the coming round, ascending: what was in it, and U'' with it, without what is annotated by now.

    Label-prop, Algorithm 1, line 9. Each comes with the annotated region it is near to at the k of `capped_k`; None for
    one of an earlier round that is near to none any more: P keeps what it took in.
    """
    reach = capped_k(Counter(classes), Counter(classes[index] for index in annotated), k=k, share=share)
    near = nearest_annotated_by_colour(histograms_N3B, classes, annotated, k=reach)
    return {index: near.get(index) for index in sorted((set(pseudo) | set(near)) - set(annotated))}


def capped_k(
    class_sizes: Mapping[str, int],
    annotated: Mapping[str, int],
    *,
    k: int = NEIGHBOURS,
    share: float = SHARE_BY_CHANCE,
) -> dict[str, int]:
    """For each class the k, at most the given one, at which being near still says something.

    `class_sizes` counts all regions of a class, `annotated` those with an annotation. If colours carried none, the k
    neighbours of an unlabelled region would be any k of the n - 1 others, and it would come in with the chance that at
    least one of the a annotated ones is among them: 1 - C(n-1-a, k) / C(n-1, k). The cap is the largest k that keeps
    this chance within `share` (half): what comes in then was chosen by its colours, at most half of it by having many
    neighbours. It shrinks as annotations grow, while P keeps what earlier rounds took in. At least 1, the nearest
    neighbour alone. `share` 1 leaves the paper's k, cut only to the n - 1 neighbours there are.
    """
    if k < 1 or not 0 <= share <= 1:
        raise ValueError(f"k is at least 1 and share between 0 and 1, got {k} and {share}")
    return {name: _largest_k(size - 1, annotated.get(name, 0), k, share) for name, size in class_sizes.items()}


def _largest_k(others: int, annotated: int, k: int, share: float) -> int:
    missed = 1.0  # the chance that none of the neighbours so far is annotated
    for neighbours in range(1, min(k, others) + 1):
        missed *= max(0, others - annotated - neighbours + 1) / (others - neighbours + 1)
        if 1 - missed > share:
            return max(1, neighbours - 1)
    return max(1, min(k, others))


def queryable(unlabelled: Sequence[int], pseudo: Sequence[int], count: int) -> list[int]:
    """The regions that may be asked about: those of U, and those of P only when U has fewer than `count`.

    P is protected until U is empty (label-prop, section 3, 'until it is inevitable'). Where P is opened, U comes first
    in the list; pass P to the `protected` of `selection.select`, so that U is also used up first. ValueError when a
    region is in both.
    """
    both = set(unlabelled) & set(pseudo)
    if both:
        raise ValueError(f"regions {sorted(both)} are both unlabelled and pseudo-labelled")
    return list(unlabelled) if len(unlabelled) >= count else [*unlabelled, *pseudo]


def _members(classes: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    names = np.asarray(classes, dtype=object)
    return {name: np.flatnonzero(names == name) for name in dict.fromkeys(classes)}


def _divergence(many_N3B: Floats, one_3B: Floats) -> Floats:
    """Jensen-Shannon divergence as the entropy of the mean minus the mean of the entropies, summed over planes."""
    between = entr((many_N3B + one_3B) / 2) - (entr(many_N3B) + entr(one_3B)) / 2
    divergence: Floats = np.maximum(0, between.sum(axis=(1, 2)))
    return divergence
