"""Parts of a step for processes that train together: no tile is lost, and each is varied as in the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from histoloop.training.augment import AugmentSettings, augmented_batches
from histoloop.training.ranks import ALONE, Ranks, current_ranks, stated_ranks
from histoloop.training.samples import TrainingTile


@given(count=st.integers(1, 50), size=st.integers(1, 9))
def test_parts_hold_every_tile_once_and_their_shares_make_the_mean(count: int, size: int) -> None:
    parts = [list(range(count))[Ranks(rank, size).part(count)] for rank in range(size)]
    assert [tile for part in parts for tile in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    shares = [Ranks(rank, size).share(count) for rank in range(size)]
    assert sum(shares) / size == pytest.approx(1)
    values = np.random.default_rng(count).random(count)
    means = [values[part].mean() if part else 0.0 for part in parts]
    assert np.dot(shares, means) / size == pytest.approx(values.mean())


def test_torchrun_says_which_process_this_is() -> None:
    assert stated_ranks({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}) == Ranks(3, 4, 1)
    assert stated_ranks({"RANK": "3"}) == ALONE
    assert current_ranks() == ALONE
    assert ALONE.is_first


def test_the_parts_of_a_batch_are_varied_as_the_whole_is() -> None:
    rng = np.random.default_rng(0)
    tiles = [
        TrainingTile(
            pixels=rng.integers(0, 256, (40 + 8 * number, 64, 3), np.uint8),
            label=number % 2,
            mask=rng.random((40 + 8 * number, 64)) > 0.5,
            name=str(number),
        )
        for number in range(5)
    ]
    settings = AugmentSettings(colour_jitter=0.3, hue=0.05, crop_px=32)

    def batches(ranks: Ranks) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        made = augmented_batches(
            tiles, np.array([3, 1, 4, 0, 2]), settings, generator, batch_size=4, multiple_px=32, ranks=ranks
        )
        return [torch.cat([batch.tiles_BCHW, batch.masks_BHW[:, None]], dim=1) for batch in made]

    whole, first, second = batches(ALONE), batches(Ranks(0, 2)), batches(Ranks(1, 2))
    torch.testing.assert_close(torch.cat([first[0], second[0]]), whole[0])
    torch.testing.assert_close(second[1], whole[1])  # one tile for two processes: the second has it
    torch.testing.assert_close(first[1], whole[1])  # the first sees it too, with no share
