"""The objective of SimSiam: two views of a tile predict each other (ssl-al eq 1-2; Chen & He 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def negative_cosine(predictions_BD: Tensor, projections_BD: Tensor) -> Tensor:
    """Eq 2: minus the cosine between prediction and projection, a mean over the batch, in [-1, 1].

    The projections are constants here (the stop-gradient): without that, all tiles collapse into one point.
    """
    cosines_B = functional.cosine_similarity(predictions_BD.float(), projections_BD.detach().float(), dim=1)
    return -cosines_B.mean()


def simsiam_loss(
    first_predictions_BD: Tensor,
    second_predictions_BD: Tensor,
    first_projections_BD: Tensor,
    second_projections_BD: Tensor,
) -> Tensor:
    """Eq 1: each view's prediction against the other view's projection, half of each; a scalar in [-1, 1]."""
    onto_second = negative_cosine(first_predictions_BD, second_projections_BD)
    onto_first = negative_cosine(second_predictions_BD, first_projections_BD)
    return onto_second / 2 + onto_first / 2
