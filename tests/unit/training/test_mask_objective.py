"""Which pixels a decoder learns from, and by which loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from histoloop.annotations.records import IGNORED
from histoloop.losses.segmentation import mask_loss
from histoloop.networks.unet import Decoder
from histoloop.training.augment import AugmentSettings, augment
from histoloop.training.mask_objective import MaskObjective, foreground_of_masks, known_pixels
from histoloop.training.samples import Batch, TrainingTile, collate, foreground, values_of

WEIGHTS = torch.ones(1)


def batch_of(mask: np.ndarray) -> Batch:
    return collate([TrainingTile(np.full((*mask.shape, 3), 200, np.uint8), None, mask, "tile")], multiple_px=4)


def decoder(classes: int) -> Decoder:
    return Decoder((2, 2), (2, 2), mask_classes=classes)


def test_one_foreground_learns_by_the_loss_of_the_paper() -> None:
    mask = np.array([[True, False], [False, True]])
    batch, logits = batch_of(mask), torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    found = MaskObjective.of(decoder(1), [mask], "bce+dice")(logits, batch, weights_B=WEIGHTS)
    expected = mask_loss(logits[:, 0], batch.masks_BHW, "bce+dice", valid_BHW=batch.valid_BHW, weights_B=WEIGHTS)
    assert torch.equal(found, expected)


def test_mask_values_teach_one_foreground_where_they_are_not_to_be_ignored() -> None:
    values = np.array([[1, 0], [IGNORED, 2]], np.uint8)
    batch = batch_of(values)
    assert known_pixels(batch)[0, :2, :2].tolist() == [[True, True], [False, True]]
    assert foreground_of_masks(batch.masks_BHW)[0, :2, :2].tolist() == [[1, 0], [0, 1]]
    objective = MaskObjective.of(decoder(1), [values], "bce")
    logits = torch.zeros(1, 1, 4, 4, requires_grad=True)
    objective(logits, batch, weights_B=WEIGHTS).backward()
    assert logits.grad is not None
    assert (logits.grad[0, 0, :2, :2] != 0).tolist() == [[True, True], [False, True]]


def test_classes_learn_where_nothing_is_ignored_and_weigh_by_what_is_painted() -> None:
    values = np.array([[1, 0], [IGNORED, 2]], np.uint8)
    objective = MaskObjective.of(decoder(2), [values], "bce+dice")
    assert objective.class_weights_L is not None
    torch.testing.assert_close(objective.class_weights_L, torch.ones(3))  # a pixel of each
    logits = torch.zeros(1, 3, 4, 4, requires_grad=True)
    objective(logits, batch_of(values), weights_B=WEIGHTS).backward()
    assert logits.grad is not None
    assert (logits.grad[0].abs().sum(dim=0)[:2, :2] > 0).tolist() == [[True, True], [False, True]]
    assert not logits.grad[0, :, 2:].any()  # padding


def test_masks_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="mask values are needed"):
        MaskObjective.of(decoder(2), [np.ones((2, 2), np.bool_)], "bce")
    with pytest.raises(ValueError, match="classes beyond the 2"):
        MaskObjective.of(decoder(2), [np.full((2, 2), 3, np.uint8)], "bce")
    pixels = np.zeros((2, 2, 3), np.uint8)
    one, other = (TrainingTile(pixels, None, np.ones((2, 2), kind), "tile") for kind in (np.bool_, np.uint8))
    with pytest.raises(ValueError, match="all foregrounds or all values"):
        collate([one, other], multiple_px=4)


def test_a_mask_is_a_foreground_or_values() -> None:
    values = np.array([[1, 0, IGNORED, 3]], np.uint8)
    assert foreground(values).tolist() == [[True, False, False, True]]
    assert foreground(values > 0).tolist() == [[True, False, True, True]]
    assert values_of(values) is values
    with pytest.raises(ValueError, match="needed"):
        values_of(values > 0)


@pytest.mark.parametrize("crop_px", [0, 16])
def test_turned_flipped_and_scaled_masks_keep_their_values_and_sizes(crop_px: int) -> None:
    values = np.zeros((32, 32), np.uint8)
    values[4:28, 4:16], values[4:28, 16:28], values[:2] = 1, 3, IGNORED
    settings = AugmentSettings(scale_min=1.5, scale_max=1.5, crop_px=crop_px, stain=0, brightness=0)
    found = augment(batch_of(values), settings, torch.Generator().manual_seed(3), multiple_px=4)
    assert found.masks_BHW.dtype == torch.uint8
    assert set(found.masks_BHW.unique().tolist()) <= {0, 1, 3, IGNORED}
    if not crop_px:
        sizes = np.bincount(found.masks_BHW.numpy().ravel(), minlength=256) / 1.5**2
        np.testing.assert_allclose(sizes[[1, 3]], [288, 288], rtol=0.07)
        assert sizes[IGNORED] == pytest.approx(64, rel=0.1)


def test_a_mask_of_values_is_turned_as_its_tile_is() -> None:
    values = np.zeros((16, 16), np.uint8)
    values[:8, :8], values[8:, 8:] = 2, 1
    pixels = np.repeat((values * 100)[..., None], 3, axis=2)
    batch = collate([TrainingTile(pixels, None, values, "tile")], multiple_px=4)
    settings = AugmentSettings(scale_min=1, scale_max=1, stain=0, brightness=0)
    for seed in range(6):
        found = augment(batch, settings, torch.Generator().manual_seed(seed), multiple_px=4)
        assert torch.equal((found.tiles_BCHW[:, 0] * 255).round(), found.masks_BHW * 100.0)
