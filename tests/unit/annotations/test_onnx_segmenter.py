"""Networks of the Segment Anything family: what they are given, what is made of what they give, what cannot be read."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from histoloop.annotations.onnx_segmenter import DEVIATION, MEAN, OnnxSegmenter, open_session
from histoloop.annotations.prompts import Prompts
from histoloop.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SIDE = 64
SQUARE = (slice(10, 30), slice(40, 90))
"""Rows and columns of the dark square in a light picture of 60 x 120 pixels."""


@dataclass
class Named:
    name: str
    shape: tuple[int, ...] = ()


@dataclass
class FakeSession:
    """A network that notes what it is given and gives the same always."""

    inputs: list[Named]
    outputs: dict[str, np.ndarray]
    given: list[dict[str, np.ndarray]] = field(default_factory=list)

    def get_inputs(self) -> list[Named]:
        return self.inputs

    def get_outputs(self) -> list[Named]:
        return [Named(name) for name in self.outputs]

    def run(self, _names: Sequence[str] | None, given: Mapping[str, Any]) -> list[np.ndarray]:
        self.given.append(dict(given))
        return list(self.outputs.values())


ENCODER_INPUT = Named("images", (1, 3, SIDE, SIDE))
DECODER_INPUTS = [Named("image_embeddings"), Named("point_coords"), Named("point_labels")]


def picture() -> np.ndarray:
    pixels = np.full((60, 120, 3), 230, np.uint8)
    pixels[SQUARE] = 40
    return pixels


def segmenter_of(encoder: FakeSession, decoder: FakeSession, folder: Path) -> OnnxSegmenter:
    sessions = {"encoder.onnx": encoder, "decoder.onnx": decoder}
    return OnnxSegmenter(folder / "encoder.onnx", folder / "decoder.onnx", open_file=lambda path: sessions[path.name])


@pytest.fixture
def encoder() -> FakeSession:
    return FakeSession([ENCODER_INPUT], {"embeddings": np.zeros((1, 2, 4, 4), np.float32)})


@pytest.fixture
def decoder() -> FakeSession:
    return FakeSession(DECODER_INPUTS, {"masks": np.zeros((1, 1, 60, 120), np.float32)})


def test_the_encoder_sees_the_picture_scaled_normalised_and_filled_up(
    encoder: FakeSession, decoder: FakeSession, tmp_path: Path
) -> None:
    pixels = np.full((60, 120, 3), 200, np.uint8)
    segmenter_of(encoder, decoder, tmp_path)(pixels, Prompts(inside=((5, 5),)))
    planes = encoder.given[0]["images"]
    assert planes.shape == (1, 3, SIDE, SIDE)
    for channel in range(3):
        assert planes[0, channel, :32] == pytest.approx((200 - MEAN[channel]) / DEVIATION[channel], abs=1e-4)
    assert not planes[0, :, 32:].any()


def test_a_picture_is_encoded_once_however_often_is_asked(
    encoder: FakeSession, decoder: FakeSession, tmp_path: Path
) -> None:
    segmenter = segmenter_of(encoder, decoder, tmp_path)
    for x in (5, 10, 15):
        segmenter(picture(), Prompts(inside=((x, 5),)))
    segmenter(picture() + np.uint8(1), Prompts(inside=((5, 5),)))
    assert (len(encoder.given), len(decoder.given)) == (2, 4)


def test_places_and_a_box_are_given_as_the_decoder_calls_them_in_its_own_pixels(
    encoder: FakeSession, decoder: FakeSession, tmp_path: Path
) -> None:
    segmenter, scale = segmenter_of(encoder, decoder, tmp_path), SIDE / 120
    segmenter(picture(), Prompts(inside=((30, 12),), outside=((60, 6),)))
    segmenter(picture(), Prompts(box=(6, 12, 90, 48), inside=((30, 12),)))
    clicked, boxed = decoder.given
    assert clicked["point_labels"].tolist() == [[1, 0, -1]]
    assert clicked["point_coords"] == pytest.approx(np.array([[[30, 12], [60, 6], [0, 0]]]) * scale)
    assert boxed["point_labels"].tolist() == [[1, 2, 3]]
    assert boxed["point_coords"] == pytest.approx(np.array([[[30, 12], [6, 12], [90, 48]]]) * scale)
    assert clicked.keys() == {"image_embeddings", "point_coords", "point_labels"}


def test_of_several_masks_the_one_that_the_decoder_thinks_best_of_is_taken(
    encoder: FakeSession, tmp_path: Path
) -> None:
    masks = np.full((1, 3, 60, 120), -1, np.float32)
    masks[0, 1][SQUARE] = 1
    quality = np.array([[0.2, 0.9, 0.4]], np.float32)
    decoder = FakeSession(DECODER_INPUTS, {"masks": masks, "iou_predictions": quality})
    part = segmenter_of(encoder, decoder, tmp_path)(picture(), Prompts(inside=((50, 20),)))
    assert np.array_equal(part, masks[0, 1] > 0)


def test_files_that_are_the_wrong_way_round_are_refused_in_words(
    encoder: FakeSession, decoder: FakeSession, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="not encoder and decoder"):
        segmenter_of(decoder, encoder, tmp_path)(picture(), Prompts(inside=((5, 5),)))


def test_without_onnx_runtime_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return imported(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError) as refused:
        open_session(tmp_path / "encoder.onnx")
    assert "not installed" in refused.value.message
    assert "histoloop[sam]" in refused.value.advice


def test_a_missing_and_a_broken_file_are_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (the extra 'sam')")
    with pytest.raises(ModelError, match="There is no file"):
        open_session(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"broken\.onnx cannot be read"):
        open_session(tmp_path / "broken.onnx")


def write_networks(folder: Path) -> tuple[Path, Path]:
    """An encoder that gives the picture itself, and a decoder whose object is what is darker than the mean."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed, which makes the networks of this test")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT

    def write(name: str, nodes: list, inputs: list, outputs: list) -> Path:
        graph = helper.make_graph(nodes, name, inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(folder / f"{name}.onnx"))
        return folder / f"{name}.onnx"

    shape = [1, 3, SIDE, SIDE]
    encoder = write(
        "encoder",
        [helper.make_node("Identity", ["images"], ["embeddings"])],
        [helper.make_tensor_value_info("images", number, shape)],
        [helper.make_tensor_value_info("embeddings", number, shape)],
    )
    decoder = write(
        "decoder",
        [
            helper.make_node("ReduceMean", ["image_embeddings"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Neg", ["mean"], ["masks"]),
            helper.make_node("ReduceMax", ["point_labels"], ["iou_predictions"], axes=[1], keepdims=1),
            helper.make_node("ReduceMax", ["point_coords"], ["seen"], keepdims=0),
        ],
        [
            helper.make_tensor_value_info("image_embeddings", number, shape),
            helper.make_tensor_value_info("point_coords", number, [1, "n", 2]),
            helper.make_tensor_value_info("point_labels", number, [1, "n"]),
        ],
        [
            helper.make_tensor_value_info("masks", number, [1, 1, SIDE, SIDE]),
            helper.make_tensor_value_info("iou_predictions", number, [1, 1]),
            helper.make_tensor_value_info("seen", number, []),
        ],
    )
    return encoder, decoder


def test_real_files_find_the_dark_square_and_the_small_mask_is_enlarged_to_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (the extra 'sam')")
    part = OnnxSegmenter(*write_networks(tmp_path))(picture(), Prompts(box=(35, 5, 95, 35)))
    wanted = np.zeros((60, 120), np.bool_)
    wanted[SQUARE] = True
    assert part.shape == wanted.shape
    assert np.count_nonzero(part & wanted) / np.count_nonzero(part | wanted) > 0.85
