"""The slides of a project: which there are, where their files lie, what people said of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.store import rows
from histoloop.store.fingerprint import find_by_fingerprint, fingerprint
from histoloop.store.project_database import timestamp
from histoloop.store.project_part import ProjectPart
from histoloop.store.schema import SELECT_SLIDES

if TYPE_CHECKING:
    from histoloop.store.records import SlideLabel, SlideRecord


class ProjectSlides(ProjectPart):
    """Slides, by reference to their files."""

    def add_slide(self, path: Path, *, width: int, height: int, mpp: float | None, vendor: str) -> SlideRecord:
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
                self._database.run("UPDATE slide SET removed = NULL WHERE id = ?", slide_id)
            elif lost := [slide for slide in self.slides() if not slide.found and slide.fingerprint == content]:
                slide_id = lost[0].id
                self._point_slide(slide_id, path)
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
        return self.slide(slide_id)

    def slides(self) -> list[SlideRecord]:
        """The slides, in the order they were added."""
        return [rows.slide_of(row) for row in self._database.all(f"{SELECT_SLIDES} ORDER BY slide.id")]

    def slide(self, slide_id: int) -> SlideRecord:
        """One slide."""
        return rows.slide_of(self._database.one(f"{SELECT_SLIDES} AND slide.id = ?", slide_id))

    def remove_slide(self, slide_id: int) -> None:
        """Take a slide out of the project with its annotations and queries; adding its file again brings them back."""
        self._set_slide(slide_id, "removed", timestamp())

    def set_mpp(self, slide_id: int, mpp: float) -> None:
        """Say how many micrometres a level-0 pixel of the slide is wide.

        Maps and predictions that were made at another resolution no longer count.
        """
        if not mpp > 0:
            raise ValueError(f"mpp must be positive, not {mpp}")
        before = self.slide(slide_id).mpp
        with self._database.transaction():
            self._database.run("UPDATE slide SET mpp = ? WHERE id = ?", mpp, slide_id)
            if before != mpp:
                self._database.run("DELETE FROM map WHERE slide_id = ?", slide_id)
                self._database.run("DELETE FROM prediction WHERE slide_id = ?", slide_id)

    def set_tissue(self, slide_id: int, tissue_px: float) -> None:
        """Keep how much tissue the slide has, in level-0 pixels."""
        self._set_slide(slide_id, "tissue_px", tissue_px)

    def set_slide_label(self, slide_id: int, label: str | None, *, person: str) -> None:
        """Say what the whole slide is, in the words of the scheme; None takes it back. What was said before is kept."""
        self._check_label(label)
        self.slide(slide_id)
        with self._database.transaction():
            self._database.insert("slide_label", slide_id=slide_id, label=label, person=person, created=timestamp())

    def slide_label(self, slide_id: int) -> SlideLabel | None:
        """What the whole slide is, by whom and when that was said; None while nobody said it, or took it back."""
        said = self.slide_labels(slide_id)
        return said[-1] if said and said[-1].label is not None else None

    def slide_labels(self, slide_id: int) -> list[SlideLabel]:
        """Everything that was ever said of the whole slide, oldest first."""
        self.slide(slide_id)
        found = self._database.all("SELECT * FROM slide_label WHERE slide_id = ? ORDER BY id", slide_id)
        return [rows.slide_label_of(row) for row in found]

    def relocate(self, slide_id: int, path: Path) -> SlideRecord:
        """Say where the file of a slide is now; ProjectError when it is another slide's."""
        path = path.absolute()
        _check_same(path, self.slide(slide_id).fingerprint, fingerprint(path))
        with self._database.transaction():
            self._point_slide(slide_id, path)
        return self.slide(slide_id)

    def find_moved(self, folder: Path) -> list[SlideRecord]:
        """Look under `folder` for the slides whose files are missing, by fingerprint; the slides found again."""
        found = [
            (slide, path)
            for slide in self.slides()
            if not slide.found and (path := find_by_fingerprint(slide.fingerprint, folder.absolute()))
        ]
        return [self.relocate(slide.id, path) for slide, path in found]

    def _set_slide(self, slide_id: int, column: str, value: float | str) -> None:
        self.slide(slide_id)
        with self._database.transaction():
            self._database.run(f"UPDATE slide SET {column} = ? WHERE id = ?", value, slide_id)

    def _point_slide(self, slide_id: int, path: Path) -> None:
        values = (str(path), self._relative(path), path.name, slide_id)
        self._database.run("UPDATE slide SET path = ?, relative_path = ?, name = ? WHERE id = ?", *values)

    def _relative(self, path: Path) -> str | None:
        """The path as seen from the project, so that both can move together; None between drives of Windows."""
        try:
            return Path(os.path.relpath(path, self.folder)).as_posix()
        except ValueError:
            return None

    def _follow_own_move(self) -> None:
        """Find the slides that were moved together with the project folder."""
        lost = {slide.id: slide for slide in self.slides() if not slide.found}
        for row in self._database.all("SELECT id, relative_path FROM slide WHERE relative_path IS NOT NULL"):
            path = Path(os.path.normpath(self.folder / row["relative_path"]))
            if row["id"] in lost and path.is_file() and fingerprint(path) == lost[row["id"]].fingerprint:
                self.relocate(row["id"], path)


def _check_same(path: Path, expected: str, found: str) -> None:
    if found != expected:
        advice = tr("Choose the file that was added to the project, or add this one as a slide of its own.")
        raise ProjectError(tr("{path} is not the slide it should be: its content differs.", path=path), advice=advice)
