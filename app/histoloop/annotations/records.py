"""The words in which annotations are kept: label classes, mask classes, pixel origins, patches of a mask."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
"""(H, W) uint8; 0 is background, i + 1 is the i-th mask class of the scheme."""

LEFT_OUT_VALUE = 255
"""In masks that come from files and go to them: pixels of which nobody says anything. Kept masks have an `Origin`."""

LEFT_OUT_NAME, LEFT_OUT_COLOUR = "Ignore*", "#b4b4b4"
"""What these are called and how they are shown elsewhere: QuPath's own name and colour."""


@dataclass(frozen=True, slots=True)
class MaskClass:
    """What a pixel can be, besides background: 'gland', 'tumour'. `colour` is '#rrggbb'."""

    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class LabelClass:
    """What a slide or region as a whole can be, and the mask class its foreground then has (None: not known)."""

    name: str
    mask: str | None = None


@dataclass(frozen=True, slots=True)
class ClassScheme:
    """The classes of a model or project.

    A network gives a probability per *label* class (a diagnosis: 'Polyp', 'Adenocarcinoma'), where there are any. Its
    decoder gives either a probability per *mask* class ('gland', 'tumour'), or one foreground, whose pixels take the
    mask class of the labels that are likeliest there.
    """

    labels: tuple[LabelClass, ...]
    masks: tuple[MaskClass, ...]

    def __post_init__(self) -> None:
        names = [mask.name for mask in self.masks]
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"mask classes need distinct names, not {names}")
        labels = [label.name for label in self.labels]
        if len(set(labels)) != len(labels):
            raise ValueError(f"label classes need distinct names, not {labels}")
        if unknown := {label.mask for label in self.labels if label.mask is not None} - set(names):
            raise ValueError(f"labels name mask classes that do not exist: {sorted(unknown)}")

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the label classes, in network order."""
        return tuple(label.name for label in self.labels)

    @property
    def mask_names(self) -> tuple[str, ...]:
        """Names of the mask classes; the i-th has the mask value i + 1."""
        return tuple(mask.name for mask in self.masks)

    def mask_value(self, name: str) -> int:
        """Pixel value of a mask class by name (KeyError-free: ValueError names the choices)."""
        try:
            return self.mask_names.index(name) + 1
        except ValueError:
            raise ValueError(f"no mask class {name!r}; there are {', '.join(self.mask_names)}") from None

    def shown_as(self, value: int) -> MaskClass:
        """Name and colour of a mask value above 0, for other programs: those of its class, or of what was left out."""
        return MaskClass(LEFT_OUT_NAME, LEFT_OUT_COLOUR) if value == LEFT_OUT_VALUE else self.masks[value - 1]

    def mask_value_of_label(self, label_index: int) -> int:
        """Pixel value that the foreground of a label class takes; 0 where that is not known."""
        mask = self.labels[label_index].mask
        return 0 if mask is None else self.mask_value(mask)

    @property
    def foreground_values(self) -> tuple[int, ...]:
        """The pixel value of each label's foreground; of a single mask class, which no label names, that one's."""
        values = tuple(map(self.mask_value_of_label, range(len(self.labels)))) or (0,)
        return values if any(values) or len(self.masks) > 1 else (1,) * len(values)


class ForegroundClasses(Protocol):
    """Whatever says which mask class a foreground is of: a scheme, the card of a model, a model in a project."""

    @property
    def foreground_values(self) -> tuple[int, ...]:
        """The pixel value that the foreground takes where a label is the likeliest, 0 for none; or one for all."""


class Origin(IntEnum):
    """Where a mask pixel comes from; kept beside every mask."""

    UNTOUCHED = 0
    ACCEPTED = 1
    HUMAN = 2
    LEFT_OUT = 3
    """Nobody says what is there (QuPath's Ignore*): its mask value is 0, and nothing is learned or measured from it."""


def is_known(origin: Mask) -> NDArray[np.bool_]:
    """(H, W) where a mask with these origins is known: not where pixels were left out."""
    known: NDArray[np.bool_] = origin != Origin.LEFT_OUT
    return known


class Counts(StrEnum):
    """What of a region's mask counts: all of the REGION, or only the STROKES (`Origin.HUMAN`) that a person painted."""

    REGION = "region"
    STROKES = "strokes"


class AnnotationStatus(StrEnum):
    """Where an annotation stands."""

    DRAFT = "draft"
    DONE = "done"
    SKIPPED = "skipped"
    CANNOT_TELL = "cannot tell"


class QueryStatus(StrEnum):
    """Where a query stands; only OPEN ones are in the queue."""

    OPEN = "open"
    ANNOTATED = "annotated"
    SKIPPED = "skipped"
    CANNOT_TELL = "cannot tell"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A changed rectangle of a region's mask: the unit of the journal.

    `x`, `y` are pixel offsets inside the mask (not the slide); `values` is (H, W) uint8, the new mask values.
    `origins` (H, W) are the new values of `Origin`; None: what has another value now is HUMAN, the rest is as it was.
    """

    x: int
    y: int
    values: Mask
    origins: Mask | None = None


def rgb(colour: str) -> tuple[int, int, int]:
    """'#rrggbb' as three numbers."""
    value = int(colour.removeprefix("#"), 16)
    return value >> 16, value >> 8 & 255, value & 255
