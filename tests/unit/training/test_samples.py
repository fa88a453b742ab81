from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from histoloop.losses.segmentation import MaskLoss, mask_loss
from histoloop.training.samples import TrainingTile, balanced_order, collate, multi_hot


def tile(height: int, width: int, **known: object) -> TrainingTile:
    pixels = np.full((height, width, 3), 100, np.uint8)
    return TrainingTile(pixels, **{"label": None, "mask": np.ones((height, width), bool), "name": "t"} | known)  # type: ignore[arg-type]


def test_smaller_tiles_are_padded_with_white_that_does_not_count() -> None:
    batch = collate([tile(20, 40), tile(33, 10, label=1, weight=0.1)], multiple_px=32)
    assert batch.tiles_BCHW.shape == (2, 3, 64, 64)
    assert batch.valid_BHW.sum(dim=(1, 2)).tolist() == [20 * 40, 33 * 10]
    assert bool((batch.tiles_BCHW[0, :, 20:] == 1).all())
    assert batch.labels_B.tolist() == [-1, 1]
    assert batch.weights_B.tolist() == pytest.approx([1.0, 0.1])
    assert float(batch.masks_BHW[0].sum()) == 20 * 40


def test_a_mask_of_another_size_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="gland-7"):
        tile(4, 4, mask=np.ones((4, 5), bool), name="gland-7")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 99), st.sampled_from([0.0, 0.5, 1.0]))
def test_balanced_order_draws_as_many_as_there_are(labels: list[int], seed: int, power: float) -> None:
    order = balanced_order([(label,) for label in labels], np.random.default_rng(seed), power=power)
    assert len(order) == len(labels)
    assert order.min() >= 0
    assert order.max() < len(labels)


def test_balanced_order_draws_small_classes_as_often_as_large_ones() -> None:
    labels = [(0,)] * 950 + [(1,)] * 50
    order = balanced_order(labels, np.random.default_rng(0), power=0.0)
    assert 400 < int((order >= 950).sum()) < 600


def test_no_index_repeats_before_its_class_is_used_up() -> None:
    labels = [(0,)] * 90 + [(1,)] * 10
    order = balanced_order(labels, np.random.default_rng(0), power=0.0)
    large = [index for index in order if index < 90]
    assert len(set(large)) == len(large)


def test_batches_survive_a_move_to_a_device() -> None:
    batch = collate([tile(32, 32, label=2)], multiple_px=32)
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.tiles_BCHW, batch.tiles_BCHW)
    assert moved.labels_B.tolist() == [2]


def test_sizes_reach_the_batch_and_are_nan_where_unknown() -> None:
    batch = collate([tile(8, 8, size=0.25), tile(8, 8)], multiple_px=8)
    assert batch.sizes_B.dtype == torch.float32
    assert batch.sizes_B.tolist() == pytest.approx([0.25, float("nan")], nan_ok=True)
    assert batch.to(torch.device("cpu")).sizes_B.tolist() == pytest.approx([0.25, float("nan")], nan_ok=True)


def test_strokes_are_a_mask_without_a_size() -> None:
    mask, known = np.ones((4, 6), np.bool_), np.zeros((4, 6), np.bool_)
    whole, strokes = tile(4, 6, mask=mask), tile(4, 6, mask=mask, known=known, states_size=False)
    assert collate([whole, strokes, tile(4, 6, mask=None)], multiple_px=2).masked_B.tolist() == [True, False, False]


@pytest.mark.parametrize("size", [-0.1, 1.5, float("nan")])
def test_a_size_that_is_no_fraction_is_refused_by_name(size: float) -> None:
    with pytest.raises(ValueError, match="field-3"):
        tile(4, 4, size=size, name="field-3")


def test_several_labels_reach_the_batch_as_targets_and_the_first_as_the_label() -> None:
    batch = collate([tile(8, 8, label=2, other_labels=(0,)), tile(8, 8), tile(8, 8, label=1)], multiple_px=8)
    assert batch.targets_BK.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert batch.targets_BK.dtype == torch.float32
    assert batch.labels_B.tolist() == [2, -1, 1]
    assert batch.to(torch.device("cpu")).targets_BK.tolist() == batch.targets_BK.tolist()
    assert collate([tile(8, 8)], multiple_px=8).targets_BK.shape == (1, 0)


@pytest.mark.parametrize("known", [{"label": 1, "other_labels": (1,)}, {"other_labels": (1,)}])
def test_labels_given_twice_or_without_a_first_are_refused_by_name(known: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="field-3"):
        tile(4, 4, name="field-3", **known)


def test_a_tile_is_drawn_for_each_of_its_labels() -> None:
    labels = [(0,)] * 90 + [(0, 1)] * 5 + [(1, 2)] * 5
    order = balanced_order(labels, np.random.default_rng(0), power=0.0)
    drawn = [index for index in order if index >= 90]
    assert set(drawn) == set(range(90, 100))
    assert 55 < len(drawn) < 80  # two classes of three, and now and then the first


def test_targets_are_as_wide_as_asked_for() -> None:
    assert multi_hot([(0, 2), ()], 4).tolist() == [[True, False, True, False], [False] * 4]


def test_what_a_mask_leaves_out_is_valid_but_not_known() -> None:
    known = np.ones((20, 40), bool)
    known[:5] = False
    batch = collate([tile(20, 40, known=known), tile(20, 40)], multiple_px=32)
    assert batch.valid_BHW.sum(dim=(1, 2)).tolist() == [800, 800]
    assert batch.known_BHW.sum(dim=(1, 2)).tolist() == [600, 800]
    assert not batch.known_BHW[0, :5].any()


def test_what_is_known_has_the_shape_of_the_mask() -> None:
    with pytest.raises(ValueError, match="does not fit the mask"):
        tile(4, 4, known=np.ones((4, 5), bool))
    with pytest.raises(ValueError, match="does not fit the mask"):
        tile(4, 4, mask=None, known=np.ones((4, 4), bool))


@pytest.mark.parametrize("kind", ["bce", "bce+dice"])
def test_nothing_is_learned_where_nothing_is_known(kind: MaskLoss) -> None:
    """What the mask says there makes no difference to the loss, nor does the loss ask for anything there."""
    known = np.ones((32, 32), bool)
    known[:, :16] = False
    losses, gradients = [], []
    for left in (False, True):
        mask = np.tile(np.arange(32) > 20, (32, 1))
        mask[:, :16] = left
        batch = collate([tile(32, 32, mask=mask, known=known)], multiple_px=32)
        logits = torch.linspace(-2, 2, 32 * 32).reshape(1, 32, 32).requires_grad_()
        loss = mask_loss(logits, batch.masks_BHW, kind, valid_BHW=batch.known_BHW, weights_B=batch.weights_B)
        loss.backward()
        losses.append(loss.item())
        gradients.append(logits.grad)
    assert losses[0] == losses[1] > 0
    for gradient in gradients:
        assert gradient is not None
        assert not gradient[:, :, :16].any()
        assert gradient[:, :, 16:].all()
