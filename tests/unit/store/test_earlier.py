"""The state one epoch earlier: kept beside the weights to a fine grain, and read only if it is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import ModelError
from histoloop.network_config import NetworkConfig
from histoloop.store.cards import WEIGHTS, Card
from histoloop.store.model_folder import EARLIER, load_earlier, load_weights, save_model

if TYPE_CHECKING:
    from pathlib import Path

WEIGHT = torch.linspace(-0.9, 0.9, 12).view(3, 4)
BACK = 3e-5 * torch.linspace(-1, 1, 12).view(3, 4)
WEIGHTS_OF = {"head.weight": WEIGHT, "head.bias": torch.ones(3), "norm.count": torch.tensor(60)}
WAY_BACK = {"head.weight": BACK, "norm.count": torch.tensor(-6)}


def card() -> Card:
    scheme = ClassScheme(
        (LabelClass("benign", "gland"), LabelClass("malignant", "gland")), (MaskClass("gland", "#00a0ff"),)
    )
    return Card(
        name="tiny", title="Tiny", description="", licence="CC0-1.0", attribution="", network=NetworkConfig(2),
        scheme=scheme, mpp=1.0, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), training={}, figures={}, parent=None,
        created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def saved(folder: Path, *, weights: dict[str, torch.Tensor] | None = None) -> Path:
    return save_model(folder, card(), weights or WEIGHTS_OF, recipe="", half=True, way_back=WAY_BACK)


def test_a_change_far_below_the_grain_of_half_precision_weights_is_kept(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m")
    earlier, weights = load_earlier(folder), load_weights(folder)
    torch.testing.assert_close(earlier["head.weight"] - weights["head.weight"], BACK, rtol=2e-3, atol=2e-7)
    assert torch.equal(earlier["head.bias"], weights["head.bias"])
    assert earlier["norm.count"] == 54
    assert earlier["head.weight"].dtype == torch.float32


def test_only_what_differs_is_written_and_in_half_precision(tmp_path: Path) -> None:
    stored = load_file(saved(tmp_path / "m") / EARLIER)
    assert set(stored) == {"head.weight", "norm.count"}
    assert stored["head.weight"].dtype == torch.float16


def test_a_model_without_it_says_what_to_do(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "m", card(), WEIGHTS_OF, recipe="", half=True)
    assert not (folder / EARLIER).exists()
    with pytest.raises(ModelError, match="does not keep") as refused:
        load_earlier(folder)
    assert "histoloop train" in refused.value.advice


def test_that_of_other_weights_is_refused(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one"), saved(tmp_path / "other", weights=WEIGHTS_OF | {"head.bias": torch.zeros(3)})
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
