"""The training set of a retraining: what people annotated, what measures it, and what is unlabelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoloop.errors import ProjectError
from histoloop.language import tr
from histoloop.training.samples import TrainingTile
from histoloop.workflows.contents.rounds import LearnFrom, nothing_to_learn_from
from histoloop.workflows.regions.regions import ProjectRegion, RegionReader
from histoloop.workflows.regions.tiles import annotated_tiles, unlabelled_regions, unlabelled_tiles
from histoloop.workflows.retraining.unlabelled import UNLABELLED_REGIONS, UnlabelledRegions, find_unlabelled

if TYPE_CHECKING:
    from histoloop.progress import Work
    from histoloop.store.project import Project
    from histoloop.workflows.contents.rounds import HowToLearn
    from histoloop.workflows.prediction.loaded_model import LoadedModel


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Tiles to learn from, those held out to measure with, and regions for what goes by regions.

    `annotations` of the `tiles` are people's: a self-supervised start adds some with the label that the model predicts.
    `painted` are the regions with masks that are not held out.
    """

    tiles: Sequence[TrainingTile]
    annotations: int
    held_out: Sequence[TrainingTile]
    painted: Sequence[ProjectRegion]
    unlabelled: UnlabelledRegions

    @property
    def masked(self) -> list[TrainingTile]:
        """The tiles with masks."""
        return [tile for tile in self.tiles if tile.mask is not None]


def gather_training_set(project: Project, how: HowToLearn, reader: RegionReader, *, seed: int) -> Work[TrainingSet]:
    """All that a way of learning takes of a project, at the resolution of the reader's model.

    ProjectError when there is nothing of that kind to learn from.
    """
    if how.needs_labels and not project.scheme.labels:
        raise ProjectError(
            tr("This project has no labels to learn from."),
            advice=tr("Learn from painted masks, or make a new project with labels of its own."),
        )
    classes = reader.network.config.decodes_classes
    found, held_out = yield from annotated_tiles(project, reader.model, classes=classes)
    tiles = _of_kind(found, how.learn_from, reader.model, project)
    annotations, painted = len(tiles), reader.all_annotated()
    unlabelled = yield from find_unlabelled(project, how, reader, painted, seed=seed)
    if how.pace == "self-supervised":
        more = yield from _unlabelled_tiles(project, reader.model, seed)
        tiles = _all_labelled([*tiles, *more], reader.model)
        _check_classes(tiles)
    return TrainingSet(tiles, annotations, held_out, painted, unlabelled)


def painted_values(project: Project) -> frozenset[int]:
    """The values of the mask classes that are painted in the masks that are not held out."""
    found: set[int] = set()
    for record in project.annotations.finished():
        if record.has_mask and not record.held_out:
            found.update(np.unique(project.annotations.load_mask(record.id)[0]).tolist())
    return frozenset(found - {0})


def _unlabelled_tiles(project: Project, model: LoadedModel, seed: int) -> Work[list[TrainingTile]]:
    """Unlabelled regions, which count with the label that the model predicts: the new classifier learns from them."""
    places = yield from unlabelled_regions(project, mpp=model.card.mpp, count=UNLABELLED_REGIONS, seed=seed)
    return (yield from unlabelled_tiles(places, model))


def _check_classes(tiles: Sequence[TrainingTile]) -> None:
    if len({tile.label for tile in tiles}) < 2:
        raise ProjectError(
            tr("A new classifier needs regions of at least two labels, and all here have the same one."),
            advice=tr("Label some slides of another class (Slides panel), or learn from painted masks."),
        )


def _of_kind(
    tiles: Sequence[TrainingTile], learn_from: LearnFrom, model: LoadedModel, project: Project
) -> list[TrainingTile]:
    """The tiles with an annotation of this kind; ProjectError when they do not suffice."""
    if learn_from == "masks":
        masked = [tile for tile in tiles if tile.mask is not None]
        if not masked:
            raise nothing_to_learn_from(project)
        return masked
    if learn_from == "sizes":
        sized = [tile for tile in tiles if tile.size is not None or (tile.mask is not None and tile.states_size)]
        if not sized:
            raise ProjectError(
                tr("No region has a size to learn from."),
                advice=tr("State how much of some regions is foreground, or paint them."),
            )
        return _all_labelled(sized, model)
    labelled = [tile for tile in tiles if tile.label is not None]
    if len({tile.label for tile in labelled}) < 2:
        raise ProjectError(
            tr("Learning from labels needs regions or slides of at least two labels."),
            advice=tr("Label some slides (Slides panel) or regions (as you annotate them) of another class."),
        )
    return labelled


def _all_labelled(tiles: Sequence[TrainingTile], model: LoadedModel) -> list[TrainingTile]:
    """The tiles, each with a label: its own, or the one that the model predicts, where that learned to.

    Without such a model those with labels of their own are left; ProjectError where there is none.
    """
    if model.card.knows_labels:
        return [_labelled(tile, model) for tile in tiles]
    own = [tile for tile in tiles if tile.label is not None]
    if not own:
        raise ProjectError(
            tr("No region to train on has a label, and no model of the project can predict one yet."),
            advice=tr("Label slides (Slides panel) or regions first, or learn from painted masks."),
        )
    return own


def _labelled(tile: TrainingTile, model: LoadedModel) -> TrainingTile:
    """The tile with a label: its own, or the one that the model predicts."""
    if tile.label is not None:
        return tile
    return dataclasses.replace(tile, label=model.predict_tile(tile.pixels, decode=False).label)
