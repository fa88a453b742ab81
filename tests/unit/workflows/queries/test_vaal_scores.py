from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from histoloop.errors import RecipeError
from histoloop.networks.vaal import TileVae
from histoloop.progress import Progress, finish
from histoloop.workflows.queries.vaal_scores import Adversaries, VaalSettings, shrink, vaal_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CPU = torch.device("cpu")
SMALL = VaalSettings(side_px=16, widths=(8, 16), latents=8, discriminator_widths=(32, 32), steps=70)
BRIEF = replace(SMALL, steps=3, batch_size=4)
SIDE = 16


def stripes(count: int, *, period_px: int, colour: tuple[float, float, float], seed: int) -> torch.Tensor:
    """Noisy vertical waves of a colour, each with a phase of its own."""
    generator = torch.Generator().manual_seed(seed)
    phase_N1 = 2 * math.pi * torch.rand(count, 1, generator=generator)
    wave_NW = torch.sin(2 * math.pi * torch.arange(SIDE) / period_px + phase_N1)
    planes = torch.tensor(colour)[:, None, None] * (0.7 + 0.3 * wave_NW[:, None, None, :])
    return (planes + 0.03 * torch.randn(count, 3, SIDE, SIDE, generator=generator)).clamp(0, 1)


def pink(count: int, seed: int) -> torch.Tensor:
    return stripes(count, period_px=16, colour=(0.9, 0.6, 0.8), seed=seed)


def blue(count: int, seed: int) -> torch.Tensor:
    return stripes(count, period_px=4, colour=(0.4, 0.4, 0.9), seed=seed)


def first(annotated: int, *, of: int) -> torch.Tensor:
    return torch.arange(of) < annotated


def score(
    tiles: torch.Tensor,
    annotated: torch.Tensor,
    settings: VaalSettings = BRIEF,
    *,
    seed: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
) -> NDArray[np.float64]:
    return finish(vaal_scores(tiles, annotated, settings=settings, device=CPU, seed=seed), on_progress)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tiles_of_a_kind_that_nobody_annotated_are_asked_about_first(seed: int) -> None:
    tiles = torch.cat([pink(40, seed), blue(20, seed)])
    scores = score(tiles, first(15, of=60), SMALL, seed=seed)
    familiar, unseen = scores[:25], scores[25:]
    assert (unseen[:, None] > familiar).mean() > 0.9


def test_every_tile_that_is_not_annotated_is_scored_once_in_its_order() -> None:
    tiles, annotated = pink(9, seed=0), torch.tensor([0, 1, 0, 0, 1, 0, 0, 0, 1]).bool()
    tiles[5] = tiles[2]
    scores = score(tiles, annotated)
    assert scores.shape == (6,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    # Tiles 2 and 5 are the second and the fourth of those without an annotation.
    np.testing.assert_allclose(scores[1], scores[3], rtol=1e-4)
    assert len(np.unique(scores.round(6))) == 5


def test_the_same_seed_gives_the_same_scores_and_leaves_the_global_random_state_alone() -> None:
    tiles, annotated = pink(8, seed=0), first(3, of=8)
    before = torch.get_rng_state()
    scores = score(tiles, annotated, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    disturbed = score(tiles, annotated, seed=4, on_progress=lambda _step: torch.manual_seed(7) and None)
    assert np.array_equal(disturbed, scores)
    assert not np.array_equal(score(tiles, annotated, seed=5), scores)


def test_reconstruction_gets_better_and_every_step_is_told() -> None:
    steps: list[Progress] = []
    score(pink(24, seed=0), first(6, of=24), replace(SMALL, steps=40), on_progress=steps.append)
    assert [step.done for step in steps] == list(range(1, 41))
    assert {step.total for step in steps} == {40}
    assert set(steps[0].figures) == {"reconstruction", "divergence", "discriminator"}
    assert steps[-1].figures["reconstruction"] < 0.7 * steps[0].figures["reconstruction"]


def test_one_annotated_tile_and_one_other_are_enough() -> None:
    assert score(pink(2, seed=0), first(1, of=2)).shape == (1,)


def test_where_every_tile_is_annotated_nothing_is_scored() -> None:
    assert score(pink(3, seed=0), first(3, of=3)).shape == (0,)


def test_without_an_annotated_tile_it_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="annotated"):
        score(pink(3, seed=0), first(0, of=3))


@pytest.mark.parametrize(
    ("tiles", "annotated"),
    [
        (torch.zeros(3, 1, SIDE, SIDE), first(1, of=3)),
        (torch.zeros(3, 3, SIDE, SIDE, dtype=torch.uint8), first(1, of=3)),
        (torch.full((3, 3, SIDE, SIDE), 255.0), first(1, of=3)),
        (torch.full((3, 3, SIDE, SIDE), torch.nan), first(1, of=3)),
        (torch.zeros(3, 3, SIDE, SIDE), first(1, of=4)),
        (torch.zeros(3, 3, SIDE, SIDE), torch.tensor([1, 0, 0])),
    ],
)
def test_what_are_no_tiles_with_a_mark_each_is_refused(tiles: torch.Tensor, annotated: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="tiles"):
        score(tiles, annotated)


def test_a_training_that_diverges_says_what_to_do() -> None:
    with pytest.raises(RecipeError, match="learning_rate"):
        score(pink(6, seed=0), first(2, of=6), replace(BRIEF, learning_rate=1e30, steps=20))


@pytest.mark.parametrize("change", [{"steps": 0}, {"latents": 0}, {"learning_rate": 0.0}, {"beta": -1.0}])
def test_settings_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(SMALL, **change)


def test_shrinking_keeps_the_mean_colour_and_leaves_what_fits() -> None:
    tiles = pink(2, seed=0)
    small = shrink(tiles, side_px=4)
    assert small.shape == (2, 3, 4, 4)
    torch.testing.assert_close(small.mean(dim=(2, 3)), tiles.mean(dim=(2, 3)), atol=0.02, rtol=0)
    assert shrink(tiles, side_px=SIDE) is tiles


def weights(network: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach().clone()


def test_autoencoder_and_discriminator_each_learn_alone() -> None:
    adversaries = Adversaries(SMALL, device=CPU, generator=torch.Generator().manual_seed(0))
    autoencoder, discriminator = weights(adversaries.vae), weights(adversaries.discriminator)
    adversaries.update_vae(pink(3, seed=0), blue(4, seed=0))
    assert not torch.equal(weights(adversaries.vae), autoencoder)
    assert torch.equal(weights(adversaries.discriminator), discriminator)
    autoencoder = weights(adversaries.vae)
    adversaries.update_discriminator(pink(3, seed=0), blue(4, seed=0))
    assert torch.equal(weights(adversaries.vae), autoencoder)
    assert not torch.equal(weights(adversaries.discriminator), discriminator)


def test_the_authors_networks_can_be_built() -> None:
    paper = VaalSettings(widths=(128, 256, 512, 1024), discriminator_widths=(512, 512, 512, 512))
    with torch.device("meta"):
        network = TileVae(side_px=paper.side_px, widths=paper.widths, latents=paper.latents)
        mean_BZ, _ = network.encode(torch.zeros(2, 3, paper.side_px, paper.side_px))
    assert mean_BZ.shape == (2, 32)
