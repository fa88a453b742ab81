"""The terms of min-max entropy localisation (min-max eq 9), one value per tile, for a caller to weigh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor


def label_cross_entropy(scores_BC: Tensor, labels_B: Tensor) -> Tensor:
    """-log softmax(scores) of the label, in nats, (B,): of the classifier on the foreground and of the localizer.

    Min-max eq 3 for the classifier's scores of tile * R+, eq 8 for the localizer's of the tile.
    """
    return functional.cross_entropy(scores_BC, labels_B, reduction="none")


def uniform_cross_entropy(scores_BC: Tensor) -> Tensor:
    """Mean over the classes of -log softmax(scores), in nats, (B,): of the classifier on the background, tile * R-.

    Min-max eq 6: the cross-entropy against the uniform distribution. Its minimum is log C, where no class is
    preferred, and there the entropy of the scores is highest.
    """
    return -functional.log_softmax(scores_BC, dim=1).mean(dim=1)
