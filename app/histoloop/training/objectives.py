"""What a classifier is trained to do: name the label, also by min-max entropy or with the foreground's size."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from histoloop.errors import DataError
from histoloop.losses import jia
from histoloop.losses.robust import AdaptiveRobustLoss
from histoloop.losses.size import (
    map_entropy,
    mean_probabilities,
    noisy_sizes,
    size_kl,
    size_l2,
    size_targets,
    total,
    upsampled_log_probabilities,
)
from histoloop.network_config import ScoreKind
from histoloop.networks.minmax import MinMax
from histoloop.training.adversarial import AdversarialSettings, adversarial_batch
from histoloop.training.erasing import erasing_parts
from histoloop.training.mask_objective import foreground_of_masks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from histoloop.inference.model import Model
    from histoloop.training.samples import Batch, TrainingTile

Supervision = Literal["labels", "min-max", "sizes", "none"]


@dataclass(frozen=True, slots=True)
class ErasingSettings:
    """Recursive erasing of min-max entropy: `depth` is the paper's u (0: none), `sigma` how fast trust decays.

    `trust_ends` (eq 14) and `untrusted_learn` are the other way round in the authors' code: see `erasing_parts`.
    """

    depth: int = 4
    sigma: float = 10.0
    trust_ends: bool = True
    untrusted_learn: bool = False

    def __post_init__(self) -> None:
        if self.depth < 0 or not self.sigma > 0:
            raise ValueError(f"depth must be 0 or more and sigma above 0, not {self.depth} and {self.sigma}")


@dataclass(frozen=True, slots=True)
class SizeSettings:
    """Size supervision (thesis ch. 4): the size loss with its weight lambda_s, the entropy term's weight lambda_e.

    `noise` is the standard deviation of what is added to each foreground size (thesis 4.4.3): anew in each step, as for
    GlaS there, or with `noise_per` 'tile' once for the whole training, as for CAMELYON16. Then the size of a tile that
    states none is that of its whole mask.
    """

    loss: Literal["adaptive", "kl", "l2", "jia"] = "adaptive"
    weight: float = 10.0
    entropy: float = 0.1
    noise: float = 0.0
    noise_per: Literal["step", "tile"] = "step"

    def __post_init__(self) -> None:
        if min(self.weight, self.entropy, self.noise) < 0:
            raise ValueError("weight, entropy and noise must be 0 or more")


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """`supervision` chooses the objective, each with a table of its own; 'none' leaves it all to the masks.

    Label classes exclude each other under 'softmax' and stand each against the rest under 'sigmoid', so that a tile may
    have several labels; `label_smoothing`
    as in Szegedy et al. 2016, for 'softmax'. `adversarial` training may be added to each of them.
    """

    supervision: Supervision = "labels"
    scores: ScoreKind = "softmax"
    label_smoothing: float = 0.0
    erasing: ErasingSettings = field(default_factory=ErasingSettings)
    sizes: SizeSettings = field(default_factory=SizeSettings)
    adversarial: AdversarialSettings = field(default_factory=AdversarialSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), not {self.label_smoothing}")


def check_labels(settings: ObjectiveSettings, tiles: Sequence[TrainingTile]) -> None:
    """DataError when tiles have several labels and the objective is of one label each."""
    several = sum(bool(tile.other_labels) for tile in tiles)
    if not several:
        return
    found = f"{several} of the {len(tiles)} tiles have several labels"
    advice = "Choose the recipe quick-multi-label-mil, or give each tile one label."
    if settings.supervision in ("min-max", "sizes"):
        raise DataError(f"{found}, but supervision = {settings.supervision!r} needs one label a tile.", advice=advice)
    if settings.adversarial.epsilon:
        raise DataError(f"{found}, but adversarial training needs one label a tile.", advice=advice)
    if settings.scores == "softmax":
        raise DataError(
            f"{found}, but under scores = 'softmax' labels exclude each other.",
            advice='Set scores = "sigmoid" under [classify] in the recipe, or choose quick-multi-label-mil.',
        )


def with_fixed_noise(tiles: Sequence[TrainingTile], settings: SizeSettings, *, seed: int) -> list[TrainingTile]:
    """The tiles with sizes that err by a fixed amount; as they are where noise is drawn anew in each step."""
    if not settings.noise or settings.noise_per == "step":
        return list(tiles)
    sizes = [_size_of(tile) for tile in tiles]
    wrong_N = noisy_sizes(
        torch.tensor([0.0 if size is None else size for size in sizes]),
        settings.noise,
        torch.Generator().manual_seed(seed),
    ).tolist()
    return [
        tile if size is None else dataclasses.replace(tile, size=wrong)
        for tile, size, wrong in zip(tiles, sizes, wrong_N, strict=True)
    ]


def _size_of(tile: TrainingTile) -> float | None:
    if tile.size is not None or tile.mask is None or not tile.states_size:
        return tile.size
    return float((tile.mask > 0).mean() if tile.known is None else (tile.mask[tile.known] > 0).mean())


def label_loss(scores_BC: Tensor, batch: Batch, kind: ScoreKind, *, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy (thesis eq 4.4), or its one-vs-rest sum over all labels (eq 4.5, meant over the classes).

    Tiles without a label take no part; NaN where none has one. `smoothing` of the labels is for 'softmax'.
    """
    scores = scores_BC.float()
    if kind == "softmax":
        return functional.cross_entropy(scores, batch.labels_B, ignore_index=-1, label_smoothing=smoothing)
    targets_BC = functional.pad(batch.targets_BK, (0, scores.shape[1] - batch.targets_BK.shape[1]))
    known_B = batch.labels_B >= 0
    return functional.binary_cross_entropy_with_logits(scores[known_B], targets_BC[known_B])


class Objective:
    """The loss parts of a batch; `learned` are modules that belong to the objective and learn with the network."""

    def __init__(self, model: Model, settings: ObjectiveSettings) -> None:
        self.network, self.colours = model.network, model.colours
        self.settings = settings
        self.learned: tuple[nn.Module, ...] = ()
        if settings.supervision == "sizes" and settings.sizes.loss == "adaptive":
            self.learned = (AdaptiveRobustLoss(self.network.config.labels + 1),)
        self._parts = self._choose()

    def _choose(self) -> Callable[[Batch, Tensor], Iterator[Tensor]]:
        if self.settings.supervision == "min-max":
            if not isinstance(self.network, MinMax):
                raise ValueError("min-max entropy needs a network with a localizer")
            return self._erase
        if self.settings.supervision == "sizes":
            return self._size_one_sided if self.settings.sizes.loss == "jia" else self._size
        return self._label

    def __call__(self, batch: Batch) -> Iterable[Tensor]:
        """Scalars whose sum is the loss; propagate each back before asking for the next."""
        if self.settings.adversarial.epsilon:
            batch = adversarial_batch(
                batch, network=self.network, scores_of=self._scores_of, settings=self.settings.adversarial
            )
        return self._parts(batch, self.colours.normalise(batch.tiles_BCHW))

    def _scores_of(self, tiles_BCHW: Tensor) -> Tensor:
        return self.network.forward_classifier(self.colours.normalise(tiles_BCHW))[0]

    def _label(self, batch: Batch, tiles_BCHW: Tensor) -> Iterator[Tensor]:
        yield self._label_loss(self.network.forward_classifier(tiles_BCHW)[0], batch)

    def _label_loss(self, scores_BC: Tensor, batch: Batch) -> Tensor:
        return label_loss(scores_BC, batch, self.settings.scores, smoothing=self.settings.label_smoothing)

    def _erase(self, batch: Batch, tiles_BCHW: Tensor) -> Iterator[Tensor]:
        erasing = self.settings.erasing
        assert isinstance(self.network, MinMax)  # by _choose
        return erasing_parts(
            self.network,
            tiles_BCHW,
            batch.labels_B,
            depth=erasing.depth,
            sigma=erasing.sigma,
            valid_BHW=batch.valid_BHW,
            trust_ends=erasing.trust_ends,
            untrusted_learn=erasing.untrusted_learn,
        )

    def _size(self, batch: Batch, tiles_BCHW: Tensor) -> Iterator[Tensor]:
        """Thesis eq 4.13; tiles without a known size take part in the other terms only."""
        settings = self.settings.sizes
        scores_BC, maps_BKHW = self.network.forward_classifier(tiles_BCHW)
        shape = (tiles_BCHW.shape[-2], tiles_BCHW.shape[-1])
        log_BKHW = upsampled_log_probabilities(maps_BKHW, size=shape)
        found_BK = mean_probabilities(log_BKHW, valid_BHW=batch.valid_BHW)
        sizes_B, known_B = self._known_sizes(batch)
        wanted_BK = size_targets(sizes_B, batch.labels_B, label_count=scores_BC.shape[1])
        if settings.loss == "adaptive":
            losses_B = self.learned[0](found_BK - wanted_BK).sum(dim=1)
        else:
            losses_B = (size_kl if settings.loss == "kl" else size_l2)(found_BK, wanted_BK)
        size_loss = (losses_B * known_B).sum() / known_B.sum().clamp(min=1)
        entropy = map_entropy(log_BKHW, valid_BHW=batch.valid_BHW).mean()
        yield total(
            self._label_loss(scores_BC, batch), size_loss, entropy, lambda_s=settings.weight, lambda_e=settings.entropy
        )

    def _size_one_sided(self, batch: Batch, tiles_BCHW: Tensor) -> Iterator[Tensor]:
        """Jia et al. (thesis eq 4.1-4.3), each label against the rest; sizes count where they are known."""
        maps_BCHW = self.network.forward_classifier(tiles_BCHW)[1]
        exponent = self.network.config.pooling.exponent
        cells_BHW = functional.max_pool2d(batch.valid_BHW.float(), self.network.stride_px) > 0  # not of padding alone
        label_losses_B = jia.classification(maps_BCHW, batch.labels_B, r=exponent, valid_BHW=cells_BHW)
        sizes_B, known_B = self._known_sizes(batch)
        size_losses_B = jia.oversize_penalty(maps_BCHW, batch.labels_B, sizes_B, valid_BHW=cells_BHW)
        size_loss = (size_losses_B * known_B).sum() / known_B.sum().clamp(min=1)
        yield label_losses_B.mean() + self.settings.sizes.weight * size_loss

    def _known_sizes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B,) foreground sizes with noise, and where they are known: as given, else from the mask as augmented."""
        valid, masks = batch.known_BHW.flatten(1), foreground_of_masks(batch.masks_BHW).flatten(1)
        of_masks_B = (masks * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)
        given_B = ~torch.isnan(batch.sizes_B)
        sizes_B = torch.where(given_B, batch.sizes_B, of_masks_B)
        known_B = given_B | batch.masked_B
        if self.settings.sizes.noise and self.settings.sizes.noise_per == "step":
            sizes_B = noisy_sizes(sizes_B, self.settings.sizes.noise, torch.default_generator)
        return torch.where(known_B, sizes_B, torch.zeros_like(sizes_B)), known_B.to(sizes_B.dtype)
