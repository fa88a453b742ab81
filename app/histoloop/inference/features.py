"""Features of a tile by a frozen backbone, kept: one forward pass serves every strategy and every round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from histoloop.networks.unet import mask_probabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from histoloop.networks.unet import Decoder

CELL_PX = 32
"""Pixels per cell of the coarsest stage: tiles are padded and cropped to multiples of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Stages of one tile, finest first, (C, H/2, W/2) to (C, H/32, W/32), half precision, on the CPU.

    `height` and `width` are the tile's in pixels; the stages reach on to multiples of 32. `scores` (C,) are the frozen
    classifier's, before softmax.
    """

    stages: tuple[Tensor, ...]
    scores: Tensor
    height: int
    width: int

    @property
    def embedding(self) -> NDArray[np.float32]:
        """(C,) mean of the last stage over the cells that the tile reaches into."""
        return self.pooled(-1)

    def pooled(self, stage: int, *, inside: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """(C,) mean of a stage over the tile, or over its cells with a pixel of `inside` (height, width) if it has."""
        planes = self.stages[stage]
        stride = CELL_PX >> (len(self.stages) - 1 - stage % len(self.stages))
        planes = planes[:, : -(-self.height // stride), : -(-self.width // stride)].float()
        if inside is None or inside.all() or not inside.any():
            mean: NDArray[np.float32] = planes.mean(dim=(1, 2)).numpy()
            return mean
        rows, columns = (-side % stride for side in inside.shape)
        cells = np.pad(inside, ((0, rows), (0, columns))).reshape(planes.shape[1], stride, planes.shape[2], stride)
        within: NDArray[np.float32] = planes[:, torch.from_numpy(cells.any(axis=(1, 3)))].mean(dim=1).numpy()
        return within

    def as_tensors(self) -> dict[str, Tensor]:
        """For a file of tensors."""
        stages = {f"stage{number}": planes.contiguous() for number, planes in enumerate(self.stages)}
        return {**stages, "scores": self.scores, "size": torch.tensor([self.height, self.width])}

    @staticmethod
    def of_tensors(tensors: Mapping[str, Tensor]) -> Features:
        """Back from a file; KeyError or ValueError for what is not of features."""
        names = sorted(name for name in tensors if name.startswith("stage"))
        height, width = tensors["size"].tolist()
        return Features(tuple(tensors[name] for name in names), tensors["scores"], int(height), int(width))


def decode(decoder: Decoder, features: Features, *, device: torch.device, dropout: float = 0.0) -> NDArray[np.float32]:
    """Logits of a tile by a decoder as it stands (put it into evaluation mode first).

    (H, W) of one foreground; (K + 1, H, W), background first, of a decoder of K classes.
    """
    stages = tuple(
        planes[None].to(device).float().contiguous(memory_format=torch.channels_last) for planes in features.stages
    )
    with torch.inference_mode():
        logits_1LHW = decoder(stages, dropout=dropout)
    logits: NDArray[np.float32] = logits_1LHW[0, :, : features.height, : features.width].float().cpu().numpy()
    return logits if decoder.mask_classes > 1 else logits[0]


def outcomes(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of logits as `decode` gives them: (H, W) of the foreground, or (K + 1, H, W) of background and mask classes."""
    if logits.ndim == 2:
        return probability(logits)
    return torch.from_numpy(logits).softmax(dim=0).numpy()


def probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of logits as `decode` gives them: (H, W) of the foreground, or (K, H, W) of the mask classes."""
    planes = torch.from_numpy(logits)
    return mask_probabilities(planes[None, None] if logits.ndim == 2 else planes[None])[0].numpy()
