"""What the viewer shows of a slide, rendered away from the GUI thread: pixels, mask, heatmap and annotations in one."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from histoloop.annotations.mask_tools import smooth
from histoloop.annotations.records import LEFT_OUT_VALUE, ClassScheme, ForegroundClasses, Mask
from histoloop.errors import HistoLoopError, ProjectError
from histoloop.geometry import Region
from histoloop.gui.canvas.appearance import adjusted
from histoloop.gui.canvas.composing import Overlay, OverlayStyle, overlay_of
from histoloop.language import tr
from histoloop.localisation.methods import localisation_methods, takes_label, weighs_both_sides
from histoloop.localisation.stitcher import mask_of_classes
from histoloop.network_config import NetworkConfig
from histoloop.slides.colour_profile import ColourProfile, profile_of
from histoloop.slides.pyramid import TilePyramid
from histoloop.slides.reader import Pixels
from histoloop.store.maps import SlideMap
from histoloop.store.project import Project
from histoloop.store.records import ModelStatus
from histoloop.workflows.contents.live_masks import LiveMap
from histoloop.workflows.contents.masks import (
    MapMethod,
    MapView,
    begun_regions,
    choose_method,
    covered_view,
    lay_over,
    map_in_project,
    painted_regions,
    view_classes,
    view_map,
)
from histoloop.workflows.contents.readings import ReviewState
from histoloop.workflows.contents.review import states_on_slide
from histoloop.workflows.contents.slides import open_project_slide

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.slides.reader import Slide

_log = logging.getLogger(__name__)

_NOTHING_DONE = LEFT_OUT_VALUE - 1
"""A mask value that no class has: where nobody finished a region."""

SCREEN_TILE_PX = 256
"""Of tiles for the screen: small, since those at its border are read whole."""

KEPT_VIEWS = 3
"""Of the same map: coarse and fine, what is on the screen and what is around it."""

SMOOTHED_UM, SMOOTHED_PX = 4.0, 8.0
"""Of a model's mask details that are narrower go, on wish; in level-0 pixels where the resolution is unknown."""

LEAST_RADIUS_PX = 0.5
"""Less, in pixels of the screen, is not seen."""

EVERYWHERE = -1.0
"""A threshold below every probability: the mask is then the class that each pixel would have."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A rendered rectangle: `pixels` (H, W, 3), each `downsample` level-0 pixels wide, the first at `x`, `y`.

    `no_masks` is the reason why masks are missing that should be there; empty: none is. Until it `is_sharp`, some of
    its pixels are those of a coarser level, enlarged. `overlay` is what lies over the pixels, where something does.
    """

    pixels: Pixels
    x: float
    y: float
    downsample: float
    no_masks: str = ""
    is_sharp: bool = True
    overlay: Overlay | None = None

    def under(self, x: float, y: float) -> tuple[int, float | None]:
        """Mask value (0: none) and probability of the foreground (None: no map) at a place in level-0 pixels."""
        row, column = int((y - self.y) // self.downsample), int((x - self.x) // self.downsample)
        inside = 0 <= row < self.pixels.shape[0] and 0 <= column < self.pixels.shape[1]
        if not inside or self.overlay is None or self.overlay.mask is None:
            return 0, None
        foreground = self.overlay.foreground
        return int(self.overlay.mask[row, column]), None if foreground is None else float(foreground[row, column])

    def covers(self, region: Region) -> bool:
        """Whether a region is inside."""
        width, height = self.pixels.shape[1] * self.downsample, self.pixels.shape[0] * self.downsample
        inside = self.x <= region.x and self.y <= region.y
        return inside and region.right <= self.x + width and region.bottom <= self.y + height


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels of a level of a slide, the first at `x`, `y`; each is `downsample` level-0 pixels."""

    level: int
    downsample: float
    x: int
    y: int
    width: int
    height: int

    @property
    def place(self) -> Region:
        """The level-0 rectangle."""
        x, y, width, height = (int(part * self.downsample) for part in (self.x, self.y, self.width, self.height))
        return Region(x, y, width, height)


@dataclass(slots=True, eq=False)
class SceneMap:
    """The maps of a slide by one model, and the methods that were wanted so far, each summed up once.

    `scheme` gives each label of the model a mask class of the project. What was made last is kept, so that a change
    of threshold, colours or opacity draws no map anew. `threshold` is that of the model's own masks.
    """

    slide_map: SlideMap
    scheme: ForegroundClasses
    network: NetworkConfig
    probabilities: Mapping[str, float]
    threshold: float = 0.5
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _methods: dict[tuple[str, str | None], MapMethod | None] = field(default_factory=dict)
    _views: dict[object, MapView] = field(default_factory=dict)

    def view(self, place: Region, size: tuple[int, int], style: OverlayStyle) -> MapView:
        """Mask and heatmap of a region as a style wants them."""
        key, method = (place, size, style.method, style.label), self.method(style)
        with self._lock:
            drawn = self._views.get(key)
        if drawn is None:
            drawn = view_map(self.slide_map, self.scheme, place, size=size, threshold=EVERYWHERE, method=method)
        with self._lock:
            others = [each for each in self._views if each != key]
            self._views = {each: self._views[each] for each in others[1 - KEPT_VIEWS :]} | {key: drawn}
        foreground = drawn.foreground
        if drawn.classes is None:
            mask = drawn.mask * (foreground > style.threshold)
        else:
            mask = mask_of_classes(drawn.classes, threshold=style.threshold)
        if style.heatmap and style.against and weighs_both_sides(self._name(style)):
            foreground = np.where(covered_view(self.slide_map, place, size=size), 1 - foreground, np.float32(0))
        if drawn.classes is not None and style.heat_of in self.slide_map.mask_classes:
            foreground = drawn.classes[self.slide_map.mask_classes.index(style.heat_of)]
        return MapView(foreground, mask, drawn.classes)

    def method(self, style: OverlayStyle) -> MapMethod | None:
        """The method of a style; None for the foreground as it was stored."""
        name = self._name(style)
        label = style.label if takes_label(name) and style.label in self.slide_map.label_names else None
        with self._lock:
            if (name, label) not in self._methods:
                self._methods[name, label] = choose_method(
                    self.slide_map, self.network, name, probabilities=self.probabilities, label=label
                )
            return self._methods[name, label]

    def _name(self, style: OverlayStyle) -> str:
        offered = localisation_methods(self.network)
        return style.method if style.method in offered else offered[0]


@dataclass(frozen=True, slots=True, eq=False)
class LiveScene:
    """The live masks of a slide as they are now; more of them may come at any time."""

    live: LiveMap

    def view(self, place: Region, size: tuple[int, int], style: OverlayStyle) -> MapView:
        """Mask and heatmap of a region as a style wants them."""
        drawn = view_classes(self.live, place, size=size, threshold=style.threshold)
        if drawn.classes is not None and style.heat_of in self.live.mask_classes:
            return MapView(drawn.classes[self.live.mask_classes.index(style.heat_of)], drawn.mask, drawn.classes)
        return drawn


@dataclass(slots=True, eq=False)
class SlideScene:
    """A slide with its maps and annotations, rendered region by region, by several threads at a time.

    `annotated` are those that are finished, `begun` the drafts of the person who looks at it, on top of them, and
    `reviewed` says how those regions stand that two readers painted. `compared` are the maps of the model that the
    masks are compared with, where that is wanted. `no_maps` is the reason why its maps cannot be read; empty: they can,
    or there are none. `profile` is the slide's colour profile, None without one that can be used.
    """

    pyramid: TilePyramid
    scheme: ClassScheme | None = None
    predicted: SceneMap | LiveScene | None = None
    annotated: list[tuple[Region, Mask]] = field(default_factory=list)
    begun: list[tuple[Region, Mask]] = field(default_factory=list)
    no_maps: str = ""
    compared: SceneMap | None = None
    reviewed: Mapping[Region, ReviewState] = field(default_factory=dict)
    profile: ColourProfile | None = field(init=False)
    _small: dict[int, Pixels] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.profile = profile_of(self.slide.icc_profile)

    @property
    def slide(self) -> Slide:
        """The open slide."""
        return self.pyramid.slide

    def overview(self, max_size_px: int, style: OverlayStyle) -> View:
        """The whole slide, small, without what lies over it; read once."""
        if max_size_px not in self._small:
            self._small[max_size_px] = self.slide.thumbnail(max_size_px)
        pixels = self.seen(self._small[max_size_px], style)
        return View(pixels, 0, 0, max(self.slide.width / pixels.shape[1], self.slide.height / pixels.shape[0]))

    def render(self, region: Region, downsample: float, style: OverlayStyle) -> View:
        """A region of the slide with its overlays, at the level for `downsample` level-0 pixels per screen pixel."""
        window = self.window(region, self.pyramid.level_for(downsample))
        overlay, no_masks = self.overlay(window, style)
        pixels = self.pyramid.read_window(window.level, window.x, window.y, window.width, window.height)
        return view_of(window, overlay.over(self.seen(pixels, style)), no_masks, overlay)

    def window(self, region: Region, level: int) -> Window:
        """The pixels of a level that touch a level-0 region."""
        pixel = self.pyramid.levels[level].downsample
        x, y = int(region.x // pixel), int(region.y // pixel)
        return Window(level, pixel, x, y, int(-(-region.right // pixel)) - x, int(-(-region.bottom // pixel)) - y)

    def overlay(self, window: Window, style: OverlayStyle) -> tuple[Overlay, str]:
        """What lies over a window, and why masks are missing that should be there (empty: none is)."""
        size = (window.width, window.height)
        mask, foreground, left_out, no_masks = self._masks(window.place, size, style)
        changes = None if no_masks else self._changes(window.place, size, style)
        corner = (window.x, window.y)
        overlay = overlay_of(style, mask=mask, foreground=foreground, left_out=left_out, changes=changes, corner=corner)
        return overlay, no_masks

    def _changes(self, place: Region, size: tuple[int, int], style: OverlayStyle) -> tuple[Mask, Mask] | None:
        """The masks of the two models that are compared, each model's own, where what changed is to be seen."""
        if not style.changes or self.compared is None or not isinstance(self.predicted, SceneMap):
            return None
        own = [
            dataclasses.replace(style, method="", label=None, threshold=one.threshold, heatmap=False)
            for one in (self.predicted, self.compared)
        ]
        return self.predicted.view(place, size, own[0]).mask, self.compared.view(place, size, own[1]).mask

    def seen(self, pixels: Pixels, style: OverlayStyle) -> Pixels:
        """Pixels of the slide as they are to be seen, without what lies over them."""
        if style.corrected and self.profile is not None:
            pixels = self.profile.to_srgb(pixels)
        return adjusted(pixels, style.appearance)

    def _masks(
        self, place: Region, size: tuple[int, int], style: OverlayStyle
    ) -> tuple[Mask | None, NDArray[np.float32] | None, NDArray[np.bool_] | None, str]:
        """Mask, heatmap, what is left out, and why they are missing: a broken map takes no slide off the screen."""
        try:
            return *self._maps(place, size, style), self.no_maps
        except Exception as error:  # what a damaged chunk raises depends on its codec
            _log.exception("maps cannot be read")
            return (
                None,
                None,
                None,
                str(error) if isinstance(error, HistoLoopError) else f"{type(error).__name__}: {error}.",
            )

    def _maps(
        self, place: Region, size: tuple[int, int], style: OverlayStyle
    ) -> tuple[Mask | None, NDArray[np.float32] | None, NDArray[np.bool_] | None]:
        if self.scheme is None or not (style.masks or style.heatmap):
            return None, None, None
        mask, foreground = np.zeros((size[1], size[0]), np.uint8), None
        if self.predicted is not None:
            view = self.predicted.view(place, size, style)
            mask, foreground = view.mask, view.foreground
            if style.smooth:
                mask = self._smoothed(mask, pixel=place.width / size[0])
        done = [*self.annotated, *(self.begun if style.begun else ())]
        done = [(region, painted) for region, painted in done if region.overlaps(place)]
        if not done:
            return mask, foreground, None
        said = np.full_like(mask, _NOTHING_DONE)
        for region, painted in done:
            lay_over(said, painted, region, downsample=place.width / size[0], origin=(place.x, place.y))
        left_out = said == LEFT_OUT_VALUE
        return np.where(left_out | (said == _NOTHING_DONE), mask, said), foreground, left_out

    def _smoothed(self, mask: Mask, *, pixel: float) -> Mask:
        """A model's mask with its borders rounded; each of its pixels is `pixel` level-0 pixels wide."""
        radius = (SMOOTHED_PX if self.slide.mpp is None else SMOOTHED_UM / self.slide.mpp) / pixel
        for value in np.unique(mask[mask > 0]) if radius >= LEAST_RADIUS_PX else ():
            mask = smooth(mask, int(value), radius_px=radius)
        return mask

    def close(self) -> None:
        """Let go of the slide."""
        self.slide.close()


def view_of(window: Window, pixels: Pixels, no_masks: str, overlay: Overlay, *, is_sharp: bool = True) -> View:
    """Pixels of a window as they go to the screen."""
    place = window.place
    return View(pixels, place.x, place.y, window.downsample, no_masks, is_sharp, overlay)


def open_scene(
    project_folder: Path, slide_id: int, model_id: int | None = None, live: LiveMap | None = None, person: str = ""
) -> SlideScene:
    """Open a project's slide with the maps of a model (the current one), what is finished and what `person` began.

    With `live` its live masks are shown in place of a model's.
    SlideError when its file is gone, another one or broken; ProjectError when the project has it no longer.
    """
    with Project.connect(project_folder) as project:
        record = next((slide for slide in project.slides.all() if slide.id == slide_id), None)
        if record is None:
            raise ProjectError(
                tr("The slide is no longer in the project."),
                advice=tr("Another program has removed it. Adding its file again brings it back."),
            )
        slide = open_project_slide(record)
        try:
            predicted: SceneMap | LiveScene | None = None
            no_maps = ""
            if live is None:
                predicted, no_maps = _scene_map(project, slide_id, model_id)
            else:
                predicted = LiveScene(live)
            painted = painted_regions(project, slide_id)
            begun = begun_regions(project, slide_id, person)
            compared = None if live is not None else _compared(project, slide_id, model_id)
            return SlideScene(
                TilePyramid(slide, tile_px=SCREEN_TILE_PX),
                project.scheme,
                predicted,
                painted,
                begun,
                no_maps,
                compared,
                states_on_slide(project, slide_id),
            )
        except BaseException:
            slide.close()
            raise


def _scene_map(project: Project, slide_id: int, model_id: int | None) -> tuple[SceneMap | None, str]:
    """The maps of a slide, None where there are none; and why they cannot be read where they cannot."""
    model = project.models.current() if model_id is None else project.models.get(model_id)
    try:
        found = map_in_project(project, slide_id, model.id)
    except HistoLoopError as error:
        return None, str(error)
    if found is None:
        return None, ""
    predicted = project.predictions.find(slide_id, model.id) or {}
    return SceneMap(found.slide_map, found.classes, found.card.network, predicted, found.card.threshold), ""


def _compared(project: Project, slide_id: int, model_id: int | None) -> SceneMap | None:
    """Beside a candidate the maps of the model in use, which it may replace."""
    if model_id is None or project.models.get(model_id).status is not ModelStatus.CANDIDATE:
        return None
    return _scene_map(project, slide_id, None)[0]
