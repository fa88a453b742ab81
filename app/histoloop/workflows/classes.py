"""A project's own mask classes: add, rename, recolour, reorder, merge, remove, and take each of that back."""

from __future__ import annotations

import re
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.class_names import spoken_class
from histoloop.annotations.palette import MAX_CLASSES, unused_colour
from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import ClassError, suggestion
from histoloop.language import tr, tr_plural
from histoloop.store.parts.classes import MOST_EVER
from histoloop.store.records import ClassChangeKind
from histoloop.workflows.contents.mask_files import rename_remembered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.store.project import Project
    from histoloop.store.records import ClassChangeRecord, ClassRecord

LONGEST_NAME = 60

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_RESERVED = frozenset({"background", "-"})
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_JOINERS = str.maketrans("", "", "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")
"""Unseen, but part of the spelling in some scripts."""


@dataclass(frozen=True, slots=True)
class ClassUse:
    """What of a project is of a class.

    `finished` annotations and `drafts` in which it is painted, its `area` in them (mm2 where the resolution of all
    those slides is known, else level-0 pixels: `unit` is 'mm2' or 'px'), and open `queries` about slides of a label
    that paints it.
    """

    finished: int
    drafts: int
    area: float
    unit: str
    queries: int


# --- classes before there is a project --------------------------------------------------------------------------------


def own_scheme(classes: Sequence[MaskClass], labels: Sequence[LabelClass] = ()) -> ClassScheme:
    """The scheme of a project's own classes and labels; ClassError, with what to do, for one that cannot be.

    A class without a colour ('') gets the next of the default colours. What a label paints goes by the class's name,
    in whatever case.
    """
    if not classes:
        raise ClassError(tr("A project needs at least one class."), advice=tr("Name what you want to find."))
    masks: list[MaskClass] = []
    for one in classes:
        masks.append(checked_class(one, masks))
    named: list[LabelClass] = []
    for label in labels:
        name = checked_name(label.name, [other.name for other in named])
        named.append(LabelClass(name, _painted_by(label, masks)))
    return ClassScheme(tuple(named), tuple(masks))


def _painted_by(label: LabelClass, masks: Sequence[MaskClass]) -> str | None:
    if label.mask is None:
        return None
    for mask in masks:
        if _folded(mask.name) == _folded(label.mask):
            return mask.name
    names = ", ".join(mask.name for mask in masks)
    raise ClassError(
        tr("The label {label} paints {name}, which is not one of the classes.", label=label.name, name=label.mask),
        advice=tr("Name one of {names}.", names=names),
    )


def checked_class(one: MaskClass, others: Sequence[MaskClass | ClassRecord]) -> MaskClass:
    """A class beside others, its name trimmed, in a colour; ClassError for one that cannot be."""
    if len(others) >= MAX_CLASSES:
        raise ClassError(
            tr("A project has at most {count} classes at a time.", count=MAX_CLASSES),
            advice=tr("Merge two of them, or remove one."),
        )
    name = checked_name(one.name, [other.name for other in others])
    colour = checked_colour(one.colour, others) if one.colour else unused_colour([other.colour for other in others])
    return MaskClass(name, colour)


def checked_name(name: str, others: Sequence[str]) -> str:
    """A name, trimmed; ClassError for an empty, too long, reserved or taken one."""
    plain = " ".join(unicodedata.normalize("NFC", name).split())
    if not plain.translate(_JOINERS):
        raise ClassError(tr("A class or label needs a name."), advice=tr("Enter a name."))
    if len(plain) > LONGEST_NAME or any(unicodedata.category(sign) in _UNSEEN for sign in plain.translate(_JOINERS)):
        raise ClassError(
            tr("{name!r} cannot be a name.", name=plain[:LONGEST_NAME]),
            advice=tr("Enter a name of at most {count} visible letters, on one line.", count=LONGEST_NAME),
        )
    if _folded(plain) in _RESERVED or _folded(plain).startswith("ignore"):
        raise ClassError(
            tr("{name} is reserved: it stands for what is of no class, or is ignored.", name=plain),
            advice=tr("Choose another name."),
        )
    if (taken := next((other for other in others if _folded(other) == _folded(plain)), None)) is not None:
        raise ClassError(
            tr("{name} already exists.", name=taken),
            advice=tr("Choose another name; upper and lower case make no difference."),
        )
    return plain


def checked_colour(colour: str, others: Sequence[MaskClass | ClassRecord]) -> str:
    """A colour '#rrggbb' in small letters; ClassError for what is none, and for the colour of another class."""
    if not _COLOUR.fullmatch(colour):
        raise ClassError(
            tr("{colour!r} is not a colour.", colour=colour),
            advice=tr("Give red, green and blue in hexadecimal, as in #d55e00."),
        )
    plain = colour.lower()
    if (taken := next((other.name for other in others if other.colour.lower() == plain), None)) is not None:
        raise ClassError(
            tr("{name} already has the colour {colour}.", name=taken, colour=plain),
            advice=tr("Choose another colour: masks with equal colours cannot be told apart."),
        )
    return plain


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name.translate(_JOINERS)).casefold().split())


# --- changes of a project's classes -----------------------------------------------------------------------------------


def add_class(project: Project, name: str, *, colour: str | None = None) -> MaskClass:
    """Add a class, the last one, in a colour or the next of the default ones; as it was added.

    ClassError, with nothing changed, when it cannot be: as for all changes of classes.
    """
    with _looking_at(project) as classes:
        added = checked_class(MaskClass(name, colour or ""), classes)
        if project.classes.count_ever() >= MOST_EVER:
            raise ClassError(
                tr("This project has had {count} classes over time, and can have no more.", count=MOST_EVER),
                advice=tr("Rename a class that you do not need, or make a new project."),
            )
        project.classes.add(added.name, added.colour)
    return added


def rename_class(project: Project, name: str, new: str) -> MaskClass:
    """Call a class another name, in old predictions and annotations too; as it is called now."""
    with _looking_at(project) as classes:
        own = _called(classes, name)
        plain = checked_name(new, [other.name for other in classes if other.id != own.id])
        if plain != own.name:
            project.classes.rename(own.id, plain)
            rename_remembered(project, own.name, plain)
    return MaskClass(plain, own.colour)


def recolour_class(project: Project, name: str, colour: str) -> MaskClass:
    """Give a class another colour ('#rrggbb'); as it is now."""
    with _looking_at(project) as classes:
        own = _called(classes, name)
        plain = checked_colour(colour, [other for other in classes if other.id != own.id])
        if plain != own.colour:
            project.classes.recolour(own.id, plain)
    return MaskClass(own.name, plain)


def reorder_classes(project: Project, names: Sequence[str]) -> None:
    """Put the classes into this order, which is that of their keys; each must be named once."""
    with _looking_at(project) as classes:
        order = [_called(classes, name).id for name in names]
        if sorted(order) != sorted(one.id for one in classes):
            raise ClassError(
                tr("The new order must name each class once."),
                advice=tr("The classes are {names}.", names=", ".join(one.name for one in classes)),
            )
        if order != [one.id for one in classes]:
            project.classes.reorder(order)


def merge_classes(project: Project, name: str, *, into: str) -> None:
    """Let all that is of a class, annotated or predicted, count as another from now on."""
    with _looking_at(project) as classes:
        own, target = _called(classes, name), _called(classes, into)
        if own.id == target.id:
            raise ClassError(
                tr("{name} cannot be merged into itself.", name=own.name), advice=tr("Choose another class.")
            )
        project.classes.merge(own.id, into=target.id)
        rename_remembered(project, own.name, target.name)


def remove_class(project: Project, name: str) -> None:
    """Take a class away: what is painted of it counts as left out, and is kept; predictions show it no more."""
    with _looking_at(project) as classes:
        own = _called(classes, name)
        if len(classes) == 1:
            raise ClassError(
                tr("{name} is the last class.", name=own.name), advice=tr("Add another class first, or rename it.")
            )
        project.classes.remove(own.id)


def undo_class_change(project: Project) -> str | None:
    """Take back the last change of the classes that was not yet; what it was, in words, or None without any.

    A class that is taken back so counts as removed: what was painted of it is kept.
    """
    with project.transaction():
        undone = project.classes.undo()
        if undone is not None and undone.kind is ClassChangeKind.RENAME:
            rename_remembered(project, undone.to, undone.name)
    return None if undone is None else in_words(undone)


def class_changes(project: Project) -> list[ClassChangeRecord]:
    """All that was changed in the classes, oldest first; what was taken back too."""
    return project.classes.changes()


def in_words(change: ClassChangeRecord) -> str:
    """A change of the classes as a sentence without a full stop."""
    name, to = spoken_class(change.name), spoken_class(change.to)
    words = {
        ClassChangeKind.ADD: tr("{name} added", name=name),
        ClassChangeKind.RENAME: tr("{name} renamed to {new}", name=name, new=to),
        ClassChangeKind.RECOLOUR: tr("{name} given the colour {colour}", name=name, colour=change.to),
        ClassChangeKind.REORDER: tr("classes reordered"),
        ClassChangeKind.MERGE: tr("{name} merged into {other}", name=name, other=to),
        ClassChangeKind.REMOVE: tr("{name} removed", name=name),
    }
    return words[change.kind]


@contextmanager
def _looking_at(project: Project) -> Iterator[tuple[ClassRecord, ...]]:
    """The classes of a project, which nobody else changes meanwhile."""
    with project.transaction():
        yield project.classes.all()


def _called(classes: Sequence[ClassRecord], name: str) -> ClassRecord:
    for one in classes:
        if _folded(one.name) == _folded(name):
            return one
    names = [one.name for one in classes]
    raise ClassError(
        tr("There is no class {name}{near}.", name=name, near=suggestion(name, names)),
        advice=tr("The classes are {names}.", names=", ".join(names)),
    )


# --- what is of a class -----------------------------------------------------------------------------------------------


def use_of_class(project: Project, name: str) -> ClassUse:
    """What of a project is of a class; reads all masks. ClassError when there is no such class."""
    return use_of_classes(project)[_called(project.classes.all(), name).name]


def labels_that_paint(project: Project, name: str) -> tuple[str, ...]:
    """The slide labels that paint a class; ClassError when there is no such class."""
    own = _called(project.classes.all(), name).name
    return tuple(label.name for label in project.scheme.labels if label.mask == own)


def use_of_classes(project: Project) -> dict[str, ClassUse]:
    """The same of each class, by name."""
    scheme, mpps = project.scheme, {slide.id: slide.mpp for slide in project.slides.all()}
    counts = [_Count() for _ in scheme.masks]
    begun = [record for slide_id in mpps for record in project.drafts.begun(slide_id)]
    for record in (*project.annotations.with_mask(), *begun):
        mask, _origin = project.annotations.load_mask(record.id)
        found = np.bincount(mask.ravel(), minlength=len(counts) + 1)[1:]
        pixel_px = (record.mask_downsample or 1.0) ** 2
        for count, pixels in zip(counts, found.tolist(), strict=True):
            if pixels:
                count.add(pixels * pixel_px, mpps[record.slide_id], is_draft=not record.has_mask)
    asked = [query.class_name for query in project.queries.open()]
    painted_by = {mask.name: {mask.name} for mask in scheme.masks}
    for label in scheme.labels:
        if label.mask is not None:
            painted_by[label.mask].add(label.name)
    return {
        mask.name: count.use(queries=sum(name in painted_by[mask.name] for name in asked))
        for mask, count in zip(scheme.masks, counts, strict=True)
    }


@dataclass(slots=True)
class _Count:
    """What is painted of a class so far; square micrometres hold while `known`."""

    finished: int = 0
    drafts: int = 0
    pixels: float = 0.0
    square_um: float = 0.0
    known: bool = True

    def add(self, pixels: float, mpp: float | None, *, is_draft: bool) -> None:
        self.finished, self.drafts = self.finished + (not is_draft), self.drafts + is_draft
        self.pixels, self.known = self.pixels + pixels, self.known and mpp is not None
        self.square_um += pixels * (mpp or 0.0) ** 2

    def use(self, *, queries: int) -> ClassUse:
        area, unit = (self.square_um / 1e6, "mm2") if self.known else (self.pixels, "px")
        return ClassUse(self.finished, self.drafts, area, unit, queries)


def use_in_words(use: ClassUse) -> str:
    """Where a class is used, as a sentence."""
    if not (use.finished or use.drafts):
        return tr("Nothing is painted with it.")
    area = f"{use.area:.3g} mm²" if use.unit == "mm2" else f"{use.area:.0f} px"
    regions = tr_plural("{count} finished region", "{count} finished regions", use.finished)
    drafts = tr_plural("{count} draft", "{count} drafts", use.drafts)
    return tr("It is painted in {regions} and {drafts}, {area} in all.", regions=regions, drafts=drafts, area=area)
