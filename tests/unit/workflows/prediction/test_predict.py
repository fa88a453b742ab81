"""Predictions of a project are kept whole or not at all, and what was left half done is done by the next run."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import histoloop
from histoloop.errors import ModelError, PlaceError
from histoloop.inference import precision
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.arrays import to_arrays
from histoloop.networks.build import build_network
from histoloop.progress import Progress, finish
from histoloop.store.cards import WEIGHTS, load_card, model_hash
from histoloop.store.maps import open_map
from histoloop.store.model_folder import save_model
from histoloop.store.parts.predictions import Predictions
from histoloop.store.records import ModelStatus
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.projects import create_project, opened_project
from histoloop.workflows.reports import SlidePredicted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.store.project import Project

CONFIG = NetworkConfig(2, backbone="mobilenet_v2", pooling=PoolingConfig(name="average", modalities=1))


@pytest.fixture
def predicting(tmp_path: Path, make_model: Callable[..., Path], paint_tissue: Callable[..., Path]) -> Iterator[Project]:
    """A project of two small slides and a network with random weights."""
    torch.manual_seed(0)
    card = load_card(make_model(tmp_path / "card", network=CONFIG))
    weights = to_arrays(build_network(CONFIG).state_dict())
    model = save_model(tmp_path / "given", card, weights, recipe="", half=True)
    with create_project(tmp_path / "project", name="Colon", start=model) as project:
        for number in range(2):
            path = paint_tissue(tmp_path / "slides" / f"{number}.png", width=64, height=64, seed=number)
            project.slides.add(path, width=64, height=64, mpp=1.0, vendor="picture")
        yield project


def predict(project: Project, **options: Any) -> None:
    report = finish(predict_project(project, device="cpu", **options))
    assert report.failed == ()


def is_whole(project: Project, slide_id: int) -> bool:
    """Whether there are both map and probabilities."""
    model_id = project.models.current().id
    both = (project.maps.find(slide_id) is not None, project.predictions.find(slide_id, model_id) is not None)
    assert both[0] == both[1]
    return both[0]


def test_a_map_is_kept_together_with_its_prediction_or_not_at_all(
    predicting: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictions, "add", fail)
    with pytest.raises(KeyboardInterrupt):
        predict(predicting)
    assert not is_whole(predicting, 1)
    assert predicting.slides.get(1).tissue_px is None
    monkeypatch.undo()
    predict(predicting)
    assert is_whole(predicting, 1)
    assert is_whole(predicting, 2)
    predicting.close()
    with opened_project(predicting.folder) as again:  # the map that nobody kept is gone
        assert len(list(again.maps.folder.iterdir())) == 2


def test_a_slide_that_has_a_map_but_no_prediction_is_predicted_by_the_next_run(predicting: Project) -> None:
    predict(predicting)
    before = predicting.maps.find(1), predicting.maps.find(2)
    predicting.predictions.forget(1)
    predict(predicting)
    assert is_whole(predicting, 1)
    assert predicting.maps.find(1) != before[0]
    assert predicting.maps.find(2) == before[1]


def test_maps_in_half_precision_are_made_again_where_exact_ones_are_wanted(
    predicting: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbers() -> list[str]:
        folders = (predicting.maps.find(slide_id) for slide_id in (1, 2))
        return [open_map(folder).numbers for folder in folders if folder is not None]

    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    predict(predicting)
    assert numbers() == ["bfloat16"] * 2
    predict(predicting, slide_ids=[1], precision="exact")
    assert numbers() == ["float32", "bfloat16"]
    before = predicting.maps.find(1)
    predict(predicting)
    assert numbers() == ["float32", "bfloat16"]
    assert predicting.maps.find(1) == before


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fails_ends_the_prediction_in_words_and_the_next_run_completes_it(
    predicting: Project, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    predict(predicting, slide_ids=[1])
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(PlaceError, match=f"(cannot be written|can be written to .*): {os.strerror(code)}") as caught:
        predict(predicting)
    assert "disk is not full" in caught.value.advice or "Free some space" in caught.value.advice
    monkeypatch.undo()
    assert is_whole(predicting, 1)
    assert not is_whole(predicting, 2)
    assert len(list(predicting.maps.folder.iterdir())) == 1
    predict(predicting)
    assert is_whole(predicting, 2)


def test_a_damaged_map_is_made_again_by_the_next_run(predicting: Project) -> None:
    predict(predicting)
    damaged = predicting.maps.find(1)
    assert damaged is not None
    (damaged / "zarr.json").write_text("{")
    predict(predicting)
    again = predicting.maps.find(1)
    assert again is not None
    assert again != damaged
    assert np.asarray(open_map(again).covered).all()


def test_predictions_keep_the_hash_of_their_model_and_the_version_of_the_program(predicting: Project) -> None:
    predict(predicting)
    folder = predicting.maps.find(1)
    assert folder is not None
    made = open_map(folder)
    assert (made.model_hash, made.program) == (predicting.models.current().hash, histoloop.__version__)


def test_weights_that_were_changed_are_refused_before_a_slide_is_read(predicting: Project) -> None:
    path = predicting.models.current().folder / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not those that the project keeps"):
        next(predict_project(predicting, device="cpu"))


def test_a_model_that_predicts_no_numbers_is_refused_and_nothing_is_kept(predicting: Project) -> None:
    folder = predicting.models.new_folder(1)
    network = build_network(CONFIG)
    with torch.no_grad():
        for weights in network.parameters():
            weights.fill_(3e38)
    save_model(
        folder,
        load_card(predicting.models.current().folder),
        to_arrays(network.state_dict()),
        recipe="",
        half=False,
    )
    predicting.models.add(folder.name, hash=model_hash(folder), parent=1, round=1, status=ModelStatus.CURRENT)
    report = finish(predict_project(predicting, device="cpu"))
    assert report.predicted == ()
    assert [name for name, _reason in report.failed] == ["0.png", "1.png"]
    assert "not numbers" in report.failed[0][1]
    assert not is_whole(predicting, 1)
    assert list(predicting.maps.folder.iterdir()) == []


def test_slides_are_predicted_in_the_order_they_are_named(predicting: Project) -> None:
    report = finish(predict_project(predicting, slide_ids=[2, 99, 1, 2], device="cpu"))
    assert report.predicted == (2, 1)


def test_each_slide_is_told_of_as_soon_as_it_is_kept_and_only_once(predicting: Project) -> None:
    model_id, told = predicting.models.current().id, []

    def look(step: Progress) -> None:
        if isinstance(step, SlidePredicted):
            told.append((step.slide_id, step.model_id, [is_whole(predicting, slide_id) for slide_id in (1, 2)]))

    finish(predict_project(predicting, slide_ids=[2, 1], device="cpu"), look)
    assert told == [(2, model_id, [False, True]), (1, model_id, [True, True])]
    finish(predict_project(predicting, device="cpu"), look)
    assert len(told) == 2  # nothing is new
