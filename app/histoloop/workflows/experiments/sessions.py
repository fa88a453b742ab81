"""One session of active learning with known masks as the annotator, round by round (label-prop, Algorithm 1)."""

from __future__ import annotations

import copy
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from histoloop.acquisition.propagation import SHARE_BY_CHANCE, colour_histograms, grown, queryable
from histoloop.acquisition.selection import select, select_setwise
from histoloop.acquisition.strategies import STRATEGIES
from histoloop.acquisition.strategies.at_random import RANDOM, random_scores
from histoloop.errors import RecipeError
from histoloop.inference.features import Features, decode, probability
from histoloop.localisation.stitcher import hard_mask
from histoloop.networks.arrays import to_arrays, to_tensors
from histoloop.networks.unet import Decoder
from histoloop.progress import Progress, Work
from histoloop.training.cached import CachedSettings, best_threshold, dice_figures, train_on_features
from histoloop.training.features import FeatureTile
from histoloop.training.measures.metrics import mean_dice
from histoloop.training.pseudo_labels import learn_with_pseudo_labels
from histoloop.training.samples import foreground
from histoloop.training.teacher import ConsistencySettings
from histoloop.workflows.contents.rounds import round_begins_with
from histoloop.workflows.queries.score_regions import EarlierModel, Networks, ScoringSettings, score_regions
from histoloop.workflows.regions.kept_features import KeptFeatures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from histoloop.inference.model import Model
    from histoloop.store.array_cache import ArrayCache
    from histoloop.training.samples import TileMask, TrainingTile

PROPAGATION, UNCAPPED, CONSISTENCY = "propagation", "propagation-uncapped", "consistency"
CONTINUED = "continued"


@dataclass(frozen=True, slots=True)
class Way:
    """What a session does: an acquisition strategy, with label propagation and consistency or without.

    Written 'entropy', 'random+propagation', 'random+propagation+consistency'. 'propagation-uncapped' takes the paper's
    k as it is, cut only to the neighbours there are (acquisition/propagation.py: capped_k). With 'continued' a round
    goes on training the decoder of the round before (tod), in place of beginning at theta_0 (label-prop).
    """

    acquisition: str
    propagation: bool = False
    consistency: bool = False
    uncapped: bool = False
    continued: bool = False

    @property
    def name(self) -> str:
        """As it is written."""
        propagation = UNCAPPED if self.uncapped else PROPAGATION
        added = ((propagation, self.propagation), (CONSISTENCY, self.consistency), (CONTINUED, self.continued))
        return "+".join([self.acquisition, *(word for word, wanted in added if wanted)])

    @staticmethod
    def parse(text: str) -> Way:
        """RecipeError names what is not known, and what is."""
        acquisition, *added = text.strip().split("+")
        if acquisition not in STRATEGIES:
            raise RecipeError(f"There is no strategy {acquisition!r}.", advice=f"Strategies: {', '.join(STRATEGIES)}.")
        if unknown := set(added) - {PROPAGATION, UNCAPPED, CONSISTENCY, CONTINUED}:
            raise RecipeError(
                f"A strategy cannot be joined with {', '.join(sorted(unknown))}.",
                advice=f"Join it with {PROPAGATION}, {CONSISTENCY} or {CONTINUED}, as in random+{PROPAGATION}.",
            )
        propagation = PROPAGATION in added or UNCAPPED in added
        if len(set(added)) < len(added) or {PROPAGATION, UNCAPPED} <= set(added):
            raise RecipeError(f"{text.strip()!r} joins something twice.", advice="Name each way of learning once.")
        return Way(acquisition, propagation, CONSISTENCY in added, UNCAPPED in added, CONTINUED in added)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a session goes. `first_per_class` regions of each class are annotated at the start, `per_class` each round.

    `neighbours` is the k of label propagation, before its cap. `full_steps` multiplies the steps of the decoder that
    learns from all masks, for there is more to learn from.
    """

    rounds: int = 5
    first_per_class: int = 2
    per_class: int = 1
    neighbours: int = 40
    decoder_channels: tuple[int, ...] = (48, 32, 24, 16, 8)
    learn: CachedSettings = field(default_factory=CachedSettings)
    score: ScoringSettings = field(default_factory=ScoringSettings)
    full_steps: int = 4

    def __post_init__(self) -> None:
        if min(self.rounds, self.first_per_class, self.per_class, self.neighbours, self.full_steps) < 1:
            raise ValueError("rounds, first_per_class, per_class, neighbours and full_steps must be at least 1")


@dataclass(frozen=True, slots=True)
class Round:
    """What a round gave: figures on the tiles that measure, in [0, 1]; tiles learned from; seconds; who was asked.

    `class_dice` is the mean of the mask classes' Dice, where the decoder tells them apart.
    """

    number: int
    annotated: int
    pseudo: int
    dice: float
    pooled_dice: float
    pseudo_dice: float | None
    seconds_training: float
    seconds_asking: float
    asked: tuple[str, ...]
    class_dice: float | None = None

    @property
    def goal(self) -> float:
        """The figure that a session is about: Dice of the classes, else of the foreground."""
        return self.dice if self.class_dice is None else self.class_dice

    def as_json(self) -> dict[str, object]:
        """As plain values, those that there are none of left out."""
        values = asdict(self)
        return {name: value for name, value in values.items() if name != "class_dice" or value is not None}


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where a session stands before a round: indices into the pool, and the decoder of the round before, if any."""

    annotated: tuple[int, ...]
    pseudo: tuple[int, ...]
    round: int
    decoder: Decoder | None
    threshold: float


class SimulationSetup:
    """Tiles and the frozen classifier over which all sessions run; features are kept, so each is computed once.

    With `mask_classes` from 2 on, masks are values and the decoders tell so many classes apart.
    """

    def __init__(
        self,
        model: Model,
        *,
        pool: Sequence[TrainingTile],
        validation: Sequence[TrainingTile],
        test: Sequence[TrainingTile],
        label_names: Sequence[str],
        cache: ArrayCache,
        cache_key: str,
        mask_classes: int = 1,
    ) -> None:
        self.model, self.device = model, model.device
        self.mask_classes = mask_classes
        model.network.eval()
        self.pool, self.validation_tiles, self.test_tiles = pool, validation, test
        self.classes = [label_names[tile.label] if tile.label is not None else "" for tile in pool]
        self._cache, self._cache_key = cache, cache_key
        self._kept = KeptFeatures(model, cache, key=cache_key, in_memory=True)
        self._histograms: NDArray[np.float64] | None = None

    def features(self, tile: TrainingTile) -> Features:
        """Of a tile as it is."""
        return self._kept.of(tile.name, lambda: tile, seed=_seed_of(tile.name))

    def recall(self, key: str) -> tuple[dict[str, torch.Tensor], float] | None:
        """Weights that were learned under a key, and how many seconds that took."""
        kept = self._cache.get(f"{self._cache_key}|{key}")
        if kept is None:
            return None
        seconds = float(kept.pop("seconds"))
        return to_tensors(kept), seconds

    def remember(self, key: str, weights: Mapping[str, torch.Tensor], seconds: float) -> None:
        """Keep what was learned: the same regions and seed give the same decoder, whoever chose them."""
        self._cache.put(f"{self._cache_key}|{key}", to_arrays({**weights, "seconds": torch.tensor(seconds)}))

    def views(self, index: int, settings: CachedSettings) -> list[FeatureTile]:
        """The annotated tile of the pool, and views of it."""
        tile = self.pool[index]
        return self._kept.views(tile.name, tile, seed=_seed_of(tile.name), count=settings.views, stain=settings.stain)

    @property
    def validation(self) -> list[FeatureTile]:
        """Tiles that choose the epoch and the threshold of pseudo-masks."""
        return [FeatureTile(self.features(tile), tile.mask) for tile in self.validation_tiles]

    @property
    def test(self) -> list[FeatureTile]:
        """Tiles that measure."""
        return [FeatureTile(self.features(tile), tile.mask) for tile in self.test_tiles]

    @property
    def histograms(self) -> NDArray[np.float64]:
        """(N, 3, 256) colours of the pool."""
        if self._histograms is None:
            self._histograms = np.stack([colour_histograms(tile.pixels) for tile in self.pool])
        return self._histograms

    def fresh_decoder(self, settings: SessionSettings, seed: int) -> Decoder:
        """The decoder of theta_0: the same random one for a seed."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            channels = self.model.network.backbone.channels
            decoder = Decoder(channels, settings.decoder_channels, mask_classes=self.mask_classes)
        return decoder.to(self.device)


def _seed_of(name: str) -> int:
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(name)) % 100_003


@dataclass(frozen=True, slots=True)
class _Item:
    """A tile of the pool, as a strategy takes it."""

    setup: SimulationSetup
    index: int

    @property
    def class_name(self) -> str:
        return self.setup.classes[self.index]

    @property
    def slide_name(self) -> str:
        return self.setup.pool[self.index].name

    def features(self) -> Features:
        return self.setup.features(self.setup.pool[self.index])

    def pixels(self) -> NDArray[np.uint8]:
        return self.setup.pool[self.index].pixels

    def feature_tile(self) -> FeatureTile:
        return FeatureTile(self.features(), self.setup.pool[self.index].mask)

    def glass(self, _height: int, _width: int) -> None:
        """Nothing is known of any: the tiles of data sets are taken as full of tissue."""


def first_state(setup: SimulationSetup, settings: SessionSettings, seed: int) -> State:
    """The first query: at random, the same for every strategy of a seed."""
    scores = random_scores(len(setup.pool), seed=seed)
    count = settings.first_per_class * len(set(setup.classes))
    return State(tuple(select(scores, setup.classes, count=count)), (), 0, None, 0.5)


def advance(
    setup: SimulationSetup, way: Way, state: State, settings: SessionSettings, seed: int
) -> Work[tuple[State, Round]]:
    """One round: learn from theta_0 on, measure, ask, and let the known masks answer.

    With propagation the pool P is pseudo-labelled by the decoder of the round before; then learning and
    pseudo-labelling run twice (label-prop 4.1: so that P is of use in its own round). The query follows once.
    """
    pseudo = _grown(setup, way, state, settings) if way.propagation else ()
    features = [setup.features(setup.pool[index]) for index in pseudo]
    seconds = 0.0

    def fit(masks: Sequence[TileMask]) -> Work[tuple[Decoder, float]]:
        nonlocal seconds
        tiles = [FeatureTile(of, mask) for of, mask in zip(features, masks, strict=False)]  # none in the first pass
        decoder, spent = yield from _learn(setup, way, state, tiles, settings, seed)
        seconds += spent
        return decoder, _threshold(setup, decoder) if way.propagation else 0.5

    def label(fitted: tuple[Decoder, float]) -> list[TileMask]:
        return _pseudo_masks(setup, features, *fitted)

    earlier = () if state.decoder is None else _pseudo_masks(setup, features, state.decoder, state.threshold)
    fitted, masks = yield from learn_with_pseudo_labels(fit, label, earlier, count=len(pseudo))
    decoder, threshold = fitted
    figures = dice_figures(decoder, setup.test, device=setup.device)
    started = time.monotonic()
    last = state.round + 1 == settings.rounds
    picks = [] if last else (yield from _ask(setup, way, state, pseudo, decoder, settings, seed))
    found = Round(
        number=state.round + 1,
        annotated=len(state.annotated),
        pseudo=len(pseudo),
        dice=figures["dice"],
        pooled_dice=figures["pooled_dice"],
        pseudo_dice=_pseudo_dice(setup, pseudo, masks),
        seconds_training=round(seconds, 2),
        seconds_asking=round(time.monotonic() - started, 2),
        asked=tuple(setup.pool[pick].name for pick in picks),
        class_dice=figures.get("class_dice"),
    )
    remaining = tuple(index for index in pseudo if index not in picks)
    return State((*state.annotated, *picks), remaining, state.round + 1, decoder, threshold), found


def _learn(
    setup: SimulationSetup, way: Way, state: State, pseudo: Sequence[FeatureTile], settings: SessionSettings, seed: int
) -> Work[tuple[Decoder, float]]:
    """A decoder, from theta_0 on, and the seconds that took."""
    learn = settings.learn
    if STRATEGIES[way.acquisition].needs.inputs == "passes":
        learn = replace(learn, dropout=settings.score.dropout)
    annotated = sorted(state.annotated)
    plainly = replace(learn, consistency=ConsistencySettings())  # plain decoders alone are kept
    key = f"{plainly}|{settings.decoder_channels}|{annotated}|{seed}"
    if setup.mask_classes > 1:
        key += f"|{setup.mask_classes} classes"
    goes_on = way.continued and state.decoder is not None
    plain = not pseudo and not way.consistency and not goes_on
    theta_0 = setup.fresh_decoder(settings, seed)
    decoder = copy.deepcopy(round_begins_with(theta_0, state.decoder, continued=way.continued))
    if plain and (known := setup.recall(key)) is not None:
        decoder.load_state_dict(known[0])
        return decoder.eval(), known[1]
    started = time.monotonic()
    unlabelled: list[FeatureTile] = []
    if way.consistency:
        others = sorted(set(range(len(setup.pool))) - set(annotated))
        unlabelled = [FeatureTile(setup.features(setup.pool[index]), None) for index in others]
    yield from train_on_features(
        decoder,
        annotated=[setup.views(index, learn) for index in annotated],
        pseudo=pseudo,
        unlabelled=unlabelled,
        validation=setup.validation,
        settings=learn,
        device=setup.device,
        seed=seed,
    )
    seconds = time.monotonic() - started
    if plain:
        setup.remember(key, decoder.state_dict(), seconds)
    return decoder, seconds


def _grown(setup: SimulationSetup, way: Way, state: State, settings: SessionSettings) -> tuple[int, ...]:
    """P with the neighbours of what is annotated."""
    share = 1.0 if way.uncapped else SHARE_BY_CHANCE
    k = settings.neighbours
    return tuple(grown(setup.histograms, setup.classes, state.annotated, state.pseudo, k=k, share=share))


def _threshold(setup: SimulationSetup, decoder: Decoder) -> float:
    """Where pseudo-masks are cut: chosen on the tiles that choose, if there are any."""
    if not setup.validation_tiles:
        return 0.5
    return best_threshold(decoder, setup.validation, device=setup.device).threshold


def _pseudo_masks(
    setup: SimulationSetup, features: Sequence[Features], decoder: Decoder, threshold: float
) -> list[TileMask]:
    """Hard masks by a decoder."""
    decoder.eval()
    found = (probability(decode(decoder, one, device=setup.device)) for one in features)
    return [hard_mask(one, threshold=threshold) for one in found]


def _pseudo_dice(setup: SimulationSetup, pseudo: Sequence[int], masks: Sequence[TileMask]) -> float | None:
    """How good pseudo-masks are (label-prop Fig. 6): only a simulation knows. Of classes, the Dice of their union."""
    if not pseudo:
        return None
    truths = [setup.pool[index].mask for index in pseudo]
    found = [(mask, truth) for mask, truth in zip(masks, truths, strict=True) if truth is not None]
    return mean_dice((foreground(mask), foreground(truth)) for mask, truth in found)


def _ask(
    setup: SimulationSetup,
    way: Way,
    state: State,
    pseudo: Sequence[int],
    decoder: Decoder,
    settings: SessionSettings,
    seed: int,
) -> Work[list[int]]:
    """The regions of the next query: equal numbers of each class, P protected while there are others."""
    unlabelled = sorted(set(range(len(setup.pool))) - set(state.annotated) - set(pseudo))
    count = settings.per_class * len(set(setup.classes))
    free = queryable(unlabelled, pseudo, count)
    if not free:
        return []
    earlier, strategy = state.decoder, STRATEGIES[way.acquisition]
    if strategy.needs.inputs == "earlier model" and earlier is None:
        strategy = RANDOM  # there is no round before to compare with
    scores_after = yield from score_regions(
        strategy,
        [_Item(setup, index) for index in free],
        annotated=[_Item(setup, index) for index in state.annotated],
        networks=Networks(decoder, lambda: EarlierModel(earlier or decoder), setup.device),
        settings=settings.score,
        seed=seed * 1009 + state.round + 1,
    )
    protected = [place for place, index in enumerate(free) if index in set(pseudo)]
    classes = [setup.classes[index] for index in free]
    return [free[pick.index] for pick in select_setwise(scores_after, classes, count=count, protected=protected)]


def full_supervision(setup: SimulationSetup, settings: SessionSettings, seed: int) -> Work[float]:
    """Mean Dice of a decoder that learns from all masks of the pool: the upper bound."""
    yield Progress("Learning from all masks", 0, 1)
    learn = replace(settings.learn, steps_per_epoch=settings.learn.steps_per_epoch * settings.full_steps)
    decoder = setup.fresh_decoder(settings, seed)
    yield from train_on_features(
        decoder,
        annotated=[setup.views(index, learn) for index in range(len(setup.pool))],
        validation=setup.validation,
        settings=learn,
        device=setup.device,
        seed=seed,
    )
    figures = dice_figures(decoder, setup.test, device=setup.device)
    return figures.get("class_dice", figures["dice"])
