"""Retraining a project from masks, sizes, labels and by min-max entropy, with a real but tiny network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histoloop.annotations.records import AnnotationStatus, Origin
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.networks.build import build_network
from histoloop.networks.config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.progress import finish
from histoloop.store.cards import Card, load_card
from histoloop.store.models import load_weights, save_model
from histoloop.workflows.projects import create_project
from histoloop.workflows.retrain import retrain
from histoloop.workflows.robustness import robustness_of
from histoloop.workflows.rounds import lessons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.annotations.records import ClassScheme
    from histoloop.store.project import Project

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
        model = save_model(tmp_path / "given", _card(config, scheme, figures), weights, recipe="", half=True)
        project = create_project(tmp_path / "project", name="Colon", model=model)
        opened.append(project)
        for number in range(4):
            path = paint_tissue(tmp_path / "slides" / f"{number}.png", width=64, height=64, seed=number)
            project.add_slide(path, width=64, height=64, mpp=1.0, vendor="picture")
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
    draft = project.start_annotation(
        slide_id, TILE, mask=mask, origin_model=None, person="test", query_id=None, origin=Origin.HUMAN
    )
    project.finish_annotation(draft.id, AnnotationStatus.DONE, label=label)


def _say(project: Project, slide_id: int, *, label: str | None = None, size: float | None = None) -> None:
    draft = project.start_annotation(
        slide_id,
        TILE,
        mask=np.zeros((64, 64), np.uint8),
        origin_model=None,
        person="test",
        query_id=None,
        origin=Origin.HUMAN,
    )
    project.finish_annotation(draft.id, AnnotationStatus.DONE, label=label, size=size, with_mask=False)


def _slide_ids(project: Project) -> list[int]:
    return [slide.id for slide in project.slides()]


def test_sizes_alone_teach_a_network_with_a_background_and_no_decoder(start: Callable[..., Project]) -> None:
    project = start()
    first, second, *_ = _slide_ids(project)
    _say(project, first, label="benign", size=0.4)
    _say(project, second, size=0.1)
    assert lessons(project).suffice("sizes")
    assert not lessons(project).suffice("masks")
    candidate = finish(retrain(project, learn_from="sizes", device="cpu", epochs=1))
    card = load_card(project.model(candidate.model_id).folder)
    assert card.network.background
    assert not card.network.decoder_channels
    assert candidate.annotations == 2
    assert card.training["recipe"] == "retrain-sizes"


def test_sizes_teach_a_decoder_too_where_something_is_painted(start: Callable[..., Project]) -> None:
    project = start()
    first, second, *_ = _slide_ids(project)
    _paint(project, first, label="benign")
    _say(project, second, label="malignant", size=0.1)
    candidate = finish(retrain(project, learn_from="sizes", device="cpu", epochs=1))
    network = load_card(project.model(candidate.model_id).folder).network
    assert network.background
    assert network.decoder_channels
    assert candidate.annotations == 2


def test_labels_of_slides_teach_a_classifier_that_starts_from_the_projects_backbone(
    start: Callable[..., Project],
) -> None:
    project = start()
    for slide_id, label in zip(_slide_ids(project), ("benign", "malignant", "benign", "malignant"), strict=True):
        project.set_slide_label(slide_id, label, person="test")
    assert lessons(project).label_classes == 2
    candidate = finish(retrain(project, learn_from="labels", device="cpu", epochs=1))
    folder = project.model(candidate.model_id).folder
    assert load_card(folder).network.pooling.name == "wildcat"
    assert candidate.annotations == 4
    before, after = load_weights(project.base_model().folder), load_weights(folder)
    name = "classifier.backbone.features.0.0.weight"
    assert not torch.equal(before[name], after[name])
    both = torch.stack([before[name].flatten(), after[name].flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.5


def test_min_max_entropy_teaches_a_localizer_and_a_classifier(start: Callable[..., Project]) -> None:
    project = start()
    for slide_id, label in zip(_slide_ids(project), ("benign", "malignant", "benign", "malignant"), strict=True):
        project.set_slide_label(slide_id, label, person="test")
    candidate = finish(retrain(project, learn_from="min-max", device="cpu", epochs=1))
    assert load_card(project.model(candidate.model_id).folder).network.minmax is not None


@pytest.mark.parametrize("way", ["labels", "min-max"])
def test_labels_of_one_class_are_refused_with_advice(start: Callable[..., Project], way: str) -> None:
    project = start()
    project.set_slide_label(_slide_ids(project)[0], "benign", person="test")
    assert not lessons(project).suffice(way)  # type: ignore[arg-type]
    with pytest.raises(ProjectError, match="two labels") as refused:
        finish(retrain(project, learn_from=way, device="cpu", epochs=1))  # type: ignore[arg-type]
    assert "Label" in refused.value.advice
    assert project.rounds() == []


def test_regions_without_a_size_are_refused_with_advice(start: Callable[..., Project]) -> None:
    project = start()
    _say(project, _slide_ids(project)[0], label="benign")
    with pytest.raises(ProjectError, match="No region has a size"):
        finish(retrain(project, learn_from="sizes", device="cpu", epochs=1))


def test_masks_teach_a_decoder_over_a_model_that_had_none(start: Callable[..., Project]) -> None:
    config = NetworkConfig(2, backbone="mobilenet_v2", pooling=AVERAGE, decoder_channels=(), minmax=MinMaxConfig())
    project = start(config)
    _paint(project, _slide_ids(project)[0])
    candidate = finish(retrain(project, learn_from="masks", device="cpu", epochs=1))
    folder = project.model(candidate.model_id).folder
    network = load_card(folder).network
    assert network.minmax is None
    assert network.decoder_channels
    before, after = load_weights(project.base_model().folder), load_weights(folder)
    torch.testing.assert_close(
        before["localizer.convolution.weight"], after["classifier.head.weight"], rtol=1e-3, atol=1e-3
    )


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
    card = load_card(project.model(candidate.model_id).folder)
    assert robustness_of(card) == ATTACKED
    assert "accuracy" not in card.figures
    assert "on 8 labelled tiles when tiny was made, whose classifier this is" in card.description


def test_a_base_model_without_a_robustness_figure_hands_none_on(start: Callable[..., Project]) -> None:
    project = start()
    _paint(project, _slide_ids(project)[0])
    candidate = finish(retrain(project, device="cpu", epochs=1))
    card = load_card(project.model(candidate.model_id).folder)
    assert not robustness_of(card)
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
    learn_from = "sizes" if base == "a classifier" else "masks"
    candidate = finish(retrain(project, learn_from=learn_from, device="cpu", epochs=1))
    card = load_card(project.model(candidate.model_id).folder)
    assert not robustness_of(card)
    assert "how robust its labels are is not known" in card.description
