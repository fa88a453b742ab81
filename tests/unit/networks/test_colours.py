"""The colours that a network's tiles are normalised by."""

from __future__ import annotations

import torch

from histoloop.networks.colours import Colours


def test_normalised_tiles_are_less_their_mean_over_their_deviation() -> None:
    tiles = torch.full((1, 3, 1, 1), 0.5)
    found = Colours((0.6, 0.4, 0.6), (0.2, 0.3, 0.25)).normalise(tiles)[0, :, 0, 0]
    torch.testing.assert_close(found, torch.tensor([-0.1 / 0.2, 0.1 / 0.3, -0.1 / 0.25]))
