"""What a model's frozen backbone knows: labels told by a linear head or a linear SVM on its features (ssl-al 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoloop.acquisition.linear_probe import LinearProbe, ProbeKind
from histoloop.errors import DataError, ModelError
from histoloop.exchange.evaluation import EvaluationRow
from histoloop.networks.hybrid import Hybrid
from histoloop.progress import Progress, Work
from histoloop.training.measures.metrics import accuracy, balanced_accuracy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.training.samples import TrainingTile
    from histoloop.workflows.prediction.loaded_model import LoadedModel


def check_probed(loaded: LoadedModel) -> None:
    """ModelError for a model without a classifier, whose features would be no one's."""
    if not isinstance(loaded.network, Hybrid):
        raise ModelError(
            f"{loaded.card.name} has no features that a probe could learn from.",
            advice="Leave out --probe, or choose a model that learned by labels or sizes.",
        )


def probe_row(
    loaded: LoadedModel, training: Sequence[TrainingTile], measured: Sequence[TrainingTile], *, kind: ProbeKind
) -> Work[EvaluationRow]:
    """Figures of the labels of the `measured` tiles, by a probe that the labels of the `training` tiles taught.

    Tiles without a label, or with several, are left out. DataError where fewer than two labels are taught, and where
    there is nothing to measure.
    """
    known, unseen = ([tile for tile in part if len(tile.labels) == 1] for part in (training, measured))
    taught, truth = ([tile.labels[0] for tile in part] for part in (known, unseen))
    if len(set(taught)) < 2 or not truth:
        raise DataError(
            "A probe needs training tiles of at least two labels, and labelled tiles to measure.",
            advice="Choose a part that the training part does not hold (--split), or leave out --probe.",
        )
    features_ND = yield from _features(loaded, [*known, *unseen])
    probe = LinearProbe.fit(
        features_ND[: len(known)], range(len(known)), taught, kind=kind, classes=len(loaded.card.scheme.labels)
    )
    found = probe.predict(features_ND[len(known) :])
    figures = {
        "error": 1 - accuracy(found, truth),
        "balanced_accuracy": balanced_accuracy(found, truth),
        "tiles": len(truth),
    }
    return EvaluationRow(f"{loaded.card.name}: {kind} probe", "", figures)


def _features(loaded: LoadedModel, tiles: Sequence[TrainingTile]) -> Work[NDArray[np.float32]]:
    rows = []
    for number, tile in enumerate(tiles):
        yield Progress("Features for the probe", number, len(tiles))
        rows.append(loaded.features(tile.pixels).embedding)
    return np.stack(rows)
