"""Retraining a project from masks, sizes, labels and by min-max entropy, with a real but tiny network."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import TYPE_CHECKING, Any, Literal
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from PIL import Image

from histoloop.acquisition import propagation
from histoloop.annotations.records import AnnotationStatus, Origin
from histoloop.errors import ModelError, ProjectError, ProjectPlaceError
from histoloop.geometry import Region
from histoloop.inference import precision
from histoloop.inference.likeness import Depth, TrainingStatistics
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.arrays import to_arrays
from histoloop.networks.build import build_network
from histoloop.progress import Progress, Work, finish
from histoloop.store.array_cache import CACHE
from histoloop.store.cards import WEIGHTS, Card, load_card, model_hash
from histoloop.store.model_folder import (
    STATISTICS,
    copy_model,
    load_earlier,
    load_statistics,
    load_weights,
    save_model,
    save_statistics,
)
from histoloop.store.shipped import DEFAULT_MODEL, find_model
from histoloop.training.measures.intervals import FiguresByCase
from histoloop.workflows.contents.rounds import HowToLearn, open_candidate, slides_to_predict, training_counts
from histoloop.workflows.contents.slides import open_project_slide
from histoloop.workflows.decisions import keep
from histoloop.workflows.prediction.loaded_model import load_model
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.prediction.robustness import robustness_of
from histoloop.workflows.projects import create_project, opened_project
from histoloop.workflows.propagate import earlier_pool, pseudo_regions
from histoloop.workflows.regions.tiles import unlabelled_regions
from histoloop.workflows.retraining import fit, unlabelled
from histoloop.workflows.retraining import retrain as module
from histoloop.workflows.retraining.retrain import learn, retrain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme
    from histoloop.store.project import Project
    from histoloop.workflows.contents.rounds import LearnFrom
    from histoloop.workflows.prediction.loaded_model import LoadedModel

TILE = Region(0, 0, 64, 64)
AVERAGE = PoolingConfig(name="average", modalities=1)
HYBRID = NetworkConfig(2, backbone="mobilenet_v2", pooling=AVERAGE, decoder_channels=(8, 8, 8, 8, 8))


@pytest.fixture
def start(tmp_path: Path, scheme: ClassScheme, paint_tissue: Callable[..., Path]) -> Iterator[Callable[..., Project]]:
    """A project of four small slides that starts from a network with random weights."""
    opened: list[Project] = []

    def begin(config: NetworkConfig = HYBRID, **figures: float) -> Project:
        torch.manual_seed(0)
        weights = build_network(config).state_dict()
        model = save_model(tmp_path / "given", _card(config, scheme, figures), to_arrays(weights), recipe="", half=True)
        project = create_project(tmp_path / "project", name="Colon", start=model)
        opened.append(project)
        for number in range(4):
            path = paint_tissue(tmp_path / "slides" / f"{number}.png", width=64, height=64, seed=number)
            project.slides.add(path, width=64, height=64, mpp=1.0, vendor="picture")
        return project

    yield begin
    for project in opened:
        project.close()


def _card(config: NetworkConfig, scheme: ClassScheme, figures: dict[str, float]) -> Card:
    return Card(
        name="tiny",
        title="Tiny",
        description="For tests.",
        licence="CC0-1.0",
        attribution="Nobody",
        network=config,
        scheme=scheme,
        mpp=1.0,
        mean=(0.6, 0.4, 0.6),
        std=(0.2, 0.2, 0.2),
        training={},
        figures=figures,
        parent=None,
        created="2026-01-01T00:00:00+00:00",
    )


def _paint(project: Project, slide_id: int, *, label: str | None = None) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:32] = 1
    draft = project.drafts.start(
        slide_id, TILE, mask=mask, origin_model=None, person="test", query_id=None, origin=Origin.HUMAN
    )
    project.drafts.finish(draft.id, AnnotationStatus.DONE, label=label)


def _say(project: Project, slide_id: int, *, label: str | None = None, size: float | None = None) -> None:
    draft = project.drafts.start(
        slide_id,
        TILE,
        mask=np.zeros((64, 64), np.uint8),
        origin_model=None,
        person="test",
        query_id=None,
        origin=Origin.HUMAN,
    )
    project.drafts.finish(draft.id, AnnotationStatus.DONE, label=label, size=size, with_mask=False)


def _slide_ids(project: Project) -> list[int]:
    return [slide.id for slide in project.slides.all()]


def test_sizes_alone_teach_a_network_with_a_background_and_no_decoder(start: Callable[..., Project]) -> None:
    project = start()
    first, second, *_ = _slide_ids(project)
    _say(project, first, label="benign", size=0.4)
    _say(project, second, size=0.1)
    assert training_counts(project).suffice("sizes")
    assert not training_counts(project).suffice("masks")
    candidate = finish(retrain(project, how=HowToLearn("sizes"), device="cpu", epochs=1))
    card = load_card(project.models.get(candidate.model_id).folder)
    assert card.network.background
    assert not card.network.decoder_channels
    assert candidate.annotations == 2
    assert card.training["recipe"] == "retrain-sizes"


def test_sizes_teach_a_decoder_too_where_something_is_painted(start: Callable[..., Project]) -> None:
    project = start()
    first, second, *_ = _slide_ids(project)
    _paint(project, first, label="benign")
    _say(project, second, label="malignant", size=0.1)
    candidate = finish(retrain(project, how=HowToLearn("sizes"), device="cpu", epochs=1))
    network = load_card(project.models.get(candidate.model_id).folder).network
    assert network.background
    assert network.decoder_channels
    assert candidate.annotations == 2


def test_labels_of_slides_teach_a_classifier_that_starts_from_the_projects_backbone(
    start: Callable[..., Project],
) -> None:
    project = start()
    for slide_id, label in zip(_slide_ids(project), ("benign", "malignant", "benign", "malignant"), strict=True):
        project.slides.set_label(slide_id, label, person="test")
    assert training_counts(project).label_classes == 2
    candidate = finish(retrain(project, how=HowToLearn("labels"), device="cpu", epochs=1))
    folder = project.models.get(candidate.model_id).folder
    assert load_card(folder).network.pooling.name == "wildcat"
    assert candidate.annotations == 4
    before, after = load_weights(project.models.first().folder), load_weights(folder)
    name = "classifier.backbone.features.0.0.weight"
    assert not np.array_equal(before[name], after[name])
    assert np.corrcoef(before[name].ravel(), after[name].ravel())[0, 1] > 0.5


def test_labels_that_did_not_exclude_each_other_do_not_after_retraining(start: Callable[..., Project]) -> None:
    project = start(dataclasses.replace(HYBRID, scores="sigmoid"))
    for slide_id, label in zip(_slide_ids(project), ("benign", "malignant", "benign", "malignant"), strict=True):
        project.slides.set_label(slide_id, label, person="test")
    candidate = finish(retrain(project, how=HowToLearn("labels"), device="cpu", epochs=1))
    assert load_card(project.models.get(candidate.model_id).folder).network.scores == "sigmoid"


def test_min_max_entropy_teaches_a_localizer_and_a_classifier(start: Callable[..., Project]) -> None:
    project = start()
    for slide_id, label in zip(_slide_ids(project), ("benign", "malignant", "benign", "malignant"), strict=True):
        project.slides.set_label(slide_id, label, person="test")
    candidate = finish(retrain(project, how=HowToLearn("min-max"), device="cpu", epochs=1))
    assert load_card(project.models.get(candidate.model_id).folder).network.minmax is not None


@pytest.mark.parametrize("way", ["labels", "min-max"])
def test_labels_of_one_class_are_refused_with_advice(start: Callable[..., Project], way: str) -> None:
    project = start()
    project.slides.set_label(_slide_ids(project)[0], "benign", person="test")
    assert not training_counts(project).suffice(way)  # type: ignore[arg-type]
    with pytest.raises(ProjectError, match="two labels") as refused:
        finish(retrain(project, how=HowToLearn(way), device="cpu", epochs=1))  # type: ignore[arg-type]
    assert "Label" in refused.value.advice
    assert project.rounds.all() == []


def test_regions_without_a_size_are_refused_with_advice(start: Callable[..., Project]) -> None:
    project = start()
    _say(project, _slide_ids(project)[0], label="benign")
    with pytest.raises(ProjectError, match="No region has a size"):
        finish(retrain(project, how=HowToLearn("sizes"), device="cpu", epochs=1))


def test_masks_teach_a_decoder_over_a_model_that_had_none(start: Callable[..., Project]) -> None:
    config = NetworkConfig(2, backbone="mobilenet_v2", pooling=AVERAGE, decoder_channels=(), minmax=MinMaxConfig())
    project = start(config)
    _paint(project, _slide_ids(project)[0])
    candidate = finish(retrain(project, how=HowToLearn("masks"), device="cpu", epochs=1))
    folder = project.models.get(candidate.model_id).folder
    network = load_card(folder).network
    assert network.minmax is None
    assert network.decoder_channels
    before, after = load_weights(project.models.first().folder), load_weights(folder)
    np.testing.assert_allclose(
        after["classifier.head.weight"], before["localizer.convolution.weight"], rtol=1e-3, atol=1e-3
    )


def test_consistency_takes_regions_that_nobody_annotated(start: Callable[..., Project]) -> None:
    project = start()
    first, second, *_ = _slide_ids(project)
    _paint(project, first)
    _say(project, second, label="benign")
    candidate = finish(retrain(project, how=HowToLearn(consistency=True), device="cpu", epochs=1))
    card = load_card(project.models.get(candidate.model_id).folder)
    assert card.training["recipe"] == "retrain-consistency"
    assert "2 regions that nobody annotated" in card.description


def test_consistency_with_nothing_left_is_a_plain_retraining(start: Callable[..., Project]) -> None:
    project = start()
    for slide_id in _slide_ids(project):
        _paint(project, slide_id)
    plain = finish(retrain(project, device="cpu", epochs=1))
    alone = finish(retrain(project, how=HowToLearn(consistency=True), device="cpu", epochs=1))
    one, other = (load_weights(project.models.get(result.model_id).folder) for result in (plain, alone))
    assert all(np.array_equal(value, other[name]) for name, value in one.items())
    assert "nobody annotated" not in load_card(project.models.get(alone.model_id).folder).description


def test_labels_are_learned_consistently_over_regions_that_nobody_annotated(start: Callable[..., Project]) -> None:
    project, cards, weights = start(), [], []
    for slide_id, label in zip(_slide_ids(project)[:2], ("benign", "malignant"), strict=True):
        _say(project, slide_id, label=label)
    for consistency in (False, True):
        how = HowToLearn("labels", consistency=consistency)
        candidate = finish(retrain(project, how=how, device="cpu", epochs=1))
        folder = project.models.get(candidate.model_id).folder
        cards.append(load_card(folder))
        weights.append(load_weights(folder))
    assert [card.training["recipe"] for card in cards] == ["retrain-labels", "retrain-labels"]
    assert "2 regions that nobody annotated" in cards[1].description
    assert "nobody annotated" not in cards[0].description
    name = "classifier.head.weight"
    assert not np.array_equal(weights[0][name], weights[1][name])


@pytest.mark.parametrize("learn_from", ["sizes", "min-max"])
def test_consistency_goes_with_masks_and_labels_only(learn_from: str) -> None:
    with pytest.raises(ValueError, match=learn_from):
        HowToLearn(learn_from, consistency=True)  # type: ignore[arg-type]


def test_regions_left_take_turns_over_the_slides_and_avoid_every_annotated_pixel(
    start: Callable[..., Project], paint_tissue: Callable[..., Path], tmp_path: Path
) -> None:
    project = start()
    path = paint_tissue(tmp_path / "slides" / "large.png", width=1200, height=800, seed=9)
    large = project.slides.add(path, width=1200, height=800, mpp=1.0, vendor="picture")
    _paint(project, large.id)  # the upper left corner
    _paint(project, _slide_ids(project)[0])
    left = finish(unlabelled_regions(project, mpp=1.0, count=6, seed=0))
    assert len(left) == 6
    assert {record.id for record, _region in left[:4]} == {2, 3, 4, large.id}
    assert not any(region.overlaps(TILE) for record, region in left if record.id == large.id)
    assert left == finish(unlabelled_regions(project, mpp=1.0, count=6, seed=0))
    assert len(finish(unlabelled_regions(project, mpp=1.0, count=100, seed=1))) == 3 + 11


def test_a_retrained_model_keeps_its_state_of_one_epoch_earlier(start: Callable[..., Project]) -> None:
    project = start()
    _paint(project, _slide_ids(project)[0])
    candidate = finish(retrain(project, device="cpu", epochs=2))
    folder = project.models.get(candidate.model_id).folder
    earlier, weights = load_earlier(folder), load_weights(folder)
    moved = {name for name, value in weights.items() if not np.array_equal(value, earlier[name])}
    assert moved
    assert all(name.startswith("decoder.") for name in moved)


def test_a_quick_round_leaves_the_classifier_as_it_is_and_keeps_what_it_saw(start: Callable[..., Project]) -> None:
    project = start()
    for slide_id in _slide_ids(project)[:2]:
        _paint(project, slide_id)
    before = load_weights(project.models.first().folder)
    candidate = finish(retrain(project, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
    after = load_weights(project.models.get(candidate.model_id).folder)
    changed = {name.split(".")[0] for name, value in before.items() if not np.array_equal(value, after[name])}
    assert changed == {"decoder"}
    assert load_card(project.models.get(candidate.model_id).folder).training["recipe"] == "retrain-quick"
    assert len(list((project.folder / CACHE).glob("*.safetensors"))) == 2 * 4  # four views each


@pytest.mark.parametrize("pace", ["quick", "full"])
@pytest.mark.parametrize(("able", "stated"), [(True, "bfloat16"), (False, "float32")])
def test_masks_are_learned_in_the_half_precision_of_the_processor_and_the_recipe_says_so(
    pace: Literal["quick", "full"],
    able: bool,
    stated: str,
    start: Callable[..., Project],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: able)
    project = start()
    _paint(project, _slide_ids(project)[0])
    candidate = finish(retrain(project, how=HowToLearn(pace=pace), device="cpu", epochs=1))
    recipe = tomllib.loads((project.models.get(candidate.model_id).folder / "recipe.toml").read_text())
    assert recipe["segment"]["loop"]["precision"] == stated
    assert recipe["classify"]["loop"]["precision"] == "float32"


def test_a_quick_round_gives_a_model_without_a_decoder_one(start: Callable[..., Project]) -> None:
    project = start(NetworkConfig(2, backbone="mobilenet_v2", pooling=AVERAGE, decoder_channels=()))
    _paint(project, _slide_ids(project)[0])
    candidate = finish(retrain(project, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
    assert load_card(project.models.get(candidate.model_id).folder).network.decoder_channels


@pytest.mark.parametrize("pace", ["quick", "full"])
def test_regions_near_in_colour_teach_with_the_models_own_masks_and_can_be_looked_at(
    pace: str, start: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagation, "capped_k", lambda sizes, _annotated, **_: dict.fromkeys(sizes, 3))
    project = start()
    slides = _slide_ids(project)
    for slide_id in slides:
        project.slides.set_label(slide_id, "benign", person="test")
    _paint(project, slides[0])
    how = HowToLearn(pace=pace, propagation=True)  # type: ignore[arg-type]
    candidate = finish(retrain(project, how=how, device="cpu", epochs=1))
    assert candidate.pseudo > 0
    found = pseudo_regions(project, candidate.round)
    assert len(found) == candidate.pseudo
    assert {one.slide_id for one in found} <= set(slides[1:])
    assert all(one.picture.is_file() and project.slides.get(slides[0]).name in one.nearest for one in found)
    card = load_card(project.models.get(candidate.model_id).folder)
    assert f"{candidate.pseudo} regions of like colours" in card.description
    plain = finish(retrain(project, how=HowToLearn(pace=pace), device="cpu", epochs=1))  # type: ignore[arg-type]
    assert plain.pseudo == 0
    assert pseudo_regions(project, plain.round) == []


def test_pseudo_labelled_regions_stay_over_the_rounds_until_they_are_annotated(
    start: Callable[..., Project], paint_tissue: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = start()
    path = paint_tissue(tmp_path / "slides" / "large.png", width=1200, height=800, seed=9)
    project.slides.add(path, width=1200, height=800, mpp=1.0, vendor="picture")
    slides = _slide_ids(project)
    for slide_id in slides:
        project.slides.set_label(slide_id, "benign", person="test")
    _paint(project, slides[0])
    how = HowToLearn(pace="quick", propagation=True)
    monkeypatch.setattr(propagation, "capped_k", lambda sizes, _annotated, **_: dict.fromkeys(sizes, 20))
    monkeypatch.setattr(unlabelled, "MOST_PSEUDO", 3)
    first = finish(retrain(project, how=how, device="cpu", epochs=1, seed=0))
    everything = earlier_pool(project)
    assert first.pseudo == 3 == len(pseudo_regions(project, first.round))  # of as many as there are it learns
    assert len(everything) == 3 + 12
    monkeypatch.setattr(propagation, "nearest_annotated_by_colour", lambda *_arguments, **_more: {})  # none comes in
    _paint(project, slides[1])
    finish(retrain(project, how=how, device="cpu", epochs=1, seed=1))
    left = earlier_pool(project)
    assert {(one.slide_id, one.region) for one in left} == {
        (one.slide_id, one.region) for one in everything if one.slide_id != slides[1]
    }
    assert {one.nearest for one in left} == {one.nearest for one in everything}


def test_each_round_takes_in_from_the_same_pool_whatever_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = []

    def regions(_project: Project, *, mpp: float, count: int, seed: int) -> Work[list[Any]]:
        pools.append((count, seed))
        yield from ()
        return []

    monkeypatch.setattr(unlabelled, "unlabelled_regions", regions)
    monkeypatch.setattr(unlabelled, "earlier_pool", lambda _project: [])
    annotated = MagicMock(whole=True, class_name="benign", colours=lambda: np.ones((3, 256)) / 256)
    for number in (1, 2):
        project = MagicMock()
        project.rounds.next_number.return_value = number
        how = HowToLearn(propagation=True)
        found = finish(unlabelled.find_unlabelled(project, how, MagicMock(), [annotated], seed=number))
        assert list(found.pseudo) == []
    assert pools == [(1000, 0), (1000, 0)]


def test_regions_of_a_class_without_an_annotation_get_no_pseudo_masks(start: Callable[..., Project]) -> None:
    project = start()
    first, *others = _slide_ids(project)
    project.slides.set_label(first, "benign", person="test")
    for slide_id in others:
        project.slides.set_label(slide_id, "malignant", person="test")
    _paint(project, first)
    candidate = finish(retrain(project, how=HowToLearn(pace="quick", propagation=True), device="cpu", epochs=1))
    assert candidate.pseudo == 0


def test_a_quick_round_may_be_consistent_too(start: Callable[..., Project]) -> None:
    project = start()
    _paint(project, _slide_ids(project)[0])
    plain = finish(retrain(project, how=HowToLearn(pace="quick"), device="cpu", epochs=2))
    steady = finish(retrain(project, how=HowToLearn(pace="quick", consistency=True), device="cpu", epochs=2))
    one, other = (load_weights(project.models.get(result.model_id).folder) for result in (plain, steady))
    assert any(not np.array_equal(value, other[name]) for name, value in one.items())
    assert "3 regions that nobody annotated" in load_card(project.models.get(steady.model_id).folder).description


@pytest.mark.parametrize("pace", ["quick", "full"])
def test_a_training_that_goes_on_begins_with_the_model_in_use(
    start: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, pace: Any
) -> None:
    project, begun = start(), []
    train = fit.train_on_features if pace == "quick" else fit.train_decoder

    def record(network: Any, **more: Any) -> Any:
        decoder = network if pace == "quick" else network.network.decoder
        begun.append({name: tensor.clone() for name, tensor in decoder.state_dict().items()})
        return train(network, **more)

    monkeypatch.setattr(fit, train.__name__, record)
    _paint(project, _slide_ids(project)[0])
    first = finish(retrain(project, how=HowToLearn(pace=pace), device="cpu", epochs=2))
    keep(project, first.model_id)
    finish(retrain(project, how=HowToLearn(pace=pace), device="cpu", epochs=1))
    second = finish(retrain(project, how=HowToLearn(pace=pace, continued=True), device="cpu", epochs=1))
    kept = load_weights(project.models.get(first.model_id).folder)
    from_theta_0, again, goes_on = begun
    assert all(torch.equal(tensor, again[name]) for name, tensor in from_theta_0.items())
    assert all(np.allclose(kept[f"decoder.{name}"], tensor, atol=1e-3) for name, tensor in goes_on.items())
    assert any(not torch.equal(tensor, again[name]) for name, tensor in goes_on.items())
    card = load_card(project.models.get(second.model_id).folder)
    assert f"went on from that of {load_card(project.models.get(first.model_id).folder).name}" in card.description


def test_a_training_goes_on_from_a_model_whose_classifier_learned_too(start: Callable[..., Project]) -> None:
    project = start()
    for slide_id, label in zip(_slide_ids(project)[:2], ("benign", "malignant"), strict=True):
        _say(project, slide_id, label=label)
    _paint(project, _slide_ids(project)[2])
    first = finish(retrain(project, how=HowToLearn("labels"), device="cpu", epochs=1))
    keep(project, first.model_id)
    second = finish(retrain(project, how=HowToLearn(pace="quick", continued=True), device="cpu", epochs=1))
    kept, found = (load_weights(project.models.get(one.model_id).folder) for one in (first, second))
    name = "classifier.head.weight"
    assert np.array_equal(kept[name], found[name])


@pytest.mark.parametrize("change", [{"pace": "quick"}, {"propagation": True}, {"continued": True}])
def test_what_goes_with_masks_alone_is_refused_with_sizes(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="sizes"):
        HowToLearn("sizes", **change)  # type: ignore[arg-type]


# --- the robustness figure ------------------------------------------------------------------------------------------

ATTACKED = {
    "attack_tiles": 8.0,
    "attack_steps": 50.0,
    "attack_clean_accuracy": 0.75,
    "attack_success_rate": 1.0,
    "attack_median_l2": 0.25,
    "attack_median_grey_levels": 0.125,
}


def test_masks_leave_the_classifier_and_its_robustness_as_they_are(start: Callable[..., Project]) -> None:
    project = start(accuracy=0.5, **ATTACKED)
    _paint(project, _slide_ids(project)[0])
    candidate = finish(retrain(project, device="cpu", epochs=1))
    card = load_card(project.models.get(candidate.model_id).folder)
    assert robustness_of(card).values == ATTACKED
    assert "accuracy" not in card.figures
    assert "on 8 labelled tiles when tiny was made, whose classifier this is" in card.description


def test_the_card_of_a_round_has_the_intervals_of_its_figures(
    start: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = start()
    _paint(project, _slide_ids(project)[0])
    measured = FiguresByCase({"dice": 0.8}, {"dice": (0.7, 0.9)})
    monkeypatch.setattr(module, "measure", lambda *_arguments, **_named: measured)
    candidate = finish(retrain(project, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
    card = load_card(project.models.get(candidate.model_id).folder)
    assert card.figures["dice"] == 0.8
    assert card.intervals == {"dice": (0.7, 0.9)}


def test_a_base_model_without_a_robustness_figure_hands_none_on(start: Callable[..., Project]) -> None:
    project = start()
    _paint(project, _slide_ids(project)[0])
    candidate = finish(retrain(project, device="cpu", epochs=1))
    card = load_card(project.models.get(candidate.model_id).folder)
    assert not robustness_of(card).values
    assert "obust" not in card.description


@pytest.mark.parametrize("base", ["a classifier", "a localizer"])
def test_a_classifier_that_changed_loses_the_figure_and_its_card_says_so(
    base: str, start: Callable[..., Project]
) -> None:
    localizer = NetworkConfig(2, backbone="mobilenet_v2", pooling=AVERAGE, decoder_channels=(), minmax=MinMaxConfig())
    project = start(HYBRID if base == "a classifier" else localizer, **ATTACKED)
    first, *_ = _slide_ids(project)
    if base == "a classifier":
        _say(project, first, label="benign", size=0.4)
    else:  # under a decoder, the localizer alone goes on
        _paint(project, first)
    how = HowToLearn("sizes" if base == "a classifier" else "masks")
    candidate = finish(retrain(project, how=how, device="cpu", epochs=1))
    card = load_card(project.models.get(candidate.model_id).folder)
    assert not robustness_of(card).values
    assert "how robust its labels are is not known" in card.description


def test_a_self_supervised_start_changes_the_backbone_is_kept_and_is_not_done_twice(
    start: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoloop.workflows.retraining.pretrain.PROJECT_TILES", 4)
    project = start()
    for slide_id, label in zip(_slide_ids(project), ("benign", "malignant"), strict=False):
        _paint(project, slide_id, label=label)
    how = HowToLearn(pace="self-supervised")
    candidate = finish(retrain(project, how=how, device="cpu", epochs=1))
    before, after = (
        load_weights(folder)
        for folder in (project.models.first().folder, project.models.get(candidate.model_id).folder)
    )
    assert any(not np.array_equal(value, after[name]) for name, value in before.items() if "backbone" in name)
    assert "without labels (SimSiam)" in load_card(project.models.get(candidate.model_id).folder).description
    (kept,) = (project.folder / "pretrained").glob("*.safetensors")
    stamp = kept.stat().st_mtime_ns
    finish(retrain(project, how=how, device="cpu", epochs=1))
    assert kept.stat().st_mtime_ns == stamp


def test_a_self_supervised_start_needs_two_labels(start: Callable[..., Project]) -> None:
    project = start()
    for slide_id in _slide_ids(project):
        _paint(project, slide_id, label="benign")
    with pytest.raises(ProjectError, match="two labels"):
        finish(retrain(project, how=HowToLearn(pace="self-supervised"), device="cpu", epochs=1))
    assert not (project.folder / "pretrained").exists()


def test_what_was_learned_is_on_offer_before_any_slide_is_predicted_with_it(start: Callable[..., Project]) -> None:
    project = start()
    first, second, third, fourth = _slide_ids(project)
    finish(predict_project(project, slide_ids=[third, second], device="cpu"))
    _paint(project, third)
    candidate = finish(learn(project, device="cpu", epochs=1))
    assert open_candidate(project) == candidate
    assert [project.maps.find(one, candidate.model_id) for one in (first, second, third, fourth)] == [None] * 4
    assert slides_to_predict(project) == [third, second]
    assert slides_to_predict(project, on_screen=second) == [second, third]
    assert slides_to_predict(project, on_screen=fourth) == [third, second]


@pytest.mark.parametrize(
    "failure", [KeyboardInterrupt(), ProjectPlaceError("The disk is full.", advice="Free some space.")], ids=str
)
def test_a_training_that_ended_is_offered_whatever_happens_while_the_candidate_predicts(
    start: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(*_arguments: object, **_options: object) -> Work[None]:
        yield Progress("Predicting", 0, 1)
        raise failure

    project = start()
    _paint(project, _slide_ids(project)[0])
    monkeypatch.setattr(module, "predict_project", fail)
    with pytest.raises(type(failure)):
        finish(retrain(project, device="cpu", epochs=1))
    with opened_project(project.folder) as again:
        candidate = open_candidate(again)
        assert candidate is not None
        assert (candidate.round, candidate.annotations) == (1, 1)
        record = again.models.get(candidate.model_id)
        assert (record.hash, record.parent) == (model_hash(record.folder), again.models.current().id)
        assert load_weights(record.folder)
        (round_kept,) = again.rounds.all()
        assert round_kept.figures["seconds"] > 0


@pytest.mark.parametrize("changed", ["first", "current"])
def test_a_model_whose_weights_were_changed_is_not_retrained_from(start: Callable[..., Project], changed: str) -> None:
    project = start()
    _paint(project, _slide_ids(project)[0])
    if changed == "current":
        finish(retrain(project, device="cpu", epochs=1))
        candidate = open_candidate(project)
        assert candidate is not None
        project.models.make_current(candidate.model_id)
    folder = (project.models.first() if changed == "first" else project.models.current()).folder
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-100] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(ModelError, match="not those that the project keeps") as caught:
        finish(retrain(project, device="cpu", epochs=1))
    assert "backup" in caught.value.advice


# --- unlike the training data -----------------------------------------------------------------------------------------


def test_a_slide_that_was_unlike_the_training_data_is_not_once_the_model_has_learned_from_it(
    start: Callable[..., Project], tmp_path: Path
) -> None:
    project = start()
    blue = np.random.default_rng(9).integers(-12, 13, (64, 64, 3)) + np.array((90, 120, 200))
    Image.fromarray(blue.astype(np.uint8)).save(tmp_path / "slides" / "blue.png")
    path = tmp_path / "slides" / "blue.png"
    strange = project.slides.add(path, width=64, height=64, mpp=1.0, vendor="picture").id
    known, *others = _slide_ids(project)[:4]
    folder = project.models.first().folder
    model = load_model(folder, torch.device("cpu"))
    features = {number: _features_of(project, model, number) for number in (known, strange)}
    depths = tuple(Depth(own, np.eye(own.shape[1], dtype=np.float32), 1.0) for own in features[known])
    threshold = 0.5 * float(TrainingStatistics(depths, 1.0).distances(features[strange])[0])
    save_statistics(folder, TrainingStatistics(depths, threshold).as_arrays())

    assert finish(predict_project(project, device="cpu")).failed == ()
    assert {slide.id: slide.is_unlike for slide in project.slides.all()} == {
        **dict.fromkeys([known, *others], False),
        strange: True,
    }
    _paint(project, known)
    _paint(project, strange)
    candidate = finish(retrain(project, how=HowToLearn("masks", "quick"), device="cpu", epochs=1))
    keep(project, candidate.model_id)
    assert not any(slide.is_unlike for slide in project.slides.all())
    assert all(slide.unlike is not None for slide in project.slides.all())


def test_a_model_that_does_not_know_its_training_data_says_nothing_of_it(start: Callable[..., Project]) -> None:
    project = start()
    finish(predict_project(project, device="cpu"))
    assert {slide.unlike for slide in project.slides.all()} == {None}
    _paint(project, _slide_ids(project)[0])
    candidate = finish(retrain(project, how=HowToLearn("masks", "quick"), device="cpu", epochs=1))
    assert load_statistics(project.models.get(candidate.model_id).folder) is None


@pytest.mark.parametrize("learn_from", ["labels", "sizes", "min-max"])
def test_a_backbone_that_has_learned_knows_what_the_tiles_of_the_project_are_like(
    start: Callable[..., Project], paint_tissue: Callable[..., Path], tmp_path: Path, learn_from: LearnFrom
) -> None:
    project = start()
    for number in range(4, 17):
        path = paint_tissue(tmp_path / "slides" / f"{number}.png", width=64, height=64, seed=number)
        project.slides.add(path, width=64, height=64, mpp=1.0, vendor="picture")
    known = _slide_ids(project)
    blue = np.random.default_rng(9).integers(-12, 13, (64, 64, 3)) + np.array((90, 120, 200))
    Image.fromarray(blue.astype(np.uint8)).save(tmp_path / "slides" / "blue.png")
    strange = project.slides.add(tmp_path / "slides" / "blue.png", width=64, height=64, mpp=1.0, vendor="picture").id
    for number, slide_id in enumerate(known):
        _say(project, slide_id, label=("benign", "malignant")[number % 2], size=0.3)
    finish(predict_project(project, device="cpu"))
    candidate = finish(retrain(project, how=HowToLearn(learn_from), device="cpu", epochs=1))
    keep(project, candidate.model_id)
    finish(predict_project(project, device="cpu", precision="exact"))
    unlike = {slide.id: slide.unlike for slide in project.slides.all()}
    assert unlike[strange] > 1.5
    assert np.median([unlike[number] for number in known]) < 1


def test_a_copy_of_a_shipped_model_that_lacks_statistics_has_the_shipped_ones(tmp_path: Path) -> None:
    shipped = find_model(DEFAULT_MODEL)
    copy_model(shipped, tmp_path / "old")
    (tmp_path / "old" / STATISTICS).unlink()
    found = load_model(tmp_path / "old", torch.device("cpu")).statistics
    assert found is not None
    assert found.threshold == pytest.approx(float(load_statistics(shipped)["threshold"][0]))


def _features_of(project: Project, model: LoadedModel, slide_id: int) -> list[np.ndarray]:
    with open_project_slide(project.slides.get(slide_id)) as slide:
        return model.block_features(slide.read_region(slide.extent))
