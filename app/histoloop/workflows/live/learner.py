"""Learn from each region as it is done, and show what comes of it: the view first, then the rest of the slide.

What counts as truth is what a retraining would learn from: finished masks that are not held out, less the pixels that
are left out. Nothing of it is measured, and nothing is written but the decoder and what can be made again.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from histoloop.errors import HistoLoopError
from histoloop.inference.features import decode, probability
from histoloop.language import tr, tr_plural
from histoloop.networks.build import with_decoder
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.unet import Decoder
from histoloop.progress import mapped
from histoloop.slides.tiling import working_downsample
from histoloop.slides.tissue import TissueMask, survey
from histoloop.store.array_cache import CACHE, ArrayCache
from histoloop.training.cached import CachedSettings, train_on_features
from histoloop.training.features import FeatureTile
from histoloop.training.loop import LoopSettings
from histoloop.workflows.contents.live_masks import LiveGrid, LiveProgress, LiveReport, LiveTile
from histoloop.workflows.contents.slides import is_readable, open_project_slide
from histoloop.workflows.live import decoder_file
from histoloop.workflows.live.decoder_file import Basis, Learned, place_of
from histoloop.workflows.live.tile_features import (
    MEMORY_BYTES,
    FeatureMemory,
    TileFeatures,
    bytes_of,
    coarse,
    live_grid,
    nearest_first,
)
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_project_model
from histoloop.workflows.regions.regions import RegionReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histoloop.geometry import Region
    from histoloop.networks.network import SlideNetwork
    from histoloop.progress import Progress, Work
    from histoloop.slides.reader import Slide
    from histoloop.store.project import Project
    from histoloop.store.records import SlideRecord
    from histoloop.workflows.regions.regions import ProjectRegion

_log = logging.getLogger(__name__)

AHEAD = 16
"""Tiles that are looked at before there is anything to learn from, at most."""


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """How the live decoder is built and learns; the figures behind the defaults are in docs/results.md.

    `widths` are of a decoder that stops at stride 4. Each time takes `steps` from where the decoder is, so few that
    they end within `seconds` (but no fewer than `fewest_steps`, which are those of the first time, when nobody knows
    how long a step takes). Once the view has its masks, `rounds` more times follow in it while nothing new is painted.
    Besides those that are new, which count `newest` times, at most `regions` are learned from at a time, other ones
    each time.
    """

    widths: tuple[int, ...] = (32, 24, 16)
    views: int = 2
    stain: float = 0.06
    crop_px: int = 128
    batch_size: int = 8
    learning_rate: float = 3e-3
    steps: int = 60
    fewest_steps: int = 30
    seconds: float = 4.0
    rounds: int = 3
    newest: int = 4
    regions: int = 48


@dataclass(slots=True, eq=False)
class _Warm:
    """All that goes by one basis: the frozen classifier, and the decoder over it."""

    basis: Basis
    model: LoadedModel
    reader: RegionReader
    tiles: TileFeatures
    decoder: Decoder
    learned: Learned = field(default_factory=dict)
    version: int = 0
    """Counts how often the decoder learned."""

    since_new: int = 0
    """How often it learned since there was a new region."""

    shown: dict[tuple[int, int, int], int] = field(default_factory=dict)
    """Of each tile (slide, x, y) that was sent: by which version of the decoder."""

    views: dict[int, list[FeatureTile]] = field(default_factory=dict)
    """Of each region that was learned from, its views; those that came first make room."""

    seen_specimen: tuple[str, TissueMask] | None = None

    def specimen(self, record: SlideRecord, slide: Slide) -> TissueMask:
        """What of a slide is no glass, found once as long as it is the same slide."""
        if self.seen_specimen is None or self.seen_specimen[0] != record.fingerprint:
            self.seen_specimen = record.fingerprint, survey(slide).specimen
        return self.seen_specimen[1]


class LiveLearner:
    """The live loop of one project while that is open; what it learned outlasts it in the project's folder."""

    def __init__(self, *, settings: LiveSettings | None = None, device: str = "auto", seed: int = 0) -> None:
        self.settings = settings or LiveSettings()
        self._device, self._seed = device, seed
        self._warm: _Warm | None = None
        self._memory = FeatureMemory()
        self._step_s = 0.0
        """Seconds of a step the last time."""

    @property
    def version(self) -> int:
        """How often the decoder has learned."""
        return 0 if self._warm is None else self._warm.version

    @property
    def learned_from(self) -> tuple[int, ...]:
        """The annotations that the decoder has learned from, by id."""
        return () if self._warm is None else tuple(self._warm.learned)

    def update(self, project: Project, *, slide_id: int, view: Region, afresh: bool = False) -> Work[LiveReport]:
        """Learn from what is new in a project, then make the masks of a slide, those nearest to a view first.

        Closing the generator stops at the next step; what was learned until then is gone on from. With `afresh`
        tiles that were sent before are sent again. Where nothing is painted there are no masks. SlideError when the
        slide cannot be read, ModelError when the model in use cannot.
        """
        yield LiveProgress(tr("Reading what was painted"), 0, 1)
        warm = self._warm_for(project)
        if afresh:
            warm.shown.clear()
        slide = next((one for one in project.slides.all() if one.id == slide_id and is_readable(one)), None)
        regions = {region.mask_id: region for region in warm.reader.all_annotated() if region.mask_id is not None}
        new = self._find_new(project, warm, regions)
        trouble = ""
        if new:
            trouble = yield from self._learn(project, warm, regions, new)
        if slide is not None and not warm.learned:
            yield from self._look_ahead(warm, slide, view)
        if slide is None or not warm.learned:
            return LiveReport(len(warm.learned), len(new), 0, 0, trouble)
        yield from self._predict(warm, slide, view, only_view=True)
        while warm.since_new < self.settings.rounds:
            yield from self._learn(project, warm, regions, ())
            yield from self._predict(warm, slide, view, only_view=True)
        tiles, done = yield from self._predict(warm, slide, view, only_view=False)
        return LiveReport(len(warm.learned), len(new), tiles, done, trouble)

    # --- what is known --------------------------------------------------------------------------------------------

    def _warm_for(self, project: Project) -> _Warm:
        """What was kept, as long as the model and the classes are what they were; else all anew."""
        record, names = project.models.current(), project.scheme.mask_names
        warm = self._warm
        if warm is None or (warm.basis.model, warm.basis.mask_classes) != (record.hash, names):
            self._memory = FeatureMemory()
            warm = self._begin(project, load_project_model(record, choose_device(self._device)), names)
            self._warm = warm
        warm.reader.project = project
        return warm

    def _begin(self, project: Project, model: LoadedModel, names: tuple[str, ...]) -> _Warm:
        network = _frozen(model.network, len(names)).to(model.device)
        reader = RegionReader(project, model, network)
        widths = self.settings.widths
        basis = Basis(model.hash, reader.sees, names, widths)
        frozen = model.with_network(network)
        tiles = TileFeatures(frozen, reader.sees, len(widths) + 1, self._memory, ArrayCache(project.folder / CACHE))
        warm = _Warm(basis, model, reader, tiles, self._fresh_decoder(network, len(names)))
        if (kept := decoder_file.load(project.folder, basis)) is not None:
            tensors, warm.learned, warm.version = kept
            warm.decoder.load_state_dict(tensors)
            warm.since_new = self.settings.rounds
        return warm

    def _fresh_decoder(self, network: Hybrid, mask_classes: int) -> Decoder:
        torch.manual_seed(self._seed)
        return Decoder(network.backbone.channels, self.settings.widths, mask_classes=mask_classes).eval()

    def _find_new(self, project: Project, warm: _Warm, regions: dict[int, ProjectRegion]) -> list[int]:
        """The annotations to learn from; where one is gone, and nothing came in its place, all of them, anew."""
        there = {number: place_of(region.slide.id, region.region) for number, region in regions.items()}
        new = [number for number in regions if number not in warm.learned]
        gone = [place for number, place in warm.learned.items() if number not in there]
        if any(not any(_overlap(place, there[number]) for number in new) for place in gone):
            _log.info("an annotation is gone: the live decoder begins anew")
            warm.decoder = self._fresh_decoder(warm.reader.network, warm.decoder.mask_classes)
            warm.learned.clear()
            decoder_file.forget(project.folder)
            warm.version += 1  # what was shown came of it
            new = list(regions)
        for number in set(warm.learned) - set(there):
            del warm.learned[number]
        for number in set(warm.views) - set(there):
            del warm.views[number]
        return new

    # --- learning -------------------------------------------------------------------------------------------------

    def _learn(self, project: Project, warm: _Warm, regions: dict[int, ProjectRegion], new: Sequence[int]) -> Work[str]:
        """Learn once from what is new and some of the rest; why that was not possible with some region, in words."""
        settings, first = self.settings, not warm.learned
        rng = np.random.default_rng((self._seed, warm.version))
        others = [number for number in regions if number not in new]
        chosen = [*new, *rng.permutation(others)[: settings.regions].tolist()]
        stage = tr_plural("Learning from {count} region", "Learning from {count} regions", len(regions))
        annotated: list[list[FeatureTile]] = []
        trouble, held = "", 0
        for number in chosen:
            yield LiveProgress(stage, 0, 1, regions=len(regions))
            try:
                views = self._views(warm, regions[number])
            except HistoLoopError as error:
                _log.info("annotation %d is not learned from: %s", number, error)
                trouble = str(error)
                continue
            if views:
                annotated += [views] * (settings.newest if number in new and not first else 1)
            held += sum(bytes_of(one.features) for one in views)
            if held > MEMORY_BYTES:
                break
        if not annotated:
            return trouble
        steps = self._steps()
        started, decoder = time.monotonic(), copy.deepcopy(warm.decoder)  # stopped on the way, it is as it was
        work = train_on_features(
            decoder,
            annotated=annotated,
            settings=self._cached(steps),
            device=warm.model.device,
            seed=self._seed + warm.version,
        )
        yield from mapped(work, lambda step: LiveProgress(stage, step.done, step.total, regions=len(regions)))
        self._step_s = (time.monotonic() - started) / steps
        warm.decoder = decoder.to(memory_format=torch.contiguous_format).eval()
        warm.version += 1
        warm.since_new = 0 if new else warm.since_new + 1
        warm.learned = {number: place_of(one.slide.id, one.region) for number, one in regions.items()}
        decoder_file.keep(
            project.folder, warm.basis, warm.decoder.state_dict(), learned=warm.learned, version=warm.version
        )
        return trouble

    def _steps(self) -> int:
        """How many steps there is time for, as fast as they were the last time."""
        settings = self.settings
        there_is_time_for = round(settings.seconds / self._step_s) if self._step_s else 0
        return max(settings.fewest_steps, min(settings.steps, there_is_time_for))

    def _cached(self, steps: int) -> CachedSettings:
        settings = self.settings
        loop = LoopSettings(
            epochs=1, batch_size=settings.batch_size, learning_rate=settings.learning_rate, warmup_epochs=0
        )
        return CachedSettings(
            loop=loop,
            steps_per_epoch=steps,
            loss="bce+dice",
            views=settings.views,
            stain=settings.stain,
            crop_px=settings.crop_px,
        )

    def _views(self, warm: _Warm, region: ProjectRegion) -> list[FeatureTile]:
        """The views of a region with the stages that the decoder takes; none where all of it was left out."""
        number = region.mask_id
        assert number is not None
        if number not in warm.views:
            found = region.views(count=self.settings.views, stain=self.settings.stain)
            views = [
                dataclasses.replace(one, features=coarse(one.features, warm.tiles.stages))
                for one in found
                if one.mask is not None
            ]
            warm.views[number] = views
            held = sum(bytes_of(one.features) for kept in warm.views.values() for one in kept)
            while held > MEMORY_BYTES and len(warm.views) > 1:
                held -= sum(bytes_of(one.features) for one in warm.views.pop(next(iter(warm.views))))
        return warm.views[number]

    # --- masks ----------------------------------------------------------------------------------------------------

    def _predict(self, warm: _Warm, record: SlideRecord, view: Region, *, only_view: bool) -> Work[tuple[int, int]]:
        """Send the tiles that the decoder as it is now has not made yet; how many the slide has, and has of them."""
        stage = tr("Live masks of {slide}", slide=record.name)
        with open_project_slide(record) as slide:
            grid = live_grid(slide, downsample=working_downsample(record.mpp, warm.model.card.mpp))
            about = LiveGrid(
                record.id, record.width, record.height, grid.downsample, warm.basis.mask_classes, warm.version
            )
            specimen = warm.specimen(record, slide)
            saw_view = False
            for number, (tile, in_view) in enumerate(nearest_first(grid, view)):
                core = tile.core
                if not in_view and not saw_view:
                    saw_view = True
                    yield self._view_is_new(warm, about)
                if only_view and not in_view:
                    break
                if warm.shown.get((record.id, core.x, core.y)) == warm.version:
                    continue
                if specimen.fraction(core.level0(grid.downsample)) > 0:
                    features, place = warm.tiles.of(slide, record.fingerprint, grid, core)
                    found = probability(decode(warm.decoder, features, device=warm.model.device))
                    planes = found[None] if found.ndim == 2 else found
                    top, left = core.y - place.y, core.x - place.x
                    place0 = core.level0(grid.downsample)
                    there_HW = specimen.within(place0, height=core.height, width=core.width)
                    masks = planes[:, top : top + core.height, left : left + core.width] * there_HW
                else:
                    masks = np.zeros((len(warm.basis.mask_classes), core.height, core.width), np.float32)
                made = LiveTile.of(core, masks)
                warm.shown[record.id, core.x, core.y] = warm.version
                yield LiveProgress(stage, number + 1, len(grid.tiles), grid=about, tile=made, regions=len(warm.learned))
            else:
                if not saw_view:
                    yield self._view_is_new(warm, about)
            done = sum(key[0] == record.id and version == warm.version for key, version in warm.shown.items())
            return len(grid.tiles), done

    def _look_ahead(self, warm: _Warm, record: SlideRecord, view: Region) -> Work[None]:
        """Before anything is learned: the features of what is in view, at most of `AHEAD` tiles."""
        with open_project_slide(record) as slide:
            grid = live_grid(slide, downsample=working_downsample(record.mpp, warm.model.card.mpp))
            specimen = warm.specimen(record, slide)
            near = [tile.core for tile, in_view in nearest_first(grid, view) if in_view][:AHEAD]
            for number, core in enumerate(near):
                yield LiveProgress(tr("Reading what is in view"), number, len(near))
                if specimen.fraction(core.level0(grid.downsample)) > 0:
                    warm.tiles.of(slide, record.fingerprint, grid, core)

    def _view_is_new(self, warm: _Warm, grid: LiveGrid) -> Progress:
        return LiveProgress(
            tr("Masks in view are up to date"), 1, 1, grid=grid, in_view=True, regions=len(warm.learned)
        )


def _frozen(network: SlideNetwork, mask_classes: int) -> Hybrid:
    """The classifier of a network, in a network of so many mask classes; its own decoder stays out of it."""
    own = with_decoder(network)
    hybrid = Hybrid(dataclasses.replace(own.config, mask_classes=mask_classes))
    hybrid.classifier.load_state_dict(own.classifier.state_dict())
    return hybrid


def _overlap(one: tuple[int, int, int, int, int], other: tuple[int, int, int, int, int]) -> bool:
    """Whether two places share a pixel."""
    slide, x, y, width, height = one
    across = x < other[1] + other[3] and other[1] < x + width
    return slide == other[0] and across and y < other[2] + other[4] and other[2] < y + height


_learners: dict[str, LiveLearner] = {}


def learner_of(folder: str, device: str) -> LiveLearner:
    """The learner of a project's folder in this process, warm from the last time; it takes the place of another's.

    It leaves one core to whoever paints: a step on all of them waits for the slowest, which the window keeps busy.
    """
    key = f"{device}|{folder}"
    if key not in _learners:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))
        _learners.clear()
        _learners[key] = LiveLearner(device=device)
    return _learners[key]
