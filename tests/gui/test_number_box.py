"""Numbers with decimals, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtTest import QTest

from histoloop.gui.kit.number_box import NumberBox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot


@pytest.fixture(params=["en", "de", "fr"], autouse=True)
def language(request: pytest.FixtureRequest) -> Iterator[None]:
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield
    QLocale.setDefault(before)


def typed(qtbot: QtBot, keys: str) -> float:
    box = NumberBox(decimals=4, minimum=0.01, maximum=50, value=0.5)
    qtbot.addWidget(box)
    box.setSuffix(" µm per pixel")
    box.show()
    box.selectAll()
    QTest.keyClicks(box, keys)
    box.interpretText()
    return box.value()


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("0.25", 0.25),
        ("0,25", 0.25),
        ("1.250", 1.25),
        ("1,250", 1.25),
        (".5", 0.5),
        ("12", 12),
        ("0.24999", 0.2499),  # a fifth decimal is not taken
        ("1.2.5", 1.25),  # nor a second sign
        ("51", 5),  # nor what makes it more than the most
        ("0", 0.5),  # less than the least: as it was
    ],
)
def test_point_and_comma_are_the_decimal_sign_in_every_language(qtbot: QtBot, keys: str, value: float) -> None:
    assert typed(qtbot, keys) == value
