"""Measure a candidate by cross-validation: each annotated region by a decoder that was fitted to the others."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.progress import Progress, Work, mapped
from histoloop.store.cards import load_card
from histoloop.training.cached import train_on_features
from histoloop.training.measures.intervals import paired_change
from histoloop.workflows.contents.cross_validation import FEWEST_REGIONS, CrossValidated, folds_of, new_to_model
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.retraining.fit import features_of_views, quick_settings
from histoloop.workflows.retraining.measure import dice_of_tiles
from histoloop.workflows.retraining.retrain import set_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.networks.hybrid import Hybrid
    from histoloop.store.project import Project
    from histoloop.training.features import FeatureTile
    from histoloop.training.samples import TrainingTile
    from histoloop.workflows.prediction.loaded_model import LoadedModel
    from histoloop.workflows.retraining.fit import LearningSetup


def cross_validate(
    project: Project, model_id: int, *, device: str = "auto", seed: int = 0, epochs: int | None = None
) -> Work[CrossValidated]:
    """Measure the round that made a model on all painted regions, held out or not, and keep that with the round.

    In turn each fold of regions (`folds_of`) is left out, and a decoder is fitted to the others as in a quick round:
    on kept features of the first model's frozen classifier. What it makes of the regions left out is measured. So the
    figures are those of models that are made as the candidate is from a little less, not of the candidate itself; the
    intervals are Student's over the regions, whose models share most of what they learned from, and are somewhat too
    narrow (Bengio and Grandvalet 2004). The model in use is compared on regions that are new to it alone
    (`new_to_model`). ProjectError where fewer than three regions that do not overlap are painted.
    """
    project.check_writable()
    made = next(one for one in project.rounds.all() if one.model_id == model_id)
    how = HowToLearn(pace="quick", classes=load_card(project.models.get(model_id).folder).network.decodes_classes)
    setup = yield from set_up(project, how, device=device, seed=seed, epochs=epochs)
    regions = setup.reader.all_annotated(with_held_out=True)
    tiles = [region.tile() for region in regions]
    usable = [number for number, tile in enumerate(tiles) if tile.mask is not None]
    regions, tiles = [regions[number] for number in usable], [tiles[number] for number in usable]
    folds = folds_of([(region.slide.id, region.region) for region in regions])
    if len(folds) < FEWEST_REGIONS:
        raise ProjectError(
            tr("There are too few painted regions to cross-validate."),
            advice=tr("Paint at least three regions that do not overlap."),
        )
    views = yield from features_of_views(regions, quick_settings(setup.recipe))
    after = np.zeros(len(regions))
    for number, fold in enumerate(folds):
        model = yield from _fitted_without(setup, views, fold, number=number, of=len(folds))
        after[fold] = dice_of_tiles(model, [tiles[one] for one in fold], setup.mask_classes_of_project)
    found = _summed_up(project, setup, [region.mask_id for region in regions], tiles, after)
    now = next(one for one in project.rounds.all() if one.model_id == model_id)
    project.rounds.set_figures(made.number, {**now.figures, **found.as_figures()})
    return found


def _fitted_without(
    setup: LearningSetup, views: Sequence[list[FeatureTile]], fold: Sequence[int], *, number: int, of: int
) -> Work[LoadedModel]:
    """A model whose decoder has learned from all regions but those of a fold."""
    network: Hybrid = copy.deepcopy(setup.reader.network)
    assert network.decoder is not None  # by LearningSetup
    fitting = train_on_features(
        network.decoder,
        annotated=[own for one, own in enumerate(views) if one not in fold],
        settings=quick_settings(setup.recipe),
        device=setup.start.device,
        seed=setup.seed,
    )
    stage, message = tr("Cross-validating"), tr("{number} of {count}", number=number + 1, count=of)
    yield from mapped(fitting, lambda step: Progress(stage, number + step.fraction, of, message))
    return setup.start.with_network(network)


def _summed_up(
    project: Project,
    setup: LearningSetup,
    annotation_ids: Sequence[int | None],
    tiles: Sequence[TrainingTile],
    after: NDArray[np.float64],
) -> CrossValidated:
    own = paired_change([0.0] * len(after), after.tolist())  # of figures beside nothing: the interval of their mean
    assert own is not None  # there are three
    interval, dice = (max(0.0, own[0]), own[1]), float(after.mean())
    if not setup.current.card.trained:
        return CrossValidated(len(after), dice, interval)
    records = [project.annotations.get(one) for one in annotation_ids if one is not None]
    new = np.array(new_to_model(project, project.models.current().id, records))
    if new.sum() < 2:
        return CrossValidated(len(after), dice, interval, int(new.sum()))
    compared = [tile for tile, is_new in zip(tiles, new, strict=True) if is_new]
    before = dice_of_tiles(setup.current, compared, setup.mask_classes_of_project)
    change = paired_change(before, after[new].tolist())
    return CrossValidated(
        len(after), dice, interval, len(compared), float(np.mean(before)), float(after[new].mean()), change
    )
