"""Tables are read as Excel, LibreOffice, pandas and people write them; what does not fit is named by its line."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.errors import DataError
from histoloop.training.readers.manifest import list_manifest
from histoloop.training.readers.tables import Table, decimal, is_file, read_table, whole

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, text: str, encoding: str = "utf-8") -> Table:
    path.write_bytes(text.encode(encoding))
    return read_table(path)


def cells(table: Table) -> list[dict[str, str]]:
    return [{name: row[name] for name in table.columns} for row in table.rows]


EXPECTED = [
    {"image": "a.png", "label": "low grade", "size": "0,4"},
    {"image": "d.png", "label": "high; grade", "size": "0,1"},
]


@settings(deadline=None, max_examples=150)
@given(
    separator=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    stated=st.booleans(),
    index=st.sampled_from([None, "", "Unnamed: 0"]),
    closing=st.booleans(),
    blank=st.booleans(),
)
def test_the_same_table_is_read_however_it_is_written(
    tmp_path_factory: pytest.TempPathFactory,
    separator: str,
    line_end: str,
    encoding: str,
    quoting: Any,
    stated: bool,
    index: str | None,
    closing: bool,
    blank: bool,
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting)
    for number, row in enumerate([list(EXPECTED[0]), *([*one.values()] for one in EXPECTED)]):
        first = [] if index is None else [index if number == 0 else str(number - 1)]
        writer.writerow([*first, *row, *([""] if closing else [])])
        if blank:
            text.write(line_end)
    content = (f"sep={separator}{line_end}" if stated else "") + text.getvalue()
    table = read(tmp_path_factory.getbasetemp() / "table.csv", content, encoding)
    assert table.columns == ("image", "label", "size")
    assert cells(table) == EXPECTED


@pytest.mark.parametrize("head", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "sep=;;;\n"])
def test_lines_are_counted_in_the_file(tmp_path: Path, head: str) -> None:
    with pytest.raises(DataError, match="line 4: 3 cells for 2 columns"):
        read(tmp_path / "a.csv", f"{head}image;size\na.png;0,4\nb.png;0;1\n")


def test_a_column_without_a_name_that_is_no_index_and_not_empty_stays(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "image,,size\na.png,x,0.4\n")
    assert table.columns == ("image", "", "size")


def test_a_table_of_one_column_is_read(tmp_path: Path) -> None:
    assert cells(read(tmp_path / "a.csv", "image\na;b.png\n")) == [{"image": "a;b.png"}]


@pytest.mark.parametrize(("text", "value"), [("0.4", 0.4), ("0,4", 0.4), ("1", 1.0), ("1e-1", 0.1), (",5", 0.5)])
def test_numbers_have_a_decimal_point_or_comma(text: str, value: float) -> None:
    assert decimal(text) == value


@pytest.mark.parametrize("text", ["", "a", "1,2,3", "1.000,5", "0,4 %"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        decimal(text)


def test_whole_numbers_may_have_an_empty_fraction() -> None:
    assert (whole("512"), whole("512.0"), whole("512,0")) == (512, 512, 512)
    for text in ("512.5", "nan", "inf", "x"):
        with pytest.raises(ValueError, match=r"no whole number|could not convert"):
            whole(text)


def test_a_table_of_patches_from_excel_is_a_listing(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    text = "sep=;\r\nimage;x;y;width;height;size;label\r\na.png;0;64,0;32;32;0,25;Drüse\r\n"
    (tmp_path / "a.csv").write_bytes(text.encode("utf-8-sig"))
    (source,) = list_manifest(tmp_path / "a.csv").sources
    assert (source.size, source.label, source.where) == (0.25, "Drüse", "a.csv, line 3")
    assert source.region is not None
    assert (source.region.y, source.region.width) == (64, 32)


def test_rows_without_a_file_are_named_by_their_lines(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "t.csv").write_text("sep=,\nimage,size\na.png,0.5\nb.png,0.5\n")
    with pytest.raises(DataError, match=r"line 4: there is no file 'b.png'"):
        list_manifest(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_no_file(tmp_path: Path, name: str) -> None:
    assert not is_file(tmp_path / name)
