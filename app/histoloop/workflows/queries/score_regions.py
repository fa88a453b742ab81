"""Score candidate regions by an acquisition strategy, with a network that provides what the strategy needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from histoloop.acquisition.strategy import STAGE, Evidence, Inputs, ScoresAfter, Strategy
from histoloop.inference.features import Features, decode, outcomes
from histoloop.language import tr
from histoloop.networks.unet import Decoder
from histoloop.progress import Progress, Work
from histoloop.training.samples import foreground, values_of
from histoloop.workflows.queries.learned_loss_scores import LearnedLossSettings, learned_loss_scores
from histoloop.workflows.queries.vaal_scores import VaalSettings, vaal_scores

if TYPE_CHECKING:
    from histoloop.training.features import FeatureTile

    Floats = NDArray[np.float64]

CPU = torch.device("cpu")
VAAL_PX = 64
WHITE = 255
SURE_LOGIT = -60.0
"""Of every mask class on glass, where all is background: its probability there vanishes."""


class ScorableRegion(Protocol):
    """What is read of a region to score it."""

    @property
    def class_name(self) -> str:
        """Its label, given by a person or predicted; '' without."""

    @property
    def slide_name(self) -> str:
        """The slide it is of."""

    def features(self) -> Features:
        """Of the frozen backbone."""

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) at the model's resolution."""

    def feature_tile(self) -> FeatureTile:
        """Of the frozen backbone, with what a person painted, which a candidate has not."""

    def glass(self, height: int, width: int) -> NDArray[np.bool_] | None:
        """Which of (height, width) pixels are glass; None where nothing is known of any."""


@dataclass(frozen=True, slots=True)
class ScoringSettings:
    """`passes` of Monte-Carlo dropout with this `dropout` (label-prop 4.1); how VAAL and the learned loss fit."""

    passes: int = 50
    dropout: float = 0.2
    vaal: VaalSettings = field(default_factory=VaalSettings)
    learned_loss: LearnedLossSettings = field(default_factory=LearnedLossSettings)

    def __post_init__(self) -> None:
        if self.passes < 2 or not 0 < self.dropout < 1:
            raise ValueError("passes must be at least 2 and dropout in (0, 1)")


@dataclass(frozen=True, slots=True, eq=False)
class EarlierModel:
    """The decoder of the round before, and what reads its features of a region.

    `read` is None where its classifier is the one of this round.
    """

    decoder: Decoder
    read: Callable[[Any], Features] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The decoder of this round and, loaded when it is needed, the model of the round before, on a device."""

    decoder: Decoder
    earlier: Callable[[], EarlierModel]
    device: torch.device = CPU


@dataclass(frozen=True, slots=True, eq=False)
class DecoderOutput:
    """What a decoder gives for a region."""

    logits: NDArray[np.float32]
    """(H, W) of one foreground, or (L, H, W) of background and mask classes."""

    @property
    def outcomes(self) -> NDArray[np.float32]:
        """Their probabilities, of the same shape."""
        return outcomes(self.logits)


class NetworkInputs(Inputs):
    """Provides all that strategies need, of candidate and annotated regions, by networks.

    Glass is background that every model is sure of: it adds nothing to what is unsure or changed in a region, and
    nothing to the features of one.
    """

    def __init__(
        self,
        candidates: Sequence[ScorableRegion],
        *,
        annotated: Sequence[ScorableRegion],
        networks: Networks,
        settings: ScoringSettings,
        seed: int,
        sizes: Sequence[float] = (),
    ) -> None:
        self.count, self.seed, self.settings = len(candidates), seed, settings
        self._sizes = sizes
        self._candidates, self._annotated = candidates, annotated
        self._networks, self.device = networks, networks.device
        self._decoder = networks.decoder.eval()

    @cached_property
    def _earlier(self) -> EarlierModel:
        earlier = self._networks.earlier()
        earlier.decoder.eval()
        return earlier

    def size(self, index: int) -> float:
        """Of a candidate beside the others, where that is known."""
        return self._sizes[index] if self._sizes else super().size(index)

    def outcomes(self, index: int) -> NDArray[np.float32]:
        """Probabilities (H, W) or (L, H, W) by this round's decoder."""
        return self.output(index).outcomes

    def passes(self, index: int, count: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Probabilities (H, W) or (L, H, W) of passes with dropout, as many as the settings say by default."""
        region, dropout = self._candidates[index], self.settings.dropout
        features = region.features()
        for _ in range(self.settings.passes if count is None else count):
            yield self._decoded(self._decoder, region, features, dropout=dropout).outcomes

    def output(self, index: int) -> DecoderOutput:
        """Of this round's decoder."""
        region = self._candidates[index]
        return self._decoded(self._decoder, region, region.features())

    def earlier_output(self, index: int) -> DecoderOutput:
        """Of the decoder of the round before."""
        region, earlier = self._candidates[index], self._earlier
        features = region.features() if earlier.read is None else earlier.read(region)
        return self._decoded(earlier.decoder, region, features)

    def _decoded(
        self, decoder: Decoder, region: ScorableRegion, features: Features, *, dropout: float = 0.0
    ) -> DecoderOutput:
        logits = decode(decoder, features, device=self.device, dropout=dropout)
        glass = region.glass(features.height, features.width)
        return DecoderOutput(logits if glass is None else _background_on_glass(logits, glass))

    def embedding(self, index: int) -> NDArray[np.float32]:
        """Pooled features (C,) of the last stage."""
        return _embedding(self._candidates[index])

    def annotated_embeddings(self) -> NDArray[np.float32]:
        """Pooled features (M, C) of the last stage."""
        return self._annotated_embeddings

    @cached_property
    def _annotated_embeddings(self) -> NDArray[np.float32]:
        found = [_embedding(region) for region in self._annotated]
        return np.stack(found) if found else np.zeros((0, len(self.embedding(0))), np.float32)

    def annotated_classes(self) -> list[str]:
        """The class of each annotated region."""
        return [region.class_name for region in self._annotated]

    def annotated_slide(self, index: int) -> str:
        """Name of the slide of an annotated region."""
        return self._annotated[index].slide_name

    def annotated_pixels(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) of an annotated region."""
        return self._annotated[index].pixels()

    def log_odds_unlabelled(self) -> Work[Floats]:
        """Log-odds (N,) by VAAL's discriminator."""
        regions = [*self._annotated, *self._candidates]
        tiles_NCHW = torch.stack([_small(_tissue_pixels(region)) for region in regions])
        annotated_N = torch.arange(len(regions)) < len(self._annotated)
        return (
            yield from vaal_scores(
                tiles_NCHW, annotated_N, settings=self.settings.vaal, device=self.device, seed=self.seed
            )
        )

    def predicted_losses(self) -> Work[Floats]:
        """Losses (N,) by a head that was fitted to those of the annotated regions."""
        yield Progress(tr(STAGE), 0, self.count)
        losses = [mean_cross_entropy(self._decoder, region.feature_tile(), self.device) for region in self._annotated]
        return learned_loss_scores(
            _pooled_stages(self._annotated),
            torch.tensor(losses),
            _pooled_stages(self._candidates),
            settings=self.settings.learned_loss,
            device=self.device,
            seed=self.seed,
        )

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Torch's random numbers by the seed, and afterwards as they were."""
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            yield

    def score(self, strategy: Strategy) -> Work[ScoresAfter]:
        """Score by a strategy; the same seed gives the same scores."""
        with self._seeded():
            return (yield from strategy.score(self))

    def evidence(self, strategy: Strategy, index: int) -> Evidence:
        """What a strategy found in a candidate; the same for the same seed."""
        with self._seeded():
            return strategy.evidence(self, index)


def score_regions(
    strategy: Strategy,
    candidates: Sequence[ScorableRegion],
    *,
    annotated: Sequence[ScorableRegion],
    networks: Networks,
    settings: ScoringSettings,
    seed: int,
) -> Work[ScoresAfter]:
    """How the candidates score, each once, for `acquisition.selection.select_setwise`: highest first.

    ValueError where the strategy cannot do with what is annotated: VAAL needs a region, the minimum margin regions of
    two classes, the learned loss two regions.
    """
    inputs = NetworkInputs(candidates, annotated=annotated, networks=networks, settings=settings, seed=seed)
    return (yield from inputs.score(strategy))


def _background_on_glass(logits: NDArray[np.float32], glass_HW: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Logits (H, W) of one foreground, or (L, H, W) of background and mask classes, that are sure where glass is."""
    if logits.ndim == 2:
        return np.where(glass_HW, np.float32(SURE_LOGIT), logits)
    sure_L11 = np.full((len(logits), 1, 1), SURE_LOGIT, np.float32)
    sure_L11[0] = 0
    return np.where(glass_HW, sure_L11, logits)


def _embedding(region: ScorableRegion) -> NDArray[np.float32]:
    """(C,) mean of the last stage over what is no glass."""
    return _pooled(region, -1)


def _pooled(region: ScorableRegion, stage: int) -> NDArray[np.float32]:
    features = region.features()
    glass = region.glass(features.height, features.width)
    return features.pooled(stage, inside=None if glass is None else ~glass)


def _tissue_pixels(region: ScorableRegion) -> NDArray[np.uint8]:
    """(H, W, 3) with white glass."""
    pixels = region.pixels()
    glass = region.glass(*pixels.shape[:2])
    return pixels if glass is None else np.where(glass[..., None], np.uint8(WHITE), pixels)


def _small(pixels: NDArray[np.uint8]) -> torch.Tensor:
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
    return functional.interpolate(planes, size=(VAAL_PX, VAAL_PX), mode="bilinear", antialias=True)[0]


def _pooled_stages(regions: Sequence[ScorableRegion]) -> list[torch.Tensor]:
    """(N, C_s) per stage."""
    depth = len(regions[0].features().stages) if regions else 0
    return [torch.from_numpy(np.stack([_pooled(region, stage) for region in regions])) for stage in range(depth)]


def mean_cross_entropy(decoder: Decoder, tile: FeatureTile, device: torch.device) -> float:
    """The segmentation loss of one annotated tile (label-prop eq 1), or its cross-entropy over the mask classes."""
    if tile.mask is None:
        raise ValueError("a loss needs a mask")
    decoder.eval()
    logits = torch.from_numpy(decode(decoder, tile.features, device=device))
    known = torch.ones(tile.mask.shape, dtype=torch.bool) if tile.known is None else torch.from_numpy(tile.known)
    if decoder.mask_classes == 1:
        truth = torch.from_numpy(foreground(tile.mask)).float()
        if tile.known is not None:
            logits, truth = logits[known], truth[known]
        return float(functional.binary_cross_entropy_with_logits(logits, truth))
    values = torch.from_numpy(values_of(tile.mask)).long()
    return float(functional.cross_entropy(logits[:, known].T, values[known]))
