"""Self-supervised pretraining: SimSiam on tiles that nobody has labelled (ssl-al sections 3.2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from histoloop.errors import DataError
from histoloop.language import tr, tr_plural
from histoloop.losses.simsiam import simsiam_loss
from histoloop.networks.simsiam import SimSiam
from histoloop.training.loop import FitResult, LoopSettings, epoch_seed, fit
from histoloop.training.views import ViewSettings, draw_views

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from histoloop.networks.backbone import Backbone
    from histoloop.networks.colours import Colours
    from histoloop.progress import Work
    from histoloop.training.checkpoint import Checkpoint

SPREAD, DIMENSIONS = "spread", "dimensions"
COLLAPSED_SPREAD, COLLAPSED_DIMENSIONS = 0.8, 4.0
"""Below either of them the projections hold little of the tile: labels are then told hardly better than at random."""
BATCH_OF_RATE = 256
"""The batch that a recipe's learning rate is of (Chen & He 2021, section 4)."""


class Tiles(Protocol):
    """Tiles by number, read as often as there are epochs; each (H, W, 3) uint8, of any size."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[np.uint8]: ...


def _paper_loop() -> LoopSettings:
    return LoopSettings(
        epochs=800, batch_size=512, learning_rate=0.03, weight_decay=1e-4, optimiser="sgd", warmup_epochs=0
    )


@dataclass(frozen=True, slots=True)
class PretrainSettings:
    """How long, by which views, through which widths. The defaults are those of ssl-al section 4.

    `projection` and `bottleneck` are the widths of projector and predictor, which the paper does not state: those of
    SimSiam. The learning rate is of batches of 256 tiles, and grows and falls with the batch; the predictor's is
    `predictor_rate` times as high and stays where the others' falls, as the authors of SimSiam keep it.
    """

    projection: int = 2048
    bottleneck: int = 512
    predictor_rate: float = 1.0
    loop: LoopSettings = field(default_factory=_paper_loop)
    views: ViewSettings = field(default_factory=ViewSettings)

    def __post_init__(self) -> None:
        if self.projection < 2 or self.bottleneck < 1:
            raise ValueError(
                f"projection must be at least 2 and bottleneck 1, not {self.projection} and {self.bottleneck}"
            )
        if self.loop.batch_size < 2:
            raise ValueError("batch_size must be at least 2: batch norms compare tiles")
        if self.predictor_rate <= 0:
            raise ValueError(f"predictor_rate must be above 0, not {self.predictor_rate}")


@dataclass(frozen=True, slots=True, eq=False)
class TwoViews:
    """Two views (B, 3, H, W) of each tile of a batch, in [0, 1]."""

    first_BCHW: Tensor
    second_BCHW: Tensor

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.first_BCHW.device

    def to(self, device: torch.device) -> TwoViews:
        """The same views on a device."""
        return TwoViews(self.first_BCHW.to(device), self.second_BCHW.to(device))


def pretrain(
    backbone: Backbone,
    tiles: Tiles,
    *,
    settings: PretrainSettings,
    colours: Colours,
    device: torch.device,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> Work[FitResult]:
    """Train the backbone, in place, so that two views of a tile predict each other; the last epoch is kept.

    The figures of an epoch are its loss, in [-1, 1], and two that show a collapse: 'spread', the standard deviation of
    the normalised projections times the root of their width, near 1 for points all over the sphere and 0 for a single
    one; and 'dimensions', over how many directions they spread (`dimensions_used`). The result holds the weights of
    the whole SimSiam network. DataError for fewer than two tiles.

    Each epoch draws the tiles in another order, in whole batches: what is left over waits for another epoch.
    """
    if len(tiles) < 2:
        raise DataError(
            tr_plural("There is {count} tile to train on.", "There are {count} tiles to train on.", len(tiles)),
            advice=tr("Give more slides, or slides with more tissue."),
        )
    torch.manual_seed(seed)
    network = SimSiam(backbone, projection=settings.projection, bottleneck=settings.bottleneck)
    size = min(settings.loop.batch_size, len(tiles))
    steps = len(tiles) // size
    objective = _Objective(network.to(device).to(memory_format=torch.channels_last), colours)

    def epoch_batches(epoch: int) -> Iterable[TwoViews]:
        objective.forget()
        generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
        order = torch.randperm(len(tiles), generator=generator).tolist()
        for begin in range(0, steps * size, size):
            batch = [tiles[number] for number in order[begin : begin + size]]
            first, second = (draw_views(batch, settings.views, generator, device) for _ in range(2))
            yield TwoViews(first, second)

    return (
        yield from fit(
            network,
            stage=tr("Training on unlabelled tiles"),
            epoch_batches=epoch_batches,
            batches_per_epoch=steps,
            objective=objective,
            validate=objective.figures,
            rank_by=None,
            settings=replace(settings.loop, learning_rate=settings.loop.learning_rate * size / BATCH_OF_RATE),
            device=device,
            seed=seed,
            steady={network.predictor: settings.predictor_rate},
            checkpoint=checkpoint,
        )
    )


class _Objective:
    """The loss of two views, with an account of how the projections of this epoch spread."""

    def __init__(self, network: SimSiam, colours: Colours) -> None:
        self._network, self._colours = network, colours
        self._seen: list[tuple[float, float]] = []

    def __call__(self, views: TwoViews) -> Iterator[Tensor]:
        first_p, first_z = self._network(self._colours.normalise(views.first_BCHW))
        second_p, second_z = self._network(self._colours.normalise(views.second_BCHW))
        self._seen.append((spread(first_z), dimensions_used(first_z)))
        yield simsiam_loss(first_p, second_p, first_z, second_z)

    def forget(self) -> None:
        """Begin a new epoch."""
        self._seen.clear()

    def figures(self) -> Mapping[str, float]:
        """Means over the steps of the epoch."""
        spreads, dimensions = zip(*self._seen, strict=True)
        return {SPREAD: float(np.mean(spreads)), DIMENSIONS: float(np.mean(dimensions))}


@torch.no_grad()
def spread(projections_BD: Tensor) -> float:
    """Standard deviation over tiles of the normalised projections, a mean over D, times the root of D.

    1 where they point in all directions, 0 where all are alike (Chen & He 2021, section 4.1).
    """
    unit_BD = functional.normalize(projections_BD.float(), dim=1)
    return float(unit_BD.std(dim=0).mean() * unit_BD.shape[1] ** 0.5)


@torch.no_grad()
def dimensions_used(projections_BD: Tensor) -> float:
    """Over how many directions normalised projections spread: (tr C)^2 / tr(C^2) of their covariance C.

    Between 1 (all on a line, which a batch norm can make look spread) and min(B - 1, D); 0 where all are alike.
    """
    unit_BD = functional.normalize(projections_BD.double(), dim=1)
    centred_BD = unit_BD - unit_BD.mean(dim=0)
    gram_BB = centred_BD @ centred_BD.T  # its trace and square are those of the covariance, and it is smaller
    square = float((gram_BB**2).sum())
    return float(gram_BB.trace()) ** 2 / square if square > 1e-18 else 0.0


def collapse_warning(figures: Mapping[str, float]) -> str | None:
    """A sentence for the user where the last epoch's projections had collapsed."""
    if figures[SPREAD] >= COLLAPSED_SPREAD and figures[DIMENSIONS] >= COLLAPSED_DIMENSIONS:
        return None
    return (
        "The pretraining collapsed: the projections of the tiles are too much alike (spread "
        f"{figures[SPREAD]:.2f}, which should be near 1, over {figures[DIMENSIONS]:.1f} dimensions). The weights are "
        "hardly better than random ones: in the recipe raise predictor_rate or area_min of the views, or lower "
        "learning_rate, or give larger batches and more varied tiles."
    )
