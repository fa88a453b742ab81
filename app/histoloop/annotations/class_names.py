"""Names of classes in the language spoken. In the project, in files and tables they stay as the model has them."""

from __future__ import annotations

from histoloop.language import mark, tr

KNOWN = frozenset(
    {
        mark("gland"),
        mark("tumour"),
        mark("foreground"),
        mark("benign"),
        mark("malignant"),
        mark("Normal"),
        mark("Polyp"),
        mark("Low-grade IN"),
        mark("High-grade IN"),
        mark("Serrated adenoma"),
        mark("Adenocarcinoma"),
    }
)
"""The classes of the shipped model and of the data sets that are read (training/readers/classes.py)."""


def spoken_class(name: str) -> str:
    """A class as it is shown: translated if it is a known one, else as it is."""
    return tr(name) if name in KNOWN else name


def spoken_title(name: str) -> str:
    """The same with a capital first letter, as a title of its own."""
    spoken = spoken_class(name)
    return spoken[:1].upper() + spoken[1:]
