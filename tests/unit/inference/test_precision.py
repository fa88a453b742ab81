"""Half precision where the processor is made for it, and nothing else where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from histoloop.inference import precision as module
from histoloop.inference.model import Model
from histoloop.inference.precision import has_bfloat16, numbers_of
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.build import build_network
from histoloop.networks.colours import Colours
from histoloop.networks.needed import Box

CPU = torch.device("cpu")
CUDA = torch.device("cuda")


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="average", modalities=1)
    made = build_network(NetworkConfig(2, backbone="mobilenet_v2", pooling=pooling, decoder_channels=(8, 8, 8, 8, 8)))
    return Model(made.eval(), Colours((0.6, 0.4, 0.6), (0.2, 0.3, 0.25)), CPU)


def test_exact_is_single_precision_on_every_device() -> None:
    assert numbers_of("exact", CPU) == numbers_of("exact", CUDA) == "float32"


def test_fast_takes_the_half_precision_that_the_device_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert numbers_of("fast", CUDA) == "float16"
    for able, numbers in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(module, "has_bfloat16", lambda able=able: able)
        assert numbers_of("fast", CPU) == numbers


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16", None])
def test_a_processor_has_bfloat16_when_it_says_so(flag: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    has_bfloat16.cache_clear()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True} | ({flag: True} if flag else {}))
    assert has_bfloat16() == (flag is not None)
    monkeypatch.undo()
    has_bfloat16.cache_clear()


def test_a_core_in_half_precision_is_close_to_the_exact_one_and_not_the_same(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "has_bfloat16", lambda: True)  # slow where it is not so, but it computes
    pixels = np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8)
    exact, fast = (
        model.predict_cores([pixels], Box.of(32, 0, 64, 64), precision=each)[0] for each in ("exact", "fast")
    )
    assert exact.masks is not None
    assert fast.masks is not None
    assert fast.masks.dtype == np.float32
    assert 0 < np.abs(exact.masks - fast.masks).max() < 0.05
    np.testing.assert_allclose(fast.maps, exact.maps, atol=0.1 * max(1, np.abs(exact.maps).max()))
