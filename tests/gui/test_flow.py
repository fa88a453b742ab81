"""Buttons that stand beside each other where they fit, and one above the other where they do not."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QWidget

from histoloop.gui.kit.flow import Flow
from histoloop.gui.kit.widgets import button


@pytest.mark.parametrize(("spare_px", "is_across"), [(0, True), (-1, False)])
def test_a_row_goes_on_below_where_its_buttons_do_not_fit_beside_each_other(
    qtbot, spare_px: int, is_across: bool
) -> None:
    one, two = button("Schnitt vorhersagen"), button("Alle vorhersagen")
    made = QWidget()
    qtbot.addWidget(made)
    made.setLayout(Flow(one, two))
    made.resize(one.sizeHint().width() + 6 + two.sizeHint().width() + spare_px, 100)
    made.show()
    qtbot.waitExposed(made)
    qtbot.waitUntil(lambda: (one.y() == two.y()) == is_across)
    for each in (one, two):
        assert each.width() >= each.minimumSizeHint().width()
        assert each.geometry().right() < made.width()
    assert made.minimumSizeHint().width() == max(each.sizeHint().width() for each in (one, two))


def test_what_is_hidden_takes_no_room(qtbot) -> None:
    one, two = button("Schnitt vorhersagen"), button("Alle vorhersagen")
    made = QWidget()
    qtbot.addWidget(made)
    made.setLayout(Flow(one, two))
    one.hide()
    assert made.sizeHint().width() == two.sizeHint().width()
