"""The models that come with the program, by name. Reads cards only: torch is not needed here."""

from __future__ import annotations

import difflib
from pathlib import Path

from histoloop import paths
from histoloop.errors import ModelError
from histoloop.language import tr
from histoloop.store.cards import WEIGHTS, Card, list_models, load_card

DEFAULT_MODEL = "colon-ebhi-resnet18"

DEFAULT_ENCODER = "general-mobilenetv2"
"""What a project begins with whose classes no shipped model draws; nobody has trained it anything."""

SUMS = "SHA256SUMS"
"""A file beside the shipped models with the hashes of their weights, as `sha256sum` writes it."""


def model_names() -> tuple[str, ...]:
    """Names of the models that come with the program."""
    return tuple(folder.name for folder in list_models(paths.shipped_models()))


def shipped_cards() -> list[tuple[Path, Card]]:
    """Their folders and cards, the general encoder first. A model that is not trained is an encoder to begin with."""
    found = [(folder, load_card(folder)) for folder in list_models(paths.shipped_models())]
    return sorted(found, key=lambda one: one[1].name != DEFAULT_ENCODER)


def trained_models() -> list[tuple[Path, Card]]:
    """Those that predict something."""
    return [(folder, card) for folder, card in shipped_cards() if card.trained]


def find_model(name_or_folder: str | Path) -> Path:
    """The folder of a model given by path or by the name of a shipped one; ModelError lists the choices."""
    folder = Path(name_or_folder)
    if (folder / "card.md").is_file():
        return folder.resolve()
    shipped = {path.name: path for path in list_models(paths.shipped_models())}
    if str(name_or_folder) in shipped:
        return shipped[str(name_or_folder)]
    near = difflib.get_close_matches(str(name_or_folder), shipped, n=1)
    said = [tr("There is no model {name!r}.", name=str(name_or_folder))]
    said += [tr("Did you mean {name!r}?", name=name) for name in near]
    advice = tr("Shipped models: none. Or give the path of a model folder.")
    if shipped:
        advice = tr("Shipped models: {names}. Or give the path of a model folder.", names=", ".join(shipped))
    raise ModelError(" ".join(said), advice=advice)


def is_shipped(folder: Path) -> bool:
    """Whether a model's folder is one of those that come with the program."""
    return folder.resolve().parent == paths.shipped_models().resolve()


def shipped_twin(digest: str) -> Path | None:
    """The folder of the shipped model whose weights have this hash; None where there is none."""
    shipped = paths.shipped_models()
    if not (shipped / SUMS).is_file():
        return None
    found = (shipped / path for path, own in _sums(shipped).items() if own == digest)
    return next((path.parent for path in found if path.name == WEIGHTS), None)


def _sums(shipped: Path) -> dict[str, str]:
    """Of files of shipped models by their path."""
    lines = (shipped / SUMS).read_text(encoding="utf-8").splitlines()
    return {path: own for own, _, path in (line.partition("  ") for line in lines)}


def check_shipped(folder: Path, digest: str) -> None:
    """Raise ModelError for a shipped model whose weights, of this hash, are not those that were shipped."""
    shipped = paths.shipped_models()
    if folder.parent != shipped or not (shipped / SUMS).is_file():
        return
    if _sums(shipped).get(f"{folder.name}/{WEIGHTS}", digest) != digest:
        raise ModelError(
            tr(
                "The weights in {folder} are not those that came with the program: they have been changed.",
                folder=folder,
            ),
            advice=tr("Install HistoLoop again, or choose another model."),
        )
