"""The slides of a project: which there are, where their files lie, the labels that people gave them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import ReplacedSlideError, SlideError
from histoloop.slides.dicom import is_dicom
from histoloop.slides.find import case_in_file, slide_name
from histoloop.store import rows
from histoloop.store.fingerprint import (
    FINGERPRINT_VERSION,
    find_by_fingerprint,
    fingerprint,
    first_fingerprint,
    has_content,
    is_part_of_same_series,
    is_same_slide,
)
from histoloop.store.parts.checks import check_label
from histoloop.store.project_database import timestamp
from histoloop.store.records import MppFrom, SlideFile
from histoloop.store.schema import CASE_OF, SELECT_SLIDES
from histoloop.store.slide_names import unique_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.store.parts.classes import Classes
    from histoloop.store.parts.maps import Maps
    from histoloop.store.parts.predictions import Predictions
    from histoloop.store.project_database import Database
    from histoloop.store.records import SlideLabel, SlideRecord
    from histoloop.store.rows import Row


_PERHAPS_ALIKE = """SELECT id, path, name FROM slide WHERE removed IS NULL
    AND (name = ? COLLATE NOCASE OR name GLOB '*[^ -~]*')"""
"""Slides whose name may be this one, folded to small letters: SQLite folds those of ASCII alone."""

_OF_EARLIER_VERSION = f"""SELECT 1 FROM slide WHERE fingerprint GLOB :size || '*'
    AND NOT fingerprint GLOB :size || '{FINGERPRINT_VERSION}-*' LIMIT 1"""


class Slides:
    """Slides, by reference to their files, which are opened only where a method states it."""

    def __init__(
        self, project_folder: Path, database: Database, *, classes: Classes, maps: Maps, predictions: Predictions
    ) -> None:
        self._project_folder, self._database, self._classes = project_folder, database, classes
        self._maps, self._predictions = maps, predictions
        self._version: tuple[int, int] | None = None
        self._known: dict[int, tuple[tuple[object, ...], SlideRecord]] = {}
        """The slides as of that version of the database, each with the row it is of and its name."""

    def add(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        mpp: float | None,
        vendor: str,
        mpp_from: MppFrom = MppFrom.NOT_KEPT,
        objective: float | None = None,
    ) -> SlideRecord:
        """Refer to a slide file; one that is here already is returned as it is, one that was removed comes back.

        A slide is its content: where its own file is not in its place any more, another file of that content is where
        it has moved. A link to its file is the slide, and so is a copy of a DICOM series; a copy of any other file is a
        slide of its own (`copies_of`). Raises SlideError when the file cannot be read, or when its content is no longer
        what the project knows by this path.
        """
        path = path.absolute()
        content = fingerprint(path)
        with self._database.transaction():
            if known := self._database.first("SELECT * FROM slide WHERE path = ?", str(path)):
                _check_content(path, known["fingerprint"])
                slide_id: int = known["id"]
                self._database.update("slide", slide_id, removed=None)
            elif (same := self._of_content(path)) is not None:
                slide_id = same["id"]
                if same["removed"] is not None or not _is_in_place(same):
                    self._point(slide_id, path)
                self._database.update("slide", slide_id, removed=None)
            else:
                slide_id = self._database.insert(
                    "slide",
                    path=str(path),
                    relative_path=self._relative(path),
                    name=slide_name(path),
                    fingerprint=content,
                    width=width,
                    height=height,
                    mpp=mpp,
                    vendor=vendor,
                    mpp_from=mpp_from if mpp is not None else MppFrom.NOT_KEPT,
                    objective=objective,
                    added=timestamp(),
                )
            if is_dicom(path) and (case := case_in_file(path)):
                key, value = f"{CASE_OF}{content}", json.dumps(case)
                self._database.run("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", key, value)
        return self.get(slide_id)

    def find(self, path: Path) -> SlideRecord | None:
        """The slide that a file is: of this path, a link to it, or where it has moved; None where it is a new one.

        Raises SlideError when the file cannot be read, or has another content than the slide of its path.
        """
        path = path.absolute()
        known: Row | None = self._database.first("SELECT * FROM slide WHERE path = ? AND removed IS NULL", str(path))
        if known is not None:
            _check_content(path, known["fingerprint"])
        else:
            known = self._of_content(path)
        return None if known is None or known["removed"] is not None else self.get(known["id"])

    def copies_of(self, slide_id: int) -> list[SlideRecord]:
        """The other slides of the same content."""
        same = self._database.all(
            """SELECT other.id FROM slide AS own JOIN slide AS other ON other.fingerprint = own.fingerprint
            WHERE own.id = ? AND other.id <> own.id AND other.removed IS NULL ORDER BY other.id""",
            slide_id,
        )
        return [self.get(row["id"]) for row in same]

    def all(self) -> list[SlideRecord]:
        """The slides, in the order they were added, with people's annotations and the current model's predictions.

        Their names tell them apart: where several are alike, their folders are in front. While nobody changes the
        database it is asked once, and afterwards what is the same is not read again.
        """
        version = self._database.version()
        if version is None or version != self._version:
            found = self._database.all(f"{SELECT_SLIDES} ORDER BY slide.id")
            names = unique_names([(row["path"], row["name"]) for row in found])
            self._known = {row["id"]: self._kept(row, name) for row, name in zip(found, names, strict=True)}
            self._version = version
        return [record for _values, record in self._known.values()]

    def _kept(self, row: Row, name: str) -> tuple[tuple[object, ...], SlideRecord]:
        values = (*row, name)
        known = self._known.get(row["id"])
        return known if known is not None and known[0] == values else (values, rows.slide_of(row, name=name))

    def get(self, slide_id: int) -> SlideRecord:
        """One slide, named as in `all`."""
        row = self._database.one(f"{SELECT_SLIDES} AND slide.id = ?", slide_id)
        folded = row["name"].casefold()
        alike = [
            (other["id"], other["path"], other["name"])
            for other in self._database.all(_PERHAPS_ALIKE, folded)
            if other["name"].casefold() == folded
        ]
        names = unique_names([(path, name) for _id, path, name in alike])
        return rows.slide_of(row, name=names[[own for own, _path, _name in alike].index(slide_id)])

    def remove(self, slide_id: int) -> None:
        """Take a slide out of the project with its annotations and queries; adding its file again brings them back."""
        self._set(slide_id, removed=timestamp())

    def set_mpp(self, slide_id: int, mpp: float, *, mpp_from: MppFrom = MppFrom.GIVEN) -> None:
        """Set how many micrometres a level-0 pixel of the slide is wide, and where that is from.

        Maps and predictions that were made at another resolution no longer count.
        """
        if not mpp > 0:
            raise ValueError(f"mpp must be positive, not {mpp}")
        before = self.get(slide_id).mpp
        with self._database.transaction():
            self._set(slide_id, mpp=mpp, mpp_from=mpp_from)
            if before != mpp:
                self._maps.forget(slide_id)
                self._predictions.forget(slide_id)

    def set_tissue(self, slide_id: int, tissue_px: float) -> None:
        """Keep how much tissue the slide has, in level-0 pixels."""
        self._set(slide_id, tissue_px=tissue_px)

    def set_label(self, slide_id: int, label: str | None, *, person: str) -> None:
        """Label the whole slide, in the words of the scheme; None takes it back. Labels given before are kept."""
        check_label(label, self._classes.scheme)
        self.get(slide_id)
        with self._database.transaction():
            self._database.insert("slide_label", slide_id=slide_id, label=label, person=person, created=timestamp())

    def label_history(self, slide_id: int) -> list[SlideLabel]:
        """Every label that was ever given to the whole slide, oldest first."""
        self.get(slide_id)
        found = self._database.all("SELECT * FROM slide_label WHERE slide_id = ? ORDER BY id", slide_id)
        return [rows.slide_label_of(row) for row in found]

    # --- files ------------------------------------------------------------------------------------------------------

    def missing(self) -> list[SlideRecord]:
        """The slides whose files are not where they were, or have another size now; looks for each of them."""
        return [slide for slide in self.all() if slide.file() is not SlideFile.IN_PLACE]

    def relocate(self, slide_id: int, path: Path) -> SlideRecord:
        """Set where the file of a slide is now; SlideError when it has another content."""
        path = path.absolute()
        _check_content(path, self.get(slide_id).fingerprint)
        with self._database.transaction():
            self._point(slide_id, path)
        return self.get(slide_id)

    def find_moved(self, folder: Path) -> list[SlideRecord]:
        """Look under `folder` for the slides whose files are missing, by their content; the slides found again."""
        missing = self.missing()
        if not missing:
            return []
        wanted = {slide.fingerprint for slide in missing}
        found = find_by_fingerprint(wanted, folder.absolute(), outside=self._project_folder)
        moved: list[SlideRecord] = []
        for slide in missing:
            path = found.pop(slide.fingerprint, None)  # of two slides of one content the first
            if path is not None and self._database.first("SELECT 1 FROM slide WHERE path = ?", str(path)) is None:
                moved.append(self.relocate(slide.id, path))
        return moved

    def follow_project(self) -> None:
        """Find the slides that were moved together with the project's folder.

        While the project is where it was, each slide is where it is as seen from there, and no file is opened.
        """
        folder = str(self._project_folder)
        for row in self._database.all(
            "SELECT id, path, relative_path, fingerprint FROM slide WHERE removed IS NULL AND relative_path IS NOT NULL"
        ):
            seen_from_here = os.path.normpath(os.path.join(folder, row["relative_path"]))
            if seen_from_here == row["path"] or Path(row["path"]).is_file():
                continue
            path = Path(seen_from_here)
            if path.is_file() and has_content(path, row["fingerprint"]):
                self.relocate(row["id"], path)

    def _of_content(self, path: Path) -> Row | None:
        """The slide of the project that a file of the same content is; of several one that is in the project.

        That is one that was removed, one whose own file is not in its place, and one whose file this is by another
        name. A DICOM slide also where the file is of a copy of the series, whether that lacks levels or has more.
        """
        free = [
            row
            for row in self._of_same_content(path)
            if row["removed"] is not None or not _is_in_place(row) or is_same_slide(path, Path(row["path"]))
        ]
        return min(free, key=lambda row: (row["removed"] is not None, not _is_in_place(row)), default=None)

    def _of_same_content(self, path: Path) -> Sequence[Row]:
        """The slides, removed ones too, of a file's content; of a DICOM file also those of copies of its series.

        The database compares fingerprints; no other slide's file is opened, but those of DICOM slides of this size.
        """
        content = fingerprint(path)
        size = content.partition("-")[0]
        earlier = self._database.first(_OF_EARLIER_VERSION, size=f"{size}-") is not None
        contents = (content, first_fingerprint(path)) if earlier else (content, content)
        found = self._database.all("SELECT * FROM slide WHERE fingerprint IN (?, ?) ORDER BY id", *contents)
        if not is_dicom(path):
            return found
        known = {row["id"] for row in found}
        alike = self._database.all("SELECT * FROM slide WHERE fingerprint GLOB ? ORDER BY id", f"{size}-*")
        return [row for row in alike if row["id"] in known or is_part_of_same_series(path, Path(row["path"]))]

    def _set(self, slide_id: int, **values: float | str) -> None:
        self.get(slide_id)
        with self._database.transaction():
            self._database.update("slide", slide_id, **values)

    def _point(self, slide_id: int, path: Path) -> None:
        self._database.update(
            "slide", slide_id, path=str(path), relative_path=self._relative(path), name=slide_name(path)
        )

    def _relative(self, path: Path) -> str | None:
        """The path as seen from the project, so that both can move together; None between drives of Windows."""
        try:
            return Path(os.path.relpath(path, self._project_folder)).as_posix()
        except ValueError:
            return None


def _is_in_place(row: Row) -> bool:
    """Whether the file of a slide is there, and is it still."""
    try:
        return has_content(Path(row["path"]), row["fingerprint"])
    except SlideError:
        return False


def _check_content(path: Path, expected: str) -> None:
    if not has_content(path, expected):
        raise ReplacedSlideError(path)
