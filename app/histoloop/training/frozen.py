"""Frozen features and a linear head on them (ssl-al section 4): what few labels are enough for."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import minimize

from histoloop.networks.backbones import Backbone
from histoloop.training.outputs import normalise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from histoloop.networks.network import SlideNetwork
    from histoloop.training.self_supervised import Tiles

    Floats = NDArray[np.float64]

BATCH = 32
WEIGHT_DECAY = 1e-3


def pooled_features(
    network: SlideNetwork | Backbone,
    tiles: Tiles,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    stage: int = -1,
) -> NDArray[np.float32]:
    """Features (N, D) of tiles: the maps of a stage of the backbone, averaged over the whole tile.

    In evaluation mode, in which the network is left. Neighbours of one size go through it together.
    """
    backbone = network if isinstance(network, Backbone) else network.backbone
    backbone.to(device).eval()
    rows = [np.empty((0, backbone.channels[stage]), np.float32)]
    with torch.inference_mode():
        for batch in _batches(tiles):
            tiles_BCHW = torch.from_numpy(np.stack(batch)).to(device).permute(0, 3, 1, 2).float() / 255
            rows.append(backbone(normalise(tiles_BCHW, mean, std))[stage].float().mean(dim=(2, 3)).cpu().numpy())
    return np.concatenate(rows)


def _batches(tiles: Tiles) -> Iterator[list[NDArray[np.uint8]]]:
    """All tiles in order, each read once."""
    for _shape, alike in itertools.groupby((tiles[number] for number in range(len(tiles))), key=np.shape):
        while batch := list(itertools.islice(alike, BATCH)):
            yield batch


def fit_linear_head(
    features_ND: NDArray[np.floating], labels_N: Sequence[int], *, classes: int, decay: float = WEIGHT_DECAY
) -> tuple[Floats, Floats]:
    """Weights (classes, D) and bias (classes,) of a softmax head: mean cross-entropy + decay / 2 * |weights|^2.

    By L-BFGS from zero; the problem is convex, so that nothing is drawn. The paper descends without decay for 100
    epochs: of few tiles, which a plane always parts, that has no end, and the decay is what stops here. The bias is
    free. ValueError for labels outside 0 .. classes - 1, and where features and labels do not belong together.
    """
    features, labels = np.asarray(features_ND, np.float64), np.asarray(labels_N, np.int64)
    if features.ndim != 2 or len(features) != len(labels) or not len(labels):
        raise ValueError(f"features (N, D) and N labels, got shape {features.shape} and {len(labels)} labels")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must lie in 0 .. {classes - 1}, not {labels.min()} .. {labels.max()}")
    centre_D = features.mean(axis=0)  # changes no solution, but makes it far easier to find
    centred_ND, truth_NC = features - centre_D, np.eye(classes)[labels]

    def objective(parameters: Floats) -> tuple[float, Floats]:
        weights_CD, bias_C = parameters[:-classes].reshape(classes, -1), parameters[-classes:]
        scores_NC = centred_ND @ weights_CD.T + bias_C
        logs_NC = scores_NC - np.logaddexp.reduce(scores_NC, axis=1, keepdims=True)
        pull_NC = (np.exp(logs_NC) - truth_NC) / len(labels)
        value = -(logs_NC * truth_NC).sum() / len(labels) + decay / 2 * (weights_CD**2).sum()
        slope_CD = pull_NC.T @ centred_ND + decay * weights_CD
        return float(value), np.concatenate([slope_CD.ravel(), pull_NC.sum(axis=0)])

    start = np.zeros(classes * (features.shape[1] + 1))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "gtol": 1e-7})
    weights_CD: Floats = found.x[:-classes].reshape(classes, -1)
    bias_C: Floats = found.x[-classes:] - weights_CD @ centre_D
    return weights_CD, bias_C
