"""The house stays as docs/developing.md draws it; the import contracts of pyproject.toml hold most of it."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import histoloop

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(histoloop.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
RUN_NETWORKS = {
    "networks", "losses", "training", "inference",
    "workflows.prediction", "workflows.regions", "workflows.queries", "workflows.retraining", "workflows.experiments",
    "workflows.live",
}  # fmt: skip
"""The places that may import torch."""


def place(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def modules_in(folder: Path) -> set[str]:
    """What lies directly in a folder of the package: modules and packages, by their dotted place."""
    found = {place(path) for path in folder.glob("*.py") if not path.name.startswith("__")}
    return found | {place(path.parent / "__init__") for path in folder.glob("*/__init__.py")}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names_of_others(tree: ast.AST) -> Iterator[str]:
    """`from histoloop.x import _y`, and `x._y` or `histoloop.x._y` where x is a module of the program."""
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "histoloop":
            for alias in node.names:
                imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                if private(alias.name) or any(map(private, (node.module or "").split("."))):
                    yield f"from {node.module} import {alias.name}"
        elif isinstance(node, ast.Import):
            names = [alias for alias in node.names if alias.name.split(".")[0] == "histoloop"]
            imported |= {alias.asname or "histoloop": alias.name if alias.asname else "histoloop" for alias in names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            first, *rest = ast.unparse(node.value).split(".")
            if first in imported and is_module(".".join((imported[first], *rest))):
                yield ast.unparse(node)


def is_module(name: str) -> bool:
    path = SOURCE.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("path", FILES, ids=place)
def test_no_file_uses_a_private_name_of_another(path: Path) -> None:
    assert list(private_names_of_others(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from histoloop.geometry import Region", []),
        ("from histoloop.geometry import _clip", ["from histoloop.geometry import _clip"]),
        ("from histoloop.slides import reader\nreader._broken", ["reader._broken"]),
        ("import histoloop.slides.reader\nhistoloop.slides.reader._broken", ["histoloop.slides.reader._broken"]),
        ("import histoloop.slides.reader as r\nr._broken\nr.__doc__", ["r._broken"]),
        ("from histoloop.geometry import Region\nRegion._cache\nself._own", []),
    ],
)
def test_the_check_sees_private_names(source: str, found: list[str]) -> None:
    assert list(private_names_of_others(ast.parse(source))) == found


def test_every_place_is_in_the_contract_about_torch_or_may_import_it() -> None:
    """A new file in workflows/ is a room that runs networks, or is named in the contract."""
    contracts = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = (each for each in contracts["contracts"] if each["name"].startswith("torch only"))
    without = {name.removeprefix("histoloop.") for name in contract["source_modules"]}
    allowed = {name.removeprefix("histoloop.") for name in contract["forbidden_modules"]} - {"torch", "torchvision"}
    assert allowed == RUN_NETWORKS
    assert without | allowed == (modules_in(SOURCE) - {"workflows"}) | modules_in(SOURCE / "workflows")
    assert not without & allowed


def test_every_folder_says_what_is_in_it() -> None:
    for folder in sorted({path.parent for path in FILES}):
        text = (folder / "__init__.py").read_text("utf-8")
        assert ast.get_docstring(ast.parse(text)), folder
