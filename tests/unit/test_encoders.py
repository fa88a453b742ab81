"""The entries of encoders: each is a network of timm with the parameters it is published with."""

from __future__ import annotations

import pytest
import torch

from histoloop.encoders import encoder_named, known_encoders
from histoloop.errors import ModelError
from histoloop.networks.backbones import build_backbone

PUBLISHED_MILLIONS = {
    "uni": 303.4,
    "uni2-h": 681.4,
    "virchow": 631.2,
    "virchow2": 631.2,
    "h-optimus-0": 1134.8,
    "h-optimus-1": 1134.8,
    "prov-gigapath": 1135.0,
    "phikon-v2": 303.4,
    "midnight": 1134.8,
    "hibou-b": 85.7,
    "hibou-l": 303.2,
}


@pytest.mark.parametrize("name", known_encoders())
def test_an_entry_makes_a_network_of_the_stated_size(name: str) -> None:
    encoder = encoder_named(name)
    with torch.device("meta"):
        backbone = build_backbone(f"encoder/{name}")
    assert sum(part.numel() for part in backbone.parameters()) == encoder.parameters
    assert encoder.parameters / 1e6 == pytest.approx(PUBLISHED_MILLIONS.get(name, encoder.parameters / 1e6), abs=0.1)


@pytest.mark.parametrize("name", known_encoders())
def test_an_entry_says_where_it_is_from_and_what_is_to_be_accepted(name: str) -> None:
    encoder = encoder_named(name)
    assert encoder.source.startswith("https://")
    assert encoder.file.endswith((".bin", ".safetensors"))
    assert encoder.licence
    assert encoder.terms
    assert 0.1 < encoder.mpp < 2
    assert all(0 < value < 1 for value in (*encoder.mean, *encoder.std))


def test_every_encoder_that_was_promised_has_an_entry() -> None:
    assert PUBLISHED_MILLIONS.keys() <= known_encoders().keys()
    assert sum(name.startswith("kaiko-") for name in known_encoders()) == 5


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ModelError, match=r"no encoder 'uni3' \(did you mean 'uni'\?\).*virchow2"):
        encoder_named("uni3")
