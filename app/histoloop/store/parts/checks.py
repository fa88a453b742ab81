"""What people and models may say of slides and regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from histoloop.annotations.records import ClassScheme


def check_label(label: str | None, scheme: ClassScheme) -> None:
    """Raise ValueError for a label that the project does not have; None is none."""
    if label is not None and label not in scheme.label_names:
        raise ValueError(f"no label {label!r}; there are {', '.join(scheme.label_names)}")


def check_assessment(label: str | None, size: float | None, scheme: ClassScheme, *, needed: bool = True) -> None:
    """Raise ValueError for a label or size that cannot be and, where one is `needed`, when there is neither."""
    check_label(label, scheme)
    _check_size(size)
    if needed and label is None and size is None:
        raise ValueError("an annotation without a mask needs a label or a size")


def _check_size(size: float | None) -> None:
    if size is not None and not 0 <= size <= 1:
        raise ValueError(f"size is a fraction of the region, between 0 and 1, not {size}")
