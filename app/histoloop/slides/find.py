"""Slide files in folders, and why other files there are none."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from histoloop.language import tr
from histoloop.slides.dicom import DicomFile, is_dicom, read_dicom

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
"""Endings of plain pictures."""

SLIDE_SUFFIXES = PICTURE_SUFFIXES | {
    ".svs", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".svslide", ".bif", ".czi", ".dcm",
    ".qptiff", ".btf", ".tf2", ".tf8", ".jp2",
}  # fmt: skip
"""Endings that folders are searched for. DICOM files are found whatever they are called."""

_OTHER_SUFFIXES = frozenset({
    ".csv", ".tsv", ".xls", ".xlsx", ".ods", ".txt", ".md", ".rtf", ".pdf", ".doc", ".docx", ".odt", ".html", ".htm",
    ".xml", ".json", ".geojson", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".log", ".db", ".sqlite",
    ".qpdata", ".qpproj", ".zip", ".gz", ".tar", ".7z", ".rar",
    ".py", ".groovy", ".sh", ".bat", ".npy", ".npz", ".h5", ".pt", ".pth",
    ".safetensors", ".histoloop", ".md5", ".sha256", ".sql", ".lnk", ".url", ".tmp", ".bak", ".partial",
})  # fmt: skip
"""Endings of what lies beside slides and is none."""

LARGEST_FRAME_PX = 16_000_000
_LONGEST_TEXT = 1_000_000

_UID = re.compile(r"(?:\d+\.){4,}\d+")
"""Five numbers with dots between, or more."""

_Series = dict[str, list[tuple[Path, DicomFile]]]

Why = Literal["ending", "mask", "hidden", "part", "same file", "no slide", "no file", "unreadable"]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file (or a whole folder) that is not taken for a slide: `why` for programs, `reason` for people."""

    path: Path
    why: Why
    reason: str

    @property
    def is_failure(self) -> bool:
        """Whether it may be a slide that is not understood: it cannot be read, or its ending says nothing."""
        if self.why == "ending":
            return self.path.suffix.lower() not in _OTHER_SUFFIXES
        return self.why in ("unreadable", "no file")


@dataclass(frozen=True, slots=True)
class Search:
    """Slides in the order they were found, and what was passed over."""

    slides: tuple[Path, ...]
    passed_over: tuple[PassedOver, ...]


def find_slides(paths: Iterable[Path]) -> list[Path]:
    """Slide files among files and, recursively, folders; sorted, each once.

    Files named outright are kept whatever they are called. In folders, hidden files, other kinds, masks
    (`*_anno.*`, `*_mask.*`, `*-mask.*`) and what belongs to a .mrxs or .vms slide are passed over. Links to files and
    folders are followed. The files of a DICOM series in a folder, named outright or not, are one slide: the file of its
    largest level.
    """
    return list(search_slides(paths).slides)


def search_slides(paths: Iterable[Path]) -> Search:
    """What `find_slides` finds, and what it passes over with the reasons."""
    slides: dict[Path, None] = {}
    passed_over: list[PassedOver] = []
    series: dict[Path, _Series] = {}
    for path in paths:
        if os.path.isdir(path):
            found = _Folder(path)
            slides.update(dict.fromkeys(found.slides()))
            passed_over += found.passed_over
        elif (described := _slide_part(path)) is None:
            slides[path] = None
        else:
            if path.parent not in series:
                series[path.parent] = _series_in(path.parent)
            first = _first_of(series[path.parent].get(described.series) or [(path, described)])
            slides[first] = None
            if first != path:
                passed_over.append(_part_of(path, first))
    return Search(tuple(slides), tuple(passed_over))


def slide_of(path: Path) -> Path:
    """The file that stands for a slide: of a file of a DICOM series, or a folder with one series, its largest level."""
    if os.path.isdir(path):
        return _only_series(path) or path
    return search_slides([path]).slides[0]


def slide_name(path: Path) -> str:
    """What a person calls a slide: the name of its file.

    Of a DICOM series, which has many, what is written on the glass (its container's identifier), else the descriptions
    of study and series, else the name of its folder; where the folder holds several series, that of the file is added.
    What looks like a UID is taken only where there is nothing else.
    """
    if (described := _slide_part(path)) is None:
        return path.name
    folder = path.absolute().parent
    own = folder.name if _only_series(folder) is not None else f"{folder.name}/{path.name}"
    words = (word for word in (described.study, described.description) if word and not _UID.search(word))
    names = [described.container, ", ".join(dict.fromkeys(words)), own, path.stem, folder.parent.name]
    return next((name for name in names if name and not _UID.search(name)), own)


def case_in_file(path: Path) -> str:
    """The pseudonym of the patient that a DICOM file states; '' of other files, and where it may be a real number.

    It counts as a pseudonym only where the file states that the patient's identity was removed (0012,0062).
    """
    described = _slide_part(path)
    return "" if described is None else described.patient


def files_of_slide(path: Path) -> tuple[Path, ...]:
    """The files whose content makes a slide what it is, the one that stands for it first; `path` alone for most kinds.

    Of a DICOM series the files of its levels, of MIRAX also the folder's Slidedat.ini with the slide's own id, of .vms
    and .vmu also the pictures that they name.
    """
    ending = path.suffix.lower()
    if ending == ".mrxs":
        parts = [path.with_suffix("") / "Slidedat.ini"]
    elif ending in (".vms", ".vmu"):
        parts = sorted(set(_named_in(path)))
    elif (described := _slide_part(path)) is not None:
        series = _series_in(path.parent).get(described.series, [])
        parts = [file for file, one in series if one.is_level and file != path]
    else:
        parts = []
    return (path, *(part for part in parts if _is_regular(part)))


def _only_series(folder: Path) -> Path | None:
    """The file that stands for the series of a folder; None where it holds none or several."""
    series = _series_in(folder)
    return _first_of(next(iter(series.values()))) if len(series) == 1 else None


def _slide_part(path: Path) -> DicomFile | None:
    """The tags of a DICOM file of a whole slide; None for all other files."""
    described = read_dicom(path) if _is_regular(path) else None
    return described if described is not None and described.is_slide else None


def _series_in(folder: Path) -> _Series:
    """The DICOM files of whole slides in a folder, by their series."""
    series: _Series = {}
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return series
    for file in files:
        if (described := _slide_part(file)) is not None:
            series.setdefault(described.series, []).append((file, described))
    return series


def has_huge_frames(path: Path) -> bool:
    """Whether a file of the DICOM series of a file states frames that no scanner makes."""
    described = _slide_part(path)
    series = _series_in(path.parent).get(described.series, []) if described else []
    return any(file.frame_px > LARGEST_FRAME_PX for _, file in series)


def _part_of(path: Path, slide: Path) -> PassedOver:
    return PassedOver(path, "part", tr("it belongs to the slide {slide}", slide=slide_name(slide)))


def _first_of(files: list[tuple[Path, DicomFile]]) -> Path:
    """The file of the largest level; of one that is split over files the first part."""

    def rank(entry: tuple[Path, DicomFile]) -> tuple[bool, int, int, int, str]:
        path, file = entry
        return not file.is_level, -file.columns * file.rows, file.part, file.instance, path.name

    return min(files, key=rank)[0]


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


class _Folder:
    """A folder that is searched with all below it; `passed_over` is complete once all slides were given."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self.passed_over: list[PassedOver] = []

    def slides(self) -> list[Path]:
        """Slides by their paths."""
        files = sorted(self._files())
        parts = _parts_of_slides(files)
        kept: list[Path] = []
        known: dict[tuple[int, int], Path] = {}
        series: dict[tuple[Path, str], list[tuple[Path, DicomFile]]] = {}
        for file in files:
            if file in parts:
                self.passed_over.append(_part_of(file, parts[file]))
            elif not (self._is_slide(file) and self._is_new(file, known)):
                continue
            elif (described := self._dicom(file)) is None:
                kept.append(file)
            elif described.is_slide:
                series.setdefault((file.parent, described.series), []).append((file, described))
            else:
                self._pass_over(file, "no slide", tr("it is a DICOM file, but not of a slide"))
        for entries in series.values():
            first = _first_of(entries)
            kept.append(first)
            self.passed_over += [_part_of(file, first) for file, _ in entries if file != first]
        return sorted(kept)

    def _files(self) -> Iterator[Path]:
        """All files below but hidden ones and folders of .mrxs slides; links are followed, each folder once."""
        seen: set[tuple[int, int]] = set()
        waiting = [self._root]
        while waiting:
            folder = waiting.pop()
            try:
                here = folder.stat()
                entries = sorted(folder.iterdir())
            except OSError:
                self._pass_over(folder, "unreadable", tr("you may not read it"))
                continue
            if (here.st_dev, here.st_ino) in seen:
                continue
            seen.add((here.st_dev, here.st_ino))
            companions = {entry.with_suffix("") for entry in entries if entry.suffix.lower() == ".mrxs"}
            for entry in entries:
                if entry.name.startswith("."):
                    self._pass_over(entry, "hidden", tr("it is hidden"))
                elif entry in companions and entry.is_dir():
                    self.passed_over.append(_part_of(entry, entry.with_name(f"{entry.name}.mrxs")))
                elif entry.is_dir():
                    waiting.insert(0 if entry.is_symlink() else len(waiting), entry)  # links last
                else:
                    yield entry

    def _is_slide(self, file: Path) -> bool:
        if not _is_regular(file):
            self._pass_over(file, "no file", tr("it is not a file, or a link to a missing one"))
        elif file.suffix.lower() not in SLIDE_SUFFIXES and not is_dicom(file):
            self._pass_over(file, "ending", tr("its file extension is not that of a slide format"))
        elif file.stem.lower().endswith(("_anno", "_mask", "-mask")):
            self._pass_over(file, "mask", tr("its name suggests that it is a mask"))
        else:
            return True
        return False

    def _is_new(self, file: Path, known: dict[tuple[int, int], Path]) -> bool:
        """Whether no link to the same file was found before."""
        at = file.stat()
        first = known.setdefault((at.st_dev, at.st_ino), file) if at.st_ino else file
        if first != file:
            self._pass_over(file, "same file", tr("it is the same file as {other}", other=first.name))
        return first == file

    def _dicom(self, file: Path) -> DicomFile | None:
        return read_dicom(file) if file.suffix.lower() == ".dcm" or file.suffix.lower() not in SLIDE_SUFFIXES else None

    def _pass_over(self, path: Path, why: Why, reason: str) -> None:
        self.passed_over.append(PassedOver(path, why, reason))


def _parts_of_slides(files: Iterable[Path]) -> dict[Path, Path]:
    """The pictures that Hamamatsu .vms and .vmu slides are made of, and their slides."""
    return {
        part: file
        for file in files
        if file.suffix.lower() in (".vms", ".vmu") and _is_regular(file)
        for part in _named_in(file)
    }


def _named_in(file: Path) -> Iterator[Path]:
    """The files that the text of a .vms or .vmu slide names, one a line."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_LONGEST_TEXT).decode("latin-1")
    except OSError:
        return
    for line in text.splitlines():
        name = line.partition("=")[2].strip().strip("\0")
        if name:
            yield file.parent / name
