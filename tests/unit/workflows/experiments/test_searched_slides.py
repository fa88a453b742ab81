"""What is kept of slides that were searched for patches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from histoloop.geometry import Region
from histoloop.workflows.experiments.searched_slides import FoundPatch, SearchedSlides

if TYPE_CHECKING:
    from pathlib import Path

PATCHES = [FoundPatch(Region(0, 32, 32, 32), 0.25, 0.5), FoundPatch(Region(64, 32, 32, 32), 1.0, 1 / 3)]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("a.svs", "a.png"):
        (tmp_path / name).write_text(name)
    return tmp_path / "a.svs", tmp_path / "a.png"


@pytest.fixture
def kept(tmp_path: Path, files: tuple[Path, Path]) -> Path:
    path = tmp_path / "out" / "searched.jsonl"
    SearchedSlides(path, {"px": 32}).add(*files, PATCHES)
    return path


def test_what_was_found_is_found_again(kept: Path, files: tuple[Path, Path]) -> None:
    assert SearchedSlides(kept, {"px": 32}).find(*files) == PATCHES


def test_other_settings_begin_anew(kept: Path, files: tuple[Path, Path]) -> None:
    assert SearchedSlides(kept, {"px": 64}).find(*files) is None
    assert SearchedSlides(kept, {"px": 32}).find(*files) is None


@pytest.mark.parametrize("which", [0, 1])
def test_a_slide_or_mask_that_has_changed_is_searched_again(kept: Path, files: tuple[Path, Path], which: int) -> None:
    os.utime(files[which], (1, 1))
    assert SearchedSlides(kept, {"px": 32}).find(*files) is None


@pytest.mark.parametrize("left", [b"", b"{", b"\xff\n", b"[" * 100_000])
def test_a_line_that_is_cut_off_is_passed_over(kept: Path, files: tuple[Path, Path], left: bytes) -> None:
    with kept.open("ab") as file:
        file.write(left)
    found = SearchedSlides(kept, {"px": 32})
    found.add(files[1], files[0], PATCHES[:1])
    assert SearchedSlides(kept, {"px": 32}).find(files[1], files[0]) == PATCHES[:1]
