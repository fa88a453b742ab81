"""Recipes: TOML files that make a model. An unknown key or a value out of range is an error with a suggestion."""

from __future__ import annotations

import dataclasses
import math
import reprlib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from histoloop import paths
from histoloop.errors import RecipeError, suggestion
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.toml_file import parse_toml, read_text
from histoloop.training.augment import AugmentSettings
from histoloop.training.classify import ClassifySettings
from histoloop.training.ddn import DdnSettings
from histoloop.training.segment import SegmentSettings
from histoloop.training.self_supervised import PretrainSettings

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """The network apart from its label classes, which come with the data, and from what the supervision adds to it.

    `backbone` is torchvision's name, "timm/" and timm's, or "encoder/" and that of an entry in resources/encoders.
    `weights` of it: 'random', 'imagenet' (torchvision's, downloaded once), 'added' (an encoder's, after `histoloop
    encoders add`), or a .safetensors file in the names of torchvision, timm or transformers, or of a model made here.
    `mean` and `std` are the RGB normalisation in [0, 1] that such weights expect; empty: as the encoder's entry or the
    file says (those of `histoloop pretrain` do), or the card beside the weights of a model made here, else measured on
    the training tiles.
    """

    backbone: str = "resnet18"
    stride: Literal[16, 32] = 32
    weights: str = "random"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    decoder_channels: tuple[int, ...] = (96, 64, 48, 32, 16)
    pooling: PoolingConfig = field(default_factory=PoolingConfig)
    minmax: MinMaxConfig = field(default_factory=MinMaxConfig)

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, 3):
            raise ValueError("mean and std must be both empty or both RGB triples")


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """How tiles are read. `scale` below 1 reads them smaller, at a coarser resolution, which is quicker."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 1:
            raise ValueError(f"scale must lie in (0, 1], not {self.scale}")


@dataclass(frozen=True, slots=True)
class RobustnessRecipe:
    """How the card's robustness figure is measured: DDN attacks so many `tiles` (0: none) in so many `steps`.

    `quantise_levels` (256 for 8 bits; 0: not at all) rounds every changed tile to what a picture can store.
    """

    tiles: int = 8
    steps: int = 50
    quantise_levels: int = 0

    def __post_init__(self) -> None:
        if self.tiles < 0:
            raise ValueError(f"tiles must be 0 (no figure) or more, not {self.tiles}")
        self.attack  # noqa: B018  (refuses what it cannot do)

    @property
    def attack(self) -> DdnSettings:
        """The attack's own settings."""
        return DdnSettings(steps=self.steps, quantise_levels=self.quantise_levels or None)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that makes a model from data. `mask_fraction` of the training tiles lend their masks to the decoder.

    With a `mask_fraction` of 0 there is no decoder: the masks come from the class maps. `pretrain` is what
    `histoloop pretrain` does to the backbone, on tiles as `data` says; a training takes no notice of it.
    """

    name: str
    description: str
    source: str
    mask_fraction: float = 0.0
    data: DataRecipe = field(default_factory=DataRecipe)
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    classify: ClassifySettings = field(default_factory=ClassifySettings)
    segment: SegmentSettings = field(default_factory=SegmentSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    robustness: RobustnessRecipe = field(default_factory=RobustnessRecipe)
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.mask_fraction <= 1:
            raise ValueError(f"mask_fraction must lie in [0, 1], not {self.mask_fraction}")
        if self.mask_fraction and self.classify.supervision == "min-max":
            raise ValueError("a min-max network has no decoder: leave mask_fraction at 0")
        if self.classify.supervision == "none" and (not self.mask_fraction or self.segment.freeze):
            raise ValueError(
                "without supervision of the classifier, masks must teach all: mask_fraction above 0, no freeze"
            )
        one_sided = self.classify.supervision == "sizes" and self.classify.sizes.loss == "jia"
        if one_sided and self.network.pooling.name != "generalised-mean":
            raise ValueError("the size loss 'jia' belongs to the pooling 'generalised-mean'")
        self.network_config(labels=2)  # refuses what does not go together

    def with_epochs(self, epochs: int | None) -> Recipe:
        """The recipe with so many epochs in all stages; as it is for None."""
        if epochs is None:
            return self
        classify_loop = dataclasses.replace(self.classify.loop, epochs=epochs)
        segment_loop = dataclasses.replace(self.segment.loop, epochs=epochs)
        pretrain_loop = dataclasses.replace(self.pretrain.loop, epochs=epochs)
        return dataclasses.replace(
            self,
            classify=dataclasses.replace(self.classify, loop=classify_loop),
            segment=dataclasses.replace(self.segment, loop=segment_loop),
            pretrain=dataclasses.replace(self.pretrain, loop=pretrain_loop),
        )

    def network_config(self, labels: int) -> NetworkConfig:
        """The network for so many label classes, with the maps that the supervision needs."""
        plan, supervision = self.network, self.classify.supervision
        return NetworkConfig(
            labels=labels,
            backbone=plan.backbone,
            stride=plan.stride,
            pooling=plan.pooling,
            background=supervision == "sizes" and self.classify.sizes.loss != "jia",
            decoder_channels=plan.decoder_channels if self.mask_fraction else (),
            minmax=plan.minmax if supervision == "min-max" else None,
            scores=self.classify.scores,
        )


def shipped_recipes() -> tuple[Path, ...]:
    """The files of the recipes that come with the program, by name."""
    return tuple(sorted((paths.resources() / "recipes").glob("*.toml")))


def recipe_path(name_or_file: str) -> Path:
    """The file of a recipe given by shipped name or by path; RecipeError lists the shipped ones."""
    file = Path(name_or_file)
    if file.suffix == ".toml" and file.is_file():
        return file
    shipped = {path.stem: path for path in shipped_recipes()}
    if name_or_file in shipped:
        return shipped[name_or_file]
    names = list(shipped)
    raise RecipeError(
        f"There is no recipe {name_or_file!r}{suggestion(name_or_file, names)}.",
        advice=f"Shipped recipes: {', '.join(names)}. Or give the path of a .toml file.",
    )


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file; RecipeError names the key or value that is wrong."""
    return parse_recipe(_read(path), name=str(path))


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} cannot be read: {error}.", advice="Check the path and that it is text.") from error


def parse_recipe(text: str, *, name: str) -> Recipe:
    """A recipe from TOML text; `name` is used in errors.

    With `extends = "NAME"` it takes over all settings of the shipped recipe NAME that it does not set itself, but
    neither its name nor its description.
    """
    return build(Recipe, _settings(text, name=name, below=()), where=name)


def _settings(text: str, *, name: str, below: tuple[str, ...]) -> dict[str, Any]:
    try:
        table = parse_toml(text)
    except ValueError as error:
        raise RecipeError(f"{name} is not valid TOML: {error}.", advice="Mend the line that is named.") from error
    parent = table.pop("extends", None)
    if parent is None:
        return table
    if not isinstance(parent, str) or parent in below:
        raise RecipeError(f"{name}: it cannot extend {parent!r}.", advice="Name another shipped recipe.")
    path = recipe_path(parent)
    taken = _settings(_read(path), name=str(path), below=(*below, parent))
    return _merged({key: value for key, value in taken.items() if key not in ("name", "description")}, table)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both else value
    return merged


def build(kind: type[Settings], table: dict[str, Any], *, where: str) -> Settings:
    """A settings dataclass from a TOML table, checked key by key and type by type (RecipeError)."""
    hints = typing.get_type_hints(kind)
    known = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise RecipeError(
                f"{where}: there is no setting {key!r}{suggestion(key, known)}.",
                advice=f"Settings here: {', '.join(known)}.",
            )
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    needed = [item.name for item in fields if item.default is item.default_factory is dataclasses.MISSING]
    if missing := [name for name in needed if name not in table]:
        raise RecipeError(f"{where}: {' and '.join(missing)} must be given.", advice="Add a line for each.")
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
        if any(value == choice and type(value) is type(choice) for choice in choices):
            return value
        near = suggestion(str(value), [str(choice) for choice in choices])
        raise RecipeError(
            f"{where} is {reprlib.repr(value)}{near}.", advice=f"Choose one of {', '.join(map(repr, choices))}."
        )
    if origin is tuple and isinstance(value, list):
        return tuple(_value(choices[0], item, where=where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise RecipeError(f"{where} is {value}, which is no number.", advice="Mend the value.")
    expected = origin or hint
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise RecipeError(
            f"{where} is {reprlib.repr(value)}, which is not of the kind {getattr(expected, '__name__', hint)}.",
            advice="Mend the value.",
        )
    return value
