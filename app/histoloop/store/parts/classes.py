"""The classes of a project: permanent ids, which masks keep; what they are called today; and every change of that."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from histoloop.annotations.class_names import class_called
from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import ModelError, ProjectError
from histoloop.language import tr
from histoloop.store import rows
from histoloop.store.cards import load_card
from histoloop.store.class_values import ClassValues
from histoloop.store.project_database import timestamp
from histoloop.store.records import ClassChangeKind, ClassChangeRecord, ClassRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.store.parts.models import Models
    from histoloop.store.project_database import Database

MOST_EVER = 254
"""Classes over a project's life: masks keep a byte a pixel, and 255 is not of a class."""

_COLUMNS = ("id", "name", "colour", "place", "merged_into", "removed")


class Classes:
    """The classes of today, in order; those merged into others and those removed keep their ids.

    Whoever changes them does so in a transaction (`Project.transaction`) in which he looked at them.
    """

    def __init__(self, database: Database, *, models: Models) -> None:
        self._database, self._models = database, models
        self._noted: int | None = None

    @property
    def scheme(self) -> ClassScheme:
        """The classes as they are now; ProjectError when they are damaged."""
        with rows.damage_explained():
            found = self._rows()
            names: dict[int | None, str] = {one.id: one.name for one in self.all()}
            labels = self._database.all("SELECT * FROM label_class ORDER BY place")
            return ClassScheme(
                labels=tuple(
                    LabelClass(str(row["name"]), names.get(_followed(row["class_id"], found))) for row in labels
                ),
                masks=tuple(MaskClass(one.name, one.colour) for one in self.all()),
            )

    def check(self) -> None:
        """Raise ProjectError when they are damaged."""
        _ = self.scheme, self.values()

    def begin_with(self, scheme: ClassScheme) -> None:
        """Keep the classes that a project begins with, within the transaction that makes it."""
        for number, mask in enumerate(scheme.masks):
            self._database.insert("class", id=number + 1, name=mask.name, colour=mask.colour, place=number)
        for number, label in enumerate(scheme.labels):
            class_id = None if label.mask is None else scheme.mask_value(label.mask)
            self._database.insert("label_class", place=number, name=label.name, class_id=class_id)

    def all(self) -> tuple[ClassRecord, ...]:
        """The mask classes of today; the i-th has the mask value i + 1."""
        present = [row for row in self._rows().values() if row["merged_into"] is None and not row["removed"]]
        return tuple(rows.class_of(row) for row in sorted(present, key=lambda row: row["place"]))

    def count_ever(self) -> int:
        """How many ids are taken."""
        return len(self._rows())

    def values(self) -> ClassValues:
        """How ids in the files of masks become values of today, and the other way round."""
        with rows.damage_explained():
            found, present = self._rows(), [one.id for one in self.all()]
            ends = {number: _followed(number, found) for number in found}
            return ClassValues.of(
                present, {number: end for number, end in ends.items() if end is not None}, ever=frozenset(found)
            )

    def revision(self) -> int:
        """Another number after each change, and after each that was taken back."""
        row = self._database.one("SELECT COALESCE(MAX(id), 0) + COUNT(*) + COUNT(undone) AS revision FROM class_change")
        revision: int = row["revision"]
        return revision

    def note_values(self) -> None:
        """Note that somebody is given mask values as of now, and may give some back (`check_noted`)."""
        self._noted = self.revision()

    def check_noted(self) -> None:
        """Raise ProjectError where values that were given since then may mean other classes by now."""
        if self._noted is not None:
            self.check_revision(self._noted)

    def check_revision(self, revision: int) -> None:
        """Raise ProjectError where the classes are not as they were at a revision."""
        if self.revision() != revision:
            raise ProjectError(
                tr("The classes of the project were changed meanwhile."),
                advice=tr("Start again with what you were doing: what was saved is kept."),
            )

    # --- changes ------------------------------------------------------------------------------------------------------

    def changes(self) -> list[ClassChangeRecord]:
        """All that was changed, oldest first; what was taken back too."""
        return [rows.class_change_of(row) for row in self._database.all("SELECT * FROM class_change ORDER BY id")]

    def add(self, name: str, colour: str) -> None:
        """Add a class, the last one."""
        with self._changed(ClassChangeKind.ADD, name=name):
            number, place = self.count_ever() + 1, max((row["place"] for row in self._rows().values()), default=-1) + 1
            self._database.insert("class", id=number, name=name, colour=colour, place=place)

    def rename(self, class_id: int, name: str) -> None:
        """Call a class another name."""
        with self._changed(ClassChangeKind.RENAME, name=self._name(class_id), to=name):
            self._database.update("class", class_id, name=name)

    def recolour(self, class_id: int, colour: str) -> None:
        """Give a class another colour."""
        with self._changed(ClassChangeKind.RECOLOUR, name=self._name(class_id), to=colour):
            self._database.update("class", class_id, colour=colour)

    def reorder(self, class_ids: Sequence[int]) -> None:
        """Put the classes of today into this order."""
        with self._changed(ClassChangeKind.REORDER):
            for place, class_id in enumerate(class_ids):
                self._database.update("class", class_id, place=place)

    def merge(self, class_id: int, *, into: int) -> None:
        """Let all that is of a class count as another from now on."""
        with self._changed(ClassChangeKind.MERGE, name=self._name(class_id), to=self._name(into)):
            self._database.update("class", class_id, merged_into=into)

    def remove(self, class_id: int) -> None:
        """Take a class away: of pixels that are of it nobody says anything any more."""
        with self._changed(ClassChangeKind.REMOVE, name=self._name(class_id)):
            self._database.update("class", class_id, removed=1)

    def undo(self) -> ClassChangeRecord | None:
        """Take the last change back that was not yet; None when there is none. The id of a class once added stays."""
        with self._database.transaction():
            row = self._database.first("SELECT * FROM class_change WHERE undone IS NULL ORDER BY id DESC LIMIT 1")
            if row is None:
                return None
            self._bind_models()
            with rows.damage_explained():
                before = {int(one["id"]): one for one in json.loads(row["before"])}
            for class_id in self._rows():
                self._database.update("class", class_id, **before.get(class_id, {"removed": 1}))
            self._database.update("class_change", row["id"], undone=timestamp())
        return rows.class_change_of(row)

    @contextmanager
    def _changed(self, kind: ClassChangeKind, **detail: str) -> Iterator[None]:
        """Journal a change: what it was, and the whole table as it was before."""
        with self._database.transaction():
            self._bind_models()
            before = json.dumps([{column: row[column] for column in _COLUMNS} for row in self._rows().values()])
            yield
            self._database.insert(
                "class_change", kind=kind, detail=json.dumps(detail), before=before, created=timestamp()
            )

    # --- models -------------------------------------------------------------------------------------------------------

    def of_model(self, model_id: int, names: Sequence[str]) -> tuple[int | None, ...]:
        """The ids of the classes of a model, which calls them so; None for one that the project never had.

        What was settled before the first change of classes since it came stays; until then they go by their names.
        """
        bound = {
            row["value"]: row["class_id"]
            for row in self._database.all("SELECT * FROM model_class WHERE model_id = ?", model_id)
        }
        if bound:
            return tuple(bound.get(number) for number in range(1, len(names) + 1))
        present = {one.name: one.id for one in self.all()}
        called = (class_called(name, tuple(present)) for name in names)
        return tuple(None if own is None else present[own] for own in called)

    def values_of_model(self, model_id: int, names: Sequence[str]) -> tuple[int, ...]:
        """The mask values of today of those classes; 0 for one that there is not, or not any more."""
        shown = self.values().shown
        return tuple(0 if own is None else int(shown[own]) for own in self.of_model(model_id, names))

    def bind(self, model_id: int, class_ids: Sequence[int | None]) -> None:
        """Settle which classes a model means by its own, in their order."""
        with self._database.transaction():
            for number, class_id in enumerate(class_ids):
                self._database.insert("model_class", model_id=model_id, value=number + 1, class_id=class_id)

    def _bind_models(self) -> None:
        """Settle the classes of all models by the names of now, as far as they are not settled."""
        settled = {row["model_id"] for row in self._database.all("SELECT DISTINCT model_id FROM model_class")}
        for model in self._models.all():
            if model.id not in settled:
                try:
                    names = load_card(model.folder).scheme.mask_names
                except ModelError:
                    continue
                self.bind(model.id, self.of_model(model.id, names))

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _rows(self) -> dict[int, rows.Row]:
        return {row["id"]: row for row in self._database.all("SELECT * FROM class ORDER BY id")}

    def _name(self, class_id: int) -> str:
        return str(self._database.one("SELECT name FROM class WHERE id = ?", class_id)["name"])


def _followed(class_id: int | None, found: dict[int, Any]) -> int | None:
    """The class that one counts as now; None for one that was removed, or none."""
    seen: set[int] = set()
    while class_id is not None and class_id not in seen:
        seen.add(class_id)
        row = found[class_id]
        if row["merged_into"] is None:
            return None if row["removed"] else class_id
        class_id = row["merged_into"]
    return None
