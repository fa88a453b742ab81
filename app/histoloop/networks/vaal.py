"""The two networks of variational adversarial active learning (Sinha, Ebrahimi & Darrell 2019, VAAL)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class VaeOutput(NamedTuple):
    """Reconstructed tiles in [0, 1], and the mean and log-variance of their latent normal distributions."""

    reconstructed_BCHW: Tensor
    mean_BZ: Tensor
    log_variance_BZ: Tensor


class TileVae(nn.Module):
    """A convolutional variational autoencoder of small square RGB tiles.

    Every width is a convolution that halves the resolution, with batch norm and ReLU; a linear layer gives mean and
    log-variance; the decoder mirrors the encoder. The authors' has widths 128, 256, 512, 1024 and 32 latents.
    ValueError where the side cannot be halved so often.
    """

    def __init__(self, *, side_px: int, widths: Sequence[int], latents: int) -> None:
        super().__init__()
        cells = side_px >> len(widths)
        if not widths or not cells or cells << len(widths) != side_px:
            raise ValueError(f"tiles of {side_px} px cannot be halved {len(widths)} times")
        self.encoder = nn.Sequential(*_resampled(nn.Conv2d, (3, *widths)), nn.Flatten())
        self.moments = nn.Linear(widths[-1] * cells**2, 2 * latents)
        self.decoder = nn.Sequential(
            nn.Linear(latents, widths[-1] * cells**2),
            nn.Unflatten(1, (widths[-1], cells, cells)),
            *_resampled(nn.ConvTranspose2d, tuple(reversed(widths))),
            nn.ConvTranspose2d(widths[0], 3, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def encode(self, tiles_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, (B, latents) each, of tiles in [0, 1]."""
        mean_BZ, log_variance_BZ = self.moments(self.encoder(tiles_BCHW)).chunk(2, dim=1)
        return mean_BZ, log_variance_BZ

    def forward(self, tiles_BCHW: Tensor, generator: torch.Generator) -> VaeOutput:
        """Reconstruct tiles from latents sampled with the generator (on any device)."""
        mean_BZ, log_variance_BZ = self.encode(tiles_BCHW)
        noise_BZ = torch.randn(mean_BZ.shape, generator=generator, device=generator.device, dtype=mean_BZ.dtype)
        latents_BZ = mean_BZ + (0.5 * log_variance_BZ).exp() * noise_BZ.to(mean_BZ.device)
        return VaeOutput(self.decoder(latents_BZ), mean_BZ, log_variance_BZ)


class LatentDiscriminator(nn.Sequential):
    """From latent means (B, latents) to the log-odds (B,) that a tile is annotated: linear layers with ReLU.

    The authors' has four hidden layers of 512.
    """

    def __init__(self, *, latents: int, widths: Sequence[int]) -> None:
        sizes = (latents, *widths)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Linear(sizes[-1], 1), nn.Flatten(start_dim=0))


def _resampled(kind: type[nn.Conv2d | nn.ConvTranspose2d], widths: Sequence[int]) -> list[nn.Module]:
    """Convolutions that halve the resolution, or transposed ones that double it, with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        convolution = kind(inputs, outputs, 4, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return layers
