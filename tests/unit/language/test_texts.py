"""No text for the user gets past the catalogues: the source itself is looked at."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import grimp
import pytest

import histoloop
from histoloop import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(histoloop.__file__).parent
TRANSLATORS = {"tr", "tr_plural", "mark"}
ERRORS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.HistoLoopError)
}
FOR_THE_COMMAND_LINE = (
    "training.readers", "training.recipe", "training.datasets", "training.pretrained", "training.checkpoint",
    "training.objectives", "training.ddn", "workflows.prediction.robustness",
)  # fmt: skip
"""What the window imports along but only data sets, recipes and commands reach, which are in English."""

WITHOUT_TEXTS = ("gui.tour", "gui.arguments")
"""For the command line: what it looks up in the English window, and its own help."""

LOGGING = {"debug", "info", "warning", "error", "exception", "Formatter"}
NO_TEXTS = {
    "last slide", "first steps", "how to ask", "how to learn", "add slides", "close {}", "histoloop slide",
    "text-align: left;", "Python {}, Qt {}, OpenSlide {}", "live masks explained",
    "pip install 'histoloop[gui]'",
    "Belharbi et al. 2020", "Zolfaghari Bengar et al. 2021", "Huang et al. 2022",
}  # fmt: skip
"""What has the look of a text and is none: keys, styles, names."""


def module(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


def files(folder: str) -> list[Path]:
    return sorted((SOURCE / folder).rglob("*.py"))


def called(node: ast.AST) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def inside(tree: ast.AST, *, skipping: set[str]) -> Iterator[ast.AST]:
    """All nodes but those in calls of the names to be skipped."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [child for child in ast.iter_child_nodes(node) if called(child) not in skipping]


def reached_by_the_window() -> set[str]:
    graph = grimp.build_graph("histoloop")
    windows = {name for name in graph.modules if name.startswith("histoloop.gui")}
    reached = set().union(*(graph.find_upstream_modules(name) for name in windows)) | windows
    reached |= graph.find_descendants("histoloop.acquisition.strategies")  # found by listing the package
    return {name.removeprefix("histoloop.") for name in reached}


def calls_behind_the_window(names: set[str]) -> Iterator[tuple[str, ast.Call]]:
    """Calls by these names, with their modules, in all that the window imports and that speaks to its user."""
    reached = reached_by_the_window()
    for path in files("."):
        name = module(path)
        if name in reached and not name.startswith(FOR_THE_COMMAND_LINE):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and called(node) in names:
                    yield name, node


def sentence(node: ast.AST) -> str:
    """The words of a literal text, or nothing if it is none: two words with a blank between them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    elif isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    else:
        return ""
    text = re.sub(r"<[^>]*>", "", text)
    return text if re.search(r"[A-Za-z{}],? [A-Za-z{}]", text) and re.search("[A-Za-z]{2}", text) else ""


def documentation(tree: ast.AST) -> set[ast.AST]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def annotations(tree: ast.AST) -> set[ast.AST]:
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        for part in ("annotation", "returns"):
            if isinstance(held := getattr(node, part, None), ast.AST):
                found |= set(ast.walk(held))
    return found


def for_nobody_to_read(tree: ast.AST) -> set[ast.AST]:
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None and called(node.exc) not in ERRORS:
            found |= set(ast.walk(node.exc))
        if isinstance(node, ast.Call) and called(node) in LOGGING:
            found |= {inner for argument in node.args for inner in ast.walk(argument)}
        if isinstance(node, ast.keyword) and node.arg == "needs":
            found |= set(ast.walk(node.value))
    return found


@pytest.mark.parametrize(
    "path", [path for path in files("gui") if not module(path).startswith(WITHOUT_TEXTS)], ids=module
)
def test_every_sentence_in_the_window_can_be_translated(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    others = documentation(tree) | annotations(tree) | for_nobody_to_read(tree)
    found = [
        (node.lineno, sentence(node))  # type: ignore[attr-defined]
        for node in inside(tree, skipping=TRANSLATORS)
        if sentence(node) and node not in others and sentence(node) not in NO_TEXTS
    ]
    assert found == []


def test_every_error_that_the_window_can_show_can_be_translated() -> None:
    found = []
    for name, call in calls_behind_the_window(ERRORS):
        for part in (*call.args, *(keyword.value for keyword in call.keywords)):
            if called(part) not in TRANSLATORS:
                inner = inside(part, skipping=TRANSLATORS)
                found += [(name, call.lineno, sentence(node)) for node in inner if sentence(node)]
    assert found == []


def test_every_step_of_work_that_the_window_can_show_can_be_translated() -> None:
    found = [
        (name, call.lineno)
        for name, call in calls_behind_the_window({"Progress"})
        if call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert found == []


def test_texts_are_literal_where_they_are_marked() -> None:
    """What is not in the source as a literal text cannot be collected."""
    found = []
    for path in files("."):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and called(node) in {"mark", "tr_plural"}:
                literal = node.args[:1] if called(node) == "mark" else node.args[:2]
                found += [(module(path), node.lineno) for text in literal if not isinstance(text, ast.Constant)]
            if (
                isinstance(node, ast.Call)
                and called(node) == "tr"
                and isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
            ):
                found.append((module(path), node.lineno))
    assert found == []


def test_nothing_is_translated_when_a_module_is_imported() -> None:
    """The language can change later: constants are marked, and translated where they are shown."""
    found = []
    for path in files("."):
        tree = ast.parse(path.read_text("utf-8"))
        functions = {
            node for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.Lambda) for node in ast.walk(each)
        }
        found += [
            (module(path), node.lineno)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and called(node) in {"tr", "tr_plural"} and node not in functions
        ]
    assert found == []
