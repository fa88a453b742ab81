"""Label propagation: which unlabelled regions the model may annotate itself, because their colours are near.

label-prop, section 3. D, L, U and P are the paper's sets: all regions, annotated, unlabelled, pseudo-labelled ones.
"""

from __future__ import annotations

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


def neighbours_to_propagate(
    distances_NN: NDArray[np.floating],
    classes: Sequence[str],
    annotated: Collection[int],
    *,
    k: int | Mapping[str, int] = NEIGHBOURS,
) -> list[int]:
    """U'' of this round, ascending: the unlabelled regions that `nearest_annotated` takes in."""
    return list(nearest_annotated(distances_NN, classes, annotated, k=k))


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
