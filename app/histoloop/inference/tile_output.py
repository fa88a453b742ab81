"""What a network predicts of one tile: scores, class maps, and the foreground by any of its localisation methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from histoloop.localisation.methods import (
    DECODER,
    localisation_methods,
    localise,
    posterior_of,
    predicted_labels,
    summarise,
)
from histoloop.localisation.stitcher import foreground_of
from histoloop.network_config import NetworkConfig

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TileOutput:
    """Scores (C,), class maps (K, h, w) and what a decoder gives where there is one.

    `decoded` is the probability of the foreground (H, W), or of each mask class (K, H, W) if the decoder tells them
    apart.

    `scores` classify the tile; `map_scores` are the maps pooled, which is the same but for a min-max network: there the
    classifier names what is left under the localizer's mask. `height` and `width` are the tile's in pixels. A cell of
    the maps is `cell_px` pixels wide, the stride of the network or 1 (see `histoloop.inference.tile_views`); the maps
    reach to the next multiple of it.
    """

    config: NetworkConfig
    label_bias: tuple[float, ...]
    height: int
    width: int
    scores: Floats
    map_scores: Floats
    maps: Floats
    decoded: Floats | None
    cell_px: int

    @property
    def label(self) -> int:
        """Index of the likeliest label; the lowest one of equals."""
        return int(self.scores.argmax())

    @property
    def labels(self) -> tuple[int, ...]:
        """Indices of the predicted labels: the likeliest, and those others that are likelier than not."""
        return predicted_labels(posterior_of(self.scores, self.config), self.label)

    def foreground(self, method: str | None = None, *, label: int | None = None) -> Floats:
        """Values (H, W) in [0, 1] by a method (the network's own), for the predicted labels or the one given."""
        name = method or localisation_methods(self.config)[0]
        if name == DECODER:
            if self.decoded is None:
                raise ValueError("this network has no decoder")
            return foreground_of(self.decoded)
        summary = summarise(
            name,
            self.maps.reshape(len(self.maps), -1),
            self.config,
            posterior=posterior_of(self.map_scores, self.config),
            bias_C=self.label_bias,
            labels=self.labels if label is None else (label,),
        )
        return localise(name, self._enlarged(), summary, self.config)

    def classes(self) -> NDArray[np.intp]:
        """(H, W) index of the likeliest label at each pixel."""
        likeliest: NDArray[np.intp] = self._enlarged()[: self.config.labels].argmax(axis=0)
        return likeliest

    def _enlarged(self) -> Floats:
        return enlarged_maps(self.maps, factor=self.cell_px)[:, : self.height, : self.width]


def enlarged_maps(maps_KHW: Floats, *, factor: float) -> Floats:
    """Maps (K, H * factor, W * factor), bilinear, align_corners=False."""
    whole = functional.interpolate(
        torch.from_numpy(maps_KHW)[None], scale_factor=float(factor), mode="bilinear", align_corners=False
    )
    enlarged: Floats = whole[0].numpy()
    return enlarged
