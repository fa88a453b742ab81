"""The tutorial against the tour that takes its pictures and the words that the window has. Needs no window."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Step

NOT_IN_THE_TUTORIAL = {"painted", "annotated"}
"""Pictures of the tour's first round that show nothing new."""


@pytest.fixture(scope="session")
def tour(docs: Path) -> list[str]:
    """The pictures that the tour takes in any case, in their order."""
    files = sorted((docs.parent / "app/histoloop/gui/tour").glob("*.py"))
    found = [node for file in files for node in ast.parse(file.read_text(encoding="utf-8")).body]
    verbs = {node.name: node for node in found if isinstance(node, ast.FunctionDef)}
    return list(_pictures(verbs["_walk"], verbs))


def _pictures(node: ast.AST, verbs: dict[str, ast.FunctionDef]) -> Iterator[str]:
    if isinstance(node, ast.If):  # a picture that is only taken sometimes has no number of its own
        return
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="tour"), attr="picture"), args=[ast.Constant(value=name), *_]
        ):
            yield str(name)
            return
        case ast.Call(func=ast.Name(id=name)) if name in verbs:
            yield from _pictures(verbs[name], verbs)
    for child in ast.iter_child_nodes(node):
        yield from _pictures(child, verbs)


@pytest.fixture(scope="session")
def words(docs: Path) -> str:
    """What the window says, as it stands in its sources."""
    files = (docs.parent / "app/histoloop/gui").rglob("*.py")
    return "\n".join(file.read_text(encoding="utf-8") for file in files).replace("&", "")


def test_the_steps_are_those_of_the_tours_first_round_in_their_order(tutorial: list[Step], tour: list[str]) -> None:
    round_1 = tour[: tour.index("exported") + 1]
    assert [step.tour for step in tutorial] == [(name,) for name in round_1 if name not in NOT_IN_THE_TUTORIAL]
    assert [step.title.split(".")[0] for step in tutorial] == [str(number) for number in range(1, len(tutorial) + 1)]


def test_each_step_shows_the_picture_that_the_tour_took_of_it(
    tutorial: list[Step], tour: list[str], docs: Path
) -> None:
    for step in tutorial:
        picture = f"{tour.index(step.tour[0]) + 1:02d}-{step.tour[0]}.png"
        assert step.pictures == ((picture,) if (docs / "pictures" / picture).exists() else ())
    assert sum(len(step.pictures) for step in tutorial) >= len(tutorial) - 1


def test_pictures_have_the_numbers_of_the_tour(tour: list[str], docs: Path) -> None:
    taken = {f"{number:02d}-{name}.png" for number, name in enumerate(tour, start=1)}
    assert {file.name for file in (docs / "pictures").glob("[0-9][0-9]-*.png")} <= taken


def test_what_is_pressed_and_typed_is_there(tutorial: list[Step], words: str) -> None:
    for step in tutorial:
        for deed, text in step.deeds:
            if deed == "type" or (deed == "press" and not text.endswith(".tiff")):
                assert f'"{text}"' in words, (step.title, text)


def test_every_step_says_what_is_seen_or_done(tutorial: list[Step]) -> None:
    assert [step.title for step in tutorial if not step.deeds] == []
    assert {text for step in tutorial for deed, text in step.deeds if deed == "by hand"}
    assert not re.search(r"[A-Z]:\\|/home/|/root/", " ".join(text for step in tutorial for _, text in step.deeds))
