"""The encoders' weights that a person brought: kept once on a machine, by their hash, in the user's folder."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from histoloop.errors import ModelError
from histoloop.language import tr
from histoloop.paths import user_data
from histoloop.store.files import file_beside, write_beside
from histoloop.store.toml import dump_toml


@dataclass(frozen=True, slots=True)
class AddedEncoder:
    """The weights of the encoder `name`: where they lie and their SHA-256."""

    name: str
    path: Path
    hash: str


def keep_encoder(name: str, source: Path) -> AddedEncoder:
    """Copy a file of weights to where encoders are kept, in place of what was kept under the name before.

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
        write_beside(folder / f"{name}.toml", dump_toml({"sha256": digest}))
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
    return AddedEncoder(name, target, digest)


def added_encoders() -> dict[str, AddedEncoder]:
    """The encoders whose weights are kept here, by name."""
    found = {}
    for entry in sorted(_folder().glob("*.toml")):
        try:
            digest = str(tomllib.loads(entry.read_text("utf-8"))["sha256"])
        except (OSError, KeyError, ValueError):
            continue  # half an entry is none: adding the encoder again mends it
        path = _folder() / f"{digest}.safetensors"
        if path.is_file():
            found[entry.stem] = AddedEncoder(entry.stem, path, digest)
    return found


def added_encoder(name: str) -> AddedEncoder:
    """The weights of one encoder; ModelError that says how to bring them when they are not here."""
    found = added_encoders().get(name)
    if found is None:
        raise ModelError(
            tr("The weights of the encoder {name} are not on this machine.", name=name),
            advice=tr(
                "Get them where `histoloop encoders show {name}` says, then `histoloop encoders add FILE`.", name=name
            ),
        )
    return found


def _folder() -> Path:
    return user_data() / "encoders"
