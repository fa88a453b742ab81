"""Retraining a project whose people paint several mask classes: the decoder learns to tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histoloop.acquisition import propagation
from histoloop.annotations.records import AnnotationStatus, Origin
from histoloop.geometry import Region
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.arrays import to_arrays
from histoloop.networks.build import build_network
from histoloop.progress import finish
from histoloop.store.cards import CARD, Card, load_card, read_card
from histoloop.store.maps import open_map
from histoloop.store.model_folder import load_weights, save_model
from histoloop.workflows.contents.masks import mask_of_slide
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.decisions import keep
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.projects import create_project
from histoloop.workflows.queries.ask import ask
from histoloop.workflows.retraining.retrain import retrain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.store.project import Project

SIDE = 64
CONFIG = NetworkConfig(
    2, backbone="mobilenet_v2", pooling=PoolingConfig(name="average", modalities=1), decoder_channels=(8, 8, 8, 8, 8)
)


@pytest.fixture
def project(tmp_path: Path, make_model: Callable[..., Path], paint_tissue: Callable[..., Path]) -> Iterator[Project]:
    """Of four small slides, with a first model of one foreground and random weights."""
    torch.manual_seed(0)
    card = read_card((make_model(tmp_path / "tiny", network=CONFIG) / CARD).read_text(encoding="utf-8"), source="tiny")
    model = save_model(tmp_path / "given", card, to_arrays(build_network(CONFIG).state_dict()), recipe="", half=True)
    with create_project(tmp_path / "project", name="Colon", start=model) as made:
        for number in range(4):
            path = paint_tissue(tmp_path / "slides" / f"{number}.png", width=SIDE, height=SIDE, seed=number)
            made.slides.add(path, width=SIDE, height=SIDE, mpp=1.0, vendor="picture")
        yield made


def paint(project: Project, number: int, *values: int) -> None:
    """Stripes of mask values over the slide of a number."""
    mask = np.repeat(np.array(values, np.uint8), SIDE // len(values))[:, None] * np.ones((1, SIDE), np.uint8)
    slide_id = project.slides.all()[number].id
    draft = project.drafts.start(
        slide_id,
        Region(0, 0, SIDE, SIDE),
        mask=mask,
        origin_model=None,
        person="test",
        query_id=None,
        origin=Origin.HUMAN,
    )
    project.drafts.finish(draft.id, AnnotationStatus.DONE)


def retrained(project: Project, how: HowToLearn | None = None) -> tuple[int, Card]:
    candidate = finish(retrain(project, how=how, device="cpu", epochs=1))
    return candidate.model_id, load_card(project.models.get(candidate.model_id).folder)


@pytest.mark.parametrize("pace", ["quick", "full"])
def test_two_painted_classes_make_a_decoder_of_classes_whose_masks_are_its_own(pace: str, project: Project) -> None:
    paint(project, 0, 1, 0)
    paint(project, 1, 2, 0)
    finish(predict_project(project, device="cpu"))
    before = load_weights(project.models.first().folder)
    model_id, card = retrained(project, HowToLearn(pace=pace))  # type: ignore[arg-type]
    assert card.network.mask_classes == 2
    assert "gland, tumour and background" in card.description
    after = load_weights(project.models.get(model_id).folder)
    assert after["decoder.head.weight"].shape == (3, 8, 1, 1)
    classifier = [name for name in before if name.startswith("classifier.")]
    assert all(np.array_equal(before[name], after[name]) for name in classifier)

    keep(project, model_id)
    slide_id = project.slides.all()[2].id  # which nobody painted
    folder = project.maps.find(slide_id)
    assert folder is not None
    slide_map = open_map(folder)
    assert slide_map.mask_classes == ("gland", "tumour")
    shown = mask_of_slide(project, slide_id)
    assert shown is not None
    classes = np.asarray(slide_map.masks()[:], np.float32)
    expected = np.concatenate([1 - classes.sum(axis=0)[None], classes]).argmax(axis=0)
    assert np.array_equal(shown.mask, expected)


def test_the_next_round_starts_from_classes_again_and_old_rounds_can_be_told_apart(project: Project) -> None:
    paint(project, 0, 1, 2)
    first, _card = retrained(project, HowToLearn(pace="quick"))
    keep(project, first)
    paint(project, 1, 0, 2)
    second, card = retrained(project, HowToLearn(pace="quick"))
    assert card.network.mask_classes == 2
    assert project.models.get(second).parent == first


@pytest.mark.parametrize("values", [(1, 0), (2, 2)])
def test_one_painted_class_is_nothing_to_tell_apart(values: tuple[int, int], project: Project) -> None:
    paint(project, 0, *values)
    _model_id, card = retrained(project, HowToLearn(pace="quick"))
    assert card.network.mask_classes == 1


def test_the_decoder_of_the_paper_is_to_be_had_with_any_classes(project: Project) -> None:
    paint(project, 0, 1, 2)
    _model_id, card = retrained(project, HowToLearn(pace="quick", classes=False))
    assert card.network == CONFIG


def test_held_out_regions_measure_the_classes_before_and_after(project: Project) -> None:
    for number in range(4):
        paint(project, number, 1, 2)
    held_out = sum(record.held_out for record in project.annotations.finished())
    assert held_out == 1
    model_id, card = retrained(project, HowToLearn(pace="quick"))
    (record,) = [one for one in project.rounds.all() if one.model_id == model_id]
    assert {"dice_before", "dice", "class_dice_before", "class_dice"} <= record.figures.keys()
    assert card.figures["class_dice"] == record.figures["class_dice"]


@pytest.mark.parametrize("pace", ["quick", "full"])
def test_pseudo_masks_and_consistency_go_with_classes(
    pace: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagation, "capped_k", lambda sizes, _annotated, **_: dict.fromkeys(sizes, 3))
    paint(project, 0, 1, 2)
    how = HowToLearn(pace=pace, propagation=True, consistency=True)  # type: ignore[arg-type]
    candidate = finish(retrain(project, how=how, device="cpu", epochs=1))
    assert candidate.pseudo > 0
    assert load_card(project.models.get(candidate.model_id).folder).network.mask_classes == 2


@pytest.mark.parametrize("strategy", ["entropy", "margin", "mc-dropout", "cod", "learned-loss"])
def test_questions_are_asked_by_all_outcomes(strategy: str, project: Project) -> None:
    paint(project, 0, 1, 2)
    paint(project, 1, 0, 2)
    model_id, _card = retrained(project, HowToLearn(pace="quick"))
    keep(project, model_id)
    finish(predict_project(project, device="cpu"))
    queries = finish(ask(project, strategy=strategy, count=2, device="cpu")).queries
    assert {query.slide_id for query in queries} <= {slide.id for slide in project.slides.all()[2:]}
    assert queries
