"""What a training starts from: the weights that its recipe names, with the colours they are to see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from histoloop.encoders import encoder_named
from histoloop.network_config import ENCODER
from histoloop.networks.colours import Colours
from histoloop.store.cards import CARD, WEIGHTS, Card, load_card
from histoloop.store.encoders import added_encoder
from histoloop.training.datasets import measured_colours
from histoloop.training.pretrained import (
    IMAGENET,
    IMAGENET_COLOURS,
    RANDOM,
    colours_of,
    is_folded,
    start_backbone,
    unfold,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from histoloop.networks.backbone import Backbone
    from histoloop.progress import Work
    from histoloop.slides.reader import Pixels
    from histoloop.training.recipe import NetworkRecipe

ADDED = "added"
"""As the `weights` of a recipe: those of its encoder that `histoloop encoders add` keeps."""

STATISTICS_TILES = 32
"""So many tiles give the statistics of starting weights that come without."""


def start_from(backbone: Backbone, settings: NetworkRecipe, tiles: Sequence[Pixels]) -> Work[Colours]:
    """Fill a backbone with its starting weights; the colours that the network is to see come back.

    `tiles` (H, W, 3) are those it will learn from, at the resolution it sees: batch norms without statistics take
    theirs. ModelError when the weights cannot be had or do not fit.
    """
    weights = settings.weights
    if weights == ADDED:
        weights = str(added_encoder(settings.backbone.removeprefix(ENCODER)).path)
    yield from start_backbone(backbone, settings.backbone, weights)
    colours = starting_colours(settings, tiles)
    if settings.weights != RANDOM and is_folded(backbone):  # random batch norms look the same
        unfold(backbone, _some(tiles, colours))
    return colours


def starting_colours(settings: NetworkRecipe, tiles: Sequence[Pixels]) -> Colours:
    """The colours that the starting weights expect, or those of the tiles where nothing is known of the weights.

    In this order: as the recipe states; ImageNet's; as the encoder's entry says; of the card of the model that the
    weights are of; as the file of weights states. Random weights expect nothing.
    """
    if settings.mean:
        return Colours(settings.mean, settings.std)
    if settings.weights == RANDOM:
        return measured_colours(tiles)
    if settings.weights == IMAGENET:
        return IMAGENET_COLOURS
    if settings.backbone.startswith(ENCODER):
        encoder = encoder_named(settings.backbone.removeprefix(ENCODER))
        return Colours(encoder.mean, encoder.std)
    card = starting_card(settings)
    if card is not None:
        return Colours(card.mean, card.std)
    return colours_of(settings.weights) or measured_colours(tiles)


def starting_card(settings: NetworkRecipe) -> Card | None:
    """The card of the model whose backbone the network starts from; None where it starts from something else."""
    if settings.weights in (RANDOM, IMAGENET, ADDED):
        return None
    weights = Path(settings.weights).expanduser()
    return load_card(weights.parent) if weights.name == WEIGHTS and (weights.parent / CARD).is_file() else None


def _some(tiles: Sequence[Pixels], colours: Colours) -> Iterator[Tensor]:
    """Normalised tiles, one by one, spread over all."""
    for tile in tiles[:: max(1, len(tiles) // STATISTICS_TILES)]:
        yield colours.normalise(torch.from_numpy(tile).permute(2, 0, 1)[None].float() / 255)
