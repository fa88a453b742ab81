"""Ranking saved models without labels: on a data set, on a project, from the command line."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from histoloop.annotations.records import AnnotationStatus, Origin
from histoloop.cli import main
from histoloop.errors import ModelError, ProjectError
from histoloop.geometry import Region
from histoloop.networks.arrays import to_arrays, to_tensors
from histoloop.progress import finish
from histoloop.store.cards import card_text, load_card
from histoloop.store.model_folder import EARLIER, copy_model, load_weights, save_model
from histoloop.workflows.contents.suited_models import SUITED_MODELS, SuitedModels, comparable_models, suited_models
from histoloop.workflows.decisions import keep, roll_back
from histoloop.workflows.experiments.rank_models import (
    UNCERTAIN,
    RankedModel,
    Ranking,
    RegionDiscrepancy,
    rank_on_dataset,
    rank_on_project,
    suit_slides,
)
from histoloop.workflows.experiments.train import train_model
from histoloop.workflows.prediction.loaded_model import load_model, one_epoch_earlier
from histoloop.workflows.projects import create_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from histoloop.progress import Work
    from histoloop.store.project import Project

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, discs: Path, write_recipe: Callable[..., str]) -> Path:
    """A model with a decoder over a frozen classifier, trained for an epoch."""
    folder = tmp_path_factory.mktemp("models")
    recipe = write_recipe(folder, "hybrid")
    return finish(train_model(recipe=recipe, data=discs, out=folder / "moved", device="cpu", mpp=1.0))


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> list[Path]:
    """The trained model, one that moved a hundredth as far, and one that stood still."""
    model = load_model(trained, CPU)
    before, now = one_epoch_earlier(model).network.state_dict(), to_tensors(load_weights(trained))
    back = {name: before[name] - value for name, value in now.items() if not torch.equal(before[name], value)}
    made = [trained]
    for name, share in (("little", 0.01), ("still", 0.0)):
        way = {key: (share * tensor).to(tensor.dtype) for key, tensor in back.items()}
        made.append(
            save_model(tmp_path / "m" / name, model.card, to_arrays(now), recipe="", half=True, way_back=to_arrays(way))
        )
    return made


@pytest.fixture
def project(trained: Path, tmp_path: Path, paint_tissue: Callable[..., Path]) -> Iterator[Project]:
    with create_project(tmp_path / "project", name="Colon", start=trained) as project:
        for number in range(3):
            path = paint_tissue(tmp_path / "slides" / f"{number}.png", width=64, height=64, seed=number)
            project.slides.add(path, width=64, height=64, mpp=1.0, vendor="picture")
        yield project


def annotate(project: Project, slide_id: int) -> None:
    draft = project.drafts.start(
        slide_id, Region(0, 0, 64, 64), mask=np.ones((64, 64), np.uint8), origin_model=None, person="test",
        query_id=None, origin=Origin.HUMAN,
    )  # fmt: skip
    project.drafts.finish(draft.id, AnnotationStatus.DONE)


def test_of_a_frozen_classifier_only_the_decoder_was_another_one_epoch_earlier(trained: Path) -> None:
    model = load_model(trained, CPU)
    before, now = one_epoch_earlier(model).network.state_dict(), model.network.state_dict()
    moved = {name for name, tensor in now.items() if not torch.equal(before[name], tensor)}
    assert moved
    assert all(name.startswith("decoder.") for name in moved)


def test_the_model_that_moved_least_comes_first_and_its_regions_by_discrepancy(models: list[Path], discs: Path) -> None:
    ranking = finish(rank_on_dataset(models, data=discs, mpp=1.0, device="cpu"))
    assert [model.folder for model in ranking.models] == models[::-1]
    still, little, moved = ranking.models
    assert still.discrepancy == 0
    assert little.discrepancy < moved.discrepancy / 100
    values = [region.discrepancy for region in moved.regions]
    assert values == sorted(values, reverse=True)
    assert moved.discrepancy == pytest.approx(np.mean(values))
    assert len({region.region for region in moved.regions}) == 16
    assert set(ranking.best_of_regions().values()) == {models[2]}
    assert ranking.warnings == (UNCERTAIN,)


def test_masks_of_the_data_measure_the_choice_and_take_no_part_in_it(
    models: list[Path], discs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measures = finish(rank_on_dataset(models, data=discs, mpp=1.0, device="cpu")).measures()
    assert measures is not None
    assert 0 < measures.by_sample == pytest.approx(measures.mean)  # all ended with the same weights
    assert measures.by_sample == pytest.approx(measures.by_model)
    assert finish(rank_on_dataset(models[:1], data=discs, mpp=1.0, device="cpu")).measures() is None
    assert main(["rank", "--data", str(discs), *map(str, models), "--mpp", "1", "--device", "cpu"]) == 0
    assert f"moved least there: {100 * measures.by_sample:.1f}" in capsys.readouterr().out


def test_probabilities_are_compared_where_nothing_else_is_said(models: list[Path], discs: Path) -> None:
    plain = finish(rank_on_dataset(models[:1], data=discs, mpp=1.0, device="cpu"))
    by_softmax = finish(rank_on_dataset(models[:1], data=discs, mpp=1.0, outputs="softmax", device="cpu"))
    assert plain.models == by_softmax.models


def test_on_a_project_probabilities_are_compared_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def rank(*_: object, outputs: str, **__: object) -> Work[Ranking]:
        compared.append(outputs)
        yield from ()
        return Ranking((), ())

    monkeypatch.setattr("histoloop.workflows.experiments.rank_models._rank", rank)
    finish(rank_on_project(project, device="cpu"))
    finish(rank_on_project(project, outputs="logit", device="cpu"))
    assert compared == ["softmax", "logit"]


def test_probabilities_can_be_compared_in_place_of_logits(models: list[Path], discs: Path) -> None:
    by_logit, by_softmax = (
        finish(rank_on_dataset(models[:1], data=discs, mpp=1.0, outputs=outputs, device="cpu")).models[0].discrepancy
        for outputs in ("logit", "softmax")
    )
    assert 0 < by_softmax < by_logit


def test_a_classifier_is_ranked_by_its_scores(
    discs: Path, write_recipe: Callable[..., str], tmp_path: Path, models: list[Path]
) -> None:
    recipe = write_recipe(tmp_path, "labels")
    model = finish(train_model(recipe=recipe, data=discs, out=tmp_path / "c", device="cpu", mpp=1.0))
    ranking = finish(rank_on_dataset([model], data=discs, mpp=1.0, device="cpu"))
    assert ranking.models[0].discrepancy > 0
    with pytest.raises(ModelError, match="cannot be compared"):
        finish(rank_on_dataset([model, models[0]], data=discs, mpp=1.0, device="cpu"))


def test_models_without_their_earlier_state_are_named_with_advice(models: list[Path], discs: Path) -> None:
    (models[1] / EARLIER).unlink()
    with pytest.raises(ModelError, match="little") as refused:
        finish(rank_on_dataset(models, data=discs, mpp=1.0, device="cpu"))
    assert "histoloop train" in refused.value.advice
    assert str(models[0]) not in refused.value.message


def test_a_project_ranks_its_models_on_regions_that_nobody_annotated(project: Project) -> None:
    first, second, third = project.slides.all()
    annotate(project, first.id)
    ranking = finish(rank_on_project(project, device="cpu"))
    assert [model.folder for model in ranking.models] == [project.models.first().folder]
    assert {one.region.partition(",")[0] for one in ranking.models[0].regions} == {second.name, third.name}
    for slide in (second, third):
        annotate(project, slide.id)
    with pytest.raises(ProjectError, match="Every region"):
        finish(rank_on_project(project, device="cpu"))


def test_a_project_without_a_model_that_can_be_ranked_says_so(project: Project) -> None:
    (project.models.first().folder / EARLIER).unlink()
    with pytest.raises(ProjectError, match="keeps an earlier state"):
        finish(rank_on_project(project, device="cpu"))


def test_each_slide_is_suited_by_the_model_that_moved_least_there(project: Project, models: list[Path]) -> None:
    for number, folder in enumerate(models[1:], start=1):
        own = project.models.new_folder(number)
        digest = copy_model(folder, own)
        project.rounds.add_candidate(project.models, own.name, hash=digest, parent=1, figures={}, annotations=1)
    moved, little, still = comparable_models(project)
    found = finish(suit_slides(project, device="cpu"))
    assert found.models == (moved.id, little.id, still.id)
    assert found.slides == {slide.id: still.id for slide in project.slides.all()}
    project.settings.set(SUITED_MODELS, found.as_setting())
    assert suited_models(project) == found
    keep(project, still.id)
    roll_back(project, little.id)
    assert suited_models(project) is None  # other models than were compared
    assert [record.id for record in comparable_models(project)] == [moved.id, still.id]


def test_a_slide_goes_by_the_mean_of_its_own_regions() -> None:
    one, other = Path("one"), Path("other")

    def ranked(folder: Path, *values: float) -> RankedModel:
        cases = ("a", "a", "b", "")
        regions = (RegionDiscrepancy(str(n), value, case=cases[n]) for n, value in enumerate(values))
        return RankedModel(folder.name, folder, sum(values), tuple(regions))

    ranking = Ranking((ranked(one, 1.0, 5.0, 1.0, 0.0), ranked(other, 2.0, 2.0, 2.0, 9.0)), ())
    assert ranking.best_of_cases() == {"a": other, "b": one}


def test_one_model_alone_is_not_compared(project: Project) -> None:
    with pytest.raises(ProjectError, match="two models"):
        finish(suit_slides(project, device="cpu"))


@pytest.mark.parametrize(
    "kept", [None, 3, {}, {"models": [1]}, {"models": "ab", "slides": {}}, {"models": [1], "slides": 2}]
)
def test_what_cannot_be_read_of_a_comparison_is_none(kept: object) -> None:
    assert SuitedModels.of_setting(kept) is None


@pytest.mark.parametrize(("change", "word"), [({"recipe": "another"}, "recipes"), ({"masks": 2.0}, "masks")])
def test_models_that_were_taught_differently_are_ranked_with_a_warning(
    change: dict[str, str | float], word: str, models: list[Path], discs: Path, tmp_path: Path
) -> None:
    card = load_card(models[0])
    other = shutil.copytree(models[1], tmp_path / "other")
    changed = dataclasses.replace(card, training={**card.training, **change})
    (other / "card.md").write_text(card_text(changed), encoding="utf-8")
    ranking = finish(rank_on_dataset([models[0], other], data=discs, mpp=1.0, device="cpu"))
    assert len(ranking.warnings) == 2
    assert f"different {word}" in ranking.warnings[1] or f"numbers of {word}" in ranking.warnings[1]


def test_rank_prints_the_best_first_and_writes_json(
    models: list[Path], discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["rank", "--data", str(discs), "--mpp", "1", "--device", "cpu", "--regions", "2"]
    assert main([*command, "--json", str(tmp_path / "r.json"), *map(str, models)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[:1].isdigit()] == ["1", "2", "3"]
    assert str(models[2]) in lines[0]
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [model["folder"] for model in content["models"]] == [str(model) for model in models[::-1]]
    assert len(content["models"][0]["regions"]) == 16


def test_rank_on_a_project_takes_its_models(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project.folder
    project.close()
    assert main(["rank", "--project", str(folder), "--device", "cpu"]) == 0
    assert capsys.readouterr().out.startswith("1  ")


def test_rank_lists_the_model_of_each_slide_where_that_is_asked_for(
    project: Project, discs: Path, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, names = project.folder, [slide.name for slide in project.slides.all()]
    project.close()
    own = ["rank", "--project", str(folder), "--device", "cpu", "--slides", *map(str, models[1:])]
    assert main(own) == 0
    lines = capsys.readouterr().out.splitlines()
    title = load_card(models[2]).name
    assert [line for line in lines if line.endswith("moved least")] == [
        f"{name}: {title} moved least" for name in names
    ]
    assert main(["rank", "--data", str(discs), "--slides", str(models[0])]) == 2
    assert "--project" in capsys.readouterr().err


def test_rank_on_a_data_set_needs_models(discs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", "--data", str(discs)]) == 2
    assert "model folders" in capsys.readouterr().err


def test_a_model_that_cannot_be_read_is_left_out_and_named(
    models: list[Path], discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(models[0], tmp_path / "broken")
    (broken / EARLIER).write_bytes(b"no weights")
    command = ["rank", "--data", str(discs), "--mpp", "1", "--device", "cpu"]
    assert main([*command, str(broken), *map(str, models)]) == 3
    told = capsys.readouterr()
    assert str(broken) in told.err
    assert str(broken) not in told.out
    assert [line.split()[0] for line in told.out.splitlines() if line[:1].isdigit()] == ["1", "2", "3"]


def test_where_no_model_can_be_read_the_error_names_them(models: list[Path], discs: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(models[0], tmp_path / "broken")
    (broken / EARLIER).write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"No model could be ranked: .*broken"):
        finish(rank_on_dataset([broken], data=discs, mpp=1.0, device="cpu"))


def test_a_picture_that_cannot_be_read_takes_no_part_in_the_ranking(
    models: list[Path], discs: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(discs, tmp_path / "damaged")
    (data / "benign" / "3.png").write_bytes(b"no picture")
    ranking = finish(rank_on_dataset(models[:2], data=data, mpp=1.0, device="cpu"))
    ((name, _reason),) = ranking.failed
    assert "3.png" in name
    assert [len(model.regions) for model in ranking.models] == [15, 15]


def test_a_slide_of_a_project_that_cannot_be_read_takes_no_part_in_the_ranking(project: Project) -> None:
    work = rank_on_project(project, device="cpu")
    while next(work).stage != "Reading regions":
        pass
    broken = project.slides.all()[2]
    broken.path.write_bytes(b"no picture")
    ranking = finish(work)
    assert [name for name, _reason in ranking.failed] == [broken.name]
    assert ranking.models
