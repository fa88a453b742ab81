"""Words that are wider than their place, as the unique numbers of DICOM files are: shortened in the middle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt

if TYPE_CHECKING:
    from PySide6.QtGui import QFontMetrics

NARROWEST_PX = 160
"""A text that wraps can be made so narrow, however long its words are."""
_SHORT = 12
_WORDS = re.compile(r"(\s+)")


def with_fitting_words(text: str, metrics: QFontMetrics, room_px: int) -> str:
    """The text with dots in the middle of each word that is wider than the room."""
    if len(text) <= _SHORT or room_px <= 0:
        return text
    return "".join(
        metrics.elidedText(word, Qt.TextElideMode.ElideMiddle, room_px) if len(word) > _SHORT else word
        for word in _WORDS.split(text)
    )
