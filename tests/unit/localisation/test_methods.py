"""Every drawing against its definition, ties included, and the same at every resolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import softmax
from torch.nn import functional

from histoloop.localisation.methods import (
    METHODS,
    localisation_methods,
    localise,
    posterior_of,
    predicted_labels,
    summarise,
    title,
)
from histoloop.network_config import POOLINGS, MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.classifier import Classifier
from histoloop.networks.gradcam import grad_cam
from histoloop.networks.minmax import foreground_mask, posterior_map

AVERAGE = PoolingConfig(name="average", modalities=1)


def config(labels: int = 2, **changes: object) -> NetworkConfig:
    values = {"pooling": AVERAGE, "decoder_channels": (), **changes}
    return NetworkConfig(labels, **values)  # type: ignore[arg-type]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def drawn(
    name: str, maps_KHW: np.ndarray, made_for: NetworkConfig, *, label: int | None = None, **known: object
) -> np.ndarray:
    """A drawing at the resolution of the cells."""
    posterior = known.pop("posterior", np.full(made_for.labels, 1 / made_for.labels, np.float32))
    cells_KN = maps_KHW.reshape(len(maps_KHW), -1)
    labels = () if label is None else (label,)
    summary = summarise(name, cells_KN, made_for, posterior=posterior, labels=labels, **known)  # type: ignore[arg-type]
    return localise(name, maps_KHW, summary, made_for)


# --- which there are ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made_for", "offered"),
    [
        (config(), ("cam", "grad-cam")),
        (NetworkConfig(2, pooling=AVERAGE), ("decoder", "cam", "grad-cam")),
        (config(pooling=PoolingConfig(name="gated-attention")), ("attention", "attention-half", "cam")),
        (config(pooling=PoolingConfig(name="generalised-mean")), ("sigmoid", "cam", "grad-cam")),
        (config(pooling=PoolingConfig(name="wildcat", alpha=1.0)), ("cam",)),
        (config(background=True), ("size",)),
        (NetworkConfig(2, pooling=AVERAGE, background=True), ("decoder", "size")),
        (config(minmax=MinMaxConfig()), ("min-max", "cam")),
        (config(scores="sigmoid"), ("sigmoid", "cam", "grad-cam")),
        (
            config(pooling=PoolingConfig(name="attention"), scores="sigmoid"),
            ("attention", "attention-half", "sigmoid", "cam"),
        ),
        (config(background=True, scores="sigmoid"), ("size",)),
    ],
)
def test_a_network_offers_what_it_was_made_for_first(made_for: NetworkConfig, offered: tuple[str, ...]) -> None:
    assert localisation_methods(made_for) == offered
    assert all(title(name) for name in offered)


def test_an_unknown_drawing_names_the_others() -> None:
    with pytest.raises(ValueError, match="there are cam, grad-cam"):
        title("paint")


# --- argmax: class activation maps and sizes ----------------------------------------------------------------------


def test_a_class_activation_map_is_decided_as_the_oracle_is_ties_to_the_lower_class() -> None:
    cams = np.array([[[0, 1], [2, 3]], [[1.5, 1.5], [1.5, 1.5]]], np.float32)
    aligned = functional.interpolate(torch.from_numpy(cams)[None], size=(3, 3), mode="bilinear", align_corners=True)
    assert_allclose(aligned[0, 0], [[0.0, 0.5, 1.0], [1.0, 1.5, 2.0], [2.0, 2.5, 3.0]])
    first = drawn("cam", aligned[0].numpy(), config(), label=0) > 0.5
    assert first.astype(int).tolist() == [[0, 0, 0], [0, 1, 1], [1, 1, 1]]
    second = drawn("cam", aligned[0].numpy(), config(), label=1) > 0.5
    assert np.array_equal(second, ~first)
    enlarged = functional.interpolate(torch.from_numpy(cams)[None], size=(4, 4), mode="bilinear", align_corners=False)
    assert_allclose(
        enlarged[0, 0],
        [[0.0, 0.25, 0.75, 1.0], [0.5, 0.75, 1.25, 1.5], [1.5, 1.75, 2.25, 2.5], [2.0, 2.25, 2.75, 3.0]],
    )
    finer = drawn("cam", enlarged[0].numpy(), config(), label=0) > 0.5
    assert finer.astype(int).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 4), st.integers(0, 3), st.integers(0, 2**31 - 1), st.sampled_from([1.0, 1e-3, 1e-8]))
def test_a_class_activation_map_is_foreground_where_its_label_is_the_argmax(
    labels: int, label: int, seed: int, scale: float
) -> None:
    label = min(label, labels - 1)
    maps = (np.random.default_rng(seed).integers(-3, 4, (labels, 5, 6)) * scale).astype(np.float32)
    values = drawn("cam", maps, config(labels), label=label)
    for kept in (values, values.astype(np.float16)):  # as slides' maps are kept
        assert np.array_equal(kept > 0.5, maps.argmax(axis=0) == label)


def test_a_class_activation_map_of_two_labels_is_their_softmax() -> None:
    maps = noise(2, 4, 5)
    assert_allclose(drawn("cam", maps, config(), label=1), softmax(maps, axis=0)[1], rtol=1e-5)


def test_a_class_activation_map_of_one_label_is_its_sigmoid() -> None:
    maps = noise(1, 4, 5)
    assert_allclose(drawn("cam", maps, config(1)), 1 / (1 + np.exp(-maps[0])), rtol=1e-6)


def test_the_likeliest_label_is_drawn_unless_one_is_named() -> None:
    maps, posterior = noise(3, 4, 5), np.array([0.2, 0.5, 0.3], np.float32)
    likeliest = drawn("cam", maps, config(3), posterior=posterior)
    assert np.array_equal(likeliest, drawn("cam", maps, config(3), label=1))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3), st.integers(0, 2**31 - 1), st.sampled_from([1.0, 1e-8]))
def test_a_size_is_foreground_where_the_background_is_not_the_argmax(labels: int, seed: int, scale: float) -> None:
    maps = (np.random.default_rng(seed).integers(-3, 4, (labels + 1, 5, 6)) * scale).astype(np.float32)
    values = drawn("size", maps, config(labels, background=True))
    for kept in (values, values.astype(np.float16)):
        assert np.array_equal(kept > 0.5, maps.argmax(axis=0) < labels)


def test_a_size_is_the_same_whatever_the_label() -> None:
    maps, made_for = noise(3, 4, 5), config(background=True)
    assert np.array_equal(drawn("size", maps, made_for, label=0), drawn("size", maps, made_for, label=1))


def test_a_sigmoid_is_that_of_the_map_of_the_label() -> None:
    maps, made_for = noise(2, 4, 5), config(pooling=PoolingConfig(name="generalised-mean"))
    assert_allclose(drawn("sigmoid", maps, made_for, label=1), 1 / (1 + np.exp(-maps[1])), rtol=1e-6)


# --- several labels -----------------------------------------------------------------------------------------------


def test_probabilities_are_a_softmax_or_each_a_sigmoid() -> None:
    scores = np.array([0.0, 2.0, -1.0], np.float32)
    assert_allclose(posterior_of(scores, config(3)), [0.11419520, 0.84379473, 0.04201007], rtol=1e-6)
    assert_allclose(posterior_of(scores, config(3, scores="sigmoid")), [0.5, 0.88079708, 0.26894142], rtol=1e-6)


def test_the_likeliest_label_and_those_likelier_than_not_are_predicted() -> None:
    assert predicted_labels(np.array([0.6, 0.2, 0.9, 0.5])) == (2, 0)
    assert predicted_labels(np.array([0.1, 0.3])) == (1,)
    assert predicted_labels(np.array([1.0, 1.0]), likeliest=1) == (1, 0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=5))
def test_labels_that_exclude_each_other_are_never_predicted_together(scores: list[float]) -> None:
    posterior = posterior_of(np.array(scores, np.float32), config(len(scores)))
    assert predicted_labels(posterior) == (int(posterior.argmax()),)


@pytest.mark.parametrize("name", ["sigmoid", "attention", "grad-cam"])
def test_what_is_foreground_of_any_predicted_label_is_foreground(name: str) -> None:
    pooling = PoolingConfig(name="attention") if name == "attention" else AVERAGE
    made_for, maps = config(3, scores="sigmoid", pooling=pooling), noise(6, 5, 7)
    drawn_of_all = drawn(name, maps, made_for, posterior=np.array([0.8, 0.1, 0.7], np.float32))
    one_by_one = [drawn(name, maps, made_for, label=label) for label in (0, 2)]
    assert np.array_equal(drawn_of_all, np.maximum(*one_by_one))


# --- attention ----------------------------------------------------------------------------------------------------

ATTENDING = config(pooling=PoolingConfig(name="attention"))


@pytest.mark.parametrize("label", [0, 1])
def test_attention_is_foreground_above_one_over_the_cells_of_the_labels_own_map(label: int) -> None:
    maps = 2 * noise(4, 3, 5)
    attention = softmax(maps[2 + label])
    values = drawn("attention", maps, ATTENDING, label=label)
    assert np.array_equal(values > 0.5, attention > 1 / 15)
    assert_allclose(values, attention * 15 / (1 + attention * 15), rtol=1e-5)


@pytest.mark.parametrize("label", [0, 1])
def test_attention_above_half_of_the_average_is_what_the_code_of_the_thesis_cuts_at(label: int) -> None:
    maps = 2 * noise(4, 3, 5)
    attention = softmax(maps[2 + label])
    values = drawn("attention-half", maps, ATTENDING, label=label)
    assert np.array_equal(values > 0.5, attention > 1 / 30)
    assert_allclose(values, attention * 30 / (1 + attention * 30), rtol=1e-5)


@pytest.mark.parametrize("energy", [0.0, 3.7, -811.3])
def test_attention_that_is_the_same_everywhere_has_no_foreground(energy: float) -> None:
    maps = np.full((4, 7, 9), energy, np.float32)
    assert not (drawn("attention", maps, ATTENDING, label=0) > 0.5).any()


def test_attention_of_large_energies_is_finite() -> None:
    maps = 1e4 * noise(4, 3, 5)
    assert np.isfinite(drawn("attention", maps, ATTENDING, label=0)).all()


# --- min-max entropy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["none", "image"])
def test_min_max_is_the_mask_of_the_network_itself(norm: str) -> None:
    minmax = MinMaxConfig(mask_norm=norm)  # type: ignore[arg-type]
    maps, scores = torch.from_numpy(noise(1, 3, 4, 5)), torch.from_numpy(noise(1, 3, seed=1))
    mask = foreground_mask(posterior_map(maps, scores), (128, 160), minmax)
    made_for = config(3, minmax=minmax)
    posterior = posterior_of(scores[0].numpy(), made_for)
    summary = summarise("min-max", maps[0].flatten(1).numpy(), made_for, posterior=posterior)
    enlarged = functional.interpolate(maps, scale_factor=32.0, mode="bilinear", align_corners=False)[0].numpy()
    found = localise("min-max", enlarged, summary, made_for)
    assert_allclose(found, mask[0], atol=6e-4)  # nothing lies between one half and the next number in half precision
    sure = np.abs(mask[0].numpy() - 0.5) > 1e-5
    assert np.array_equal((found > 0.5)[sure], (mask[0].numpy() >= 0.5)[sure])
    assert_allclose(found[np.abs(found - 0.5) > 1e-3], mask[0].numpy()[np.abs(found - 0.5) > 1e-3], atol=1e-5)


@pytest.mark.parametrize(
    ("norm", "values", "mask"),
    [
        (
            "none",
            [[0.0831726964939, 0.5, 0.916827303506], [0.000746028833837, 0.996315760101, 0.0179862099621],
             [0.598687660112, 0.401312339888, 0.960834277203]],
            [[0, 1, 1], [0, 1, 0], [1, 0, 1]],
        ),
        (
            "image",
            [[0.26894142137, 0.622459331202, 0.880797077978], [0.0179862099621, 0.982013790038, 0.119202922022],
             [0.679178699175, 0.562176500886, 0.924141819979]],
            [[0, 1, 1], [0, 1, 0], [1, 1, 1]],
        ),
    ],
)  # fmt: skip
def test_min_max_gives_the_values_of_eq_11_and_is_foreground_from_one_half_on(
    norm: str, values: list[list[float]], mask: list[list[int]]
) -> None:
    evidence = np.array([[0.2, 0.5, 0.8], [-0.4, 1.2, 0.0], [0.55, 0.45, 0.9]], np.float32)
    made_for = config(minmax=MinMaxConfig(mask_norm=norm))  # type: ignore[arg-type]
    found = drawn("min-max", np.stack([evidence, evidence]), made_for)
    assert_allclose(found, values, rtol=1e-5, atol=5e-4)
    assert (found > 0.5).astype(int).tolist() == mask


def test_min_max_needs_no_label() -> None:
    maps, made_for = noise(2, 4, 5), config(minmax=MinMaxConfig())
    assert np.array_equal(drawn("min-max", maps, made_for, label=0), drawn("min-max", maps, made_for, label=1))


def test_evidence_that_differs_by_rounding_only_is_no_foreground_as_in_the_network() -> None:
    maps = np.full((2, 4, 5), 7.0, np.float32)
    maps[:, 0, 0] = np.nextafter(np.float32(7), np.float32(8))
    minmax = MinMaxConfig()
    tensors = torch.from_numpy(maps)[None]
    mask = foreground_mask(posterior_map(tensors, torch.zeros(1, 2)), (4, 5), minmax)
    found = drawn("min-max", maps, config(minmax=minmax))
    assert not (found > 0.5).any()
    assert_allclose(found, mask[0], rtol=1e-5)


# --- Grad-CAM -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pooling", [name for name in POOLINGS if "attention" not in name and "generalised" not in name]
)
@pytest.mark.parametrize("modalities", [1, 3])
def test_grad_cam_is_that_of_the_last_layer_of_the_classifier(pooling: str, modalities: int) -> None:
    torch.manual_seed(0)
    own = PoolingConfig(name=pooling, modalities=modalities)  # type: ignore[arg-type]
    network = Classifier(backbone="resnet18", labels=3, pooling=own).eval()
    tiles = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        torch.nn.init.normal_(network.head.bias, std=3.0)  # type: ignore[union-attr, arg-type]
        maps = network(tiles).maps_BKHW[0].numpy()
    layer = network.backbone.layer4
    expected = np.concatenate(
        [grad_cam(lambda x: network(x).scores_BC, layer, tiles, torch.tensor([label])) for label in range(3)]
    )
    for label in range(3):
        found = drawn("grad-cam", maps, config(3, pooling=own), label=label, bias_C=network.label_bias())
        likeliest = (expected.argmax(axis=0) == label) & (expected[label] > 0)
        assert np.array_equal(found > 0.5, likeliest)


def test_grad_cam_is_the_class_activation_map_where_a_label_speaks_for_the_pixel() -> None:
    maps = noise(3, 20, 30)
    speaks = maps.max(axis=0) > 0
    for label in range(3):
        grad, cam = (drawn(name, maps, config(3), label=label) > 0.5 for name in ("grad-cam", "cam"))
        assert np.array_equal(grad, cam & speaks)


def test_one_outstanding_cell_takes_nothing_from_grad_cam_elsewhere() -> None:
    maps = np.stack([np.full((4, 5), 1.0), np.full((4, 5), 0.5)]).astype(np.float32)
    maps[0, 2, 2] = 100
    assert (drawn("grad-cam", maps, config(), label=0) > 0.5).all()


def test_a_map_without_evidence_has_no_grad_cam() -> None:
    assert not (drawn("grad-cam", np.full((2, 3, 3), -1.0, np.float32), config(), label=0) > 0.5).any()


# --- all ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_values_lie_between_zero_and_one_in_single_precision(name: str, scale: float) -> None:
    made_for = {
        "size": config(background=True),
        "attention": ATTENDING,
        "min-max": config(minmax=MinMaxConfig()),
    }.get(name, config())
    values = drawn(name, scale * noise(4, 3, 5), made_for, bias_C=(0.1, 0.2))
    assert values.dtype == np.float32
    assert values.shape == (3, 5)
    assert ((values >= 0) & (values <= 1)).all()
