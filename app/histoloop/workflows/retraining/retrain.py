"""Retrain a project's model on annotations: masks (label-prop, Algorithm 1), sizes or labels (thesis, min-max)."""

from __future__ import annotations

import copy
import dataclasses
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from histoloop.errors import ModelError
from histoloop.inference.precision import numbers_of
from histoloop.language import tr
from histoloop.networks.arrays import rounded_to_half, to_arrays
from histoloop.networks.build import with_mask_classes
from histoloop.progress import Progress
from histoloop.store.cards import Card, model_hash
from histoloop.store.files import written_to
from histoloop.store.model_folder import BACKBONE, save_model
from histoloop.training.measures.intervals import FiguresByCase
from histoloop.training.recipe import Recipe, load_recipe, recipe_path
from histoloop.training.statistics import learn_statistics, with_annotated
from histoloop.workflows.contents.estimates import extent_figures
from histoloop.workflows.contents.rounds import (
    CONSISTENCY_RECIPE,
    CandidateModel,
    HowToLearn,
    LearnFrom,
    candidate_model_of,
    is_for_the_project_alone,
    round_begins_with,
    slides_to_predict,
)
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_project_model
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.prediction.present_classes import present_classes, to_compare_with, to_go_on_from
from histoloop.workflows.prediction.robustness import robustness_of, with_robustness
from histoloop.workflows.regions.regions import RegionReader
from histoloop.workflows.retraining.fit import FittedModel, LearningSetup, fit_model
from histoloop.workflows.retraining.measure import measure
from histoloop.workflows.retraining.pretrain import pretrain_base
from histoloop.workflows.retraining.recipes import recipe_text
from histoloop.workflows.retraining.training_set import gather_training_set, painted_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histoloop.inference.likeness import TrainingStatistics
    from histoloop.network_config import NetworkConfig
    from histoloop.progress import Work
    from histoloop.store.model_folder import Weights
    from histoloop.store.project import Project
    from histoloop.store.records import RoundRecord
    from histoloop.workflows.prediction.present_classes import PresentClasses


_log = logging.getLogger(__name__)


def retrain(
    project: Project,
    *,
    how: HowToLearn | None = None,
    device: str = "auto",
    seed: int = 0,
    epochs: int | None = None,
    person: str = "",
) -> Work[CandidateModel]:
    """As `learn`; afterwards the candidate predicts the slides that have maps, or are annotated."""
    candidate = yield from learn(project, how=how, device=device, seed=seed, epochs=epochs, person=person)
    yield from predict_project(
        project, slide_ids=slides_to_predict(project), device=device, model_id=candidate.model_id
    )
    return candidate


def learn(
    project: Project,
    *,
    how: HowToLearn | None = None,
    device: str = "auto",
    seed: int = 0,
    epochs: int | None = None,
    person: str = "",
) -> Work[CandidateModel]:
    """Train on all annotations that are not held out, from the project's first model (theta_0).

    With `how.continued` the decoder goes on from the current model's.

    From 'masks' (and without `how`) the decoder learns, over the frozen classifier. From 'labels' and 'sizes' the
    backbone learns under a new head, then a decoder on the masks as far as there are any; from 'min-max' a localizer
    and a classifier. A region without a label of its own counts with its slide's, else with the one that theta_0
    predicts.

    The decoder tells the project's classes of today apart: what theta_0 knows of those that it learned goes on.

    The last epoch is kept, not the one that is best on the held-out annotations: those only measure. The candidate is
    on disk and on offer then, and has predicted nothing. Where nobody has trained the current model there is nothing to
    compare with: the candidate becomes the current one. The round keeps which `person` asked for it.

    ProjectError when there is nothing of that kind to learn from, or the classes were changed meanwhile; PlaceError
    when something cannot be written.
    """
    project.check_writable()
    how, started = how or HowToLearn(), time.monotonic()
    setup = yield from set_up(project, how, device=device, seed=seed, epochs=epochs)
    fitted = yield from fit_model(setup)
    yield Progress(tr("Measuring the new model"), 0, 1)
    figures = _measured(setup, fitted)
    figures |= FiguresByCase({"seconds": round(time.monotonic() - started, 1), **extent_figures(how)})
    statistics = yield from _statistics(setup, fitted)
    return candidate_model_of(_save_candidate(project, setup, fitted, figures, statistics, person))


# --- the learning setup -----------------------------------------------------------------------------------------------


def set_up(project: Project, how: HowToLearn, *, device: str, seed: int, epochs: int | None) -> Work[LearningSetup]:
    """Models, training set and recipe; ProjectError when there is nothing of the kind to learn from."""
    place, classes = choose_device(device), present_classes(project)
    newest = project.models.current()
    start = _start(project, how, place, classes)
    current = to_compare_with(project, load_project_model(newest, place), newest)
    torch.manual_seed(seed)
    network = with_mask_classes(start.network, _mask_classes(project, how, start))
    reader = RegionReader(project, start, network.to(place))
    training_set = yield from gather_training_set(project, how, reader, seed=seed)
    project.classes.check_revision(classes.revision)
    backbone = None
    if how.pace == "self-supervised":
        backbone = yield from _self_supervised(project, start, epochs=epochs, device=device, seed=seed)
    recipe = _recipe(how, epochs, start, place)
    _log.info("recipe %s, seed %d, %d annotations", recipe.name, seed, training_set.annotations)
    return LearningSetup(start, current, how, recipe, reader, training_set, classes, seed, backbone)


def _start(project: Project, how: HowToLearn, place: torch.device, classes: PresentClasses) -> LoadedModel:
    """The model that is to learn: theta_0, or to go on training theta_0 with the current model's decoder.

    Where the current model's classifier is not theta_0's, because it learned too, it is all of the current model; what
    tiles look like to it is not known then of those that theta_0 was trained on.
    """
    first = project.models.first()
    record = round_begins_with(first, project.models.current(), continued=how.continued)
    theta_0 = to_go_on_from(project, load_project_model(first, place), first, classes)
    if record.id == first.id:
        return theta_0
    model = to_go_on_from(project, load_project_model(record, place), record, classes)
    if _same_classifier(theta_0, model):
        return theta_0.with_network(model.network)
    return dataclasses.replace(model, statistics=None)


def _same_classifier(one: LoadedModel, other: LoadedModel) -> bool:
    if _classifier_config(one.card) != _classifier_config(other.card):
        return False
    tensors = other.network.state_dict()
    own = [(name, tensor) for name, tensor in one.network.state_dict().items() if not name.startswith("decoder.")]
    return all(name in tensors and torch.equal(tensor, tensors[name]) for name, tensor in own)


def _mask_classes(project: Project, how: HowToLearn, start: LoadedModel) -> int:
    """How many mask classes the decoder tells apart; 1 is one foreground.

    All of the project's once two of them are painted, or one that no label of the start model names: as long as one is
    painted, there is nothing yet to tell it from, and the class maps go on to name the classes. A model that tells
    classes apart stays one.
    """
    count = len(project.scheme.masks)
    if start.network.config.decodes_classes or count == 1 or not how.classes:
        return start.network.config.mask_classes
    painted = painted_values(project)
    named = set(start.card.foreground_values) if start.card.knows_labels else set()
    return 1 if len(painted) < 2 and painted <= named else count


def _self_supervised(
    project: Project, theta_0: LoadedModel, *, epochs: int | None, device: str, seed: int
) -> Work[dict[str, torch.Tensor]]:
    """theta_0's backbone after learning from all tissue of the project; done once, then kept with the project.

    Goes on where it was when it was stopped.
    """
    kept = project.folder / "pretrained" / f"{theta_0.hash[:16]}.safetensors"
    if not kept.exists():
        yield from pretrain_base(project, theta_0.folder, out=kept, epochs=epochs, device=device, seed=seed)
    try:
        weights: dict[str, torch.Tensor] = load_file(kept)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            tr("{path} cannot be read: {reason}.", path=kept, reason=error),
            advice=tr("Delete this file: the next retraining makes it again."),
        ) from error
    return weights


def _recipe(how: HowToLearn, epochs: int | None, theta_0: LoadedModel, device: torch.device) -> Recipe:
    """The shipped recipe of a way to learn; the quick one, and that of labels, take consistency from the other's.

    From masks it learns in bfloat16 where the processor is made for that.
    """
    recipe = load_recipe(recipe_path(how.recipe)).with_epochs(epochs)
    if how.learn_from == "labels":  # a model whose labels do not exclude each other stays one
        scores = theta_0.card.network.scores
        recipe = dataclasses.replace(recipe, classify=dataclasses.replace(recipe.classify, scores=scores))
    if how.consistency and recipe.name != CONSISTENCY_RECIPE:
        steady = load_recipe(recipe_path(CONSISTENCY_RECIPE))
        segment = dataclasses.replace(recipe.segment, consistency=steady.segment.consistency)
        classify = dataclasses.replace(recipe.classify, consistency=steady.classify.consistency)
        recipe = dataclasses.replace(recipe, segment=segment, classify=classify)
    if how.learn_from == "masks" and numbers_of("fast", device) == "bfloat16":
        loop = dataclasses.replace(recipe.segment.loop, precision="bfloat16")
        recipe = dataclasses.replace(recipe, segment=dataclasses.replace(recipe.segment, loop=loop))
    return recipe


# --- the candidate ----------------------------------------------------------------------------------------------------

_LEARNED: Mapping[LearnFrom, str] = {
    "masks": "The decoder of {name} retrained on {count} painted regions of the project '{project}'; the classifier is "
    "unchanged.",
    "sizes": "The backbone of {name} retrained on labels and sizes of {count} regions of the project '{project}'.",
    "labels": "The backbone of {name} retrained on {count} labelled tiles of the project '{project}'.",
    "min-max": "The backbone of {name} retrained by min-max entropy on {count} labelled tiles of '{project}'.",
}


def _measured(setup: LearningSetup, fitted: FittedModel) -> FiguresByCase:
    """Figures of a round; on the held-out annotations, where there are any, Dice before and after."""
    held_out = setup.training_set.held_out
    figures = FiguresByCase({"loss": float(fitted.result.figures["loss"]), "held_out": float(len(held_out))})
    before = setup.current if setup.current.card.trained else None
    figures |= measure(fitted.model, before, held_out, class_ids=setup.classes.ids)
    if setup.how.propagation:
        unlabelled = setup.training_set.unlabelled
        found = {"pseudo": float(len(unlabelled.pseudo)), "pseudo_others": float(len(unlabelled.others))}
        figures |= FiguresByCase(found)
    return figures


def _save_candidate(
    project: Project,
    setup: LearningSetup,
    fitted: FittedModel,
    figures: FiguresByCase,
    statistics: TrainingStatistics | None,
    person: str,
) -> RoundRecord:
    """Write the model's folder and offer it; then the pictures of what it learned from beside annotations."""
    number = project.rounds.next_number()
    folder = project.models.new_folder(number)
    card = _card(project, setup, fitted, figures, name=folder.name, number=number)
    weights, way_back = (_own(card, of) for of in (fitted.model.network.state_dict(), fitted.result.way_back()))
    save_model(
        folder,
        card,
        weights,
        recipe=recipe_text(setup.recipe),
        half=True,
        way_back=way_back,
        statistics=None if statistics is None else statistics.as_arrays(),
    )
    with project.transaction():
        record = project.rounds.add_candidate(
            project.models,
            folder.name,
            hash=model_hash(folder),
            parent=project.models.current().id,
            figures=figures.values,
            annotations=setup.training_set.annotations,
            person=person,
        )
        project.classes.bind(record.model_id, setup.classes.ids)
        if not setup.current.card.trained:
            project.models.make_current(record.model_id)
    if setup.training_set.unlabelled.pseudo:
        with written_to(project.folder / "pseudo"):
            setup.training_set.unlabelled.keep_pool(project, number, fitted.pseudo_masks)
    return record


def _own(card: Card, tensors: Mapping[str, torch.Tensor]) -> Weights:
    """The arrays that a model keeps itself: not those of an encoder that lies elsewhere."""
    kept = {name: tensor for name, tensor in tensors.items() if card.encoder is None or not name.startswith(BACKBONE)}
    return to_arrays(kept)


def _statistics(setup: LearningSetup, fitted: FittedModel) -> Work[TrainingStatistics | None]:
    """What the tiles are like that the candidate was trained on: the first model's, and those annotated since.

    Where the first model's folder does not say, and where its backbone has learned, they are those of the project
    alone, as the candidate sees them; None where these are too few to say anything.
    """
    start, frozen = setup.start.statistics, setup.learn_from == "masks" and setup.backbone is None
    if start is not None and frozen:
        return with_annotated(start, setup.start, setup.training_set.masked)
    stored = copy.deepcopy(fitted.model.network)
    stored.load_state_dict(rounded_to_half(stored.state_dict()))
    model, tiles = fitted.model.with_network(stored), setup.training_set.tiles
    return (yield from learn_statistics(model, tiles, setup.recipe.augment, seed=setup.seed))


def _card(
    project: Project,
    setup: LearningSetup,
    fitted: FittedModel,
    figures: FiguresByCase,
    *,
    name: str,
    number: int,
) -> Card:
    own, annotations = fitted.model.card, setup.training_set.annotations
    card = dataclasses.replace(
        own,
        name=name,
        title=f"{project.name}, round {number}",
        description=f"{_learned(setup, project)} Research use only: not a diagnostic device.\n\n{own.attribution}\n",
        training={"recipe": setup.recipe.name, "regions": float(annotations), "round": float(number)},
        figures={name: value for name, value in figures.values.items() if not is_for_the_project_alone(name)},
        intervals=figures.intervals,
        parent=setup.current.hash,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        trained=True,
        knows_labels=own.knows_labels or setup.how.needs_labels,
        encoder=own.encoder if setup.learn_from == "masks" else None,
    )
    return _with_robustness(card, setup.start.card, changed=setup.learn_from != "masks")


def _learned(setup: LearningSetup, project: Project) -> str:
    """How the model learned, for its card."""
    how, unlabelled = setup.how, setup.training_set.unlabelled
    learned = _LEARNED[setup.learn_from].format(
        name=setup.start.card.name, count=setup.training_set.annotations, project=project.name
    )
    if how.pace == "self-supervised":
        learned = f"The backbone learned from all tissue of the project first, without labels (SimSiam). {learned}"
    if how.pace == "quick":
        learned += " It learned quickly, on kept features in turned and flipped views."
    if how.continued and setup.current.card.trained:
        learned += f" The training went on from that of {setup.current.card.name}."
    if setup.mask_classes > 1:
        names = ", ".join(setup.classes.scheme.mask_names)
        learned += f" Its decoder tells {names} and background apart, as they were painted."
    if how.propagation and unlabelled.pseudo:
        learned += (
            f" {len(unlabelled.pseudo)} regions of like colours were learned from too, with the model's own masks."
        )
    if unlabelled.consistent:
        count = len(unlabelled.consistent)
        learned += f" On {count} regions that nobody annotated it was kept consistent with its own average."
    return learned


def _with_robustness(card: Card, base: Card, *, changed: bool) -> Card:
    """The card with the figures of the base model's attack while the classifier is the base model's.

    A classifier that has learned is not attacked anew: that would cost time in every round, and the labels that a
    project has are often the model's own. Its card states that nothing is known.
    """
    if not card.knows_labels:
        return card
    if _classifier_config(card) == _classifier_config(base) and not changed:
        where = f"when {base.name} was made, whose classifier this is"
        return with_robustness(card, robustness_of(base), measured_on=where)
    unknown = "Its classifier has changed since: how robust its labels are is not known."
    return dataclasses.replace(card, description=f"{card.description.rstrip()}\n\n{unknown}\n")


def _classifier_config(card: Card) -> NetworkConfig:
    """The network less its decoder, which may be a new one: of another stride or kind, its scores are others."""
    return dataclasses.replace(card.network, decoder_channels=(), mask_classes=1)
