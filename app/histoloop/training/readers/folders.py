"""A folder per class, with or without masks, with or without folders for train, val and test above."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoloop.slides.find import PICTURE_SUFFIXES
from histoloop.training.readers.sources import PART_NAMES, Listing, Part, Problems, TileSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PICTURE_FOLDERS = ("image", "images")
_MASK_FOLDERS = ("label", "labels", "mask", "masks")
_MASK_ENDINGS = ("_mask", "_anno")


def has_class_folders(folder: Path) -> bool:
    """Whether pictures lie in folders of their own, one or two levels down."""
    return any(_pictures_of(sub) for _part, sub in _classes(folder))


def list_class_folders(folder: Path) -> Listing:
    """`CLASS/*.png` (jpg, bmp, tif) or `CLASS/image/*`, in `train/`, `val/`, `test/` or directly in the folder.

    A mask is `NAME_mask.*` or `NAME_anno.*` beside its picture, or has its name in `CLASS/label/` or `CLASS/mask/`.
    DataError names folders without pictures and masks that cannot be assigned.
    """
    problems = Problems(folder)
    sources = [
        source for part, sub in _classes(folder) for source in _class_sources(folder, sub, part, problems=problems)
    ]
    strange = [sub.name for sub in _subfolders(folder) if sub.name.lower() not in PART_NAMES]
    if any(source.part for source in sources) and strange:
        problems.add(strange[0], "it stands beside folders of splits", advice="Keep only train, val and test there.")
    problems.raise_any()
    return Listing(name=folder.resolve().name, path=folder, sources=tuple(sources))


def _classes(folder: Path) -> Iterator[tuple[Part | None, Path]]:
    """Class folders with the split they lie in."""
    for sub in _subfolders(folder):
        part = PART_NAMES.get(sub.name.lower())
        if part is None:
            yield None, sub
        else:
            yield from ((part, below) for below in _subfolders(sub))


def _class_sources(folder: Path, sub: Path, part: Part | None, *, problems: Problems) -> Iterator[TileSource]:
    pictures = _pictures_of(sub)
    if not pictures:
        name = sub.relative_to(folder).as_posix()
        problems.add(name, "no picture is in it", advice="Remove empty folders, or put PNG, JPEG, BMP or TIFF there.")
    masks = _masks_of(sub)
    for picture in pictures:
        own = masks.pop(picture.stem.lower(), [])
        name = picture.relative_to(folder).as_posix()
        if len(own) > 1:
            what = f"it has two masks, {own[0].name} and {own[1].name}"
            problems.add(name, what, advice="Keep one mask for each picture.")
        yield TileSource(
            name=name, where=name, picture=picture, label=sub.name, mask=own[0] if own else None, part=part
        )
    for mask in sorted(mask for left in masks.values() for mask in left):
        name = mask.relative_to(folder).as_posix()
        problems.add(name, "this mask has no picture", advice="Name masks like their pictures.")


def _pictures_of(sub: Path) -> list[Path]:
    inner = next((sub / name for name in _PICTURE_FOLDERS if (sub / name).is_dir()), sub)
    return [file for file in _files(inner) if not file.stem.lower().endswith(_MASK_ENDINGS)]


def _masks_of(sub: Path) -> dict[str, list[Path]]:
    """The masks of a class by the name, in lower case, of the picture they belong to."""
    beside = [file for name in (".", *_PICTURE_FOLDERS) for file in _files(sub / name)]
    masks = [file for file in beside if file.stem.lower().endswith(_MASK_ENDINGS)]
    masks += [file for name in _MASK_FOLDERS for file in _files(sub / name)]
    owned: dict[str, list[Path]] = {}
    for mask in masks:
        stem = mask.stem.lower()
        for ending in _MASK_ENDINGS:
            stem = stem.removesuffix(ending)
        owned.setdefault(stem, []).append(mask)
    return owned


def _files(folder: Path) -> list[Path]:
    entries: Iterable[Path] = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        file
        for file in entries
        if file.suffix.lower() in PICTURE_SUFFIXES and file.is_file() and not file.name.startswith(".")
    )


def _subfolders(folder: Path) -> list[Path]:
    return sorted(sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith("."))
