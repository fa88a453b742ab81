"""Data sets as they come on disk, read into training tiles and split so that figures mean something."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from histoloop.annotations.records import ClassScheme
from histoloop.errors import DataError, suggestion
from histoloop.networks.colours import Colours
from histoloop.training.readers.classes import find_label, is_healthy, scheme_of
from histoloop.training.readers.ebhi import is_ebhi, list_ebhi
from histoloop.training.readers.folders import has_class_folders, list_class_folders
from histoloop.training.readers.glas import find_grades, list_glas
from histoloop.training.readers.manifest import MANIFEST_NAME, list_manifest
from histoloop.training.readers.sources import Listing, Part, Problems, TileSource
from histoloop.training.readers.tiles import ReadTiles, Resolution, read_tiles, stated_mpp
from histoloop.training.samples import TrainingTile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.progress import Work
    from histoloop.slides.reader import Pixels

Split = Literal["official", "case", "whole"]

ASSUMED_MPP = 0.5
"""Where no resolution is stated: between the 40x and the 20x of common scanners."""

VALIDATION, TEST = 0.2, 0.2
"""Shares of cases that go to these parts where a data set leaves it open."""

_PART_WORDS: dict[Part, str] = {"train": "training", "val": "validation", "test": "test"}
_ORDERS_TRIED = 32
_CASES_TRIED = 20_000
_CLOSE_ENOUGH = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Tiles of a data set in three parts, any of which may be empty, with what a model's card must state of it.

    `mpp` is of the tiles as they were read; `notes` are what the data set's makers leave open, `warnings` what a user
    must know before trusting a figure (plain sentences with counts), `failed` (where, what) of pictures left out.
    """

    name: str
    scheme: ClassScheme
    mpp: float
    training: tuple[TrainingTile, ...]
    validation: tuple[TrainingTile, ...]
    test: tuple[TrainingTile, ...]
    licence: str
    attribution: str
    notes: str
    warnings: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


def read_dataset(
    path: Path,
    *,
    split: Split = "official",
    mpp: float | None = None,
    seed: int = 0,
    validation_fraction: float = VALIDATION,
    test_fraction: float = TEST,
    scale: float = 1.0,
    model_mpp: float | None = None,
    default_scheme: ClassScheme | None = None,
    for_training: bool = True,
    leave_out: bool = False,
    from_objective: bool = False,
) -> Work[DataSet]:
    """Read the folder of GlaS, of EBHI-Seg, a folder per class, or a CSV manifest: whichever `path` is.

    'official' keeps the split that the data set states (a validation part it lacks is taken from its training part);
    'case', and a data set that states none, splits whole cases, stratified by label: `test_fraction` of all to test,
    then `validation_fraction` of the others to validation; 'whole' makes all of it test. `for_training` False does
    without a training part of two classes.

    `mpp` overrides the resolution at full size; `scale` below 1 reads reduced tiles (antialiased; a mask pixel is
    foreground when over half of its area is) and divides the resolution. `model_mpp`, in its place, reads the tiles at
    the resolution of a model; coarser ones stay as they are: to enlarge them would add nothing but time. The classes
    are those of the format, else the labels as found; `default_scheme` is for tiles without any label, which else are
    refused. Of slides that rectangles are cut from and that state no resolution, `from_objective` estimates it by the
    objective. DataError names everything that does not fit; nothing is half read, but with `leave_out` pictures that
    cannot be read are left out and named.
    """
    _check_numbers(mpp=mpp, scale=scale, validation_fraction=validation_fraction, test_fraction=test_fraction)
    listing = _list(path)
    classes = _scheme(listing, default_scheme)
    listing, warnings = _with_parts(
        listing,
        split=split,
        seed=seed,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
    )
    if for_training and split != "whole":
        _check_trainable(listing)
    own_mpp = mpp or listing.mpp or stated_mpp(listing, from_objective=from_objective)
    if from_objective:
        warnings.append("Of slides that state no resolution it is estimated by their objective.")
    if own_mpp is None:
        warnings.append(f"The resolution is unknown; {ASSUMED_MPP} um per pixel is assumed.")
    if model_mpp is not None:
        scale = _scale_to(model_mpp, own_mpp or ASSUMED_MPP)
    read = yield from read_tiles(listing, classes, Resolution(own_mpp, scale, from_objective), leave_out=leave_out)
    warnings += [*_sharing(listing), *_empty_masks(read.tiles, classes)]
    return DataSet(
        name=listing.name,
        scheme=classes,
        mpp=(own_mpp or ASSUMED_MPP) / scale,
        training=_part(read, "train"),
        validation=_part(read, "val"),
        test=_part(read, "test"),
        licence=listing.licence,
        attribution=listing.attribution,
        notes=listing.notes,
        warnings=tuple(warnings),
        failed=read.failed,
    )


def _scale_to(model_mpp: float, mpp: float) -> float:
    """What brings tiles of `mpp` to a model's resolution; 1 unless they are finer by more than a hundredth."""
    scale = mpp / model_mpp
    return scale if scale <= 0.99 else 1.0


def read_unlabelled(
    path: Path,
    *,
    part: Literal["all", "train"] = "all",
    mpp: float | None = None,
    seed: int = 0,
    scale: float = 1.0,
    from_objective: bool = False,
) -> Work[list[Pixels]]:
    """Only the pixels (H, W, 3) of a data set, whatever is known of its tiles: neither labels nor masks are read.

    Of all tiles, or of the training part alone, which is that of `read_dataset` (split 'official'). DataError names
    everything that does not fit.
    """
    _check_numbers(mpp=mpp, scale=scale, validation_fraction=0, test_fraction=0)
    listing = _list(path)
    if part == "train":
        listing, _warnings = _with_parts(
            listing, split="official", seed=seed, validation_fraction=VALIDATION, test_fraction=TEST
        )
    kept = [source for source in listing.sources if part == "all" or source.part == part]
    bare = replace(listing, sources=tuple(replace(source, label=None, mask=None, size=None) for source in kept))
    own_mpp = mpp or listing.mpp or stated_mpp(listing, from_objective=from_objective)
    resolution = Resolution(own_mpp, scale, from_objective)
    read = yield from read_tiles(bare, scheme_of({"tissue"}), resolution)
    return [tile.pixels for tile in read.tiles]


def _check_numbers(*, mpp: float | None, scale: float, validation_fraction: float, test_fraction: float) -> None:
    if mpp is not None and not mpp > 0:
        raise ValueError(f"mpp must be positive, not {mpp}")
    if not 0 < scale <= 1:
        raise ValueError(f"scale must lie in (0, 1], not {scale}")
    for name, value in (("validation_fraction", validation_fraction), ("test_fraction", test_fraction)):
        if not 0 <= value < 1:
            raise ValueError(f"{name} must lie in [0, 1), not {value}")


def _list(path: Path) -> Listing:
    """The tiles of whatever format `path` is in."""
    if not path.exists():
        raise DataError(f"There is no {path}.", advice="Check the path, or connect the disk it is on.")
    if path.is_file():
        if path.suffix.lower() != ".csv":
            raise DataError(f"{path} is neither a folder nor a CSV file.", advice="Give the data set's folder.")
        return list_manifest(path)
    grades = find_grades(path)
    if grades is not None:
        return list_glas(path, grades)
    if is_ebhi(path):
        return list_ebhi(path)
    if (path / MANIFEST_NAME).is_file():
        return list_manifest(path / MANIFEST_NAME)
    if has_class_folders(path):
        return list_class_folders(path)
    raise DataError(
        f"{path} holds no data set in a known format: no Grade.csv (GlaS), no class folders of EBHI-Seg with image/ "
        f"and label/, no {MANIFEST_NAME}, and no folders with PNG, JPEG, BMP or TIFF pictures in them.",
        advice="Put the pictures of each class into a folder with its name, or give a CSV file with a column 'image'.",
    )


def _scheme(listing: Listing, default: ClassScheme | None) -> ClassScheme:
    """The classes of a data set; DataError names labels that are none of them."""
    names = {label for source in listing.sources for label in source.labels}
    scheme = listing.scheme
    if scheme is None and names:
        return scheme_of(names)
    scheme = scheme or default
    if scheme is None:
        raise DataError(f"{listing.path} has no labels.", advice="Fill in the column 'label'.")
    problems = Problems(listing.path)
    for source in listing.sources:
        for label in source.labels:
            if find_label(label, scheme) is None:
                near = suggestion(label, scheme.label_names)
                advice = f"Classes are {', '.join(scheme.label_names)}."
                problems.add(source.where, f"the class {label!r} is unknown{near}", advice=advice)
    problems.raise_any()
    return scheme


def _with_parts(
    listing: Listing, *, split: Split, seed: int, validation_fraction: float, test_fraction: float
) -> tuple[Listing, list[str]]:
    """The listing with a part for every tile, and warnings of how that was done."""
    sources = listing.sources
    warnings: list[str] = []
    parts: list[Part] = [source.part or "train" for source in sources]
    if split == "whole":
        return replace(listing, sources=tuple(replace(source, part="test") for source in sources)), warnings
    cases = [source.case or f"tile {index}" for index, source in enumerate(sources)]
    labels = [source.labels or ("",) for source in sources]
    stated = all(source.part for source in sources)
    if split == "official" and not stated:
        warnings.append(f"The data set states no split: it was split by {listing.case_word}, seed {seed}.")
    if split == "case" or not stated:
        everything: list[Part] = ["train"] * len(sources)
        parts = deal_part(everything, cases, labels, to="test", fraction=test_fraction, seed=seed)
    if "val" not in parts:
        parts = deal_part(parts, cases, labels, to="val", fraction=validation_fraction, seed=seed)
    unknown = sum(not source.case for source in sources)
    if unknown and parts != [source.part for source in sources]:
        warnings.append(
            f"No {listing.case_word} is known of {unknown} of the {len(sources)} tiles: they were split tile by tile, "
            "and tissue of one patient may be in several parts."
        )
    return replace(listing, sources=tuple(map(_in_part, sources, parts))), warnings


def _in_part(source: TileSource, part: Part) -> TileSource:
    return replace(source, part=part)


def deal_part(
    parts: Sequence[Part],
    cases: Sequence[str],
    labels: Sequence[tuple[str, ...]],
    *,
    to: Part,
    fraction: float,
    seed: int,
) -> list[Part]:
    """The parts with about `fraction` of the training part moved to another, in whole cases (see `split_cases`)."""
    pool = [index for index, part in enumerate(parts) if part == "train"]
    chosen = split_cases([cases[i] for i in pool], [labels[i] for i in pool], fraction=fraction, seed=seed)
    moved = {pool[place] for place in chosen}
    return [to if index in moved else part for index, part in enumerate(parts)]


def split_cases(cases: Sequence[str], labels: Sequence[tuple[str, ...]], *, fraction: float, seed: int) -> list[int]:
    """Indices of tiles in about `fraction` of every label class, made of whole cases; sorted, seeded.

    A tile counts in each class that it has a label of, of which there must be one at least.
    Of several shuffled orders, the one is kept whose greedy choice comes closest to the fraction in every class alike.
    Each class keeps a case outside the choice, and something is chosen where that leaves any choice.
    """
    if fraction == 0 or not cases:
        return []
    names, case_of = np.unique(list(cases), return_inverse=True)
    classes, label_of = np.unique([label for some in labels for label in some], return_inverse=True)
    counts_UL = np.zeros((len(names), len(classes)))
    np.add.at(counts_UL, (np.repeat(case_of, [len(some) for some in labels]), label_of), 1)
    rng = np.random.default_rng(seed)
    best, lowest = np.zeros(len(names), np.bool_), np.inf
    for _ in range(max(1, min(_ORDERS_TRIED, _CASES_TRIED // len(names)))):
        chosen = _choose(counts_UL, rng.permutation(len(names)), fraction=fraction)
        distance = _distance(counts_UL[chosen].sum(axis=0), counts_UL, fraction) if chosen.any() else np.inf
        if distance < lowest:
            best, lowest = chosen, distance
        if lowest < _CLOSE_ENOUGH:
            break
    return np.flatnonzero(best[case_of]).tolist()


def _choose(counts_UL: NDArray[np.float64], order: NDArray[np.int64], *, fraction: float) -> NDArray[np.bool_]:
    """Cases taken in order while they bring the counts per class closer to the fraction; at least one if possible."""
    chosen = np.zeros(len(counts_UL), np.bool_)
    left_L = (counts_UL > 0).sum(axis=0)
    sum_L = np.zeros(counts_UL.shape[1])
    distance = _distance(sum_L, counts_UL, fraction)
    allowed = [unit for unit in order if (left_L[counts_UL[unit] > 0] > 1).all()]
    for unit in allowed:
        nearer = _distance(sum_L + counts_UL[unit], counts_UL, fraction)
        if nearer < distance and (left_L[counts_UL[unit] > 0] > 1).all():
            chosen[unit], distance = True, nearer
            sum_L += counts_UL[unit]
            left_L -= counts_UL[unit] > 0
    if not chosen.any() and allowed:
        chosen[min(allowed, key=lambda unit: _distance(counts_UL[unit], counts_UL, fraction))] = True
    return chosen


def _distance(sum_L: NDArray[np.float64], counts_UL: NDArray[np.float64], fraction: float) -> float:
    return float((((sum_L / counts_UL.sum(axis=0)) - fraction) ** 2).sum())


def _check_trainable(listing: Listing) -> None:
    """DataError unless the training part has tiles of two label classes, or tiles that differ in their labels."""
    counts = Counter(frozenset(source.labels) for source in listing.sources if source.part == "train")
    classes = [labels for labels in counts if labels]
    if not counts:
        raise DataError(f"{listing.path} has no training tiles.", advice="Mark some as train, or only evaluate on it.")
    if len(classes) < 2:
        what = f"are labelled {' and '.join(map(repr, sorted(classes[0])))}" if classes else "have no label"
        raise DataError(
            f"{listing.path}: the {counts.total()} training tiles {what}.",
            advice="A classifier needs tiles of two classes at least: add some of another class.",
        )


def _part(read: ReadTiles, part: Part) -> tuple[TrainingTile, ...]:
    return tuple(tile for source, tile in zip(read.sources, read.tiles, strict=True) if source.part == part)


def _sharing(listing: Listing) -> Iterator[str]:
    """A sentence, with counts, where test cases were seen before, and one where validation cases were trained on."""
    pairs: tuple[tuple[Part, tuple[Part, ...]], ...] = (("test", ("train", "val")), ("val", ("train",)))
    for part, others in pairs:
        tiles = [source for source in listing.sources if source.part == part]
        seen = {source.case for source in listing.sources if source.part in others and source.case}
        shared = [source for source in tiles if source.case in seen]
        if shared:
            cases, all_cases = ({source.case for source in some} for some in (shared, tiles))
            words = " or ".join(_PART_WORDS[other] for other in others)
            yield (
                f"{len(shared)} of the {len(tiles)} {_PART_WORDS[part]} tiles come from {listing.case_word}s that are "
                f"also in {words} ({len(cases)} of {len(all_cases)} {listing.case_word}s): expect less on new ones."
            )


def _empty_masks(tiles: Sequence[TrainingTile], scheme: ClassScheme) -> Iterator[str]:
    """A sentence for each label class with empty masks, unless its foreground is known to be empty."""
    masked = [(tile.labels, bool(tile.mask.any())) for tile in tiles if tile.mask is not None]
    for index, name in enumerate(scheme.label_names):
        full = [any_foreground for labels, any_foreground in masked if index in labels]
        empty = len(full) - sum(full)
        if empty and not (is_healthy(name) and empty == len(full)):
            yield f"{empty} of the {len(full)} masks of tiles labelled {name!r} are empty."


def lend_masks(tiles: Sequence[TrainingTile], *, fraction: float, seed: int) -> list[TrainingTile]:
    """The tiles whose masks may be used: at most `fraction` of all, the same share of every label class, seeded.

    Of tiles with several labels the first one counts. Only tiles that have a mask are chosen; DataError when there are
    none to choose.
    """
    rng = np.random.default_rng(seed)
    chosen = [
        index
        for members in _by_label(tiles)
        for index in rng.permutation([i for i in members if tiles[i].mask is not None])[: int(fraction * len(members))]
    ]
    if not chosen:
        masks = sum(tile.mask is not None for tile in tiles)
        raise DataError(
            f"{fraction:.1%} of {len(tiles)} training tiles, {masks} of them with masks, leaves no mask to train on.",
            advice="Give masks, or raise mask_fraction in the recipe.",
        )
    return [tiles[index] for index in sorted(chosen)]


def _by_label(tiles: Sequence[TrainingTile]) -> Iterator[list[int]]:
    for label in sorted({-1 if tile.label is None else tile.label for tile in tiles}):
        yield [index for index, tile in enumerate(tiles) if (-1 if tile.label is None else tile.label) == label]


def measured_colours(tiles: Iterable[Pixels]) -> Colours:
    """The colours of tiles (H, W, 3), whatever their sizes, from every fourth row and column."""
    pixels = np.concatenate([tile[::4, ::4].reshape(-1, 3) for tile in tiles]) / 255.0
    return Colours(tuple(pixels.mean(axis=0).tolist()), tuple(pixels.std(axis=0).tolist()))
