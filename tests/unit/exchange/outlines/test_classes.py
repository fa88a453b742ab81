"""Classes of other programs are matched by spelling and by the user's map; what is not known is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histoloop.annotations.class_names import class_called, folded
from histoloop.errors import DataError
from histoloop.exchange.outlines.classes import IGNORED, Assigned, assign_classes, checked_class_map
from histoloop.exchange.outlines.records import LEFT_OUT, NO_CLASS, UNCLASSIFIED, Outlines, Shape

KNOWN = ("gland", "tumour", "Low-grade IN", "Blood vessel")
VALUES = {name: value for value, name in enumerate(KNOWN, start=1)}
RING = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0)])


def assigned(*names: tuple[str, ...], **options: object) -> Assigned:
    shapes = tuple(Shape(own, (RING,)) for own in names)
    return assign_classes(Outlines(shapes, {}, 0, None, True), Path("a.geojson"), VALUES, **options)  # type: ignore[arg-type]


def values_of(found: Assigned) -> list[int]:
    return [area.value for area in found.areas]


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("gland", "gland"),
        ("Glands", "gland"),
        ("Drüse", "gland"),
        ("DRÜSEN", "gland"),
        ("Druesen", "gland"),
        ("glande", "gland"),
        ("Glandes", "gland"),
        ("Tumor", "tumour"),
        ("tumors", "tumour"),
        ("TUMOURS ", "tumour"),
        ("tumeur", "tumour"),
        ("Tumoren", "tumour"),
        ("low grade IN", "Low-grade IN"),
        ("Low_Grade_IN", "Low-grade IN"),
        ("blood vessels", "Blood vessel"),
        ("BloodVessel", "Blood vessel"),
        ("stroma", None),
        ("tumor bed", None),
        ("", None),
    ],
)
def test_spelling_makes_no_difference(name: str, own: str | None) -> None:
    assert class_called(name, KNOWN) == own


def test_a_name_that_is_spelled_alike_comes_first_and_one_of_two_that_fit_is_not_guessed() -> None:
    assert class_called("tumor", ("tumour", "tumor")) == "tumor"
    assert class_called("Tumors", ("tumour", "tumor")) is None


variants = st.tuples(
    st.sampled_from(KNOWN),
    st.sampled_from([str.upper, str.lower, str.title, str]),
    st.sampled_from([" ", "_", "-", "", "  "]),
    st.sampled_from(["", "s"]),
    st.sampled_from(["", " "]),
)


@given(variants)
def test_every_spelling_of_a_class_is_that_class(variant: tuple[str, object, str, str, str]) -> None:
    own, case, space, plural, around = variant
    spelled = own.replace("-", " ").replace(" ", space).replace("ou", "o")
    spelled = f"{around}{case(spelled + plural)}{around}"  # type: ignore[operator]
    assert class_called(spelled, KNOWN) == own
    assert folded(folded(spelled)) == folded(spelled)


def test_a_derived_class_is_its_first_part() -> None:
    assert values_of(assigned(("Tumor: Positive", "Tumor"), ("gland: 3+", "gland"))) == [2, 1]


def test_ignored_outlines_are_kept_as_such_and_other_classes_with_a_star_are_left_out() -> None:
    found = assigned(("Ignore*",), ("Region*",), ("tumour",))
    assert values_of(found) == [IGNORED, 2]
    assert found.skipped == {NO_CLASS: 1}


def test_outlines_without_a_class_take_the_one_given_only_where_there_are_no_others() -> None:
    assert values_of(assigned((), (), unclassified=2)) == [2, 2]
    beside = assigned((), ("gland",), unclassified=2)
    assert (values_of(beside), beside.skipped) == ([1], {UNCLASSIFIED: 1})


def test_a_map_says_what_foreign_classes_are() -> None:
    class_map = checked_class_map(
        {"Stroma": "-", "Necrosis": "background", "Nests": "tumor", "unclassified": "gland", "Region*": "tumour"},
        VALUES,
    )
    found = assigned(("stromas",), ("NECROSIS",), ("nest",), (), ("Region*",), class_map=class_map)
    assert values_of(found) == [0, 2, 1, 2]
    assert found.skipped == {LEFT_OUT: 1}


def test_a_map_to_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DataError, match="no mask class 'nerve'; available: gland, tumour"):
        checked_class_map({"Stroma": "nerve"}, VALUES)


def test_all_unknown_classes_are_named_with_their_counts_and_a_near_one() -> None:
    with pytest.raises(DataError) as caught:
        assigned(("Stroma",), ("Stroma",), ("Tumour bed",), ("gland",))
    assert "'Stroma' (2), 'Tumour bed' (1)" in caught.value.message
    assert "--map-class 'Stroma'=gland" in caught.value.advice
    with pytest.raises(DataError, match="did you mean 'gland'"):
        assigned(("glnd",))
