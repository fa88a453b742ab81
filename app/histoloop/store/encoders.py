"""The encoders' weights that a person brought: kept once on a machine, by their hash, in the user's folder."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import ModelError
from histoloop.language import tr
from histoloop.paths import user_data
from histoloop.store.files import file_beside, write_beside
from histoloop.store.toml import dump_toml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


UNKNOWN_MPP = 1.0
"""Micrometres per pixel that an encoder is shown tissue at where nobody says what it was trained at."""

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclass(frozen=True, slots=True)
class AddedEncoder:
    """The weights of the encoder `name`: where they lie and their SHA-256.

    Of one that has no entry in resources/encoders: the architecture of its `backbone`, the resolution that it expects
    (micrometres per pixel), and the mean and deviation of its colours.
    """

    name: str
    path: Path
    hash: str
    backbone: str = ""
    mpp: float = UNKNOWN_MPP
    mean: tuple[float, float, float] = _IMAGENET["mean"]
    std: tuple[float, float, float] = _IMAGENET["std"]


def keep_encoder(name: str, source: Path, *, about: Mapping[str, object] | None = None) -> AddedEncoder:
    """Copy a file of weights to where encoders are kept, in place of what was kept under the name before.

    `about` are backbone, mpp, mean and std of one that has no entry in resources/encoders, as far as they are known.

    A file that is there already, under whatever name, is not copied again. ModelError when it cannot be read or kept.
    """
    folder = _folder()
    try:
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target = folder / f"{digest}.safetensors"
        folder.mkdir(parents=True, exist_ok=True)
        if not target.is_file():
            with file_beside(target) as partial:
                shutil.copyfile(source, partial)
        write_beside(folder / f"{name}.toml", dump_toml({"sha256": digest, **(about or {})}))
    except OSError as error:
        raise ModelError(
            tr(
                "{file} cannot be kept in {folder}: {reason}.",
                file=source,
                folder=folder,
                reason=error.strerror or error,
            ),
            advice=tr("Check that the file can be read, that the folder may be written to, and its disk's free space."),
        ) from error
    return added_encoders()[name]


def added_encoders() -> dict[str, AddedEncoder]:
    """The encoders whose weights are kept here, by name."""
    found = {}
    for entry in sorted(_folder().glob("*.toml")):
        try:
            added = _read(entry)
        except (OSError, KeyError, TypeError, ValueError):
            continue  # half an entry is none: adding the encoder again mends it
        if added.path.is_file():
            found[entry.stem] = added
    return found


def _read(entry: Path) -> AddedEncoder:
    table = tomllib.loads(entry.read_text("utf-8"))
    digest = str(table["sha256"])
    return AddedEncoder(
        entry.stem,
        _folder() / f"{digest}.safetensors",
        digest,
        str(table.get("backbone", "")),
        float(table.get("mpp", UNKNOWN_MPP)),
        _triple(table.get("mean", _IMAGENET["mean"])),
        _triple(table.get("std", _IMAGENET["std"])),
    )


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue


def encoder_of_file(path: Path) -> AddedEncoder:
    """The encoder that a file of weights was added as; ModelError that says how to add it where it was not.

    Whose weights they are is found out when they are added.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            tr("{path} cannot be read: {reason}.", path=path, reason=error.strerror or error),
            advice=tr("Check that the file is there and can be read."),
        ) from error
    for added in added_encoders().values():
        if added.hash == digest:
            return added
    raise ModelError(
        tr("{path} has not been added to the encoders of this computer yet.", path=path),
        advice=tr("Add it first: histoloop encoders add {path}", path=path),
    )


def weights_of_encoder(digest: str) -> Path:
    """The file of an encoder by its SHA-256; ModelError where it is not on this machine."""
    path = _folder() / f"{digest}.safetensors"
    if not path.is_file():
        raise ModelError(
            tr("The weights of the model's encoder are not on this computer (SHA-256 {digest}).", digest=digest[:16]),
            advice=tr("Add the file that the model started from here too: histoloop encoders add FILE."),
        )
    return path


def added_encoder(name: str) -> AddedEncoder:
    """The weights of one encoder; ModelError that says how to bring them when they are not here."""
    found = added_encoders().get(name)
    if found is None:
        raise ModelError(
            tr("The weights of the encoder {name} are not on this computer.", name=name),
            advice=tr(
                "Get them as `histoloop encoders show {name}` describes, then `histoloop encoders add FILE`.", name=name
            ),
        )
    return found


def _folder() -> Path:
    return user_data() / "encoders"
