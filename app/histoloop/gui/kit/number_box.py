"""A field for a number with decimals."""

from __future__ import annotations

import re

from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QDoubleSpinBox

_NUMBER = re.compile(r"\d*([.,](?P<decimals>\d*))?")


class NumberBox(QDoubleSpinBox):
    """Takes the point and the comma as the decimal sign in every language, and nothing as thousands.

    Qt takes the sign that is not the language's for one between thousands, and leaves it out: who types 0.25 in German
    would get 25 without a word.
    """

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Refuse a key that makes no number of what is typed, or one above the most."""
        typed = self._without_unit(text)
        found = _NUMBER.fullmatch(typed)
        if found is None or len(found["decimals"] or "") > self.decimals():
            return QValidator.State.Invalid, text, position
        if not typed.strip(".,"):
            return QValidator.State.Intermediate, text, position
        value = _number(typed)
        if value > self.maximum():
            return QValidator.State.Invalid, text, position
        state = QValidator.State.Acceptable if value >= self.minimum() else QValidator.State.Intermediate
        return state, text, position

    def valueFromText(self, text: str) -> float:
        """What is typed, as a number; as it was while it is none."""
        typed = self._without_unit(text)
        return _number(typed) if typed.strip(".,") else self.value()

    def _without_unit(self, text: str) -> str:
        return text.removeprefix(self.prefix()).removesuffix(self.suffix()).strip()


def _number(typed: str) -> float:
    return float(typed.replace(",", "."))
