"""Make a model from a data set by a recipe: classifier on image labels, decoder on the masks that are lent."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from histoloop.errors import DataError, ModelError, RecipeError
from histoloop.inference.model import Model
from histoloop.localisation.methods import localisation_methods, title
from histoloop.networks.arrays import rounded_to_half, to_arrays
from histoloop.networks.build import build_network
from histoloop.store.cards import Card
from histoloop.store.files import clear_partial
from histoloop.store.model_folder import save_model
from histoloop.training.checkpoint import Checkpoint, discard
from histoloop.training.classify import (
    classification_figures,
    classify,
    several_labels_figures,
    train_classifier,
)
from histoloop.training.datasets import DataSet, lend_masks, read_dataset
from histoloop.training.measures.calibration import (
    Forecasts,
    fitted_temperature,
    fitted_temperature_of_several,
    forecasts,
    forecasts_of_several,
)
from histoloop.training.measures.figures import multi_label_figures
from histoloop.training.measures.intervals import INTERVALS, FiguresByCase, FiguresOf, figures_by_case, interval_text
from histoloop.training.measures.metrics import accuracy
from histoloop.training.objectives import check_labels
from histoloop.training.pretrained import IMAGENET, RANDOM
from histoloop.training.ranks import Ranks, stated_ranks, statistics_of_all, together
from histoloop.training.recipe import Recipe, load_recipe, recipe_path
from histoloop.training.samples import have_several_labels, multi_hot
from histoloop.training.segment import counted_masks, train_decoder
from histoloop.training.statistics import learn_statistics, statistics_figures
from histoloop.workflows.prediction.loaded_model import choose_device, nth_device
from histoloop.workflows.prediction.robustness import attack_figures, with_robustness
from histoloop.workflows.retraining.recipes import recipe_text
from histoloop.workflows.retraining.starting_weights import start_from, starting_card

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from histoloop.annotations.records import ClassScheme
    from histoloop.progress import Work
    from histoloop.training.datasets import Split
    from histoloop.training.loop import FitResult
    from histoloop.training.samples import TrainingTile


_log = logging.getLogger(__name__)

STAGES = (CLASSIFY, DECODE) = ("classify.safetensors", "decoder.safetensors")
"""Files in the folder of a training that is not done, one a stage."""


def train_model(
    *,
    recipe: str,
    data: Path,
    out: Path,
    device: str = "auto",
    seed: int = 0,
    epochs: int | None = None,
    split: Split = "official",
    mpp: float | None = None,
    mpp_from_objective: bool = False,
    warn: Callable[[str], object] | None = None,
) -> Work[Path]:
    """Train by a recipe on the data set `data` and write the model folder `out`; `epochs` shortens all stages.

    A training that was stopped goes on where it was when the same command is given again: its state is kept in
    `<out>.training` until the model is written. The figures on the card are of the data set's validation part, measured
    on the weights as stored. Started by torchrun, several processes train together: batches are as many times larger as
    there are processes, and the first writes (training/ranks.py). `warn` gets the warnings about the data set, which is
    on the card too, before the training begins: some of it is better mended than trained on for hours.
    """
    if out.exists():
        raise ModelError(f"{out} exists already.", advice="Give a new folder: models are never overwritten.")
    plan = load_recipe(recipe_path(recipe)).with_epochs(epochs)
    place = choose_device(nth_device(device, stated_ranks().local) if stated_ranks().size > 1 else device)
    with together(place) as ranks:
        return (yield from _train_together(plan, place, ranks, data, out, seed, split, mpp, mpp_from_objective, warn))


def _train_together(
    plan: Recipe,
    place: torch.device,
    ranks: Ranks,
    data: Path,
    out: Path,
    seed: int,
    split: Split,
    mpp: float | None,
    mpp_from_objective: bool,
    warn: Callable[[str], object] | None,
) -> Work[Path]:
    """By this process and those beside it, of which the first writes the model."""
    started = time.monotonic()
    dataset = yield from read_dataset(
        data, split=split, mpp=mpp, seed=seed, scale=plan.data.scale, from_objective=mpp_from_objective
    )
    check_labels(plan.classify, (*dataset.training, *dataset.validation))
    if warn is not None and ranks.is_first:
        for warning in dataset.warnings:
            warn(warning)
    _log.info("recipe %s, seed %d, %d training tiles", plan.name, seed, len(dataset.training))
    config = plan.network_config(len(dataset.scheme.labels))
    torch.manual_seed(seed)
    network = build_network(config)
    colours = yield from start_from(network.backbone, plan.network, [tile.pixels for tile in dataset.training])
    model = Model(network.to(memory_format=torch.channels_last), colours, place)
    setting = _Setting(model, plan, dataset, seed)
    state = out.with_name(f"{out.name}.training")
    try:
        with statistics_of_all(network, ranks):
            lent, fitted = yield from _train(setting, state, _key(setting, data, split))
    except RecipeError:
        if ranks.is_first:
            discard(state, *STAGES)  # to go on from there would only fail again
        raise
    if not ranks.is_first:
        return out
    minutes = (time.monotonic() - started) / 60
    network.load_state_dict(
        rounded_to_half(network.state_dict())
    )  # the figures are of the weights as they will be stored
    several = have_several_labels((*dataset.training, *dataset.validation))
    if plan.classify.temperature_scaling:
        _scale_temperature(model, dataset.validation, several_labels=several)
    figures = validation_figures(model, dataset.validation, dataset.scheme, several_labels=several)
    card = yield from _with_robustness(_card(out.name, setting, figures, lent, minutes), setting)
    statistics = yield from learn_statistics(model, dataset.training, plan.augment, seed=seed)
    if statistics is not None:
        card = dataclasses.replace(card, figures={**card.figures, **statistics_figures()})
    weights, way_back = to_arrays(network.state_dict()), to_arrays(fitted.way_back())
    with suppress(OSError):
        clear_partial(out.absolute().parent, of=f"{out.stem}.")
    save_model(
        out,
        card,
        weights,
        recipe=recipe_text(plan),
        half=True,
        way_back=way_back,
        statistics=None if statistics is None else statistics.as_arrays(),
    )
    discard(state, *STAGES)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    """What is trained, by what, on what."""

    model: Model
    plan: Recipe
    dataset: DataSet
    seed: int


def _key(setting: _Setting, data: Path, split: Split) -> str:
    """What a training is of: recipe, data and seed; another one cannot go on from its state."""
    dataset = setting.dataset
    tiles = [(tile.name, tile.labels) for tile in (*dataset.training, *dataset.validation)]
    what = (recipe_text(setting.plan), str(data.resolve()), split, setting.seed, dataset.mpp, dataset.scheme, tiles)
    return hashlib.sha256(repr(what).encode()).hexdigest()


def _train(setting: _Setting, state: Path, key: str) -> Work[tuple[int, FitResult]]:
    """Both stages; how many masks were lent to the second, and what the last stage gave."""
    plan, dataset = setting.plan, setting.dataset
    if plan.classify.supervision == "sizes":
        _check_sizes(dataset)
    fitted: FitResult | None = None
    if plan.classify.supervision != "none":
        fitted = yield from train_classifier(
            setting.model,
            training=[tile for tile in dataset.training if tile.label is not None],
            validation=[tile for tile in dataset.validation if tile.label is not None],
            settings=plan.classify,
            augmentation=plan.augment,
            seed=setting.seed,
            unlabelled=[tile for tile in dataset.training if tile.label is None],
            checkpoint=Checkpoint(state / CLASSIFY, key),
        )
    if not plan.mask_fraction:
        assert fitted is not None  # a recipe without supervision is refused
        return 0, fitted
    lent = lend_masks(dataset.training, fraction=plan.mask_fraction, seed=setting.seed)
    with_masks = {id(tile) for tile in lent}
    fitted = yield from train_decoder(
        setting.model,
        training=lent,
        validation=[tile for tile in dataset.validation if tile.mask is not None],
        settings=plan.segment,
        augmentation=plan.augment,
        seed=setting.seed,
        unlabelled=[tile for tile in dataset.training if id(tile) not in with_masks],
        checkpoint=Checkpoint(state / DECODE, key),
    )
    return len(lent), fitted


def _check_sizes(dataset: DataSet) -> None:
    if all(tile.size is None and tile.mask is None for tile in dataset.training):
        raise DataError(
            f"There is no size to learn from: none of the {len(dataset.training)} training tiles has one, nor a mask.",
            advice="Give a CSV file with a column 'size', or masks, or choose a recipe that learns from labels.",
        )


def validation_figures(
    model: Model, tiles: Sequence[TrainingTile], scheme: ClassScheme, *, several_labels: bool = False
) -> FiguresByCase:
    """Classification over tiles with labels, recall per label class that occurs, Dice over tiles with masks.

    Where tiles may have several labels, the average precision and the error of each label stand for its recall.
    """
    model.network.eval()
    found = FiguresByCase({"tiles": float(len(tiles)), "cases": float(len({tile.case for tile in tiles}))})
    labelled = [tile for tile in tiles if tile.label is not None]
    if labelled:
        scores_NC = classify(model, labelled) / model.network.config.temperature
        figures_of = _figures_of_several if several_labels else _figures_of_one
        labels = [tile.labels for tile in labelled]
        found |= figures_by_case(figures_of(scores_NC, labels, scheme), [tile.case for tile in labelled])
    masked = [tile for tile in tiles if tile.mask is not None]
    if masked:
        counted = counted_masks(model, masked)

        def of_masks(rows: NDArray[np.intp]) -> dict[str, float]:
            return counted.figures(rows) | {"dice_all_foreground": counted.all_foreground(rows)}

        found |= figures_by_case(of_masks, [tile.case for tile in masked])
    return found


def _scale_temperature(model: Model, tiles: Sequence[TrainingTile], *, several_labels: bool) -> None:
    """Give the network the temperature that fits tiles with labels best; 1 as before where there are none."""
    labelled = [tile for tile in tiles if tile.labels]
    if not labelled:
        return
    model.network.eval()
    scores_NC = classify(model, labelled).numpy()
    if several_labels:
        truth_NC = multi_hot([tile.labels for tile in labelled], scores_NC.shape[1])
        temperature = fitted_temperature_of_several(scores_NC, truth_NC)
    else:
        temperature = fitted_temperature(scores_NC, [tile.labels[0] for tile in labelled])
    model.network.config = dataclasses.replace(model.network.config, temperature=round(temperature, 4))


def _figures_of_one(scores_NC: Tensor, labels: Sequence[tuple[int, ...]], scheme: ClassScheme) -> FiguresOf:
    """Figures of tiles of one label, given by their rows."""
    first = np.array([own[0] for own in labels])
    stated = forecasts(scores_NC.numpy(), first.tolist())

    def figures(rows: NDArray[np.intp]) -> dict[str, float]:
        scores, truth = scores_NC[torch.from_numpy(rows)], first[rows].tolist()
        found = classification_figures(scores, truth) | _calibration(stated, rows)
        if len(scheme.masks) == 2:
            found |= {"gland_or_tumour_accuracy": _mask_class_accuracy(scores, truth, scheme)}
        return found | _recalls(scores, truth, scheme)

    return figures


def _figures_of_several(scores_NC: Tensor, labels: Sequence[tuple[int, ...]], scheme: ClassScheme) -> FiguresOf:
    """Figures of tiles that may have several labels, given by their rows."""
    stated = forecasts_of_several(scores_NC.numpy(), multi_hot(labels, len(scheme.labels)))

    def figures(rows: NDArray[np.intp]) -> dict[str, float]:
        scores, truth = scores_NC[torch.from_numpy(rows)], [labels[row] for row in rows]
        return _of_each_label(scores, truth, scheme) | _calibration(stated, rows)

    return figures


def _calibration(stated: Forecasts, rows: NDArray[np.intp]) -> dict[str, float]:
    """Less the log loss, which is the cross-entropy."""
    found = stated.figures(rows)
    return {name: found[name] for name in ("calibration_error", "brier_score")}


def _of_each_label(scores_NC: Tensor, labels: Sequence[tuple[int, ...]], scheme: ClassScheme) -> dict[str, float]:
    figures = several_labels_figures(scores_NC, labels)
    found = multi_label_figures(scores_NC.numpy(), multi_hot(labels, len(scheme.labels)))
    for name, precision, error in zip(scheme.label_names, found.average_precision.per_class, found.errors, strict=True):
        figures |= {} if precision is None else {f"average precision {name}": precision}
        figures |= {f"error {name}": error}
    return figures


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


def _card(name: str, setting: _Setting, figures: FiguresByCase, masks_lent: int, minutes: float) -> Card:
    dataset, plan = setting.dataset, setting.plan
    red, green, blue = setting.model.colours.mean
    red_std, green_std, blue_std = setting.model.colours.std
    rounded = figures.rounded(4)
    return Card(
        name=name,
        title=f"{name}: {', '.join(mask.name for mask in dataset.scheme.masks)} in {dataset.name} tissue",
        description=_description(setting, rounded, masks_lent),
        licence=dataset.licence,
        attribution=dataset.attribution,
        network=setting.model.network.config,
        scheme=dataset.scheme,
        mpp=dataset.mpp,
        mean=(red, green, blue),
        std=(red_std, green_std, blue_std),
        training={
            "recipe": plan.name,
            "seed": float(setting.seed),
            "tiles": float(len(dataset.training)),
            "masks": float(masks_lent),
            "minutes": round(minutes, 1),
        },
        figures=rounded.values,
        intervals=rounded.intervals,
        parent=None,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _with_robustness(card: Card, setting: _Setting) -> Work[Card]:
    """The card with the figures of an attack on validation tiles, or on training tiles where those have no label."""
    plan, dataset = setting.plan.robustness, setting.dataset
    if not plan.tiles:
        return card
    judged = any(tile.label is not None for tile in dataset.validation)
    figures = yield from attack_figures(
        setting.model,
        card,
        dataset.validation if judged else dataset.training,
        count=plan.tiles,
        settings=plan.attack,
        seed=setting.seed,
    )
    where = "of the validation part" if judged else "of the training part (it knows them: expect less of others)"
    return with_robustness(card, figures, measured_on=where)


def _description(setting: _Setting, figures: FiguresByCase, masks_lent: int) -> str:
    dataset, plan = setting.dataset, setting.plan
    count = len(dataset.training)
    start = starting_card(plan.network)
    weights = f"{start.name}'s" if start else f"{_START.get(plan.network.weights, 'given')}"
    learned = [
        f"Trained by the recipe '{plan.name}' ({plan.source}) on {_SUPERVISION[plan.classify.supervision]} of {count} "
        f"{dataset.name} tiles, from {weights} weights."
    ]
    if masks_lent:
        how = "the classifier frozen" if plan.segment.freeze else "the whole network learning"
        share = f"{masks_lent} ({masks_lent / count:.1%})"
        steady = masks_lent < count and plan.segment.consistency.weight > 0
        others = ", and on the rest by staying consistent with its own average (tod eq 6-9)" if steady else ""
        learned.append(f"Then, with {how}, a U-Net decoder on the masks of {share}{others}.")
    else:
        drawn = title(localisation_methods(setting.model.network.config)[0])
        learned.append(f"It has seen no outline: its masks are drawn from its class maps ({drawn}).")
    parts = [
        "Research use only: not a diagnostic device.",
        " ".join((*learned, dataset.notes)).strip(),
        dataset.attribution,
        *(f"Mind: {warning}" for warning in dataset.warnings),
        _figures_text(setting, figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_SUPERVISION = {
    "labels": "the labels",
    "min-max": "the labels",
    "sizes": "the labels and foreground sizes",
    "none": "the masks",
}
_START = {RANDOM: "random", IMAGENET: "ImageNet"}


def _figures_text(setting: _Setting, figures: FiguresByCase) -> str:
    dataset, temperature = setting.dataset, setting.model.network.config.temperature
    if not dataset.validation:
        return "It was not measured: the data set has no validation part."
    known = {label for tile in dataset.validation for label in tile.labels}
    absent = [name for index, name in enumerate(dataset.scheme.label_names) if index not in known]
    note = f"No validation tile is labelled {' or '.join(absent)}: nothing is known of those. " if absent else ""
    if "label_error" in figures.values:
        note += "A label is predicted where its sigmoid is above 0.5; `label_error` is the mean over the labels. "
    if temperature != 1:
        note += f"Scores are divided by {temperature:.4g}, fitted on these tiles, before they become probabilities. "
    table = "\n".join(
        f"| {key} | {value:.4g} | {interval_text(figures.intervals.get(key))} |"
        for key, value in figures.values.items()
    )
    return (
        "## Figures on the validation part\n\n"
        f"The best epochs were chosen on these same tiles, so expect a little less on new tissue. {note}`dice` is the "
        "mean over tiles, `pooled_dice` over pixels; `dice_all_foreground` is what calling every pixel foreground "
        f"would give (mean over tiles). `calibration_error` and `brier_score` say how far probabilities mean "
        f"what they say (0 is best). {INTERVALS}\n\n| figure | value | 95 % |\n|---|---|---|\n{table}"
    )
