"""The process of the window."""

from __future__ import annotations

import sys

from PySide6.QtWidgets import QLabel

from histoloop.gui.application import make_application


def test_none_is_not_used_up_by_calls_into_qt() -> None:
    make_application()
    label = QLabel()
    for _ in range(1000):
        label.setText("again")
    assert sys.version_info >= (3, 12) or sys.getrefcount(None) > 1 << 39
    make_application()  # once more does not add up
    assert sys.version_info >= (3, 12) or sys.getrefcount(None) < 1 << 43
