"""What a project begins with: a model whose classes fit, or an encoder that nobody has trained yet. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.annotations.class_names import class_called, spoken_class
from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.encoders import known_encoders
from histoloop.errors import ClassError, ModelError, suggestion
from histoloop.language import tr
from histoloop.network_config import ENCODER, NetworkConfig
from histoloop.store.cards import Card, load_card, model_hash
from histoloop.store.encoders import AddedEncoder, added_encoder, added_encoders, encoder_of_file
from histoloop.store.model_folder import backbone_of, save_model
from histoloop.store.shipped import check_shipped, find_model, model_names
from histoloop.workflows.classes import own_scheme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from histoloop.store.model_folder import Weights


@dataclass(frozen=True, slots=True)
class Start:
    """What a project begins with: the `folder` of a model, or an encoder alone: that model's, or an `added` one."""

    folder: Path | None
    added: AddedEncoder | None = None
    encoder_only: bool = False

    @property
    def is_encoder(self) -> bool:
        """Whether it has learned nothing that it could predict."""
        return self.folder is None or self.encoder_only


def find_start(start: str | Path, *, encoder_only: bool = False) -> Start:
    """What a name or path means: a shipped model or a model's folder, else an encoder that was added or lies in a file.

    A model that nobody has trained is an encoder. ModelError, with the choices, where it is none of these.
    """
    path = Path(start)
    if path.suffix == ".safetensors":
        return Start(None, encoder_of_file(path), encoder_only=True)
    if str(start) in added_encoders() and not (path / "card.md").is_file():
        return Start(None, added_encoder(str(start)), encoder_only=True)
    if str(start) in known_encoders():
        added_encoder(str(start))  # which says how to bring it
    try:
        folder = find_model(start)
    except ModelError as error:
        if not encoder_only:
            raise
        names = (*model_names(), *known_encoders(), *added_encoders())
        raise ModelError(
            tr("There is no encoder {name!r}{near}.", name=str(start), near=suggestion(str(start), names)),
            advice=tr("Available: {names}. Or give a .safetensors file.", names=", ".join(dict.fromkeys(names))),
        ) from error
    return Start(folder, encoder_only=encoder_only or not load_card(folder).trained)


def scheme_of_start(
    start: Start, classes: Sequence[MaskClass] | None, labels: Sequence[LabelClass] | None
) -> ClassScheme:
    """The classes and labels that a project begins with: its own, or those of the model as far as it has none.

    A model has the labels that it knows. ModelError where none of the classes is one that the model draws, or the
    labels are others; ClassError for classes that cannot be, and where an encoder is given without any.
    """
    if start.folder is None or start.is_encoder:
        if classes is None:
            raise ClassError(tr("An encoder knows no classes."), advice=tr("Name what you want to find."))
        return own_scheme(classes, labels or ())
    card = load_card(start.folder)
    if classes is None and labels is None:
        return card.scheme
    scheme = own_scheme(card.scheme.masks if classes is None else classes)
    fitting = {name: class_called(name, scheme.mask_names) for name in card.scheme.mask_names}
    if not any(fitting.values()):
        raise _nothing_fits(card, scheme)
    known = tuple(LabelClass(label.name, fitting.get(label.mask or "")) for label in card.scheme.labels)
    if labels is not None and {label.name for label in labels} != {label.name for label in known}:
        raise ModelError(
            tr("{model} has other labels: {names}.", model=card.name, names=", ".join(card.scheme.label_names)),
            advice=tr("Leave the labels out, or start from its encoder alone (--encoder {model}).", model=card.name),
        )
    return ClassScheme(known, scheme.masks)


def not_drawn(start: Start, scheme: ClassScheme) -> tuple[str, ...]:
    """The classes of a project that the model which it begins with cannot draw until it has learned them."""
    if start.folder is None or start.is_encoder:
        return scheme.mask_names
    drawn = {class_called(name, scheme.mask_names) for name in load_card(start.folder).scheme.mask_names}
    return tuple(name for name in scheme.mask_names if name not in drawn)


def _nothing_fits(card: Card, scheme: ClassScheme) -> ModelError:
    return ModelError(
        tr(
            "{model} predicts {classes}: none of these is among {known}.",
            model=card.name,
            classes=", ".join(map(spoken_class, card.scheme.mask_names)),
            known=", ".join(map(spoken_class, scheme.mask_names)),
        ),
        advice=tr("Start from its encoder alone, and train it on your classes (--encoder {model}).", model=card.name),
    )


# --- the model that nobody has trained --------------------------------------------------------------------------------


def save_untrained(folder: Path, start: Start, scheme: ClassScheme) -> tuple[str, str]:
    """Write the model that a project begins with when it begins with an encoder; its folder's name, and its hash.

    Its card says that it is not trained. It has the weights of a model's backbone, while those of an added encoder stay
    where they are. ModelPlaceError when it cannot be written.
    """
    card, weights = _of_added(start.added, scheme) if start.added else _of_model(start.folder, scheme)
    save_model(folder, card, weights, recipe="", half=True)
    return folder.name, model_hash(folder)


def _of_model(source: Path | None, scheme: ClassScheme) -> tuple[Card, Weights]:
    assert source is not None  # by find_start
    own = load_card(source)
    check_shipped(source, model_hash(source))
    if own.encoder is not None:
        raise ModelError(
            tr("The encoder of {model} is kept beside it.", model=own.name),
            advice=tr("Name that encoder: see `histoloop encoders`."),
        )
    card = _card(
        scheme,
        title=own.title,
        name=own.name,
        backbone=own.network.backbone,
        mpp=own.mpp,
        colours=(own.mean, own.std),
        licence=own.licence,
        attribution=own.attribution,
    )
    return card, backbone_of(source)


def _of_added(added: AddedEncoder, scheme: ClassScheme) -> tuple[Card, Weights]:
    known = known_encoders().get(added.name)
    card = _card(
        scheme,
        title=added.name if known is None else known.title,
        name=added.name,
        backbone=added.backbone if known is None else f"{ENCODER}{added.name}",
        mpp=added.mpp if known is None else known.mpp,
        colours=(added.mean, added.std) if known is None else (known.mean, known.std),
        licence="as its author says" if known is None else known.licence,
        attribution="" if known is None else known.source,
        encoder=added.hash,
    )
    return card, {}


def _card(
    scheme: ClassScheme,
    *,
    title: str,
    name: str,
    backbone: str,
    mpp: float,
    colours: tuple[tuple[float, float, float], tuple[float, float, float]],
    licence: str,
    attribution: str,
    encoder: str | None = None,
) -> Card:
    training: Mapping[str, str | float] = {"encoder": name}
    return Card(
        name=f"start-{name}",
        title=f"The encoder of {title}, not trained yet",
        description=f"An encoder under an empty decoder: what it would predict means nothing.\n\n{attribution}\n",
        licence=licence,
        attribution=attribution,
        network=NetworkConfig(labels=len(scheme.labels), backbone=backbone, mask_classes=len(scheme.masks)),
        scheme=scheme,
        mpp=mpp,
        mean=colours[0],
        std=colours[1],
        training=training,
        figures={},
        parent=None,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        trained=False,
        knows_labels=False,
        encoder=encoder,
    )
