"""Names of classes in the language spoken. In the project, in files and tables they stay as the model has them."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from histoloop.language import in_every_language, mark, tr

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        mark("stroma"),
        mark("necrosis"),
        mark("inflammation"),
        mark("metastasis"),
        mark("lymphoid tissue"),
    }
)
"""The classes of the shipped model, of the data sets that are read (training/readers/classes.py) and of the templates
(annotations/palette.py)."""


def spoken_class(name: str) -> str:
    """A class as it is shown: translated if it is a known one, else as it is."""
    return tr(name) if name in KNOWN else name


def spoken_title(name: str) -> str:
    """The same with a capital first letter, as a title of its own."""
    spoken = spoken_class(name)
    return spoken[:1].upper() + spoken[1:]


def class_called(name: str, known: Sequence[str]) -> str | None:
    """The one of `known` class names that a name of another program means; None where none is, or several are.

    Case, spaces, underscores and accents, British and American spelling, singular and plural make no difference, and
    German and French names of known classes are understood. A name that is spelled alike comes first. A question mark
    says that somebody was not sure: such a name means none.
    """
    if name in known:
        return name
    if "?" in name:
        return None
    meant = {own for own in known if folded(name) in _spellings(own)}
    return meant.pop() if len(meant) == 1 else None


def folded(name: str) -> str:
    """A name without what makes no difference between spellings: 'Tumors_' and ' tumour' are both 'tumor'."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    words = re.findall(r"\w+", "".join(sign for sign in plain if not unicodedata.combining(sign)).replace("_", " "))
    return _plain_word("".join(map(_plain_word, words)))


def _plain_word(word: str) -> str:
    """A word in its American spelling and singular."""
    american = re.sub(r"our(?=s?$)", "or", word)
    is_plural = len(american) > 3 and american.endswith("s") and not american.endswith("ss")
    return american[:-1] if is_plural else american


@cache
def _spellings(own: str) -> frozenset[str]:
    """How a class may be called, folded; German plurals and umlauts written as two letters too."""
    names = in_every_language(own) if own in KNOWN else (own,)
    umlauts = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
    both = {form for name in names for form in (name, name.casefold().translate(umlauts))}
    plurals = {f"{form}{ending}" for form in both if own in KNOWN for ending in ("n", "e", "en")}
    return frozenset(map(folded, both | plurals))
