"""What a data set states of its tiles, in the words of a model that learned other classes, perhaps."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.errors import DataError, suggestion
from histoloop.training.readers.classes import find_label
from histoloop.training.samples import TrainingTile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.annotations.records import ClassScheme, Mask
    from histoloop.store.cards import Card


@dataclass(frozen=True, slots=True, eq=False)
class KnownTile:
    """A tile and what is known of it: its `label` is the model's, None where the model has none of that name.

    `label_name` is what the data set calls it ('' where it states nothing); `mask_value` the model's value of the mask
    class that its foreground has, None where that is not known or the model has no such class.
    """

    tile: TrainingTile
    label_name: str
    mask_value: int | None

    def truth(self, *, classes: bool) -> Mask:
        """The mask (H, W), with its class or as 1 where classes are not compared; ValueError without one."""
        value = self.mask_value if classes else 1
        if self.tile.mask is None or value is None:
            raise ValueError(f"{self.tile.name} has no mask of a known class")
        return (self.tile.mask * np.uint8(value)).astype(np.uint8)


def in_words_of(card: Card, tiles: Sequence[TrainingTile], own: ClassScheme) -> tuple[KnownTile, ...]:
    """Tiles labelled in the data set's `own` classes, in those of the model; labels and mask classes go by name.

    DataError when there is nothing to measure the model by: neither a mask nor a label that it knows.
    """
    known = tuple(_known(tile, own, card.scheme) for tile in tiles)
    if all(one.tile.mask is None and one.tile.label is None for one in known):
        theirs = ", ".join(sorted({one.label_name for one in known if one.label_name})) or "none"
        raise DataError(
            f"The tiles have nothing to measure {card.name} by: no mask, and none of its labels "
            f"({', '.join(card.scheme.label_names)}; theirs: {theirs}).",
            advice="Give masks, name the classes as the model does, or choose a model that learned these classes.",
        )
    return known


def classes_compare(tiles: Sequence[KnownTile]) -> bool:
    """Whether the class of every mask is one of the model's, so that the classes of pixels can be compared."""
    return all(one.mask_value is not None for one in tiles if one.tile.mask is not None)


def differences(card: Card, tiles: Sequence[KnownTile]) -> Iterator[str]:
    """Sentences for what cannot be measured because the data set's classes are not the model's."""
    strange = Counter(one.label_name for one in tiles if one.label_name and one.tile.label is None)
    names = card.scheme.label_names
    if strange:
        theirs = ", ".join(f"{name!r}{suggestion(name, names)}" for name in sorted(strange))
        yield (
            f"{strange.total()} of the {len(tiles)} tiles are labelled {theirs}; {card.name} knows {', '.join(names)}. "
            "Figures of labels leave them out: name them as the model does, or choose a model that learned them."
        )
    if any(one.tile.mask is not None for one in tiles) and not classes_compare(tiles):
        yield (
            f"Not every mask is of a class that {card.name} draws ({', '.join(card.scheme.mask_names)}): masks are "
            "compared as foreground alone, whatever its class."
        )


def _known(tile: TrainingTile, own: ClassScheme, models: ClassScheme) -> KnownTile:
    if tile.label is None:
        return KnownTile(tile, "", 1 if len(models.masks) == 1 else None)
    called = [own.labels[label] for label in tile.labels]
    labels = [label for one in called if (label := find_label(one.name, models)) is not None]
    mask = called[0].mask
    if labels:
        value: int | None = models.mask_value_of_label(labels[0])
    else:
        value = models.mask_value(mask) if mask in models.mask_names else None
    first, others = (labels[0], tuple(labels[1:])) if labels else (None, ())
    names = ", ".join(one.name for one in called)
    return KnownTile(dataclasses.replace(tile, label=first, other_labels=others), names, value)
