"""A round measured by cross-validation, with a real but tiny network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histoloop.cli import main
from histoloop.errors import ProjectError
from histoloop.geometry import Region
from histoloop.network_config import NetworkConfig, PoolingConfig
from histoloop.networks.arrays import to_arrays
from histoloop.networks.build import build_network
from histoloop.progress import finish
from histoloop.store.cards import CARD, read_card
from histoloop.store.model_folder import save_model
from histoloop.workflows import annotate
from histoloop.workflows.contents.rounds import HowToLearn, open_candidate
from histoloop.workflows.projects import create_project
from histoloop.workflows.retraining import cross_validate as module
from histoloop.workflows.retraining.cross_validate import cross_validate
from histoloop.workflows.retraining.retrain import learn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.store.project import Project

SIDE = 64
CONFIG = NetworkConfig(
    2,
    backbone="mobilenet_v2",
    pooling=PoolingConfig(name="average", modalities=1),
    decoder_channels=(8, 8, 8, 8, 8),
)


@pytest.fixture
def begun(tmp_path: Path, make_model: Callable[..., Path], paint_tissue: Callable[..., Path]) -> Iterator[Project]:
    """A project of six small slides that starts from a network with random weights."""
    torch.manual_seed(0)
    card = read_card((make_model(tmp_path / "tiny", network=CONFIG) / CARD).read_text(encoding="utf-8"), source="tiny")
    weights = to_arrays(build_network(CONFIG).state_dict())
    model = save_model(tmp_path / "given", card, weights, recipe="", half=True)
    with create_project(tmp_path / "project", name="Colon", start=model) as project:
        for number in range(6):
            path = paint_tissue(tmp_path / "slides" / f"{number}.png", width=SIDE, height=SIDE, seed=number)
            project.slides.add(path, width=SIDE, height=SIDE, mpp=1.0, vendor="picture")
        yield project


def paint(project: Project, count: int) -> None:
    """The upper half of the first slides that are not painted yet."""
    painted = {one.slide_id for one in project.annotations.finished()}
    slides = [slide.id for slide in project.slides.all() if slide.id not in painted][:count]
    for slide_id in slides:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[: SIDE // 2] = 1
        place = Region(0, 0, SIDE, SIDE)
        draft = project.drafts.start(slide_id, place, mask=mask, origin_model=None, person="test")
        annotate.finish(project, draft.id)


def test_every_region_is_measured_by_a_decoder_that_has_not_learned_from_it(
    begun: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(begun, 4)
    candidate = finish(learn(begun, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
    fitted: list[int] = []
    fit = module.train_on_features

    def counted(*arguments, annotated, **options):
        fitted.append(len(annotated))
        return fit(*arguments, annotated=annotated, **options)

    monkeypatch.setattr(module, "train_on_features", counted)
    stages = []
    found = finish(cross_validate(begun, candidate.model_id, device="cpu", epochs=1), stages.append)
    assert fitted == [3, 3, 3, 3]
    assert (found.regions, found.compared) == (4, 4)
    assert 0 <= found.interval[0] <= found.dice <= found.interval[1] <= 1
    assert found.after == pytest.approx(found.dice)
    assert found.change is not None
    shares = [step.fraction for step in stages if step.stage == "Cross-validating"]
    assert shares == sorted(shares)
    waiting = open_candidate(begun)
    assert waiting is not None
    assert waiting.crossed == found
    assert (waiting.new_dice, waiting.held_out) == (candidate.new_dice, 1)


def test_the_model_in_use_is_compared_on_what_it_has_not_learned_from(begun: Project) -> None:
    paint(begun, 3)
    first = finish(learn(begun, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
    begun.models.make_current(first.model_id)
    paint(begun, 1)
    second = finish(learn(begun, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
    found = finish(cross_validate(begun, second.model_id, device="cpu", epochs=1))
    assert (found.regions, found.compared) == (4, 2)  # the one held out, and the one painted since


def test_fewer_than_three_regions_are_refused_with_advice(begun: Project) -> None:
    paint(begun, 2)
    candidate = finish(learn(begun, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
    with pytest.raises(ProjectError, match="too few") as refused:
        finish(cross_validate(begun, candidate.model_id, device="cpu", epochs=1))
    assert "three" in refused.value.advice


def test_the_command_line_cross_validates_the_round_that_waits_once(
    begun: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(begun, 4)
    finish(learn(begun, how=HowToLearn(pace="quick"), device="cpu", epochs=1))
    folder, told = begun.folder, tmp_path / "found.json"
    begun.close()
    command = ["cross-validate", str(folder), "--epochs", "1", "--device", "cpu", "--json", str(told)]
    assert main(command) == 0
    (found,) = json.loads(told.read_text(encoding="utf-8"))["done"]
    assert found["round"] == 1
    assert found["regions"] == 4
    assert found["interval"][0] <= found["dice"] <= found["interval"][1]
    assert "Cross-validated on 4 painted regions" in capsys.readouterr().out
    assert main(command) == 0
    assert json.loads(told.read_text(encoding="utf-8"))["done"] == [found]  # as it was kept, not done again


def test_the_command_line_says_why_a_round_cannot_be_cross_validated(
    begun: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = begun.folder
    begun.close()
    assert main(["cross-validate", str(folder)]) == 1
    assert "waits for a decision" in capsys.readouterr().err
