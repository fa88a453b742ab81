"""Permanent ids of classes in files of masks, and the mask values that a project shows for them today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoloop.annotations.records import Mask, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, eq=False)
class ClassValues:
    """Tables of 256.

    `shown` has the value of each id, and `known` whether it counts: not those of classes that were removed, of whose
    pixels nobody says anything, nor numbers that are no ids. `ids` has the id of each value.
    """

    shown: NDArray[np.uint8]
    known: NDArray[np.bool_]
    ids: NDArray[np.uint8]
    ever: frozenset[int]

    @staticmethod
    def of(present: Sequence[int], ends: Mapping[int, int], *, ever: frozenset[int] = frozenset()) -> ClassValues:
        """Of the ids of today in their order, and the one that each id counts as."""
        shown, ids = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
        known = np.zeros(256, np.bool_)
        known[0] = True
        ids[1 : len(present) + 1] = present
        places = {number: value for value, number in enumerate(present, start=1)}
        for number, end in ends.items():
            shown[number], known[number] = places[end], True
        return ClassValues(shown, known, ids, ever)

    @property
    def loses(self) -> bool:
        """Whether an id cannot be told from its value: some classes were merged, or removed."""
        return len(self.ever) != np.count_nonzero(self.ids)

    def values_of(self, ids: Mask) -> Mask:
        """Values (H, W) of ids (H, W); ValueError for what was never an id."""
        self._check(ids)
        values: Mask = self.shown[ids]
        return values

    def planes_of(self, ids: Mask, origin: Mask) -> tuple[Mask, Mask]:
        """Values and origins (H, W each) of ids and theirs: pixels of a class that was removed are left out."""
        values = self.values_of(ids)
        return values, np.where(self.known[ids], origin, np.uint8(Origin.LEFT_OUT))

    def ids_of(self, values: Mask) -> Mask:
        """Ids (H, W) of values (H, W)."""
        ids: Mask = self.ids[values]
        return ids

    def _check(self, ids: Mask) -> None:
        unknown = {int(number) for number in np.unique(ids)} - self.ever - {0}
        if unknown:
            raise ValueError(f"mask value {max(unknown)} where the classes are {sorted(self.ever)}")
