"""Regions of a project as a network sees them: pixels, mask and kept features, for strategies and quick rounds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.geometry import Region
from histoloop.language import tr
from histoloop.slides.tiling import working_downsample
from histoloop.store.records import SlideRecord
from histoloop.store.tensors import TensorCache
from histoloop.training.features import Features, extract, view_of
from histoloop.training.readers.tiles import shrink_foreground
from histoloop.training.samples import TrainingTile
from histoloop.workflows.contents.candidates import Candidate, class_of
from histoloop.workflows.contents.slides import open_project_slide
from histoloop.workflows.regions.tiles import read_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histoloop.networks.hybrid import Hybrid
    from histoloop.store.project import Project
    from histoloop.store.records import AnnotationRecord
    from histoloop.workflows.prediction.loaded_model import LoadedModel

CACHE = "cache"
"""Folder in a project; safe to delete."""


class RegionReader:
    """Reads regions at a model's resolution and keeps what its classifier sees in them.

    The features of a region are those of the frozen classifier: rounds that change the decoder alone share them.
    """

    def __init__(self, project: Project, model: LoadedModel, network: Hybrid) -> None:
        self.project, self.model, self.network = project, model, network.eval()
        self._cache = TensorCache(project.folder / CACHE)
        self.sees = _digest(network)
        """Which classifier it is: readers of the same one see the same."""

    def candidate(self, candidate: Candidate) -> ProjectRegion:
        """A region that may be asked about."""
        return ProjectRegion(self, candidate.slide, candidate.region, candidate.class_name, None)

    def annotated(self, record: AnnotationRecord, slide: SlideRecord) -> ProjectRegion:
        """A region that a person annotated."""
        return ProjectRegion(
            self, slide, record.region, record.label or class_of(slide), record.id if record.has_mask else None
        )

    def all_annotated(self) -> list[ProjectRegion]:
        """Regions with masks that are not held out, on slides that are found."""
        slides = {slide.id: slide for slide in self.project.slides() if slide.found}
        return [
            self.annotated(record, slides[record.slide_id])
            for record in self.project.finished_annotations()
            if record.has_mask and not record.held_out and record.slide_id in slides
        ]

    def tile(self, region: ProjectRegion) -> TrainingTile:
        """Pixels and mask at the model's resolution."""
        downsample = working_downsample(region.slide.mpp, self.model.card.mpp)
        with open_project_slide(region.slide) as slide:
            pixels = read_pixels(slide, region.region, downsample)
        mask = None
        if region.mask_id is not None:
            painted, _origin = self.project.load_mask(region.mask_id)
            mask = shrink_foreground(painted > 0, height=pixels.shape[0], width=pixels.shape[1])
        return TrainingTile(pixels, None, mask, region.name, region.slide.name)

    def features(self, region: ProjectRegion, *, view: int = 0, stain: float = 0.0) -> Features:
        """What the classifier sees in a region, or in a view of it (training/features.py: view_of)."""
        place = region.region
        where = f"{region.slide.fingerprint}|{place.x},{place.y},{place.width},{place.height}"
        key = f"{self.sees}|{where}|{view}|{stain if view else 0}"
        kept = self._cache.get(key)
        if kept is not None:
            return Features.of_tensors(kept)
        tile = view_of(self.tile(region), view, stain=stain, seed=place.x * 31 + place.y)
        card = self.model.card
        features = extract(self.network, tile, mean=card.mean, std=card.std, device=self.model.device)
        self._cache.put(key, features.as_tensors())
        return features


@dataclass(frozen=True, slots=True, eq=False)
class ProjectRegion:
    """A region as `workflows.queries.score_regions` scores it; read when it is asked for."""

    reader: RegionReader
    slide: SlideRecord
    region: Region
    class_name: str
    mask_id: int | None

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

    def features(self) -> Features:
        """What the frozen classifier sees."""
        return self.reader.features(self)

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) at the model's resolution."""
        return self.reader.tile(self).pixels

    def mask(self) -> NDArray[np.bool_] | None:
        """(H, W) foreground that a person painted; None without."""
        return self.reader.tile(self).mask


def _digest(network: Hybrid) -> str:
    """Which classifier this is: its weights and buffers alone."""
    digest = hashlib.sha256(repr(network.config.backbone).encode())
    for name, tensor in sorted(network.classifier.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()[:32]
