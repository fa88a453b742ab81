"""SimSiam (Chen & He 2021; ssl-al section 3.2, Fig. 2): a backbone that learns from tiles without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from histoloop.networks.backbone import Backbone


class SimSiam(nn.Module):
    """Backbone, projector and predictor; only the backbone is of use afterwards.

    The projector has three layers of width `projection`, each with batch norm, the last without ReLU and, as in the
    authors' code, without scale and bias. The predictor has two, through a bottleneck of width `bottleneck`; its last
    has neither batch norm nor ReLU.
    """

    def __init__(self, backbone: Backbone, *, projection: int = 2048, bottleneck: int = 512) -> None:
        super().__init__()
        self.backbone = backbone
        self.projector = nn.Sequential(
            *_layer(backbone.channels[-1], projection),
            *_layer(projection, projection),
            nn.Linear(projection, projection, bias=False),
            nn.BatchNorm1d(projection, affine=False),
        )
        self.predictor = nn.Sequential(*_layer(projection, bottleneck), nn.Linear(bottleneck, projection))

    def forward(self, tiles_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions and projections (B, projection) of normalised tiles.

        In training mode each call is a batch of its own for the batch norms: give it one view of each tile.
        """
        projections_BD = self.projector(self.backbone(tiles_BCHW)[-1].mean(dim=(2, 3)))
        return self.predictor(projections_BD), projections_BD


def _layer(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """A linear layer whose bias is that of its batch norm."""
    return nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)
