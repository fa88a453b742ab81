"""Colours of classes that any colour vision tells apart on stained tissue, and sets of classes to begin with."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from histoloop.annotations.records import MaskClass
from histoloop.annotations.template_names import TEMPLATE_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_CLASSES = 30
"""So many mask classes a project can have."""

_COLOURS = (
    "#d55e00", "#0072b2", "#009e73", "#e69f00", "#56b4e9", "#f0e442", "#004488", "#000000", "#5a2d00", "#d2ffe1",
    "#1ef0ff", "#7887a5", "#2d3c2d", "#a569ff", "#b43c00", "#c3d2a5", "#4b5a5a", "#3c1eff", "#78695a", "#e1ffa5",
    "#969696", "#787878", "#96784b", "#96d2c3", "#003c3c", "#0000c3", "#694b2d", "#a5d269", "#87a55a", "#87b496",
)  # fmt: skip
"""The first six and the eighth are Okabe and Ito's without their reddish purple, which is lost on eosin; the seventh is
the blue of Paul Tol's high-contrast set. The others were searched for: of all colours that stand out from haematoxylin,
eosin and glass those that keep the least CIEDE2000 distance between any two under normal vision and each kind of
dichromacy (Machado, Oliveira and Fernandes, 2009) largest, in the order in which they differ from those before."""

GLAND = MaskClass("gland", "#2a9d8f")
TUMOUR = MaskClass("tumour", "#d1495b")
"""As the shipped colon model has them."""


def default_colours(count: int) -> tuple[str, ...]:
    """The first `count` colours ('#rrggbb') for classes; ValueError for more than MAX_CLASSES."""
    if not 0 <= count <= MAX_CLASSES:
        raise ValueError(f"there are colours for 0 to {MAX_CLASSES} classes, not for {count}")
    return _COLOURS[:count]


def unused_colour(used: Collection[str]) -> str:
    """The first default colour that is not among `used`; the first one of all where all are."""
    taken = {colour.casefold() for colour in used}
    return next((colour for colour in _COLOURS if colour not in taken), _COLOURS[0])


def _coloured(*names: str) -> tuple[MaskClass, ...]:
    return tuple(map(MaskClass, names, default_colours(len(names))))


TEMPLATES: Mapping[str, tuple[MaskClass, ...]] = MappingProxyType(
    dict(
        zip(
            TEMPLATE_NAMES,
            (
                (GLAND, TUMOUR),
                _coloured("tumour", "stroma", "necrosis", "inflammation"),
                _coloured("metastasis", "lymphoid tissue"),
            ),
            strict=True,
        )
    )
)
"""Classes that a project may begin with, by what they are called together."""
