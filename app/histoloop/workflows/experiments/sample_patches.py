"""Sample patches of whole slides for weakly supervised localisation: a CSV of coordinates and the masks of patches."""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from histoloop.errors import DataError, ExportError, SlideError, suggestion
from histoloop.exchange.naming import unique_stems
from histoloop.exchange.plain_text import plain_path, plain_text
from histoloop.exchange.writing import export_to
from histoloop.geometry import Region
from histoloop.progress import Progress, Work
from histoloop.slides.find import find_slides, slide_name
from histoloop.slides.reader import open_slide
from histoloop.slides.tissue import TissueMask, find_tissue
from histoloop.store.files import folder_beside, write_beside
from histoloop.store.fingerprint import fingerprint
from histoloop.training.datasets import deal_part
from histoloop.training.readers.sources import PART_NAMES, Part, Problems
from histoloop.training.readers.tables import Row, read_table, require_columns
from histoloop.workflows.experiments.patch_grid import PatchSettings, calibrate, patch_grid, tissue_fraction
from histoloop.workflows.experiments.tumour_masks import MASK_SUFFIXES, open_tumour_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from histoloop.slides.reader import Slide

METASTATIC, NORMAL = "metastatic", "normal"

_PARTS: tuple[Part, ...] = ("train", "val", "test")
_COLUMNS = (
    "slide", "x", "y", "width", "height", "label", "mask", "tumour_fraction", "tissue_fraction", "split", "case",
)  # fmt: skip
_MASK_ENDINGS = ("_mask", "-mask", "_anno")
_LOWEST_DOWNSAMPLE = 64
_CELLS_PER_PATCH = 8


@dataclass(frozen=True, slots=True)
class PatchReport:
    """What was sampled. `edge` and `abundant` count the metastatic patches found, `kept` those kept of the abundant.

    `patches` has (metastatic, normal) by part; `warnings` are sentences for the user, `failed` (slide, reason) of those
    left out because their annotations could not be read.
    """

    table: Path
    metastatic_slides: int
    normal_slides: int
    edge: int
    abundant: int
    kept: int
    patches: dict[Part, tuple[int, int]]
    warnings: tuple[str, ...]
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Specimen:
    """A slide with its mask file, its patient and its part."""

    path: Path
    mask: Path | None
    case: str
    part: Part = "train"

    @property
    def name(self) -> str:
        return slide_name(self.path)


@dataclass(frozen=True, slots=True)
class _Patch:
    specimen: _Specimen
    region: Region
    tumour: float
    tissue: float


@dataclass(slots=True)
class _Found:
    """What the sampling has come to so far."""

    patches: list[_Patch] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


def sample_patches(
    slides: Path,
    masks: Path,
    out: Path,
    *,
    settings: PatchSettings | None = None,
    table: Path | None = None,
    mask_value: int | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Work[PatchReport]:
    """Write `out`, a CSV of patches that `read_dataset` reads, and their masks into the folder `<out>-masks`.

    A slide is metastatic when `masks` has a file of its name (`NAME.png`, `NAME_mask.tif`, `NAME.geojson`, `NAME.xml`)
    that is not empty, else normal; one with a file of its name that is of no such kind is left out. `mask_value` is
    tumour in mask pictures, None for all but 0. `table` is a CSV with the columns slide and, where wanted, case
    (patient) and split; without it every slide is its own case and the parts are split.

    All metastatic patches of a grid are found, then calibrated, the test part by itself (thesis 2.1.2.3; its code
    starts each row at the edge of the tumour instead of on a grid). Each part gets as many normal patches, in equal
    numbers from its normal slides. Errors: DataError for what does not fit, ExportError for `out`.
    """
    plan = settings or PatchSettings()
    folder = out.with_name(f"{out.stem}-masks")
    for path in (out, folder):
        if path.exists():
            raise ExportError(f"{path} exists already.", advice="Give a new name, or remove the earlier patches.")
    found = _Found()
    specimens, parts_stated = _with_cases(_without_unread(_pair(slides, masks), masks, found), table)
    specimens = _without_copies(specimens, found)
    specimens = yield from _check(specimens, mask_value, found)
    if not parts_stated:
        specimens = _dealt(specimens, validation_fraction=validation_fraction, test_fraction=test_fraction, seed=seed)
    candidates = yield from _metastatic(specimens, plan, mask_value)
    if not candidates:
        raise DataError(
            f"No patch of {plan.patch_px} px in {slides} has {plan.tumour_min:.0%} tumour.",
            advice="Check that masks and slides belong together, or take smaller patches.",
        )
    kept = [patch for pool in _pools(candidates) for patch in _calibrated(pool, plan, seed=seed)]
    found.patches += kept
    yield from _normal(specimens, plan, found, seed=seed)
    yield from _write(out, folder, found.patches, mask_value)
    return _report(out, specimens, candidates, kept, found, plan)


def _pair(slides: Path, masks: Path) -> list[_Specimen]:
    """Slides with their masks; DataError names masks without a slide and what is there twice."""
    for folder in (slides, masks):
        if not folder.is_dir():
            raise DataError(f"There is no folder {folder}.", advice="Check the path, or connect the disk it is on.")
    files = [file for file in find_slides([slides]) if not file.is_relative_to(masks) or masks == slides]
    if not files:
        raise DataError(f"There are no slides in {slides}.", advice="Give the folder that holds them.")
    problems = Problems(slides)
    by_stem: dict[str, Path] = {}
    for file in files:
        other = by_stem.setdefault(_stem(file).casefold(), file)
        if other != file:
            problems.add(slide_name(file), f"{other} has the same name", advice="Give every slide a name of its own.")
    paired: dict[Path, Path] = {}
    for mask in _mask_files(masks, set(files)):
        slide = by_stem.get(_slide_stem(mask))
        if slide is None:
            near = suggestion(_slide_stem(mask), by_stem)
            problems.add(mask.name, f"no slide has its name{near}", advice="Name masks like their slides.")
        elif slide in paired:
            what = f"{slide_name(slide)} has another mask, {paired[slide].name}"
            problems.add(mask.name, what, advice="Keep one mask for each slide.")
        else:
            paired[slide] = mask
    problems.raise_any()
    return [_Specimen(file, paired.get(file), case=_stem(file)) for file in files]


def _without_unread(specimens: list[_Specimen], masks: Path, found: _Found) -> list[_Specimen]:
    """Leave out slides whose only annotations are files of kinds that are not read: they are not known to be normal."""
    unread = _unread_files(masks, specimens)
    for specimen, file in unread.items():
        what = f"{file.name} beside it is of no kind that is read"
        if specimen.mask is None:
            found.failed.append((specimen.name, f"{what}; the slide is left out"))
        else:
            found.warnings.append(f"{specimen.name}: {what}; {specimen.mask.name} is taken.")
    return [specimen for specimen in specimens if specimen.mask is not None or specimen not in unread]


def _without_copies(specimens: list[_Specimen], found: _Found) -> list[_Specimen]:
    """Each slide once, whatever its files are called: copies of one would come into several parts."""
    by_content: dict[str, _Specimen] = {}
    copies: set[_Specimen] = set()
    for specimen in sorted(specimens, key=lambda specimen: specimen.mask is None):
        try:
            other = by_content.setdefault(fingerprint(specimen.path), specimen)
        except SlideError:  # opening it will say why
            continue
        if other is not specimen:
            copies.add(specimen)
            found.warnings.append(f"{specimen.name} is the same slide as {other.name}; it is left out.")
    return [specimen for specimen in specimens if specimen not in copies]


def _unread_files(masks: Path, specimens: list[_Specimen]) -> dict[_Specimen, Path]:
    """Files of other kinds in the folder of masks that have the name of a slide, up to any dot."""
    by_stem = {_stem(specimen.path).casefold(): specimen for specimen in specimens}
    taken = {specimen.path for specimen in specimens} | {specimen.mask for specimen in specimens}
    unread: dict[_Specimen, Path] = {}
    for file in sorted(masks.rglob("*")):
        if file in taken or file.name.startswith(".") or not file.is_file():
            continue
        parts = file.name.casefold().split(".")
        stems = (_without_ending(".".join(parts[:count])) for count in range(len(parts) - 1, 0, -1))
        specimen = next((by_stem[stem] for stem in stems if stem in by_stem), None)
        if specimen is not None:
            unread.setdefault(specimen, file)
    return unread


def _mask_files(folder: Path, slides: set[Path]) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in MASK_SUFFIXES and file not in slides and not file.name.startswith(".")
    )


def _stem(slide: Path) -> str:
    """What the mask of a slide is called: its name without the ending, and of a DICOM series, which has none, all."""
    name = slide_name(slide)
    return slide.stem if name == slide.name else name


def _slide_stem(mask: Path) -> str:
    """The name of the slide that a mask belongs to, without case: 'NAME' of NAME_mask.png, NAME.geojson.gz."""
    stem = mask.stem.casefold()
    if mask.suffix.lower() in (".gz", ".zip"):
        stem = stem.removesuffix(".geojson").removesuffix(".json").removesuffix(".xml")
    return _without_ending(stem)


def _without_ending(stem: str) -> str:
    for ending in _MASK_ENDINGS:
        stem = stem.removesuffix(ending)
    return stem


def _with_cases(specimens: list[_Specimen], path: Path | None) -> tuple[list[_Specimen], bool]:
    """Slides with the patients of the user's table, and its parts if it states them (then True).

    DataError names the lines that do not fit.
    """
    if path is None:
        return specimens, False
    table = read_table(path)
    require_columns(table, ("slide",))
    problems = Problems(path)
    rows: dict[str, Row] = {}
    names = {name: specimen for specimen in specimens for name in (specimen.name, _stem(specimen.path))}
    for row in table.rows:
        specimen = names.get(row["slide"])
        if specimen is None:
            what = f"there is no slide {row['slide']!r}{suggestion(row['slide'], names)}"
            problems.add(f"line {row.line}", what, advice="Name slides by their files.")
        elif rows.setdefault(specimen.name, row) is not row:
            problems.add(f"line {row.line}", f"{row['slide']} is there twice", advice="Keep one row for each slide.")
        if "split" in table.columns and row["split"].lower() not in PART_NAMES:
            what = f"the split {row['split']!r} is unknown"
            problems.add(f"line {row.line}", what, advice="Use train, val or test in every row.")
    for specimen in specimens:
        if specimen.name not in rows:
            problems.add(specimen.name, "it has no row", advice="Give every slide a row.")
    problems.raise_any()
    joined = [_with_row(specimen, rows[specimen.name]) for specimen in specimens]
    _check_cases(joined, problems)
    problems.raise_any()
    return joined, "split" in table.columns


def _with_row(specimen: _Specimen, row: Row) -> _Specimen:
    part = PART_NAMES.get(row["split"].lower(), "train")
    return replace(specimen, case=row["case"] or specimen.case, part=part)


def _check_cases(specimens: Sequence[_Specimen], problems: Problems) -> None:
    first: dict[str, Part] = {}
    for specimen in specimens:
        part = first.setdefault(specimen.case, specimen.part)
        if part != specimen.part:
            what = f"its case {specimen.case} is in {part} and in {specimen.part}"
            problems.add(specimen.name, what, advice="Keep all slides of a patient in one part.")


def _check(specimens: Sequence[_Specimen], mask_value: int | None, found: _Found) -> Work[list[_Specimen]]:
    """Open every slide and mask once, before hours are spent; slides with empty masks become normal ones."""
    checked: list[_Specimen] = []
    for number, specimen in enumerate(specimens):
        yield Progress("Checking slides", number, len(specimens))
        mask = specimen.mask
        with open_slide(specimen.path) as slide:
            if mask is not None:
                with open_tumour_mask(mask, slide, value=mask_value) as tumour:
                    found.warnings += [f"{mask.name}: {note}" for note in tumour.notes]
                    mask = None if tumour.is_empty() else mask
        checked.append(replace(specimen, mask=mask))
    emptied = sum(old.mask is not None and new.mask is None for old, new in zip(specimens, checked, strict=True))
    if emptied:
        found.warnings.append(f"{emptied} masks hold no tumour: their slides are taken as normal.")
    return checked


def _dealt(
    specimens: Sequence[_Specimen], *, validation_fraction: float, test_fraction: float, seed: int
) -> list[_Specimen]:
    """Whole cases in parts, metastatic and normal slides alike."""
    cases = [specimen.case for specimen in specimens]
    labels = [(_label(specimen),) for specimen in specimens]
    parts: list[Part] = ["train"] * len(specimens)
    parts = deal_part(parts, cases, labels, to="test", fraction=test_fraction, seed=seed)
    parts = deal_part(parts, cases, labels, to="val", fraction=validation_fraction, seed=seed)
    return [replace(specimen, part=part) for specimen, part in zip(specimens, parts, strict=True)]


def _label(specimen: _Specimen) -> str:
    return NORMAL if specimen.mask is None else METASTATIC


def _metastatic(specimens: Sequence[_Specimen], plan: PatchSettings, mask_value: int | None) -> Work[list[_Patch]]:
    """Every patch of the metastatic slides with enough tissue and enough tumour."""
    candidates: list[_Patch] = []
    positive = [(specimen, specimen.mask) for specimen in specimens if specimen.mask is not None]
    for number, (specimen, path) in enumerate(positive):
        with open_slide(specimen.path) as slide, open_tumour_mask(path, slide, value=mask_value) as mask:
            regions = list(_with_tissue(slide, _low_tissue(slide, plan), plan))
            for place, region in enumerate(regions):
                done = number + place / len(regions)
                yield Progress("Searching metastatic patches", done, len(positive), message=slide.path.name)
                tumour = float(mask.tumour(region).mean())
                if tumour < plan.tumour_min:
                    continue
                tissue = tissue_fraction(slide.read_region(region))
                if tissue >= plan.tissue_min:
                    candidates.append(_Patch(specimen, region, tumour, tissue))
    return candidates


def _low_tissue(slide: Slide, plan: PatchSettings) -> TissueMask:
    """Tissue at about level 6, finer where patches are small."""
    downsample = min(_LOWEST_DOWNSAMPLE, max(1.0, plan.patch_px / _CELLS_PER_PATCH))
    return find_tissue(slide, max_size_px=math.ceil(max(slide.width, slide.height) / downsample))


def _with_tissue(slide: Slide, tissue: TissueMask, plan: PatchSettings) -> Iterator[Region]:
    for region in patch_grid(slide.width, slide.height, patch_px=plan.patch_px):
        if tissue.fraction(region) >= plan.tissue_min:
            yield region


def _pools(candidates: Sequence[_Patch]) -> tuple[list[_Patch], list[_Patch]]:
    """What is calibrated together: training and validation, which are split later in the thesis, and the test part."""
    test = [patch for patch in candidates if patch.specimen.part == "test"]
    return [patch for patch in candidates if patch.specimen.part != "test"], test


def _calibrated(pool: Sequence[_Patch], plan: PatchSettings, *, seed: int) -> list[_Patch]:
    return [pool[index] for index in calibrate([patch.tumour for patch in pool], plan, seed=seed)]


def _normal(specimens: Sequence[_Specimen], plan: PatchSettings, found: _Found, *, seed: int) -> Work[None]:
    """As many normal patches in each part as it has metastatic ones, from its normal slides in equal numbers.

    Slides with the least tissue come first, so that what they lack is spread evenly over the others.
    """
    wanted = Counter(patch.specimen.part for patch in found.patches)
    for part in _PARTS:
        normal = [specimen for specimen in specimens if specimen.mask is None and specimen.part == part]
        supply: list[tuple[_Specimen, list[Region]]] = []
        for number, specimen in enumerate(normal):
            yield Progress("Searching normal tissue", number, len(normal), message=specimen.path.name)
            with open_slide(specimen.path) as slide:
                supply.append((specimen, list(_with_tissue(slide, _low_tissue(slide, plan), plan))))
        supply.sort(key=lambda item: len(item[1]))
        missing = wanted[part]
        rng = np.random.default_rng([seed, _PARTS.index(part)])
        for number, (specimen, regions) in enumerate(supply):
            yield Progress("Sampling normal patches", number, len(supply), message=specimen.path.name)
            quota = math.ceil(missing / (len(supply) - number))
            shuffled = [regions[index] for index in rng.permutation(len(regions))]
            taken = _take(specimen, shuffled, quota, plan)
            found.patches += taken
            missing -= len(taken)
        if missing:
            found.warnings.append(
                f"The {part} part lacks {missing} of {wanted[part]} normal patches: "
                f"its {len(normal)} normal slides hold no more tissue."
            )


def _take(specimen: _Specimen, regions: Sequence[Region], count: int, plan: PatchSettings) -> list[_Patch]:
    """The first patches, at most `count`, that have enough tissue at full resolution too."""
    taken: list[_Patch] = []
    with open_slide(specimen.path) as slide:
        for region in regions:
            if len(taken) == count:
                break
            tissue = tissue_fraction(slide.read_region(region))
            if tissue >= plan.tissue_min:
                taken.append(_Patch(specimen, region, 0.0, tissue))
    return taken


def _write(out: Path, folder: Path, patches: list[_Patch], mask_value: int | None) -> Work[None]:
    """Masks first, then the table, each whole or not at all."""
    patches.sort(key=lambda patch: (patch.specimen.path, patch.region.y, patch.region.x))
    stems = unique_stems(list(dict.fromkeys(patch.specimen.path for patch in patches)))
    names = [_mask_name(patch, stems) for patch in patches]
    with export_to(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder) as partial:
            yield from _write_masks(partial, patches, names, mask_value)
        try:
            write_beside(out, _table(out, folder, patches, names))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _mask_name(patch: _Patch, stems: dict[Path, str]) -> str:
    """Normal patches of a size share one mask: nothing is in it."""
    region = patch.region
    if patch.specimen.mask is None:
        return f"normal-{region.width}.png"
    return f"{stems[patch.specimen.path]}-{region.x}-{region.y}.png"


def _write_masks(folder: Path, patches: Sequence[_Patch], names: Sequence[str], mask_value: int | None) -> Work[None]:
    """The masks of patches that are sorted by slide; each slide is opened once."""
    done = 0
    for specimen, group in itertools.groupby(zip(patches, names, strict=True), key=lambda item: item[0].specimen):
        members = list(group)
        yield Progress("Writing masks", done, len(patches), message=specimen.path.name)
        done += len(members)
        if specimen.mask is None:
            patch, name = members[0]
            Image.fromarray(np.zeros((patch.region.height, patch.region.width), np.bool_)).save(folder / name)
            continue
        with open_slide(specimen.path) as slide, open_tumour_mask(specimen.mask, slide, value=mask_value) as tumour:
            for patch, name in members:
                Image.fromarray(tumour.tumour(patch.region)).save(folder / name)


def _table(out: Path, folder: Path, patches: Sequence[_Patch], names: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for patch, name in zip(patches, names, strict=True):
        region = patch.region
        writer.writerow(
            [
                plain_path(_relative(patch.specimen.path, out.parent)),
                region.x,
                region.y,
                region.width,
                region.height,
                _label(patch.specimen),
                plain_path(f"{folder.name}/{name}"),
                f"{patch.tumour:.4f}",
                f"{patch.tissue:.4f}",
                patch.specimen.part,
                plain_text(patch.specimen.case),
            ]
        )
    return text.getvalue()


def _relative(path: Path, folder: Path) -> str:
    """A path from the table's folder; as it is where they lie on different disks."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def _report(
    out: Path,
    specimens: Sequence[_Specimen],
    candidates: Sequence[_Patch],
    kept: Sequence[_Patch],
    found: _Found,
    plan: PatchSettings,
) -> PatchReport:
    counts = Counter((patch.specimen.part, _label(patch.specimen)) for patch in found.patches)
    abundant = sum(patch.tumour > plan.tumour_abundant for patch in candidates)
    return PatchReport(
        table=out,
        metastatic_slides=sum(specimen.mask is not None for specimen in specimens),
        normal_slides=sum(specimen.mask is None for specimen in specimens),
        edge=len(candidates) - abundant,
        abundant=abundant,
        kept=sum(patch.tumour > plan.tumour_abundant for patch in kept),
        patches={part: (counts[part, METASTATIC], counts[part, NORMAL]) for part in _PARTS},
        warnings=tuple(found.warnings),
        failed=tuple(found.failed),
    )
