"""Models by name or folder."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from histoloop import paths
from histoloop.errors import ModelError
from histoloop.store.cards import load_card
from histoloop.store.shipped import DEFAULT_ENCODER, DEFAULT_MODEL, SUMS, find_model, shipped_cards, trained_models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def shipped(tmp_path: Path, make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models come with the program, and a folder that is none."""
    root = tmp_path / "shipped"
    for name in ("colon-resnet18", "breast-resnet50"):
        make_model(root / name)
    (root / "notes").mkdir()
    monkeypatch.setattr(paths, "shipped_models", lambda: root)
    return root


def test_a_shipped_model_is_found_by_its_name(shipped: Path) -> None:
    assert find_model("breast-resnet50") == shipped / "breast-resnet50"


@pytest.mark.usefixtures("shipped")
def test_a_model_folder_is_found_by_its_path(
    tmp_path: Path, make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_model(tmp_path / "mine" / "prostate")
    assert find_model(mine) == mine.resolve()
    assert find_model(str(mine)) == mine.resolve()
    monkeypatch.chdir(mine.parent)
    assert find_model("prostate") == mine.resolve()


@pytest.mark.usefixtures("shipped")
def test_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    with pytest.raises(ModelError, match=r"no model 'colon-resnet1'\. Did you mean 'colon-resnet18'\?") as caught:
        find_model("colon-resnet1")
    assert "breast-resnet50, colon-resnet18." in caught.value.advice


@pytest.mark.usefixtures("shipped")
def test_a_name_like_none_is_not_guessed_at() -> None:
    with pytest.raises(ModelError, match="no model 'zzz'") as caught:
        find_model("zzz")
    assert "mean" not in caught.value.message
    assert "colon-resnet18" in caught.value.advice


def test_a_folder_without_a_card_is_no_model(shipped: Path) -> None:
    for name in ("notes", shipped / "notes"):
        with pytest.raises(ModelError, match="notes"):
            find_model(name)


def test_without_shipped_models_the_advice_asks_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "shipped_models", lambda: tmp_path)
    with pytest.raises(ModelError) as caught:
        find_model("colon")
    assert "none" in caught.value.advice
    assert "path of a model folder" in caught.value.advice


def test_the_model_that_new_projects_begin_with_is_shipped() -> None:
    assert load_card(find_model(DEFAULT_MODEL)).name == DEFAULT_MODEL


def test_the_encoder_that_projects_of_other_classes_begin_with_is_shipped_and_predicts_nothing() -> None:
    card = load_card(find_model(DEFAULT_ENCODER))
    assert (card.name, card.trained, card.network.backbone) == (DEFAULT_ENCODER, False, "mobilenet_v2")
    assert [card.name for _folder, card in shipped_cards()] == [DEFAULT_ENCODER, DEFAULT_MODEL]
    assert [card.name for _folder, card in trained_models()] == [DEFAULT_MODEL]


def test_what_is_shipped_is_small() -> None:
    files = [path for path in paths.shipped_models().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 60e6


def test_the_sums_of_the_shipped_models_are_those_of_their_weights_and_statistics() -> None:
    lines = (paths.shipped_models() / SUMS).read_text(encoding="utf-8").splitlines()
    stated = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    there = sorted(paths.shipped_models().glob("*/*.safetensors"))
    assert stated == {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in there
    }
