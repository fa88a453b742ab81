"""Names that tell the slides of a project apart."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = re.compile(r"(\d+)")

_CASES = (
    re.compile(r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}", re.IGNORECASE),
    re.compile(r"C3[LN]-\d{5}", re.IGNORECASE),
    re.compile(r"[A-Z]{1,3}\d{2}[-.]\d{3,}", re.IGNORECASE),
    re.compile(r"[A-Z]{1,4}\d{5,}(?=[-_ ])", re.IGNORECASE),
)
"""How names of slides begin: the patient of a TCGA or CPTAC barcode, a number of a laboratory (S19-1234, GT2012149).

Letters and digits alone are a case only where the name goes on: IMG00012.png is a picture that a camera counted.
"""

_CASE_FOLDER = re.compile(r"(case|patient|subject)([-_ ]\w+|\d\w*)", re.IGNORECASE)


def unique_names(slides: Sequence[tuple[str | Path, str]]) -> list[str]:
    """What each slide is called beside the others.

    Its own name, or with as few of its folders in front as tell it apart ('patient-1/slide.png'). Case does not count.
    `slides` are (path, own name); paths differ.
    """
    names = [name for _path, name in slides]
    alike: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        alike[name.casefold()].append(index)
    for group in alike.values():
        if len(group) > 1:
            for index, name in zip(
                group, _told_apart([(Path(slides[index][0]), slides[index][1]) for index in group]), strict=True
            ):
                names[index] = name
    return names


def natural_key(name: str) -> tuple[str | int, ...]:
    """To sort names as people count: 'slide 2' comes before 'Slide 10'."""
    return tuple(int(part) if part.isdecimal() else part.casefold() for part in _NUMBER.split(name))


def case_of(path: Path) -> str:
    """The case (patient) that a slide's file name begins with, or that the folder it lies in is called; '' where none.

    Two spellings of a number that differ in capitals alone are one case.
    """
    found = next((match for pattern in _CASES if (match := pattern.match(path.name))), None)
    found = found or _CASE_FOLDER.fullmatch(path.parent.name)
    return "" if found is None else found.group().upper() if found.re is not _CASE_FOLDER else found.group()


def case_of_slide(path: Path, name: str, stated: str) -> str:
    """The case that a slide is of: by its file or folder, by what it is called, else the one that its file states.

    What a DICOM slide is called is written on its glass (slides/find.py: slide_name).
    """
    return case_of(path) or case_of(Path(name)) or stated


def _told_apart(slides: Sequence[tuple[Path, str]]) -> list[str]:
    wholes = [_parts(path, name) for path, name in slides]
    same = Counter(tuple(whole) for whole in wholes)
    for (path, _name), whole in zip(slides, wholes, strict=True):
        if same[*whole] > 1:  # several DICOM series in a folder
            whole[-1] = f"{whole[-1]} ({path.name})"
    taken = [1] * len(wholes)
    while True:
        names = [PurePath(*whole[-count:]).as_posix() for whole, count in zip(wholes, taken, strict=True)]
        often = Counter(name.casefold() for name in names)
        growing = [
            index
            for index, name in enumerate(names)
            if often[name.casefold()] > 1 and taken[index] < len(wholes[index])
        ]
        if not growing:
            return names
        for index in growing:
            taken[index] += 1


def _parts(path: Path, name: str) -> list[str]:
    """The folders of a slide, then its name; a DICOM series' may begin with its folder's, which is there once."""
    folders = list(path.parent.parts)
    if name != path.name and name.split("/")[0] == folders[-1]:
        folders.pop()
    return [*folders, name]
