from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from histoloop.training.augment import AugmentSettings, augment, jitter, vary_stain
from histoloop.training.samples import Batch, TrainingTile, collate

NOTHING = AugmentSettings(flips_and_turns=False, scale_min=1, scale_max=1, stain=0, brightness=0)


def batch_of_marked_tiles() -> Batch:
    rng = np.random.default_rng(0)
    tiles = []
    for name in "ab":
        mask = rng.random((64, 64)) > 0.5
        pixels = np.where(mask[..., None], np.uint8(40), np.uint8(220)).repeat(3, axis=2)
        tiles.append(TrainingTile(pixels, 0, mask, name))
    return collate(tiles, multiple_px=32)


def test_nothing_varied_changes_nothing() -> None:
    batch = batch_of_marked_tiles()
    same = augment(batch, NOTHING, torch.Generator().manual_seed(0), multiple_px=32)
    assert torch.equal(same.tiles_BCHW, batch.tiles_BCHW)
    assert torch.equal(same.masks_BHW, batch.masks_BHW)


@pytest.mark.parametrize("seed", range(8))
def test_masks_turn_with_their_tiles(seed: int) -> None:
    settings = AugmentSettings(scale_min=1, scale_max=1, crop_px=32, stain=0, brightness=0)
    varied = augment(batch_of_marked_tiles(), settings, torch.Generator().manual_seed(seed), multiple_px=32)
    assert varied.tiles_BCHW.shape == (2, 3, 32, 32)
    assert torch.equal(varied.tiles_BCHW[:, 0] < 0.5, varied.masks_BHW > 0.5)


def test_without_turns_tiles_are_flipped_both_ways_alone() -> None:
    settings = dataclasses.replace(NOTHING, flips_and_turns=True, turns=False)
    batch = batch_of_marked_tiles()
    ways: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))
    seen = set()
    for seed in range(16):
        varied = augment(batch, settings, torch.Generator().manual_seed(seed), multiple_px=32)
        found = [dims for dims in ways if torch.equal(varied.tiles_BCHW[0], batch.tiles_BCHW[0].flip(dims))]
        assert len(found) == 1  # never turned by a right angle
        assert torch.equal(varied.masks_BHW[0], batch.masks_BHW[0].flip(found[0]))
        seen.add(found[0])
    assert seen == set(ways)


def test_shrunken_tiles_are_padded_and_the_padding_does_not_count() -> None:
    settings = AugmentSettings(scale_min=0.7, scale_max=0.7, stain=0, brightness=0)
    varied = augment(batch_of_marked_tiles(), settings, torch.Generator().manual_seed(0), multiple_px=32)
    assert varied.tiles_BCHW.shape[-2:] == (64, 64)
    assert float(varied.valid_BHW.float().sum()) == 2 * 45 * 45


def test_stain_leaves_white_white_and_changes_tissue() -> None:
    tiles = torch.ones(1, 3, 4, 4)
    tiles[..., 2:] = torch.tensor([0.6, 0.3, 0.7]).view(3, 1, 1)
    varied = vary_stain(tiles, AugmentSettings(stain=0.2, brightness=0.2), torch.Generator().manual_seed(0))
    assert torch.equal(varied[..., :2], tiles[..., :2])
    assert not torch.allclose(varied[..., 2:], tiles[..., 2:])
    assert 0 <= float(varied.min()) <= float(varied.max()) <= 1


def test_the_same_seed_gives_the_same_batch() -> None:
    first, second = (
        augment(batch_of_marked_tiles(), AugmentSettings(crop_px=32), torch.Generator().manual_seed(5), multiple_px=32)
        for _ in range(2)
    )
    assert torch.equal(first.tiles_BCHW, second.tiles_BCHW)


def test_estimated_sizes_pass_through_unchanged() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    batch = collate([TrainingTile(pixels, 0, None, "a", size=0.3), TrainingTile(pixels, 0, None, "b")], multiple_px=32)
    varied = augment(batch, AugmentSettings(crop_px=32), torch.Generator().manual_seed(0), multiple_px=32)
    assert varied.sizes_B.tolist() == pytest.approx([0.3, float("nan")], nan_ok=True)


def tissue(count: int = 4) -> torch.Tensor:
    return 0.2 + 0.5 * torch.rand(count, 3, 6, 5, generator=torch.Generator().manual_seed(1))


def test_colour_jitter_gives_each_tile_colours_of_its_own_within_zero_and_one() -> None:
    varied = jitter(tissue().clamp(max=0.7), AugmentSettings(colour_jitter=0.5, hue=0.05), generator(0))
    assert varied.shape == (4, 3, 6, 5)
    assert ((varied >= 0) & (varied <= 1)).all()
    same = tissue(1).expand(3, -1, -1, -1)
    one, two, three = jitter(same, AugmentSettings(colour_jitter=0.5, hue=0.05), generator(0))
    assert not torch.allclose(one, two)
    assert not torch.allclose(two, three)


def test_colour_jitter_of_nothing_is_nothing() -> None:
    assert torch.equal(jitter(tissue(), AugmentSettings(), generator(0)), tissue())


def test_brightness_is_multiplied_by_no_more_than_stated() -> None:
    grey = torch.full((64, 3, 2, 2), 0.5)  # grey has neither contrast, saturation nor hue to change
    values = jitter(grey, AugmentSettings(colour_jitter=0.4), generator(0))[:, 0, 0, 0]
    assert float(values.min()) >= 0.3 - 1e-6
    assert float(values.max()) <= 0.7 + 1e-6
    assert float(values.max() - values.min()) > 0.3


def test_hue_turns_the_colours_and_keeps_their_brightness() -> None:
    tiles = tissue(1)
    varied = jitter(tiles, AugmentSettings(hue=0.5), generator(3))
    assert not torch.allclose(varied, tiles, atol=0.05)
    torch.testing.assert_close(varied.amax(dim=1), tiles.amax(dim=1), atol=1e-4, rtol=0)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_what_is_known_of_tiles_stays_with_them() -> None:
    batch = batch_of_marked_tiles()
    varied = augment(batch, AugmentSettings(colour_jitter=0.5, hue=0.05, crop_px=32), generator(0), multiple_px=32)
    assert torch.equal(varied.masked_B, batch.masked_B)
    assert torch.equal(varied.labels_B, batch.labels_B)
    assert torch.isnan(varied.sizes_B).all()
    assert torch.equal(varied.weights_B, batch.weights_B)


@pytest.mark.parametrize(
    "changes",
    [{"scale_min": 0.0}, {"scale_min": 2.0, "scale_max": 1.0}, {"crop_px": -1}, {"colour_jitter": 1.5}, {"hue": 0.6}],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        AugmentSettings(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_known_of_a_mask_turns_with_it(seed: int) -> None:
    known = np.zeros((32, 32), bool)
    known[:8, 4:20] = True
    one = TrainingTile(np.full((32, 32, 3), 100, np.uint8), None, known.copy(), "a", known=known)
    varied = augment(collate([one], multiple_px=32), AugmentSettings(), generator(seed), multiple_px=32)
    assert torch.equal(varied.known_BHW, varied.masks_BHW > 0.5)
    assert 0 < int(varied.known_BHW.sum()) < int(varied.valid_BHW.sum())
