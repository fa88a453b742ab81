"""Buttons that stand beside each other where they fit, and one above the other where they do not."""

from __future__ import annotations

import pytest

from histoloop.gui.kit.turning_row import TurningRow
from histoloop.gui.kit.widgets import button


@pytest.mark.parametrize(("spare_px", "is_across"), [(0, True), (-1, False)])
def test_a_row_is_a_column_where_its_buttons_do_not_fit_beside_each_other(
    qtbot, spare_px: int, is_across: bool
) -> None:
    one, two = button("Schnitt vorhersagen"), button("Alle vorhersagen")
    made = TurningRow(one, two)
    qtbot.addWidget(made)
    made.resize(one.minimumSizeHint().width() + 6 + two.minimumSizeHint().width() + spare_px, 100)
    made.show()
    qtbot.waitExposed(made)
    qtbot.waitUntil(lambda: (one.y() == two.y()) == is_across)
    for each in (one, two):
        assert each.width() >= each.minimumSizeHint().width()
        assert each.geometry().right() < made.width()
    assert made.minimumSizeHint().width() == max(each.minimumSizeHint().width() for each in (one, two))
