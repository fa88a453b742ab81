"""Make a model from a data set by a recipe: classifier on image labels, decoder on the masks that are lent."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from histoloop.errors import ModelError
from histoloop.networks.config import NetworkConfig
from histoloop.networks.hybrid import Hybrid, build_hybrid
from histoloop.store.cards import Card
from histoloop.store.models import save_model
from histoloop.training.classify import classification_figures, classify, train_classifier
from histoloop.training.datasets import DataSet, colour_statistics, lend_masks, read_dataset
from histoloop.training.metrics import accuracy
from histoloop.training.recipe import Recipe, load_recipe, recipe_path
from histoloop.training.segment import segmentation_figures, train_decoder
from histoloop.workflows.models import choose_device

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme
    from histoloop.progress import Work
    from histoloop.training.samples import TrainingTile


def train_model(
    *, recipe: str, data: Path, out: Path, device: str = "auto", seed: int = 0, epochs: int | None = None
) -> Work[Path]:
    """Train on the data set `data` and write the model folder `out`; `epochs` shortens both stages.

    The figures on the card are of the data set's validation cases, measured on the weights as stored.
    """
    if out.exists():
        raise ModelError(f"{out} exists already.", advice="Give a new folder: models are never overwritten.")
    source = recipe_path(recipe)
    plan = _with_epochs(load_recipe(source), epochs)
    place = choose_device(device)
    started = time.monotonic()
    dataset = yield from read_dataset(data, seed=seed)
    mean, std = colour_statistics(dataset.training)
    torch.manual_seed(seed)
    config = NetworkConfig(
        labels=len(dataset.scheme.labels),
        backbone=plan.network.backbone,
        pooling=plan.network.pooling,
        decoder_channels=plan.network.decoder_channels,
    )
    network = build_hybrid(config).to(memory_format=torch.channels_last)
    yield from train_classifier(
        network,
        training=dataset.training,
        validation=dataset.validation,
        settings=plan.classify,
        augmentation=plan.augment,
        mean=mean,
        std=std,
        device=place,
        seed=seed,
    )
    lent = lend_masks(dataset.training, fraction=plan.mask_fraction, seed=seed)
    yield from train_decoder(
        network,
        training=lent,
        validation=dataset.validation,
        settings=plan.segment,
        augmentation=plan.augment,
        mean=mean,
        std=std,
        device=place,
        seed=seed,
    )
    weights = {
        name: tensor.half().float() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(weights)  # the figures are of the weights as they will be stored
    figures = validation_figures(network, dataset.validation, dataset.scheme, mean=mean, std=std, device=place)
    card = _card(out.name, plan, dataset, config, (mean, std), figures, seed, len(lent), time.monotonic() - started)
    return save_model(out, card, network.state_dict(), recipe=source.read_text(encoding="utf-8"), half=True)


def _with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    if epochs is None:
        return recipe
    classify_loop = dataclasses.replace(recipe.classify.loop, epochs=epochs)
    segment_loop = dataclasses.replace(recipe.segment.loop, epochs=epochs)
    return dataclasses.replace(
        recipe,
        classify=dataclasses.replace(recipe.classify, loop=classify_loop),
        segment=dataclasses.replace(recipe.segment, loop=segment_loop),
    )


def validation_figures(
    network: Hybrid,
    tiles: Sequence[TrainingTile],
    scheme: ClassScheme,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
) -> dict[str, float]:
    """Classification and Dice over tiles with labels and masks, and recall per label class that occurs."""
    network.eval()
    scores_NC = classify(network, tiles, mean=mean, std=std, device=device)
    labels = [tile.label for tile in tiles if tile.label is not None]
    figures = {"tiles": float(len(tiles)), "cases": float(len({tile.case for tile in tiles}))}
    figures |= classification_figures(scores_NC, labels)
    figures |= {"gland_or_tumour_accuracy": _mask_class_accuracy(scores_NC, labels, scheme)}
    figures |= _recalls(scores_NC, labels, scheme)
    figures |= segmentation_figures(network, tiles, mean=mean, std=std, device=device)
    everywhere = [float(2 * tile.mask.mean() / (1 + tile.mask.mean())) for tile in tiles if tile.mask is not None]
    return figures | {"dice_all_foreground": float(np.mean(everywhere))}


def _mask_class_accuracy(scores_NC: Tensor, labels: Sequence[int], scheme: ClassScheme) -> float:
    values = np.array([scheme.mask_value_of_label(index) for index in range(len(scheme.labels))])
    posterior = scores_NC.softmax(dim=1).numpy()
    classes = np.unique(values)
    per_mask = np.stack([posterior[:, values == value].sum(axis=1) for value in classes], axis=1)
    return accuracy(classes[per_mask.argmax(axis=1)].tolist(), values[list(labels)].tolist())


def _recalls(scores_NC: Tensor, labels: Sequence[int], scheme: ClassScheme) -> dict[str, float]:
    predicted, truth = scores_NC.argmax(dim=1).numpy(), np.asarray(labels)
    return {
        f"recall {name}": float(np.mean(predicted[truth == index] == index))
        for index, name in enumerate(scheme.label_names)
        if (truth == index).any()
    }


def _card(
    name: str,
    plan: Recipe,
    dataset: DataSet,
    config: NetworkConfig,
    colours: tuple[list[float], list[float]],
    figures: Mapping[str, float],
    seed: int,
    masks_lent: int,
    seconds: float,
) -> Card:
    (red, green, blue), (red_std, green_std, blue_std) = colours
    rounded = {key: round(value, 4) for key, value in figures.items()}
    return Card(
        name=name,
        title=f"{name}: {', '.join(mask.name for mask in dataset.scheme.masks)} in {dataset.name} tissue",
        description=_description(dataset, rounded, masks_lent),
        licence=dataset.licence,
        attribution=dataset.attribution,
        network=config,
        scheme=dataset.scheme,
        mpp=dataset.mpp,
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
        training={
            "recipe": plan.name,
            "seed": float(seed),
            "tiles": float(len(dataset.training)),
            "masks": float(masks_lent),
            "minutes": round(seconds / 60, 1),
        },
        figures=rounded,
        parent=None,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _description(dataset: DataSet, figures: Mapping[str, float], masks_lent: int) -> str:
    table = "\n".join(f"| {key} | {value:.4g} |" for key, value in figures.items())
    seen = {tile.label for tile in dataset.validation}
    absent = [name for index, name in enumerate(dataset.scheme.label_names) if index not in seen]
    shared = " ".join(dataset.warnings) or "No case is in both training and validation."
    note = f"No validation case is labelled {' or '.join(absent)}: nothing is known of those. " if absent else ""
    return (
        "Research use only: not a diagnostic device.\n\n"
        f"A classifier trained from random weights on the image labels of {len(dataset.training)} {dataset.name} "
        f"tiles, then frozen; a U-Net decoder trained over it on the masks of {masks_lent} of them "
        f"({masks_lent / len(dataset.training):.1%}). {dataset.notes}\n\n"
        f"{dataset.attribution}\n\n"
        "## Figures on the validation cases\n\n"
        f"{shared} The best epochs were chosen on these same cases, so expect a "
        f"little less on new tissue. {note}`dice` is the mean over tiles, `pooled_dice` over pixels; "
        "`dice_all_foreground` is what calling every pixel foreground would give (mean over tiles).\n\n"
        f"| figure | value |\n|---|---|\n{table}\n"
    )
