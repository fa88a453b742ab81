"""Data sets of every format are read whole or refused by file and line, and split so that figures mean something."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import DataError
from histoloop.progress import finish
from histoloop.training.datasets import DataSet, lend_masks, measured_colours, read_dataset, split_cases
from histoloop.training.readers.classes import scheme_of
from histoloop.training.readers.tiles import shrink_classes
from histoloop.training.samples import TrainingTile

if TYPE_CHECKING:
    from pathlib import Path


TWO = ClassScheme(
    labels=(LabelClass("benign", "lesion"), LabelClass("malignant", "lesion")), masks=(MaskClass("lesion", "#102030"),)
)


def picture(path: Path, *, width: int = 12, height: int = 8, grey: int = 120) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), grey, np.uint8)).save(path)
    return path


def mask(path: Path, *, width: int = 12, height: int = 8, columns: int = 6, value: int = 255) -> Path:
    """Foreground in the first `columns` columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((height, width), np.uint8)
    values[:, :columns] = value
    Image.fromarray(values).save(path)
    return path


def read(path: Path, **options: object) -> DataSet:
    return finish(read_dataset(path, **options))  # type: ignore[arg-type]


def refusal(path: Path, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    assert caught.value.advice
    return caught.value


def names(tiles: tuple[TrainingTile, ...]) -> list[str]:
    return [tile.name for tile in tiles]


def glas(folder: Path, *, suffix: str = ".bmp", line_end: str = "\r") -> Path:
    """Six training tiles of three patients, two of test A, and rows of a test B that is not there."""
    graded = [
        ("testA_1", 1, "benign"), ("testA_2", 9, "malignant"), ("testB_1", 9, "malignant"),
        ("train_1", 1, "benign"), ("train_2", 2, "malignant"), ("train_10", 3, "malignant"),
        ("train_3", 1, "benign"), ("train_4", 2, "malignant"), ("train_5", 3, "benign"),
    ]  # fmt: skip
    rows = ["name, patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)"]
    rows += [f"{name}, {patient}, {grade}, adenomatous" for name, patient, grade in graded]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Grade.csv").write_bytes(line_end.join([*rows, ""]).encode())
    for name, _patient, _grade in graded:
        if not name.startswith("testB"):
            picture(folder / f"{name}{suffix}")
            mask(folder / f"{name}_anno{suffix}", columns=6, value=3)
    return folder


@pytest.mark.parametrize("suffix", [".bmp", ".png"])
@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n"])
def test_the_official_glas_folder_is_read_whatever_its_line_ends(tmp_path: Path, suffix: str, line_end: str) -> None:
    found = read(glas(tmp_path, suffix=suffix, line_end=line_end), validation_fraction=0)
    assert found.name == "GlaS"
    assert found.mpp == 0.62
    assert found.scheme.label_names == ("benign", "malignant")
    assert found.scheme.mask_names == ("gland", "tumour")
    assert names(found.training) == ["train_1", "train_2", "train_3", "train_4", "train_5", "train_10"]
    assert names(found.test) == ["testA_1", "testA_2"]
    assert [tile.case for tile in found.training] == ["1", "2", "1", "2", "3", "3"]
    assert [tile.label for tile in found.test] == [0, 1]
    first = found.training[0].mask
    assert first is not None
    assert first.sum() == 6 * 8


def test_shared_patients_of_an_official_split_are_counted(tmp_path: Path) -> None:
    warnings = read(glas(tmp_path)).warnings
    assert warnings == (
        "1 of the 2 test tiles come from patients that are also in training or validation (1 of 2 patients): "
        "expect less on new ones.",
    )


def test_a_split_by_case_shares_no_patient_and_says_nothing(tmp_path: Path) -> None:
    found = read(glas(tmp_path), split="case", test_fraction=0.3, validation_fraction=0.3)
    parts = [{tile.case for tile in part} for part in (found.training, found.validation, found.test)]
    assert all(parts)
    assert sum(map(len, parts)) == len(set().union(*parts)) == 4
    assert found.warnings == ()


def test_the_whole_of_a_data_set_can_be_a_test_set(tmp_path: Path) -> None:
    found = read(glas(tmp_path), split="whole")
    assert len(found.test) == 8
    assert found.training == found.validation == ()


def test_reduced_tiles_carry_their_resolution_and_masks_by_area(tmp_path: Path) -> None:
    folder = glas(tmp_path)
    mask(folder / "train_1_anno.bmp", columns=7)
    found = read(folder, scale=0.5, validation_fraction=0)
    assert found.mpp == 1.24
    tile = found.training[0]
    assert tile.pixels.shape == (4, 6, 3)
    assert (tile.pixels == 120).all()
    assert tile.mask is not None
    assert tile.mask[:, :3].all()
    assert not tile.mask[:, 3:].any(), "half of a pixel is not more than half"


def test_bad_rows_of_grade_csv_are_all_named(tmp_path: Path) -> None:
    folder = glas(tmp_path, line_end="\n")
    text = (folder / "Grade.csv").read_text()
    text = text.replace("train_2, 2, malignant", "train_2, 2, malignent").replace("train_4, 2,", "train_4, ,")
    (folder / "Grade.csv").write_text(text + "train_1, 1, benign, healthy\ntrain_7, 1, benign, healthy\n")
    (folder / "train_5_anno.bmp").unlink()
    picture(folder / "train_8.bmp")
    message = str(refusal(folder))
    assert "line 6: the grade 'malignent' is unknown (did you mean 'malignant'?)" in message
    assert "line 9: train_4 has no patient ID" in message
    assert "line 10: there is no mask train_5_anno" in message
    assert "line 11: train_1 was graded before" in message
    assert "line 12: there is no train_7.bmp" in message
    assert "train_8.bmp: it has no row" in message


def ebhi(folder: Path, *, split_of: dict[str, str] | None = None) -> Path:
    """Two classes of three cases each; `split_of` case makes a split.csv."""
    lines = ["image,mask,class,case,split,foreground_fraction"]
    for label, prefix in (("Normal", "GT1"), ("Adenocarcinoma", "GTxc2")):
        for number in range(3):
            stem = f"{prefix}{number}-1-400-001"
            picture(folder / label / "image" / f"{stem}.jpg")
            mask(folder / label / "label" / f"{stem}.png")
            case = f"{prefix}{number}".upper()
            if split_of is not None:
                lines.append(f"{label}/image/{stem}.jpg,{label}/label/{stem}.png,{label},{case},{split_of[case]},0.5")
    if split_of is not None:
        (folder / "split.csv").write_text("\n".join(lines) + "\n")
    return folder


EBHI_SPLIT = {case: "val" if case.endswith("2") else "train" for case in ("GT10", "GT11", "GT12")} | {
    "GTXC20": "train", "GTXC21": "train", "GTXC22": "val",
}  # fmt: skip


def test_ebhi_keeps_the_split_of_its_table(tmp_path: Path) -> None:
    found = read(ebhi(tmp_path, split_of=EBHI_SPLIT))
    assert [tile.case for tile in found.validation] == ["GT12", "GTXC22"]
    assert len(found.training) == 4
    assert found.test == ()
    assert found.warnings == ()
    assert found.licence == "CC BY 4.0"
    assert found.training[0].label == found.scheme.label_names.index("Normal")


def test_ebhi_without_a_table_is_split_by_the_cases_of_its_file_names(tmp_path: Path) -> None:
    found = read(ebhi(tmp_path), test_fraction=0.3, validation_fraction=0.4)
    cases = [{tile.case for tile in part} for part in (found.training, found.validation, found.test)]
    assert set().union(*cases) == {"GT10", "GT11", "GT12", "GTXC20", "GTXC21", "GTXC22"}
    assert [len(part) for part in cases] == [2, 2, 2]
    assert "states no split" in found.warnings[0]


def test_ebhi_with_a_case_in_two_parts_is_read_with_a_warning(tmp_path: Path) -> None:
    folder = ebhi(tmp_path, split_of=EBHI_SPLIT)
    table = folder / "split.csv"
    table.write_text(table.read_text().replace(",GT12,val", ",GT10,val"))
    assert "1 of the 2 validation tiles" in read(folder).warnings[0]


def test_bad_rows_of_split_csv_are_named(tmp_path: Path) -> None:
    folder = ebhi(tmp_path, split_of=EBHI_SPLIT)
    table = folder / "split.csv"
    text = table.read_text().replace("Normal,GT11,train", "Normal,GT11,trian")
    (folder / "Adenocarcinoma" / "label" / "GTxc20-1-400-001.png").unlink()
    table.write_text(text)
    message = str(refusal(folder))
    assert "line 3: the split 'trian' is unknown (did you mean 'train'?)" in message
    assert "line 5: there is no mask 'Adenocarcinoma/label/GTxc20-1-400-001.png'" in message


def test_an_unknown_class_in_split_csv_is_refused(tmp_path: Path) -> None:
    folder = ebhi(tmp_path, split_of=EBHI_SPLIT)
    table = folder / "split.csv"
    table.write_text(table.read_text().replace("png,Normal,GT11", "png,Nromal,GT11"))
    assert "split.csv, line 3: the class 'Nromal' is unknown (did you mean 'Normal'?)" in str(refusal(folder))


def test_class_folders_with_masks_beside_and_in_folders(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / "benign" / f"b{number}.png")
        picture(tmp_path / "malignant" / "image" / f"m{number}.tif")
        mask(tmp_path / "malignant" / "label" / f"m{number}.png")
    mask(tmp_path / "benign" / "b0_anno.png")
    mask(tmp_path / "benign" / "b1_mask.bmp")
    found = read(tmp_path, mpp=0.4)
    tiles = {tile.name: tile for tile in (*found.training, *found.validation, *found.test)}
    assert len(tiles) == 8
    assert found.mpp == 0.4
    assert found.scheme.label_names == ("benign", "malignant")
    assert {name for name, tile in tiles.items() if tile.mask is not None} == {
        "benign/b0.png", "benign/b1.png", *(f"malignant/image/m{number}.tif" for number in range(4)),
    }  # fmt: skip
    assert any("split tile by tile" in warning for warning in found.warnings)
    assert all({tile.label for tile in part} == {0, 1} for part in (found.training, found.validation, found.test))


def test_class_folders_below_folders_of_splits(tmp_path: Path) -> None:
    for split, count in (("train", 5), ("validation", 2), ("test", 3)):
        for label in ("a", "b"):
            for number in range(count):
                picture(tmp_path / split / label / f"{number}.png")
    found = read(tmp_path, mpp=1)
    assert [len(part) for part in (found.training, found.validation, found.test)] == [10, 4, 6]
    assert found.scheme.mask_names == ("foreground",)
    assert found.warnings == ()


def test_nothing_is_said_of_a_split_when_nothing_was_dealt(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("a", "b"):
            picture(tmp_path / split / label / "1.png")
    assert read(tmp_path, mpp=1, validation_fraction=0).warnings == ()


def test_an_unknown_resolution_is_assumed_and_said(tmp_path: Path) -> None:
    for label in ("a", "b"):
        picture(tmp_path / label / "1.png")
    found = read(tmp_path)
    assert found.mpp == 0.5
    assert any("resolution is unknown" in warning for warning in found.warnings)


def test_empty_class_folders_and_masks_without_a_picture_are_named(tmp_path: Path) -> None:
    picture(tmp_path / "benign" / "b.png")
    mask(tmp_path / "benign" / "c_mask.png")
    (tmp_path / "malignant").mkdir()
    message = str(refusal(tmp_path))
    assert "benign/c_mask.png: this mask has no picture" in message
    assert "malignant: no picture is in it" in message


def manifest(folder: Path, *rows: str, header: str = "image,label,mask,case,split,size") -> Path:
    """a.png to d.png with a mask each, and a table of rows."""
    for stem in "abcd":
        picture(folder / f"{stem}.png")
        mask(folder / f"{stem}-mask.png")
    path = folder / "tiles.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


GOOD = (
    "a.png,benign,a-mask.png,p1,train,0.5",
    "b.png,malignant,b-mask.png,p2,train,0.25",
    "c.png,benign,,p3,val,",
    "d.png,malignant,d-mask.png,p4,test,",
)


def test_a_manifest_gives_labels_masks_cases_splits_and_sizes(tmp_path: Path) -> None:
    found = read(manifest(tmp_path, *GOOD), mpp=0.5)
    assert names(found.training) == ["a.png", "b.png"]
    assert names(found.validation) == ["c.png"]
    assert names(found.test) == ["d.png"]
    assert [tile.size for tile in found.training] == [0.5, 0.25]
    assert found.validation[0].size is None
    assert found.validation[0].mask is None
    assert found.warnings == ()


def test_semicolons_and_a_byte_order_mark_are_read_too(tmp_path: Path) -> None:
    path = manifest(tmp_path, *GOOD)
    path.write_bytes(path.read_text().replace(",", ";").encode("utf-8-sig"))
    assert len(read(path).training) == 2


def test_a_folder_with_manifest_csv_is_read_by_it(tmp_path: Path) -> None:
    manifest(tmp_path, *GOOD).rename(tmp_path / "manifest.csv")
    assert len(read(tmp_path).training) == 2


def test_all_bad_rows_of_a_manifest_are_named_with_lines(tmp_path: Path) -> None:
    path = manifest(
        tmp_path, *GOOD, "e.png,benign,,p1,train,", "a.png,benign,,p1,train,", "b.png,Benign,,p1,trian,40", ",,,,,0.1"
    )
    message = str(refusal(path))
    assert "line 6: there is no file 'e.png'" in message
    assert "line 7: a.png is in line 2 already" in message
    assert "line 8: the size '40' is no fraction from 0 to 1" in message
    assert "line 8: the split 'trian' is unknown (did you mean 'train'?)" in message
    assert "line 9: image is empty" in message
    assert "line 9: 1 of 8 rows have no split" in message
    assert "line 8: the label 'Benign' is 'benign' in line 2" in message


def test_a_manifest_may_name_several_labels_of_a_tile(tmp_path: Path) -> None:
    rows = ("a.png,stroma;tumour,a-mask.png,p1,train,", "b.png,stroma,,p2,train,", "c.png, tumour | fat ;,,p3,val,")
    found = read(manifest(tmp_path, *rows, "d.png,,,p4,test,"))
    assert found.scheme.label_names == ("fat", "stroma", "tumour")
    assert [tile.labels for tile in (*found.training, *found.validation, *found.test)] == [(1, 2), (1,), (2, 0), ()]
    assert [tile.label for tile in found.training] == [1, 1]


def test_every_label_of_a_row_is_checked(tmp_path: Path) -> None:
    rows = ("a.png,benign;Malignant,,p1,train,", "b.png,malignant|benign|malignant,,p2,train,")
    message = str(refusal(manifest(tmp_path, *rows)))
    assert "line 3: the label 'malignant' is given twice" in message
    assert "line 3: the label 'malignant' is 'Malignant' in line 2" in message


def test_training_tiles_that_all_have_the_same_labels_are_refused(tmp_path: Path) -> None:
    path = manifest(tmp_path, "a.png,benign;fat,,p1,train,", "b.png,fat;benign,,p2,train,", *GOOD[2:])
    assert "the 2 training tiles are labelled 'benign' and 'fat'" in refusal(path).message


def test_a_tile_with_several_labels_counts_in_each_when_cases_are_dealt() -> None:
    cases = [str(index // 4) for index in range(80)]
    labels = [("a", "b") if index // 4 % 2 else ("a",) for index in range(80)]
    chosen = split_cases(cases, labels, fraction=0.2, seed=0)
    taken = Counter(label for index in chosen for label in labels[index])
    assert taken == {"a": 16, "b": 8}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("image,lable,mask,case,split,size", "unknown column 'lable' (did you mean 'label'?)"),
        ("picture,label,mask,case,split,size", "unknown column 'picture'"),
        ("label,mask,case,split,size", "no column 'image'"),
        ("image,label,mask,case,split,split", "the column 'split' twice"),
        ("image,label,mask,case,x,y", "not width, height"),
        ("image,label,slide", "both 'image' and 'slide'"),
    ],
)
def test_columns_that_do_not_fit_are_refused(tmp_path: Path, header: str, said: str) -> None:
    assert said in str(refusal(manifest(tmp_path, "a.png,benign", header=header)))


def test_tiles_without_any_label_take_the_classes_they_are_given(tmp_path: Path) -> None:
    path = manifest(tmp_path, "a.png,", "b.png,")
    assert "no labels" in str(refusal(path, for_training=False))
    assert read(path, for_training=False, default_scheme=TWO).scheme == TWO


def test_labels_as_they_are_found_stand_above_a_default_scheme(tmp_path: Path) -> None:
    path = manifest(tmp_path, *GOOD[:3], "d.png,malingant,,p4,test,")
    found = read(path, for_training=False, default_scheme=TWO)
    assert "malingant" in found.scheme.label_names


def test_a_training_part_of_one_class_is_refused_unless_only_evaluated(tmp_path: Path) -> None:
    path = manifest(tmp_path, GOOD[0], *GOOD[2:])
    error = refusal(path)
    assert "the 1 training tiles are labelled 'benign'" in error.message
    assert "two classes" in error.advice
    assert len(read(path, for_training=False).test) == 1


def test_a_mask_of_another_size_is_refused_by_line(tmp_path: Path) -> None:
    path = manifest(tmp_path, *GOOD)
    mask(tmp_path / "b-mask.png", width=13)
    assert "tiles.csv, line 3: the mask b-mask.png is 13 x 8 pixels, its picture 12 x 8" in str(refusal(path))


def test_unreadable_pictures_and_masks_are_all_named(tmp_path: Path) -> None:
    path = manifest(tmp_path, *GOOD)
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "b-mask.png").write_bytes(b"no mask")
    message = str(refusal(path))
    assert "tiles.csv, line 2: a.png: " in message
    assert "tiles.csv, line 3: the mask b-mask.png cannot be read" in message


def test_empty_masks_are_counted_by_label(tmp_path: Path) -> None:
    path = manifest(tmp_path, *GOOD)
    mask(tmp_path / "b-mask.png", columns=0)
    assert read(path, mpp=1).warnings == ("1 of the 2 masks of tiles labelled 'malignant' are empty.",)


def test_empty_masks_of_normal_tissue_are_as_they_should_be(tmp_path: Path) -> None:
    path = manifest(tmp_path, *(row.replace("benign", "normal") for row in GOOD))
    mask(tmp_path / "a-mask.png", columns=0)
    assert read(path, mpp=1).warnings == ()


def test_rectangles_of_a_slide_are_read_at_one_resolution(tmp_path: Path) -> None:
    values = np.zeros((16, 24, 3), np.uint8)
    values[:, 8:16], values[:, 16:] = 100, 200
    Image.fromarray(values).save(tmp_path / "slide.png")
    mask(tmp_path / "half.png", width=8, height=16, columns=4)
    path = tmp_path / "patches.csv"
    path.write_text(
        "slide,x,y,width,height,label,mask,tumour_fraction,tissue_fraction,split,case\n"
        "slide.png,8,0,8,16,metastatic,half.png,0.5,1,train,p1\n"
        "slide.png,16,0,8,16,normal,,0,1,train,p1\n"
    )
    found = read(path, mpp=0.25, validation_fraction=0)
    first, second = found.training
    assert first.pixels.shape == (16, 8, 3)
    assert (first.pixels == 100).all()
    assert (second.pixels == 200).all()
    assert [tile.size for tile in found.training] == [0.5, 0.0]
    assert first.mask is not None
    assert first.mask.sum() == 64
    assert names(found.training) == ["slide.png at (8, 0)", "slide.png at (16, 0)"]


def test_the_resolution_of_slides_that_state_none_is_estimated_by_their_objective_where_that_is_wanted(
    tmp_path: Path,
) -> None:
    pixels, aperio = np.full((64, 64, 3), 200, np.uint8), "Aperio Image Library |AppMag = {}|"
    for power in (20, 40):
        path = tmp_path / f"{power}.tif"
        tifffile.imwrite(path, pixels, photometric="rgb", description=aperio.format(power), metadata=None)
    rows = [f"{power}.tif,0,0,32,32,{label},train,{power}" for power, label in ((20, "benign"), (40, "malignant"))]
    path = tmp_path / "patches.csv"
    path.write_text("\n".join(["slide,x,y,width,height,label,split,case", *rows]) + "\n")
    plain = read(path, validation_fraction=0)
    assert [tile.pixels.shape for tile in plain.training] == [(32, 32, 3), (32, 32, 3)]
    assert any("resolution is unknown" in warning for warning in plain.warnings)
    found = read(path, validation_fraction=0, from_objective=True)
    assert found.mpp == pytest.approx(0.5)
    assert [tile.pixels.shape for tile in found.training] == [(32, 32, 3), (16, 16, 3)]
    assert found.warnings == ("Of slides that state no resolution it is estimated by their objective.",)
    assert read(path, validation_fraction=0, from_objective=True, model_mpp=1.0).mpp == pytest.approx(1.0)


def test_a_rectangle_past_its_slide_is_refused_by_line(tmp_path: Path) -> None:
    path = manifest(
        tmp_path, "a.png,benign,0,0,12,8", "b.png,malignant,4,0,12,8", header="image,label,x,y,width,height"
    )
    assert "line 3: the rectangle reaches past b.png (12 x 8 pixels)" in str(refusal(path, validation_fraction=0))


def test_what_was_looked_for_is_said_when_no_format_fits(tmp_path: Path) -> None:
    message = str(refusal(tmp_path))
    assert all(word in message for word in ("Grade.csv", "EBHI-Seg", "manifest.csv", "folders with PNG"))


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "There is no" in str(refusal(tmp_path / "nothing"))


def test_settings_out_of_range_are_refused_by_name(tmp_path: Path) -> None:
    for setting in ({"scale": 0.0}, {"scale": 2.0}, {"mpp": -1.0}, {"validation_fraction": 1.0}):
        with pytest.raises(ValueError, match=next(iter(setting))):
            read(glas(tmp_path), **setting)


@pytest.mark.parametrize(
    ("labels", "masks"),
    [
        (["malignant", "benign"], ["gland", "tumour"]),
        (["Tumor", "No tumor"], ["gland", "tumour"]),
        (["normal", "metastatic"], ["tumour", "gland"]),
        (["a", "benign"], ["foreground", "foreground"]),
    ],
)
def test_mask_classes_follow_known_label_words(labels: list[str], masks: list[str]) -> None:
    scheme = scheme_of(labels)
    assert list(scheme.label_names) == sorted(labels)
    assert sorted(label.mask for label in scheme.labels) == sorted(masks)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), min_size=1, max_size=60),
    st.floats(0.05, 0.6),
    st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_dealt_cases_are_whole_and_leave_every_class_a_case(
    tiles: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    cases, labels = [str(case) for case, _ in tiles], [(str(label),) for _, label in tiles]
    chosen = split_cases(cases, labels, fraction=fraction, seed=seed)
    assert chosen == split_cases(cases, labels, fraction=fraction, seed=seed)
    rest = set(range(len(tiles))) - set(chosen)
    assert not {cases[i] for i in chosen} & {cases[i] for i in rest}
    assert {labels[i] for i in rest} == set(labels)


def test_dealt_cases_come_close_to_the_fraction_in_every_class() -> None:
    rng = np.random.default_rng(0)
    cases = [str(case) for case in rng.integers(0, 60, 600)]
    labels = [(str(int(case) % 3),) for case in cases]
    chosen = split_cases(cases, labels, fraction=0.2, seed=3)
    total, taken = Counter(labels), Counter(labels[i] for i in chosen)
    assert all(abs(taken[label] / total[label] - 0.2) < 0.03 for label in total)


def test_other_seeds_deal_other_cases() -> None:
    cases, labels = [str(i // 4) for i in range(80)], [(str(i // 40),) for i in range(80)]
    deals = {tuple(split_cases(cases, labels, fraction=0.2, seed=seed)) for seed in range(4)}
    assert len(deals) > 1


def test_only_tiles_with_masks_lend_them_in_the_same_share_of_every_class() -> None:
    pixels, foreground = np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), np.bool_)
    tiles = [
        TrainingTile(pixels, index % 2, foreground if index % 4 < 2 else None, f"tile {index}") for index in range(40)
    ]
    lent = lend_masks(tiles, fraction=0.25, seed=0)
    assert Counter(tile.label for tile in lent) == {0: 5, 1: 5}
    assert all(tile.mask is not None for tile in lent)
    assert lent != lend_masks(tiles, fraction=0.25, seed=1)
    with pytest.raises(DataError, match="20 of them with masks"):
        lend_masks(tiles, fraction=0.01, seed=0)


def test_real_glas_has_its_official_split_and_shared_patients(real_data: Path) -> None:
    found = read(real_data / "glas", scale=0.1)
    tiles = [*found.training, *found.validation]
    assert Counter(tile.label for tile in tiles) == {0: 37, 1: 48}
    assert Counter(tile.label for tile in found.test) == {0: 33, 1: 27}
    assert len({tile.case for tile in (*tiles, *found.test)}) == 16
    assert all(tile.name.startswith("testA_") for tile in found.test)
    assert "59 of the 60 test tiles" in found.warnings[0]
    assert found.mpp == pytest.approx(6.2)


def test_real_ebhi_has_the_counts_of_its_table(real_data: Path) -> None:
    found = read(real_data / "ebhi-seg", scale=0.1)
    assert (len(found.training), len(found.validation), len(found.test)) == (1606, 221, 0)
    assert len({tile.case for tile in (*found.training, *found.validation)}) == 288
    assert found.warnings == ()


# --- the resolution of a model, and colours ---------------------------------------------------------------------------


@pytest.mark.parametrize(("model_mpp", "expected"), [(1.0, (4, 6)), (0.5, (8, 12)), (0.503, (8, 12)), (0.25, (8, 12))])
def test_tiles_are_read_at_the_resolution_of_a_model_and_never_enlarged(
    model_mpp: float, expected: tuple[int, int], tmp_path: Path
) -> None:
    folder = glas(tmp_path / "glas")
    found = read(folder, mpp=0.5, model_mpp=model_mpp)
    (tile, *_) = found.training
    assert tile.pixels.shape[:2] == expected
    assert tile.mask is not None
    assert tile.mask.shape == expected
    assert found.mpp == pytest.approx(max(0.5, model_mpp) if expected == (4, 6) else 0.5)
    scaled = read(folder, mpp=0.5, scale=0.5)
    if expected == (4, 6):
        assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(found.test, scaled.test, strict=True))


def test_colours_are_of_all_pixels_together_whatever_the_sizes_of_the_tiles() -> None:
    dark, light = np.full((8, 8, 3), (0, 51, 102), np.uint8), np.full((8, 24, 3), (255, 51, 204), np.uint8)
    found = measured_colours([dark, light])  # a quarter of the pixels is dark
    assert found.mean == pytest.approx((0.75, 0.2, 0.7))
    assert found.std == pytest.approx((np.sqrt(0.75 * 0.25), 0, 0.4 * np.sqrt(0.75 * 0.25)), abs=1e-9)


def test_a_mask_of_values_at_another_resolution_has_the_value_of_most_of_each_pixel() -> None:
    values = np.array([[1, 1, 0, 2], [1, 2, 0, 2], [255, 255, 3, 0], [255, 0, 0, 3]], np.uint8)
    assert shrink_classes(values, height=2, width=2).tolist() == [[1, 0], [255, 0]]
    assert shrink_classes(values, height=4, width=4) is values
