"""Score candidate regions by an acquisition strategy: what needs a network is computed here, the rest is arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from histoloop.acquisition.coreset import CoverDistance
from histoloop.acquisition.discrepancy import cod
from histoloop.acquisition.strategies import STRATEGIES, random_scores
from histoloop.acquisition.svm import fit_linear_svm, minimum_margin
from histoloop.acquisition.uncertainty import (
    PassVariance,
    mean_least_confidence,
    mean_margin,
    mean_pixel_entropy,
    mean_ratio,
)
from histoloop.inference.features import Features, decode, probability
from histoloop.language import mark, tr
from histoloop.networks.unet import Decoder
from histoloop.progress import Progress, Work
from histoloop.training.features import FeatureTile
from histoloop.workflows.queries.learned_loss_scores import LearnedLossSettings, learned_loss_scores
from histoloop.workflows.queries.vaal_scores import VaalSettings, vaal_scores

if TYPE_CHECKING:
    from collections.abc import Mapping


ScoresAfter = Callable[[Sequence[int]], NDArray[np.float64]]
"""Scores (N,) of all candidates once some are picked."""

CPU = torch.device("cpu")
STAGE = mark("Comparing regions")
VAAL_PX = 64

OF_PROBABILITIES: Mapping[str, Callable[[NDArray[np.floating]], float]] = {
    "entropy": mean_pixel_entropy,
    "least-confidence": mean_least_confidence,
    "margin": mean_margin,
    "ratio": mean_ratio,
}


class Region(Protocol):
    """What a strategy may ask of a region."""

    @property
    def class_name(self) -> str:
        """Its label, as far as known or predicted; '' without."""

    def features(self) -> Features:
        """What the frozen backbone sees in it."""

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) at the model's resolution."""

    def mask(self) -> NDArray[np.bool_] | None:
        """(H, W) what a person painted; None of a candidate."""


@dataclass(frozen=True, slots=True)
class ScoringSettings:
    """`passes` of Monte-Carlo dropout with this `dropout` (label-prop 4.1); how VAAL and the learned loss learn."""

    passes: int = 50
    dropout: float = 0.2
    vaal: VaalSettings = field(default_factory=VaalSettings)
    learned_loss: LearnedLossSettings = field(default_factory=LearnedLossSettings)

    def __post_init__(self) -> None:
        if self.passes < 2 or not 0 < self.dropout < 1:
            raise ValueError("passes must be at least 2 and dropout in (0, 1)")


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Who asks: the decoder of this round and of the round before (in the first: the untrained one), on a device.

    `before` reads features of a region for the earlier decoder where its classifier was another one.
    """

    decoder: Decoder
    earlier: Decoder
    before: Callable[[Any], Features] | None = None
    device: torch.device = CPU

    def features_before(self, region: Region) -> Features:
        """What the earlier model's classifier sees in a region: the same, unless `before` reads it."""
        return region.features() if self.before is None else self.before(region)


def score_regions(
    strategy: str,
    candidates: Sequence[Region],
    *,
    annotated: Sequence[Region],
    asked: Asked,
    settings: ScoringSettings,
    seed: int,
) -> Work[ScoresAfter]:
    """How the candidates score, each once, for `acquisition.strategies.select_setwise`: highest asked first.

    ValueError for a strategy that is not known, and where it cannot do with what is annotated: VAAL needs a region, the
    minimum margin regions of two classes, the learned loss two regions.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"there is no strategy {strategy!r}")
    if strategy == "k-center":
        yield Progress(tr(STAGE), 0, len(candidates))
        return CoverDistance(embeddings(annotated, like=candidates), embeddings(candidates))
    scores_N = yield from _scores(strategy, candidates, annotated, asked, settings, seed)
    return lambda _picks: scores_N


def _scores(
    strategy: str,
    candidates: Sequence[Region],
    annotated: Sequence[Region],
    asked: Asked,
    settings: ScoringSettings,
    seed: int,
) -> Work[NDArray[np.float64]]:
    """Scores (N,) that do not depend on what is picked."""
    if strategy in OF_PROBABILITIES:
        measure = OF_PROBABILITIES[strategy]
        return (
            yield from _each(
                candidates,
                lambda features: measure(probability(decode(asked.decoder, features, device=asked.device))),
                asked,
            )
        )
    if strategy == "mc-dropout":
        return (yield from _by_passes(candidates, asked, settings, seed))
    if strategy in ("cod", "cod-softmax"):
        return (yield from _by_change(candidates, asked, softmax=strategy == "cod-softmax"))
    if strategy == "vaal":
        return (yield from _by_vaal(candidates, annotated, asked.device, settings.vaal, seed))
    if strategy == "learned-loss":
        return (yield from _by_learned_loss(candidates, annotated, asked, settings.learned_loss, seed))
    if strategy == "svm-margin":
        yield Progress(tr(STAGE), 0, len(candidates))
        svm = fit_linear_svm(embeddings(annotated), [region.class_name for region in annotated])
        return minimum_margin(svm, embeddings(candidates))
    return random_scores(len(candidates), seed=seed)


def embeddings(regions: Sequence[Region], *, like: Sequence[Region] = ()) -> NDArray[np.float32]:
    """(N, C) pooled features of the last stage; without regions, (0, C) as those of `like` have."""
    found = [region.features().embedding for region in regions]
    return np.stack(found) if found else np.zeros((0, len(like[0].features().embedding)), np.float32)


def _each(
    candidates: Sequence[Region], measure: Callable[[Features], float], asked: Asked
) -> Work[NDArray[np.float64]]:
    """A measure of each candidate's features."""
    scores = np.empty(len(candidates))
    asked.decoder.eval()
    for number, region in enumerate(candidates):
        yield Progress(tr(STAGE), number, len(candidates))
        scores[number] = measure(region.features())
    return scores


def _by_passes(
    candidates: Sequence[Region], asked: Asked, settings: ScoringSettings, seed: int
) -> Work[NDArray[np.float64]]:
    def variance(features: Features) -> float:
        passes = PassVariance()
        for _ in range(settings.passes):
            logits = decode(asked.decoder, features, device=asked.device, dropout=settings.dropout)
            passes.add(probability(logits))
        return passes.mean_variance()

    devices = [asked.device] if asked.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        return (yield from _each(candidates, variance, asked))


def _by_change(candidates: Sequence[Region], asked: Asked, *, softmax: bool) -> Work[NDArray[np.float64]]:
    outputs: Literal["logit", "softmax"] = "softmax" if softmax else "logit"
    scores = np.empty(len(candidates))
    asked.decoder.eval()
    asked.earlier.eval()
    for number, region in enumerate(candidates):
        yield Progress(tr(STAGE), number, len(candidates))
        before = decode(asked.earlier, asked.features_before(region), device=asked.device)
        now = decode(asked.decoder, region.features(), device=asked.device)
        scores[number] = cod(before, now, outputs=outputs)
    return scores


def _by_vaal(
    candidates: Sequence[Region],
    annotated: Sequence[Region],
    device: torch.device,
    settings: VaalSettings,
    seed: int,
) -> Work[NDArray[np.float64]]:
    regions = [*annotated, *candidates]
    tiles_NCHW = torch.stack([_small(region.pixels()) for region in regions])
    known_N = torch.arange(len(regions)) < len(annotated)
    return (yield from vaal_scores(tiles_NCHW, known_N, settings=settings, device=device, seed=seed))


def _small(pixels: NDArray[np.uint8]) -> torch.Tensor:
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    return functional.interpolate(planes, size=(VAAL_PX, VAAL_PX), mode="bilinear", antialias=True)[0]


def _by_learned_loss(
    candidates: Sequence[Region],
    annotated: Sequence[Region],
    asked: Asked,
    settings: LearnedLossSettings,
    seed: int,
) -> Work[NDArray[np.float64]]:
    yield Progress(tr(STAGE), 0, len(candidates))
    losses = [
        mean_cross_entropy(asked.decoder, FeatureTile(region.features(), region.mask()), asked.device)
        for region in annotated
    ]
    known, pool = _pooled_stages(annotated), _pooled_stages(candidates)
    scores = learned_loss_scores(known, torch.tensor(losses), pool, settings=settings, device=asked.device, seed=seed)
    return np.asarray(scores, np.float64)


def _pooled_stages(regions: Sequence[Region]) -> list[torch.Tensor]:
    """(N, C_s) per stage."""
    all_features = [region.features() for region in regions]
    depth = len(all_features[0].stages) if all_features else 0
    return [torch.from_numpy(np.stack([features.pooled(stage) for features in all_features])) for stage in range(depth)]


def mean_cross_entropy(decoder: Decoder, tile: FeatureTile, device: torch.device) -> float:
    """The segmentation loss of one annotated tile (label-prop eq 1)."""
    if tile.mask is None:
        raise ValueError("a loss needs a mask")
    decoder.eval()
    logits = torch.from_numpy(decode(decoder, tile.features, device=device))
    truth = torch.from_numpy(tile.mask).float()
    return float(functional.binary_cross_entropy_with_logits(logits, truth))
