"""Backbones of timm: convolutional networks by their pyramid, vision transformers by the tokens of their patches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from histoloop.errors import ModelError
from histoloop.language import tr
from histoloop.networks.backbone import STRIDES, Backbone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNBOUNDED_RADIUS_PX = 512
"""Halo for networks whose cells see the whole tile: no bound, so slides of several tiles may show faint seams."""

TOKEN_DEPTHS = 4
_COLOURS = 3
_PROBE_PX = 256


class _OfTimm(Backbone):
    """Holds a network of timm as `model`; what others publish has its names."""

    _PREFIX = "model."

    def __init__(self, model: nn.Module, channels: tuple[int, ...]) -> None:
        super().__init__(channels)
        self.model = model

    def published_name(self, name: str) -> str:
        """The name in timm's own state dict."""
        return name.removeprefix(self._PREFIX)


class PyramidBackbone(_OfTimm):
    """A network of timm whose stages halve the resolution; its state dict is the published one without the head.

    Where it has no stage of stride 2, the means of the tile's own colours stand in.
    """

    def __init__(self, model: nn.Module, *, stages: Mapping[int, int]) -> None:
        super().__init__(model, tuple(stages.get(stride, _COLOURS) for stride in STRIDES))
        self._indices = [place for place, stride in enumerate(_strides(model)) if stride in STRIDES]
        self._missing = len(STRIDES) - len(self._indices)

    def stages(self, tiles_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16, 32, finest first."""
        stages = _intermediates(self.model, tiles_BCHW, self._indices)
        coloured = [functional.avg_pool2d(tiles_BCHW, stride) for stride in STRIDES[: self._missing]]
        return (*coloured, *stages)

    def last_strided(self) -> list[nn.Conv2d]:
        """ValueError: where resolution halves is not known of every architecture."""
        raise ValueError("the backbones of timm that have stages keep their stride of 32: leave stride at 32")


class TokenBackbone(_OfTimm):
    """A vision transformer of timm: the tokens of its patches at four depths, reassembled to maps.

    Patches lie 8, 14 or 16 px apart; their tokens are brought to a stride of 16: by means of 2 x 2, or bilinearly.
    Stage 16 holds three depths side by side, stage 32 the means of the last one; the finer stages are the means of the
    tile's own colours, which is where a decoder finds its edges.
    """

    def __init__(self, model: nn.Module, *, width: int, depth: int, patch_px: int) -> None:
        if depth < TOKEN_DEPTHS:
            raise ValueError(f"a transformer needs at least {TOKEN_DEPTHS} blocks, not {depth}")
        super().__init__(model, (*(_COLOURS for _ in STRIDES[:3]), (TOKEN_DEPTHS - 1) * width, width))
        self.patch_px = patch_px
        self.keeps_last_resolution = False
        self._indices = [depth * step // TOKEN_DEPTHS - 1 for step in range(1, TOKEN_DEPTHS + 1)]

    def keep_last_resolution(self) -> None:
        """Leave the tokens of the last depth at a stride of 16."""
        self.keeps_last_resolution = True

    def stages(self, tiles_BCHW: Tensor) -> tuple[Tensor, ...]:
        """Feature maps at strides 2, 4, 8, 16, 32 (16 for the last where that resolution is kept), finest first."""
        cells = (tiles_BCHW.shape[-2] // 16, tiles_BCHW.shape[-1] // 16)
        padded = _padded(tiles_BCHW, self.patch_px)
        depths = [
            _at_stride_16(tokens, self.patch_px, cells)
            for tokens in _intermediates(self.model, padded, self._indices, norm=True)
        ]
        last = depths[-1] if self.keeps_last_resolution else functional.avg_pool2d(depths[-1], 2)
        coloured = [functional.avg_pool2d(tiles_BCHW, stride) for stride in STRIDES[:3]]
        return (*coloured, torch.cat(depths[:-1], dim=1), last)

    def last_strided(self) -> list[nn.Conv2d]:
        """None: no convolution halves the resolution for the last stage."""
        return []


def timm_backbone(architecture: str, arguments: Mapping[str, Any] | None = None) -> Backbone:
    """A backbone of timm with random weights, by timm's name and what else timm is to be told.

    ModelError, with what to choose, for a name that timm does not know, and for networks that give no maps at strides
    4 to 32 or tokens of patches.
    """
    import timm  # takes seconds, which only those wait who use it

    if not timm.is_model(architecture):
        near = timm.list_models(f"*{architecture.split('_')[0]}*")[:5]
        advice = tr("Similar: {names}.", names=", ".join(near)) if near else tr("timm.list_models() lists all names.")
        raise ModelError(tr("timm has no architecture {name!r}.", name=architecture), advice=advice)
    model = _created(timm.create_model, architecture, dict(arguments or {}))
    strides, widths = _strides(model), [int(stage["num_chs"]) for stage in _stages(model)]
    if hasattr(model, "forward_intermediates"):
        if set(strides) in ({8}, {14}, {16}):
            return TokenBackbone(model, width=widths[-1], depth=len(strides), patch_px=strides[0])
        if set(STRIDES[1:]) <= set(strides):
            return PyramidBackbone(model, stages=dict(zip(strides, widths, strict=True)))
    raise ModelError(
        tr(
            "timm's {name} gives no feature maps at strides of 4, 8, 16 and 32 px, nor patches of 8, 14 or 16 px (but "
            "{strides}).",
            name=architecture,
            strides=", ".join(map(str, sorted(set(strides)))) or tr("none"),
        ),
        advice=tr("Choose a network that does, such as convnext_tiny, resnet50 or vit_small_patch16_224."),
    )


def timm_radius_px(architecture: str, arguments: Mapping[str, Any] | None = None) -> int:
    """Input pixels that a stride-32 cell depends on to each side of its own block, at most.

    The sum over all convolutions and poolings, which is exact for a chain of them and too much where they run side by
    side; `UNBOUNDED_RADIUS_PX` where a cell sees the whole tile (attention, squeeze and excitation).
    """
    backbone = timm_backbone(architecture, arguments).eval()
    if isinstance(backbone, TokenBackbone):
        return UNBOUNDED_RADIUS_PX
    reaches: list[float] = []

    def add(module: nn.Module, inputs: tuple[Tensor, ...], _output: object) -> None:
        kernel, dilation = (_longest(getattr(module, name, 1)) for name in ("kernel_size", "dilation"))
        side = inputs[0].shape[-1]
        reaches.append(math.inf if side == 1 else (kernel // 2) * dilation * (_PROBE_PX / side))

    windows = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    hooks = [module.register_forward_hook(add) for module in backbone.modules() if isinstance(module, windows)]
    try:
        with torch.inference_mode():
            backbone(torch.zeros(1, 3, _PROBE_PX, _PROBE_PX))
    finally:
        for hook in hooks:
            hook.remove()
    total = sum(reaches)
    attends = any("attn" in name.lower() or "attention" in name.lower() for name, _ in backbone.named_modules())
    return UNBOUNDED_RADIUS_PX if attends or total > UNBOUNDED_RADIUS_PX else math.ceil(total)


def _created(create: Any, architecture: str, arguments: dict[str, Any]) -> nn.Module:
    """The network without its head, for tiles of any size where it can be told to take them."""
    parts = {name: _part(value) for name, value in arguments.items()}
    for flexible in ({"dynamic_img_size": True}, {"strict_img_size": False}, {}):
        try:
            model: nn.Module = create(architecture, pretrained=False, num_classes=0, **(flexible | parts))
        except TypeError as error:
            if not flexible or not any(name in str(error) for name in flexible):
                raise ModelError(
                    tr("timm cannot make {name}: {reason}.", name=architecture, reason=error),
                    advice=tr("Check the arguments of the encoder."),
                ) from error
        else:
            return model
    raise AssertionError("the last attempt returns or raises")


def _part(value: Any) -> Any:
    """A layer by its name in timm or torch; any other value as it is."""
    if not isinstance(value, str):
        return value
    import timm.layers

    found = getattr(timm.layers, value, None) or getattr(nn, value, None)
    if found is None:
        raise ModelError(
            tr("Neither timm nor torch has a layer {name!r}.", name=value),
            advice=tr("Check the arguments of the encoder."),
        )
    return found


def _intermediates(model: nn.Module, tiles_BCHW: Tensor, indices: list[int], **how: bool) -> list[Tensor]:
    forward: Any = model.forward_intermediates
    found: list[Tensor] = forward(tiles_BCHW, indices=indices, output_fmt="NCHW", intermediates_only=True, **how)
    return found


def _strides(model: nn.Module) -> list[int]:
    return [int(stage["reduction"]) for stage in _stages(model)]


def _stages(model: nn.Module) -> list[Mapping[str, Any]]:
    stages: Any = getattr(model, "feature_info", ())
    return list(stages)


def _padded(tiles_BCHW: Tensor, patch_px: int) -> Tensor:
    """Sides grown to multiples of the patch, at the right and bottom, by the last pixels."""
    bottom, right = (-side % patch_px for side in tiles_BCHW.shape[-2:])
    return functional.pad(tiles_BCHW, (0, right, 0, bottom), mode="replicate") if bottom or right else tiles_BCHW


def _at_stride_16(tokens_BCHW: Tensor, patch_px: int, cells: tuple[int, int]) -> Tensor:
    """Tokens `patch_px` apart, bilinearly at the middles of (rows, columns) cells of 16 px."""
    if patch_px in (8, 16):
        return tokens_BCHW if patch_px == 16 else functional.avg_pool2d(tokens_BCHW, 2)
    places = [
        torch.tensor(list(_places(count, 16, patch_px, tokens)), device=tokens_BCHW.device)
        for count, tokens in zip(cells, tokens_BCHW.shape[-2:], strict=True)
    ]
    rows, columns = torch.meshgrid(*places, indexing="ij")
    grid_1HW2 = torch.stack((columns, rows), dim=-1)[None].to(tokens_BCHW.dtype)
    grid_BHW2 = grid_1HW2.expand(len(tokens_BCHW), -1, -1, -1)
    return functional.grid_sample(tokens_BCHW, grid_BHW2, mode="bilinear", padding_mode="border", align_corners=False)


def _places(count: int, cell_px: int, patch_px: int, tokens: int) -> Iterator[float]:
    """Middles of cells in the frame of grid_sample: -1 and 1 are the outer edges of the first and last token."""
    for cell in range(count):
        yield (cell + 0.5) * cell_px / patch_px / tokens * 2 - 1


def _longest(size: int | tuple[int, ...]) -> int:
    return size if isinstance(size, int) else max(size)
