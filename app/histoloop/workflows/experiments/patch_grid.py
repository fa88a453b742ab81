"""Patches of whole slides for weak localisation: which are taken, and how many (thesis, section 2.1.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.geometry import Region
from histoloop.slides.tissue import tissue_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from histoloop.slides.reader import Pixels

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class PatchSettings:
    """The protocol's numbers: the thesis' names are p_t, p_0, p_1 and p_n; `patch_px` are level-0 pixels.

    A metastatic patch is of the edge when its tumour fraction lies in [tumour_min, tumour_abundant] and abundant
    above. `abundant_share` is the number of abundant ones kept, over that of the edge: 1 % in the text. The thesis'
    Table 2.4 counts about 64 %, for the public code goes on drawing, up to 100 patches where the text says one; 0.64
    gives sets as large as the table's.
    """

    patch_px: int = 512
    tissue_min: float = 0.10
    tumour_min: float = 0.20
    tumour_abundant: float = 0.50
    abundant_share: float = 0.01
    bin_width: float = 0.05

    def __post_init__(self) -> None:
        if self.patch_px < 1:
            raise ValueError(f"patch_px must be at least 1, not {self.patch_px}")
        if not 0 <= self.tissue_min <= 1:
            raise ValueError(f"tissue_min must lie in [0, 1], not {self.tissue_min}")
        if not 0 < self.tumour_min <= self.tumour_abundant <= 1:
            bounds = f"{self.tumour_min} and {self.tumour_abundant}"
            raise ValueError(f"tumour fractions need 0 < tumour_min <= tumour_abundant <= 1, not {bounds}")
        if self.abundant_share < 0:
            raise ValueError(f"abundant_share must not be negative, not {self.abundant_share}")
        if not 0 < self.bin_width <= 1:
            raise ValueError(f"bin_width must lie in (0, 1], not {self.bin_width}")


def patch_grid(width: int, height: int, *, patch_px: int) -> Iterator[Region]:
    """The whole patches of a slide, side by side, row by row; what is left at the right and bottom is in none."""
    for y in range(0, height - patch_px + 1, patch_px):
        for x in range(0, width - patch_px + 1, patch_px):
            yield Region(x, y, patch_px, patch_px)


def tissue_fraction(pixels: Pixels) -> float:
    """Share of a patch that is tissue, by Otsu's threshold on the patch alone."""
    return float(tissue_of(pixels).mean())


def abundant_wanted(edge_count: int, settings: PatchSettings) -> int:
    """How many abundant patches go with so many of the edge: n p_n, at least one unless either is 0."""
    if edge_count == 0 or settings.abundant_share == 0:
        return 0
    return max(1, round(edge_count * settings.abundant_share))


def calibrate(tumour_fractions: Sequence[float], settings: PatchSettings, *, seed: int) -> list[int]:
    """Indices, sorted, of the metastatic patches that are kept: all of the edge and a few abundant ones.

    The latter are sampled without repetition: a bin of the histogram of tumour fractions uniformly among those that
    still hold any, then a patch in it uniformly. Fractions below `tumour_min` are never kept.
    """
    fractions_N = np.asarray(tumour_fractions, dtype=np.float64)
    edge = np.flatnonzero((fractions_N >= settings.tumour_min) & (fractions_N <= settings.tumour_abundant))
    abundant = np.flatnonzero(fractions_N > settings.tumour_abundant)
    rng = np.random.default_rng(seed)
    bins = [rng.permutation(members).tolist() for members in _by_bin(abundant, fractions_N, settings.bin_width)]
    drawn: list[int] = []
    for _ in range(min(abundant_wanted(len(edge), settings), len(abundant))):
        holding = [members for members in bins if members]
        drawn.append(holding[int(rng.integers(len(holding)))].pop())
    return sorted([*edge.tolist(), *drawn])


def _by_bin(
    indices: NDArray[np.intp], fractions_N: NDArray[np.float64], bin_width: float
) -> Iterator[NDArray[np.intp]]:
    """Indices bin by bin; the last bin includes 1."""
    last = int(np.ceil(1 / bin_width - _ROUNDING)) - 1
    bins = np.minimum(np.floor(fractions_N[indices] / bin_width + _ROUNDING).astype(int), last)
    for number in np.unique(bins):
        yield indices[bins == number]
