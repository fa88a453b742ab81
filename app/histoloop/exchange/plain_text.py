"""Names that people gave, written so that they are text and nothing else wherever a table is opened."""

from __future__ import annotations

import unicodedata

_FORMULA = ("=", "+", "-", "@")
_MARKS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of control characters, marks of writing direction, and separators of lines."""


def plain_text(text: str) -> str:
    """A cell of a table: no control characters and marks of direction, and an apostrophe before what begins a formula.

    Spreadsheet programs compute what begins with = + - @ (OWASP, CSV injection). A number stays as it is.
    """
    visible = without_marks(text)
    return f"'{visible}" if visible.lstrip().startswith(_FORMULA) and not _is_number(visible) else visible


def plain_path(path: str) -> str:
    """The same for a path, which stays the path that it is."""
    return f"./{path}" if path.startswith(_FORMULA) else path


def without_marks(text: str) -> str:
    """A text without what is not seen of it; line breaks stay, tabs become spaces."""
    lines = text.replace("\r\n", "\n").replace("\t", " ")
    return "".join(sign for sign in lines if sign == "\n" or unicodedata.category(sign) not in _MARKS)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
