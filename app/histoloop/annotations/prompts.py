"""One object from a click or a box: a segmenter that needs no network and no weights.

A segmenter takes pixels (H, W, 3) uint8 and `Prompts` and gives a mask (H, W) of bools. `segment` is the one that is
shipped: colours inside and outside are modelled and the border drawn where colours change, as GrabCut does (Rother,
Kolmogorov, Blake 2004, figure 3), with random walks in place of the graph cut (Grady 2005, 'Multilabel random walker
image segmentation using prior models', equation 12).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import linalg
from skimage.color import rgb2lab
from skimage.transform import resize

Pixels = NDArray[np.uint8]
Part = NDArray[np.bool_]

WORKING_PX = 96
"""Longest side that is worked on: more pixels cost time, and found no more of glands (docs/results.md)."""

MARGIN = 0.35
"""Share of a box's sides that is looked at around it."""

ROUNDS = 4
COLOURS = 4
"""Gaussians a side."""

_PULL, _EDGE, _AROUND_PX = 0.05, 60.0, 2.0
_COLOUR, _LIKELIEST = 0.5, 8.0
"""How much of what a pixel's colour says counts, and what it says at most before that, as logarithms of odds."""

_IN_BOX, _IN_REACH = 4.0, 1.5
"""The same for where a pixel lies: in the middle of a box, and where a person clicked."""

REACH = 4.0
"""Further from a click than so many times its radius nothing is of the object."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """What a person showed of one object, in pixels (x, y): places inside and outside of it, or a box around it.

    `box` is left, top, right, bottom. `radius_px` is about how large an object is that was clicked: colours decide,
    up to four times as far.
    """

    inside: tuple[tuple[float, float], ...] = ()
    outside: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None
    radius_px: float = 50.0

    def with_inside(self, x: float, y: float) -> Prompts:
        """With one more place inside; a box grows to have it in it."""
        box = self.box
        if box is not None:
            box = (min(box[0], x), min(box[1], y), max(box[2], x), max(box[3], y))
        return replace(self, inside=(*self.inside, (x, y)), box=box)

    def with_outside(self, x: float, y: float) -> Prompts:
        """With one more place outside."""
        return replace(self, outside=(*self.outside, (x, y)))

    def __post_init__(self) -> None:
        if self.box is None and not self.inside:
            raise ValueError("prompts need a box or a place inside")


Segmenter = Callable[[Pixels, Prompts], Part]


def segment(pixels: Pixels, prompts: Prompts) -> Part:
    """The object that the prompts mean, its holes filled; empty where the box has no pixels.

    It is one connected part, or those with a place inside.
    """
    whole = np.zeros(pixels.shape[:2], np.bool_)
    place = _window(pixels, prompts)
    crop = pixels[place]
    if min(crop.shape[:2]) < 2:
        return whole
    scale = min(1.0, WORKING_PX / max(crop.shape[:2]))
    height, width = (max(2, round(side * scale)) for side in crop.shape[:2])
    small = resize(crop, (height, width), anti_aliasing=scale < 1) if scale < 1 else crop / 255
    seeds = _seeds(prompts, place, (height, width), scale)
    share = _inside(small, seeds)
    part = resize(share, crop.shape[:2], order=1) > 0.5
    whole[place] = _one_part(part, prompts, place)
    return whole


@dataclass(frozen=True, slots=True, eq=False)
class _Seeds:
    """(H, W) each: what is surely inside and outside, a first guess, and the logarithm of odds of a pixel's place."""

    inside: Part
    outside: Part
    guess: Part
    place: NDArray[np.float64]


def _window(pixels: Pixels, prompts: Prompts) -> tuple[slice, slice]:
    """Rows and columns that are looked at."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = prompts.box or _reach(prompts)
    margin_x, margin_y = ((right - left) * MARGIN, (bottom - top) * MARGIN) if prompts.box else (0, 0)
    return (
        slice(int(np.clip(top - margin_y, 0, height)), int(np.ceil(np.clip(bottom + margin_y, 0, height)))),
        slice(int(np.clip(left - margin_x, 0, width)), int(np.ceil(np.clip(right + margin_x, 0, width)))),
    )


def _reach(prompts: Prompts) -> tuple[float, float, float, float]:
    x, y = zip(*prompts.inside, strict=True)
    radius = REACH * prompts.radius_px
    return min(x) - radius, min(y) - radius, max(x) + radius, max(y) + radius


def _seeds(prompts: Prompts, place: tuple[slice, slice], size: tuple[int, int], scale: float) -> _Seeds:
    rows, columns = np.mgrid[: size[0], : size[1]]
    x, y = (columns + 0.5) / scale + place[1].start, (rows + 0.5) / scale + place[0].start
    inside = _near(prompts.inside, x, y, 1.5 / scale)
    outside = _near(prompts.outside, x, y, 1.5 / scale)
    if prompts.box is None:
        away = np.min([np.hypot(x - at_x, y - at_y) for at_x, at_y in prompts.inside], axis=0)
        outside |= away > REACH * prompts.radius_px
        guess = away < prompts.radius_px
        odds = np.clip(_IN_REACH * (1 - away / prompts.radius_px), -_IN_REACH, _IN_REACH)
    else:
        left, top, right, bottom = prompts.box
        outside |= (x < left) | (x >= right) | (y < top) | (y >= bottom)
        guess = np.hypot((2 * x - left - right) / (right - left), (2 * y - top - bottom) / (bottom - top)) < 1
        depth = ndimage.distance_transform_edt(guess) - ndimage.distance_transform_edt(~guess)
        odds = _IN_BOX * np.clip(depth / max(1.0, float(depth.max())), -1, 1)
    return _Seeds(inside, outside & ~inside, (guess | inside) & ~outside, odds)


def _near(places: tuple[tuple[float, float], ...], x: NDArray[np.float64], y: NDArray[np.float64], px: float) -> Part:
    """What is within some pixels of a place, the nearest pixel in any case."""
    near = np.zeros(x.shape, np.bool_)
    for at_x, at_y in places:
        away = np.hypot(x - at_x, y - at_y)
        near |= away <= max(px, float(away.min()))
    return near


def _inside(small: NDArray[np.float64], seeds: _Seeds) -> NDArray[np.float64]:
    """(H, W) in [0, 1]: how surely each pixel is inside."""
    features = _features(small)
    edges = _laplacian(features)
    part = seeds.guess
    share = part.astype(np.float64)
    for _round in range(ROUNDS):
        if not part.any() or part.all():
            break
        odds = _log_likelihood(features, part) - _log_likelihood(features, ~part)
        prior = 1 / (1 + np.exp(-(_COLOUR * np.clip(odds, -_LIKELIEST, _LIKELIEST) + seeds.place)))
        share = _walk(edges, prior, seeds)
        part = (share > 0.5) & ~seeds.outside
    return np.where(seeds.outside, 0.0, share)


def _features(small: NDArray[np.float64]) -> NDArray[np.float64]:
    """(H, W, 7): Lab, Lab of the surroundings, and how much the lightness varies there."""
    lab = rgb2lab(small)
    near = ndimage.gaussian_filter(lab, (1, 1, 0))
    around = ndimage.gaussian_filter(lab, (_AROUND_PX, _AROUND_PX, 0))
    light = lab[..., 0]
    square, mean = (ndimage.gaussian_filter(each, _AROUND_PX) for each in (light**2, light))
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return np.dstack((near, around, spread))


def _log_likelihood(features: NDArray[np.float64], part: Part) -> NDArray[np.float64]:
    """(H, W): of a mixture of Gaussians, fitted to the pixels of a part."""
    samples = features[part]
    groups = _groups(samples, min(COLOURS, max(1, len(samples) // 20)))
    logs = []
    for group in groups:
        mean = group.mean(axis=0)
        spread = np.cov(group, rowvar=False) if len(group) > 1 else np.zeros((samples.shape[1],) * 2)
        spread = spread + 9.0 * np.eye(samples.shape[1])
        away = features - mean
        square = np.einsum("hwi,ij,hwj->hw", away, np.linalg.inv(spread), away)
        logs.append(np.log(len(group) / len(samples)) - 0.5 * (square + np.linalg.slogdet(spread)[1]))
    total: NDArray[np.float64] = np.logaddexp.reduce(logs, axis=0)
    return total


def _groups(samples: NDArray[np.float64], count: int) -> list[NDArray[np.float64]]:
    """Samples (N, C) in groups of like ones: split in two along the widest direction, the widest group first."""
    groups = [samples]
    while len(groups) < count:
        widest = max(range(len(groups)), key=lambda index: _width(groups[index]))
        group = groups[widest]
        if len(group) < 4:
            break
        away = group - group.mean(axis=0)
        direction = np.linalg.eigh(away.T @ away)[1][:, -1]
        side = away @ direction > 0
        if not side.any() or side.all():
            break
        groups[widest : widest + 1] = [group[side], group[~side]]
    return groups


def _width(group: NDArray[np.float64]) -> float:
    return float(group.var(axis=0).sum() * len(group))


def _laplacian(features: NDArray[np.float64]) -> sparse.csr_array:
    """Of the grid of pixels, whose edges weigh the less the more colours change along them."""
    height, width = features.shape[:2]
    index = np.arange(height * width).reshape(height, width)
    colours = features[..., :3]
    weights, starts, ends = [], [], []
    for one, other in (((slice(None), slice(-1)), (slice(None), slice(1, None))), ((slice(-1),), (slice(1, None),))):
        change = ((colours[one] - colours[other]) ** 2).sum(axis=-1)
        weights.append(np.exp(-change / _EDGE).ravel() + 1e-4)
        starts.append(index[one].ravel())
        ends.append(index[other].ravel())
    weight, start, end = map(np.concatenate, (weights, starts, ends))
    count = height * width
    one_way = sparse.coo_array((weight, (start, end)), shape=(count, count))
    links = (one_way + one_way.T).tocsr()
    degrees = sparse.diags_array(np.asarray(links.sum(axis=1)).ravel())
    return sparse.csr_array(degrees - links)


def _walk(edges: sparse.csr_array, prior: NDArray[np.float64], seeds: _Seeds) -> NDArray[np.float64]:
    """Where a random walk from each pixel ends: inside, at a seed or as the pixel's own colour says."""
    known = seeds.inside | seeds.outside
    pull = np.where(known, 1e3, _PULL).ravel()
    wanted = np.where(known, seeds.inside, prior).ravel()
    system = (edges + sparse.diags_array(pull)).tocsr()
    found, _code = linalg.cg(
        system, pull * wanted, x0=wanted.astype(np.float64), rtol=1e-3, maxiter=200, M=_inverse_diagonal(system)
    )
    share: NDArray[np.float64] = found.reshape(prior.shape)
    return share


def _inverse_diagonal(system: sparse.csr_array) -> sparse.dia_array:
    return sparse.diags_array(1 / system.diagonal())


def _one_part(part: Part, prompts: Prompts, place: tuple[slice, slice]) -> Part:
    """The connected parts that were clicked, or the largest, with their holes but for those with a place outside."""
    labels, count = ndimage.label(part)
    if not count:
        return part
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    chosen = set()
    for x, y in prompts.inside:
        row, column = int(y) - place[0].start, int(x) - place[1].start
        if 0 <= row < part.shape[0] and 0 <= column < part.shape[1] and labels[row, column]:
            chosen.add(int(labels[row, column]))
    whole: Part = np.isin(labels, list(chosen or {int(sizes.argmax())}))
    holes = ndimage.binary_fill_holes(whole) & ~whole
    for x, y in prompts.outside:
        row, column = int(y) - place[0].start, int(x) - place[1].start
        if 0 <= row < part.shape[0] and 0 <= column < part.shape[1] and holes[row, column]:
            numbered, _count = ndimage.label(holes)
            holes &= numbered != numbered[row, column]
    return whole | holes
