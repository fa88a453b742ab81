"""The state one epoch earlier: kept beside the weights to a fine grain, and read only if it is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import ModelError
from histoloop.network_config import NetworkConfig
from histoloop.store.cards import WEIGHTS, Card
from histoloop.store.model_folder import EARLIER, load_earlier, load_weights, save_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WEIGHT = np.linspace(-0.9, 0.9, 12, dtype=np.float32).reshape(3, 4)
BACK = np.float32(3e-5) * np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
WEIGHTS_OF = {"head.weight": WEIGHT, "head.bias": np.ones(3, np.float32), "norm.count": np.array(60)}
WAY_BACK = {"head.weight": BACK, "norm.count": np.array(-6)}


def card() -> Card:
    scheme = ClassScheme(
        (LabelClass("benign", "gland"), LabelClass("malignant", "gland")), (MaskClass("gland", "#00a0ff"),)
    )
    return Card(
        name="tiny", title="Tiny", description="", licence="CC0-1.0", attribution="", network=NetworkConfig(2),
        scheme=scheme, mpp=1.0, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), training={}, figures={}, parent=None,
        created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def saved(folder: Path, *, weights: dict[str, NDArray[np.generic]] | None = None) -> Path:
    return save_model(folder, card(), weights or WEIGHTS_OF, recipe="", half=True, way_back=WAY_BACK)


def test_a_change_far_below_the_grain_of_half_precision_weights_is_kept(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    earlier, weights = load_earlier(folder), load_weights(folder)
    np.testing.assert_allclose(earlier["head.weight"] - weights["head.weight"], BACK, rtol=2e-3, atol=2e-7)
    assert np.array_equal(earlier["head.bias"], weights["head.bias"])
    assert earlier["norm.count"] == 54
    assert earlier["norm.count"].shape == ()
    assert earlier["head.weight"].dtype == np.float32


def test_only_what_differs_is_written_and_in_half_precision(tmp_path: Path) -> None:
    stored = load_file(saved(tmp_path / "m") / EARLIER)
    assert set(stored) == {"head.weight", "norm.count"}
    assert stored["head.weight"].dtype == np.float16


def test_a_model_without_it_says_what_to_do(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", card(), WEIGHTS_OF, recipe="", half=True)
    assert not (folder / EARLIER).exists()
    with pytest.raises(ModelError, match="does not keep") as refused:
        load_earlier(folder)
    assert "histoloop train" in refused.value.advice


def test_that_of_other_weights_is_refused(tmp_path: Path) -> None:
    one, other = (
        saved(tmp_path / "one"),
        saved(tmp_path / "other", weights=WEIGHTS_OF | {"head.bias": np.zeros(3, np.float32)}),
    )
    (one / EARLIER).write_bytes((other / EARLIER).read_bytes())
    with pytest.raises(ModelError, match="not of the weights beside it"):
        load_earlier(one)


@pytest.mark.parametrize("how", ["cut", "changed", "without digest"])
def test_a_broken_one_is_refused(how: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "m") / EARLIER
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[:-5])
    elif how == "changed":
        path.write_bytes(content[:-30] + bytes([content[-30] ^ 1]) + content[-29:])
    else:
        path.write_bytes((path.parent / WEIGHTS).read_bytes())
    with pytest.raises(ModelError) as refused:
        load_earlier(path.parent)
    assert "copy" in refused.value.advice.lower()


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_a_weight_that_is_no_number_is_refused(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"head\.bias"):
        saved(tmp_path / "m", weights=WEIGHTS_OF | {"head.bias": np.array([value], np.float32)})
    assert not (tmp_path / "m").exists()


def test_the_files_are_those_of_every_version(tmp_path: Path) -> None:
    """Literal bytes: what one version writes, each other one reads, and knows that both files belong together."""
    ramp = (np.arange(12, dtype=np.float32) - np.float32(5.5)).reshape(3, 4)
    weights = {
        "head.weight": np.asfortranarray(ramp / np.float32(7)),
        "head.bias": np.array([1.0, 65504.0, 6e-8], np.float32),
        "norm.count": np.array(60),
    }
    back = {"head.weight": np.float32(3e-5) * ramp / np.float32(7), "norm.count": np.array(-6)}
    folder = save_model(tmp_path / "m", card(), weights, recipe="", half=True, way_back=back)
    assert (folder / WEIGHTS).read_bytes() == (
        b"\xe0\x00\x00\x00\x00\x00\x00\x00"
        b'{"__metadata__":{"format":"pt"},"norm.count":{"dtype":"I64","shape":[],"data_offsets":[0,8]},'
        b'"head.bias":{"dtype":"F16","shape":[3],"data_offsets":[8,14]},'
        b'"head.weight":{"dtype":"F16","shape":[3,4],"data_offsets":[14,38]}}  '
        b"<\x00\x00\x00\x00\x00\x00\x00"
        b"\x00<\xff{\x01\x00"
        b"I\xba%\xb9\x00\xb8\xb7\xb5\xdb\xb2\x92\xac\x92,\xdb2\xb75\x008%9I:"
    )
    assert (folder / EARLIER).read_bytes() == (
        b"\xe0\x00\x00\x00\x00\x00\x00\x00"
        b'{"__metadata__":{"digest":"d471795c9875ae43ba06cf5e6f42dc9f0d2647361cf5693ee77a4f714e05f1a5"},'
        b'"norm.count":{"dtype":"I64","shape":[],"data_offsets":[0,8]},'
        b'"head.weight":{"dtype":"F16","shape":[3,4],"data_offsets":[8,32]}}   '
        b"\xfa\xff\xff\xff\xff\xff\xff\xff"
        b"\x8b\x81D\x81\xfc\x80\xb4\x80l\x80$\x80$\x00l\x00\xb4\x00\xfc\x00D\x01\x8b\x01"
    )
    assert load_earlier(folder)["norm.count"] == 54


@pytest.mark.parametrize("value", [65520.0, -1e6])
def test_weights_beyond_the_range_of_half_precision_are_kept_in_single_precision(value: float, tmp_path: Path) -> None:
    bias = np.array([1.0, value, 3.0], np.float32)
    folder = saved(tmp_path / "m", weights=WEIGHTS_OF | {"head.bias": bias})
    kept = load_weights(folder)
    assert np.array_equal(kept["head.weight"], WEIGHT.astype(np.float16))
    assert np.array_equal(kept["head.bias"], bias)
    earlier = load_earlier(folder)
    assert all(np.isfinite(array).all() for array in earlier.values())
