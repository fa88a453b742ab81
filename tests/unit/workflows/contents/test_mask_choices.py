"""Models of a project that draw masks, and what is chosen among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import ModelError
from histoloop.network_config import MinMaxConfig, NetworkConfig
from histoloop.store.cards import load_card
from histoloop.store.records import ModelStatus
from histoloop.workflows.add_model import add_model
from histoloop.workflows.classes import (
    merge_classes,
    remove_class,
    rename_class,
    reorder_classes,
    undo_class_change,
)
from histoloop.workflows.contents.mask_choices import (
    ModelClasses,
    choice_to_compare,
    classes_of_model,
    localisation_models,
    own_choice,
    remembered,
    to_remember,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project

MINMAX = NetworkConfig(2, minmax=MinMaxConfig(), decoder_channels=())


@pytest.fixture
def minmax(tmp_path: Path, make_model: Callable[..., Path]) -> Path:
    return make_model(tmp_path / "given" / "minmax", network=MINMAX, weights=b"other", threshold=0.4)


def test_a_model_that_is_added_is_copied_whole_and_leaves_the_one_in_use(project: Project, minmax: Path) -> None:
    before = project.models.current()
    record = add_model(project, minmax)
    assert record.folder.parent == project.models.folder
    assert load_card(record.folder) == load_card(minmax)
    assert record.status is ModelStatus.KEPT
    assert project.models.current() == before == project.models.first()
    assert not list(project.models.folder.glob(".*"))


def test_models_offer_their_drawings_the_own_one_first(project: Project, minmax: Path) -> None:
    add_model(project, minmax)
    tiny, added = localisation_models(project)
    assert (tiny.name, tiny.status, tiny.methods) == (
        "tiny",
        ModelStatus.CURRENT,
        ("decoder", "cam", "grad-cam"),
    )
    assert (added.name, added.methods, added.threshold) == ("minmax", ("min-max", "cam"), 0.4)
    own = own_choice(added)
    assert own.weighs_both_sides
    assert own.is_own
    assert own.labels == ()
    cam = own.made_by("cam", "malignant")
    assert (cam.labels, cam.label, cam.threshold) == (("benign", "malignant"), "malignant", 0.5)
    assert not cam.is_own
    assert cam.made_by("min-max", "malignant") == own
    with pytest.raises(ValueError, match="attention"):
        own.made_by("attention")


def test_a_broken_model_is_not_offered_and_one_rolled_back_comes_last(project: Project, minmax: Path) -> None:
    project.models.set_status(add_model(project, minmax).id, ModelStatus.ROLLED_BACK)
    project.models.add("gone", hash="x", parent=None, round=1)
    later = project.models.add("tiny", hash="y", parent=1, round=2)
    assert [model.id for model in localisation_models(project)] == [1, later.id, 2]
    assert localisation_models(project)[1].name == "Round 2"


def test_a_model_with_classes_the_project_lacks_is_refused_with_advice(
    tmp_path: Path, project: Project, make_model: Callable[..., Path]
) -> None:
    scheme = ClassScheme((LabelClass("a", "gland"), LabelClass("b", "nerve")), tuple(map(_mask, ("gland", "nerve"))))
    folder = make_model(tmp_path / "given" / "nerves", scheme=scheme)
    with pytest.raises(ModelError, match="nerve") as refused:
        add_model(project, folder)
    assert "new project" in refused.value.advice
    assert len(project.models.all()) == 1


def test_a_model_with_fewer_classes_and_other_labels_takes_the_values_of_the_project(
    tmp_path: Path, project: Project, make_model: Callable[..., Path]
) -> None:
    scheme = ClassScheme((LabelClass("low", "tumour"), LabelClass("high", "tumour")), (_mask("tumour"),))
    record = add_model(project, make_model(tmp_path / "given" / "grades", scheme=scheme))
    assert classes_of_model(project, record.id, load_card(record.folder)) == ModelClasses((2,), (2, 2))


def test_what_a_model_draws_is_shown_as_what_its_class_is_called_and_has_become(project: Project) -> None:
    record = project.models.first()
    card = load_card(record.folder)
    assert classes_of_model(project, record.id, card) == ModelClasses((1, 2), (1, 2))
    rename_class(project, "gland", "crypt")
    reorder_classes(project, ("tumour", "crypt"))
    assert classes_of_model(project, record.id, card) == ModelClasses((2, 1), (2, 1))
    remove_class(project, "crypt")
    assert classes_of_model(project, record.id, card) == ModelClasses((0, 1), (0, 1))
    undo_class_change(project)
    merge_classes(project, "crypt", into="tumour")
    assert classes_of_model(project, record.id, card) == ModelClasses((1, 1), (1, 1))


def test_a_model_is_not_added_twice(project: Project, minmax: Path) -> None:
    add_model(project, minmax)
    with pytest.raises(ModelError, match="already"):
        add_model(project, minmax)
    assert len(project.models.all()) == 2


@pytest.mark.parametrize("setting", [None, 3, [], {"1": 7}, {"1": {"drawing": "attention"}}, {"2": {"drawing": "cam"}}])
def test_without_a_drawing_that_fits_a_model_draws_its_own(project: Project, setting: object) -> None:
    (model,) = localisation_models(project)
    assert remembered(setting, model) == own_choice(model)


def test_each_model_remembers_its_own_drawing(project: Project, minmax: Path) -> None:
    add_model(project, minmax)
    tiny, added = localisation_models(project)
    setting = to_remember(None, own_choice(tiny).made_by("grad-cam", "malignant"))
    setting = to_remember(setting, own_choice(added).made_by("cam"))
    project.settings.set("drawings", setting)
    kept = project.settings.get("drawings")
    assert (remembered(kept, tiny).method, remembered(kept, tiny).label) == ("grad-cam", "malignant")
    assert (remembered(kept, added).method, remembered(kept, added).label) == ("cam", None)


def test_a_label_that_is_gone_is_forgotten(project: Project) -> None:
    (model,) = localisation_models(project)
    assert remembered({"1": {"drawing": "cam", "label": "sarcoma"}}, model).label is None


def test_beside_a_new_model_stands_the_one_in_use_else_the_newest_else_another_drawing(
    project: Project, minmax: Path
) -> None:
    (alone,) = localisation_models(project)
    assert choice_to_compare([alone], own_choice(alone), has_map=lambda _id: True).method == "cam"
    add_model(project, minmax)
    candidate = project.models.add("tiny", hash="y", parent=1, round=1)
    tiny, added, new = localisation_models(project)
    models = [tiny, added, new]
    assert choice_to_compare(models, own_choice(new), has_map=lambda _id: True).model is tiny
    assert choice_to_compare(models, own_choice(tiny), has_map=lambda _id: True).model is new
    assert choice_to_compare(models, own_choice(tiny), has_map=lambda id: id != candidate.id).model is added


def _mask(name: str) -> MaskClass:
    return MaskClass(name, "#102030")
