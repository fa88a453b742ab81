"""Measure a model on a data set: its labels, its masks by each localisation method, and pictures of both."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Mapping, Sequence, Set
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from histoloop.acquisition.linear_probe import ProbeKind
from histoloop.annotations.records import Mask
from histoloop.errors import DataError, suggestion
from histoloop.exchange.comparison import write_comparison
from histoloop.exchange.evaluation import EvaluationRow, EvaluationTable, write_evaluation_json
from histoloop.exchange.panels import ComparisonColumn, ComparisonRow
from histoloop.exchange.reliability import ReliabilityBin, write_reliability
from histoloop.inference.tile_views import SCALES, predict_in_views
from histoloop.localisation.methods import DECODER, localisation_methods
from histoloop.localisation.stitcher import NAMING_CELLS, mask_from_maps, mask_of_classes
from histoloop.networks.gradcam import layer_named
from histoloop.progress import Progress, Work, finish
from histoloop.training.datasets import DataSet, Split, read_dataset
from histoloop.training.ddn import DdnSettings
from histoloop.training.measures.calibration import Forecasts, forecasts, forecasts_of_several
from histoloop.training.measures.figures import MaskTally, label_figures, multi_label_figures
from histoloop.training.measures.intervals import FiguresByCase, FiguresOf, figures_by_case
from histoloop.training.measures.metrics import average_precision
from histoloop.training.samples import foreground, have_several_labels, multi_hot
from histoloop.workflows.boundary import why_it_failed
from histoloop.workflows.cluster.spread import HERE, Spread, spread_over
from histoloop.workflows.experiments.probe import check_probed, probe_row
from histoloop.workflows.experiments.truth import KnownTile, classes_compare, differences, in_words_of
from histoloop.workflows.prediction.loaded_model import (
    LoadedModel,
    check_taught,
    choose_device,
    device_of_worker,
    load_model,
)
from histoloop.workflows.prediction.robustness import attack_figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histoloop.annotations.records import ClassScheme
    from histoloop.inference.tile_output import TileOutput
    from histoloop.training.samples import TrainingTile

Part = Literal["train", "val", "test"]
Rule = Literal["predicted", "true-label", ""]

ALL_FOREGROUND = "all foreground"
LABEL_FREE = (DECODER, "size", "min-max")
"""Drawings that no single label takes part in: there is one mask, whatever the label."""

ROBUSTNESS_TILES = 20

MOST_NAMED = 5
"""So many pictures that failed are named in an error."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What is measured of which part of the data.

    `layer`, a dotted name, adds Grad-CAM at that layer. `pictures` tiles, spread over the part, are shown.
    `robustness` attacks some tiles by DDN, whose changed values are rounded to `quantise_levels` where that is given;
    with a `target`, a label's name, it looks for the smallest change to that label. `probe` adds what a linear head or
    SVM on the frozen backbone tells, taught by the labels of the data set's training part. With `views` labels and
    masks, but for Grad-CAM, are means over a tile and its mirror image at four scales (inference/tile_views.py).
    """

    part: Part = "test"
    split: Split = "official"
    seed: int = 0
    layer: str | None = None
    pictures: int = 12
    robustness: bool = False
    quantise_levels: int | None = None
    target: str | None = None
    probe: ProbeKind | None = None
    views: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The table, sentences to read with it, and what was measured; (picture, reason) of those that were left out.

    `reliability` says what probabilities of labels came true; empty where no label is known.
    """

    table: EvaluationTable
    warnings: tuple[str, ...]
    about: Mapping[str, str | int | float | None]
    failed: tuple[tuple[str, str], ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Localised:
    """A tile by one localisation method: values (H, W) in [0, 1] and the mask with its classes."""

    method: str
    rule: Rule
    value: NDArray[np.floating]
    threshold: float
    mask: Mask


def evaluate_model(
    model: Path,
    *,
    data: Path,
    settings: EvaluationSettings,
    device: str = "auto",
    mpp: float | None = None,
    mpp_from_objective: bool = False,
    json: Path | None = None,
    pictures: Path | None = None,
    reliability: Path | None = None,
    spread: Spread = HERE,
) -> Work[Evaluation]:
    """Measure the model folder `model` on a part of the data set `data`, read at the model's own resolution.

    Masks are compared wherever the tiles have them, by every localisation method the model offers and, where the label
    takes part, for the predicted and for the true label; of several labels each is found, and foreground is what is
    foreground of any. Where tiles of the data set have several labels, each label has a row of figures, and pictures
    of its own. Labels and mask classes of the data go by their names: what the model does not know of them is left
    out, with a warning. `json` and `pictures` name the file and the folder to write, `reliability` the PNG of a
    reliability diagram, with its numbers as CSV beside it. Figures have intervals by case
    (training/measures/intervals.py). A picture that fails, whatever the reason, is left out and named. With `spread`
    pictures are measured side by side, by processes that read the data set each; the figures are the same. DataError
    when the part is empty, has neither masks nor a label that the model knows, or several labels a tile where the model
    takes them to exclude each other, and where no picture is left.
    """
    question = _Question(model.absolute(), data.absolute(), settings, device, mpp, mpp_from_objective)
    subject = yield from _subject(dataclasses.replace(question, device="auto") if spread.is_elsewhere else question)
    loaded, dataset, known = subject.loaded, subject.dataset, subject.known
    warnings = [*dataset.warnings, *differences(loaded.card, known)]
    tallies: dict[tuple[str, Rule], MaskTally] = {}
    scores: list[NDArray[np.float32]] = []
    rows: list[ComparisonRow] = []
    failed, measured = list(dataset.failed), []
    for one in sorted((yield from _all_measured(subject, question, spread)), key=lambda one: one.number):
        tile = known[one.number].tile
        if one.scores is None:
            failed.append((tile.name, one.reason))
            continue
        measured.append(tile)
        scores.append(one.scores)
        for drawing, tally in one.tallies.items():
            tallies.setdefault(drawing, MaskTally()).join(tally)
        rows += [one.row] if one.row is not None else []
    tiles = tuple(measured)
    if not tiles:
        named = "; ".join(": ".join(one) for one in failed[:MOST_NAMED])
        raise DataError(
            f"No picture of {dataset.name} could be measured: {named}",
            advice="Mend or copy the pictures again.",
        )
    about = _about(loaded, data, settings, dataset, tiles)
    labels = _several_labels(loaded, tiles, scores) if subject.several else _one_label(loaded, tiles, scores)
    own_rows = list(_rows(loaded, tiles, labels.together, tallies, classes=subject.compared))
    table = EvaluationTable((*own_rows, *labels.rows))
    if settings.robustness and any(len(tile.labels) == 1 for tile in tiles):
        table = yield from _with_robustness(table, loaded, tiles, settings)
    elif settings.robustness:
        warnings.append(f"Robustness is not measured: no tile has a label that {loaded.card.name} knows.")
    if settings.probe is not None:
        learned = in_words_of(loaded.card, dataset.training, dataset.scheme) if dataset.training else ()
        row = yield from probe_row(loaded, [one.tile for one in learned], tiles, kind=settings.probe)
        table = EvaluationTable((*table.rows, row))
    if pictures is not None:
        write_comparison(pictures, rows, title=f"{loaded.card.name} on {dataset.name}, {settings.part}")
    if json is not None:
        write_evaluation_json(json, table, about=about, reliability=labels.bins)
    if reliability is not None and labels.bins:
        error = labels.together.values["calibration_error"]
        title = f"{loaded.card.name} on {dataset.name}, {settings.part}"
        write_reliability(reliability, labels.bins, title=title, calibration_error=error)
    elif reliability is not None:
        warnings.append(f"There is no reliability diagram: no tile has a label that {loaded.card.name} knows.")
    return Evaluation(table, tuple(warnings), about, tuple(failed), labels.bins)


# --- what is measured, tile by tile, here or elsewhere ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Question:
    """Which model is measured on what: plain values, for other processes."""

    model: Path
    data: Path
    settings: EvaluationSettings
    device: str
    mpp: float | None
    mpp_from_objective: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """Model and tiles. `compared`: masks by their classes; `several`: labels do not exclude each other."""

    loaded: LoadedModel
    dataset: DataSet
    known: Sequence[KnownTile]
    shown: Set[int]
    compared: bool
    several: bool
    layer: str | None
    views: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """What a tile came to; without `scores`, at the model's temperature, the `reason` why it could not be measured."""

    number: int
    scores: NDArray[np.float32] | None = None
    tallies: Mapping[tuple[str, Rule], MaskTally] = field(default_factory=dict)
    row: ComparisonRow | None = None
    reason: str = ""


def _subject(question: _Question) -> Work[_Subject]:
    """Load the model and read the data set."""
    settings = question.settings
    loaded = load_model(question.model, choose_device(question.device))
    check_taught(loaded.card)
    if settings.probe is not None:
        check_probed(loaded)
    if settings.layer is not None:
        layer_named(loaded.network, settings.layer)
    names = loaded.card.scheme.label_names
    if settings.target is not None and settings.target not in names:
        raise DataError(
            f"{loaded.card.name} has no label {settings.target!r}{suggestion(settings.target, names)}.",
            advice=f"Its labels: {', '.join(names)}.",
        )
    dataset = yield from read_dataset(
        question.data,
        split=settings.split,
        mpp=question.mpp,
        seed=settings.seed,
        model_mpp=loaded.card.mpp,
        default_scheme=loaded.card.scheme,
        for_training=False,
        leave_out=True,
        from_objective=question.mpp_from_objective,
    )
    tiles = {"train": dataset.training, "val": dataset.validation, "test": dataset.test}[settings.part]
    if not tiles:
        advice = "Choose another part (--split), or deal the tiles another way (--by)."
        raise DataError(f"{dataset.name} has no {settings.part} part.", advice=advice)
    known = in_words_of(loaded.card, tiles, dataset.scheme)
    own_tiles = tuple(one.tile for one in known)
    _check_labels(loaded, own_tiles)
    independent = loaded.card.network.scores == "sigmoid"
    several = independent and have_several_labels((*dataset.training, *dataset.validation, *dataset.test))
    shown = _shown(own_tiles, settings.pictures)
    compared = classes_compare(known)
    return _Subject(loaded, dataset, known, shown, compared, several, settings.layer, settings.views)


def _measure(subject: _Subject, number: int) -> _Measured:
    """One tile; what it stumbles over does not stop the others."""
    loaded, one = subject.loaded, subject.known[number]
    tile, is_shown = one.tile, number in subject.shown
    tallies: dict[tuple[str, Rule], MaskTally] = {}
    try:
        predict = loaded.predict_tile
        output = predict_in_views(predict, tile.pixels) if subject.views else predict(tile.pixels)
        drawn = list(_draw(loaded, tile, output, subject.layer)) if tile.mask is not None or is_shown else []
    except Exception as error:
        return _Measured(number, reason=why_it_failed(error, writing_to=()))
    if tile.mask is not None:
        _count(tallies, drawn, one, loaded.card.scheme, classes=subject.compared)
    row = _row(one, drawn, output, loaded.card.scheme, label_by_label=subject.several) if is_shown else None
    return _Measured(number, output.scores / np.float32(output.config.temperature), tallies, row)


def _all_measured(subject: _Subject, question: _Question, spread: Spread) -> Work[list[_Measured]]:
    stage, total = f"Measuring {subject.loaded.card.name}", len(subject.known)
    measured: list[_Measured] = []
    if spread.is_here:
        for number in range(total):
            yield Progress(stage, number, total)
            measured.append(_measure(subject, number))
        return measured
    numbers = range(total)
    shares = [_Share(question, numbers[start : start + SHARE]) for start in range(0, total, SHARE)]
    with closing(spread_over(spread, measure_elsewhere, shares)) as finished:
        for one in finished:
            measured += [] if one is None else one.result()
            yield Progress(stage, len(measured), total)
    return measured


SHARE = 32
"""So many tiles a process measures before it reports."""


@dataclass(frozen=True, slots=True)
class _Share:
    """Tiles for another process, by their numbers."""

    question: _Question
    numbers: range


_ONE_SHARE = threading.Lock()
"""A worker with several threads has one model."""


def measure_elsewhere(share: _Share) -> list[_Measured]:
    """Measure some tiles in a process that is there for such."""
    with _ONE_SHARE:
        subject = _subject_here(share.question)
        return [_measure(subject, number) for number in share.numbers]


@functools.lru_cache(maxsize=1)
def _subject_here(question: _Question) -> _Subject:
    """Model and data set, once in a process."""
    return finish(_subject(dataclasses.replace(question, device=device_of_worker(question.device))))


def _check_labels(loaded: LoadedModel, tiles: Sequence[TrainingTile]) -> None:
    if loaded.card.network.scores == "softmax" and have_several_labels(tiles):
        raise DataError(
            f"Some of the {len(tiles)} tiles have several labels, but {loaded.card.name} takes labels to exclude each "
            "other.",
            advice='Choose a model trained with scores = "sigmoid", or give each tile one label.',
        )


def _about(
    loaded: LoadedModel, data: Path, settings: EvaluationSettings, dataset: DataSet, tiles: Sequence[TrainingTile]
) -> dict[str, str | int | float | None]:
    return {
        "model": loaded.card.name,
        "model_hash": loaded.hash,
        "data": str(data),
        "data_set": dataset.name,
        "split": settings.split,
        "part": settings.part,
        "seed": settings.seed,
        "temperature": loaded.card.network.temperature,
        "views": 2 * len(SCALES) if settings.views else 1,
        "tiles": len(tiles),
        "cases": len({tile.case for tile in tiles if tile.case}),
        "mpp": dataset.mpp,
        "device": loaded.device.type,
    }


def _shown(tiles: Sequence[TrainingTile], count: int) -> set[int]:
    """Tiles to draw, spread over the part; those with a label where there are any: a row has a column for each rule."""
    able = [number for number, tile in enumerate(tiles) if tile.label is not None] or list(range(len(tiles)))
    places = np.linspace(0, len(able) - 1, min(count, len(able))).round().astype(int)
    return {able[place] for place in places}


# --- masks ------------------------------------------------------------------------------------------------------------


def _draw(loaded: LoadedModel, tile: TrainingTile, output: TileOutput, layer: str | None) -> Iterator[_Localised]:
    """The tile's masks by every localisation method and rule."""
    for method in localisation_methods(output.config):
        for rule, labels in _labels_to_localise(method, tile, output):
            values = np.stack([output.foreground(method, label=label) for label in labels])
            threshold = loaded.card.threshold if method == localisation_methods(output.config)[0] else 0.5
            if method == DECODER and output.decoded is not None and output.config.decodes_classes:
                mask = mask_of_classes(output.decoded, threshold=threshold)
                yield _Localised(method, rule, values[0], threshold, mask)
                continue
            yield _localised(method, rule, values, threshold, _classes(method, labels, values, output, loaded))
    if layer is not None:
        for rule, labels in _labels_to_localise("grad-cam", tile, output):
            values = np.stack([loaded.grad_cam(tile.pixels, layer=layer, label=label) for label in labels])
            classes = _classes("grad-cam", labels, values, output, loaded)
            yield _localised(f"grad-cam at {layer}", rule, values, 0.5, classes)


def _labels_to_localise(method: str, tile: TrainingTile, output: TileOutput) -> Iterator[tuple[Rule, tuple[int, ...]]]:
    if method in LABEL_FREE:
        yield "", (output.label,)
        return
    yield "predicted", output.labels
    if tile.labels:
        yield "true-label", tile.labels


def _localised(
    method: str, rule: Rule, values_LHW: NDArray[np.floating], threshold: float, classes: Mask
) -> _Localised:
    """Foreground of any of the labels found, with its mask classes (H, W)."""
    value = values_LHW.max(axis=0)
    return _Localised(method, rule, value, threshold, np.where(value > threshold, classes, 0).astype(np.uint8))


def _classes(
    method: str, labels: Sequence[int], values_LHW: NDArray[np.floating], output: TileOutput, loaded: LoadedModel
) -> Mask:
    """The mask class (H, W) that foreground has: of the strongest of the labels found, or as predictions are named."""
    scheme = loaded.card.scheme
    if method in LABEL_FREE:
        maps, cell_px = output.maps[: output.config.labels], output.cell_px
        everywhere = np.ones((output.height, output.width), np.float32)
        cells = NAMING_CELLS * output.config.stride / cell_px
        return mask_from_maps(everywhere, maps, loaded.card, threshold=0.5, stride_px=cell_px, average_cells=cells)
    mask_values = np.array([scheme.mask_value_of_label(index) for index in range(len(scheme.labels))], np.uint8)
    classes: Mask = mask_values[np.asarray(labels)[values_LHW.argmax(axis=0)]]
    return classes


def _count(
    tallies: dict[tuple[str, Rule], MaskTally],
    drawn: Sequence[_Localised],
    known: KnownTile,
    scheme: ClassScheme,
    *,
    classes: bool,
) -> None:
    """Compare a tile's masks with its truth."""
    truth = known.truth(classes=classes)
    everywhere = np.full(truth.shape, max(1, int(truth.max())), np.uint8)
    case = known.tile.case
    tallies.setdefault((ALL_FOREGROUND, ""), MaskTally()).add(everywhere, truth, case=case)
    for one in drawn:
        found = _judged(one.mask, known.tile, scheme)
        tallies.setdefault((one.method, one.rule), MaskTally()).add(found, truth, case=case)


def _judged(mask: Mask, tile: TrainingTile, scheme: ClassScheme) -> Mask:
    """The mask with the class of any of the tile's labels as that of the first, which its truth has throughout.

    Of several labels it is not known which pixel is whose.
    """
    if not tile.other_labels:
        return mask
    classes = [scheme.mask_value_of_label(label) for label in tile.labels]
    return np.where(np.isin(mask, classes), np.uint8(classes[0]), mask)


def _row(
    known: KnownTile, drawn: Sequence[_Localised], output: TileOutput, scheme: ClassScheme, *, label_by_label: bool
) -> ComparisonRow:
    tile, names = known.tile, scheme.label_names
    truth = f"{known.label_name}, " if known.label_name else ""
    predicted = ", ".join(names[label] for label in output.labels)
    columns = [
        ComparisonColumn(one.method, one.rule, np.clip(one.value, 0, 1), one.threshold, _dice(tile, one))
        for one in drawn
    ]
    if label_by_label:
        columns += [
            ComparisonColumn("sigmoid", name, output.foreground("sigmoid", label=label), 0.5)
            for label, name in enumerate(names)
        ]
    mask = None if tile.mask is None else foreground(tile.mask)
    return ComparisonRow(tile.name, tile.pixels, mask, f"{truth}predicted {predicted}", tuple(columns))


def _dice(tile: TrainingTile, drawn: _Localised) -> float | None:
    if tile.mask is None:
        return None
    return MaskTally().add(drawn.mask > 0, tile.mask).dice_foreground


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _LabelRows:
    """Figures of all labels together, for the rows of the masks, and the rows of each label where it has one.

    `bins` are of a reliability diagram.
    """

    together: FiguresByCase = field(default_factory=FiguresByCase)
    rows: tuple[EvaluationRow, ...] = ()
    bins: tuple[ReliabilityBin, ...] = ()


def _one_label(loaded: LoadedModel, tiles: Sequence[TrainingTile], scores: Sequence[NDArray[np.float32]]) -> _LabelRows:
    """Of tiles with one label each, whether or not the model takes labels to exclude each other."""
    known = [(row, tile.label, tile.case) for row, tile in zip(scores, tiles, strict=True) if tile.label is not None]
    if not known:
        return _LabelRows()
    rows, labels, cases = zip(*known, strict=True)
    logits_NC, truth = np.stack(rows), np.array(labels)
    if loaded.card.network.scores == "sigmoid":
        ranked_NC, stated = logits_NC, forecasts_of_several(logits_NC, truth[:, None] == np.arange(logits_NC.shape[1]))
    else:  # a logit means nothing without the others of its tile
        ranked_NC, stated = softmax(logits_NC, axis=1), forecasts(logits_NC, labels)

    def figures_of(chosen: NDArray[np.intp]) -> dict[str, float | None]:
        found = label_figures(ranked_NC[chosen], truth[chosen].tolist())
        return {
            "error": found.error,
            "balanced_accuracy": found.balanced_accuracy,
            "mean_average_precision": found.average_precision.mean,
            **stated.figures(chosen),
        }

    return _LabelRows(figures_by_case(figures_of, cases), bins=_bins(stated))


def _several_labels(
    loaded: LoadedModel, tiles: Sequence[TrainingTile], scores: Sequence[NDArray[np.float32]]
) -> _LabelRows:
    """Each label by itself, over the tiles whose labels are known."""
    known = [(row, tile.labels, tile.case) for row, tile in zip(scores, tiles, strict=True) if tile.labels]
    if not known:
        return _LabelRows()
    logits, labels, cases = zip(*known, strict=True)
    names = loaded.card.scheme.label_names
    logits_NC, truth_NC = np.stack(logits), multi_hot(labels, len(names))
    stated = forecasts_of_several(logits_NC, truth_NC)

    def figures_of(chosen: NDArray[np.intp]) -> dict[str, float | None]:
        found = multi_label_figures(logits_NC[chosen], truth_NC[chosen])
        figures = {"label_error": found.error, "mean_average_precision": found.average_precision.mean}
        return {**figures, **stated.figures(chosen)}

    def figures_of_label(label: int) -> FiguresOf:
        def figures(chosen: NDArray[np.intp]) -> dict[str, float | None]:
            scores_N, truth_N = logits_NC[chosen, label], truth_NC[chosen, label]
            precision = average_precision(scores_N, truth_N) if truth_N.any() else None
            return {"label_error": float(np.mean((scores_N > 0) != truth_N)), "average_precision": precision}

        return figures

    own = [figures_by_case(figures_of_label(label), cases) for label in range(len(names))]
    rows = tuple(
        EvaluationRow(
            f"{loaded.card.name}: label {name}",
            "",
            {"average_precision": None, **found.values, "tiles": len(known), "tiles_with_label": int(count)},
            found.intervals,
        )
        for name, found, count in zip(names, own, truth_NC.sum(axis=0), strict=True)
    )
    return _LabelRows(figures_by_case(figures_of, cases), rows, _bins(stated))


def _bins(stated: Forecasts) -> tuple[ReliabilityBin, ...]:
    return tuple(ReliabilityBin(**asdict(one)) for one in stated.bins())


def _rows(
    loaded: LoadedModel,
    tiles: Sequence[TrainingTile],
    labels: FiguresByCase,
    tallies: Mapping[tuple[str, Rule], MaskTally],
    *,
    classes: bool,
) -> Iterator[EvaluationRow]:
    if not tallies:
        yield EvaluationRow(loaded.card.name, "", {**labels.values, "tiles": len(tiles)}, labels.intervals)
    for (method, rule), tally in tallies.items():
        is_model = method != ALL_FOREGROUND
        own = labels.values if is_model else dict.fromkeys(labels.values)
        name = method if method == ALL_FOREGROUND else f"{loaded.card.name}: {method}"
        masks = asdict(tally.figures())
        intervals = tally.intervals()
        if not classes:  # every pixel was counted as of one class
            del masks["dice_classes"]
            intervals.pop("dice_classes", None)
        yield EvaluationRow(name, rule, {**own, **masks}, {**(labels.intervals if is_model else {}), **intervals})


def _with_robustness(
    table: EvaluationTable, loaded: LoadedModel, tiles: Sequence[TrainingTile], settings: EvaluationSettings
) -> Work[EvaluationTable]:
    """The table with DDN's figures of some tiles, sampled at random, in the model's rows."""
    names = loaded.card.scheme.label_names
    figures = yield from attack_figures(
        loaded,
        loaded.card,
        tiles,
        count=ROBUSTNESS_TILES,
        settings=dataclasses.replace(DdnSettings(), quantise_levels=settings.quantise_levels),
        seed=settings.seed,
        target=None if settings.target is None else names.index(settings.target),
    )
    rows = tuple(
        row
        if row.method == ALL_FOREGROUND
        else EvaluationRow(
            row.method, row.rule, {**row.figures, **figures.values}, {**row.intervals, **figures.intervals}
        )
        for row in table.rows
    )
    return EvaluationTable(rows)
