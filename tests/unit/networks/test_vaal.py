from __future__ import annotations

import pytest
import torch

from histoloop.networks.vaal import LatentDiscriminator, TileVae


def autoencoder() -> TileVae:
    torch.manual_seed(0)
    return TileVae(side_px=16, widths=(4, 8), latents=5)


def tiles(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_tiles_are_reconstructed_at_their_size_in_zero_to_one_from_latents() -> None:
    output = autoencoder()(tiles(6), torch.Generator().manual_seed(0))
    assert output.reconstructed_BCHW.shape == (6, 3, 16, 16)
    assert output.mean_BZ.shape == output.log_variance_BZ.shape == (6, 5)
    assert output.reconstructed_BCHW.min() >= 0
    assert output.reconstructed_BCHW.max() <= 1


def test_latents_are_drawn_with_the_generator_and_means_are_not() -> None:
    network = autoencoder().eval()
    first, again, other = (network(tiles(2), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.reconstructed_BCHW, again.reconstructed_BCHW)
    assert not torch.equal(first.reconstructed_BCHW, other.reconstructed_BCHW)
    assert torch.equal(first.mean_BZ, other.mean_BZ)


def test_in_evaluation_mode_batch_mates_do_not_change_a_mean() -> None:
    network = autoencoder().eval()
    torch.testing.assert_close(network.encode(tiles(6))[0][:1], network.encode(tiles(6)[:1])[0])


def test_gradients_reach_the_encoder_through_the_drawn_latents() -> None:
    network = autoencoder()
    network(tiles(3), torch.Generator().manual_seed(0)).reconstructed_BCHW.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.moments.weight.grad is not None
    assert (network.moments.weight.grad.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize(("side_px", "widths"), [(12, (4, 4, 4)), (4, (4, 4, 4)), (16, ())])
def test_a_side_that_cannot_be_halved_so_often_is_refused(side_px: int, widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="halved"):
        TileVae(side_px=side_px, widths=widths, latents=5)


def test_the_discriminator_gives_one_logit_a_tile() -> None:
    assert LatentDiscriminator(latents=5, widths=(7, 6))(torch.randn(4, 5)).shape == (4,)
    assert LatentDiscriminator(latents=5, widths=())(torch.randn(1, 5)).shape == (1,)
