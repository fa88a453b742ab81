"""XML read element by element, without what XML can do beyond that: no document types, no entities, no trees."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Callable


def parse(content: bytes, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None]) -> None:
    """Call `start` and `end` for each element; ValueError for XML that is broken or declares a document type."""
    parser = expat.ParserCreate(_encoding(content))
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(f"broken XML: {error}") from error


def _encoding(content: bytes) -> str | None:
    """UTF-8 where it is that, whatever is declared; None: as the content declares."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _refuse(*_declaration: object) -> None:
    raise ValueError("it declares a document type")


def number(text: str | None) -> float:
    """A coordinate, with a decimal comma too."""
    if text is None:
        raise ValueError("a point has no coordinates")
    return float(text.replace(",", "."))
