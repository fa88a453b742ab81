"""Tables that spreadsheets and scripts read: fixed columns, empty where nothing is known."""

from __future__ import annotations

import csv
import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import histoloop
from histoloop.errors import ExportError
from histoloop.exchange.tables import TABLE_STYLES, AreasTable, SlideSummary, SummaryTable, mask_areas, polygon_row
from histoloop.localisation.bands import values_of_mask
from histoloop.localisation.contours import Polygon, polygons_of_mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme

SUMMARY_COLUMNS = [
    "slide", "predicted_class", "p_Normal", "p_Polyp", "p_Cancer",
    "tissue_area_um2", "area_gland_um2", "area_tumour_um2", "tissue_area_px", "area_gland_px", "area_tumour_px",
    "mpp", "model", "status", "message", "label", "path", "files",
    "model_sha256", "program", "unlike_training_data", "distance_from_training_data", "mpp_from", "numbers",
    "fingerprint", "settings", "time",
]  # fmt: skip

PATHS = {"a.svs": "/scans/a.svs", "b.png": "/scans/b.png"}

KNOWN = SlideSummary(
    "a.svs",
    "predicted",
    model="colon",
    mpp=0.5,
    probabilities={"Normal": 0.25, "Polyp": 0.6875, "Cancer": 0.0625},
    tissue_area_px=1000.0,
    mask_area_px={"gland": 400.0, "tumour": 0.0},
    path="/scans/a.svs",
    files=("a.geojson", "a-mask.png"),
    model_hash="5e55",
    unlike=0.75,
    mpp_from="objective",
    numbers="bfloat16",
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def polygons(*, downsample: float = 1.0) -> list[Polygon]:
    """A gland of 3 x 2 mask pixels at (1, 0) and a tumour of 2 x 2 at (5, 3)."""
    mask = np.zeros((5, 8), np.uint8)
    mask[:2, 1:4] = 1
    mask[3:, 5:7] = 2
    return polygons_of_mask(mask, downsample=downsample)


def write_summary(path: Path, rows: Sequence[SlideSummary], scheme: ClassScheme) -> None:
    with SummaryTable(path, scheme) as table:
        for row in rows:
            table.add(row)


def write_areas(path: Path, slides: Mapping[str, tuple[Sequence[Polygon], float | None]], scheme: ClassScheme,
                *, paths: Mapping[str, str]) -> None:  # fmt: skip
    with AreasTable(path, scheme) as table:
        for slide, (shapes, mpp) in slides.items():
            table.add(slide, map(polygon_row, shapes), mpp=mpp, path=paths[slide])


# --- the summary ------------------------------------------------------------------------------------------------------


def test_a_row_tells_class_probabilities_and_areas_of_a_slide(tmp_path: Path, scheme: ClassScheme) -> None:
    write_summary(tmp_path / "summary.csv", [KNOWN], scheme)
    (row,) = rows_of(tmp_path / "summary.csv")
    assert row == {
        "slide": "a.svs", "predicted_class": "Polyp",
        "p_Normal": "0.250000", "p_Polyp": "0.687500", "p_Cancer": "0.062500",
        "tissue_area_um2": "250.0", "area_gland_um2": "100.0", "area_tumour_um2": "0.0",
        "tissue_area_px": "1000", "area_gland_px": "400", "area_tumour_px": "0",
        "mpp": "0.500000", "model": "colon", "status": "predicted", "message": "", "label": "",
        "path": "/scans/a.svs", "files": "a.geojson;a-mask.png",
        "model_sha256": "5e55", "program": f"HistoLoop {histoloop.__version__}",
        "unlike_training_data": "no", "distance_from_training_data": "0.750", "mpp_from": "objective",
        "numbers": "bfloat16", "fingerprint": "", "settings": "", "time": "",
    }  # fmt: skip


def test_a_slide_unlike_the_training_data_has_its_areas_and_neither_label_nor_probabilities(
    tmp_path: Path, scheme: ClassScheme
) -> None:
    write_summary(tmp_path / "summary.csv", [replace(KNOWN, unlike=1.25)], scheme)
    (row,) = rows_of(tmp_path / "summary.csv")
    assert (row["unlike_training_data"], row["distance_from_training_data"]) == ("yes", "1.250")
    assert [row[name] for name in ("predicted_class", "p_Normal", "p_Polyp", "p_Cancer")] == [""] * 4
    assert row["area_gland_px"] == "400"


def test_where_nothing_is_known_of_the_training_data_nothing_is_said(tmp_path: Path, scheme: ClassScheme) -> None:
    write_summary(tmp_path / "summary.csv", [replace(KNOWN, unlike=None)], scheme)
    (row,) = rows_of(tmp_path / "summary.csv")
    assert (row["unlike_training_data"], row["distance_from_training_data"]) == ("", "")
    assert row["predicted_class"] == "Polyp"


def test_all_labels_that_are_likelier_than_not_are_told_the_likeliest_first() -> None:
    several = {"Normal": 0.6, "Polyp": 0.3, "Cancer": 0.9}
    assert SlideSummary("a.svs", "predicted", probabilities=several).predicted_class == "Cancer;Normal"
    assert SlideSummary("a.svs", "predicted", probabilities={"Normal": 0.2, "Polyp": 0.3}).predicted_class == "Polyp"
    assert SlideSummary("a.svs", "failed").predicted_class == ""


def test_the_columns_are_in_a_fixed_order_with_those_of_the_scheme_among_them(
    tmp_path: Path, scheme: ClassScheme
) -> None:
    write_summary(tmp_path / "summary.csv", [], scheme)
    assert (tmp_path / "summary.csv").read_bytes() == ",".join(SUMMARY_COLUMNS).encode() + b"\r\n"


def test_columns_in_micrometres_are_empty_where_the_resolution_is_unknown(tmp_path: Path, scheme: ClassScheme) -> None:
    row = SlideSummary("a.png", "predicted", tissue_area_px=9.0, mask_area_px={"gland": 4.0, "tumour": 0.0})
    write_summary(tmp_path / "summary.csv", [row], scheme)
    (found,) = rows_of(tmp_path / "summary.csv")
    assert [found[name] for name in ("mpp", "tissue_area_um2", "area_gland_um2", "area_tumour_um2")] == [""] * 4
    assert [found[name] for name in ("tissue_area_px", "area_gland_px", "area_tumour_px")] == ["9", "4", "0"]


def test_a_slide_that_failed_has_a_row_with_its_reason_and_nothing_else(tmp_path: Path, scheme: ClassScheme) -> None:
    reason = 'it cannot be read ("truncated"),\nCopy it again.'
    write_summary(tmp_path / "summary.csv", [SlideSummary("b.svs", "failed", reason), KNOWN], scheme)
    failed, whole = rows_of(tmp_path / "summary.csv")
    assert {key: value for key, value in failed.items() if value} == {
        "slide": "b.svs", "status": "failed", "message": reason, "path": "b.svs",
    }  # fmt: skip
    assert whole["slide"] == "a.svs"


@pytest.mark.parametrize("shares", [None, {}])
def test_without_probabilities_there_is_no_predicted_class(shares: dict[str, float] | None) -> None:
    assert SlideSummary("a.svs", "predicted", probabilities=shares).predicted_class == ""
    assert KNOWN.predicted_class == "Polyp"


def test_names_beyond_ascii_are_utf_8(tmp_path: Path, scheme: ClassScheme) -> None:
    write_summary(tmp_path / "summary.csv", [SlideSummary("Präparat 数.svs", "failed")], scheme)
    assert rows_of(tmp_path / "summary.csv")[0]["slide"] == "Präparat 数.svs"


def test_bytes_of_a_name_that_are_not_utf_8_are_shown_as_escapes(tmp_path: Path, scheme: ClassScheme) -> None:
    write_summary(tmp_path / "summary.csv", [SlideSummary(os.fsdecode(b"m\xe4use.tif"), "failed")], scheme)
    assert rows_of(tmp_path / "summary.csv")[0]["slide"] == "m\\udce4use.tif"


# --- areas ------------------------------------------------------------------------------------------------------------


def test_areas_of_a_mask_are_level_0_pixels_per_class(scheme: ClassScheme) -> None:
    mask = np.array([[0, 1, 1], [1, 0, 2]], np.uint8)
    assert mask_areas(values_of_mask(mask), scheme, downsample=1.0) == {"gland": 3.0, "tumour": 1.0}
    assert mask_areas(values_of_mask(mask), scheme, downsample=2.5) == {"gland": 18.75, "tumour": 6.25}


def test_a_class_that_does_not_occur_has_the_area_0(scheme: ClassScheme) -> None:
    assert mask_areas({}, scheme, downsample=4.0) == {"gland": 0.0, "tumour": 0.0}


def test_every_polygon_has_a_row_with_class_centre_and_area(tmp_path: Path, scheme: ClassScheme) -> None:
    write_areas(tmp_path / "areas.csv", {"a.svs": (polygons(downsample=4.0), 0.25)}, scheme, paths=PATHS)
    gland, tumour = rows_of(tmp_path / "areas.csv")
    assert gland == {
        "slide": "a.svs", "polygon": "1", "class": "gland", "centre_x_px": "10.0", "centre_y_px": "4.0",
        "area_um2": "6.0", "area_px": "96.0", "path": "/scans/a.svs", "drawn_by": "", "person": "",
    }  # fmt: skip
    assert (tumour["polygon"], tumour["class"], tumour["area_um2"]) == ("2", "tumour", "4.0")
    assert (tumour["centre_x_px"], tumour["centre_y_px"]) == ("24.0", "16.0")


def test_polygons_are_numbered_per_slide_and_have_micrometres_only_where_they_are_known(
    tmp_path: Path, scheme: ClassScheme
) -> None:
    write_areas(tmp_path / "areas.csv", {"a.svs": (polygons(), 0.5), "b.png": (polygons(), None)}, scheme, paths=PATHS)
    rows = rows_of(tmp_path / "areas.csv")
    assert [(row["slide"], row["polygon"]) for row in rows] == [
        ("a.svs", "1"), ("a.svs", "2"), ("b.png", "1"), ("b.png", "2"),
    ]  # fmt: skip
    assert [row["area_um2"] for row in rows] == ["1.5", "1.0", "", ""]
    assert [row["area_px"] for row in rows] == ["6.0", "4.0", "6.0", "4.0"]


def test_without_polygons_there_is_the_header_only(tmp_path: Path, scheme: ClassScheme) -> None:
    write_areas(tmp_path / "areas.csv", {"a.svs": ([], 0.5)}, scheme, paths=PATHS)
    assert (tmp_path / "areas.csv").read_text(encoding="utf-8").splitlines() == [
        "slide,polygon,class,centre_x_px,centre_y_px,area_um2,area_px,path,drawn_by,person"
    ]


# --- files ------------------------------------------------------------------------------------------------------------


def test_the_same_rows_give_the_same_bytes(tmp_path: Path, scheme: ClassScheme) -> None:
    for number in (1, 2):
        write_summary(tmp_path / f"summary-{number}.csv", [KNOWN], scheme)
        write_areas(tmp_path / f"areas-{number}.csv", {"a.svs": (polygons(), 0.5)}, scheme, paths=PATHS)
    for name in ("summary", "areas"):
        first, second = ((tmp_path / f"{name}-{number}.csv").read_bytes() for number in (1, 2))
        assert first == second
        assert first.count(b"\r\n") == first.count(b"\n") > 1


def test_an_unwritable_place_is_an_export_error_that_names_the_file(tmp_path: Path, scheme: ClassScheme) -> None:
    with pytest.raises(ExportError, match=r"summary\.csv cannot be written") as caught:
        write_summary(tmp_path / "absent" / "summary.csv", [KNOWN], scheme)
    assert "close the file if it is open" in caught.value.advice
    (tmp_path / "areas.csv").mkdir()
    with pytest.raises(ExportError, match=r"areas\.csv cannot be written"):
        write_areas(tmp_path / "areas.csv", {}, scheme, paths=PATHS)
    assert [path.name for path in tmp_path.iterdir()] == ["areas.csv"]


def test_each_row_is_in_the_file_before_the_next_one_is_made(tmp_path: Path, scheme: ClassScheme) -> None:
    (tmp_path / "summary.csv").write_text("of an earlier run", encoding="utf-8")
    with SummaryTable(tmp_path / "summary.csv", scheme) as table:
        assert rows_of(tmp_path / "summary.csv") == []
        table.add(KNOWN)
        assert [row["slide"] for row in rows_of(tmp_path / "summary.csv")] == ["a.svs"]
        table.add(SlideSummary("b.svs", "failed", "why"))
    assert [row["slide"] for row in rows_of(tmp_path / "summary.csv")] == ["a.svs", "b.svs"]


def test_a_row_that_does_not_fit_on_the_disk_is_taken_back_whole(
    tmp_path: Path, scheme: ClassScheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with SummaryTable(tmp_path / "summary.csv", scheme) as table:
        table.add(KNOWN)
        before = (tmp_path / "summary.csv").read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr("histoloop.exchange.tables.os.fsync", full)
            with pytest.raises(ExportError, match=r"summary\.csv cannot be written: No space left"):
                table.add(SlideSummary("b.svs", "failed", "why"))
        assert (tmp_path / "summary.csv").read_bytes() == before
        table.add(SlideSummary("c.svs", "failed", "why"))
    assert [row["slide"] for row in rows_of(tmp_path / "summary.csv")] == ["a.svs", "c.svs"]


def test_a_table_for_excel_in_german_and_french_has_semicolons_decimal_commas_and_a_mark(
    tmp_path: Path, scheme: ClassScheme
) -> None:
    with AreasTable(tmp_path / "areas.csv", scheme, style=TABLE_STYLES["excel-semicolon"]) as table:
        table.add("Präparat 1.5.svs", map(polygon_row, polygons(downsample=4.0)), mpp=0.25, path="/a;b/1.5.svs")
    content = (tmp_path / "areas.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    _header, gland, *_ = content.decode("utf-8-sig").splitlines()
    assert gland == 'Präparat 1.5.svs;1;gland;10,0;4,0;6,0;96,0;"/a;b/1.5.svs";;'
