"""Recursive erasing with trust coefficients, for training min-max entropy localisation (min-max section 3.4).

The localizer marks what it finds, that is erased from the tile, and it runs again, up to `depth` times (the paper's
u); the classifier is then given everything that was found. Erasing belongs to training only: at test time the
localizer has learned to find it all at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from histoloop.losses.minmax import label_cross_entropy, uniform_cross_entropy
from histoloop.networks.minmax import foreground_mask, posterior_map

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.networks.minmax import MinMax


def trust_coefficients(
    losses_B: Tensor, correct_B: Tensor, first_losses_B: Tensor, before_B: Tensor, *, step: int, sigma: float
) -> Tensor:
    """Psi = exp(-step / sigma) * Gamma, how far what was found at this step is trusted, (B,) (min-max eq 13-14).

    `losses_B` is the localizer's cross-entropy on the erased tiles, so that exp(-loss) is the posterior of the label,
    and `correct_B` is where its highest score is the label's. Gamma is that posterior where it is correct and the
    loss not above `first_losses_B`, that of step 0, else 0. A tile with zero trust `before_B`, at the previous step,
    stays at zero; at step 0, give the losses themselves and ones.
    """
    trusted_B = correct_B & (losses_B <= first_losses_B) & (before_B > 0)
    return math.exp(-step / sigma) * (-losses_B).exp() * trusted_B


def erasing_parts(
    network: MinMax,
    tiles_BCHW: Tensor,
    labels_B: Tensor,
    *,
    depth: int,
    sigma: float = 10.0,
    valid_BHW: Tensor | None = None,
    trust_ends: bool = True,
    untrusted_learn: bool = False,
) -> Iterator[Tensor]:
    """The parts of eq 9 with erasing (min-max Algorithm 1), each a scalar to call `backward()` on before the next.

    Each part is a sum over tiles divided by the batch size, and keeps no other part's graph: memory does not grow with
    `depth`. In order: the localizer's cross-entropy of the tiles as they are (every tile counts) and then, at each of
    the steps 1 to `depth`, of the erased tiles (the trusted ones count), until no tile is trusted; the classifier's
    cross-entropy of tile * R*; its cross-entropy against the uniform distribution of tile * (1 - R*). The classifier
    sees the original tiles. R* is the pixel-wise maximum over the steps of trust * R+ (eq 12).

    `depth` 0 is the paper's method without erasing (its u=0, eq 9 and 11): one pass, R* = R+, no trust. From 1 on a
    tile that the localizer gets wrong at step 0 has R* = 0, as in Algorithm 1: its classifier learns from an empty
    foreground until the localizer knows better.

    The paper's authors' code departs from its text twice, each an option here. `trust_ends` False: a look that is not
    trusted counts for nothing, but the next one may be trusted again, so that all `depth` steps are taken (that tells a
    pooling with dropout, which draws anew, from eq 14). `untrusted_learn`: the localizer's cross-entropy of a tile
    counts at every step, trusted or not.

    Erasing multiplies the normalised tile, as the paper does: what is erased becomes 0, the mean colour of the
    data set, not black. Tiles erase what they trust only; an untrusted tile stays as it is and counts no more, but
    remains in the batch, so that batch statistics are always taken over whole batches. Pixels outside `valid_BHW`
    (padding) are never foreground and never erased.

    Where the network's config says not to detach masks, the classifier's parts come first and gather the gradient of
    R*; the localizer's parts follow and carry it into the step that gave each pixel of R* its value, trust and the
    erased tiles taken as given. That costs one more forward pass a step, without gradient, to know R* beforehand; a
    pooling that draws at random (deep MIL with `zeroed`) draws anew. The value of a part is its loss all the same.
    RuntimeError then when a part of the classifier has not been back-propagated.

    Tiles are normalised, labels in 0..C-1. ValueError for a depth below 0 or a sigma not above 0.
    """
    if depth < 0:
        raise ValueError(f"the depth of erasing must be 0 or more, not {depth}")
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0, not {sigma}")
    recursion = _Recursion(network, tiles_BCHW, labels_B, depth, sigma, valid_BHW, trust_ends, untrusted_learn)
    return _parts_detached(recursion) if network.minmax.detach else _parts_attached(recursion)


class _Step(NamedTuple):
    """One pass of the localizer: its part of the loss, trust * R+ of this step, and R* so far (detached)."""

    part: Tensor
    found_BHW: Tensor
    gathered_BHW: Tensor


class _Recursion(NamedTuple):
    """Algorithm 1 for one batch; arguments as in `erasing_parts`."""

    network: MinMax
    tiles_BCHW: Tensor
    labels_B: Tensor
    depth: int
    sigma: float
    valid_BHW: Tensor | None
    trust_ends: bool
    untrusted_learn: bool

    def steps(self) -> Iterator[_Step]:
        """Lines 4-17. A step's graph is its own: what one step hands to the next is detached."""
        erased_BCHW = self.tiles_BCHW
        gathered_BHW = torch.zeros_like(erased_BCHW[:, 0])
        everyone_B = torch.ones_like(gathered_BHW[:, 0, 0])
        first_losses_B, trust_B = None, everyone_B
        for number in range(self.depth + 1):
            losses_B, correct_B, mask_BHW = self._localize(erased_BCHW)
            given_B = losses_B.detach()
            first_losses_B = given_B if first_losses_B is None else first_losses_B
            if self.depth > 0:
                before_B = trust_B if self.trust_ends else everyone_B
                trust_B = trust_coefficients(
                    given_B, correct_B, first_losses_B, before_B, step=number, sigma=self.sigma
                )
            trusted_B = trust_B > 0
            is_over = self.trust_ends and not bool(trusted_B.any())
            if number > 0 and is_over:
                return
            part = (losses_B if number == 0 or self.untrusted_learn else losses_B * trusted_B).mean()
            found_BHW = _planes(trust_B) * mask_BHW
            gathered_BHW = torch.maximum(gathered_BHW, found_BHW.detach())
            yield _Step(part, found_BHW, gathered_BHW)
            if is_over:
                return
            kept_BHW = torch.where(_planes(trusted_B), 1 - gathered_BHW, 1.0)
            erased_BCHW = erased_BCHW * kept_BHW.unsqueeze(1)

    def _localize(self, erased_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The localizer's losses (B,), where it is correct (B,), and R+ (B, H, W)."""
        scores_BC, maps_BCHW = self.network.localize(erased_BCHW)
        losses_B, correct_B = label_cross_entropy(scores_BC, self.labels_B), scores_BC.argmax(dim=1) == self.labels_B
        if self.network.minmax.detach:
            scores_BC, maps_BCHW = scores_BC.detach(), maps_BCHW.detach()
        size = (erased_BCHW.shape[-2], erased_BCHW.shape[-1])
        mask_BHW = foreground_mask(posterior_map(maps_BCHW, scores_BC), size, self.network.minmax, self.valid_BHW)
        return losses_B, correct_B, mask_BHW

    def classifier_parts(self, gathered_BHW: Tensor) -> Iterator[Tensor]:
        """Lines 18-19, one graph after the other."""
        foreground_B1HW = gathered_BHW.unsqueeze(1)
        yield label_cross_entropy(self.network.classify(self.tiles_BCHW * foreground_B1HW), self.labels_B).mean()
        yield uniform_cross_entropy(self.network.classify(self.tiles_BCHW * (1 - foreground_B1HW))).mean()


def _planes(values_B: Tensor) -> Tensor:
    return values_B.view(-1, 1, 1)


def _parts_detached(recursion: _Recursion) -> Iterator[Tensor]:
    for step in recursion.steps():
        yield step.part
    yield from recursion.classifier_parts(step.gathered_BHW)


def _parts_attached(recursion: _Recursion) -> Iterator[Tensor]:
    gathered_BHW, givers_BHW = _gather(recursion)
    gathered_BHW.requires_grad_()
    yield from recursion.classifier_parts(gathered_BHW)
    gradient_BHW = gathered_BHW.grad
    if gradient_BHW is None:
        raise RuntimeError("back-propagate each part before asking for the next: the mask learns from the classifier")
    for number, step in enumerate(recursion.steps()):
        carried = (gradient_BHW * (givers_BHW == number) * step.found_BHW).sum()
        yield step.part + (carried - carried.detach())


@torch.no_grad()
def _gather(recursion: _Recursion) -> tuple[Tensor, Tensor]:
    """R* and the step that gave each of its pixels (-1: none)."""
    gathered_BHW = torch.zeros_like(recursion.tiles_BCHW[:, 0])
    givers_BHW = torch.full_like(gathered_BHW, -1, dtype=torch.int16)
    for number, step in enumerate(recursion.steps()):
        givers_BHW[step.gathered_BHW > gathered_BHW] = number
        gathered_BHW = step.gathered_BHW
    return gathered_BHW, givers_BHW
