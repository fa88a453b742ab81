"""Synthetic H&E tissue with exact masks: glands, benign and malignant, in stroma.

Everything is a function of the seed and the place, so that any region can be made alone and a slide of any size is
written without ever being held in memory. It is made to be learned from and shown, not to be mistaken for a patient's.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from histoloop.geometry import Region
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.slides.stain import Floats, rgb_from_stains, varied_stain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histoloop.slides.reader import Pixels

SyntheticLabel = Literal["benign", "malignant", "mixed"]

Mask = NDArray[np.uint8]

GLAND, TUMOUR = 1, 2
"""Mask values of benign and malignant glands."""

_PITCH_UM = 96.0
_REACH_UM = 75.0
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class SyntheticSpec:
    """A synthetic slide: sizes in level-0 pixels, resolution in um/px. 'mixed' has benign and malignant areas.

    `margin_um` is the width of the glass around the tissue; 0 makes a field full of tissue.
    """

    seed: int
    width: int
    height: int
    mpp: float = 0.5
    label: SyntheticLabel = "mixed"
    margin_um: float = 60.0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or not self.mpp > 0:
            raise ValueError(f"a slide needs a size and a resolution, not {self.width} x {self.height} at {self.mpp}")
        if self.label not in ("benign", "malignant", "mixed"):
            raise ValueError(f"label must be benign, malignant or mixed, not {self.label!r}")


@dataclass(frozen=True, slots=True)
class _Gland:
    x: float
    y: float
    radius: float
    malignant: bool
    number: int


@dataclass(slots=True, eq=False)
class _Canvas:
    """What is known of a window while glands are laid into it; coordinates in um."""

    x: Floats
    y: Floats
    depth: Floats
    haematoxylin: Floats
    eosin: Floats
    mask: Mask


class SyntheticTissue:
    """Pixels and masks of a synthetic slide, region by region."""

    def __init__(self, spec: SyntheticSpec) -> None:
        self.spec = spec
        self.stain = varied_stain(np.random.default_rng(spec.seed))
        self._strength = 0.85 + 0.3 * float(_hash(spec.seed, 0, 0, 91))

    @property
    def extent(self) -> Region:
        """The whole slide."""
        return Region(0, 0, self.spec.width, self.spec.height)

    def read(self, region: Region) -> tuple[Pixels, Mask]:
        """RGB (H, W, 3) and mask (H, W) of a level-0 region; the same values whichever region is read."""
        canvas = self._stroma(region)
        for gland in self._glands(region):
            self._lay(gland, canvas, region)
        tissue = self._tissue(canvas.x, canvas.y)
        grain = 1 + 0.05 * (_hash(self.spec.seed, *self._pixel_numbers(region), 7) - 0.5)
        haematoxylin = canvas.haematoxylin * tissue * grain * self._strength
        eosin = canvas.eosin * tissue * grain * self._strength
        mask = np.where(tissue > 0.5, canvas.mask, 0).astype(np.uint8)
        return rgb_from_stains(haematoxylin.astype(np.float32), eosin.astype(np.float32), self.stain), mask

    # --- ground -----------------------------------------------------------------------------------------------------

    def _pixel_numbers(self, region: Region) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = np.arange(region.y, region.bottom)[:, None]
        columns = np.arange(region.x, region.right)[None, :]
        return columns, rows

    def _stroma(self, region: Region) -> _Canvas:
        """Fibres in eosin, scattered spindle nuclei in haematoxylin."""
        columns, rows = self._pixel_numbers(region)
        shape = (region.height, region.width)
        x = np.broadcast_to(((columns + 0.5) * self.spec.mpp).astype(np.float32), shape)
        y = np.broadcast_to(((rows + 0.5) * self.spec.mpp).astype(np.float32), shape)
        seed = self.spec.seed
        bend = _noise(x, y, 90.0, seed, 1)
        waves = np.sin((x * 0.35 + y * 0.9) / 3.2 + 14 * bend + 5 * _noise(x, y, 25.0, seed, 2))
        eosin = 0.26 + 0.09 * waves + 0.16 * _noise(x, y, 40.0, seed, 3) + 0.16 * (_noise(x, y, 4.0, seed, 4) - 0.5)
        spindles = _nuclei(x + 20 * bend, y, seed, pitch=13.0, radius=2.0, stretch=2.8, share=0.35, salt=10)
        crowd = 0.05 + 0.5 * np.clip(_noise(x, y, 60.0, seed, 19) - 0.55, 0, 1)
        lymphocytes = _nuclei(y + 20 * bend, x, seed, pitch=8.0, radius=2.5, stretch=1.1, share=0.4, salt=14)
        lymphocytes = lymphocytes * (_noise(x, y, 24.0, seed, 21) < crowd + 0.3)
        nuclei = np.maximum(spindles, lymphocytes)
        haematoxylin = 0.05 + 0.05 * _noise(x, y, 30.0, seed, 22) + 1.1 * nuclei
        return _Canvas(
            x=x,
            y=y,
            depth=np.zeros(shape, np.float32),
            haematoxylin=haematoxylin.astype(np.float32),
            eosin=np.clip(eosin, 0.05, 1).astype(np.float32),
            mask=np.zeros(shape, np.uint8),
        )

    def _tissue(self, x: Floats, y: Floats) -> Floats:
        """1 inside the tissue's wavy outline, 0 on glass, over a soft edge of some um."""
        if self.spec.margin_um <= 0:
            return np.ones_like(x)
        width, height = self.spec.width * self.spec.mpp, self.spec.height * self.spec.mpp
        inside = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
        wave = 1.6 * _noise(x, y, 240.0, self.spec.seed, 5) + 0.5 * _noise(x, y, 50.0, self.spec.seed, 6)
        return np.asarray(np.clip((inside - self.spec.margin_um * (0.3 + wave)) / 2.0 + 0.5, 0, 1), np.float32)

    # --- glands -----------------------------------------------------------------------------------------------------

    def _glands(self, region: Region) -> list[_Gland]:
        """Glands that can reach into a region, from a jittered lattice, in lattice order."""
        mpp = self.spec.mpp
        first_column = math.floor((region.x * mpp - _REACH_UM) / _PITCH_UM) - 1
        last_column = math.ceil((region.right * mpp + _REACH_UM) / _PITCH_UM) + 1
        first_row = math.floor((region.y * mpp - _REACH_UM) / _PITCH_UM) - 1
        last_row = math.ceil((region.bottom * mpp + _REACH_UM) / _PITCH_UM) + 1
        found = (
            self._gland(column, row)
            for row in range(first_row, last_row + 1)
            for column in range(first_column, last_column + 1)
        )
        return [gland for gland in found if gland is not None]

    def _gland(self, column: int, row: int) -> _Gland | None:
        """The gland of a lattice cell, if it has one."""
        seed = self.spec.seed
        chance = [float(_hash(seed, column, row, salt)) for salt in range(20, 25)]
        x = (column + 0.5 * (row % 2) + 0.5 + 0.30 * (chance[0] - 0.5)) * _PITCH_UM
        y = (row + 0.5 + 0.30 * (chance[1] - 0.5)) * _PITCH_UM
        malignant = self._is_malignant(x, y, chance[2])
        if chance[3] < (0.04 if malignant else 0.10):
            return None
        radius = 39 + 17 * chance[4] if malignant else 31 + 11 * chance[4]
        return _Gland(x, y, radius, malignant, (row * 7919 + column) & 0x7FFFFFFF)

    def _is_malignant(self, x: float, y: float, chance: float) -> bool:
        if self.spec.label != "mixed":
            return self.spec.label == "malignant"
        place = np.array([[x]], np.float32), np.array([[y]], np.float32)
        return float(_noise(*place, 700.0, self.spec.seed, 8)[0, 0]) + 0.06 * (chance - 0.5) > 0.5

    def _lay(self, gland: _Gland, canvas: _Canvas, region: Region) -> None:
        """Draw a gland into the canvas wherever it lies deeper than the glands before it."""
        mpp = self.spec.mpp
        left = max(0, math.floor((gland.x - _REACH_UM) / mpp) - region.x)
        right = min(region.width, math.ceil((gland.x + _REACH_UM) / mpp) - region.x)
        top = max(0, math.floor((gland.y - _REACH_UM) / mpp) - region.y)
        bottom = min(region.height, math.ceil((gland.y + _REACH_UM) / mpp) - region.y)
        if right <= left or bottom <= top:
            return
        place = np.s_[top:bottom, left:right]
        x, y = canvas.x[place], canvas.y[place]
        angle = np.arctan2(y - gland.y, x - gland.x)
        distance = np.hypot(x - gland.x, y - gland.y)
        outline = self._outline(gland, angle, x, y)
        inward = outline - distance  # um from the basement membrane, positive inside
        mine = (inward > 0) & (inward > canvas.depth[place])
        if not mine.any():
            return
        paint = self._malignant if gland.malignant else self._benign
        haematoxylin, eosin = paint(gland, x, y, angle, inward, outline)
        canvas.depth[place] = np.where(mine, inward, canvas.depth[place])
        canvas.haematoxylin[place] = np.where(mine, haematoxylin, canvas.haematoxylin[place])
        canvas.eosin[place] = np.where(mine, eosin, canvas.eosin[place])
        canvas.mask[place] = np.where(mine, TUMOUR if gland.malignant else GLAND, canvas.mask[place])

    def _outline(self, gland: _Gland, angle: Floats, x: Floats, y: Floats) -> Floats:
        """Distance of the gland's outline from its middle, um: nearly an ellipse, or irregular."""
        phases = [2 * math.pi * float(_hash(self.spec.seed, gland.number, 0, salt)) for salt in range(30, 35)]
        swing = 0.20 if gland.malignant else 0.07
        wave = (
            1.3 * np.cos(2 * angle + phases[0])
            + 0.8 * np.cos(3 * angle + phases[1])
            + 0.5 * np.cos(5 * angle + phases[2])
        )
        outline = gland.radius * (1 + swing * wave / 1.6)
        ragged = (_noise(x, y, 14.0, self.spec.seed, 9) - 0.5) * (12 if gland.malignant else 3)
        return np.asarray(np.clip(outline + ragged, 6, _REACH_UM - 2), np.float32)

    def _benign(
        self, gland: _Gland, x: Floats, y: Floats, angle: Floats, inward: Floats, outline: Floats
    ) -> tuple[Floats, Floats]:
        """One row of basal nuclei, pale mucin in goblet cells, an open lumen."""
        seed = self.spec.seed
        cells = max(12, round(2 * math.pi * gland.radius / 6.2))
        along = (angle / (2 * math.pi) + 0.5) * cells
        cell = np.floor(along)
        jitter = _hash(seed, gland.number, cell.astype(np.int64), 40)
        nucleus = ((along - cell - 0.5) / 0.36) ** 2 + ((inward - 6.2 - 2.4 * (jitter - 0.5)) / 4.3) ** 2
        nuclei = np.clip((1.15 - nucleus) * 3, 0, 1)
        membrane = np.clip(1.2 - np.abs(inward - 1.0), 0, 1)
        lumen = np.clip((inward - (17 + 7 * jitter + 4 * np.sin(3 * angle + gland.number))) / 2, 0, 1)
        lumen = np.where(outline < 24, 0, lumen)
        goblet = np.clip((inward - 11) / 3, 0, 1) * (jitter > 0.35)
        walls = np.clip(1 - 9 * np.minimum(along - cell, cell + 1 - along), 0, 1)
        cytoplasm = 0.34 - 0.20 * goblet + 0.14 * walls + 0.06 * (_noise(x, y, 5.0, seed, 11) - 0.5)
        haematoxylin = (0.12 + 0.10 * goblet) * (1 - nuclei) + (1.15 + 0.3 * jitter) * nuclei
        haematoxylin = haematoxylin * (1 - lumen) + 0.02 * lumen
        eosin = (cytoplasm + 0.25 * membrane) * (1 - lumen) + 0.05 * lumen
        return haematoxylin.astype(np.float32), eosin.astype(np.float32)

    def _malignant(
        self, gland: _Gland, x: Floats, y: Floats, angle: Floats, inward: Floats, outline: Floats
    ) -> tuple[Floats, Floats]:
        """Crowded, large, dark nuclei in several rows, and several small lumina (cribriform)."""
        seed = self.spec.seed
        lumina = _cells(x, y, seed, pitch=27.0, salt=50 + gland.number % 7)
        room = np.clip((inward - 11) / 3, 0, 1)
        wobble = 3 * (_noise(x, y, 7.0, seed, 12) - 0.5)
        lumen = np.clip((7.5 + 4 * lumina.chance + wobble - lumina.distance) / 1.5, 0, 1) * room * (lumina.chance > 0.3)
        debris = _noise(x, y, 3.5, seed, 13) > 0.72
        drift = 9.0 * (_noise(x, y, 11.0, seed, 17) - 0.5), 9.0 * (_noise(x, y, 11.0, seed, 18) - 0.5)
        first = _nuclei(x + drift[0], y + drift[1], seed, pitch=9.0, radius=3.2, stretch=1.4, share=0.75, salt=60)
        second = _nuclei(y - drift[1], x + drift[0], seed, pitch=11.5, radius=3.6, stretch=1.5, share=0.55, salt=61)
        nuclei = np.maximum(first, 0.9 * second) * (1 - lumen)
        chromatin = 0.75 + 0.5 * _noise(x, y, 2.2, seed, 15)
        haematoxylin = (0.20 + 1.15 * nuclei * chromatin) * (1 - lumen) + (0.03 + 0.25 * debris) * lumen
        eosin = (0.36 + 0.08 * _noise(x, y, 9.0, seed, 16)) * (1 - lumen) + (0.05 + 0.25 * debris) * lumen
        return haematoxylin.astype(np.float32), eosin.astype(np.float32)


# --- files ------------------------------------------------------------------------------------------------------------

_TILE_PX = 256
_JPEG_QUALITY = 88


def write_synthetic_slide(path: Path, spec: SyntheticSpec) -> Work[Path]:
    """Write a slide as pyramidal tiled JPEG TIFF (BigTIFF where needed) that OpenSlide opens with its resolution.

    A strip of tiles is held in memory at a time; coarser levels wait in a temporary file. Yields once a strip.
    """
    tissue = SyntheticTissue(spec)
    levels = [_Level(width, height) for width, height in _level_sizes(spec.width, spec.height)]
    try:
        strips = range(0, spec.height, _TILE_PX)
        for number, top in enumerate(strips):
            yield Progress(tr("Making {slide}", slide=path.name), number, len(strips))
            height = min(_TILE_PX, spec.height - top)
            _add_strip(levels, tissue.read(Region(0, top, spec.width, height))[0])
        partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        _write_tiff(partial, levels, spec.mpp)
        os.replace(partial, path)
    finally:
        for level in levels:
            level.encoded.close()
    yield Progress(tr("Making {slide}", slide=path.name), len(strips), len(strips))
    return path


def _level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Halved until a tile holds a level."""
    sizes = [(width, height)]
    while max(sizes[-1]) > _TILE_PX:
        sizes.append((max(1, sizes[-1][0] // 2), max(1, sizes[-1][1] // 2)))
    return sizes


class _Level:
    """A pyramid level while it is made: its encoded tiles in a temporary file, and rows that wait for a full strip."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.encoded = tempfile.TemporaryFile()
        self.lengths: list[int] = []
        self.waiting: list[Pixels] = []
        self.done_rows = 0

    def encode(self, strip: Pixels) -> None:
        """Cut a strip into tiles, padded with their edge, and keep them encoded."""
        padded = np.pad(strip, ((0, -strip.shape[0] % _TILE_PX), (0, -strip.shape[1] % _TILE_PX), (0, 0)), mode="edge")
        for left in range(0, padded.shape[1], _TILE_PX):
            content = io.BytesIO()
            tile = Image.fromarray(padded[:, left : left + _TILE_PX])
            tile.save(content, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
            self.lengths.append(self.encoded.write(content.getvalue()))
        self.done_rows += strip.shape[0]

    def tiles(self) -> Iterator[bytes]:
        """The encoded tiles, row by row."""
        self.encoded.seek(0)
        for length in self.lengths:
            yield self.encoded.read(length)


def _add_strip(levels: list[_Level], strip: Pixels) -> None:
    """Add rows to the finest level and, halved, to the coarser ones as soon as they have a strip."""
    levels[0].encode(strip)
    for finer, coarser in itertools.pairwise(levels):
        coarser.waiting.append(_halved(strip, coarser.width))
        rows = sum(len(part) for part in coarser.waiting)
        last = finer.done_rows == finer.height
        if rows < _TILE_PX and not last:
            return
        strip = np.concatenate(coarser.waiting)[: coarser.height - coarser.done_rows]
        coarser.waiting = []
        if not len(strip):  # an odd row was left over; what was complete went on before
            return
        coarser.encode(strip)


def _halved(strip: Pixels, width: int) -> Pixels:
    """Means of 2 x 2 pixels; a last odd row or column falls away, except where it is the only one."""
    rows, columns = max(2, len(strip) // 2 * 2), width * 2
    even = np.pad(strip, ((0, max(0, rows - len(strip))), (0, max(0, columns - strip.shape[1])), (0, 0)), mode="edge")
    blocks = even[:rows, :columns].reshape(rows // 2, 2, width, 2, 3).astype(np.uint16)
    return np.asarray((blocks.sum(axis=(1, 3)) + 2) // 4, np.uint8)


def _write_tiff(path: Path, levels: list[_Level], mpp: float) -> None:
    size = sum(sum(level.lengths) for level in levels)
    with tifffile.TiffWriter(path, bigtiff=size > 3_500_000_000) as tiff:
        for number, level in enumerate(levels):
            per_cm = 10_000 / (mpp * levels[0].width / level.width)
            tiff.write(
                level.tiles(),
                shape=(level.height, level.width, 3),
                dtype=np.uint8,
                tile=(_TILE_PX, _TILE_PX),
                photometric="ycbcr",
                subsampling=(1, 1),
                compression="jpeg",
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=int(number > 0),
                metadata=None,
                software="HistoLoop",
            )


# --- functions of place -----------------------------------------------------------------------------------------------


def _hash(seed: int, x: NDArray[np.int64] | int, y: NDArray[np.int64] | int, salt: int) -> Floats:
    """Evenly spread numbers in [0, 1) that depend on place, seed and salt only (splitmix64's finaliser)."""
    with np.errstate(over="ignore"):
        key = np.asarray(x, np.int64).astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
        key = key + np.asarray(y, np.int64).astype(np.uint64) * np.uint64(0x8CB92BA72F3D8DD7)
        key = key + np.uint64((seed * 0x632BE59BD9B4E019 + salt * 0x2545F4914F6CDD1D) & 0xFFFFFFFFFFFFFFFF) + _MIX
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    spread: Floats = ((key >> np.uint64(40)).astype(np.float32)) / np.float32(1 << 24)
    return spread


def _noise(x: Floats, y: Floats, scale: float, seed: int, salt: int) -> Floats:
    """Smooth value noise in [0, 1] that changes over `scale` um."""
    columns, rows = np.floor(x / scale), np.floor(y / scale)
    across, down = x / scale - columns, y / scale - rows
    across, down = across * across * (3 - 2 * across), down * down * (3 - 2 * down)
    first_column, first_row = int(columns.min()), int(rows.min())
    grid_columns = np.arange(first_column, int(columns.max()) + 2)[None, :]
    grid_rows = np.arange(first_row, int(rows.max()) + 2)[:, None]
    grid = _hash(seed, grid_columns, grid_rows, salt)
    i, j = rows.astype(np.intp) - first_row, columns.astype(np.intp) - first_column
    top = grid[i, j] + (grid[i, j + 1] - grid[i, j]) * across
    bottom = grid[i + 1, j] + (grid[i + 1, j + 1] - grid[i + 1, j]) * across
    blended: Floats = top + (bottom - top) * down
    return blended


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """For each pixel: offset and distance (um) from the jittered middle of its lattice cell, and the cell's chances."""

    dx: Floats
    dy: Floats
    distance: Floats
    chance: Floats
    turn: Floats


def _cells(x: Floats, y: Floats, seed: int, *, pitch: float, salt: int, jitter: float = 0.3) -> _Cells:
    columns, rows = np.floor(x / pitch).astype(np.int64), np.floor(y / pitch).astype(np.int64)
    first_column, first_row = int(columns.min()), int(rows.min())
    grid_columns = np.arange(first_column, int(columns.max()) + 1)[None, :]
    grid_rows = np.arange(first_row, int(rows.max()) + 1)[:, None]
    i, j = rows - first_row, columns - first_column

    def chances(number: int) -> Floats:
        return np.asarray(_hash(seed, grid_columns, grid_rows, salt * 8 + number)[i, j])

    dx = (x - (columns + 0.5 + jitter * (chances(0) - 0.5)) * pitch).astype(np.float32)
    dy = (y - (rows + 0.5 + jitter * (chances(1) - 0.5)) * pitch).astype(np.float32)
    return _Cells(dx, dy, np.hypot(dx, dy), chances(2), (chances(3) * np.pi).astype(np.float32))


def _nuclei(
    x: Floats, y: Floats, seed: int, *, pitch: float, radius: float, stretch: float, share: float, salt: int
) -> Floats:
    """Elliptic nuclei on a jittered lattice, 0 to 1 with a soft edge; `share` of the cells have one. Sizes in um."""
    cells = _cells(x, y, seed, pitch=pitch, salt=salt, jitter=0.45)
    along = cells.dx * np.cos(cells.turn) + cells.dy * np.sin(cells.turn)
    across = cells.dy * np.cos(cells.turn) - cells.dx * np.sin(cells.turn)
    size = radius * (0.85 + 0.3 * cells.chance / max(share, 1e-6))
    inside = 1 - np.hypot(along / stretch**0.5, across * stretch**0.5) / size
    soft: Floats = np.clip(inside * 4, 0, 1) * (cells.chance < share)
    return soft
