"""Cards as they are written and read again."""

from __future__ import annotations

import dataclasses

import pytest

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import ModelError
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.store.cards import Card, card_text, read_card

SCHEME = ClassScheme(
    (LabelClass("benign", "gland"), LabelClass("malignant", "gland")), (MaskClass("gland", "#00a0ff"),)
)


def card(network: NetworkConfig) -> Card:
    return Card(
        name="tiny",
        title="A tiny model",
        description="For tests.",
        licence="CC0-1.0",
        attribution="Nobody",
        network=network,
        scheme=SCHEME,
        mpp=1.0,
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        training={},
        figures={},
        parent=None,
        created="2026-01-01T00:00:00+00:00",
    )


@pytest.mark.parametrize(
    "network",
    [
        NetworkConfig(2),
        NetworkConfig(2, background=True, decoder_channels=()),
        NetworkConfig(2, pooling=PoolingConfig("gated-attention", hidden=7), decoder_channels=()),
        NetworkConfig(2, minmax=MinMaxConfig(omega=3.0, mask_norm="none", detach=False), decoder_channels=()),
        NetworkConfig(2, scores="sigmoid"),
    ],
    ids=["decoder", "background", "attention", "min-max", "several labels"],
)
def test_a_card_of_every_kind_of_network_is_read_as_it_was_written(network: NetworkConfig) -> None:
    written = card(network)
    assert read_card(card_text(written), source="card.md") == written


def test_an_unknown_key_of_a_nested_part_is_refused_with_a_suggestion() -> None:
    text = card_text(card(NetworkConfig(2, minmax=MinMaxConfig(), decoder_channels=()))).replace("omega", "omga")
    with pytest.raises(ModelError, match=r"omga.*omega"):
        read_card(text, source="card.md")


def test_labels_of_a_card_that_does_not_say_exclude_each_other() -> None:
    written = card_text(card(NetworkConfig(2, scores="sigmoid")))
    old = "\n".join(line for line in written.splitlines() if not line.startswith("scores"))
    assert old != written
    assert read_card(old, source="card.md").network == NetworkConfig(2, scores="softmax")


def test_intervals_and_a_temperature_are_kept_and_left_out_where_there_are_none() -> None:
    plain = card_text(card(NetworkConfig(2)))
    assert "temperature" not in plain
    assert "intervals" not in plain
    measured = dataclasses.replace(
        card(NetworkConfig(2, temperature=1.7)),
        figures={"dice": 0.9, "recall benign": 0.5},
        intervals={"dice": (0.85, 0.93), "recall benign": (0.0, 1.0)},
    )
    assert read_card(card_text(measured), source="card.md") == measured


@pytest.mark.parametrize("interval", ["[0.1]", "[0.1, 0.2, 0.3]", '["a", "b"]', "0.5"])
def test_an_interval_that_is_no_two_numbers_is_refused(interval: str) -> None:
    measured = dataclasses.replace(card(NetworkConfig(2)), intervals={"dice": (0.25, 0.75)})
    text = card_text(measured).replace("[0.25, 0.75]", interval)
    with pytest.raises(ModelError, match="interval of dice"):
        read_card(text, source="card.md")


def test_scores_of_an_unknown_kind_are_refused() -> None:
    text = card_text(card(NetworkConfig(2, scores="sigmoid"))).replace('"sigmoid"', '"tanh"')
    with pytest.raises(ModelError, match="softmax, sigmoid"):
        read_card(text, source="card.md")


TWO = ClassScheme((LabelClass("benign", "gland"),), (MaskClass("gland", "#00a0ff"), MaskClass("tumour", "#ff0000")))


def test_a_card_of_one_foreground_is_written_as_it_was_before_there_were_others() -> None:
    network = card_text(card(NetworkConfig(2))).partition("[network]")[2].partition("[network.pooling]")[0]
    assert (
        network.split()
        == (
            'labels = 2 backbone = "resnet18" stride = 32 background = false '
            'decoder_channels = [96, 64, 48, 32, 16] scores = "softmax"'
        ).split()
    )


def test_a_card_of_mask_classes_names_how_many_and_has_a_scheme_of_as_many() -> None:
    written = dataclasses.replace(card(NetworkConfig(2)), network=NetworkConfig(1, mask_classes=2), scheme=TWO)
    assert "mask_classes = 2" in card_text(written)
    assert read_card(card_text(written), source="card.md") == written
    with pytest.raises(ModelError, match="3 mask classes under a scheme of 2"):
        read_card(card_text(written).replace("mask_classes = 2", "mask_classes = 3"), source="card.md")


def test_a_card_of_before_that_calls_an_untrained_model_untaught_is_read() -> None:
    written = card_text(dataclasses.replace(card(NetworkConfig(2)), trained=False))
    old = written.replace("trained = false", "taught = false")
    assert old != written
    assert not read_card(old, source="card.md").trained
