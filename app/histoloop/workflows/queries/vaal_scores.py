"""Variational adversarial active learning (VAAL): ask about the tiles that look least like the annotated ones.

Sinha, Ebrahimi & Darrell (2019), a baseline of Zolfaghari Bengar et al. (2021, ssl-al section 4). It sees pixels
only: neither the network of the loop nor any label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from histoloop.errors import RecipeError
from histoloop.language import tr
from histoloop.losses.vaal import discriminator_loss, kl_to_standard_normal, reconstruction_error, vae_adversarial
from histoloop.networks.vaal import LatentDiscriminator, TileVae, VaeOutput
from histoloop.progress import Progress, Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class VaalSettings:
    """How large the two networks are and how long they learn.

    Each of the `steps` makes `vae_steps` updates of the autoencoder and `discriminator_steps` of the discriminator,
    each on up to `batch_size` tiles of either group. `beta` weighs the divergence, `adversarial_weight` the term that
    misleads the discriminator, against a reconstruction error that is a mean over pixels and seldom above 0.05.

    The defaults suit a hundred tiles and some seconds. The authors' networks are wider (128 to 1024 channels, four
    hidden layers of 512) and learn for 100 epochs of CIFAR-10, with both weights 1: there a divergence summed over the
    batch leaves nothing in the latents for so short a training to tell tiles by. The default weights are of the
    reconstruction error's own magnitude, so that the latents describe the tiles.
    """

    side_px: int = 64
    widths: tuple[int, ...] = (16, 32, 64)
    latents: int = 32
    discriminator_widths: tuple[int, ...] = (128, 128)
    steps: int = 100
    batch_size: int = 16
    vae_steps: int = 1
    discriminator_steps: int = 2
    learning_rate: float = 1e-3
    beta: float = 1e-4
    adversarial_weight: float = 0.01

    def __post_init__(self) -> None:
        for name in ("latents", "steps", "batch_size", "vae_steps", "discriminator_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")
        for name in ("beta", "adversarial_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")


PAPER_VAAL = VaalSettings(
    widths=(128, 256, 512, 1024),
    discriminator_widths=(512, 512, 512, 512),
    steps=1000,
    batch_size=128,
    vae_steps=2,
    discriminator_steps=1,
    learning_rate=5e-4,
    beta=1.0,
    adversarial_weight=1.0,
)
"""As the authors have it (Sinha et al. 2019, section 4 and their code), but for the length: their 100 epochs are 1,000
steps of a pool of 1,280 tiles. For a GPU."""


def vaal_scores(
    tiles_NCHW: Tensor, annotated_N: Tensor, *, settings: VaalSettings, device: torch.device, seed: int
) -> Work[NDArray[np.float64]]:
    """Train on all tiles, score those that are not annotated: (M,), in the order they come in. Highest is asked first.

    A score is the discriminator's log-odds that the tile is NOT annotated: the order is that of its probability,
    without the ties where that rounds to 0 or 1. Tiles are RGB in [0, 1], on any device, and are brought to `side_px`
    (see `shrink`); `annotated_N` is boolean. The figures of a step are the reconstruction error, the divergence and
    the discriminator's loss. On one processor the same seed and number of threads give the same scores; the global
    random state is neither read nor changed.

    No tile to score gives an empty array. ValueError when none is annotated (there is nothing to be unlike);
    RecipeError when a loss stops being a number.
    """
    _check(tiles_NCHW, annotated_N)
    unlabelled_M = (~annotated_N).nonzero()[:, 0].cpu()
    if not len(unlabelled_M):
        return np.empty(0)
    tiles = shrink(tiles_NCHW, side_px=settings.side_px).to(device)
    generator = torch.Generator().manual_seed(seed)
    networks = Adversaries(settings, device=device, generator=generator)
    annotated_batches = _batches(annotated_N.nonzero()[:, 0].cpu(), settings.batch_size, generator)
    unlabelled_batches = _batches(unlabelled_M, settings.batch_size, generator)
    stage = tr("Comparing regions with the annotated ones")
    for step in range(1, settings.steps + 1):
        for _ in range(settings.vae_steps):
            figures = networks.update_vae(tiles[next(annotated_batches)], tiles[next(unlabelled_batches)])
        for _ in range(settings.discriminator_steps):
            figures |= networks.update_discriminator(tiles[next(annotated_batches)], tiles[next(unlabelled_batches)])
        _check_losses(figures, step)
        yield Progress(stage, step, settings.steps, tr("step {step}", step=step), figures)
    return -networks.annotated_logits(tiles[unlabelled_M]).double().cpu().numpy()


def shrink(tiles_BCHW: Tensor, *, side_px: int) -> Tensor:
    """Tiles as squares of `side_px`, bilinear with antialiasing, in [0, 1]: the shape of what is not square is lost.

    A caller whose regions differ in size shrinks each of them, and so stacks them.
    """
    if tiles_BCHW.shape[2:] == (side_px, side_px):
        return tiles_BCHW
    small = functional.interpolate(
        tiles_BCHW, size=(side_px, side_px), mode="bilinear", align_corners=False, antialias=True
    )
    return small.clamp(0, 1)


class Adversaries:
    """The autoencoder, the discriminator and how each learns."""

    def __init__(self, settings: VaalSettings, *, device: torch.device, generator: torch.Generator) -> None:
        self.settings = settings
        self.generator = generator
        with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global random state
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            self.vae = TileVae(side_px=settings.side_px, widths=settings.widths, latents=settings.latents)
            self.discriminator = LatentDiscriminator(latents=settings.latents, widths=settings.discriminator_widths)
        self.vae.to(device)
        self.discriminator.to(device)
        self.vae_optimiser = torch.optim.Adam(self.vae.parameters(), lr=settings.learning_rate)
        self.discriminator_optimiser = torch.optim.Adam(self.discriminator.parameters(), lr=settings.learning_rate)

    def update_vae(self, annotated_BCHW: Tensor, unlabelled_BCHW: Tensor) -> dict[str, float]:
        """A step of the autoencoder: reconstruct both groups and pass for annotated.

        Both go through as ONE batch: batch norm over each group alone (as in the authors' code) would hide from
        training what tells the groups apart, such as a stain, and not from the scoring.
        """
        settings, count = self.settings, len(annotated_BCHW)
        output = self.vae(torch.cat([annotated_BCHW, unlabelled_BCHW]), self.generator)
        groups = (
            (annotated_BCHW, VaeOutput(*(values[:count] for values in output))),
            (unlabelled_BCHW, VaeOutput(*(values[count:] for values in output))),
        )
        error = torch.stack([reconstruction_error(of.reconstructed_BCHW, tiles) for tiles, of in groups]).sum()
        divergence = kl_to_standard_normal(output.mean_BZ, output.log_variance_BZ)
        logits_B = self.discriminator(output.mean_BZ)
        misleading = vae_adversarial(logits_B[:count], logits_B[count:])
        loss = error + settings.beta * divergence + settings.adversarial_weight * misleading
        self.vae_optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.vae_optimiser.step()
        return {"reconstruction": float(error.detach()) / 2, "divergence": float(divergence.detach())}

    def update_discriminator(self, annotated_BCHW: Tensor, unlabelled_BCHW: Tensor) -> dict[str, float]:
        """A step of the discriminator on the latent means, which it cannot change."""
        with torch.no_grad():
            mean_BZ, _log_variance = self.vae.encode(torch.cat([annotated_BCHW, unlabelled_BCHW]))
        logits_B = self.discriminator(mean_BZ)
        loss = discriminator_loss(logits_B[: len(annotated_BCHW)], logits_B[len(annotated_BCHW) :])
        self.discriminator_optimiser.zero_grad()  # of the autoencoder's step too
        loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator_optimiser.step()
        return {"discriminator": float(loss.detach())}

    @torch.no_grad()
    def annotated_logits(self, tiles_NCHW: Tensor) -> Tensor:
        """Log-odds (N,) that tiles are annotated, each on its own: in evaluation mode."""
        self.vae.eval()
        means = [self.vae.encode(tiles_BCHW)[0] for tiles_BCHW in torch.split(tiles_NCHW, self.settings.batch_size)]
        logits_N: Tensor = self.discriminator(torch.cat(means))
        return logits_N


def _batches(indices_N: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of shuffled passes over the indices, without end; the last one of a pass may be smaller."""
    while True:
        yield from torch.split(indices_N[torch.randperm(len(indices_N), generator=generator)], size)


def _check(tiles_NCHW: Tensor, annotated_N: Tensor) -> None:
    if tiles_NCHW.ndim != 4 or tiles_NCHW.shape[1] != 3 or not tiles_NCHW.is_floating_point():
        raise ValueError(f"tiles are (N, 3, H, W) and floating, not {tuple(tiles_NCHW.shape)} {tiles_NCHW.dtype}")
    if annotated_N.dtype != torch.bool or annotated_N.shape != tiles_NCHW.shape[:1]:
        raise ValueError(f"{len(tiles_NCHW)} tiles need as many booleans, not {tuple(annotated_N.shape)}")
    if not bool(annotated_N.any()):
        raise ValueError("no tile is annotated: there is nothing the others could be unlike")
    if not bool(((tiles_NCHW >= 0) & (tiles_NCHW <= 1)).all()):
        raise ValueError("tiles must lie in [0, 1]")


def _check_losses(figures: Mapping[str, float], step: int) -> None:
    for name, value in figures.items():
        if not math.isfinite(value):
            raise RecipeError(
                tr("VAAL: the loss '{loss}' became {figure} in step {step}.", loss=name, figure=value, step=step),
                advice=tr("Lower its learning_rate, or choose another strategy."),
            )
