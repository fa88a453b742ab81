"""Predicted maps of a whole slide, as Zarr: probabilities of masks in a pyramid, label maps, cells covered.

Format 1 keeps one foreground as `foreground/LEVEL` (h, w). Format 2 keeps a decoder's mask classes as `classes/LEVEL`
(K, h, w), without the background, so that its pyramid takes K times the space before compression. `tissue` (h, w) is
where the specimen is, at a resolution of its own: masks lie nowhere else. Maps of earlier versions lack it.
"""

from __future__ import annotations

import dataclasses
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

import histoloop
from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.localisation.stitcher import foreground_of
from histoloop.slides.tissue import TissueMask
from histoloop.store.files import folder_beside, written_to
from histoloop.store.parts.maps import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from histoloop.geometry import Region
    from histoloop.slides.tiling import Window

Float = TypeVar("Float", np.float16, np.float32)

FORMAT = 2
"""The newest that is read; written are 1 for one foreground, which earlier versions read too, and 2 for classes."""

CHUNK_PX = 512
CHUNK_CELLS = 64
MOST_CELLS = 1_000_000_000
"""Of the class maps of a slide together; a slide has thousands to some millions."""

_KINDS = {
    "foreground": (np.dtype(np.float16), 2, CHUNK_PX),
    "classes": (np.dtype(np.float16), 3, CHUNK_PX),
    "labels": (np.dtype(np.float32), 3, CHUNK_CELLS),
    "covered": (np.dtype(np.bool_), 2, CHUNK_CELLS),
    "tissue": (np.dtype(np.bool_), 2, CHUNK_PX),
}
"""Of each array: type, number of axes, and the longest side of a chunk."""


class MapWriter:
    """Writes the maps of one slide core by core; a context manager.

    The frame is 'map pixels': the slide downsampled by `downsample`, rounded up to whole cells of `stride_px`.
    The folder appears only when the `with` block ends well, its pyramid built and all of it flushed to disk; after an
    exception nothing is left. Raises FileExistsError when `folder` exists: maps are never overwritten;
    ProjectPlaceError when something cannot be written. For one thread.

    `maps` names the network's class maps when there are more than the `labels`, which then come first; `label_bias` is
    what the network's head adds to the map of each label. `mask_classes` names what a decoder tells apart; none for one
    foreground. `tissue` is where the specimen is; None where that is not known. `numbers` are those that the network
    computed in. Without a `pyramid` there is its finest level alone: of maps that nobody looks at.
    """

    def __init__(
        self,
        folder: Path,
        *,
        slide_width: int,
        slide_height: int,
        downsample: float,
        labels: tuple[str, ...],
        stride_px: int,
        model_hash: str,
        maps: tuple[str, ...] = (),
        label_bias: tuple[float, ...] = (),
        mask_classes: tuple[str, ...] = (),
        tissue: TissueMask | None = None,
        numbers: str = "float32",
        pyramid: bool = True,
    ) -> None:
        if not downsample > 0 or stride_px < 1:
            raise ValueError(f"downsample and stride must be positive, not {downsample} and {stride_px}")
        if maps and maps[: len(labels)] != labels:
            raise ValueError(f"maps are named labels first, {labels}, not {maps}")
        if label_bias and len(label_bias) != len(labels):
            raise ValueError(f"there is one bias a label, not {len(label_bias)} of {len(labels)}")
        self.folder = folder
        self.stride_px = stride_px
        self.rows = math.ceil(math.ceil(slide_height / downsample) / stride_px)
        self.columns = math.ceil(math.ceil(slide_width / downsample) / stride_px)
        self._attributes = {
            "histoloop_map": 2 if mask_classes else 1,
            "slide_width": slide_width,
            "slide_height": slide_height,
            "downsample": downsample,
            "labels": list(labels),
            "maps": list(maps or labels),
            "label_bias": list(label_bias),
            "stride_px": stride_px,
            "model_hash": model_hash,
            "numbers": numbers,
            "program": histoloop.__version__,
        }
        if mask_classes:
            self._attributes["mask_classes"] = list(mask_classes)
        if tissue is not None:
            self._attributes["tissue_downsample"] = tissue.downsample
        self._mask_classes = mask_classes
        self._tissue = tissue
        self._pyramid = pyramid
        self._names = maps or labels
        self._room = folder_beside(folder)
        self._chunks: set[tuple[int, int]] = set()

    def __enter__(self) -> Self:
        cells = (self.rows, self.columns)
        size = (self.rows * self.stride_px, self.columns * self.stride_px)
        with written_to(self.folder):
            self._partial = self._room.__enter__()
            try:
                self._group = zarr.create_group(self._partial, zarr_format=3, attributes=self._attributes)
                masks = (len(self._mask_classes), *size) if self._mask_classes else size
                self._masks = _create(self._group, f"{_pyramid(self._mask_classes)}/0", masks, np.float16, CHUNK_PX)
                self._class_maps = _create(self._group, "labels", (len(self._names), *cells), np.float32, CHUNK_CELLS)
                self._covered = _create(self._group, "covered", cells, np.bool_, CHUNK_CELLS)
                if self._tissue is not None:
                    kept = _create(self._group, "tissue", self._tissue.mask.shape, np.bool_, CHUNK_PX)
                    kept[...] = self._tissue.mask
            except BaseException as failure:
                self._room.__exit__(type(failure), failure, failure.__traceback__)
                raise
        return self

    def write(self, core: Window, masks: NDArray[np.floating[Any]], maps_KHW: NDArray[np.floating[Any]]) -> None:
        """Keep the maps of a core (map pixels; its sides on multiples of the stride).

        `masks` holds probabilities at map pixels, (H, W) of one foreground or (K, H, W) of mask classes, `maps_KHW` raw
        class maps, one cell per stride.
        """
        stride = self.stride_px
        edges = (core.x, core.y, core.x + core.width, core.y + core.height)
        if any(edge % stride for edge in edges) or min(core.x, core.y) < 0:
            raise ValueError(f"{core} does not lie on multiples of the stride, {stride}")
        left, top, right, bottom = (edge // stride for edge in edges)
        if right > self.columns or bottom > self.rows:
            raise ValueError(f"{core} reaches past the map of {self.columns} x {self.rows} cells")
        _check_shape("masks", masks.shape, (*self._masks.shape[:-2], core.height, core.width))
        _check_shape("class maps", maps_KHW.shape, (len(self._names), bottom - top, right - left))
        with written_to(self.folder):
            self._masks[..., core.y : edges[3], core.x : edges[2]] = masks.astype(np.float16)
            self._class_maps[:, top:bottom, left:right] = maps_KHW.astype(np.float32)
            self._covered[top:bottom, left:right] = np.ones((bottom - top, right - left), dtype=np.bool_)
        self._chunks.update(_chunks_touched(core))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with written_to(self.folder):
            try:
                if error is None and self._pyramid:
                    _build_pyramid(self._group, _pyramid(self._mask_classes), self._chunks)
                if error is None:
                    self._group.attrs["chunks"] = _count_chunks(self._partial)
            except BaseException as failure:
                self._room.__exit__(type(failure), failure, failure.__traceback__)
                raise
            self._room.__exit__(kind, error, trace)


@dataclass(frozen=True, eq=False)
class SlideMap:
    """The maps of one slide, read lazily from disk; any number of threads may read.

    `mask_classes` names the mask classes that the decoder told apart; none where there is one foreground.
    Level 0 of the masks is the slide downsampled by `downsample`; each further level halves it. Class maps, those
    of the labels first, and coverage have one cell per `stride_px` pixels of level 0. What is read raises ProjectError
    where it is damaged; the folder is marked then, so that the slide counts as not predicted. `program` is the version
    that predicted it (empty in older maps), `numbers` what its network computed in.
    """

    folder: Path
    slide_width: int
    slide_height: int
    downsample: float
    label_names: tuple[str, ...]
    stride_px: int
    model_hash: str
    level_downsamples: tuple[float, ...]
    maps: MapArray
    covered: MapArray
    label_bias: tuple[float, ...]
    mask_classes: tuple[str, ...]
    program: str
    numbers: str
    _levels: tuple[MaskPlanes, ...]
    _tissue: MapArray | None = None
    _tissue_downsample: float = 1.0
    _tissue_found: TissueMask | None = None

    @cached_property
    def tissue(self) -> TissueMask | None:
        """Where the specimen is; None in maps of earlier versions, which did not keep it."""
        if self._tissue is None:
            return self._tissue_found
        return TissueMask(np.asarray(self._tissue, np.bool_), self._tissue_downsample)

    def with_tissue(self, tissue: TissueMask) -> SlideMap:
        """The same maps, with the specimen that was found on their slide since."""
        return dataclasses.replace(self, _tissue_found=tissue)

    def on_specimen(self, region: Region, *, height: int, width: int) -> NDArray[np.bool_]:
        """Where in a level-0 region masks may lie, as (height, width) pixels; everywhere where that is not known."""
        if self.tissue is None:
            return np.ones((height, width), np.bool_)
        return self.tissue.within(region, height=height, width=width)

    def in_classes(self, names: tuple[str, ...], values: Sequence[int]) -> SlideMap:
        """The same with its masks in other classes: each of its own classes counts as the one with this mask value.

        Several may count as one, and one as none (0). A map of one foreground stays as it is.
        """
        if not self.mask_classes or (names == self.mask_classes and list(values) == list(range(1, len(names) + 1))):
            return self
        levels = tuple(_Rearranged(level, values, len(names)) for level in self._levels)
        return dataclasses.replace(self, mask_classes=names, _levels=levels)

    def masks(self, level: int = 0) -> MaskPlanes:
        """float16 probabilities, 0 where nothing was predicted: (h, w) of one foreground, (K, h, w) of mask classes."""
        return self._levels[level]

    @property
    def labels(self) -> NDArray[np.float32]:
        """(C, rows, columns) raw maps of the labels, read from disk."""
        return np.asarray(self.maps[: len(self.label_names)], np.float32)

    def read_foreground(self, region: Region, *, level: int = 0) -> NDArray[np.float32]:
        """Foreground probability (h, w) at the pixels of `level` that touch a level-0 region of the slide; else 0."""
        return foreground_of(self.read_masks(region, level=level))

    def read_masks(self, region: Region, *, level: int = 0) -> NDArray[np.float32]:
        """As `read_foreground`, but of each mask class (K, h, w) where they are told apart."""
        return _read(self._levels[level], region, self.level_downsamples[level]).astype(np.float32)


class MapArray:
    """An array of a map on disk: what is indexed is read. Raises ProjectError where it is damaged."""

    def __init__(self, folder: Path, array: zarr.Array[Any]) -> None:
        self._folder, self._array = folder, array
        self.shape: tuple[int, ...] = array.shape

    def __getitem__(self, place: Any) -> NDArray[Any]:
        try:
            return np.asarray(self._array[place])
        except OSError as error:
            raise _unreadable(self._folder, error.strerror or str(error)) from error
        except Exception as error:  # of damaged pixels the codecs raise anything
            with suppress(OSError):  # where nothing can be written it is found damaged each time
                (self._folder / DAMAGED).touch()
            raise _unreadable(self._folder, f"{type(error).__name__}: {error}") from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype)


class MaskPlanes(Protocol):
    """Masks on disk: what is indexed is read, of all classes, the last two axes being rows and columns."""

    shape: tuple[int, ...]

    def __getitem__(self, place: Any) -> NDArray[Any]: ...


class _Rearranged:
    """Planes of classes on disk as those of others."""

    def __init__(self, planes: MaskPlanes, values: Sequence[int], count: int) -> None:
        self._planes, self._values = planes, tuple(values)
        self.shape = (count, *planes.shape[1:])

    def __getitem__(self, place: Any) -> NDArray[Any]:
        own = self._planes[place]
        found = np.zeros((self.shape[0], *own.shape[1:]), own.dtype)
        for plane, value in zip(own, self._values, strict=True):
            if value:
                found[value - 1] += plane
        return found


def open_map(folder: Path) -> SlideMap:
    """The maps in a folder; ProjectError when they are missing, damaged at first sight, or of a newer format."""
    try:
        group = zarr.open_group(folder, mode="r", zarr_format=3)
        attributes: dict[str, Any] = dict(group.attrs)
        if attributes["histoloop_map"] > FORMAT:
            raise _unreadable(folder, tr("it was written by a newer HistoLoop"))
        mask_classes = tuple(map(str, attributes.get("mask_classes", ())))
        levels = tuple(_level_arrays(group, _pyramid(mask_classes)))
        found = SlideMap(
            folder=folder,
            slide_width=int(attributes["slide_width"]),
            slide_height=int(attributes["slide_height"]),
            downsample=float(attributes["downsample"]),
            label_names=tuple(map(str, attributes["labels"])),
            stride_px=int(attributes["stride_px"]),
            model_hash=str(attributes["model_hash"]),
            level_downsamples=tuple(float(attributes["downsample"]) * 2.0**level for level in range(len(levels))),
            maps=MapArray(folder, _array(group, "labels")),
            covered=MapArray(folder, _array(group, "covered")),
            label_bias=tuple(map(float, attributes.get("label_bias", ()))),
            mask_classes=mask_classes,
            program=str(attributes.get("program", "")),
            numbers=str(attributes.get("numbers", "float32")),
            _levels=tuple(MapArray(folder, level) for level in levels),
            _tissue=MapArray(folder, _array(group, "tissue")) if "tissue" in group else None,
            _tissue_downsample=float(attributes.get("tissue_downsample", 1)),
        )
        _check_whole(found, attributes.get("chunks"))
    except ProjectError:
        raise
    except Exception as error:  # of a damaged description Zarr raises anything
        raise _unreadable(folder, f"{type(error).__name__}: {error}") from error
    return found


def check_map(folder: Path) -> None:
    """Read all of the maps in a folder, a band at a time; ProjectError when anything is damaged or no number."""
    found = open_map(folder)
    tissue = () if found._tissue is None else (found._tissue,)
    for array in (found.maps, found.covered, *tissue, *found._levels):
        for row in range(0, array.shape[-2], CHUNK_PX):
            if not np.isfinite(array[..., row : row + CHUNK_PX, :]).all():
                raise _unreadable(folder, tr("it contains values that are not numbers"))


_counted: set[Path] = set()
"""Maps whose chunks this process has counted. Maps are never changed."""


def _check_whole(found: SlideMap, chunks: Any) -> None:
    """Raise ValueError when sizes do not go together, or when there are fewer chunks than were written."""
    if not (0 < found.downsample < math.inf and found.stride_px > 0 and min(found.slide_width, found.slide_height) > 0):
        raise ValueError(f"a slide of {found.slide_width} x {found.slide_height} at {found.downsample}")
    stride = found.stride_px
    cells = tuple(
        math.ceil(math.ceil(side / found.downsample) / stride) for side in (found.slide_height, found.slide_width)
    )
    if found.maps.shape[1:] != cells or found.maps.shape[0] < len(found.label_names):
        raise ValueError(f"class maps of shape {found.maps.shape} for {cells} cells")
    if math.prod(found.maps.shape) > MOST_CELLS:
        raise ValueError(f"class maps of shape {found.maps.shape}")
    if found.covered.shape != cells:
        raise ValueError(f"coverage of shape {found.covered.shape} for {cells} cells")
    classes = (len(found.mask_classes),) if found.mask_classes else ()
    size = (cells[0] * stride, cells[1] * stride)
    for level in found._levels:
        if level.shape != (*classes, *size):
            raise ValueError(f"a level of shape {level.shape} in place of {(*classes, *size)}")
        size = (-(-size[0] // 2), -(-size[1] // 2))
    if not 0 < found._tissue_downsample < math.inf or (
        found._tissue is not None and math.prod(found._tissue.shape) > MOST_CELLS
    ):
        raise ValueError(f"tissue at {found._tissue_downsample}")
    if found.label_bias and len(found.label_bias) != len(found.label_names):
        raise ValueError(f"{len(found.label_bias)} biases of {len(found.label_names)} labels")
    if chunks is None or found.folder in _counted:  # older maps do not say how many they have
        return
    if _count_chunks(found.folder) != chunks:
        raise ValueError("a part of it is missing")
    _counted.add(found.folder)


def _count_chunks(folder: Path) -> int:
    """How many files of pixels there are under a folder."""
    inside = (names for parent, _folders, names in os.walk(folder) if Path(parent) != folder)
    return sum(len(names) - ("zarr.json" in names) for names in inside)


def _unreadable(folder: Path, reason: str) -> ProjectError:
    return ProjectError(
        tr("The maps in {folder} cannot be read: {reason}.", folder=folder, reason=reason),
        advice=tr("Predict the slide again."),
    )


def _create(
    group: zarr.Group, name: str, shape: tuple[int, ...], dtype: type[np.generic], chunk: int
) -> zarr.Array[Any]:
    chunks = (*(max(1, side) for side in shape[:-2]), chunk, chunk)
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=np.dtype(dtype),
        fill_value=0,
        compressors=ZstdCodec(checksum=True),  # a changed byte is noticed
    )


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise TypeError(f"{name} is not an array")
    kind, axes, chunk = _KINDS[name.partition("/")[0]]
    if found.dtype != kind or found.ndim != axes or max(found.chunks[-2:]) > chunk:
        raise TypeError(f"{name} is of type {found.dtype}, shape {found.shape} and chunks {found.chunks}")
    return found


def _pyramid(mask_classes: tuple[str, ...]) -> str:
    """What the group of the masks' levels is called."""
    return "classes" if mask_classes else "foreground"


def _level_arrays(group: zarr.Group, pyramid: str) -> Iterator[zarr.Array[Any]]:
    yield _array(group, f"{pyramid}/0")
    level = 1
    while f"{pyramid}/{level}" in group:
        yield _array(group, f"{pyramid}/{level}")
        level += 1


def _check_shape(what: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise ValueError(f"{what} of shape {shape} where {expected} is needed")


def _chunks_touched(core: Window) -> Iterator[tuple[int, int]]:
    """(row, column) of the masks' chunks that a core reaches into."""
    for row in range(core.y // CHUNK_PX, -(-(core.y + core.height) // CHUNK_PX)):
        for column in range(core.x // CHUNK_PX, -(-(core.x + core.width) // CHUNK_PX)):
            yield row, column


def _build_pyramid(group: zarr.Group, pyramid: str, chunks: set[tuple[int, int]]) -> None:
    """Add levels of half the size until one chunk holds a level; only chunks above written ones, four in memory."""
    fine, level = _array(group, f"{pyramid}/0"), 0
    while max(fine.shape[-2:]) > CHUNK_PX:
        level += 1
        half = (*fine.shape[:-2], -(-fine.shape[-2] // 2), -(-fine.shape[-1] // 2))
        coarse = _create(group, f"{pyramid}/{level}", half, np.float16, CHUNK_PX)
        chunks = {(row // 2, column // 2) for row, column in chunks}
        for row, column in sorted(chunks):
            top, left = row * CHUNK_PX, column * CHUNK_PX
            block = np.asarray(fine[..., 2 * top : 2 * (top + CHUNK_PX), 2 * left : 2 * (left + CHUNK_PX)])
            coarse[..., top : top + CHUNK_PX, left : left + CHUNK_PX] = halved(block)
        fine = coarse


def halved(block: NDArray[Float]) -> NDArray[Float]:
    """Means of 2 x 2 pixels of the last two axes; a last odd row or column stands for its missing neighbour too."""
    height, width = block.shape[-2:]
    around = [*[(0, 0)] * (block.ndim - 2), (0, height % 2), (0, width % 2)]
    even = np.pad(block, around, mode="edge").astype(np.float32)
    pairs = even.reshape(*block.shape[:-2], -(-height // 2), 2, -(-width // 2), 2)
    means: NDArray[np.float32] = pairs.mean(axis=(-3, -1))
    return means.astype(block.dtype)


def _read(array: MaskPlanes, region: Region, pixel: float) -> NDArray[Any]:
    """Pixels, each `pixel` level-0 pixels wide, that touch a region: the last two axes; 0 outside the array."""
    left, top = math.floor(region.x / pixel), math.floor(region.y / pixel)
    right, bottom = math.ceil(region.right / pixel), math.ceil(region.bottom / pixel)
    height, width = array.shape[-2:]
    rows = slice(min(max(top, 0), height), min(max(bottom, 0), height))
    columns = slice(min(max(left, 0), width), min(max(right, 0), width))
    inside = array[..., rows, columns]
    room = np.zeros((*array.shape[:-2], bottom - top, right - left), dtype=inside.dtype)
    room[..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = inside
    return room
