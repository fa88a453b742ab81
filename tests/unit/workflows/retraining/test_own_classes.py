"""A project of its own classes that begins with an encoder nobody has trained: asked, painted, retrained, changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from histoloop.annotations.records import AnnotationStatus, LabelClass, MaskClass, Origin
from histoloop.errors import HistoLoopError, ModelError, ProjectError
from histoloop.geometry import Region
from histoloop.network_config import NetworkConfig
from histoloop.networks.arrays import to_arrays
from histoloop.networks.build import build_network
from histoloop.progress import finish
from histoloop.store.cards import CARD, load_card, read_card
from histoloop.store.encoders import weights_of_encoder
from histoloop.store.model_folder import load_weights, save_model
from histoloop.store.records import ModelStatus
from histoloop.workflows.classes import add_class, merge_classes, remove_class, rename_class, reorder_classes
from histoloop.workflows.contents.budget import advised
from histoloop.workflows.contents.mask_choices import localisation_models
from histoloop.workflows.contents.masks import map_in_project, mask_of_slide
from histoloop.workflows.contents.rounds import HowToLearn
from histoloop.workflows.decisions import decide_by_figures, keep
from histoloop.workflows.export import export_project
from histoloop.workflows.prediction.loaded_model import open_model
from histoloop.workflows.prediction.predict import predict_project
from histoloop.workflows.prediction.predict_files import predict_files
from histoloop.workflows.projects import create_project
from histoloop.workflows.queries.ask import ask
from histoloop.workflows.retraining.encoders import add_encoder
from histoloop.workflows.retraining.retrain import retrain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from histoloop.store.cards import Card
    from histoloop.store.project import Project
    from histoloop.workflows.contents.rounds import CandidateModel

SIDE = 128
CONFIG = NetworkConfig(2, backbone="mobilenet_v2")
THREE = (MaskClass("tumour", "#d55e00"), MaskClass("stroma", "#0072b2"), MaskClass("fat", "#009e73"))


@pytest.fixture
def model(tmp_path: Path, make_model: Callable[..., Path]) -> Path:
    """A model with random weights."""
    torch.manual_seed(0)
    card = read_card((make_model(tmp_path / "tiny", network=CONFIG) / CARD).read_text(encoding="utf-8"), source="tiny")
    return save_model(tmp_path / "given", card, to_arrays(build_network(CONFIG).state_dict()), recipe="", half=True)


@pytest.fixture
def begin(tmp_path: Path, model: Path, paint_tissue: Callable[..., Path]) -> Iterator[Callable[..., Project]]:
    """A project of four small slides that begins with the model's encoder."""
    made: list[Project] = []

    def make(classes: tuple[MaskClass, ...] = THREE, start: str | Path = model, **options: object) -> Project:
        project = create_project(
            tmp_path / "project",
            name="Own",
            start=start,
            classes=classes,
            encoder_only=True,
            **options,  # type: ignore[arg-type]
        )
        made.append(project)
        for number in range(4):
            path = paint_tissue(tmp_path / "slides" / f"{number}.png", width=SIDE, height=SIDE, seed=number)
            project.slides.add(path, width=SIDE, height=SIDE, mpp=1.0, vendor="picture")
        return project

    yield make
    for project in made:
        project.close()


def paint(project: Project, number: int, *values: int) -> None:
    """Stripes of mask values over the slide of a number."""
    mask = np.repeat(np.array(values, np.uint8), SIDE // len(values))[:, None] * np.ones((1, SIDE), np.uint8)
    slide_id = project.slides.all()[number].id
    draft = project.drafts.start(
        slide_id, Region(0, 0, SIDE, SIDE), mask=mask, origin_model=None, person="x", origin=Origin.HUMAN
    )
    project.drafts.finish(draft.id, AnnotationStatus.DONE)


def retrained(project: Project, **how: object) -> tuple[CandidateModel, Card]:
    candidate = finish(retrain(project, how=HowToLearn(**how), device="cpu", epochs=1))  # type: ignore[arg-type]
    return candidate, load_card(project.models.get(candidate.model_id).folder)


def test_nothing_is_predicted_by_what_nobody_has_taught(begin: Callable[..., Project], tmp_path: Path) -> None:
    project = begin()
    with pytest.raises(ModelError, match=r"predicts nothing.*annotate them, and retrain"):
        finish(predict_project(project, device="cpu"))
    folder, picture = project.models.current().folder, project.slides.all()[0].path
    with pytest.raises(ModelError, match="predicts nothing"):
        finish(predict_files([picture], out=tmp_path / "out", model=str(folder), device="cpu"))
    report = finish(export_project(project, tmp_path / "export"))
    assert (report.exported, len(report.failed)) == ((), 4)
    assert "annotate regions and retrain" in report.failed[0][1]


def test_the_first_questions_cover_the_slides_without_any_map(begin: Callable[..., Project]) -> None:
    project = begin()
    assert advised(project).strategy == "k-center"  # type: ignore[union-attr]
    report = finish(ask(project, count=3, region_map_px=128, device="cpu"))
    assert {query.strategy for query in report.queries} == {"k-center"}
    assert len({query.slide_id for query in report.queries}) == 3
    assert not any(project.maps.find(slide.id) for slide in project.slides.all())
    assert len(finish(ask(project, strategy="random", count=2, region_map_px=128, device="cpu")).queries) == 2
    for strategy in ("entropy", "mc-dropout", "cod", "learned-loss"):
        with pytest.raises(ProjectError, match="needs a trained model"):
            finish(ask(project, strategy=strategy, device="cpu"))
    assert len(project.queries.open()) == 2


@pytest.mark.parametrize("pace", ["quick", "full"])
def test_the_first_round_is_kept_without_asking_and_predicts_what_is_annotated(
    pace: str, begin: Callable[..., Project]
) -> None:
    project = begin()
    for number, values in enumerate(((1, 2), (2, 3), (3, 0))):
        paint(project, number, *values)
    candidate, card = retrained(project, pace=pace)
    assert (candidate.old_dice, candidate.held_out) == (None, 1)
    assert candidate.new_dice is not None
    assert project.models.current().id == candidate.model_id
    assert decide_by_figures(project, candidate) == "kept"
    assert project.models.first().status is ModelStatus.KEPT
    assert (card.trained, card.network.mask_classes, card.network.labels) == (True, 3, 0)
    assert card.scheme.mask_names == ("tumour", "stroma", "fat")
    slides = project.slides.all()
    assert [project.maps.find(slide.id) is not None for slide in slides] == [True, True, True, False]
    assert [slide.predicted for slide in slides] == [{}, {}, {}, None]
    assert mask_of_slide(project, slides[0].id) is not None
    finish(predict_project(project, device="cpu"))
    (query,) = finish(ask(project, count=3, region_map_px=128, device="cpu")).queries  # of the one left
    assert (query.slide_id, query.strategy) == (slides[3].id, "entropy")


def test_labels_that_nobody_taught_are_not_predicted_after_a_round_of_masks(begin: Callable[..., Project]) -> None:
    project = begin(labels=(LabelClass("benign"), LabelClass("malignant", "tumour")))
    paint(project, 0, 1, 2)
    _candidate, card = retrained(project, pace="quick")
    assert (card.network.labels, card.knows_labels) == (2, False)
    assert project.slides.all()[0].predicted == {}
    model = next(model for model in localisation_models(project) if model.status is ModelStatus.CURRENT)
    assert (model.labels, model.methods) == ((), ("decoder",))


@pytest.mark.parametrize("learn_from", ["labels", "sizes", "min-max"])
def test_slide_labels_alone_are_enough_to_begin(learn_from: str, begin: Callable[..., Project]) -> None:
    project = begin(labels=(LabelClass("benign"), LabelClass("malignant", "tumour")))
    with pytest.raises(ProjectError):
        retrained(project, learn_from=learn_from)
    for slide, label in zip(project.slides.all(), ("benign", "malignant", "malignant", "benign"), strict=True):
        project.slides.set_label(slide.id, label, person="x")
        if learn_from == "sizes":
            region = Region(0, 0, SIDE, SIDE)
            project.annotations.add(slide.id, region, label=label, size=0.4, person="x")
    candidate, card = retrained(project, learn_from=learn_from)
    assert card.trained
    assert card.knows_labels
    assert project.models.current().id == candidate.model_id
    finish(predict_project(project, device="cpu"))
    assert all(set(slide.predicted or ()) == {"benign", "malignant"} for slide in project.slides.all())
    found = map_in_project(project, project.slides.all()[0].id)
    assert found is not None
    assert found.classes.foreground_values == (0, 1)


def test_without_labels_of_its_own_a_project_learns_from_masks_alone(begin: Callable[..., Project]) -> None:
    project = begin()
    paint(project, 0, 1, 2)
    for learn_from in ("labels", "sizes", "min-max"):
        with pytest.raises(ProjectError, match="no labels to learn from"):
            retrained(project, learn_from=learn_from)


def test_one_class_is_one_foreground_and_its_pixels_are_of_it(begin: Callable[..., Project]) -> None:
    project = begin((MaskClass("nerve", "#d55e00"),))
    paint(project, 0, 1, 0)
    _candidate, card = retrained(project, pace="quick")
    assert (card.network.mask_classes, card.network.labels, card.foreground_values) == (1, 0, (1,))
    found = mask_of_slide(project, project.slides.all()[0].id)
    assert found is not None
    assert set(np.unique(found.mask)) <= {0, 1}


def test_classes_that_change_are_learned_anew_and_those_that_stay_go_on(begin: Callable[..., Project]) -> None:
    project = begin()
    for number, values in enumerate(((1, 2), (2, 3), (3, 1), (1, 3))):
        paint(project, number, *values)
    first, _card = retrained(project, pace="quick")
    rename_class(project, "tumour", "cancer")
    add_class(project, "nerve")
    remove_class(project, "fat")
    reorder_classes(project, ("nerve", "stroma", "cancer"))
    paint(project, 0, 1, 2, 3, 0)
    second, card = retrained(project, pace="quick", propagation=True)
    assert card.scheme.mask_names == ("nerve", "stroma", "cancer")
    assert card.network.mask_classes == 3
    assert second.old_dice is not None  # the model before is measured in the classes of today
    keep(project, second.model_id)
    merge_classes(project, "stroma", into="cancer")
    remove_class(project, "nerve")
    third, card = retrained(project, pace="full")
    assert (card.scheme.mask_names, card.network.mask_classes) == (("cancer",), 1)
    slide_id = project.slides.all()[0].id
    for model_id in (first.model_id, second.model_id, third.model_id):
        found = map_in_project(project, slide_id, model_id)
        assert found is not None
        masks = found.slide_map.read_masks(Region(0, 0, SIDE, SIDE))
        assert masks.shape[-2:] == (SIDE, SIDE)
        assert masks.ndim == 2 or len(masks) == 1


def test_old_predictions_follow_their_classes(begin: Callable[..., Project]) -> None:
    project = begin()
    for number, values in enumerate(((1, 2), (2, 3), (3, 1))):
        paint(project, number, *values)
    retrained(project, pace="quick")
    slide_id, everywhere = project.slides.all()[0].id, Region(0, 0, SIDE, SIDE)

    def planes() -> dict[str, np.ndarray]:
        found = map_in_project(project, slide_id)
        assert found is not None
        return dict(zip(found.slide_map.mask_classes, found.slide_map.read_masks(everywhere), strict=True))

    before = planes()
    rename_class(project, "tumour", "cancer")
    reorder_classes(project, ("fat", "cancer", "stroma"))
    add_class(project, "new")
    after = planes()
    assert list(after) == ["fat", "cancer", "stroma", "new"]
    assert np.array_equal(after["cancer"], before["tumour"])
    assert not after["new"].any()
    merge_classes(project, "fat", into="stroma")
    np.testing.assert_allclose(planes()["stroma"], before["fat"] + before["stroma"], atol=1e-3)
    remove_class(project, "cancer")
    assert list(planes()) == ["stroma", "new"]


def test_a_round_is_refused_when_classes_change_under_it(
    begin: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    from histoloop.workflows.retraining import retrain as module

    project = begin()
    paint(project, 0, 1, 2)
    gather = module.gather_training_set

    def changing(*values: object, **options: object) -> object:
        rename_class(project, "fat", "lipid")
        return gather(*values, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "gather_training_set", changing)
    with pytest.raises(ProjectError, match="changed meanwhile"):
        retrained(project, pace="quick")
    assert project.rounds.all() == []


def test_the_weights_of_an_added_encoder_are_referred_to_in_every_round(
    begin: Callable[..., Project], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "home"))
    source = tmp_path / "my encoder.safetensors"
    own = {
        name.removeprefix("classifier.backbone."): array
        for name, array in load_weights(model).items()
        if ".backbone." in name
    }
    save_file(own, source)
    added = finish(add_encoder(source))
    assert (added.name, added.backbone) == ("my-encoder", "mobilenet_v2")
    project = begin(start="my-encoder")
    paint(project, 0, 1, 2)
    candidate, card = retrained(project, pace="quick")
    assert card.encoder == added.hash
    folder = project.models.get(candidate.model_id).folder
    assert not any("backbone" in name for name in load_weights(folder))
    loaded = open_model(folder, device="cpu")
    for name, tensor in loaded.network.backbone.state_dict().items():
        assert np.array_equal(tensor.numpy(), own[name]), name
    weights_of_encoder(added.hash).unlink()
    with pytest.raises(ModelError, match=r"not on this computer.*histoloop encoders add"):
        open_model(folder, device="cpu")


@pytest.mark.parametrize("kind", ["other", "nan"])
def test_a_file_of_another_architecture_or_of_no_numbers_is_no_encoder(kind: str, model: Path, tmp_path: Path) -> None:
    tensors = {name: array.astype(np.float32) for name, array in load_weights(model).items() if ".backbone." in name}
    first = next(name for name in tensors if tensors[name].ndim == 4)
    tensors[first] = tensors[first][..., :1] if kind == "other" else np.full_like(tensors[first], np.nan)
    source = tmp_path / "bad.safetensors"
    save_file(tensors, source)
    with pytest.raises(HistoLoopError, match="any encoder" if kind == "other" else "not finite numbers"):
        finish(add_encoder(source))
