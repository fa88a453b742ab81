"""What people called things is text in a table, and nothing else."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histoloop.exchange.plain_text import plain_path, plain_text


@pytest.mark.parametrize("name", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", "\t=1", "\n=1", "\u202e=1"])
def test_what_begins_a_formula_is_text(name: str) -> None:
    assert plain_text(name).startswith("'")


@pytest.mark.parametrize("name", ["tumour", "-0.5", "+3", "a=b", "", "Müller", "腫瘍", "it failed,\ncopy it again"])
def test_other_names_and_numbers_stay_as_they_are(name: str) -> None:
    assert plain_text(name) == name


def test_control_characters_and_marks_of_direction_are_left_out() -> None:
    assert plain_text("a\x00b\x1b[31m\u202ec\u200f\u2066d\te") == "ab[31mcd e"


@given(st.text(max_size=30))
def test_no_cell_begins_a_formula_or_holds_what_is_not_seen(name: str) -> None:
    text = plain_text(name)
    assert plain_text(text) == text
    assert all(sign == "\n" or not unicodedata.category(sign).startswith("C") or sign.isprintable() or
               unicodedata.category(sign) in ("Co", "Cn") for sign in text)  # fmt: skip
    written = io.StringIO()
    csv.writer(written).writerow([text])
    (cell,) = next(csv.reader(io.StringIO(written.getvalue(), newline=""))) if text else ("",)
    assert cell == text


def test_a_path_stays_the_path_that_it_is() -> None:
    assert plain_path("=a.png") == "./=a.png"
    assert plain_path("slides/=a.png") == "slides/=a.png"
