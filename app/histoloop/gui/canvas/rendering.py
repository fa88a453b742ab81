"""What the viewer shows of a slide, rendered away from the GUI thread: pixels, mask, heatmap and annotations in one."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from histoloop.annotations.records import LEFT_OUT_VALUE, ClassScheme, ForegroundClasses, Mask, rgb
from histoloop.errors import HistoLoopError, ProjectError
from histoloop.exchange.heat import heat
from histoloop.geometry import Region
from histoloop.gui.canvas.gained_lost import draw_changes
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
from histoloop.workflows.contents.slides import open_project_slide

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.slides.reader import Slide

_log = logging.getLogger(__name__)

OUTLINE_PX = 2
HATCH_PX, HATCH_COLOUR, HATCH_OPACITY = 9, (60, 66, 74), 0.45
"""Of the lines over what nobody painted in a finished region: their distance, colour and opacity."""

_NOTHING_DONE = LEFT_OUT_VALUE - 1
"""A mask value that no class has: where nobody finished a region."""

EVERYWHERE = -1.0
"""A threshold below every probability: the mask is then the class that each pixel would have."""


@dataclass(frozen=True, slots=True)
class ClassStyle:
    """How the mask of one class is drawn."""

    colour: str
    visible: bool = True
    filled: bool = True


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """How masks and maps lie over the slide; opacities in [0, 1].

    `method` (a name of localisation/methods.py) and `label` choose what makes the foreground; a method that the model
    does not offer stands for the model's own. With `against` the heatmap shows the evidence against, where there is
    such; with `heat_of` the probability of that mask class, where the model tells classes apart. `hatched` lets what
    people left out of the regions they finished be seen, beside the masks; `begun` lets be seen what they did not
    finish yet. With `corrected` the slide's own colours are those that its colour profile means.
    """

    classes: tuple[ClassStyle, ...] = ()
    opacity: float = 0.35
    heatmap: bool = False
    heatmap_opacity: float = 0.5
    threshold: float = 0.5
    masks: bool = True
    method: str = ""
    label: str | None = None
    against: bool = False
    heat_of: str | None = None
    hatched: bool = True
    corrected: bool = False
    changes: bool = False
    """Show what the masks gained and lost against those that the scene has them compared with, in place of them."""
    begun: bool = True


def compose(
    pixels: Pixels,
    style: OverlayStyle,
    *,
    mask: Mask | None,
    foreground: NDArray[np.float32] | None,
    left_out: NDArray[np.bool_] | None = None,
    changes: tuple[Mask, Mask] | None = None,
    corner: tuple[int, int] = (0, 0),
) -> Pixels:
    """Slide pixels (H, W, 3) with the heatmap of a probability and the classes of a mask (H, W) laid over.

    With `changes`, masks (H, W) of a model and of the one before, what was gained and lost is laid over in their place.
    `left_out` (H, W) is hatched: what people left out, or did not paint where their strokes alone count. `corner` is
    where on the slide the first pixel is (x, y, in pixels of this size): the hatch stands still when the view moves.
    """
    if not style.masks and not style.heatmap:
        return pixels
    shown = pixels.astype(np.float32)
    if style.heatmap and foreground is not None:
        shown += style.heatmap_opacity * (heat(foreground) - shown)
    if style.masks and changes is not None:
        draw_changes(shown, *changes)
    elif style.masks and mask is not None:
        for value, class_style in enumerate(style.classes, start=1):
            if class_style.visible:
                _tint(shown, mask == value, class_style, style.opacity)
    if style.masks and style.hatched and left_out is not None:
        _hatch(shown, left_out, corner)
    composed: Pixels = np.clip(shown + 0.5, 0, 255).astype(np.uint8)
    return composed


def _tint(shown: NDArray[np.float32], part: NDArray[np.bool_], style: ClassStyle, opacity: float) -> None:
    if not part.any():
        return
    colour = np.array(rgb(style.colour), np.float32)
    if style.filled:
        shown[part] += opacity * (colour - shown[part])
    edge = part & ~ndimage.binary_erosion(part, iterations=OUTLINE_PX, border_value=1)
    shown[edge] = colour


def _hatch(shown: NDArray[np.float32], part: NDArray[np.bool_], corner: tuple[int, int]) -> None:
    if not part.any():
        return
    rows, columns = np.ogrid[corner[1] : corner[1] + part.shape[0], corner[0] : corner[0] + part.shape[1]]
    lines = part & ((rows + columns) % HATCH_PX < 1)
    shown[lines] += HATCH_OPACITY * (np.array(HATCH_COLOUR, np.float32) - shown[lines])


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A rendered rectangle: `pixels` (H, W, 3), each `downsample` level-0 pixels wide, the first at `x`, `y`.

    `no_masks` is the reason why masks are missing that should be there; empty: none is.
    """

    pixels: Pixels
    x: float
    y: float
    downsample: float
    no_masks: str = ""

    def covers(self, region: Region, *, downsample: float) -> bool:
        """Whether a region is inside, finely enough for a screen pixel of `downsample` level-0 pixels."""
        width, height = self.pixels.shape[1] * self.downsample, self.pixels.shape[0] * self.downsample
        inside = self.x <= region.x and self.y <= region.y
        return (
            inside
            and region.right <= self.x + width
            and region.bottom <= self.y + height
            and (self.downsample <= max(1.0, downsample) < 2 * max(1.0, self.downsample))
        )


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
    _methods: dict[tuple[str, str | None], MapMethod | None] = field(default_factory=dict)
    _last: tuple[object, MapView] | None = None

    def view(self, place: Region, size: tuple[int, int], style: OverlayStyle) -> MapView:
        """Mask and heatmap of a region as a style wants them."""
        key, method = (place, size, style.method, style.label), self.method(style)
        if self._last is None or self._last[0] != key:
            view = view_map(self.slide_map, self.scheme, place, size=size, threshold=EVERYWHERE, method=method)
            self._last = key, view
        drawn = self._last[1]
        foreground = drawn.foreground
        if drawn.classes is None:
            mask = np.where(foreground > style.threshold, drawn.mask, 0).astype(np.uint8)
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
    """A slide with its maps and annotations, rendered region by region; for one worker thread at a time.

    `annotated` are those that are finished, `begun` the drafts of the person who looks at it, on top of them.

    `compared` are the maps of the model that the masks are compared with, where that is wanted.
    `no_maps` is the reason why its maps cannot be read; empty: they can, or there are none. `profile` is the slide's
    colour profile, None without one that can be used.
    """

    pyramid: TilePyramid
    scheme: ClassScheme | None = None
    predicted: SceneMap | LiveScene | None = None
    annotated: list[tuple[Region, Mask]] = field(default_factory=list)
    begun: list[tuple[Region, Mask]] = field(default_factory=list)
    no_maps: str = ""
    compared: SceneMap | None = None
    profile: ColourProfile | None = field(init=False)

    def __post_init__(self) -> None:
        self.profile = profile_of(self.slide.icc_profile)

    @property
    def slide(self) -> Slide:
        """The open slide."""
        return self.pyramid.slide

    def overview(self, max_size_px: int, *, corrected: bool = False) -> View:
        """The whole slide, small; in the colours of its profile with `corrected`."""
        pixels = self._seen(self.slide.thumbnail(max_size_px), corrected)
        return View(pixels, 0, 0, max(self.slide.width / pixels.shape[1], self.slide.height / pixels.shape[0]))

    def render(self, region: Region, downsample: float, style: OverlayStyle) -> View:
        """A region of the slide with its overlays, at the level for `downsample` level-0 pixels per screen pixel."""
        level = self.pyramid.level_for(downsample)
        pixel = self.pyramid.levels[level].downsample
        x, y = int(region.x // pixel), int(region.y // pixel)
        width, height = int(-(-region.right // pixel)) - x, int(-(-region.bottom // pixel)) - y
        pixels = self._seen(self.pyramid.read_window(level, x, y, width, height), style.corrected)
        place = Region(int(x * pixel), int(y * pixel), int(width * pixel), int(height * pixel))
        mask, foreground, left_out, no_masks = self._masks(place, (width, height), style)
        changes = None if no_masks else self._changes(place, (width, height), style)
        shown = compose(
            pixels, style, mask=mask, foreground=foreground, left_out=left_out, changes=changes, corner=(x, y)
        )
        return View(shown, place.x, place.y, pixel, no_masks)

    def _changes(self, place: Region, size: tuple[int, int], style: OverlayStyle) -> tuple[Mask, Mask] | None:
        """The masks of the two models that are compared, each model's own, where what changed is to be seen."""
        if not style.changes or self.compared is None or not isinstance(self.predicted, SceneMap):
            return None
        own = [
            dataclasses.replace(style, method="", label=None, threshold=one.threshold, heatmap=False)
            for one in (self.predicted, self.compared)
        ]
        return self.predicted.view(place, size, own[0]).mask, self.compared.view(place, size, own[1]).mask

    def _seen(self, pixels: Pixels, corrected: bool) -> Pixels:
        return self.profile.to_srgb(pixels) if corrected and self.profile is not None else pixels

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
        said = np.full_like(mask, _NOTHING_DONE)
        for region, painted in [*self.annotated, *(self.begun if style.begun else ())]:
            if region.overlaps(place):
                lay_over(said, painted, region, downsample=place.width / size[0], origin=(place.x, place.y))
        left_out = said == LEFT_OUT_VALUE
        return np.where(left_out | (said == _NOTHING_DONE), mask, said), foreground, left_out

    def close(self) -> None:
        """Let go of the slide."""
        self.slide.close()


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
            return SlideScene(TilePyramid(slide), project.scheme, predicted, painted, begun, no_maps, compared)
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
