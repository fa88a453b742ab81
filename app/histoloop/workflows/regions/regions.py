"""Regions of a project at a model's resolution: pixels, mask and kept features, for strategies and quick rounds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.propagation import colour_histograms
from histoloop.annotations.records import Counts
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.inference.model import Model
from histoloop.language import tr
from histoloop.slides.tiling import working_downsample
from histoloop.slides.tissue import TissueMask
from histoloop.store.array_cache import CACHE, ArrayCache
from histoloop.store.maps import open_map
from histoloop.store.records import SlideRecord
from histoloop.training.features import FeatureTile
from histoloop.training.samples import TrainingTile
from histoloop.workflows.contents.candidate_regions import CandidateRegion, class_of
from histoloop.workflows.contents.slides import is_readable, open_project_slide
from histoloop.workflows.regions.kept_features import KeptFeatures
from histoloop.workflows.regions.tiles import painted_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.inference.features import Features
    from histoloop.networks.hybrid import Hybrid
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord
    from histoloop.training.samples import TileMask
    from histoloop.workflows.prediction.loaded_model import LoadedModel

"""Folder in a project; safe to delete."""


class RegionReader:
    """Reads regions at a model's resolution and keeps the features of its classifier.

    The features of a region are those of the frozen classifier: rounds that change the decoder alone share them. Masks
    are values of the project's mask classes where the network's decoder tells them apart, else foregrounds.
    """

    def __init__(self, project: Project, model: LoadedModel, network: Hybrid) -> None:
        self.project, self.model, self.network = project, model, network.eval()
        self.sees = _digest(network)
        """Which classifier it is: readers of the same one have the same features."""
        frozen = Model(self.network, model.colours, model.device)
        self._cache = ArrayCache(project.folder / CACHE)
        self._kept = KeptFeatures(frozen, self._cache, key=self.sees)
        self._specimens: dict[int, TissueMask | None] = {}

    def candidate(self, candidate: CandidateRegion) -> ProjectRegion:
        """A region that may be asked about."""
        return ProjectRegion(
            self, candidate.slide, candidate.region, candidate.class_name, None, specimen=candidate.specimen
        )

    def annotated(self, record: AnnotationRecord, slide: SlideRecord) -> ProjectRegion:
        """A region that a person annotated."""
        return ProjectRegion(
            self,
            slide,
            record.region,
            record.label or class_of(slide),
            record.id if record.has_mask else None,
            whole=record.counts is Counts.REGION,
            specimen=self._specimen(slide),
        )

    def _specimen(self, slide: SlideRecord) -> TissueMask | None:
        """All of a slide but glass, as its maps keep it; None of a slide without, or where they are damaged."""
        if slide.id not in self._specimens:
            folder = self.project.maps.find(slide.id)
            try:
                self._specimens[slide.id] = None if folder is None else open_map(folder).tissue
            except ProjectError:
                self._specimens[slide.id] = None
        return self._specimens[slide.id]

    def all_annotated(self, *, with_held_out: bool = False) -> list[ProjectRegion]:
        """Regions with masks that are not held out, or all with masks, on slides that are found."""
        slides = {slide.id: slide for slide in self.project.slides.all() if is_readable(slide)}
        return [
            self.annotated(record, slides[record.slide_id])
            for record in self.project.annotations.finished()
            if record.has_mask and (with_held_out or not record.held_out) and record.slide_id in slides
        ]

    def tile(self, region: ProjectRegion) -> TrainingTile:
        """Pixels and mask at the model's resolution."""
        downsample = working_downsample(region.slide.mpp, self.model.card.mpp)
        with open_project_slide(region.slide) as slide:
            pixels = slide.read_region_scaled(region.region, downsample=downsample)
        mask, known = self._painted(region.mask_id, pixels)
        return TrainingTile(pixels, None, mask, region.name, region.slide.name, known=known, states_size=region.whole)

    def _painted(
        self, annotation_id: int | None, pixels: NDArray[np.uint8]
    ) -> tuple[TileMask | None, NDArray[np.bool_] | None]:
        return painted_mask(self.project, annotation_id, pixels, classes=self.network.config.decodes_classes)

    def features(self, region: ProjectRegion, *, view: int = 0, stain: float = 0.0) -> Features:
        """The features of a region, or of a view of it (training/features.py: view_of)."""
        return self._kept.of(region.key, lambda: self.tile(region), seed=region.seed, view=view, stain=stain)

    def has_features(self, region: ProjectRegion) -> bool:
        """Whether those are kept already."""
        return self._kept.has(region.key)

    def colours(self, region: ProjectRegion) -> NDArray[np.float64]:
        """Colour histograms (3, 256) of a region at the model's resolution; they are kept."""
        key = f"colours|{self.model.card.mpp}|{region.slide.mpp}|{region.key}"
        if (kept := self._cache.get(key)) is not None:
            return np.asarray(kept["histograms"], np.float64)
        histograms = colour_histograms(self.tile(region).pixels)
        self._cache.put(key, {"histograms": histograms})
        return histograms

    def views(self, region: ProjectRegion, *, count: int, stain: float) -> list[FeatureTile]:
        """Features of a region as it is and of `count` - 1 views of it, each with its mask."""
        return self._kept.views(region.key, self.tile(region), seed=region.seed, count=count, stain=stain)


@dataclass(frozen=True, slots=True, eq=False)
class ProjectRegion:
    """A region as `workflows.queries.score_regions` and quick rounds take it; read when it is asked for.

    `whole` says whether all of its mask counts, and not the strokes alone; `specimen` is all of its slide but glass,
    where that is known.
    """

    reader: RegionReader
    slide: SlideRecord
    region: Region
    class_name: str
    mask_id: int | None
    whole: bool = True
    specimen: TissueMask | None = None

    @property
    def name(self) -> str:
        """For people."""
        place = self.region
        return tr(
            "{slide}, {width} x {height} at {x}, {y}",
            slide=self.slide.name,
            width=place.width,
            height=place.height,
            x=place.x,
            y=place.y,
        )

    @property
    def slide_name(self) -> str:
        """The slide it is of."""
        return self.slide.name

    @property
    def key(self) -> str:
        """Which pixels of which file it is, wherever that lies."""
        place = self.region
        return f"{self.slide.fingerprint}|{place.x},{place.y},{place.width},{place.height}"

    @property
    def seed(self) -> int:
        """Of what is sampled for the region: the same each time."""
        return self.region.x * 31 + self.region.y

    def features(self) -> Features:
        """By the frozen classifier."""
        return self.reader.features(self)

    def views(self, *, count: int, stain: float) -> list[FeatureTile]:
        """Features of it as it is and of `count` - 1 views of it, each with its mask."""
        return self.reader.views(self, count=count, stain=stain)

    def colours(self) -> NDArray[np.float64]:
        """Colour histograms (3, 256)."""
        return self.reader.colours(self)

    def tile(self) -> TrainingTile:
        """Pixels and mask at the model's resolution."""
        return self.reader.tile(self)

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) at the model's resolution."""
        return self.tile().pixels

    def glass(self, height: int, width: int) -> NDArray[np.bool_] | None:
        """Which of (height, width) pixels are glass; None where nothing is known of any."""
        if self.specimen is None:
            return None
        found: NDArray[np.bool_] = ~self.specimen.within(self.region, height=height, width=width)
        return found if found.any() else None

    def feature_tile(self) -> FeatureTile:
        """Features, and the mask that a person painted, where one did."""
        tile = self.tile()
        return FeatureTile(self.features(), tile.mask, known=tile.known)


def _digest(network: Hybrid) -> str:
    """Which classifier this is: its weights and buffers alone."""
    digest = hashlib.sha256(repr(network.config.backbone).encode())
    for name, tensor in sorted(network.classifier.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()[:32]
