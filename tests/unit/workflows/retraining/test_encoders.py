"""Bringing an encoder: whose weights they are, what is refused, that they are kept once and used."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

import histoloop.encoders
from histoloop.cli import main
from histoloop.encoders import Encoder
from histoloop.errors import ModelError
from histoloop.networks.backbones import build_backbone
from histoloop.progress import finish
from histoloop.store.encoders import AddedEncoder, added_encoder, added_encoders
from histoloop.training.recipe import NetworkRecipe
from histoloop.workflows.retraining import encoders as bringing
from histoloop.workflows.retraining.encoders import add_encoder
from histoloop.workflows.retraining.starting_weights import start_from

if TYPE_CHECKING:
    from collections.abc import Mapping


MEAN, STD = (0.7, 0.6, 0.7), (0.2, 0.25, 0.2)


def entry(name: str, architecture: str, arguments: Mapping[str, str | float | bool]) -> Encoder:
    return Encoder(
        name,
        name.title(),
        architecture,
        "timm",
        1,
        32,
        0.5,
        MEAN,
        STD,
        "MIT",
        "https://example.org",
        "model.safetensors",
        "nothing",
        arguments,
    )


@pytest.fixture(autouse=True)
def two_small_encoders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HISTOLOOP_HOME", str(tmp_path / "home"))
    vit = {"embed_dim": 32, "depth": 4, "num_heads": 2, "img_size": 64}
    known = {
        "small": entry("small", "vit_tiny_patch16_224", vit),
        "twin": entry("twin", "test_convnext", {}),
        "alike": entry("alike", "test_convnext", {}),
    }
    for module in (histoloop.encoders, bringing):
        monkeypatch.setattr(module, "known_encoders", lambda: known)


def weights(tmp_path: Path, name: str = "small") -> Path:
    path = tmp_path / "weights.safetensors"
    tensors = {
        key.removeprefix("model."): value for key, value in build_backbone(f"encoder/{name}").state_dict().items()
    }
    save_file({**tensors, "head.weight": torch.zeros(2)}, path)
    return path


def test_an_encoder_of_ones_own_that_was_added_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = AddedEncoder("own", Path("own.safetensors"), "0" * 64, backbone="resnet18")
    monkeypatch.setattr("histoloop.store.encoders.added_encoders", lambda: {"own": own})
    assert main(["encoders", "show", "own"]) == 0
    assert "resnet18" in capsys.readouterr().out
    assert main(["encoders", "show", "another"]) == 1


def test_a_file_that_fits_one_encoder_is_kept_as_its_weights(tmp_path: Path) -> None:
    path = weights(tmp_path)
    kept = finish(add_encoder(path))
    assert kept.name == "small"
    assert kept.path == tmp_path / "home" / "encoders" / f"{kept.hash}.safetensors"
    assert kept.path.read_bytes() == path.read_bytes()
    assert added_encoders() == {"small": kept}


def test_the_same_file_is_kept_once(tmp_path: Path) -> None:
    path = weights(tmp_path, "twin")
    one, other = finish(add_encoder(path, name="twin")), finish(add_encoder(path, name="alike"))
    assert one.path == other.path
    assert len(list((tmp_path / "home" / "encoders").glob("*.safetensors"))) == 1
    assert set(added_encoders()) == {"alike", "twin"}


def test_a_backbone_starts_from_the_weights_that_were_added_in_the_colours_of_the_entry(tmp_path: Path) -> None:
    path = weights(tmp_path)
    finish(add_encoder(path))
    backbone = build_backbone("encoder/small")
    colours = finish(start_from(backbone, NetworkRecipe(backbone="encoder/small", weights="added"), []))
    assert (colours.mean, colours.std) == (MEAN, STD)
    published = load_file(path)
    assert all(
        torch.equal(value, published[key.removeprefix("model.")]) for key, value in backbone.state_dict().items()
    )


def test_a_file_that_fits_several_asks_for_the_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"may be of twin, alike: .* --name"):
        finish(add_encoder(weights(tmp_path, "twin")))


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not contain the weights of Small"):
        finish(add_encoder(weights(tmp_path, "twin"), name="small"))


def test_weights_of_nothing_that_is_known_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="to any encoder"):
        finish(add_encoder(path))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_and_not_kept(tmp_path: Path, bad: float) -> None:
    path = weights(tmp_path)
    tensors = load_file(path)
    tensors["pos_embed"][0, 0, 0] = bad
    save_file(tensors, path)
    with pytest.raises(ModelError, match="pos_embed contains values that are not finite numbers"):
        finish(add_encoder(path))
    assert not added_encoders()


class _Harmful:
    """What a pickle may hold: it makes a file where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.mark,)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("pytorch_model.bin", b"PK\x03\x04 not weights", "Convert it once: python -c"),
        ("x.safetensors", b"PK\x03\x04 not weights", "PyTorch file by its content.*x-converted.safetensors"),
        ("x.safetensors", b"", "cannot be read: .*Copy or download it again in full"),
        ("x.safetensors", b"\x20" + bytes(7) + b'{"a": 1', "cannot be read: .*Copy or download it again in full"),
    ],
    ids=["pt", "zip", "empty", "truncated"],
)
def test_other_files_are_refused_with_the_way_on(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        finish(add_encoder(path))
    assert not added_encoders()


def test_a_pickle_with_another_ending_is_refused_and_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(pickle.dumps({"weight": _Harmful(tmp_path / "harm")}))
    with pytest.raises(ModelError, match="may contain programs, so it is not opened"):
        finish(add_encoder(path))
    assert not (tmp_path / "harm").exists()
    assert not added_encoders()


@pytest.mark.parametrize("name", [".", "nothing.safetensors", "folder.safetensors"])
def test_what_is_no_file_is_refused_in_words(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(ModelError, match=r"cannot be read: .* Name a .safetensors file that is there"):
        finish(add_encoder(tmp_path / name))


def test_a_file_that_was_cut_off_is_refused_and_not_kept(tmp_path: Path) -> None:
    path = weights(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="Copy or download it again in full"):
        finish(add_encoder(path))
    assert not added_encoders()


def test_an_encoder_that_was_not_added_says_how_to_bring_it() -> None:
    with pytest.raises(ModelError, match="histoloop encoders show small"):
        added_encoder("small")
