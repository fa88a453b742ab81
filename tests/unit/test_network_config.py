"""What does not go together is refused when it is written down, not when it is run."""

from __future__ import annotations

import pytest

from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig

ATTENTION = PoolingConfig(name="attention")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": -1}, "at least one label"),
        ({"labels": 0, "decoder_channels": ()}, "at least one label"),
        ({"labels": 0, "background": True}, "at least one label"),
        ({"stride": 8}, "stride must be 16 or 32, not 8"),
        ({"stride": 16}, "a decoder needs a stride of 32"),
        ({"minmax": MinMaxConfig()}, "no minmax"),
        ({"background": True, "pooling": ATTENTION}, "background map cannot be pooled"),
        ({"decoder_channels": (8, 8)}, "five widths"),
        ({"decoder_channels": (8, 8, 8, 8, 0)}, "five widths"),
        ({"decoder_channels": (), "minmax": MinMaxConfig(), "pooling": ATTENTION}, "neither attention"),
        ({"decoder_channels": (), "minmax": MinMaxConfig(), "background": True}, "neither attention"),
        ({"decoder_channels": (), "minmax": MinMaxConfig(), "scores": "sigmoid"}, "cannot be 'sigmoid'"),
        ({"scores": "tanh"}, "scores must be"),
    ],
)
def test_a_network_that_makes_no_sense_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NetworkConfig(**{"labels": 2, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask_norm": "batch"}, "mask_norm"),
        ({"omega": 0.0}, "omega"),
        ({"omega": float("inf")}, "omega"),
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": 1.0}, r"maps in \[0, 1\]"),
    ],
)
def test_a_mask_that_makes_no_sense_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MinMaxConfig(**changes)  # type: ignore[arg-type]


def test_maps_are_named_labels_first() -> None:
    names = ("benign", "malignant")
    assert NetworkConfig(2).map_names(names) == names
    sized = NetworkConfig(2, background=True)
    assert sized.map_names(names) == (*names, "background")
    attending = NetworkConfig(2, pooling=ATTENTION)
    assert attending.map_names(names) == (*names, "attention of benign", "attention of malignant")


def test_a_decoder_gives_one_logit_for_one_foreground_and_one_more_than_classes_else() -> None:
    assert NetworkConfig(2).mask_logits == 1
    assert not NetworkConfig(2).decodes_classes
    assert NetworkConfig(2, mask_classes=30).mask_logits == 31
    assert NetworkConfig(2, mask_classes=2).decodes_classes


@pytest.mark.parametrize("changes", [{"mask_classes": 0}, {"mask_classes": 2, "decoder_channels": ()}])
def test_mask_classes_need_a_decoder(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="mask_classes must be 1"):
        NetworkConfig(2, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_temperature_that_is_no_number_above_0_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        NetworkConfig(2, temperature=temperature)


def test_min_max_takes_no_temperature() -> None:
    with pytest.raises(ValueError, match="no temperature"):
        NetworkConfig(2, decoder_channels=(), minmax=MinMaxConfig(), temperature=2.0)
