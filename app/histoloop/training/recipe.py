"""Recipes: TOML files that make a model. An unknown key or a value out of range is an error with a suggestion."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from histoloop import paths
from histoloop.errors import RecipeError
from histoloop.networks.config import PoolingConfig
from histoloop.training.augment import AugmentSettings
from histoloop.training.classify import ClassifySettings
from histoloop.training.segment import SegmentSettings

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """The network apart from its label classes, which come with the data."""

    backbone: str = "resnet18"
    decoder_channels: tuple[int, ...] = (96, 64, 48, 32, 16)
    pooling: PoolingConfig = field(default_factory=PoolingConfig)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that makes a model from data. `mask_fraction` of the training tiles lend their masks to the decoder."""

    name: str
    description: str
    source: str
    mask_fraction: float = 1.0
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    classify: ClassifySettings = field(default_factory=ClassifySettings)
    segment: SegmentSettings = field(default_factory=SegmentSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        if not 0 < self.mask_fraction <= 1:
            raise ValueError(f"mask_fraction must lie in (0, 1], not {self.mask_fraction}")


def recipe_path(name_or_file: str) -> Path:
    """The file of a recipe given by shipped name or by path; RecipeError lists the shipped ones."""
    file = Path(name_or_file)
    if file.suffix == ".toml" and file.is_file():
        return file
    shipped = paths.resources() / "recipes"
    names = sorted(path.stem for path in shipped.glob("*.toml"))
    if name_or_file in names:
        return shipped / f"{name_or_file}.toml"
    raise RecipeError(
        f"There is no recipe {name_or_file!r}.{_suggestion(name_or_file, names)}",
        advice=f"Shipped recipes: {', '.join(names)}. Or give the path of a .toml file.",
    )


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file; RecipeError names the key or value that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read: {error}.", advice="Check the path and that it is text.") from error
    return parse_recipe(text, name=str(path))


def parse_recipe(text: str, *, name: str) -> Recipe:
    """A recipe from TOML text; `name` is used in errors."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is not valid TOML: {error}.", advice="Mend the line that is named.") from error
    return build(Recipe, table, where=name)


def build(kind: type[Settings], table: dict[str, Any], *, where: str) -> Settings:
    """A settings dataclass from a TOML table, checked key by key and type by type (RecipeError)."""
    hints = typing.get_type_hints(kind)
    known = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise RecipeError(
                f"{where}: there is no setting {key!r}.{_suggestion(key, known)}",
                advice=f"Settings here: {', '.join(known)}.",
            )
    values = {key: _value(hints[key], value, where=f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {error}.", advice="Mend the setting that is named.") from error


def _value(hint: Any, value: Any, *, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return build(hint, value, where=where)  # type: ignore[arg-type]
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value in choices:
            return value
        near = _suggestion(str(value), [str(choice) for choice in choices])
        raise RecipeError(f"{where} is {value!r}.{near}", advice=f"Choose one of {', '.join(map(repr, choices))}.")
    if origin is tuple and isinstance(value, list):
        return tuple(_value(choices[0], item, where=where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = origin or hint
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise RecipeError(
            f"{where} is {value!r}, which is not of the kind {getattr(expected, '__name__', hint)}.",
            advice="Mend the value.",
        )
    return value


def _suggestion(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
