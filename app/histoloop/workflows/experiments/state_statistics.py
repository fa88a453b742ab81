"""State what the tiles are like that a model was trained on, for a model that was made without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoloop.errors import DataError, ModelError
from histoloop.store.model_folder import RECIPE, STATISTICS, add_statistics
from histoloop.store.shipped import is_shipped
from histoloop.training.augment import AugmentSettings
from histoloop.training.datasets import read_dataset
from histoloop.training.recipe import load_recipe
from histoloop.training.statistics import FEWEST_CASES, FEWEST_TILES, learn_statistics
from histoloop.workflows.prediction.loaded_model import check_trained, choose_device, load_model

if TYPE_CHECKING:
    from histoloop.progress import Work
    from histoloop.training.datasets import Split


@dataclass(frozen=True, slots=True)
class StatedStatistics:
    """The file that was written, how many tiles it is of, and warnings about the data set."""

    path: Path
    tiles: int
    warnings: tuple[str, ...]


def state_statistics(
    model: Path,
    *,
    data: Path,
    split: Split = "official",
    seed: int = 0,
    mpp: float | None = None,
    mpp_from_objective: bool = False,
    device: str = "auto",
) -> Work[StatedStatistics]:
    """Measure the training part of a data set by a model, and keep in its folder what that is like.

    The data set is to be the one that the model was trained on, dealt the same way. ModelError for a shipped model,
    which is never changed, and for one that has statistics; DataError where the training part is too small.
    """
    if is_shipped(model):
        raise ModelError(
            f"{model.name} comes with the program and is never changed.",
            advice="Copy its folder, and give the path of the copy.",
        )
    if (model / STATISTICS).exists():
        raise ModelError(f"{model / STATISTICS} exists already.", advice="To create it again, delete it first.")
    loaded = load_model(model, choose_device(device))
    check_trained(loaded.card)
    recipe = model / RECIPE
    augmentation = load_recipe(recipe).augment if recipe.is_file() else AugmentSettings()
    dataset = yield from read_dataset(
        data,
        split=split,
        mpp=mpp,
        seed=seed,
        model_mpp=loaded.card.mpp,
        default_scheme=loaded.card.scheme,
        for_training=False,
        from_objective=mpp_from_objective,
    )
    statistics = yield from learn_statistics(loaded, dataset.training, augmentation, seed=seed)
    if statistics is None:
        raise DataError(
            f"The training part of {dataset.name} is too small: {len(dataset.training)} tiles.",
            advice=f"It takes {FEWEST_TILES} tiles of {FEWEST_CASES} cases.",
        )
    path = add_statistics(model, statistics.as_arrays())
    return StatedStatistics(path, len(dataset.training), dataset.warnings)
