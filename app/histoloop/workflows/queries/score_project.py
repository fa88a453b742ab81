"""Score a project's candidate regions with its current network: what strategies need beyond the maps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from histoloop.acquisition.discrepancy import discrepancy_map
from histoloop.acquisition.strategies import STRATEGIES
from histoloop.acquisition.svm import fit_linear_svm
from histoloop.acquisition.uncertainty import PassVariance
from histoloop.errors import ProjectError
from histoloop.inference.features import decode, probability
from histoloop.language import tr, tr_plural
from histoloop.networks.build import with_decoder
from histoloop.networks.hybrid import Hybrid
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_model
from histoloop.workflows.queries.reasons import Evidence
from histoloop.workflows.queries.score_regions import Asked, ScoresAfter, ScoringSettings, embeddings, score_regions
from histoloop.workflows.regions.regions import ProjectRegion, RegionReader

if TYPE_CHECKING:
    from histoloop.inference.features import Features
    from histoloop.networks.unet import Decoder
    from histoloop.progress import Work
    from histoloop.store.project import Project
    from histoloop.workflows.contents.candidates import Candidate

OF_MASKS = ("mc-dropout", "cod", "cod-softmax", "learned-loss")
"""Strategies that need a decoder: a model that has learned masks."""

PASSES = 20
"""Of Monte-Carlo dropout; the paper has 50, which a clinician without a GPU would have to wait for."""

EVIDENCE_PASSES = 10
SURE_CHANGE = 0.25
"""A pixel's answer changed, or wavers, when its probability moves by more than this."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """How the candidates score, and what can be shown for one of them."""

    scores_after: ScoresAfter
    evidence: Callable[[int], Evidence]


def score_candidates(
    project: Project, strategy: str, candidates: Sequence[Candidate], *, device: str, seed: int
) -> Work[Scored]:
    """Score candidates by a strategy that needs the network, the annotated regions, or both.

    ProjectError where the project does not have yet what the strategy goes by, with what to do.
    """
    place = choose_device(device)
    model = load_model(project.current_model().folder, place)
    network = _with_masks(model, strategy)
    reader = RegionReader(project, model, network)
    annotated = _annotated(reader, strategy)
    regions = [reader.candidate(candidate) for candidate in candidates]
    decoder = network.decoder
    assert decoder is not None  # by _with_masks or with_decoder
    earlier, before = _earlier(project, reader, seed, place)
    asked = Asked(decoder, earlier, before, place)
    scores_after = yield from score_regions(
        strategy, regions, annotated=annotated, asked=asked, settings=ScoringSettings(passes=PASSES), seed=seed
    )
    shown = _Shown(strategy, regions, annotated, asked, seed)
    return Scored(scores_after, shown.evidence)


def _with_masks(model: LoadedModel, strategy: str) -> Hybrid:
    """The model's network; one without a decoder gets a fresh one where the strategy does not look at it."""
    if isinstance(model.network, Hybrid) and model.network.decoder is not None:
        return model.network
    if strategy in OF_MASKS:
        raise ProjectError(
            tr("'{title}' needs a model that has learned masks.", title=tr(STRATEGIES[strategy].title)),
            advice=tr("Retrain from masks first, or ask where the model is unsure, or at random."),
        )
    return with_decoder(model.network).to(model.device)


def _annotated(reader: RegionReader, strategy: str) -> list[ProjectRegion]:
    """Regions with masks that are not held out; ProjectError where the strategy needs more of them."""
    found = reader.all_annotated()
    title = tr(STRATEGIES[strategy].title)
    needed = {"vaal": 1, "svm-margin": 2, "learned-loss": 2}.get(strategy, 0)
    if len(found) < needed:
        raise ProjectError(
            tr_plural(
                "'{title}' needs one annotated region to compare with.",
                "'{title}' needs {count} annotated regions to compare with.",
                needed,
                title=title,
            ),
            advice=tr("Ask at random first, and paint what is asked."),
        )
    if strategy == "svm-margin" and len({region.class_name for region in found}) < 2:
        raise ProjectError(
            tr("'{title}' needs annotated regions of two classes.", title=title),
            advice=tr("Label the slides (Slides panel), or ask in another way until both classes are annotated."),
        )
    return found


def _earlier(
    project: Project, reader: RegionReader, seed: int, place: torch.device
) -> tuple[Decoder, Callable[[ProjectRegion], Features] | None]:
    """The decoder of the round before and what reads its features, where they are others; untrained in the first."""
    parent = project.current_model().parent
    if parent is None:
        return _untrained(reader, seed, place), None
    before = load_model(project.model(parent).folder, place)
    if not isinstance(before.network, Hybrid) or before.network.decoder is None:
        return _untrained(reader, seed, place), None
    other = RegionReader(project, before, before.network)
    if other.sees == reader.sees:
        return before.network.decoder, None
    return before.network.decoder, other.features


def _untrained(reader: RegionReader, seed: int, place: torch.device) -> Decoder:
    """The initial model of the first round (tod section IV): the same classifier under a random decoder."""
    assert reader.network.decoder is not None  # by _with_masks or with_decoder
    decoder = copy.deepcopy(reader.network.decoder)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        for module in decoder.modules():
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
                module.reset_parameters()
    return decoder.to(place).eval()


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """What a strategy saw, for the few regions that are asked about."""

    strategy: str
    regions: Sequence[ProjectRegion]
    annotated: Sequence[ProjectRegion]
    asked: Asked
    seed: int

    def evidence(self, index: int) -> Evidence:
        """What to show and say of a candidate."""
        region = self.regions[index]
        if self.strategy == "mc-dropout":
            return self._wavering(region)
        if self.strategy in ("cod", "cod-softmax"):
            return self._changed(region)
        if self.strategy == "svm-margin":
            return self._between(region)
        if self.strategy in ("k-center", "vaal"):
            return self._far(region)
        return Evidence()

    def _wavering(self, region: ProjectRegion) -> Evidence:
        passes = PassVariance()
        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            for _ in range(EVIDENCE_PASSES):
                logits = decode(
                    self.asked.decoder,
                    region.features(),
                    device=self.asked.device,
                    dropout=ScoringSettings().dropout,
                )
                passes.add(probability(logits))
        spread = np.sqrt(passes.variance())
        return Evidence(np.clip(2 * spread, 0, 1), share=float((spread > SURE_CHANGE / 2).mean()))

    def _changed(self, region: ProjectRegion) -> Evidence:
        new = decode(self.asked.decoder, region.features(), device=self.asked.device)
        old = decode(self.asked.earlier, self.asked.features_before(region), device=self.asked.device)
        change = np.abs(probability(new) - probability(old))
        if self.strategy == "cod":
            shown = discrepancy_map(old, new)
            shown = shown / max(float(np.quantile(shown, 0.99)), 1e-9)
        else:
            shown = change
        return Evidence(np.clip(shown, 0, 1), share=float((change > SURE_CHANGE).mean()))

    def _between(self, region: ProjectRegion) -> Evidence:
        svm = fit_linear_svm(embeddings(self.annotated), [one.class_name for one in self.annotated])
        (decision,) = svm.decision(embeddings([region]))
        first, second = np.argsort(-decision, kind="stable")[:2]
        return Evidence(classes=(svm.classes[first], svm.classes[second]))

    def _far(self, region: ProjectRegion) -> Evidence:
        """The annotated region it is most like, however little that is."""
        if not self.annotated:
            return Evidence()
        distances = np.linalg.norm(embeddings(self.annotated) - embeddings([region]), axis=1)
        nearest = self.annotated[int(distances.argmin())]
        return Evidence(beside=nearest.pixels(), beside_name=nearest.slide.name)
