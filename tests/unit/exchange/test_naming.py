from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histoloop.exchange.naming import unique_stems


def test_a_stem_stays_as_it_is_while_it_is_free() -> None:
    assert unique_stems([Path("one/a.svs"), Path("two/b.svs")]) == {Path("one/a.svs"): "a", Path("two/b.svs"): "b"}


def test_a_taken_stem_gets_its_folder_in_front_and_then_a_number() -> None:
    files = [Path("one/a.svs"), Path("two/a.svs"), Path("two/a.png"), Path("x/two-a-2.png")]
    assert list(unique_stems(files).values()) == ["a", "two-a", "two-a-2", "x-two-a-2"]


def test_folders_in_front_of_a_name_become_a_part_of_it() -> None:
    files = [Path("/s/p1/a.svs"), Path("/s/p2/a.svs")]
    assert list(unique_stems(files, names=["p1/a.svs", "p2/a.svs"]).values()) == ["p1-a", "p2-a"]


def test_the_name_of_a_dicom_slide_is_taken_whole_and_as_file_systems_take_it() -> None:
    assert unique_stems([Path("/s/0.dcm")], names=["B12/345.1: HE?"]) == {Path("/s/0.dcm"): "B12-345.1- HE"}


@given(st.lists(st.tuples(st.sampled_from("xyX"), st.sampled_from(["a", "A", "a-2", "x-a"]), st.sampled_from("pq"))))
def test_no_two_files_share_a_name_even_where_case_does_not_count(parts: list[tuple[str, str, str]]) -> None:
    files = list({Path(folder) / f"{stem}.{ending}" for folder, stem, ending in parts})
    stems = unique_stems(files)
    assert len({stem.casefold() for stem in stems.values()}) == len(files)


@pytest.mark.parametrize("sign", ["m", "ä", "数"])
def test_names_that_leave_no_room_for_an_ending_are_shortened_and_stay_apart(sign: str) -> None:
    long = sign * (250 // len(sign.encode()))
    files = [Path(f"{long}.png"), Path(f"{long}x.png"), Path("a.png")]
    stems = list(unique_stems(files).values())
    assert len(set(stems)) == 3
    assert all(len(stem.encode()) <= 200 for stem in stems)
    assert all(stem.startswith(sign * 20) for stem in stems[:2])
    assert stems == list(unique_stems(files).values())
    assert stems[2] == "a"
