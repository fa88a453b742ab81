"""Sample patches of whole slides for weakly supervised localisation: a CSV of coordinates and the masks of patches."""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
import shutil
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from histoloop.errors import DataError, ExportError, SlideError, suggestion
from histoloop.exchange.naming import stem_of_slide, unique_stems, without_mask_ending
from histoloop.exchange.plain_text import plain_path, plain_text
from histoloop.exchange.writing import export_to
from histoloop.geometry import Region
from histoloop.progress import Progress, Work, finish, staged
from histoloop.slides.find import find_slides, slide_name
from histoloop.slides.reader import open_slide
from histoloop.slides.tissue import TissueMask, find_tissue
from histoloop.store.files import folder_beside, write_beside
from histoloop.store.fingerprint import fingerprint
from histoloop.training.datasets import deal_part
from histoloop.training.readers.sources import PART_NAMES, Part, Problems
from histoloop.training.readers.tables import Row, read_table, require_columns
from histoloop.workflows.boundary import why_it_failed
from histoloop.workflows.cluster.spread import HERE, Finished, Spread, spread_over
from histoloop.workflows.experiments.patch_grid import PatchSettings, calibrate, patch_grid, tissue_fraction
from histoloop.workflows.experiments.searched_slides import FoundPatch, SearchedSlides
from histoloop.workflows.experiments.tumour_masks import MASK_SUFFIXES, open_tumour_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from histoloop.slides.reader import Slide

Result = TypeVar("Result")

METASTATIC, NORMAL = "metastatic", "normal"

_PARTS: tuple[Part, ...] = ("train", "val", "test")
_COLUMNS = (
    "slide", "x", "y", "width", "height", "label", "mask", "tumour_fraction", "tissue_fraction", "split", "case",
)  # fmt: skip
_LOWEST_DOWNSAMPLE = 64
_CELLS_PER_PATCH = 8

MOST_NAMED = 5
"""So many slides that were left out are named in an error."""


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
    """What the sampling has come to so far; `place` is the folder it writes to."""

    place: Path
    patches: list[_Patch] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def leave_out(self, specimen: _Specimen, error: Exception) -> None:
        """Name a slide that failed; PlaceError where nothing can be written any more."""
        reason = why_it_failed(error, writing_to=(self.place,))
        self.failed.append((specimen.path.name, f"{reason} The slide is left out."))


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
    spread: Spread = HERE,
) -> Work[PatchReport]:
    """Write `out`, a CSV of patches that `read_dataset` reads, and their masks into the folder `<out>-masks`.

    A slide is metastatic when `masks` has a file of its name (`NAME.png`, `NAME_mask.tif`, `NAME.geojson`, `NAME.xml`)
    that is not empty, else normal; one with a file of its name that is of no such kind is left out. `mask_value` is
    tumour in mask pictures, None for all but 0. `table` is a CSV with the columns slide and, where wanted, case
    (patient) and split; without it every slide is its own case and the parts are split.

    All metastatic patches of a grid are found, then calibrated, the test part by itself (thesis 2.1.2.3; its code
    starts each row at the edge of the tumour instead of on a grid). Each part gets as many normal patches, in equal
    numbers from its normal slides. A slide that fails, whatever the reason, is left out and named. What was searched
    is kept beside `out` until all is written: after an interruption the same call goes on. Slides are searched side by
    side as `spread` says, which changes nothing of what is found. Errors: DataError for what
    does not fit and where no slide is left, ExportError for `out`.
    """
    plan = settings or PatchSettings()
    folder = out.with_name(f"{out.stem}-masks")
    for path in (out, folder):
        if path.exists():
            raise ExportError(f"{path} exists already.", advice="Give a new name, or remove the earlier patches.")
    found = _Found(out.parent)
    specimens, parts_stated = _with_cases(_without_unread(_pair(slides, masks), masks, found), table)
    specimens = _without_copies(specimens, found)
    specimens = yield from _check(specimens, mask_value, found)
    if not parts_stated:
        specimens = _dealt(specimens, validation_fraction=validation_fraction, test_fraction=test_fraction, seed=seed)
    searched = SearchedSlides(
        out.with_name(f".{out.stem}-searched.jsonl"), {"plan": asdict(plan), "mask_value": mask_value}
    )
    candidates = yield from _metastatic(specimens, plan, mask_value, found, searched, spread)
    if not candidates:
        searched.remove()
        raise DataError(
            " ".join(
                [f"No patch of {plan.patch_px} px in {slides} has {plan.tumour_min:.0%} tumour.", *_in_words(found)]
            ),
            advice="Check that masks and slides belong together, or take smaller patches.",
        )
    kept = [patch for pool in _pools(candidates) for patch in _calibrated(pool, plan, seed=seed)]
    found.patches += kept
    yield from _normal(specimens, plan, found, seed=seed, spread=spread)
    yield from _write(out, folder, found, mask_value)
    searched.remove()
    left_out = {name for name, _reason in found.failed}
    read = [specimen for specimen in specimens if specimen.path.name not in left_out]
    return _report(out, read, candidates, kept, found, plan)


def _in_words(found: _Found) -> Iterator[str]:
    """The slides that were left out, the first of them by name."""
    yield from (f"{name}: {reason}" for name, reason in found.failed[:MOST_NAMED])
    if len(found.failed) > MOST_NAMED:
        yield f"{len(found.failed) - MOST_NAMED} more were left out."


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
        slide = by_stem.get(stem_of_slide(mask))
        if slide is None:
            near = suggestion(stem_of_slide(mask), by_stem)
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
        stems = (without_mask_ending(".".join(parts[:count])) for count in range(len(parts) - 1, 0, -1))
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
    emptied = 0
    for number, specimen in enumerate(specimens):
        yield Progress("Checking slides", number, len(specimens))
        try:
            one = _checked(specimen, mask_value, found)
        except Exception as error:  # what one slide stumbles over does not stop the others
            found.leave_out(specimen, error)
            continue
        emptied += one.mask != specimen.mask
        checked.append(one)
    if emptied:
        found.warnings.append(f"{emptied} masks hold no tumour: their slides are taken as normal.")
    return checked


def _checked(specimen: _Specimen, mask_value: int | None, found: _Found) -> _Specimen:
    with open_slide(specimen.path) as slide:
        if specimen.mask is None:
            return specimen
        with open_tumour_mask(specimen.mask, slide, value=mask_value) as tumour:
            found.warnings += [f"{specimen.mask.name}: {note}" for note in tumour.notes]
            return replace(specimen, mask=None) if tumour.is_empty() else specimen


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


def _metastatic(
    specimens: Sequence[_Specimen],
    plan: PatchSettings,
    mask_value: int | None,
    found: _Found,
    searched: SearchedSlides,
    spread: Spread,
) -> Work[list[_Patch]]:
    """Every patch of the metastatic slides with enough tissue and enough tumour."""
    by_slide: dict[_Specimen, Sequence[FoundPatch]] = {}
    searches: dict[_Search, _Specimen] = {}
    for specimen in specimens:
        if specimen.mask is None:
            continue
        try:
            known = searched.find(specimen.path, specimen.mask)
        except Exception as error:  # what one slide stumbles over does not stop the others
            found.leave_out(specimen, error)
            continue
        if known is not None:
            by_slide[specimen] = known
        else:
            searches[_Search(specimen.path.absolute(), specimen.mask.absolute(), plan, mask_value)] = specimen
    results = _in_turn(list(searches)) if spread.is_here else _spread(search_elsewhere, list(searches), spread)
    with closing(results):
        for news in results:
            if isinstance(news, Progress):
                yield news
                continue
            specimen = searches[news.part]
            try:
                by_slide[specimen] = news.result()
                assert specimen.mask is not None  # it was searched
                searched.add(specimen.path, specimen.mask, by_slide[specimen])
            except Exception as error:  # what one slide stumbles over does not stop the others
                found.leave_out(specimen, error)
                by_slide.pop(specimen, None)
    return [
        _Patch(specimen, patch.region, patch.tumour, patch.tissue)
        for specimen in specimens
        for patch in by_slide.get(specimen, ())
    ]


@dataclass(frozen=True, slots=True)
class _Search:
    """A slide to be searched, its mask, and for what; without a mask for normal tissue."""

    slide: Path
    mask: Path | None
    plan: PatchSettings
    mask_value: int | None = None


def search_elsewhere(search: _Search) -> list[FoundPatch]:
    """The metastatic patches of a slide, in a process that is there for such searches."""
    assert search.mask is not None  # those without one are of `tissue_elsewhere`
    return finish(_tumour_patches(search.slide, search.mask, search.plan, search.mask_value))


def tissue_elsewhere(search: _Search) -> list[Region]:
    """The places of a slide with enough tissue."""
    with open_slide(search.slide) as slide:
        return list(_with_tissue(slide, _low_tissue(slide, search.plan), search.plan))


def _in_turn(searches: Sequence[_Search]) -> Generator[Progress | Finished[_Search, list[FoundPatch]], None, None]:
    """One slide after the other, with the progress of each."""
    for number, search in enumerate(searches):
        assert search.mask is not None  # as in `search_elsewhere`
        steps = _tumour_patches(search.slide, search.mask, search.plan, search.mask_value)
        outcome: list[FoundPatch] | Exception
        try:
            outcome = yield from staged(steps, number=number, of=len(searches))
        except Exception as error:
            outcome = error
        yield Finished(search, outcome)


def _spread(
    function: Callable[[_Search], Result], searches: Sequence[_Search], spread: Spread
) -> Generator[Progress | Finished[_Search, Result], None, None]:
    """Slides side by side elsewhere."""
    done = 0
    with closing(spread_over(spread, function, searches)) as finished:
        for one in finished:
            yield Progress("Searching slides", done, len(searches))
            if one is not None:
                done += 1
                yield one


def _tumour_patches(path: Path, mask_path: Path, plan: PatchSettings, mask_value: int | None) -> Work[list[FoundPatch]]:
    """The patches of one slide."""
    patches: list[FoundPatch] = []
    with open_slide(path) as slide, open_tumour_mask(mask_path, slide, value=mask_value) as mask:
        regions = list(_with_tissue(slide, _low_tissue(slide, plan), plan))
        for place, region in enumerate(regions):
            yield Progress("Searching metastatic patches", place, len(regions), message=path.name)
            tumour = float(mask.tumour(region).mean())
            if tumour < plan.tumour_min:
                continue
            tissue = tissue_fraction(slide.read_region(region))
            if tissue >= plan.tissue_min:
                patches.append(FoundPatch(region, tumour, tissue))
    return patches


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


def _tissue_of(
    normal: Sequence[_Specimen], plan: PatchSettings, found: _Found, spread: Spread
) -> Work[list[tuple[_Specimen, list[Region]]]]:
    """The places of normal slides with enough tissue, in the order of the slides."""
    searches = {_Search(specimen.path.absolute(), None, plan): specimen for specimen in normal}
    places: dict[_Specimen, list[Region]] = {}
    if not spread.is_here:
        with closing(_spread(tissue_elsewhere, list(searches), spread)) as results:
            for news in results:
                if isinstance(news, Progress):
                    yield news
                    continue
                try:
                    places[searches[news.part]] = news.result()
                except Exception as error:  # what one slide stumbles over does not stop the others
                    found.leave_out(searches[news.part], error)
        return [(specimen, places[specimen]) for specimen in normal if specimen in places]
    for number, (search, specimen) in enumerate(searches.items()):
        yield Progress("Searching normal tissue", number, len(normal), message=specimen.path.name)
        try:
            places[specimen] = tissue_elsewhere(search)
        except Exception as error:  # likewise
            found.leave_out(specimen, error)
    return list(places.items())


def _normal(
    specimens: Sequence[_Specimen], plan: PatchSettings, found: _Found, *, seed: int, spread: Spread
) -> Work[None]:
    """As many normal patches in each part as it has metastatic ones, from its normal slides in equal numbers.

    Slides with the least tissue come first, so that what they lack is spread evenly over the others.
    """
    wanted = Counter(patch.specimen.part for patch in found.patches)
    for part in _PARTS:
        normal = [specimen for specimen in specimens if specimen.mask is None and specimen.part == part]
        supply = yield from _tissue_of(normal, plan, found, spread)
        supply.sort(key=lambda item: len(item[1]))
        missing = wanted[part]
        rng = np.random.default_rng([seed, _PARTS.index(part)])
        for number, (specimen, regions) in enumerate(supply):
            yield Progress("Sampling normal patches", number, len(supply), message=specimen.path.name)
            quota = math.ceil(missing / (len(supply) - number))
            shuffled = [regions[index] for index in rng.permutation(len(regions))]
            try:
                taken = _take(specimen, shuffled, quota, plan)
            except Exception as error:  # what one slide stumbles over does not stop the others
                found.leave_out(specimen, error)
                continue
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


def _write(out: Path, folder: Path, found: _Found, mask_value: int | None) -> Work[None]:
    """Masks first, then the table, each whole or not at all."""
    found.patches.sort(key=lambda patch: (patch.specimen.path, patch.region.y, patch.region.x))
    stems = unique_stems(list(dict.fromkeys(patch.specimen.path for patch in found.patches)))
    with export_to(out):
        with folder_beside(folder) as partial:
            yield from _write_masks(partial, found, stems, mask_value)
        try:
            write_beside(out, _table(out, folder, found.patches, stems))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _mask_name(patch: _Patch, stems: dict[Path, str]) -> str:
    """Normal patches of a size share one mask: nothing is in it."""
    region = patch.region
    if patch.specimen.mask is None:
        return f"normal-{region.width}.png"
    return f"{stems[patch.specimen.path]}-{region.x}-{region.y}.png"


def _write_masks(folder: Path, found: _Found, stems: dict[Path, str], mask_value: int | None) -> Work[None]:
    """The masks of patches that are sorted by slide; each slide is opened once, and is out if its mask fails now."""
    done = 0
    written: list[_Patch] = []
    for specimen, group in itertools.groupby(found.patches, key=lambda patch: patch.specimen):
        patches = list(group)
        yield Progress("Writing masks", done, len(found.patches), message=specimen.path.name)
        done += len(patches)
        try:
            _write_masks_of(specimen, patches, folder, stems, mask_value)
        except Exception as error:  # what one slide stumbles over does not stop the others
            found.leave_out(specimen, error)
            continue
        written += patches
    found.patches = written


def _write_masks_of(
    specimen: _Specimen, patches: Sequence[_Patch], folder: Path, stems: dict[Path, str], mask_value: int | None
) -> None:
    if specimen.mask is None:
        region = patches[0].region
        empty = np.zeros((region.height, region.width), np.bool_)
        Image.fromarray(empty).save(folder / _mask_name(patches[0], stems))
        return
    with open_slide(specimen.path) as slide, open_tumour_mask(specimen.mask, slide, value=mask_value) as tumour:
        for patch in patches:
            Image.fromarray(tumour.tumour(patch.region)).save(folder / _mask_name(patch, stems))


def _table(out: Path, folder: Path, patches: Sequence[_Patch], stems: dict[Path, str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for patch in patches:
        region = patch.region
        writer.writerow(
            [
                plain_path(_relative(patch.specimen.path, out.parent)),
                region.x,
                region.y,
                region.width,
                region.height,
                _label(patch.specimen),
                plain_path(f"{folder.name}/{_mask_name(patch, stems)}"),
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
