"""A network that runs only where a core needs it gives what it gives of the whole picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.backbone import STRIDES
from histoloop.networks.backbones import build_backbone
from histoloop.networks.build import build_network
from histoloop.networks.needed import Box, Link, Reach, Span, plan, whole
from histoloop.networks.unet import Decoder

if TYPE_CHECKING:
    from histoloop.networks.network import SlideNetwork

CLOSE = 1e-5
DECODER = (16, 12, 8, 8, 4)
AVERAGE = PoolingConfig(name="average", modalities=1)
LOCAL = {
    "resnet18": {"decoder_channels": DECODER},
    "classes": {"backbone": "mobilenet_v2", "decoder_channels": DECODER, "mask_classes": 3},
    "maps alone": {"backbone": "mobilenet_v2", "decoder_channels": (), "stride": 16},
    "attention": {"decoder_channels": (), "pooling": PoolingConfig(name="attention", hidden=8)},
    "min-max": {"backbone": "mobilenet_v2", "decoder_channels": (), "minmax": MinMaxConfig(), "labels": 2},
    "timm": {"backbone": "timm/test_resnet", "decoder_channels": DECODER},
}
"""Networks whose cells do not see the whole tile."""

SIZE = (640, 352)
CORES = {
    "in the middle": (320, 160, 64, 32),
    "in the corner": (0, 0, 96, 64),
    "at the other corner": (544, 288, 96, 64),
}


def network(**changes: object) -> SlideNetwork:
    """Random weights with batch-norm statistics of noise, so that values neither vanish nor explode."""
    torch.manual_seed(0)
    made = build_network(NetworkConfig(**{"labels": 3, "pooling": AVERAGE, **changes}))  # type: ignore[arg-type]
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        made(torch.randn(2, 3, 64, 96))
    return made.eval()


def picture(size: tuple[int, int] = SIZE) -> torch.Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1)).contiguous(
        memory_format=torch.channels_last
    )


@pytest.fixture(scope="module", params=LOCAL)
def predicted(request: pytest.FixtureRequest) -> tuple[SlideNetwork, torch.Tensor, object, tuple[torch.Tensor, ...]]:
    made, tiles = network(**LOCAL[request.param]), picture()
    with torch.inference_mode():
        return made, tiles, made(tiles), made.backbone(tiles)


@pytest.mark.parametrize("place", CORES)
def test_a_core_in_its_halo_is_the_part_of_the_whole_picture(predicted, place: str) -> None:
    made, tiles, entire, stages = predicted
    core = Box.of(*CORES[place])
    before, after = made.halo
    top, left = (max(0, span.start - before) for span in core)
    bottom, right = (min(side, span.stop + after) for span, side in zip(core, SIZE, strict=True))
    within = Box.of(core.rows.start - top, core.columns.start - left, *CORES[place][2:])
    with torch.inference_mode():
        found = made.forward_core(tiles[..., top:bottom, left:right], within)
    everything = Box.of(0, 0, *SIZE)

    def close(part: torch.Tensor, stage: torch.Tensor, stride: int) -> None:
        expected = core.outwards(stride).of_planes(stage, within=everything.outwards(stride))
        torch.testing.assert_close(part, expected, rtol=CLOSE, atol=CLOSE * float(stage.abs().max()))

    close(found.maps_BKHW, entire.maps_BKHW, made.stride_px)
    if entire.mask_logits_BLHW is not None:
        assert found.mask_logits_BLHW.std() > 1e-3
        close(found.mask_logits_BLHW, entire.mask_logits_BLHW, 1)
    assert (found.mask_logits_BLHW is None) == (entire.mask_logits_BLHW is None)
    for part, stage, stride in zip(found.stages, stages, (*STRIDES[:-1], made.stride_px), strict=True):
        close(part, stage, stride)


def test_columns_are_cut_as_rows_are() -> None:
    made, tiles = network(**LOCAL["classes"]), picture((160, 704))
    before, after = made.halo
    with torch.inference_mode():
        found = made.forward_core(tiles[..., 352 - before : 384 + after], Box.of(64, before, 32, 32))
        entire = made(tiles)
    expected = entire.mask_logits_BLHW[..., 64:96, 352:384]
    torch.testing.assert_close(found.mask_logits_BLHW, expected, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize("backbone", ["mobilenet_v3_small", "timm/test_vit"])
def test_backbones_whose_cells_see_the_whole_tile_give_the_core_of_their_window(backbone: str) -> None:
    made, tiles = network(backbone=backbone, decoder_channels=DECODER), picture((256, 320))
    assert made.halo == (made.receptive_radius_px,) * 2
    with torch.inference_mode():
        found, entire = made.forward_core(tiles, Box.of(64, 96, 96, 128)), made(tiles)
    expected = entire.mask_logits_BLHW[..., 64:160, 96:224]
    torch.testing.assert_close(found.mask_logits_BLHW, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mask_classes", [1, 2])
@pytest.mark.parametrize("steps", [2, 3])
def test_a_decoder_that_stops_at_a_coarser_stride_gives_the_core_of_its_window(steps: int, mask_classes: int) -> None:
    torch.manual_seed(0)
    decoder = Decoder((4, 5, 6, 7, 8), DECODER[:steps], mask_classes=mask_classes).eval()
    core, size = Box.of(160, 96, 64, 96), (352, 320)
    stages = [torch.randn(1, 4 + place, size[0] // step, size[1] // step) for place, step in enumerate(STRIDES)]
    needed = decoder.needed(core, size)
    parts = [box.of_planes(stage, within=whole(stage)) for box, stage in zip(needed, stages, strict=True)]
    with torch.inference_mode():
        found, expected = decoder.of_core(parts, core, size), decoder(tuple(stages))[..., 160:224, 96:192]
    assert parts[-1].shape[-2:] != stages[-1].shape[-2:]
    torch.testing.assert_close(found, expected, rtol=CLOSE, atol=CLOSE)


def test_the_halo_of_the_shipped_network_is_what_it_reads_to_each_side() -> None:
    made = network(decoder_channels=(96, 64, 48, 32, 16), pooling=PoolingConfig())
    core, size = Box.of(2048, 2048, 1024, 1024), (5120, 5120)
    reads = made.backbone.reads(made.depends_on(core, size), size)
    assert reads.rows == reads.columns == Span(2048 - 281, 3072 + 250)
    assert made.halo == (288, 256)


def test_a_pixel_inside_the_halo_changes_an_output_and_one_outside_does_not() -> None:
    made = network(backbone="mobilenet_v2", decoder_channels=DECODER)
    (before, after), core = made.halo, Box.of(320, 0, 32, 32)
    tiles = picture((640, 32)).requires_grad_()
    made.forward_core(tiles, core).mask_logits_BLHW.square().sum().backward()
    rows = torch.nonzero(tiles.grad.abs().sum(dim=(0, 1, 3))).flatten()
    assert before - 32 < 320 - int(rows[0]) <= before
    assert after - 32 < int(rows[-1]) + 1 - 352 <= after


@pytest.mark.parametrize("kernel", [(3, 1, 1, 1), (3, 2, 1, 1), (7, 2, 3, 1), (5, 1, 4, 2), (1, 2, 0, 1)])
@pytest.mark.parametrize("cells", [(0, 2), (3, 5), (6, 7)])
def test_what_is_said_to_be_read_is_what_changes_an_output(kernel: tuple[int, ...], cells: tuple[int, int]) -> None:
    size, stride, padding, dilation = kernel
    line = torch.zeros(1, 1, 21, 21, requires_grad=True)
    convolution = nn.Conv2d(1, 1, size, stride=stride, padding=padding, dilation=dilation)
    nn.init.ones_(convolution.weight)
    output = convolution(line)
    assert Reach(*kernel).gives(21) == output.shape[-1]
    output[..., slice(*cells), :].sum().backward()
    rows = torch.nonzero(line.grad.sum(dim=(0, 1, 3))).flatten()
    found = Reach(*kernel).reads(Span(*cells), 21)
    assert (int(rows[0]), int(rows[-1]) + 1) == found


def test_a_way_that_sees_the_whole_tile_has_no_plan() -> None:
    squeezes = Link((nn.AdaptiveAvgPool2d(1),), ends_stage=True)
    assert plan([squeezes], [Box.of(0, 0, 1, 1)], (8, 8)) is None


def test_later_stages_are_computed_of_less_than_the_window() -> None:
    backbone = build_backbone("resnet18").eval()
    shapes: list[tuple[int, int]] = []
    backbone.layer4[0].register_forward_hook(lambda _layer, inputs, _output: shapes.append(inputs[0].shape[-2:]))
    boxes = [Box.of(320, 128, 64, 64).outwards(stride) for stride in STRIDES]
    with torch.inference_mode():
        found = backbone(torch.zeros(1, 3, 704, 320), boxes)
    assert [tuple(stage.shape[-2:]) for stage in found] == [(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]
    assert shapes[0][0] < 704 // 16
