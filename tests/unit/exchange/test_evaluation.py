"""An evaluation reads the same in the terminal and in JSON, and says what is not known."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from histoloop.errors import ExportError
from histoloop.exchange.evaluation import (
    EvaluationRow,
    EvaluationTable,
    table_text,
    write_evaluation_json,
)

if TYPE_CHECKING:
    from pathlib import Path

TABLE = EvaluationTable(
    (
        EvaluationRow("all foreground", "", {"f1_foreground": 0.66, "f1_background": 0.0, "tiles": 80}),
        EvaluationRow("CAM", "predicted", {"f1_foreground": 0.68434, "dice_pooled": 0.7, "tiles": 80}),
        EvaluationRow("CAM", "true-label", {"f1_foreground": None, "dice_pooled": math.nan, "median_l2": 0.1234}),
    )
)


def written(path: Path, table: EvaluationTable, **about: Any) -> dict[str, Any]:
    write_evaluation_json(path, table, about=about)

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return content


def test_columns_are_those_of_all_rows_in_the_order_in_which_they_come() -> None:
    assert TABLE.columns == ("f1_foreground", "f1_background", "tiles", "dice_pooled", "median_l2")


def test_plain_text_is_aligned_in_percent_with_a_dash_for_what_is_not_known() -> None:
    assert table_text(TABLE) == (
        "method          masks       F1+ %  F1- %  tiles  pooled Dice %  median_l2\n"
        "--------------  ----------  -----  -----  -----  -------------  ---------\n"
        "all foreground  -           66.00   0.00     80              -          -\n"
        "CAM             predicted   68.43      -     80          70.00          -\n"
        "CAM             true-label      -      -      -              -      0.123\n"
    )


def test_the_name_of_a_method_cannot_break_a_table() -> None:
    table = EvaluationTable((EvaluationRow("my own\nmethod", "predicted", {"f1_foreground": 1.0}),))
    lines = table_text(table).splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("my own method  predicted")


def test_per_tile_and_pooled_dice_have_columns_of_their_own() -> None:
    header = table_text(EvaluationTable((EvaluationRow("a", "predicted", {
        "f1_foreground": 0.5, "dice_pooled": 0.5, "dice_classes": 0.5,
    }),))).splitlines()[0]  # fmt: skip
    assert header.split("  ")[-3:] == ["F1+ %", "pooled Dice %", "class Dice %"]


def test_a_table_without_rows_is_its_header() -> None:
    assert table_text(EvaluationTable(())).splitlines()[0] == "method  masks"


def test_json_keeps_the_figures_as_computed_and_says_what_was_evaluated(tmp_path: Path) -> None:
    content = written(tmp_path / "a.json", TABLE, model="colon", split="test", seed=3, threshold=0.5)
    assert (content["format"], content["version"]) == ("histoloop-evaluation", 1)
    assert content["about"] == {"model": "colon", "split": "test", "seed": 3, "threshold": 0.5}
    assert content["rows"][1] == {
        "method": "CAM",
        "rule": "predicted",
        "figures": {"f1_foreground": 0.68434, "dice_pooled": 0.7, "tiles": 80},
        "intervals": {},
    }


def test_intervals_stand_below_their_row_and_in_json(tmp_path: Path) -> None:
    rows = (
        EvaluationRow("CAM", "", {"f1_foreground": 0.7, "tiles": 80}, {"f1_foreground": (0.65, 0.7512)}),
        EvaluationRow("other", "", {"f1_foreground": 0.6, "tiles": 80}),
    )
    lines = table_text(EvaluationTable(rows)).splitlines()
    assert lines[2].split() == ["CAM", "-", "70.00", "80"]
    assert lines[3].split("cases")[1].split() == ["65.00-75.12"]
    assert lines[4].split() == ["other", "-", "60.00", "80"]
    assert written(tmp_path / "a.json", EvaluationTable(rows))["rows"][0]["intervals"] == {
        "f1_foreground": [0.65, 0.7512]
    }


def test_what_is_no_number_is_null_in_json(tmp_path: Path) -> None:
    content = written(tmp_path / "a.json", TABLE, temperature=math.inf)
    assert content["rows"][2]["figures"] == {"f1_foreground": None, "dice_pooled": None, "median_l2": 0.1234}
    assert content["about"] == {"temperature": None}


def test_numbers_of_numpy_are_written_like_those_of_python(tmp_path: Path) -> None:
    figures = {"a": np.float32(0.5), "tiles": np.int64(7), "b": np.float64("nan")}
    table = EvaluationTable((EvaluationRow("x", "", figures),))  # type: ignore[arg-type]
    assert written(tmp_path / "a.json", table)["rows"][0]["figures"] == {"a": 0.5, "tiles": 7, "b": None}
    assert table_text(table).splitlines()[2].split() == ["x", "-", "0.500", "7", "-"]


def test_folders_above_are_made(tmp_path: Path) -> None:
    assert written(tmp_path / "new" / "a.json", TABLE)["rows"]


def test_an_unwritable_place_is_an_export_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match=r"a\.json cannot be written"):
        write_evaluation_json(tmp_path / "file" / "a.json", TABLE, about={})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
