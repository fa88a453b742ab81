"""Which pixels a decoder learns from, and by which loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from histoloop.losses.segmentation import mask_loss
from histoloop.networks.unet import Decoder
from histoloop.training.augment import AugmentSettings, augment
from histoloop.training.mask_objective import MaskObjective, foreground_of_masks
from histoloop.training.samples import Batch, TrainingTile, collate, foreground, values_of

WEIGHTS = torch.ones(1)


VALUES = np.array([[1, 0], [3, 2]], np.uint8)
KNOWN = np.array([[True, True], [False, True]])
"""Nobody says anything of the third pixel, whatever stands there."""


def batch_of(mask: np.ndarray, known: np.ndarray | None = None) -> Batch:
    tile = TrainingTile(np.full((*mask.shape, 3), 200, np.uint8), None, mask, "tile", known=known)
    return collate([tile], multiple_px=4)


def decoder(classes: int) -> Decoder:
    return Decoder((2, 2), (2, 2), mask_classes=classes)


def learned_at(objective: MaskObjective, batch: Batch, logits: int) -> list[list[bool]]:
    """Where the loss asks for other logits."""
    outputs = torch.randn(1, logits, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    objective(outputs, batch.masks_BHW, valid_BHW=batch.known_BHW, weights_B=WEIGHTS).backward()
    assert outputs.grad is not None
    assert not outputs.grad[0, :, 2:].any()  # padding
    asked: list[list[bool]] = (outputs.grad[0].abs().sum(dim=0)[:2, :2] > 0).tolist()
    return asked


def test_one_foreground_learns_by_the_loss_of_the_paper() -> None:
    mask = np.array([[True, False], [False, True]])
    batch, logits = batch_of(mask), torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    objective = MaskObjective.of(decoder(1), [(mask, None)], "bce+dice")
    found = objective(logits, batch.masks_BHW, valid_BHW=batch.known_BHW, weights_B=WEIGHTS)
    expected = mask_loss(logits[:, 0], batch.masks_BHW, "bce+dice", valid_BHW=batch.valid_BHW, weights_B=WEIGHTS)
    assert torch.equal(found, expected)


def test_mask_values_teach_one_foreground_where_they_say_something() -> None:
    batch = batch_of(VALUES, KNOWN)
    assert foreground_of_masks(batch.masks_BHW)[0, :2, :2].tolist() == [[1, 0], [1, 1]]
    objective = MaskObjective.of(decoder(1), [(VALUES, KNOWN)], "bce")
    assert learned_at(objective, batch, 1) == KNOWN.tolist()


def test_classes_learn_where_the_mask_says_something_and_weigh_by_what_is_painted_there() -> None:
    objective = MaskObjective.of(decoder(2), [(VALUES, KNOWN)], "bce+dice")
    assert objective.class_weights_L is not None
    torch.testing.assert_close(objective.class_weights_L, torch.ones(3))  # a pixel of each
    assert learned_at(objective, batch_of(VALUES, KNOWN), 3) == KNOWN.tolist()


def test_masks_of_another_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="mask values are needed"):
        MaskObjective.of(decoder(2), [(np.ones((2, 2), np.bool_), None)], "bce")
    with pytest.raises(ValueError, match="classes beyond the 2"):
        MaskObjective.of(decoder(2), [(np.full((2, 2), 3, np.uint8), None)], "bce")
    pixels = np.zeros((2, 2, 3), np.uint8)
    one, other = (TrainingTile(pixels, None, np.ones((2, 2), kind), "tile") for kind in (np.bool_, np.uint8))
    with pytest.raises(ValueError, match="all foregrounds or all values"):
        collate([one, other], multiple_px=4)


def test_a_mask_is_a_foreground_or_values() -> None:
    values = np.array([[1, 0, 3]], np.uint8)
    assert foreground(values).tolist() == foreground(values > 0).tolist() == [[True, False, True]]
    assert values_of(values) is values
    with pytest.raises(ValueError, match="needed"):
        values_of(values > 0)


@pytest.mark.parametrize("crop_px", [0, 16])
def test_turned_flipped_and_scaled_masks_keep_their_values_and_sizes(crop_px: int) -> None:
    values = np.zeros((32, 32), np.uint8)
    values[4:28, 4:16], values[4:28, 16:28] = 1, 3
    settings = AugmentSettings(scale_min=1.5, scale_max=1.5, crop_px=crop_px, stain=0, brightness=0)
    found = augment(batch_of(values), settings, torch.Generator().manual_seed(3), multiple_px=4)
    assert found.masks_BHW.dtype == torch.uint8
    assert set(found.masks_BHW.unique().tolist()) <= {0, 1, 3}
    if not crop_px:
        sizes = np.bincount(found.masks_BHW.numpy().ravel(), minlength=256) / 1.5**2
        np.testing.assert_allclose(sizes[[1, 3]], [288, 288], rtol=0.07)


def test_a_mask_of_values_is_turned_as_its_tile_is() -> None:
    values = np.zeros((16, 16), np.uint8)
    values[:8, :8], values[8:, 8:] = 2, 1
    pixels = np.repeat((values * 100)[..., None], 3, axis=2)
    batch = collate([TrainingTile(pixels, None, values, "tile")], multiple_px=4)
    settings = AugmentSettings(scale_min=1, scale_max=1, stain=0, brightness=0)
    for seed in range(6):
        found = augment(batch, settings, torch.Generator().manual_seed(seed), multiple_px=4)
        assert torch.equal((found.tiles_BCHW[:, 0] * 255).round(), found.masks_BHW * 100.0)
