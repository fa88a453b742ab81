"""From slides and tumour masks to a table of patches that reads as a data set."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from PIL import Image
from slide_writers import write_dicom

from histoloop.errors import DataError, ExportError
from histoloop.geometry import Region
from histoloop.progress import finish
from histoloop.slides.reader import open_slide
from histoloop.training.datasets import read_dataset
from histoloop.workflows.cluster.spread import Spread
from histoloop.workflows.experiments import sample_patches as sample_patches_module
from histoloop.workflows.experiments.patch_grid import PatchSettings
from histoloop.workflows.experiments.sample_patches import PatchReport, sample_patches
from histoloop.workflows.experiments.tumour_masks import open_tumour_mask

if TYPE_CHECKING:
    from pathlib import Path

    from histoloop.slides.reader import Slide

PATCH = 32
PLAN = PatchSettings(patch_px=PATCH, abundant_share=0.5)
WIDTH, HEIGHT = 8 * PATCH, 4 * PATCH
GLASS, TISSUE = (244, 244, 244), (190, 90, 150)


def slide(path: Path, *, tissue_columns: int = 6) -> Path:
    """Tissue in the first columns of patches, glass in the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((HEIGHT, WIDTH, 3), GLASS, np.uint8)
    pixels[:, : tissue_columns * PATCH] = TISSUE
    pixels[0, 0, 0] = sum(path.name.encode()) % 64  # no two slides are alike
    Image.fromarray(pixels).save(path)
    return path


def tumour(path: Path, *, to: int = 76, top: int = 8, downsample: int = 1) -> Path:
    """Tumour in the columns up to `to`, below the row `top`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top:, :to] = 1
    Image.fromarray(mask[::downsample, ::downsample]).save(path)
    return path


def outlines(path: Path, rings: list[list[list[float]]], *, name: str = "Tumor") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"classification": {"name": name}},
        }
        for ring in rings
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Four metastatic slides, with masks of several kinds, and four normal ones."""
    slides, masks = tmp_path / "slides", tmp_path / "masks"
    for number in range(4):
        slide(slides / f"tumor_{number}.png")
        slide(slides / f"normal_{number}.png", tissue_columns=2 + 2 * number)
    tumour(masks / "tumor_0.png")
    tumour(masks / "tumor_1_mask.tif")
    tumour(masks / "tumor_2.png", downsample=2)
    outlines(masks / "tumor_3.geojson", [[[0, 8], [76, 8], [76, HEIGHT], [0, HEIGHT], [0, 8]]])
    return slides, masks


def sampled(folders: tuple[Path, Path], out: Path, **options: object) -> PatchReport:
    return finish(sample_patches(*folders, out, **{"settings": PLAN, **options}))  # type: ignore[arg-type]


def rows_of(report: PatchReport) -> list[dict[str, str]]:
    with report.table.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_patches_of_all_kinds_of_masks_are_found_and_counted(folders: tuple[Path, Path], tmp_path: Path) -> None:
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    # Of each slide: columns 0 and 1 are full of tumour but for 8 rows at the top, column 2 holds 12 of 32 columns.
    assert (report.metastatic_slides, report.normal_slides) == (4, 4)
    assert (report.edge, report.abundant, report.kept) == (4 * 4, 4 * 8, 8)
    assert report.patches == {"train": (24, 24), "val": (0, 0), "test": (0, 0)}
    assert report.warnings == ()
    edge = [row for row in rows_of(report) if row["x"] == "64" and row["label"] == "metastatic"]
    assert Counter(row["tumour_fraction"] for row in edge) == {"0.3750": 12, "0.2812": 4}
    assert Counter(row["slide"] for row in edge) == {f"slides/tumor_{number}.png": 4 for number in range(4)}


def test_slides_searched_side_by_side_give_the_same_patches(folders: tuple[Path, Path], tmp_path: Path) -> None:
    here = sampled(folders, tmp_path / "here.csv")
    there = sampled(folders, tmp_path / "there.csv", spread=Spread(2))
    assert (there.edge, there.abundant, there.kept, there.patches) == (
        here.edge,
        here.abundant,
        here.kept,
        here.patches,
    )
    own, other = (
        [{**row, "mask": row["mask"].rsplit("/", 1)[-1]} for row in rows_of(report)] for report in (here, there)
    )
    assert own == other


def test_copies_of_a_slide_are_one_slide_and_that_with_the_mask(folders: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copy(folders[0] / "tumor_0.png", folders[0] / "another name.png")
    shutil.copy(folders[0] / "normal_0.png", folders[0] / "normal_9.PNG")
    report = sampled(folders, tmp_path / "patches.csv")
    assert (report.metastatic_slides, report.normal_slides) == (4, 4)
    assert set(report.warnings) == {
        "another name.png is the same slide as tumor_0.png; it is left out.",
        "normal_9.PNG is the same slide as normal_0.png; it is left out.",
    }
    assert not {"slides/another name.png", "slides/normal_9.PNG"} & {row["slide"] for row in rows_of(report)}


def test_a_dicom_series_is_one_slide_in_one_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, container in (("scan 1", "B12-1"), ("scan 2", "")):
        folder = tmp_path / "slides" / name
        folder.mkdir(parents=True)
        tissue = np.clip(np.array(TISSUE) + rng.integers(-9, 9, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        extra = [(0x40, 0x512, "LO", container)] if container else []
        write_dicom(folder / "0.dcm", tissue, extra=extra)
        write_dicom(folder / "1.dcm", tissue[::2, ::2].copy(), number=2, spacing_mm=0.001)
    tumour(tmp_path / "masks" / "B12-1.png")
    report = sampled((tmp_path / "slides", tmp_path / "masks"), tmp_path / "patches.csv")
    assert (report.metastatic_slides, report.normal_slides) == (1, 1)
    rows = {(row["case"], row["slide"], row["label"]) for row in rows_of(report)}
    assert rows == {
        ("B12-1", "slides/scan 1/0.dcm", "metastatic"), ("scan 2", "slides/scan 2/0.dcm", "normal"),
    }  # fmt: skip
    for case in ("B12-1", "scan 2"):
        assert len({row["split"] for row in rows_of(report) if row["case"] == case}) == 1


def test_the_table_reads_as_a_data_set_with_masks(folders: tuple[Path, Path], tmp_path: Path) -> None:
    report = sampled(folders, tmp_path / "out" / "patches.csv", seed=3, test_fraction=0.25, validation_fraction=0.3)
    found = finish(read_dataset(report.table, mpp=0.25))
    parts = (found.training, found.validation, found.test)
    assert [len(part) for part in parts] == [sum(report.patches[part]) for part in ("train", "val", "test")]
    assert all(parts)
    assert found.warnings == ()
    assert found.scheme.label_names == ("metastatic", "normal")
    for tile in (*found.training, *found.validation, *found.test):
        assert tile.pixels.shape == (PATCH, PATCH, 3)
        assert tile.mask is not None
        assert tile.size == pytest.approx(tile.mask.mean(), abs=1e-4)


def test_normal_patches_are_spread_evenly_over_normal_slides(folders: tuple[Path, Path], tmp_path: Path) -> None:
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    normal = [row for row in rows_of(report) if row["label"] == "normal"]
    assert set(Counter(row["slide"] for row in normal).values()) == {6}
    assert len({(row["slide"], row["x"], row["y"]) for row in normal}) == 24


def test_what_small_slides_lack_is_taken_from_the_others(folders: tuple[Path, Path], tmp_path: Path) -> None:
    slide(folders[0] / "normal_0.png", tissue_columns=1)
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    counts = Counter(row["slide"] for row in rows_of(report) if row["label"] == "normal")
    assert counts["slides/normal_0.png"] == 4
    assert sorted(counts.values()) == [4, 6, 7, 7]


def test_too_little_normal_tissue_is_told_with_counts(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for number in range(1, 4):
        (folders[0] / f"normal_{number}.png").unlink()
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    assert report.patches["train"] == (24, 8)
    assert report.warnings == (
        "The train part lacks 16 of 24 normal patches: its 1 normal slides hold no more tissue.",
    )


def test_no_slide_is_in_two_parts_and_the_same_seed_gives_the_same_table(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    first = sampled(folders, tmp_path / "a.csv", seed=1)
    second = sampled(folders, tmp_path / "b.csv", seed=1)
    assert first.table.read_text() == second.table.read_text().replace("b-masks/", "a-masks/")
    parts: dict[str, set[str]] = {}
    for row in rows_of(first):
        parts.setdefault(row["slide"], set()).add(row["split"])
    assert all(len(split) == 1 for split in parts.values())


def test_a_table_of_patients_and_parts_is_followed(folders: tuple[Path, Path], tmp_path: Path) -> None:
    lines = ["slide,case,split"]
    for number in range(4):
        split = "test" if number == 3 else "train"
        lines += [f"tumor_{number}.png,p{number},{split}", f"normal_{number},p{number},{split}"]
    table = tmp_path / "slides.csv"
    table.write_text("\n".join(lines))
    report = sampled(folders, tmp_path / "patches.csv", table=table)
    assert report.patches == {"train": (18, 18), "val": (0, 0), "test": (6, 6)}
    assert {row["case"] for row in rows_of(report) if row["split"] == "test"} == {"p3"}


def test_bad_rows_of_the_table_of_slides_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "slides.csv"
    table.write_text("slide,split\ntumor_0,train\ntumor_9,train\ntumor_0,trian\n")
    with pytest.raises(DataError) as caught:
        sampled(folders, tmp_path / "patches.csv", table=table)
    message = str(caught.value)
    assert "line 3: there is no slide 'tumor_9' (did you mean 'tumor_" in message
    assert "line 4: tumor_0 is there twice" in message
    assert "line 4: the split 'trian' is unknown" in message
    assert "normal_0.png: it has no row" in message


def test_a_patient_in_two_parts_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    names = [f"{kind}_{number}" for kind in ("tumor", "normal") for number in range(4)]
    table = tmp_path / "slides.csv"
    table.write_text(
        "slide,case,split\n" + "".join(f"{name},p,{'val' if name == 'normal_2' else 'train'}\n" for name in names)
    )
    with pytest.raises(DataError, match="its case p is in"):
        sampled(folders, tmp_path / "patches.csv", table=table)


def test_slides_with_empty_masks_become_normal_ones(folders: tuple[Path, Path], tmp_path: Path) -> None:
    tumour(folders[1] / "tumor_0.png", to=0)
    outlines(folders[1] / "tumor_3.geojson", [])
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    assert (report.metastatic_slides, report.normal_slides) == (2, 6)
    assert report.warnings == ("2 masks hold no tumour: their slides are taken as normal.",)


@pytest.mark.parametrize("name", ["tumor_7.png", "tumor_0_mask.png"])
def test_masks_that_belong_to_no_slide_or_to_one_with_another_are_refused(
    folders: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    tumour(folders[1] / name)
    with pytest.raises(DataError, match=name):
        sampled(folders, tmp_path / "patches.csv")


def test_a_slide_whose_mask_has_another_shape_is_left_out_and_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    Image.fromarray(np.ones((50, 50), np.uint8)).save(folders[1] / "tumor_0.png")
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    ((name, reason),) = report.failed
    assert name == "tumor_0.png"
    assert "tumor_0.png is 50 x 50 pixels" in reason
    assert reason.endswith("The slide is left out.")
    assert (report.metastatic_slides, report.normal_slides) == (3, 4)
    assert all("tumor_0" not in row["slide"] for row in rows_of(report))


def test_an_outline_of_an_unknown_class_leaves_its_slide_out(folders: tuple[Path, Path], tmp_path: Path) -> None:
    outlines(folders[1] / "tumor_3.geojson", [[[0, 0], [9, 0], [9, 9]]], name="lymphocytes")
    ((name, reason),) = sampled(folders, tmp_path / "patches.csv").failed
    assert name == "tumor_3.png"
    assert "lymphocytes" in reason


def test_where_every_slide_fails_the_error_names_them_and_nothing_is_written(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    for number in range(3):
        for end in (".png", "_mask.tif"):
            (folders[1] / f"tumor_{number}{end}").unlink(missing_ok=True)
    outlines(folders[1] / "tumor_3.geojson", [[[0, 0], [9, 0], [9, 9]]], name="lymphocytes")
    with pytest.raises(DataError, match=r"No patch of 32 px.*tumor_3\.png: .*lymphocytes"):
        sampled(folders, tmp_path / "patches.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks", "slides"]


STAGES = ["Searching metastatic patches", "Searching normal tissue", "Sampling normal patches", "Writing masks"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), MemoryError(), KeyError("dcm"), RuntimeError("?")])
def test_whatever_a_slide_fails_by_it_is_left_out_and_the_others_are_written(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, error: Exception
) -> None:
    work = sample_patches(*folders, tmp_path / "patches.csv", settings=PLAN, test_fraction=0, validation_fraction=0)
    while next(work).stage != stage:
        pass
    opened = open_slide

    def failing(path: Path) -> Slide:
        if path.name in ("tumor_2.png", "normal_2.png"):
            raise error
        return opened(path)

    monkeypatch.setattr("histoloop.workflows.experiments.sample_patches.open_slide", failing)
    report = finish(work)
    assert {name for name, _reason in report.failed} <= {"tumor_2.png", "normal_2.png"}
    assert report.failed
    names = {row["slide"].rpartition("/")[2] for row in rows_of(report)}
    assert names == {f"{kind}_{n}.png" for kind in ("tumor", "normal") for n in range(4)} - {
        name for name, _reason in report.failed
    }
    masks = {row["mask"] for row in rows_of(report)}
    assert {f"patches-masks/{path.name}" for path in (tmp_path / "patches-masks").iterdir()} >= masks
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks", "patches-masks", "patches.csv", "slides"]


def test_no_patch_with_enough_tumour_is_an_error(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for path in folders[1].iterdir():
        path.unlink()
    tumour(folders[1] / "tumor_0.png", to=2)
    with pytest.raises(DataError, match="No patch of 32 px"):
        sampled(folders, tmp_path / "patches.csv")


def test_earlier_patches_are_never_overwritten(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "patches.csv").write_text("mine")
    with pytest.raises(ExportError, match="exists already"):
        sampled(folders, tmp_path / "patches.csv")
    assert (tmp_path / "patches.csv").read_text() == "mine"


def test_a_cancelled_run_leaves_only_what_the_next_one_goes_on_from(folders: tuple[Path, Path], tmp_path: Path) -> None:
    work = sample_patches(*folders, tmp_path / "patches.csv", settings=PLAN)
    while next(work).stage != "Writing masks":
        pass
    work.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".patches-searched.jsonl", "masks", "slides"]


def test_the_next_run_searches_no_slide_twice_and_writes_the_same(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sampled(folders, tmp_path / "whole.csv").table.read_text(encoding="utf-8")
    work = sample_patches(*folders, tmp_path / "patches.csv", settings=PLAN)
    while next(work).message != "tumor_2.png":
        pass
    work.close()
    searched: list[str] = []
    search = sample_patches_module._tumour_patches

    def watched(path: Path, *others: object) -> object:
        searched.append(path.name)
        return search(path, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(sample_patches_module, "_tumour_patches", watched)
    report = sampled(folders, tmp_path / "patches.csv")
    assert searched == ["tumor_2.png", "tumor_3.png"]
    assert report.table.read_text(encoding="utf-8").replace("patches-masks", "whole-masks") == whole
    assert not (tmp_path / ".patches-searched.jsonl").exists()


def test_pyramids_of_masks_are_read_in_pieces(tmp_path: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[10:20, 30:70] = 2
    tifffile.imwrite(tmp_path / "mask.tif", values, tile=(64, 64), compression="deflate", photometric="minisblack")
    with open_slide(slide(tmp_path / "slide.png")) as opened:
        with open_tumour_mask(tmp_path / "mask.tif", opened) as mask:
            found = mask.tumour(Region(20, 0, 64, 32))
        with open_tumour_mask(tmp_path / "mask.tif", opened, value=1) as mask:
            assert not mask.tumour(Region(20, 0, 64, 32)).any()
    assert np.array_equal(found, values[:32, 20:84] == 2)


def test_areas_that_are_excluded_are_cut_out_of_outlines(tmp_path: Path) -> None:
    path = outlines(tmp_path / "o.geojson", [[[0, 0], [40, 0], [40, 40], [0, 40]]])
    content = json.loads(path.read_text())
    hole = json.loads(
        outlines(tmp_path / "x.geojson", [[[10, 10], [20, 10], [20, 20], [10, 20]]], name="Normal").read_text()
    )
    path.write_text(json.dumps(content["features"] + hole["features"]))
    with open_slide(slide(tmp_path / "slide.png")) as opened, open_tumour_mask(path, opened) as mask:
        assert mask.tumour(Region(0, 0, 50, 50)).sum() == 40 * 40 - 100
        assert not mask.tumour(Region(100, 50, 20, 20)).any()


# --- annotations of other programs ------------------------------------------------------------------------------------

RING = [[0, 8], [76, 8], [76, HEIGHT], [0, HEIGHT]]


def asap(path: Path, *groups: str) -> Path:
    points = "".join(f'<Coordinate Order="{place}" X="{x}" Y="{y}"/>' for place, (x, y) in enumerate(RING))
    annotations = "".join(
        f'<Annotation Name="a" Type="Polygon" PartOfGroup="{group}"><Coordinates>{points}</Coordinates></Annotation>'
        for group in groups
    )
    path.write_text(f"<ASAP_Annotations><Annotations>{annotations}</Annotations></ASAP_Annotations>")
    return path


@pytest.mark.parametrize("group", ["Tumor", "metastases", "_0", "_1"])
def test_xml_of_asap_and_packed_geojson_are_masks(folders: tuple[Path, Path], tmp_path: Path, group: str) -> None:
    before = sampled(folders, tmp_path / "before.csv", test_fraction=0, validation_fraction=0)
    text = (folders[1] / "tumor_3.geojson").read_bytes()
    (folders[1] / "tumor_3.geojson").unlink()
    (folders[1] / "tumor_3.geojson.gz").write_bytes(gzip.compress(text))
    (folders[1] / "tumor_0.png").unlink()
    asap(folders[1] / "tumor_0.xml", group)
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    assert (report.metastatic_slides, report.normal_slides) == (4, 4)
    assert (report.edge, report.abundant) == (before.edge, before.abundant)
    assert report.failed == ()


@pytest.mark.parametrize("name", ["tumor_0.ndpa", "tumor_0.png.annotations", "TUMOR_0_mask.npy", "tumor_0.svg"])
def test_a_slide_whose_annotations_are_not_read_is_left_out_and_named(
    folders: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    (folders[1] / "tumor_0.png").rename(folders[1] / name)
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    assert report.failed == (("tumor_0.png", f"{name} beside it is of no kind that is read; the slide is left out"),)
    assert (report.metastatic_slides, report.normal_slides) == (3, 4)
    assert all("tumor_0" not in row["slide"] for row in rows_of(report))


def test_a_file_beside_a_mask_that_is_read_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[1] / "tumor_0.txt").write_text("notes")
    (folders[1] / "README.md").write_text("about")
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    assert report.failed == ()
    assert report.warnings == ("tumor_0.png: tumor_0.txt beside it is of no kind that is read; tumor_0.png is taken.",)


def test_a_file_of_which_nothing_can_be_taken_makes_no_slide_normal(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[1] / "tumor_0.png").unlink()
    asap(folders[1] / "tumor_0.xml", "None")
    report = sampled(folders, tmp_path / "patches.csv")
    ((name, reason),) = report.failed
    assert name == "tumor_0.png"
    assert "no outline that can be used: 1 outlines without a class" in reason
    assert report.normal_slides == 4


def test_what_is_assumed_and_left_out_is_told(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[1] / "tumor_0.png").unlink()
    asap(folders[1] / "tumor_0.xml", "Tumor", "None")
    report = sampled(folders, tmp_path / "patches.csv", test_fraction=0, validation_fraction=0)
    assert report.warnings == ("tumor_0.xml: left out: 1 outlines without a class",)


@pytest.mark.parametrize(("value", "columns"), [(None, 76), (7, 76), (3, 0)])
def test_a_mask_of_any_depth_is_tumour_where_it_is_not_0_or_has_the_value(
    tmp_path: Path, value: int | None, columns: int
) -> None:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint16)
    pixels[8:, :76] = 7
    tifffile.imwrite(tmp_path / "mask.tif", pixels)
    with open_slide(slide(tmp_path / "slide.png")) as opened:
        with open_tumour_mask(tmp_path / "mask.tif", opened, value=value) as mask:
            assert mask.tumour(opened.extent).sum() == (HEIGHT - 8) * columns
            assert mask.is_empty() == (columns == 0)


def test_paths_that_begin_like_formulas_are_text_in_the_table_and_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    for name in ("=t.png", "=n.png"):
        slide(folder / name)
    tumour(folder / "=t_mask.png")
    report = sampled((folder, folder), folder / "patches.csv", test_fraction=0, validation_fraction=0)
    assert {row["slide"] for row in rows_of(report)} == {"./=t.png", "./=n.png"}
    assert {row["case"] for row in rows_of(report)} == {"'=t", "'=n"}
    assert len(finish(read_dataset(report.table, mpp=0.25)).training) == sum(report.patches["train"])
