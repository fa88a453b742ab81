"""The encoders that the program knows by name: what each is made of, and where it comes from. Weights are not shipped.

An encoder more is a file more in resources/encoders.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal

from histoloop.errors import ModelError, suggestion
from histoloop.language import tr
from histoloop.paths import resources

if TYPE_CHECKING:
    from pathlib import Path

TensorNames = Literal["timm", "transformers"]
"""In whose names the published file has its tensors."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A published encoder.

    `architecture` is timm's name, made with `arguments`; it has so many `parameters`. It was trained on tiles of
    `input_px` squared at about `mpp` micrometres per pixel, RGB in [0, 1] normalised by `mean` and `std`. `source` is
    its page, which has the `file`; `licence` and `terms` (what is to be accepted there) are as that page said.
    """

    name: str
    title: str
    architecture: str
    names: TensorNames
    parameters: int
    input_px: int
    mpp: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str
    source: str
    file: str
    terms: str
    arguments: Mapping[str, str | float | bool] = field(default_factory=dict)


@cache
def known_encoders() -> Mapping[str, Encoder]:
    """The encoders by name."""
    return {path.stem: _read(path) for path in sorted((resources() / "encoders").glob("*.toml"))}


def encoder_named(name: str) -> Encoder:
    """The encoder of a name; ModelError with the names there are."""
    encoders = known_encoders()
    if name not in encoders:
        near = suggestion(name, encoders)
        raise ModelError(
            tr("There is no encoder {name!r}{near}.", name=name, near=near),
            advice=tr("Available: {names}.", names=", ".join(encoders)),
        )
    return encoders[name]


def _read(path: Path) -> Encoder:
    with path.open("rb") as file:
        table = tomllib.load(file)
    mean, std = table.pop("mean"), table.pop("std")
    return Encoder(name=path.stem, mean=(mean[0], mean[1], mean[2]), std=(std[0], std[1], std[2]), **table)
