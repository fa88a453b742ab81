"""What a project begins with: a model whose classes fit, or an encoder that nobody has trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.errors import ClassError, ModelError
from histoloop.network_config import MinMaxConfig, NetworkConfig
from histoloop.progress import finish
from histoloop.store.cards import WEIGHTS, load_card
from histoloop.store.encoders import keep_encoder
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.projects import create_project
from histoloop.workflows.starts import find_start, not_drawn
from histoloop.workflows.status import project_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.store.project import Project


def masks(*names: str) -> tuple[MaskClass, ...]:
    return tuple(MaskClass(name, "") for name in names)


@pytest.fixture(autouse=True)
def no_encoders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "home"))


@pytest.fixture
def model(tmp_path: Path, make_model: Callable[..., Path]) -> Path:
    """A model folder whose weights are those of a backbone and of other things."""
    folder = make_model(tmp_path / "given" / "colon", network=NetworkConfig(2, backbone="mobilenet_v2"), mpp=1.15)
    tensors = {"classifier.backbone.a": np.ones(3, np.float16), "classifier.head.b": np.ones(2, np.float16)}
    save_file(tensors, folder / WEIGHTS)
    return folder


@pytest.fixture
def create(tmp_path: Path) -> Callable[..., Project]:
    def make(start: str | Path, **options: object) -> Project:
        return create_project(tmp_path / "own", name="Own", start=start, **options)  # type: ignore[arg-type]

    return make


def test_an_encoder_of_a_model_gives_its_backbone_under_the_projects_own_classes(
    model: Path, create: Callable[..., Project]
) -> None:
    labels = (LabelClass("benign"), LabelClass("malignant", "tumour"))
    with create(model, classes=masks("tumour", "stroma", "fat"), labels=labels, encoder_only=True) as project:
        card, scheme = project.models.current_card(), project.scheme
        assert (card.trained, card.knows_labels, card.encoder, card.mpp) == (False, False, None, 1.15)
        assert (card.network.labels, card.network.backbone, card.network.mask_classes) == (2, "mobilenet_v2", 3)
        assert (scheme.mask_names, scheme.labels) == (("tumour", "stroma", "fat"), labels)
        assert card.scheme == scheme
        assert list(load_file(project.models.current().folder / WEIGHTS)) == ["classifier.backbone.a"]


def test_the_backbone_of_a_min_max_model_is_found_too(
    tmp_path: Path, make_model: Callable[..., Path], create: Callable[..., Project]
) -> None:
    network = NetworkConfig(2, decoder_channels=(), minmax=MinMaxConfig())
    folder = make_model(tmp_path / "given" / "minmax", network=network)
    save_file({"_backbone.a": np.ones(3, np.float16), "localizer.b": np.ones(2, np.float16)}, folder / WEIGHTS)
    with create(folder, classes=masks("tumour"), encoder_only=True) as project:
        assert list(load_file(project.models.current().folder / WEIGHTS)) == ["classifier.backbone.a"]
        assert project.scheme.labels == ()
        assert project.models.current_card().network.labels == 0


def test_the_weights_of_an_added_encoder_stay_where_they_are(tmp_path: Path, create: Callable[..., Project]) -> None:
    source = tmp_path / "mine.safetensors"
    save_file({"a": np.ones(3, np.float32)}, source)
    about = {"backbone": "resnet18", "mpp": 0.5, "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    added = keep_encoder("mine", source, about=about)
    for number, start in enumerate(("mine", source)):
        with create_project(tmp_path / f"p{number}", name="P", start=start, classes=masks("a", "b")) as project:
            card = project.models.current_card()
            assert (card.encoder, card.network.backbone, card.mpp) == (added.hash, "resnet18", 0.5)
            assert (card.mean, card.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
            assert load_file(project.models.current().folder / WEIGHTS) == {}


def test_a_model_begins_with_own_classes_that_fit_and_keeps_its_labels(
    model: Path, create: Callable[..., Project]
) -> None:
    with create(model, classes=masks("Tumors", "necrosis")) as project:
        assert project.models.current_card().trained
        assert project.scheme.labels == (LabelClass("benign"), LabelClass("malignant", "Tumors"))
        assert project.classes.values_of_model(project.models.current().id, ("gland", "tumour")) == (0, 1)
        assert not_drawn(find_start(model), project.scheme) == ("necrosis",)


def test_without_classes_of_its_own_a_project_has_those_of_the_model(
    model: Path, create: Callable[..., Project], scheme: ClassScheme
) -> None:
    with create(model) as project:
        assert project.scheme == scheme


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"classes": masks("stroma")}, ModelError, r"predicts gland, tumour: none of these.*--encoder colon"),
        ({"labels": (LabelClass("x"), LabelClass("y"))}, ModelError, "other labels: benign, malignant.*--encoder"),
        ({"encoder_only": True}, ClassError, "knows no classes"),
        ({"classes": masks("a", "A"), "encoder_only": True}, ClassError, "already"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(
    options: dict[str, object], error: type[Exception], words: str, model: Path, create: Callable[..., Project],
    tmp_path: Path,
) -> None:  # fmt: skip
    with pytest.raises(error, match=words):
        create(model, **options)
    assert not (tmp_path / "own").exists()


def test_an_encoder_that_is_not_there_is_told_how_to_be_brought(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="histoloop encoders show uni"):
        find_start("uni", encoder_only=True)
    with pytest.raises(ModelError, match=r"no encoder 'colon-ebhi' \(did you mean 'colon-ebhi-resnet18'\?\)"):
        find_start("colon-ebhi", encoder_only=True)
    file = tmp_path / "x.safetensors"
    with pytest.raises(ModelError, match="cannot be read"):
        find_start(file)
    save_file({"a": np.ones(3, np.float32)}, file)
    with pytest.raises(ModelError, match="histoloop encoders add"):
        find_start(file)
    assert not find_start(DEFAULT_MODEL).is_encoder


def test_the_untrained_model_of_another_project_is_an_encoder(
    model: Path, create: Callable[..., Project], tmp_path: Path
) -> None:
    with create(model, classes=masks("a"), encoder_only=True) as first:
        folder = first.models.current().folder
    with create_project(tmp_path / "second", name="B", start=folder, classes=masks("b", "c")) as second:
        assert not load_card(second.models.current().folder).trained
        assert second.scheme.mask_names == ("b", "c")


def test_a_project_says_when_its_encoder_is_not_on_this_machine(tmp_path: Path, create: Callable[..., Project]) -> None:
    source = tmp_path / "mine.safetensors"
    save_file({"a": np.full(3, 2, np.float32)}, source)
    added = keep_encoder("mine", source, about={"backbone": "resnet18"})
    with create("mine", classes=masks("a")) as project:
        assert finish(project_status(project)).broken == ()
        added.path.unlink()
        (trouble,) = finish(project_status(project)).broken
    assert "not on this computer" in trouble.reason
    assert "histoloop encoders add" in trouble.advice
