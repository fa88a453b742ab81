from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from histoloop.losses import size as sizes

MAPS_BKHW = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]], [[0.0, 1.0], [0.5, 0.0]], [[0.0, 0.0], [1.0, 0.0]]]])
TARGET_BK = torch.tensor([[0.3, 0.7, 0.0]])

simplex = st.lists(st.floats(0.001, 1), min_size=3, max_size=3).map(lambda v: torch.tensor([v]) / sum(v))
zeroed = st.integers(0, 2)


def predicted_sizes(maps_BKHW: torch.Tensor, *, size: tuple[int, int] | None, **valid: torch.Tensor) -> torch.Tensor:
    return sizes.mean_probabilities(sizes.upsampled_log_probabilities(maps_BKHW, size=size), **valid)


def test_predicted_sizes_upsample_the_logits_before_the_softmax() -> None:
    predicted = predicted_sizes(MAPS_BKHW, size=(4, 4))
    expected = torch.tensor([[0.436210287773, 0.299989889874, 0.263799822353]])
    torch.testing.assert_close(predicted, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(sizes.size_kl(predicted, TARGET_BK), torch.tensor([0.480829503815]), rtol=1e-6, atol=0)
    torch.testing.assert_close(sizes.size_l2(predicted, TARGET_BK), torch.tensor([0.248151676971]), rtol=1e-6, atol=0)


def test_predicted_sizes_without_a_size_take_the_cells_as_they_are() -> None:
    predicted = predicted_sizes(MAPS_BKHW, size=None)
    expected = torch.tensor([[0.440342051943, 0.300440326755, 0.259217621302]])
    torch.testing.assert_close(predicted, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("size", "entropy"), [((4, 4), 0.999699289424), (None, 0.909104919239)])
def test_entropy_matches_the_reference_values(size: tuple[int, int] | None, entropy: float) -> None:
    log_probabilities = sizes.upsampled_log_probabilities(MAPS_BKHW, size=size)
    torch.testing.assert_close(sizes.map_entropy(log_probabilities), torch.tensor([entropy]), rtol=1e-6, atol=0)


def test_padding_counts_neither_for_sizes_nor_for_entropy() -> None:
    log_probabilities = sizes.upsampled_log_probabilities(torch.randn(2, 3, 4, 6), size=None)
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    valid[:, :, 4:] = False
    kept = log_probabilities[..., :4]
    torch.testing.assert_close(
        sizes.mean_probabilities(log_probabilities, valid_BHW=valid), sizes.mean_probabilities(kept)
    )
    torch.testing.assert_close(sizes.map_entropy(log_probabilities, valid_BHW=valid), sizes.map_entropy(kept))


def test_valid_pixels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="valid pixels of shape"):
        predicted_sizes(MAPS_BKHW, size=(4, 4), valid_BHW=torch.ones(1, 2, 2, dtype=torch.bool))


def test_a_tile_does_not_see_its_batch_mates() -> None:
    maps = torch.randn(3, 4, 5, 5)
    together = predicted_sizes(maps, size=(20, 20))
    torch.testing.assert_close(together[1:2], predicted_sizes(maps[1:2], size=(20, 20)))
    torch.testing.assert_close(together.sum(dim=1), torch.ones(3))


def test_half_precision_logits_give_full_precision_sizes() -> None:
    predicted = predicted_sizes(MAPS_BKHW.half(), size=(256, 256))
    assert predicted.dtype == torch.float32
    torch.testing.assert_close(predicted, predicted_sizes(MAPS_BKHW, size=(256, 256)))


def test_extreme_logits_have_no_entropy_and_finite_gradients() -> None:
    maps = torch.tensor([[[[1e4]], [[-1e4]]]], requires_grad=True)
    entropy = sizes.map_entropy(sizes.upsampled_log_probabilities(maps, size=None))
    kl = sizes.size_kl(predicted_sizes(maps, size=None), torch.tensor([[0.0, 1.0]]))
    (gradient,) = torch.autograd.grad((entropy + kl).sum(), maps)
    assert entropy.item() == 0
    assert kl.isfinite().all()
    assert gradient.isfinite().all()


def test_kl_and_l2_match_the_reference_values() -> None:
    predicted = torch.tensor([[0.2, 0.75, 0.05]])
    torch.testing.assert_close(sizes.size_kl(predicted, TARGET_BK), torch.tensor([0.0733445223916]), rtol=1e-6, atol=0)
    torch.testing.assert_close(sizes.size_l2(predicted, TARGET_BK), torch.tensor([0.015]), rtol=1e-6, atol=0)


@settings(deadline=None, max_examples=50)
@given(predicted=simplex, target=simplex, zero=zeroed)
def test_kl_is_never_negative_and_zero_at_equality(predicted: torch.Tensor, target: torch.Tensor, zero: int) -> None:
    predicted, target = predicted.double(), target.double()
    target[:, zero] = 0
    predicted, target = (rows / rows.sum(dim=1, keepdim=True) for rows in (predicted, target))
    assert sizes.size_kl(predicted, target).item() >= -1e-12
    assert sizes.size_kl(target, target).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("tiny", [0.0, 1e-38, 1e-20, 1e-7])
def test_kl_is_finite_with_finite_gradients_for_vanishing_sizes(tiny: float) -> None:
    predicted = torch.tensor([[tiny, 1.0]], requires_grad=True)
    value = sizes.size_kl(predicted, torch.tensor([[1.0, 0.0]]))
    (gradient,) = torch.autograd.grad(value.sum(), predicted)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    assert tiny < 1e-30 or gradient[0, 0] < 0


def test_losses_have_the_gradients_of_finite_differences() -> None:
    maps = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[0.4, 0.0, 0.6], [0.0, 0.9, 0.1]], dtype=torch.float64)

    def losses(maps: torch.Tensor) -> torch.Tensor:
        log_probabilities = sizes.upsampled_log_probabilities(maps, size=(5, 7))
        predicted = sizes.mean_probabilities(log_probabilities)
        return torch.stack(
            [sizes.size_kl(predicted, target), sizes.size_l2(predicted, target), sizes.map_entropy(log_probabilities)]
        )

    assert torch.autograd.gradcheck(losses, maps)


def test_total_is_divided_by_the_sum_of_its_weights() -> None:
    l_c, l_s, l_e = torch.tensor(0.5), torch.tensor(0.02), torch.tensor(0.9)
    value = sizes.total(l_c, l_s, l_e, lambda_s=10, lambda_e=0.1)
    torch.testing.assert_close(value, torch.tensor(0.0711711711712), rtol=1e-6, atol=0)
    assert sizes.total(l_c, l_s, l_e, lambda_s=0, lambda_e=0) == l_c


def test_negative_weights_are_refused() -> None:
    zero = torch.tensor(0.0)
    with pytest.raises(ValueError, match="lambda_s -1"):
        sizes.total(zero, zero, zero, lambda_s=-1, lambda_e=0.1)


def test_targets_put_the_foreground_at_the_label_and_the_rest_at_the_background_last() -> None:
    targets = sizes.size_targets(torch.tensor([0.4, 1.0, 0.0]), torch.tensor([1, 0, 1]), label_count=2)
    torch.testing.assert_close(targets, torch.tensor([[0.0, 0.4, 0.6], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize("size", [-0.01, 1.01, float("nan")])
def test_sizes_outside_the_unit_interval_are_refused(size: float) -> None:
    with pytest.raises(ValueError, match="fractions in"):
        sizes.size_targets(torch.tensor([size]), torch.tensor([0]), label_count=2)


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_outside_the_classes_are_refused(label: int) -> None:
    with pytest.raises(ValueError, match="indices below 2"):
        sizes.size_targets(torch.tensor([0.5]), torch.tensor([label]), label_count=2)


def test_noise_has_the_asked_spread_and_repeats_with_its_seed() -> None:
    clean = torch.full((20000,), 0.5)
    noisy = sizes.noisy_sizes(clean, 0.1, torch.Generator().manual_seed(3))
    assert (noisy - clean).mean().item() == pytest.approx(0, abs=3e-3)
    assert (noisy - clean).std().item() == pytest.approx(0.1, rel=0.03)
    assert torch.equal(noisy, sizes.noisy_sizes(clean, 0.1, torch.Generator().manual_seed(3)))


def test_noisy_sizes_stay_sizes_and_without_noise_are_unchanged() -> None:
    clean = torch.linspace(0, 1, 101)
    noisy = sizes.noisy_sizes(clean, 0.8, torch.Generator().manual_seed(0))
    assert noisy.min() == 0
    assert noisy.max() == 1
    assert torch.equal(sizes.noisy_sizes(clean, 0.0, torch.Generator().manual_seed(0)), clean)
