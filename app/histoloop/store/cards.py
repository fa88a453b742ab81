"""The card of a model: what it is, what it was trained on, how well it does; Markdown with a TOML head."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import math
import reprlib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from histoloop.annotations.records import ClassScheme
from histoloop.errors import ModelError
from histoloop.language import tr
from histoloop.network_config import NetworkConfig
from histoloop.store.toml import dump_toml
from histoloop.toml_file import parse_toml, read_text

if typing.TYPE_CHECKING:
    from pathlib import Path

FENCE = "+++"
CARD = "card.md"
WEIGHTS = "weights.safetensors"

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a trained model; kept as `card.md` beside its weights.

    `description` is Markdown. `mpp` is the resolution of the tiles the network was trained on, micrometres per
    pixel; `mean` and `std` are its RGB normalisation in [0, 1]. `threshold` turns foreground probability into mask.
    `parent` is the hash of the model it was retrained from; `created` an ISO-8601 UTC time. `intervals` are of those
    `figures` that were measured on several cases: lowest and highest in 95 of 100 draws of cases.

    A model that is not `trained` is an encoder to begin with: what it would predict means nothing. One that does not
    know its labels (`knows_labels`) has learned masks alone, and what it says of labels means nothing. `encoder` is the
    SHA-256 of the file that its backbone's weights are in, where they are not among its own (store/encoders.py).
    """

    name: str
    title: str
    description: str
    licence: str
    attribution: str
    network: NetworkConfig
    scheme: ClassScheme
    mpp: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    training: Mapping[str, str | float]
    figures: Mapping[str, float]
    parent: str | None
    created: str
    threshold: float = 0.5
    trained: bool = True
    knows_labels: bool = True
    encoder: str | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.mpp < math.inf:
            raise ValueError(f"mpp must be positive, not {self.mpp}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, not {self.threshold}")
        finite = all(map(math.isfinite, (*self.mean, *self.std)))
        if not len(self.mean) == len(self.std) == 3 or not finite or min(self.std) <= 0:
            raise ValueError(f"mean and std must be RGB triples, std positive; not {self.mean} and {self.std}")
        for name, interval in self.intervals.items():
            if len(interval) != 2 or not all(isinstance(side, int | float) for side in interval):
                raise ValueError(f"the interval of {name} must be two numbers, not {reprlib.repr(interval)}")
        if self.network.labels != len(self.scheme.labels):
            raise ValueError(f"a network of {self.network.labels} labels under a scheme of {len(self.scheme.labels)}")
        if self.network.decodes_classes and self.network.mask_classes != len(self.scheme.masks):
            raise ValueError(
                f"a decoder of {self.network.mask_classes} mask classes under a scheme of {len(self.scheme.masks)}"
            )

    @property
    def foreground_values(self) -> tuple[int, ...]:
        """As of a scheme; a decoder of one mask class finds that one, whatever the label."""
        has_one = len(self.scheme.masks) == 1 and bool(self.network.decoder_channels)
        return (1,) * max(1, len(self.scheme.labels)) if has_one else self.scheme.foreground_values


def card_text(card: Card) -> str:
    """The text of `card.md`: a TOML head between lines of `+++`, then title and description as Markdown."""
    head = {key: value for key, value in _without_none(dataclasses.asdict(card)).items() if key != "description"}
    if not card.network.decodes_classes:
        del head["network"]["mask_classes"]  # as cards were before decoders of classes: earlier versions read them
    if card.network.temperature == 1:
        del head["network"]["temperature"]  # likewise
    for name in ("trained", "knows_labels"):
        if head[name]:
            del head[name]  # likewise
    if not card.intervals:
        del head["intervals"]
    return f"{FENCE}\n{dump_toml(head)}{FENCE}\n\n# {card.title}\n\n{card.description.strip()}\n"


def read_card(text: str, *, source: str) -> Card:
    """The card of such a text; ModelError, naming `source`, for a text that is none or has keys unknown here."""
    head, body = _split(text, source)
    try:
        table = parse_toml(head)
    except ValueError as error:
        raise _broken(source, tr("its header is not TOML ({reason})", reason=error)) from error
    table.setdefault("parent", None)
    if "taught" in table:
        table.setdefault("trained", table.pop("taught"))  # as cards called it
    if isinstance(intervals := table.get("intervals"), dict):
        table["intervals"] = {name: tuple(own) if isinstance(own, list) else (own,) for name, own in intervals.items()}
    return _read_record(Card, {**table, "description": _without_title(body)}, source)


def load_card(folder: Path) -> Card:
    """The card of a model folder; ModelError when it is missing or broken."""
    path = folder / CARD
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    return read_card(text, source=str(path))


def model_hash(folder: Path) -> str:
    """SHA-256 of the weights file, hexadecimal: what identifies a model; ModelError when it is missing."""
    path = folder / WEIGHTS
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def list_models(*roots: Path) -> list[Path]:
    """Model folders (those with a card) directly under `roots`, in order of roots, then names."""
    return [card.parent for root in roots for card in sorted(root.glob(f"[!.]*/{CARD}"))]


def unreadable(path: Path, error: Exception | str) -> ModelError:
    """The error for a file of a model folder that cannot be read."""
    advice = tr("Choose another model, or copy this one's folder again in full.")
    return ModelError(tr("{path} cannot be read: {reason}.", path=path, reason=error), advice=advice)


def _without_none(value: Any) -> Any:
    """A table without entries that are None, wherever in it."""
    if isinstance(value, Mapping):
        return {key: _without_none(entry) for key, entry in value.items() if entry is not None}
    return [_without_none(entry) for entry in value] if isinstance(value, list | tuple) else value


def _split(text: str, source: str) -> tuple[str, str]:
    lines = text.splitlines()
    fences = [number for number, line in enumerate(lines) if line.strip() == FENCE][:2]
    if len(fences) < 2 or fences[0] != 0:
        raise _broken(source, tr("it does not begin with a TOML header between lines of {fence}", fence=FENCE))
    return "\n".join(lines[1 : fences[1]]), "\n".join(lines[fences[1] + 1 :])


def _without_title(body: str) -> str:
    first, _, rest = body.strip().partition("\n")
    return rest.strip() if first.startswith("# ") else body.strip()


def _read_record(kind: type[Record], table: Mapping[str, Any], source: str) -> Record:
    """Build a dataclass from a table read from TOML, its nested dataclasses and tuples too."""
    hints = typing.get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise _unknown_key(key, hints, source)
    try:
        return kind(**{key: _read_value(hints[key], value, key, source) for key, value in table.items()})
    except (TypeError, ValueError) as error:
        raise _broken(source, str(error)) from error


def _read_value(hint: Any, value: Any, key: str, source: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _read_record(hint, _checked(value, (dict,), key), source)
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        return tuple(_read_value(kinds[0], entry, key, source) for entry in _checked(value, (list,), key))
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        records = [choice for choice in typing.get_args(hint) if dataclasses.is_dataclass(choice)]
        if records and isinstance(value, dict):
            return _read_value(records[0], value, key, source)
        return _checked(value, typing.get_args(hint), key)
    if typing.get_origin(hint) is typing.Literal:
        if value not in typing.get_args(hint):
            raise ValueError(
                f"{key} must be one of {', '.join(map(str, typing.get_args(hint)))}, not {reprlib.repr(value)}"
            )
        return value
    if hint is float:
        return float(_checked(value, (int, float), key))
    return _checked(value, (typing.get_origin(hint) or hint,), key)


def _checked(value: Any, kinds: tuple[Any, ...], key: str) -> Any:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise TypeError(f"{key} has the value {reprlib.repr(value)}, which is of the wrong type")
    return value


def _unknown_key(key: str, known: Mapping[str, Any], source: str) -> ModelError:
    advice = tr("It may come from a newer HistoLoop: update the program.")
    if near := difflib.get_close_matches(key, known, n=1):
        advice = tr("Did you mean {key!r}?", key=near[0])
    return ModelError(tr("{source}: unknown key {key!r}.", source=source, key=key), advice=advice)


def _broken(source: str, reason: str) -> ModelError:
    return ModelError(
        tr("{source} is not the card of a model: {reason}.", source=source, reason=reason),
        advice=tr("Copy the model folder again in full."),
    )
