"""A network with all that it needs to predict: the colours of its tiles, and the device it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from histoloop.allocator import keep_freed_memory
from histoloop.errors import ModelError
from histoloop.inference.features import CELL_PX, Features
from histoloop.inference.likeness import BLOCK_PX, pooled_blocks
from histoloop.inference.precision import Numbers, Precision, computing_in, numbers_of
from histoloop.inference.tile_output import TileOutput
from histoloop.language import tr
from histoloop.networks.colours import Colours
from histoloop.networks.folded import folded
from histoloop.networks.gradcam import grad_cam, layer_named, normalised
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.needed import Box
from histoloop.networks.network import SlideNetwork
from histoloop.networks.unet import mask_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from histoloop.slides.reader import Pixels

    Floats = NDArray[np.float32]

WHITE = 255


@dataclass(frozen=True, slots=True, eq=False)
class CorePrediction:
    """Of the core of a window: what a decoder gives (see `TileOutput`), raw maps (K, h, w), a cell per stride.

    `stages` (1, C, h, w) are those of the backbone, finest first, on the device.
    """

    masks: Floats | None
    maps: Floats
    stages: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network on `device`, and the `colours` its tiles are normalised by.

    It predicts as the network stands: put that into evaluation mode first. ModelError when what it gives are no
    numbers. Tiles are pixels (H, W, 3) uint8 at the resolution the network was trained at, of any size: they are padded
    with white at the right and bottom. From the first one made on, the process keeps the memory that its layers free.
    """

    network: SlideNetwork
    colours: Colours
    device: torch.device

    def __post_init__(self) -> None:
        keep_freed_memory()

    def folded(self) -> Model:
        """One that predicts cores by fewer operations, up to rounding, and does not change when the network learns.

        On a GPU, where that was never measured, the model itself.
        """
        return self if self.device.type != "cpu" else Model(folded(self.network), self.colours, self.device)

    def predict_tile(self, pixels: Pixels, *, decode: bool = True) -> TileOutput:
        """Scores, class maps and, with `decode`, the mask classes' probabilities of a decoder where there is one."""
        tile_BCHW, valid_BHW = self.padded(pixels, multiple_px=self.network.stride_px)
        height, width = pixels.shape[:2]
        decoded = None
        with torch.inference_mode():
            if decode and self.network.config.decoder_channels:
                scores_BC, maps_BKHW, logits_BLHW = self.network(tile_BCHW)
                decoded = _numbers(mask_probabilities(logits_BLHW[..., :height, :width])[0])
            else:
                scores_BC, maps_BKHW = self.network.forward_classifier(tile_BCHW, valid_BHW)
            pooled_BC = self.network.score(maps_BKHW)
        return TileOutput(
            self.network.config,
            self.network.label_bias(),
            height,
            width,
            _numbers(scores_BC[0]),
            _numbers(pooled_BC[0]),
            _numbers(maps_BKHW[0]),
            decoded,
            self.network.config.stride,
        )

    def predict_window(self, pixels: Pixels) -> tuple[Floats | None, Floats]:
        """What a decoder gives (see `TileOutput`) and raw maps (K, H / stride, W / stride) of part of a slide.

        Its sides are multiples of the stride.
        """
        found = self.predict_cores([pixels], Box.of(0, 0, *pixels.shape[:2]))[0]
        return found.masks, found.maps

    def predict_cores(
        self, windows: Sequence[Pixels], core: Box, *, precision: Precision = "exact"
    ) -> list[CorePrediction]:
        """Of each of some windows of one size what lies in its `core` (pixels), computed only where that needs it.

        Sides of windows and the edges of the core are multiples of the stride. torch.OutOfMemoryError where a GPU has
        not enough for so many at a time.
        """
        windows_BHW3 = windows[0][None] if len(windows) == 1 else np.stack(windows)
        with torch.inference_mode():
            windows_BCHW = self._normalised(windows_BHW3)
            with computing_in(self.numbers(precision), self.device):
                output = self.network.forward_core(windows_BCHW, core)
            maps = _numbers(output.maps_BKHW)
            logits_BLHW = output.mask_logits_BLHW
            masks = None if logits_BLHW is None else _numbers(mask_probabilities(logits_BLHW))
        stages = [tuple(stage[number : number + 1] for stage in output.stages) for number in range(len(windows))]
        return [
            CorePrediction(None if masks is None else masks[number], maps[number], own)
            for number, own in enumerate(stages)
        ]

    def numbers(self, precision: Precision) -> Numbers:
        """In which numbers it computes on its device."""
        return numbers_of(precision, self.device)

    def score_maps(self, maps_KHW: Floats, valid_HW: NDArray[np.bool_]) -> Floats:
        """Scores (C,) of stitched maps over their valid cells, by the network's own pooling."""
        maps_1KHW, valid_1HW = (torch.from_numpy(array)[None].to(self.device) for array in (maps_KHW, valid_HW))
        with torch.inference_mode():
            return _numbers(self.network.score(maps_1KHW, valid_1HW)[0])

    def features(self, pixels: Pixels) -> Features:
        """The stages of the backbone and the classifier's scores of a tile; ValueError for a network without them."""
        if not isinstance(self.network, Hybrid):
            raise ValueError("features are those of a classifier, which this network has not")
        tile_BCHW, _valid_BHW = self.padded(pixels, multiple_px=CELL_PX)
        with torch.inference_mode():
            scores_1C, _maps, stages = self.network.classifier(tile_BCHW)
        height, width = pixels.shape[:2]
        # copies outside of inference mode, so that training may use them, and laid out as a file would give them back
        kept = tuple(torch.empty(planes.shape[1:], dtype=torch.half).copy_(planes[0]) for planes in stages)
        return Features(kept, scores_1C[0].float().cpu().clone(), height, width)

    def block_features(self, pixels: Pixels, *, step_px: int = BLOCK_PX) -> list[Floats]:
        """Features (N, C) depth by depth of the blocks of a tile: see `histoloop.inference.likeness`."""
        tile_BCHW, _valid_BHW = self.padded(pixels, multiple_px=CELL_PX)
        with torch.inference_mode():
            stages = self.network.backbone(tile_BCHW)
        return pooled_blocks(pixels, stages, step_px=step_px)[0]

    def grad_cam(self, pixels: Pixels, *, layer: str, label: int) -> Floats:
        """Grad-CAM (H, W) of a tile at the layer of a dotted name, scaled to [0, 1] and enlarged to the pixels.

        ModelError where the network has no such layer.
        """
        tile_BCHW, valid_BHW = self.padded(pixels, multiple_px=self.network.stride_px)
        maps_1HW = grad_cam(
            lambda tiles: self.network.forward_classifier(tiles, valid_BHW)[0],
            layer_named(self.network, layer),
            tile_BCHW,
            torch.tensor([label], device=self.device),
        )
        size = (tile_BCHW.shape[-2], tile_BCHW.shape[-1])
        enlarged = functional.interpolate(normalised(maps_1HW)[None], size=size, mode="bilinear", align_corners=False)
        height, width = pixels.shape[:2]
        return _array(enlarged[0, 0, :height, :width])

    def padded(self, pixels: Pixels, *, multiple_px: int) -> tuple[Tensor, Tensor]:
        """A tile as the network takes it (1, 3, H', W'), and which of its pixels are no padding (1, H', W')."""
        height, width = pixels.shape[:2]
        rows, columns = (-(-side // multiple_px) * multiple_px for side in (height, width))
        tile_1HW3 = np.full((1, rows, columns, 3), WHITE, np.uint8)
        tile_1HW3[0, :height, :width] = pixels
        valid_BHW = torch.zeros((1, rows, columns), dtype=torch.bool, device=self.device)
        valid_BHW[:, :height, :width] = True
        return self._normalised(tile_1HW3), valid_BHW

    def _normalised(self, pixels_BHW3: Pixels) -> Tensor:
        tiles_BCHW = torch.from_numpy(pixels_BHW3).to(self.device).permute(0, 3, 1, 2).float()
        tiles_BCHW /= tiles_BCHW.new_tensor(255)  # of a number, a GPU would take the rounded reciprocal
        return self.colours.normalise(tiles_BCHW).contiguous(memory_format=torch.channels_last)


def _numbers(tensor: Tensor) -> Floats:
    """The array of what a network gives; ModelError when some of it is infinite or no number."""
    array = _array(tensor)
    if not np.isfinite(array).all():
        raise ModelError(
            tr("The model predicts values that are not numbers (NaN or infinite)."),
            advice=tr("Choose another model; on a GPU, try the processor too (--device cpu)."),
        )
    return array


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().float().cpu().numpy()
    return array
