"""Which saved model suits these slides best, without a label: how far each moved in its last epochs (tod section V)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from histoloop.acquisition.model_selection import SelectionMeasures, selection_measures
from histoloop.acquisition.strategies.discrepancy import Outputs, cod
from histoloop.errors import DataError, ModelError, ProjectError
from histoloop.inference.features import outcomes
from histoloop.language import tr
from histoloop.progress import Progress, Work
from histoloop.store.cards import load_card
from histoloop.store.model_folder import keeps_earlier
from histoloop.training.datasets import read_dataset
from histoloop.training.measures.metrics import dice, judged
from histoloop.training.samples import foreground
from histoloop.workflows.boundary import why_it_failed
from histoloop.workflows.contents.suited_models import SuitedModels, comparable_models
from histoloop.workflows.prediction.loaded_model import LoadedModel, choose_device, load_model, one_epoch_earlier
from histoloop.workflows.regions.tiles import unlabelled_regions, unlabelled_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from histoloop.store.cards import Card
    from histoloop.store.project import Project
    from histoloop.training.datasets import Split
    from histoloop.training.samples import TrainingTile

    Tiles = Callable[[LoadedModel], Work[Sequence[TrainingTile]]]

REGIONS = 64
"""So many regions of a project are predicted, at most."""

PER_SLIDE = 4
"""So many regions of each slide are predicted to choose a model for it."""


@dataclass(frozen=True, slots=True)
class RegionDiscrepancy:
    """How far the output of one model for a region moved since its earlier state: squared, per pixel.

    `quality` is how good that output is where the data tells: Dice of the mask, or 1 for the right label and else 0.
    `case` is whose tissue it is: of a region of a project, its slide.
    """

    region: str
    discrepancy: float
    quality: float | None = None
    case: str = ""


@dataclass(frozen=True, slots=True)
class RankedModel:
    """A model with the mean over the regions, which come with the highest discrepancy first."""

    name: str
    folder: Path
    discrepancy: float
    regions: tuple[RegionDiscrepancy, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Models with the lowest mean discrepancy, and so the lowest estimated loss, first; ties in the order given.

    `warnings` are sentences to read with it, `failed` (model, picture or slide; reason) of what was left out.
    """

    models: tuple[RankedModel, ...]
    warnings: tuple[str, ...]
    failed: tuple[tuple[str, str], ...] = ()

    def best_of_regions(self) -> dict[str, Path]:
        """For each region the folder of the model that moved least there (tod section VI-E, sample level)."""
        table = [(one.region, one.discrepancy, model.folder) for model in self.models for one in model.regions]
        return {region: folder for region, _value, folder in sorted(table, key=lambda row: row[1], reverse=True)}

    def best_of_cases(self) -> dict[str, Path]:
        """For each case, of a project each slide, the folder of the model that moved least there in the mean."""
        moved: dict[str, dict[Path, list[float]]] = {}
        for model in self.models:
            for one in model.regions:
                if one.case:
                    moved.setdefault(one.case, {}).setdefault(model.folder, []).append(one.discrepancy)
        means = {case: {of: float(np.mean(own)) for of, own in models.items()} for case, models in moved.items()}
        return {case: min(models, key=models.__getitem__) for case, models in means.items()}

    def measures(self) -> SelectionMeasures | None:
        """How good the choice is by what the data tells of every region; None where it does not, or of one model."""
        rows = [sorted(model.regions, key=lambda one: one.region) for model in self.models]
        names = [[one.region for one in row] for row in rows]
        if len(rows) < 2 or any(name != names[0] for name in names):
            return None
        quality = [[one.quality for one in row if one.quality is not None] for row in rows]
        if any(len(row) != len(names[0]) for row in quality):
            return None
        moved = [[one.discrepancy for one in row] for row in rows]
        return selection_measures(np.array(moved), np.array(quality))

    def as_json(self) -> dict[str, object]:
        """All of it, for `json.dumps`."""
        measures = self.measures()
        return {
            "models": [
                {
                    "name": model.name,
                    "folder": str(model.folder),
                    "discrepancy": model.discrepancy,
                    "regions": [{"region": one.region, "discrepancy": one.discrepancy} for one in model.regions],
                }
                for model in self.models
            ],
            "best_of_regions": {region: str(folder) for region, folder in self.best_of_regions().items()},
            "best_of_cases": {case: str(folder) for case, folder in self.best_of_cases().items()},
            "measures": None if measures is None else {**asdict(measures), "hits": dict(measures.hits)},
            "warnings": list(self.warnings),
            "failed": [{"name": name, "reason": reason} for name, reason in self.failed],
        }


def rank_on_dataset(
    models: Sequence[Path],
    *,
    data: Path,
    split: Split = "whole",
    mpp: float | None = None,
    mpp_from_objective: bool = False,
    outputs: Outputs = "softmax",
    device: str = "auto",
) -> Work[Ranking]:
    """Rank model folders on the tiles of a data set, whose labels and masks take no part in the order.

    Where every tile has a mask (of models with a decoder), or a label, these measure how good the choice is.
    Its classes are to be the models' own, but nothing needs a label. All tiles count, or with the `split` 'official' or
    'case' those of the test part. Each model predicts them at its own resolution, as far as they are fine enough.
    A model or picture that fails is left out and named. DataError when there are none.
    """
    failed: dict[tuple[str, str], None] = {}

    def tiles(model: LoadedModel) -> Work[Sequence[TrainingTile]]:
        card = model.card
        found = yield from read_dataset(
            data,
            split=split,
            mpp=mpp,
            model_mpp=card.mpp,
            default_scheme=card.scheme,
            for_training=False,
            leave_out=True,
            from_objective=mpp_from_objective,
        )
        failed.update(dict.fromkeys(found.failed))
        if not found.test:
            raise DataError(
                tr("{data} has no test part.", data=found.name), advice=tr("Rank on all of it: --by whole.")
            )
        return found.test

    ranking = yield from _rank(models, tiles, outputs=outputs, device=device)
    return replace(ranking, failed=(*failed, *ranking.failed))


def rank_on_project(
    project: Project,
    models: Sequence[Path] = (),
    *,
    outputs: Outputs = "softmax",
    every_slide: bool = False,
    device: str = "auto",
    seed: int = 0,
) -> Work[Ranking]:
    """Rank model folders on regions of a project's slides that nobody annotated.

    Without `models`, those of the project that keep their earlier state. All predict the same regions, each at its own
    resolution: `REGIONS` at most, or with `every_slide` `PER_SLIDE` of each where that is more. A slide or model that
    fails is left out and named. ProjectError when no region is left or no model can be ranked.
    """
    base = load_card(project.models.first().folder)
    count = max(REGIONS, PER_SLIDE * len(project.slides.all())) if every_slide else REGIONS
    places = yield from unlabelled_regions(project, mpp=base.mpp, count=count, seed=seed)
    if not places:
        raise ProjectError(
            tr("Every region was asked about: there is none to compare models on."), advice=tr("Import more slides.")
        )
    chosen = list(models) or [record.folder for record in project.models.all() if keeps_earlier(record.folder)]
    if not chosen:
        raise ProjectError(
            tr("No model of this project keeps an earlier state."), advice=tr("Retrain first, or name models.")
        )

    failed: dict[str, str] = {}

    def tiles(model: LoadedModel) -> Work[Sequence[TrainingTile]]:
        read: list[TrainingTile] = []
        for place in places:
            try:
                read += yield from unlabelled_tiles([place], model)
            except Exception as error:  # what one slide stumbles over does not stop the others
                failed.setdefault(place[0].name, why_it_failed(error, writing_to=()))
        if not read:
            named = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            raise ProjectError(
                tr("No region can be read: {reasons}", reasons=named),
                advice=tr("Connect the disk that the slides are on."),
            )
        return read

    ranking = yield from _rank(chosen, tiles, outputs=outputs, device=device)
    return replace(ranking, failed=(*failed.items(), *ranking.failed))


def suit_slides(project: Project, *, device: str = "auto") -> Work[SuitedModels]:
    """For each slide the model of the project that moved least there, of those that can be compared.

    ProjectError when there are fewer than two of them, or no region is left that nobody annotated.
    """
    records = comparable_models(project)
    if len(records) < 2:
        raise ProjectError(
            tr("There are no two models to compare."),
            advice=tr("Retrain once more and keep the model: each round that is kept is one to choose from."),
        )
    folders = {record.folder: record.id for record in records}
    ranking = yield from rank_on_project(project, list(folders), every_slide=True, device=device)
    ids = {record.name: record.id for record in project.slides.all()}
    slides = {ids[name]: folders[folder] for name, folder in ranking.best_of_cases().items()}
    return SuitedModels(tuple(folders.values()), slides)


def discrepancies(
    model: LoadedModel, earlier: LoadedModel, tiles: Sequence[TrainingTile], *, outputs: Outputs = "softmax"
) -> Work[list[RegionDiscrepancy]]:
    """For each tile the squared distance between the outputs of two states of a model (the summand of tod eq 10).

    The outputs are the decoder's probabilities (as the authors' code has it) or its logits, whose squared distance is
    divided by the number of pixels so that tiles of any size compare; those of a network without a decoder are its
    scores. With each comes how good the output is, where the tile tells.
    """
    found: list[RegionDiscrepancy] = []
    for number, tile in enumerate(tiles):
        yield Progress(tr("Comparing {model} with its earlier state", model=model.card.name), number, len(tiles))
        now = output_of(model, tile)
        moved = cod(output_of(earlier, tile), now, outputs=outputs) ** 2
        found.append(RegionDiscrepancy(tile.name, moved, quality_of(model.card, now, tile), tile.case))
    return found


def quality_of(card: Card, output: NDArray[np.float32], tile: TrainingTile) -> float | None:
    """Dice of a decoder's foreground, or whether the label is right; None where the tile does not tell."""
    if not _has_decoder(card):
        return None if tile.label is None else float(np.argmax(output) == tile.label)
    if tile.mask is None:
        return None
    found = outcomes(output)
    mask = (found if found.ndim == 2 else 1 - found[0]) > card.threshold
    return dice(*judged(mask, foreground(tile.mask), tile.known))


def output_of(model: LoadedModel, tile: TrainingTile) -> NDArray[np.float32]:
    """The logits of a tile, (H, W) of one foreground or (L, H, W) of classes; without a decoder the scores (C,)."""
    tile_BCHW, _valid_BHW = model.padded(tile.pixels, multiple_px=model.network.stride_px)
    height, width = tile.pixels.shape[:2]
    with torch.inference_mode():
        if not _has_decoder(model.card):
            scores: NDArray[np.float32] = model.network.forward_classifier(tile_BCHW)[0][0].float().cpu().numpy()
            return scores
        logits_BLHW = model.network(tile_BCHW).mask_logits_BLHW
    logits: NDArray[np.float32] = logits_BLHW[0, :, :height, :width].float().cpu().numpy()
    return logits if model.network.config.decodes_classes else logits[0]


def _rank(models: Sequence[Path], tiles_for: Tiles, *, outputs: Outputs, device: str) -> Work[Ranking]:
    if lacking := [str(folder) for folder in models if not keeps_earlier(folder)]:
        raise ModelError(
            tr(
                "The earlier state, which the ranking compares with, is not kept in {folders}.",
                folders=", ".join(lacking),
            ),
            advice=tr("Leave them out, or train them once more: `histoloop train` keeps it beside the weights."),
        )
    place = choose_device(device)
    failed: list[tuple[str, str]] = []
    cards = [load_card(folder) for folder in models]
    if len({_has_decoder(card) for card in cards}) > 1:
        raise ModelError(
            tr("Models with a decoder and models without one cannot be compared: their outputs differ."),
            advice=tr("Rank each kind by itself."),
        )
    if len({card.network.mask_classes for card in cards}) > 1:
        raise ModelError(
            tr("Models with different numbers of mask classes cannot be compared: their outputs differ."),
            advice=tr("Rank each kind by itself."),
        )
    ranked: list[RankedModel] = []
    read: dict[float, Sequence[TrainingTile]] = {}
    for folder in models:
        try:
            model = load_model(folder, place)
            earlier = one_epoch_earlier(model)
        except Exception as error:  # a model that cannot be read does not stop the others
            failed.append((str(folder), why_it_failed(error, writing_to=())))
            continue
        if model.card.mpp not in read:
            read[model.card.mpp] = yield from tiles_for(model)
        tiles = read[model.card.mpp]
        try:
            values = yield from discrepancies(model, earlier, tiles, outputs=outputs)
        except Exception as error:  # nor one that cannot be computed with
            failed.append((str(folder), why_it_failed(error, writing_to=())))
            continue
        regions = sorted(values, key=lambda region: -region.discrepancy)
        mean = float(np.mean([region.discrepancy for region in regions]))
        ranked.append(RankedModel(model.card.name, folder, mean, tuple(regions)))
    if not ranked:
        raise ModelError(
            tr("No model could be ranked: {reasons}", reasons="; ".join(": ".join(one) for one in failed)),
            advice=tr("Train them once more."),
        )
    return Ranking(tuple(sorted(ranked, key=lambda model: model.discrepancy)), tuple(_warnings(cards)), tuple(failed))


UNCERTAIN = (
    "Measured on GlaS, the order of whole models says little (docs/active-learning.md): where anything is annotated, "
    "go by the Dice on annotations that are held out; where nothing is, take each region from the model that moved "
    "least there."
)


def _warnings(cards: Sequence[Card]) -> list[str]:
    """What makes the order doubtful; measured in docs/active-learning.md."""
    found = [UNCERTAIN]
    if len({card.training.get("recipe") for card in cards}) > 1:
        found.append(
            "These models come from different recipes: how far an output moves in an epoch also depends on the "
            "learning rate and on the steps of an epoch, so that the ranking says little across recipes."
        )
    if len({(card.training.get("masks"), card.training.get("regions")) for card in cards}) > 1:
        found.append(
            "These models learned from different numbers of masks or regions: one that learned from few may move "
            "little because it fits those few, and come first without being better."
        )
    return found


def _has_decoder(card: Card) -> bool:
    return bool(card.network.decoder_channels)
