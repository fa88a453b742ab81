"""The loss prediction module (Yoo & Kweon 2019, LL4AL): from features to how wrong a network will be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class LossPrediction(nn.Module):
    """From globally averaged stage features to one predicted loss a tile.

    Each stage: linear to `width`, ReLU; all stages concatenated; linear to one value. The paper averages inside the
    module; here it is apart (`pool_stages`), so that the vectors of a frozen backbone need computing only once.
    """

    def __init__(self, stage_channels: Sequence[int], *, width: int = 128) -> None:
        super().__init__()
        if not stage_channels:
            raise ValueError("a loss prediction module needs at least one stage")
        self.stages = nn.ModuleList(nn.Linear(channels, width) for channels in stage_channels)
        self.head = nn.Linear(width * len(stage_channels), 1)

    def forward(self, stages_BC: Sequence[Tensor]) -> Tensor:
        """One (B, C_s) a stage -> predicted losses (B,), in no unit: only their order is learned."""
        parts = [linear(stage_BC).relu() for linear, stage_BC in zip(self.stages, stages_BC, strict=True)]
        losses_B1: Tensor = self.head(torch.cat(parts, dim=1))
        return losses_B1[:, 0]


def pool_stages(features_BCHW: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Mean of each stage over its cells, (B, C_s) each, at least in float32."""
    return tuple(stage.to(torch.promote_types(stage.dtype, torch.float32)).mean(dim=(2, 3)) for stage in features_BCHW)
