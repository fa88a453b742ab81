"""A model whose weights are random: quick, and wrong about everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.arrays import to_arrays
from histoloop.networks.build import build_network
from histoloop.store.cards import Card
from histoloop.store.model_folder import save_model

if TYPE_CHECKING:
    from pathlib import Path

SCHEME = ClassScheme(
    labels=(LabelClass("benign", "gland"), LabelClass("malignant", "tumour")),
    masks=(MaskClass("gland", "#00a0ff"), MaskClass("tumour", "#d01020")),
)


def write_tiny_model(folder: Path) -> Path:
    """A classifier of two labels with a small decoder, on the smallest backbone there is."""
    torch.manual_seed(0)
    config = NetworkConfig(
        labels=2,
        backbone="mobilenet_v3_small",
        pooling=PoolingConfig(name="average", modalities=1),
        decoder_channels=(8, 8, 8, 8, 8),
    )
    card = Card(
        name=folder.name,
        title="A tiny model",
        description="For tests.",
        licence="CC0-1.0",
        attribution="Nobody",
        network=config,
        scheme=SCHEME,
        mpp=1.0,
        mean=(0.6, 0.4, 0.6),
        std=(0.2, 0.2, 0.2),
        training={},
        figures={},
        parent=None,
        created="2026-01-01T00:00:00+00:00",
    )
    return save_model(folder, card, to_arrays(build_network(config).state_dict()), recipe="", half=True)
