"""Learning curves on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from histoloop.acquisition.learning_curve import area_under_curve
from histoloop.errors import ExportError
from histoloop.exchange.curves import Curve, draw_curves, write_rounds

if TYPE_CHECKING:
    from pathlib import Path

CURVE = Curve("random", (4, 6, 8), ((0.6, 0.7, 0.8), (0.7, 0.7, 0.9)), 1.5, 0.25)


def test_the_area_is_the_trapezoid_over_rounds_not_the_mean_of_the_rounds() -> None:
    assert area_under_curve([64.0, 68.0, 70.0, 75.0]) == pytest.approx(69.1666666667)
    assert area_under_curve([64.0]) == 64.0
    with pytest.raises(ValueError, match="without a round"):
        area_under_curve([])


def test_a_curve_has_mean_and_deviation_over_its_seeds() -> None:
    assert CURVE.mean == pytest.approx((0.65, 0.7, 0.85))
    assert CURVE.std == pytest.approx((0.0707107, 0.0, 0.0707107), abs=1e-6)
    assert CURVE.areas == pytest.approx((0.7, 0.75))
    summary = CURVE.summary()
    assert summary["auc"] == pytest.approx({"mean": 0.725, "std": 0.0353553}, abs=1e-6)


def test_the_picture_is_drawn_and_the_table_has_a_header(tmp_path: Path) -> None:
    draw_curves(tmp_path / "curve.png", [CURVE], lower=0.4, upper=0.95, title="Discs")
    with Image.open(tmp_path / "curve.png") as picture:
        assert len(picture.convert("RGB").getcolors(100_000) or []) > 20
    write_rounds(tmp_path / "rounds.csv", [{"strategy": "random", "dice": 0.5}])
    assert (tmp_path / "rounds.csv").read_text(encoding="utf-8") == "strategy,dice\nrandom,0.5\n"


def test_a_folder_that_is_not_there_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ExportError):
        draw_curves(tmp_path / "missing" / "curve.png", [CURVE], lower=0.4, upper=0.95, title="Discs")
    assert list(tmp_path.iterdir()) == []


def test_bounds_in_the_wrong_order_or_at_nothing_can_be_drawn_too(tmp_path: Path) -> None:
    draw_curves(tmp_path / "a.png", [CURVE], lower=0.9, upper=0.2, title="Discs")
    flat = Curve("random", (2, 4), ((0.0, 0.0),), 1.0, 1.0)
    draw_curves(tmp_path / "b.png", [flat], lower=0.0, upper=0.0, title="Nothing")
    assert len(list(tmp_path.glob("*.png"))) == 2
