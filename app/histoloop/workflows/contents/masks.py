"""Masks of regions and slides out of the maps of a model and the annotations of people.

Glass is background: whatever a model makes of it, its masks and maps are 0 outside of the specimen that is kept with
the maps. What people painted there stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from histoloop.annotations.records import LEFT_OUT_VALUE, ForegroundClasses, Mask, is_known
from histoloop.errors import SlideError
from histoloop.localisation.bands import BAND_ROWS, MaskBands, whole_mask
from histoloop.localisation.methods import DECODER, Summary, localisation_methods, localise, summarise
from histoloop.localisation.stitcher import foreground_of, mask_from_maps, mask_of_classes, upsample
from histoloop.network_config import NetworkConfig
from histoloop.store.cards import Card, load_card
from histoloop.store.maps import CHUNK_PX, SlideMap, open_map
from histoloop.workflows.contents.earlier_work import is_of_another
from histoloop.workflows.contents.kept_tissue import survey_of_slide
from histoloop.workflows.contents.mask_choices import ModelClasses, classes_of_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from histoloop.geometry import Region
    from histoloop.slides.tissue import TissueMask
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord


@dataclass(frozen=True, slots=True, eq=False)
class SlideMask:
    """A mask of a whole slide in bands, at `downsample` level-0 pixels per mask pixel."""

    bands: MaskBands
    downsample: float

    @property
    def mask(self) -> Mask:
        """All of it (h, w), one byte a pixel."""
        return whole_mask(self.bands)


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """A model's maps of a region at some size: foreground probability and mask, (height, width) each.

    `classes` (K, height, width) are the probabilities of the mask classes, where the model tells them apart.
    """

    foreground: NDArray[np.float32]
    mask: Mask
    classes: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MapMethod:
    """A way to draw a slide's foreground from its class maps, summed up over the whole slide: see `choose_method`.

    `label` is the index of the label that was asked for, whose mask class all of the foreground then takes; None where
    the class is the likeliest at each place.
    """

    name: str
    label: int | None
    summary: Summary
    config: NetworkConfig
    maps: NDArray[np.float32]
    covered: NDArray[np.bool_]

    def window(self, *, stride_px: float, x: int, y: int, width: int, height: int) -> NDArray[np.float32]:
        """Values (height, width) in [0, 1] at map pixels (x, y), `stride_px` of them a cell; 0 where not predicted."""
        enlarged = upsample(self.maps, stride_px=stride_px, x=x, y=y, width=width, height=height)
        values = localise(self.name, enlarged, self.summary, self.config)
        around = np.pad(self.covered, 1)  # outside the map nothing is predicted
        rows = np.clip(np.floor((y + np.arange(height)) / stride_px).astype(np.intp) + 1, 0, around.shape[0] - 1)
        columns = np.clip(np.floor((x + np.arange(width)) / stride_px).astype(np.intp) + 1, 0, around.shape[1] - 1)
        return np.where(around[np.ix_(rows, columns)], values, np.float32(0))


def choose_method(
    slide_map: SlideMap,
    config: NetworkConfig,
    name: str,
    *,
    probabilities: Mapping[str, float],
    label: str | None = None,
) -> MapMethod | None:
    """The method of a name for a slide; None where the stored foreground is it: the network's own, or there is none.

    `probabilities` are those predicted for the slide's labels; the foreground of `label`, or of the predicted ones, is
    drawn. ValueError for a method that the network does not offer.
    """
    offered = localisation_methods(config)
    if name not in offered:
        raise ValueError(f"this model cannot draw by {name!r}; it offers {', '.join(offered)}")
    maps, covered = np.asarray(slide_map.maps, np.float32), np.asarray(slide_map.covered, np.bool_)
    if name == DECODER or (name == offered[0] and label is None) or not covered.any():
        return None
    posterior = np.array([probabilities.get(own, 0.0) for own in slide_map.label_names], np.float32)
    index = None if label is None else slide_map.label_names.index(label)
    chosen = () if index is None else (index,)
    bias = slide_map.label_bias
    summary = summarise(name, maps[:, covered], config, posterior=posterior, bias_C=bias, labels=chosen)
    return MapMethod(name, index, summary, config, maps, covered)


def covered_view(slide_map: SlideMap, region: Region, *, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where in a region something was predicted, (height, width) for a size (width, height); never on glass."""
    covered = np.asarray(slide_map.covered, np.bool_)
    cell = slide_map.stride_px * slide_map.downsample
    columns = np.floor((region.x + (np.arange(size[0]) + 0.5) * region.width / size[0]) / cell).astype(np.intp)
    rows = np.floor((region.y + (np.arange(size[1]) + 0.5) * region.height / size[1]) / cell).astype(np.intp)
    padded = np.pad(covered, 1)  # what lies past the map is not covered
    rows, columns = (np.clip(cells, -1, count) + 1 for cells, count in zip((rows, columns), covered.shape, strict=True))
    inside: NDArray[np.bool_] = padded[np.ix_(rows, columns)]
    return inside & slide_map.on_specimen(region, height=size[1], width=size[0])


def predicted_mask(slide_map: SlideMap, scheme: ForegroundClasses, region: Region, *, threshold: float) -> Mask:
    """The model's mask of a region at level-0 resolution, (region.height, region.width)."""
    return view_map(slide_map, scheme, region, size=(region.width, region.height), threshold=threshold).mask


def view_map(
    slide_map: SlideMap,
    scheme: ForegroundClasses,
    region: Region,
    *,
    size: tuple[int, int],
    threshold: float,
    method: MapMethod | None = None,
) -> MapView:
    """The maps of a region at a size (width, height), from the coarsest level that is fine enough.

    The foreground is the stored one, or made of the class maps. Probabilities, not masks, are resampled
    (bilinearly), so that edges are smooth. All are 0 on glass.
    """
    found = _view_map(slide_map, scheme, region, size=size, threshold=threshold, method=method)
    inside = slide_map.on_specimen(region, height=size[1], width=size[0])
    if inside.all():
        return found
    classes = None if found.classes is None else np.where(inside, found.classes, np.float32(0))
    foreground = np.where(inside, found.foreground, np.float32(0))
    return MapView(foreground, np.where(inside, found.mask, np.uint8(0)), classes)


def _view_map(
    slide_map: SlideMap,
    scheme: ForegroundClasses,
    region: Region,
    *,
    size: tuple[int, int],
    threshold: float,
    method: MapMethod | None,
) -> MapView:
    level, window, box = _source_of(region, size, slide_map.level_downsamples)
    pixel = slide_map.level_downsamples[level]
    left, top = math.floor(window.x / pixel), math.floor(window.y / pixel)
    right, bottom = math.ceil(window.right / pixel), math.ceil(window.bottom / pixel)
    stride = slide_map.stride_px / 2**level
    if method is None and slide_map.mask_classes:
        return view_classes(slide_map, region, size=size, threshold=threshold)
    if method is None:
        near = slide_map.read_foreground(window, level=level)
    else:
        near = method.window(stride_px=stride, x=left, y=top, width=right - left, height=bottom - top)
    foreground = np.asarray(Image.fromarray(near).resize(size, Image.Resampling.BILINEAR, box=box))
    if method is not None and method.label is not None:
        value = scheme.foreground_values[method.label]
        return MapView(foreground, np.where(foreground > threshold, value, 0).astype(np.uint8))
    classes = mask_from_maps(
        np.ones(near.shape, np.float32),
        slide_map.labels,
        scheme,
        threshold=0.5,
        stride_px=stride,
        x=left,
        y=top,
    )
    nearest = np.asarray(Image.fromarray(classes).resize(size, Image.Resampling.NEAREST, box=box))
    return MapView(foreground, nearest * (foreground > threshold))


class ClassMaps(Protocol):
    """Probabilities of mask classes over a slide, in levels: those of a model, or live ones."""

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """Level-0 pixels per pixel of each level, the finest first."""
        ...

    def read_masks(self, region: Region, *, level: int = 0) -> NDArray[np.float32]:
        """Probabilities (K, h, w) at the pixels of a level that touch a level-0 region; else 0."""
        ...


def view_classes(maps: ClassMaps, region: Region, *, size: tuple[int, int], threshold: float) -> MapView:
    """As `view_map`, of mask classes that are told apart."""
    level, window, box = _source_of(region, size, maps.level_downsamples)
    planes = [Image.fromarray(plane) for plane in maps.read_masks(window, level=level)]
    shown = np.stack([np.asarray(plane.resize(size, Image.Resampling.BILINEAR, box=box)) for plane in planes])
    return MapView(foreground_of(shown), mask_of_classes(shown, threshold=threshold), shown)


def _source_of(
    region: Region, size: tuple[int, int], level_downsamples: tuple[float, ...]
) -> tuple[int, Region, tuple[float, float, float, float]]:
    """The coarsest level that is fine enough, what to read of it (level-0), and where in that the region is."""
    wanted = region.width / size[0]
    level = max((n for n, own in enumerate(level_downsamples) if own <= wanted), default=0)
    pixel = level_downsamples[level]
    window = region.grown(round(2 * pixel) + 1)
    x = region.x / pixel - math.floor(window.x / pixel)
    y = region.y / pixel - math.floor(window.y / pixel)
    return level, window, (x, y, x + region.width / pixel, y + region.height / pixel)


@dataclass(frozen=True, slots=True, eq=False)
class ProjectMap:
    """The maps of a slide by a model, in the classes of the project now; the model's card, and what its classes are."""

    slide_map: SlideMap
    card: Card
    classes: ModelClasses


def map_in_project(project: Project, slide_id: int, model_id: int | None = None) -> ProjectMap | None:
    """The maps of a slide by a model (None: the current one); None where there are none.

    ProjectError when they are damaged, ModelError when the card of the model is.
    """
    folder = project.maps.find(slide_id, model_id)
    if folder is None:
        return None
    model = project.models.current() if model_id is None else project.models.get(model_id)
    card = load_card(model.folder)
    classes = classes_of_model(project, model.id, card)
    slide_map = open_map(folder).in_classes(project.scheme.mask_names, classes.values)
    if slide_map.tissue is None and (specimen := _specimen(project, slide_id)) is not None:
        slide_map = slide_map.with_tissue(specimen)
    return ProjectMap(slide_map, card, classes)


_specimens: dict[tuple[str, float | None], TissueMask] = {}
"""Of slides by fingerprint and resolution, where maps of earlier versions did not keep it."""


def _specimen(project: Project, slide_id: int) -> TissueMask | None:
    """The specimen of a slide that is found anew; None where its file cannot be read: masks lie on glass too then."""
    record = project.slides.get(slide_id)
    key = (record.fingerprint, record.mpp)
    if key not in _specimens:
        try:
            _specimens[key] = survey_of_slide(project, record, sampled=True).specimen
        except SlideError:
            return None
    return _specimens[key]


def mask_of_slide(project: Project, slide_id: int) -> SlideMask | None:
    """The current model's mask of a slide with what people painted on top; None before the first prediction.

    What they left out (QuPath's Ignore*) has the value `LEFT_OUT_VALUE`.
    """
    found = map_in_project(project, slide_id)
    if found is None:
        return None
    slide_map = found.slide_map
    predicted = bands_of_map(slide_map, found.classes, threshold=found.card.threshold)
    painted = _painted(project, slide_id)
    bands = MaskBands(
        predicted.height,
        predicted.width,
        lambda: _with_painted(predicted, project, painted, downsample=slide_map.downsample),
    )
    return SlideMask(bands, slide_map.downsample)


def _with_painted(
    bands: MaskBands, project: Project, painted: Sequence[AnnotationRecord], *, downsample: float
) -> Iterator[Mask]:
    """The bands with what people painted on top; its masks are read when a band reaches them, and forgotten below."""
    read: dict[int, Mask] = {}
    top = 0
    for band in bands:
        bottom = top + len(band)
        here = [one for one in painted if one.region.y < bottom * downsample and one.region.bottom > top * downsample]
        read = {one.id: read[one.id] if one.id in read else said_mask(project, one) for one in here}
        for one in here:
            lay_over(band, read[one.id], one.region, downsample=downsample, top=top)
        yield band
        top = bottom


def painted_regions(project: Project, slide_id: int) -> list[tuple[Region, Mask]]:
    """What people finished on a slide, level-0 masks in the order of finishing: later ones lie on top.

    What they left out, or did not paint where the strokes alone count, has the value `LEFT_OUT_VALUE`.
    """
    return [(record.region, said_mask(project, record)) for record in _painted(project, slide_id)]


def begun_regions(project: Project, slide_id: int, person: str) -> list[tuple[Region, Mask]]:
    """What a person began to paint on a slide and did not finish, as `painted_regions`; the oldest first."""
    return [
        (record.region, said_mask(project, record))
        for record in project.drafts.begun(slide_id)
        if not is_of_another(record, person) and project.drafts.has_strokes(record.id)
    ]


def said_mask(project: Project, record: AnnotationRecord) -> Mask:
    """The mask (H, W) of an annotation that has one, `LEFT_OUT_VALUE` where nobody says anything."""
    painted, origin = project.annotations.load_mask(record.id)
    painted[~is_known(origin)] = LEFT_OUT_VALUE
    return painted


def _painted(project: Project, slide_id: int) -> list[AnnotationRecord]:
    return [record for record in project.annotations.with_mask() if record.slide_id == slide_id]


def mask_of_map(slide_map: SlideMap, scheme: ForegroundClasses, *, threshold: float) -> Mask:
    """`bands_of_map` in one: the mask (h, w) of a whole slide, one byte a pixel."""
    return whole_mask(bands_of_map(slide_map, scheme, threshold=threshold))


def bands_of_map(slide_map: SlideMap, scheme: ForegroundClasses, *, threshold: float) -> MaskBands:
    """The model's mask of a whole slide at map resolution, without the padding of its last cells; 0 on glass.

    The maps are read and enlarged block by block, of all mask classes.
    """
    height = round(slide_map.slide_height / slide_map.downsample)
    width = round(slide_map.slide_width / slide_map.downsample)
    shape = slide_map.masks(0).shape
    height, width = min(max(1, height), shape[-2]), min(max(1, width), shape[-1])
    return MaskBands(
        height, width, lambda: _bands_of_map(slide_map, scheme, height=height, width=width, threshold=threshold)
    )


def _bands_of_map(
    slide_map: SlideMap, scheme: ForegroundClasses, *, height: int, width: int, threshold: float
) -> Iterator[Mask]:
    masks, labels = slide_map.masks(0), slide_map.labels
    columns_x = (np.arange(width) + 0.5) * slide_map.downsample
    for y in range(0, height, BAND_ROWS):
        rows = min(BAND_ROWS, height - y)
        mask = np.empty((rows, width), np.uint8)
        for x in range(0, width, CHUNK_PX):
            block = masks[..., y : y + rows, x : min(x + CHUNK_PX, width)].astype(np.float32)
            mask[:, x : x + CHUNK_PX] = (
                mask_of_classes(block, threshold=threshold)
                if slide_map.mask_classes
                else mask_from_maps(block, labels, scheme, threshold=threshold, stride_px=slide_map.stride_px, x=x, y=y)
            )
        if slide_map.tissue is not None:
            mask *= slide_map.tissue.at((np.arange(y, y + rows) + 0.5) * slide_map.downsample, columns_x)
        yield mask


def lay_over(
    mask: Mask,
    painted: Mask,
    region: Region,
    *,
    downsample: float,
    origin: tuple[float, float] = (0.0, 0.0),
    top: int = 0,
) -> None:
    """Write a region's level-0 mask into a coarser mask in place, nearest neighbour.

    The mask's pixels are `downsample` level-0 pixels wide and its first one lies at `origin` (x, y level-0); what is
    given of it begins at its row `top`.
    """
    rows, source_rows = _inside(mask.shape[0], origin[1], downsample, start=region.y, length=region.height, first=top)
    columns, source_columns = _inside(mask.shape[1], origin[0], downsample, start=region.x, length=region.width)
    mask[np.ix_(rows, columns)] = painted[np.ix_(source_rows, source_columns)]


def _inside(
    count: int, origin: float, downsample: float, *, start: int, length: int, first: int = 0
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Along one axis: pixels whose middle lies in a region, and the region's pixels there; counted from `first`."""
    source = np.floor(origin + (np.arange(first, first + count) + 0.5) * downsample).astype(np.intp) - start
    inside = np.flatnonzero((source >= 0) & (source < length))
    return inside, source[inside]
