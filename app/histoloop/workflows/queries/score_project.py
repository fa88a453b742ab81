"""Provide what strategies need of a project's candidate regions: its maps, or its current network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.strategy import Evidence, Inputs, ScoresAfter, Strategy
from histoloop.errors import ProjectError
from histoloop.language import tr, tr_plural
from histoloop.localisation.stitcher import foreground_of
from histoloop.networks.build import with_decoder, with_mask_classes
from histoloop.networks.hybrid import Hybrid
from histoloop.store.cards import load_card
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_project_model
from histoloop.workflows.prediction.present_classes import present_classes, to_go_on_from
from histoloop.workflows.queries.score_regions import EarlierModel, NetworkInputs, Networks, ScoringSettings
from histoloop.workflows.regions.regions import ProjectRegion, RegionReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from histoloop.networks.unet import Decoder
    from histoloop.progress import Work
    from histoloop.store.project import Project
    from histoloop.workflows.contents.candidate_regions import CandidateRegion

PASSES = 20
"""Of Monte-Carlo dropout; the paper has 50, which a clinician without a GPU would have to wait for."""

READ, DECODED = 0.03, 0.08
"""What reading kept features, and a pass of the decoder, take beside a pass of the classifier (the shipped model on a
processor)."""


class MapInputs(Inputs):
    """Provides the probabilities of a project's maps: no network runs."""

    def __init__(self, project: Project, candidates: Sequence[CandidateRegion], *, seed: int) -> None:
        self.count, self.seed = len(candidates), seed
        self._project, self._candidates = project, candidates

    def outcomes(self, index: int) -> NDArray[np.float32]:
        """Foreground probability (h, w) of the current model's map, or (L, h, w) of background and mask classes."""
        masks = self._candidates[index].masks(self._project)
        if masks.ndim == 2:
            return masks
        return np.concatenate([1 - foreground_of(masks)[np.newaxis], masks])

    def score(self, strategy: Strategy) -> Work[ScoresAfter]:
        """Score by a strategy."""
        return strategy.score(self)

    def evidence(self, strategy: Strategy, index: int) -> Evidence:
        """What a strategy found in a candidate."""
        return strategy.evidence(self, index)


def project_inputs(
    project: Project,
    strategy: Strategy,
    candidates: Sequence[CandidateRegion],
    *,
    device: str,
    seed: int,
    settings: ScoringSettings | None = None,
) -> MapInputs | NetworkInputs:
    """What a strategy needs of a project's candidates.

    ProjectError where the project does not have yet what the strategy needs, with what to do.
    """
    if not strategy.needs.network:
        return MapInputs(project, candidates, seed=seed)
    place = choose_device(device)
    record, classes = project.models.current(), present_classes(project)
    model = to_go_on_from(project, load_project_model(record, place), record, classes)
    network = _with_masks(model, strategy)
    reader = RegionReader(project, model, network)
    annotated = _annotated(reader, strategy)
    decoder = network.decoder
    assert decoder is not None  # by _with_masks or with_decoder
    regions = [reader.candidate(candidate) for candidate in candidates]
    settings = settings or ScoringSettings(passes=PASSES)
    return NetworkInputs(
        regions,
        annotated=annotated,
        networks=Networks(decoder, lambda: _earlier(project, reader, decoder, place), place),
        settings=settings,
        seed=seed,
        sizes=[_work_of(reader, region, strategy, passes=settings.passes) for region in regions],
    )


def _work_of(reader: RegionReader, region: ProjectRegion, strategy: Strategy, *, passes: int) -> float:
    """How much work a region is to score: its area in square micrometres, times the forward passes over it.

    A pass of the classifier is 1, which regions whose features are kept are spared.
    """
    classifier = READ if reader.has_features(region) else 1.0
    decoder = DECODED * {"passes": passes, "earlier model": 2, "losses": 1}.get(strategy.needs.inputs, 0)
    return region.region.area * (region.slide.mpp or 0.5) ** 2 * (classifier + decoder)


def _with_masks(model: LoadedModel, strategy: Strategy) -> Hybrid:
    """The model's network; one without a decoder gets a fresh one where the strategy does not need it."""
    if isinstance(model.network, Hybrid) and model.network.decoder is not None:
        return model.network
    if strategy.needs.decoder:
        raise ProjectError(
            tr("'{title}' needs a model trained on masks.", title=tr(strategy.title)),
            advice=tr("Retrain from masks first, or ask where the model is unsure, or at random."),
        )
    return with_decoder(model.network).to(model.device)


def _annotated(reader: RegionReader, strategy: Strategy) -> list[ProjectRegion]:
    """Regions with masks that are not held out; ProjectError where the strategy needs more of them."""
    found, needs = reader.all_annotated(), strategy.needs
    if len(found) < needs.annotated:
        raise ProjectError(
            tr_plural(
                "'{title}' needs one annotated region to compare with.",
                "'{title}' needs {count} annotated regions to compare with.",
                needs.annotated,
                title=tr(strategy.title),
            ),
            advice=tr("Ask at random first, and paint the regions."),
        )
    if needs.two_classes and len({region.class_name for region in found}) < 2:
        raise ProjectError(
            tr("'{title}' needs annotated regions of two classes.", title=tr(strategy.title)),
            advice=tr("Label the slides (Slides panel), or use another strategy until both classes are annotated."),
        )
    return found


def has_earlier_model(project: Project) -> bool:
    """Whether there is a model of a round before, with masks, to compare the current one's masks with.

    In the first round there is none: an untrained decoder in its place is surest of what it would ask about.
    """
    current = project.models.current()
    if current.parent is None:
        return False
    before, now = load_card(project.models.get(current.parent).folder), load_card(current.folder)
    has_masks = before.trained and bool(before.network.decoder_channels)
    return has_masks and before.network.mask_classes in (1, now.network.mask_classes)


def _earlier(project: Project, reader: RegionReader, decoder: Decoder, place: torch.device) -> EarlierModel:
    """The model of the round before (`has_earlier_model`).

    A decoder of one foreground is compared as it would begin to learn classes, where this round's tells them apart.
    """
    parent = project.models.current().parent
    if parent is None:
        raise ValueError("there is no model of a round before")
    record = project.models.get(parent)
    before = to_go_on_from(project, load_project_model(record, place), record, present_classes(project))
    grown = with_mask_classes(before.network, decoder.mask_classes).to(place)
    other = RegionReader(project, before, grown)
    assert grown.decoder is not None  # by with_mask_classes
    return EarlierModel(grown.decoder, None if other.sees == reader.sees else other.features)
