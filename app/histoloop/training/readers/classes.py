"""Class schemes: those of known data sets, and one made from the label names that are found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from histoloop.annotations.palette import GLAND, TUMOUR
from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass

if TYPE_CHECKING:
    from collections.abc import Iterable

FOREGROUND = MaskClass("foreground", "#e9a03b")

GLAS_SCHEME = ClassScheme(
    labels=(LabelClass("benign", "gland"), LabelClass("malignant", "tumour")),
    masks=(GLAND, TUMOUR),
)

EBHI_SCHEME = ClassScheme(
    labels=(
        LabelClass("Normal", "gland"),
        LabelClass("Polyp", "gland"),
        LabelClass("Low-grade IN", "gland"),
        LabelClass("High-grade IN", "tumour"),
        LabelClass("Serrated adenoma", "gland"),
        LabelClass("Adenocarcinoma", "tumour"),
    ),
    masks=(GLAND, TUMOUR),
)

_HEALTHY = frozenset({"normal", "healthy", "negative"})
_BENIGN = _HEALTHY | {"benign", "polyp", "adenoma"}
_MALIGNANT = frozenset(
    {
        "tumour",
        "tumor",
        "malignant",
        "cancer",
        "carcinoma",
        "adenocarcinoma",
        "metastatic",
        "metastasis",
    }
)
_NEGATIONS = frozenset({"no", "non", "not", "without"})


def scheme_of(names: Iterable[str]) -> ClassScheme:
    """A scheme of label names, sorted: their foreground is gland or tumour where every name says which.

    Otherwise all share the single mask class 'foreground'.
    """
    labels = sorted(set(names))
    found = {name: _mask_class(name) for name in labels}
    known = {name: mask for name, mask in found.items() if mask is not None}
    if len(known) < len(labels):
        return ClassScheme(tuple(LabelClass(name, FOREGROUND.name) for name in labels), (FOREGROUND,))
    used = tuple(mask for mask in (GLAND, TUMOUR) if mask in known.values())
    return ClassScheme(tuple(LabelClass(name, known[name].name) for name in labels), used)


def is_healthy(name: str) -> bool:
    """Whether a label says that there is nothing to find ('normal', 'no tumour'): its masks may well be empty."""
    words = _words(name)
    return bool(words & _HEALTHY) or bool(words & _NEGATIONS)


def find_label(name: str, scheme: ClassScheme) -> int | None:
    """Index of a label class by its name, in any case; None when the scheme has no such class."""
    folded = [known.casefold() for known in scheme.label_names]
    return folded.index(name.casefold()) if name.casefold() in folded else None


def _mask_class(name: str) -> MaskClass | None:
    words = _words(name)
    if words & _NEGATIONS:
        return GLAND
    if words & _MALIGNANT:
        return TUMOUR
    return GLAND if words & _BENIGN else None


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", name.casefold()))
