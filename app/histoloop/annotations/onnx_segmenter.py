"""One object from places and a box by a network of the Segment Anything family, from two local ONNX files.

The encoder reads a picture once, the decoder answers each prompt (Kirillov et al. 2023, 'Segment Anything', section 3).
Files are those that segment-anything's own export script writes, and others with the same names of inputs. They are run
by ONNX Runtime, which is an extra (`pip install "histoloop[sam]"`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from histoloop.errors import ModelError
from histoloop.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from histoloop.annotations.prompts import Part, Pixels, Prompts

SIDE_PX = 1024
"""The longest side of what the encoder sees, where its file leaves that open."""

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of red, green and blue, 0 to 255, in the pictures that the networks were trained on."""

KEPT = 4
"""So many pictures' embeddings are kept."""

_OUTSIDE, _INSIDE, _CORNERS, _NOTHING = 0.0, 1.0, (2.0, 3.0), -1.0
"""How the decoder calls a place outside, one inside, the corners of a box, and none."""

_NEEDED = ("image_embeddings", "point_coords", "point_labels")


class Input(Protocol):
    """What a network takes: its name and shape; dimensions that are open are names or None."""

    name: str
    shape: Sequence[int | str | None]


class Session(Protocol):
    """A network that was read from a file."""

    def get_inputs(self) -> Sequence[Input]:
        """What it takes."""

    def get_outputs(self) -> Sequence[Any]:
        """What it gives, each with a name."""

    def run(self, names: Sequence[str] | None, given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Its outputs for some inputs."""


def open_session(path: Path) -> Session:
    """Read a network from a file; ModelError where that, or ONNX Runtime, is not there."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            tr("ONNX Runtime is not installed, which models of ONNX files need."),
            advice=tr('Install it with: pip install "histoloop[sam]". Until then the built-in way finds objects.'),
        ) from error
    if not path.is_file():
        raise ModelError(
            tr("There is no file {path}.", path=path), advice=tr("Choose the files of the model in Settings.")
        )
    try:
        session: Session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has many kinds, which share no class of their own
        raise ModelError(
            tr("{path} cannot be read as an ONNX model: {reason}", path=path.name, reason=error),
            advice=tr("Choose an encoder and a decoder that were exported from a Segment Anything model."),
        ) from error
    return session


@dataclass(frozen=True, slots=True, eq=False)
class _Embedding:
    """What the encoder makes of a picture, and by how much the picture was scaled for it."""

    values: NDArray[np.float32]
    scale: float
    side_px: int


class OnnxSegmenter:
    """A segmenter (annotations/prompts.py) of two files, which are read when they are needed first."""

    def __init__(self, encoder: Path, decoder: Path, *, open_file: Callable[[Path], Session] = open_session) -> None:
        self._paths, self._open = (encoder, decoder), open_file
        self._sessions: tuple[Session, Session] | None = None
        self._embeddings: OrderedDict[tuple[tuple[int, ...], bytes], _Embedding] = OrderedDict()

    def __call__(self, pixels: Pixels, prompts: Prompts) -> Part:
        """The object (H, W) that the prompts mean; ModelError where the files cannot be used."""
        encoder, decoder = self._read()
        key = (pixels.shape, hashlib.blake2b(pixels.tobytes()).digest())
        if key not in self._embeddings:
            self._embeddings[key] = _embed(encoder, pixels)
            while len(self._embeddings) > KEPT:
                self._embeddings.popitem(last=False)
        self._embeddings.move_to_end(key)
        return _decode(decoder, self._embeddings[key], pixels.shape[:2], prompts)

    def _read(self) -> tuple[Session, Session]:
        if self._sessions is None:
            encoder, decoder = (self._open(path) for path in self._paths)
            missing = set(_NEEDED) - {each.name for each in decoder.get_inputs()}
            if missing or len(encoder.get_inputs()) != 1:
                raise ModelError(
                    tr("These files are not encoder and decoder of a Segment Anything model."),
                    advice=tr(
                        "The encoder takes one image, the decoder {inputs}; check which file is which.",
                        inputs=", ".join(_NEEDED),
                    ),
                )
            self._sessions = encoder, decoder
        return self._sessions


def _embed(encoder: Session, pixels: Pixels) -> _Embedding:
    """Scale a picture to what the encoder sees, the longest side to the right or below filled up with nothing."""
    (taken,) = encoder.get_inputs()
    is_planar = len(taken.shape) == 4
    sides = [side for side in taken.shape if isinstance(side, int) and side > 3]
    side = max(sides, default=SIDE_PX)
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    scaled = resize(pixels.astype(np.float32), size, order=1, anti_aliasing=scale < 1)
    if is_planar:
        planes = np.zeros((1, 3, side, side), np.float32)
        planes[0, :, : size[0], : size[1]] = ((scaled - MEAN) / DEVIATION).transpose(2, 0, 1)
        given: NDArray[np.float32] = planes
    else:  # a picture as it is: the network does the rest
        given = scaled.astype(np.float32)
    values = encoder.run(None, {taken.name: given})[0]
    return _Embedding(np.asarray(values, np.float32), scale, side)


def _decode(decoder: Session, embedding: _Embedding, size: tuple[int, int], prompts: Prompts) -> Part:
    places = [*prompts.inside, *prompts.outside]
    labels = [_INSIDE] * len(prompts.inside) + [_OUTSIDE] * len(prompts.outside)
    if prompts.box is None:
        places, labels = [*places, (0.0, 0.0)], [*labels, _NOTHING]
    else:
        left, top, right, bottom = prompts.box
        places, labels = [*places, (left, top), (right, bottom)], [*labels, *_CORNERS]
    given: dict[str, NDArray[Any]] = {
        "image_embeddings": embedding.values,
        "point_coords": np.array([places], np.float32) * np.float32(embedding.scale),
        "point_labels": np.array([labels], np.float32),
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
        "orig_im_size": np.array(size, np.float32),
    }
    taken = {each.name for each in decoder.get_inputs()}
    found = decoder.run(None, {name: value for name, value in given.items() if name in taken})
    outputs = dict(zip((each.name for each in decoder.get_outputs()), found, strict=True))
    masks = np.asarray(outputs.get("masks", found[0]))[0]
    quality = outputs.get("iou_predictions")
    best = masks[0 if quality is None or len(masks) == 1 else int(np.argmax(np.asarray(quality)[0]))]
    return _of_size(best, size, embedding) > 0


def _of_size(logits: NDArray[Any], size: tuple[int, int], embedding: _Embedding) -> NDArray[Any]:
    """Logits of a mask in the size of the picture; a small mask is one of all that the encoder saw."""
    if logits.shape == size:
        return logits
    per_pixel = logits.shape[0] / embedding.side_px
    inside = [max(1, round(each * embedding.scale * per_pixel)) for each in size]
    scaled: NDArray[Any] = resize(logits[: inside[0], : inside[1]].astype(np.float32), size, order=1)
    return scaled
