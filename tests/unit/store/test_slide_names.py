"""Slides that are called alike are told apart by their folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from histoloop.store.slide_names import case_of, case_of_slide, unique_names


def names_of(*paths: str) -> list[str]:
    return unique_names([(Path(path), Path(path).name) for path in paths])


def test_a_name_that_no_other_slide_has_stays_as_it_is() -> None:
    assert names_of("/x/a.svs", "/y/b.svs") == ["a.svs", "b.svs"]


def test_as_few_folders_are_in_front_as_tell_the_slides_apart() -> None:
    assert names_of("/s/p1/slide.png", "/s/p2/slide.png") == ["p1/slide.png", "p2/slide.png"]
    assert names_of("/s/p1/he/a.png", "/s/p2/he/a.png", "/s/p3/a.png") == ["p1/he/a.png", "p2/he/a.png", "p3/a.png"]


def test_slides_of_one_name_in_nested_folders_are_told_apart() -> None:
    assert names_of("/a.png", "/a/a.png", "/a/a/a.png") == ["/a.png", "/a/a.png", "a/a/a.png"]


def test_names_that_differ_in_case_alone_are_alike() -> None:
    assert names_of("/s/x/A.PNG", "/s/y/a.png") == ["x/A.PNG", "y/a.png"]


def test_a_dicom_series_has_its_folder_in_the_name_once() -> None:
    slides = [(Path("/s/p1/scan/0.dcm"), "scan"), (Path("/s/p2/scan/0.dcm"), "scan")]
    assert unique_names(slides) == ["p1/scan", "p2/scan"]


def test_two_series_in_a_folder_that_are_called_alike_have_their_files_in_the_name() -> None:
    slides = [(Path("/s/scan/a.dcm"), "B12-1"), (Path("/s/scan/b.dcm"), "B12-1")]
    assert unique_names(slides) == ["B12-1 (a.dcm)", "B12-1 (b.dcm)"]


@given(st.sets(st.lists(st.sampled_from(["a", "A", "b", "c.png"]), min_size=1, max_size=5).map(tuple), max_size=12))
def test_no_two_slides_have_one_name_and_each_is_an_end_of_its_path(places: set[tuple[str, ...]]) -> None:
    paths = [Path("/", *place) for place in sorted(places)]
    names = unique_names([(path, path.name) for path in paths])
    assert len(set(names)) == len(names)
    assert all(path.as_posix().endswith(name) for path, name in zip(paths, names, strict=True))


@pytest.mark.parametrize(
    ("path", "case"),
    [
        ("a/TCGA-3C-AALI-01Z-00-DX1.F6E9A5DF.svs", "TCGA-3C-AALI"),
        ("a/tcga-3c-aali-01z.svs", "TCGA-3C-AALI"),
        ("a/C3L-00001-21.svs", "C3L-00001"),
        ("GT2012149/GT2012149-1-400-001.png", "GT2012149"),
        ("a/S19-12345 A1.ndpi", "S19-12345"),
        ("patient-1/a.svs", "patient-1"),
        ("Case 12/slide-3.svs", "Case 12"),
        ("cases/slide-3.svs", ""),
        ("a/CMU-1.svs", ""),
        ("a/slide-12.tiff", ""),
        ("a/testA_1.bmp", ""),
        ("a/IMG00012.png", ""),
        ("a/DSC00012.jpg", ""),
    ],
)
def test_a_case_is_what_the_name_begins_with_or_the_folder_is_called(path: str, case: str) -> None:
    assert case_of(Path(path)) == case


@pytest.mark.parametrize(
    ("path", "name", "stated", "case"),
    [
        ("case-3/a.dcm", "S19-12345 A1", "P-7", "case-3"),
        ("a/1.2.3.dcm", "S19-12345 A1", "P-7", "S19-12345"),
        ("a/1.2.3.dcm", "Colon, HE", "P-7", "P-7"),
        ("a/1.2.3.dcm", "Colon, HE", "", ""),
    ],
)
def test_what_a_file_states_of_the_case_counts_where_no_name_does(path: str, name: str, stated: str, case: str) -> None:
    assert case_of_slide(Path(path), name, stated) == case
