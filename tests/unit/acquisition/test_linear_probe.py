"""A probe parts classes by few labels; the linear head is the optimum of its objective."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from histoloop.acquisition.linear_probe import DECAYS, PROBES, LinearProbe, ProbeKind, fit_linear_head


def blobs(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.arange(count) % 3
    centres = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0]], float)
    return centres[labels] + rng.normal(size=(count, 4)) + 10, labels


def test_the_head_parts_classes_and_does_so_the_same_way_twice() -> None:
    features, labels = blobs()
    weights, bias = fit_linear_head(features, labels.tolist(), classes=3)
    assert ((features @ weights.T + bias).argmax(axis=1) == labels).mean() > 0.95
    again, _bias = fit_linear_head(features, labels.tolist(), classes=3)
    np.testing.assert_array_equal(weights, again)


def test_no_step_from_the_head_lowers_its_objective() -> None:
    features, labels = blobs()

    def objective(weights: np.ndarray, bias: np.ndarray) -> float:
        logs = log_softmax(features @ weights.T + bias, axis=1)
        return float(-logs[np.arange(len(labels)), labels].mean() + 0.01 / 2 * (weights**2).sum())

    weights, bias = fit_linear_head(features, labels.tolist(), classes=3, decay=0.01)
    least = objective(weights, bias)
    rng = np.random.default_rng(2)
    for _ in range(20):
        step = 0.01 * rng.normal(size=weights.shape)
        assert objective(weights + step, bias) > least
        assert objective(weights, bias + 0.01 * rng.normal(size=3)) > least - 1e-9


def test_a_class_without_labels_is_never_the_likeliest() -> None:
    features, labels = blobs()
    weights, bias = fit_linear_head(features, labels.tolist(), classes=4)
    assert not ((features @ weights.T + bias).argmax(axis=1) == 3).any()


def test_with_as_many_tiles_as_features_the_decay_that_is_chosen_names_others_better_than_a_weak_one() -> None:
    rng = np.random.default_rng(4)
    labels = np.arange(400) % 2
    features = rng.normal(size=(400, 60))
    features[:, 0] += np.where(labels == 1, 1.0, -1.0)  # one feature says something, 59 say nothing
    known, others = slice(0, 60), slice(60, 400)

    def right(decay: float | None) -> float:
        weights, bias = fit_linear_head(features[known], labels[known].tolist(), classes=2, decay=decay)
        return float(((features[others] @ weights.T + bias).argmax(axis=1) == labels[others]).mean())

    assert right(None) > right(1e-3) + 0.05
    assert right(None) == max(right(decay) for decay in (None, *DECAYS[3:]))


def test_what_is_easily_told_apart_gets_a_weak_decay() -> None:
    features, labels = blobs()
    weights, bias = fit_linear_head(features, labels.tolist(), classes=3)
    strong, _bias = fit_linear_head(features, labels.tolist(), classes=3, decay=DECAYS[0])
    assert np.abs(weights).sum() > 3 * np.abs(strong).sum()
    assert np.isfinite(bias).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_labels_are_enough_for_a_head(count: int) -> None:
    features, labels = blobs(count)
    weights, bias = fit_linear_head(features, labels.tolist(), classes=3)
    assert np.isfinite(weights).all()
    assert np.isfinite(bias).all()


def test_labels_that_do_not_belong_are_refused() -> None:
    features, labels = blobs(6)
    with pytest.raises(ValueError, match="5 labels"):
        fit_linear_head(features, labels[:5].tolist(), classes=3)
    with pytest.raises(ValueError, match=r"0 \.\. 1"):
        fit_linear_head(features, labels.tolist(), classes=2)


@pytest.mark.parametrize("kind", PROBES)
def test_a_probe_told_a_few_labels_names_the_rest_whatever_the_scale_of_a_feature(kind: ProbeKind) -> None:
    features, labels = blobs(90)
    chosen = list(range(12))
    taught = labels[chosen].tolist()
    found = LinearProbe.fit(features, chosen, taught, kind=kind, classes=3).predict(features)
    assert (np.array(found) == labels).mean() > 0.9
    stretched = features * [1000.0, 1.0, 0.01, 1.0]
    assert LinearProbe.fit(stretched, chosen, taught, kind=kind, classes=3).predict(stretched) == found


def test_a_probe_of_an_svm_keeps_the_numbers_of_the_labels_it_was_told() -> None:
    features, labels = blobs()
    probe = LinearProbe.fit(features, range(30), [(7, 11, 2)[label] for label in labels[:30]], kind="svm", classes=12)
    assert set(probe.predict(features)) == {7, 11, 2}
