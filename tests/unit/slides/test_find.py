"""Which files of a folder are slides, which are not and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from histoloop.errors import SlideError
from histoloop.slides import find
from histoloop.slides.dicom import read_dicom
from histoloop.slides.find import files_of_slide, find_slides, search_slides, slide_name
from histoloop.slides.reader import open_slide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# --- finding slides ---------------------------------------------------------------------------------------------------


def touched(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


def test_slides_in_folders_are_found_sorted(tmp_path: Path) -> None:
    expected = touched(tmp_path, "a.svs", "b.png", "c/d.ndpi", "c/e/f.tiff", "g.JPG")
    assert find_slides([tmp_path]) == expected


@pytest.mark.parametrize("suffix", sorted(find.SLIDE_SUFFIXES))
def test_every_kind_of_slide_is_found(tmp_path: Path, suffix: str) -> None:
    expected = touched(tmp_path, f"a{suffix}", f"b{suffix.upper()}")
    assert find_slides([tmp_path]) == expected


def test_other_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    touched(tmp_path, "notes.txt", "table.csv", "no_suffix", ".hidden.svs", ".hidden/a.svs", "a.svs.part", "b/._c.svs")
    (tmp_path / "folder.svs").mkdir()
    assert find_slides([tmp_path]) == []


def test_a_hidden_folder_may_be_named_outright(tmp_path: Path) -> None:
    (slide,) = touched(tmp_path, ".cache/a.svs")
    assert find_slides([tmp_path / ".cache"]) == [slide]


def test_masks_are_passed_over(tmp_path: Path) -> None:
    touched(tmp_path, "a_anno.bmp", "a_mask.png", "a-mask.tif", "a_MASK.PNG")
    expected = touched(tmp_path, "a.bmp", "a_annotated.png", "mask.png")
    assert find_slides([tmp_path]) == expected


def test_the_pictures_of_a_mrxs_slide_are_passed_over(tmp_path: Path) -> None:
    expected = touched(tmp_path, "one.mrxs", "two.mrxs", "two.png")
    touched(tmp_path, "one/Data0001.tif", "one/deeper/a.png", "two/a.jpg")
    assert find_slides([tmp_path]) == expected


def test_the_pictures_of_a_vms_slide_are_passed_over(tmp_path: Path) -> None:
    touched(tmp_path, "a-0.jpg", "a_map2.jpg", "a_macro.jpg")
    (tmp_path / "a.vms").write_text(
        "[Virtual Microscope Specimen]\nNoLayers=1\nNoJpegColumns=1\nNoJpegRows=1\n"
        "ImageFile=a-0.jpg\nMapFile=a_map2.jpg\nMacroImage=a_macro.jpg\n"
    )
    (other,) = touched(tmp_path, "b.jpg")
    assert find_slides([tmp_path]) == [tmp_path / "a.vms", other]


def test_files_named_outright_are_kept_whatever_they_are_called(tmp_path: Path) -> None:
    named = touched(tmp_path, ".hidden.svs", "a_mask.png", "notes.txt")
    assert find_slides(named) == named
    assert find_slides([tmp_path / "missing.svs"]) == [tmp_path / "missing.svs"]


def test_a_slide_named_twice_is_found_once(tmp_path: Path) -> None:
    first, second = touched(tmp_path, "a.svs", "b/c.svs")
    assert find_slides([tmp_path, first, tmp_path / "b", second]) == [first, second]


def test_nothing_is_found_in_nothing(tmp_path: Path) -> None:
    assert find_slides([]) == find_slides([tmp_path]) == []


def reasons(folder: Path) -> dict[str, str]:
    """Why files (by their names) below a folder are passed over."""
    return {found.path.name: found.why for found in search_slides([folder]).passed_over}


def test_what_is_passed_over_is_told_with_the_reason(tmp_path: Path) -> None:
    touched(tmp_path, "a.svs", "notes.txt", "a_mask.png", ".hidden.svs", "one.mrxs", "one/Data0001.dat", "sub/b.docx")
    search = search_slides([tmp_path])
    assert [path.name for path in search.slides] == ["a.svs", "one.mrxs"]
    whys = {"notes.txt": "ending", "a_mask.png": "mask", ".hidden.svs": "hidden", "one": "part", "b.docx": "ending"}
    assert reasons(tmp_path) == whys
    told = {found.path.name: found.reason for found in search.passed_over}
    assert told["one"] == "it belongs to the slide one.mrxs"
    assert all(told.values())


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    touched(tmp_path, "elsewhere/b.svs", "elsewhere/deep/c.tif", "slides/a.svs", "far.png")
    (tmp_path / "slides" / "linked").symlink_to("../elsewhere")
    (tmp_path / "slides" / "link.png").symlink_to(tmp_path / "far.png")
    names = [path.relative_to(tmp_path).as_posix() for path in find_slides([tmp_path / "slides"])]
    assert names == ["slides/a.svs", "slides/link.png", "slides/linked/b.svs", "slides/linked/deep/c.tif"]


def test_links_that_lead_back_are_followed_once(tmp_path: Path) -> None:
    expected = touched(tmp_path, "a.svs", "deep/b.svs")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    (tmp_path / "0").symlink_to("deep")
    assert find_slides([tmp_path]) == expected


def test_two_names_of_one_file_are_one_slide(tmp_path: Path) -> None:
    expected = touched(tmp_path, "a.svs")
    (tmp_path / "b.svs").symlink_to("a.svs")
    assert find_slides([tmp_path]) == expected
    assert reasons(tmp_path) == {"b.svs": "same file"}


def test_dead_links_pipes_and_sockets_are_no_slides(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.svs").symlink_to("missing.svs")
    assert find_slides([tmp_path]) == []
    assert reasons(tmp_path) == {"a.png": "no file", "b.svs": "no file"}
    with pytest.raises(SlideError, match="pipe or a device"):
        open_slide(tmp_path / "a.png")


def test_devices_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("/dev/zero")
    with pytest.raises(SlideError, match="pipe or a device"):
        open_slide(tmp_path / "a.png")


def test_names_that_are_not_utf_8_stop_nothing(tmp_path: Path, save_picture: Callable[..., Path]) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    bad = tmp_path / os.fsdecode(b"m\xe4use.png")
    try:
        save_picture(bad, pixels)
    except OSError:
        pytest.skip("this file system takes no such names")
    save_picture(tmp_path / "z.png", pixels)
    assert find_slides([tmp_path]) == [bad, tmp_path / "z.png"]
    open_slide(bad).close()


@pytest.mark.parametrize("name", ["a" * 300 + ".svs", "nul\0.svs"])
def test_names_that_cannot_be_are_refused_with_words(tmp_path: Path, name: str) -> None:
    with pytest.raises(SlideError):
        open_slide(tmp_path / name)
    assert find_slides([tmp_path / name]) == [tmp_path / name]


# --- DICOM ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def series(tmp_path: Path, blocks: Callable[..., np.ndarray], save_dicom: Callable[..., Path]) -> Path:
    """A folder with one slide in three files: two levels and a label."""
    folder = tmp_path / "Case 7"
    folder.mkdir()
    pixels = blocks(256, 192, cell=64)
    save_dicom(folder / "b.dcm", pixels)
    save_dicom(folder / "a.dcm", np.ascontiguousarray(pixels[::2, ::2]), spacing_mm=0.001, number=2)
    save_dicom(folder / "label.dcm", blocks(64, 64), kind="LABEL", number=3)
    return folder


def test_the_files_of_a_series_are_one_slide(series: Path, blocks: Callable[..., np.ndarray]) -> None:
    assert find_slides([series.parent]) == [series / "b.dcm"]
    assert reasons(series.parent) == {"a.dcm": "part", "label.dcm": "part"}
    for path in (series, series / "b.dcm", series / "a.dcm", series / "label.dcm"):
        with open_slide(path) as slide:
            assert (slide.level_sizes, slide.mpp) == (((256, 192), (128, 96)), 0.5)
            assert slide.name == "Case 7"
            pixels = slide.read_region(slide.extent).astype(int)
            assert np.abs(pixels - blocks(256, 192, cell=64)).max() <= 3


def test_the_files_of_a_series_named_outright_are_one_slide(series: Path) -> None:
    search = search_slides([series / "label.dcm", series / "a.dcm"])
    assert search.slides == (series / "b.dcm",)
    assert {found.reason for found in search.passed_over} == {"it belongs to the slide Case 7"}


def test_a_level_in_several_files_is_one_slide(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_dicom: Callable[..., Path]
) -> None:
    pixels = blocks(256, 192, cell=64)
    for part, tiles in ((2, slice(6, 12)), (1, slice(0, 6))):
        elements = [(0x20, 0x9161, "UI", "7.7"), (0x20, 0x9162, "US", part), (0x20, 0x9163, "US", 2)]
        elements += [(0x20, 0x9228, "UL", (part - 1) * 6), (0x20, 0x0242, "UI", "1.1")]
        save_dicom(tmp_path / f"{3 - part}.dcm", pixels, tiles=tiles, extra=elements)
    assert find_slides([tmp_path]) == [tmp_path / "2.dcm"]
    with open_slide(tmp_path / "2.dcm") as slide:
        assert np.abs(slide.read_region(slide.extent).astype(int) - pixels).max() <= 3


def test_several_series_in_a_folder_are_several_slides(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_dicom: Callable[..., Path]
) -> None:
    for name in "ab":
        for number, step in ((1, 1), (2, 2)):
            pixels = np.ascontiguousarray(blocks(128, 128)[::step, ::step])
            save_dicom(tmp_path / f"{name}{number}.dcm", pixels, series=f"1.2.{ord(name)}", number=number)
    assert [path.name for path in find_slides([tmp_path])] == ["a1.dcm", "b1.dcm"]
    assert slide_name(tmp_path / "b1.dcm") == f"{tmp_path.name}/b1.dcm"
    with pytest.raises(SlideError, match="folder"):
        open_slide(tmp_path)


STUDY = (0x08, 0x1030, "LO")
CONTAINER, DESCRIPTION, IN_UTF8 = (0x40, 0x512, "LO"), (0x08, 0x103E, "LO"), (0x08, 0x05, "CS", "ISO_IR 192")
UID = "1.3.6.1.4.1.5962.99.1"


@pytest.mark.parametrize(
    ("folder", "elements", "name"),
    [
        ("scan", [(*CONTAINER, "B12-345 A1"), (*DESCRIPTION, "HE")], "B12-345 A1"),
        ("scan", [(*DESCRIPTION, "HE, 40x")], "HE, 40x"),
        ("scan", [(*STUDY, "Breast biopsy"), (*DESCRIPTION, "HE")], "Breast biopsy, HE"),
        ("scan", [(*STUDY, "HE"), (*DESCRIPTION, "HE")], "HE"),
        ("scan", [(*STUDY, UID), (*DESCRIPTION, "HE")], "HE"),
        ("scan", [(*STUDY, "Breast biopsy"), (*CONTAINER, "B12-345 A1")], "B12-345 A1"),
        ("scan", [(*CONTAINER, UID), (*DESCRIPTION, f"Series {UID}")], "scan"),
        (UID, [(*CONTAINER, "B12-345 A1")], "B12-345 A1"),
        (UID, [(*CONTAINER, UID)], "0"),
        ("scan", [IN_UTF8, (*CONTAINER, "Präparat 1".encode())], "Präparat 1"),
        ("scan", [(*CONTAINER, "Präparat\x072\n".encode("latin-1"))], "Präparat 2"),
    ],
)
def test_a_dicom_slide_is_called_by_what_is_written_on_it_never_by_a_uid(
    tmp_path: Path,
    blocks: Callable[..., np.ndarray],
    save_dicom: Callable[..., Path],
    folder: str,
    elements: list[tuple[int, int, str, object]],
    name: str,
) -> None:
    (tmp_path / folder).mkdir()
    assert slide_name(save_dicom(tmp_path / folder / "0.dcm", blocks(64, 64), extra=elements)) == name


def test_the_levels_of_a_dicom_series_make_it_what_it_is(series: Path) -> None:
    assert files_of_slide(series / "b.dcm") == (series / "b.dcm", series / "a.dcm")


@pytest.mark.parametrize("name", ["I0001", "1.2.840.4", "slide.ima"])
def test_dicom_files_are_found_whatever_they_are_called(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_dicom: Callable[..., Path], name: str
) -> None:
    path = save_dicom(tmp_path / name, blocks(64, 64))
    assert find_slides([tmp_path]) == [path]


def test_dicom_files_of_other_kinds_are_passed_over(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_dicom: Callable[..., Path]
) -> None:
    save_dicom(tmp_path / "ct.dcm", blocks(64, 64), sop_class="1.2.840.10008.5.1.4.1.1.2")
    assert find_slides([tmp_path]) == []
    assert reasons(tmp_path) == {"ct.dcm": "no slide"}


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("undefined", [False, True])
def test_elements_are_read_in_every_encoding(
    tmp_path: Path, blocks: Callable[..., np.ndarray], save_dicom: Callable[..., Path], implicit: bool, undefined: bool
) -> None:
    nested = (0x40, 0x0560, "SQ", [b""])
    path = save_dicom(
        tmp_path / "a", blocks(150, 70), number=12, implicit=implicit, undefined=undefined, extra=[nested]
    )
    found = read_dicom(path)
    assert found is not None
    assert (found.series, found.columns, found.rows, found.instance) == ("1.2.3", 150, 70, 12)
    assert found.is_slide
    assert found.is_level


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_broken_dicom_files_are_slides_that_fail(series: Path, share: float) -> None:
    content = (series / "b.dcm").read_bytes()
    cut = series.parent / "cut.dcm"
    cut.write_bytes(content[: int(min(len(content), 1200) * share)])
    assert cut in find_slides([series.parent])
    with pytest.raises(SlideError), open_slide(cut) as slide:
        slide.read_region(slide.extent)
