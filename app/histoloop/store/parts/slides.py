"""The slides of a project: which there are, where their files lie, the labels that people gave them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store import rows
from histoloop.store.fingerprint import find_by_fingerprint, fingerprint
from histoloop.store.parts.checks import check_label
from histoloop.store.project_database import timestamp
from histoloop.store.schema import SELECT_SLIDES

if TYPE_CHECKING:
    from histoloop.annotations.records import ClassScheme
    from histoloop.store.parts.maps import Maps
    from histoloop.store.parts.predictions import Predictions
    from histoloop.store.project_database import Database
    from histoloop.store.records import SlideLabel, SlideRecord


class Slides:
    """Slides, by reference to their files, which are opened only where a method states it."""

    def __init__(
        self, project_folder: Path, database: Database, *, scheme: ClassScheme, maps: Maps, predictions: Predictions
    ) -> None:
        self._project_folder, self._database, self._scheme = project_folder, database, scheme
        self._maps, self._predictions = maps, predictions

    def add(self, path: Path, *, width: int, height: int, mpp: float | None, vendor: str) -> SlideRecord:
        """Refer to a slide file; one that is here already is returned as it is, one that was removed comes back.

        A missing slide of the project with the same fingerprint is taken to have moved here. Raises SlideError when
        the file cannot be read, ProjectError when its content is no longer what the project knows by this path.
        """
        path = path.absolute()
        content = fingerprint(path)
        with self._database.transaction():
            if known := self._database.first("SELECT * FROM slide WHERE path = ?", str(path)):
                _check_same(path, known["fingerprint"], content)
                slide_id: int = known["id"]
                self._database.update("slide", slide_id, removed=None)
            elif lost := [slide for slide in self._of_content(content) if not slide.exists()]:
                slide_id = lost[0].id
                self._point(slide_id, path)
            else:
                slide_id = self._database.insert(
                    "slide",
                    path=str(path),
                    relative_path=self._relative(path),
                    name=path.name,
                    fingerprint=content,
                    width=width,
                    height=height,
                    mpp=mpp,
                    vendor=vendor,
                    added=timestamp(),
                )
        return self.get(slide_id)

    def all(self) -> list[SlideRecord]:
        """The slides, in the order they were added, with what people and the current model say of them."""
        return [rows.slide_of(row) for row in self._database.all(f"{SELECT_SLIDES} ORDER BY slide.id")]

    def get(self, slide_id: int) -> SlideRecord:
        """One slide."""
        return rows.slide_of(self._database.one(f"{SELECT_SLIDES} AND slide.id = ?", slide_id))

    def remove(self, slide_id: int) -> None:
        """Take a slide out of the project with its annotations and queries; adding its file again brings them back."""
        self._set(slide_id, removed=timestamp())

    def set_mpp(self, slide_id: int, mpp: float) -> None:
        """Set how many micrometres a level-0 pixel of the slide is wide.

        Maps and predictions that were made at another resolution no longer count.
        """
        if not mpp > 0:
            raise ValueError(f"mpp must be positive, not {mpp}")
        before = self.get(slide_id).mpp
        with self._database.transaction():
            self._set(slide_id, mpp=mpp)
            if before != mpp:
                self._maps.forget(slide_id)
                self._predictions.forget(slide_id)

    def set_tissue(self, slide_id: int, tissue_px: float) -> None:
        """Keep how much tissue the slide has, in level-0 pixels."""
        self._set(slide_id, tissue_px=tissue_px)

    def set_label(self, slide_id: int, label: str | None, *, person: str) -> None:
        """Label the whole slide, in the words of the scheme; None takes it back. Labels given before are kept."""
        check_label(label, self._scheme)
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
        """The slides whose files are not where they were; looks for each of them."""
        return [slide for slide in self.all() if not slide.exists()]

    def relocate(self, slide_id: int, path: Path) -> SlideRecord:
        """Set where the file of a slide is now; ProjectError when it is another slide's."""
        path = path.absolute()
        _check_same(path, self.get(slide_id).fingerprint, fingerprint(path))
        with self._database.transaction():
            self._point(slide_id, path)
        return self.get(slide_id)

    def find_moved(self, folder: Path) -> list[SlideRecord]:
        """Look under `folder` for the slides whose files are missing, by fingerprint; the slides found again."""
        found = [
            (slide, path)
            for slide in self.missing()
            if (path := find_by_fingerprint(slide.fingerprint, folder.absolute(), outside=self._project_folder))
        ]
        return [self.relocate(slide.id, path) for slide, path in found]

    def follow_project(self) -> None:
        """Find the slides that were moved together with the project's folder.

        While the project is where it was, each slide is where it is as seen from there, and no file is opened.
        """
        for row in self._database.all(
            "SELECT id, path, relative_path, fingerprint FROM slide WHERE removed IS NULL AND relative_path IS NOT NULL"
        ):
            path = Path(os.path.normpath(self._project_folder / row["relative_path"]))
            moved = path != Path(row["path"]) and not Path(row["path"]).is_file() and path.is_file()
            if moved and fingerprint(path) == row["fingerprint"]:
                self.relocate(row["id"], path)

    def _of_content(self, content: str) -> list[SlideRecord]:
        found = self._database.all(f"{SELECT_SLIDES} AND slide.fingerprint = ? ORDER BY slide.id", content)
        return [rows.slide_of(row) for row in found]

    def _set(self, slide_id: int, **values: float | str) -> None:
        self.get(slide_id)
        with self._database.transaction():
            self._database.update("slide", slide_id, **values)

    def _point(self, slide_id: int, path: Path) -> None:
        self._database.update("slide", slide_id, path=str(path), relative_path=self._relative(path), name=path.name)

    def _relative(self, path: Path) -> str | None:
        """The path as seen from the project, so that both can move together; None between drives of Windows."""
        try:
            return Path(os.path.relpath(path, self._project_folder)).as_posix()
        except ValueError:
            return None


def _check_same(path: Path, expected: str, found: str) -> None:
    if found != expected:
        advice = tr("Choose the file that was added to the project, or add this one as a slide of its own.")
        raise ProjectError(tr("{path} is not the slide it should be: its content differs.", path=path), advice=advice)
