"""Min-max entropy's masks against the oracles (eq 10-11), and that each is its own tile's business."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.minmax import MinMax, foreground_mask, posterior_map

PAPER = MinMaxConfig(mask_norm="none")
STRETCHED = MinMaxConfig(mask_norm="image")
NORMS = pytest.mark.parametrize("config", [PAPER, STRETCHED], ids=["none", "image"])
T_BHW = torch.tensor([[[0.2, 0.5, 0.8], [-0.4, 1.2, 0.0], [0.55, 0.45, 0.9]]])
MAPS_BCHW = torch.tensor(
    [
        [
            [[0.2, 0.5, 0.8], [-0.4, 1.2, 0.0], [0.55, 0.45, 0.9]],
            [[2.0, 1.0, 0.0], [3.0, -1.0, 0.5], [1.5, 0.25, -0.5]],
        ]
    ]
)
RAGGED = torch.tensor(
    [[[0.1, 2.0, 0.4], [0.2, 0.8, 0.6], [-3.0, 0.5, 0.3]], [[5.0, 4.0, 9.0], [1.0, 7.0, 6.0], [2.0, 8.0, 3.0]]]
)


def network(labels: int = 3, minmax: MinMaxConfig = STRETCHED) -> MinMax:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="average", modalities=1)
    config = NetworkConfig(labels, backbone="mobilenet_v2", pooling=pooling, decoder_channels=(), minmax=minmax)
    return MinMax(config)


def predictor(minmax: MinMaxConfig = STRETCHED) -> MinMax:
    """In evaluation mode, with batch statistics of noise: without any, random weights give maps that are constant."""
    net = network(minmax=minmax)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net.localize(torch.randn(4, 3, 128, 128))
    return net.eval()


def test_the_posterior_weighs_the_class_maps() -> None:
    expected = torch.tensor(
        [
            [
                [0.777478341484, 0.660410650412, 0.54334295934],
                [0.690792422804, 0.494193138186, 0.160410650412],
                [0.854780235783, 0.385835739835, 0.450850178846],
            ]
        ]
    )
    found = posterior_map(MAPS_BCHW, torch.tensor([[1.0, 0.25]]))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("config", "mask", "binary"),
    [
        (
            PAPER,
            [
                [0.0831726964939, 0.5, 0.916827303506],
                [0.000746028833837, 0.996315760101, 0.0179862099621],
                [0.598687660112, 0.401312339888, 0.960834277203],
            ],
            [[0, 1, 1], [0, 1, 0], [1, 0, 1]],
        ),
        (
            STRETCHED,
            [
                [0.26894142137, 0.622459331202, 0.880797077978],
                [0.0179862099621, 0.982013790038, 0.119202922022],
                [0.679178699175, 0.562176500886, 0.924141819979],
            ],
            [[0, 1, 1], [0, 1, 0], [1, 1, 1]],
        ),
    ],
    ids=["none", "image"],
)
def test_the_mask_is_the_pseudo_threshold_of_eq_11(
    config: MinMaxConfig, mask: list[list[float]], binary: list[list[int]]
) -> None:
    found = foreground_mask(T_BHW, (3, 3), config)
    torch.testing.assert_close(found[0], torch.tensor(mask), rtol=2e-6, atol=0)
    assert (found[0] >= 0.5).int().tolist() == binary


@NORMS
def test_a_mask_does_not_depend_on_batch_mates(config: MinMaxConfig) -> None:
    together = foreground_mask(RAGGED, (12, 12), config)
    for number in range(2):
        alone = foreground_mask(RAGGED[number : number + 1], (12, 12), config)
        torch.testing.assert_close(together[number : number + 1], alone)


@NORMS
def test_the_masks_of_tiles_predicted_together_are_those_predicted_alone(config: MinMaxConfig) -> None:
    net = predictor(config).double()
    tiles = torch.randn(3, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    tiles[1] *= 9
    with torch.inference_mode():
        together, alone = net.predict(tiles), net.predict(tiles[:1])
    assert float(alone.foreground_BHW.max() - alone.foreground_BHW.min()) > 0.01
    torch.testing.assert_close(together.foreground_BHW[:1], alone.foreground_BHW)
    torch.testing.assert_close(together.scores_BC[:1], alone.scores_BC)


@given(shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 1e3))
@settings(deadline=None, max_examples=30)
def test_stretched_masks_do_not_know_the_scale_of_scores(shift: float, scale: float) -> None:
    maps = RAGGED.double()
    torch.testing.assert_close(
        foreground_mask(maps * scale + shift, (6, 6), STRETCHED), foreground_mask(maps, (6, 6), STRETCHED)
    )


@pytest.mark.parametrize("value", [0.0, 3.7, -1e6])
def test_a_constant_map_has_no_foreground_and_finite_gradients(value: float) -> None:
    maps = torch.full((1, 2, 2), value, requires_grad=True)
    mask = foreground_mask(maps, (8, 8), STRETCHED)
    assert bool((mask < 0.5).all())
    mask.sum().backward()
    assert maps.grad is not None
    assert bool(maps.grad.isfinite().all())


def test_rounding_in_a_constant_map_is_not_stretched_to_a_mask() -> None:
    maps = torch.full((1, 2, 2), 3.0)
    maps[0, 0, 0] = torch.nextafter(maps[0, 0, 0], torch.tensor(4.0))
    assert bool((foreground_mask(maps, (8, 8), STRETCHED) < 0.5).all())


def test_masks_are_stretched_before_they_are_enlarged() -> None:
    """Were it the other way round, the mean of two cells would be enlarged from their masks."""
    mask = foreground_mask(torch.tensor([[[0.0, 10.0], [0.0, 10.0]]]), (8, 8), STRETCHED)
    rows = torch.sigmoid(8 * (torch.tensor([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]) - 0.5))
    torch.testing.assert_close(mask[0], rows.expand(8, 8))


@NORMS
def test_padding_is_no_foreground_and_moves_no_other_mask(config: MinMaxConfig) -> None:
    maps = torch.tensor([[[0.0, 1.0, 50.0], [0.5, 0.25, -50.0]]])
    valid = torch.ones(1, 8, 12, dtype=torch.bool)
    valid[:, :, 8:] = False
    mask = foreground_mask(maps, (8, 12), config, valid)
    assert bool((mask[..., 8:] == 0).all())
    inside = foreground_mask(maps[..., :2], (8, 8), config)
    torch.testing.assert_close(mask[..., :6], inside[..., :6])  # beyond, enlarging looks at the next cell


@NORMS
def test_a_tile_that_is_all_padding_has_no_foreground(config: MinMaxConfig) -> None:
    mask = foreground_mask(RAGGED, (6, 6), config, torch.zeros(2, 6, 6, dtype=torch.bool))
    assert torch.equal(mask, torch.zeros(2, 6, 6))


def test_prediction_classifies_the_foreground_of_the_localizer() -> None:
    net = predictor()
    tiles = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        scores, maps, localizer_scores, foreground = net.predict(tiles)
        torch.testing.assert_close(scores, net.classify(tiles * foreground.unsqueeze(1)))
        torch.testing.assert_close(localizer_scores, net.localize(tiles)[0])
    assert scores.shape == localizer_scores.shape == (2, 3)
    assert maps.shape == (2, 3, 64 // net.stride_px, 96 // net.stride_px)
    assert foreground.shape == (2, 64, 96)
    torch.testing.assert_close(foreground, foreground_mask(posterior_map(maps, localizer_scores), (64, 96), STRETCHED))


def test_localizer_and_classifier_share_the_backbone_only() -> None:
    net = network()
    tiles = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    net.localize(tiles)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in (*net.backbone.parameters(), *net.localizer.parameters()))
    assert all(parameter.grad is None for parameter in net.classifier.parameters())


def test_masks_are_made_in_full_precision_when_the_backbone_runs_in_half() -> None:
    net = predictor()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        output = net.predict(torch.randn(1, 3, 64, 64))
    assert output.maps_BCHW.dtype == output.foreground_BHW.dtype == torch.float32


def test_one_label_class_is_refused() -> None:
    with pytest.raises(ValueError, match="two label classes"):
        network(labels=1)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"mask_norm": "batch"}, "mask_norm"),
        ({"omega": 0.0}, "omega"),
        ({"omega": float("nan")}, "omega"),
        ({"threshold": float("inf"), "mask_norm": "none"}, "threshold"),
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"classifier_scale": 0.0}, "classifier_scale"),
        ({"classifier_scale": 2.0}, "classifier_scale"),
    ],
)
def test_numbers_that_make_no_mask_are_refused(numbers: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MinMaxConfig(**numbers)  # type: ignore[arg-type]


@NORMS
def test_a_padded_tile_is_judged_by_its_own_cells_alone(config: MinMaxConfig) -> None:
    net = predictor(config).double()
    tile = torch.randn(1, 3, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    valid = torch.zeros(1, 128, 160, dtype=torch.bool)
    valid[:, :64, :70] = True  # two cells whole, one in part, the others padding alone
    padded = torch.full((1, 3, 128, 160), 9.0, dtype=torch.float64)
    padded[:, :, :64, :70] = tile[..., :70]
    with torch.inference_mode():
        found = net.predict(padded, valid)
        own_BCHW = found.maps_BCHW[..., :2, :3]
        localizer_BC = net.localizer.pooling(own_BCHW)
        torch.testing.assert_close(found.localizer_scores_BC, localizer_BC)
        mask_BHW = foreground_mask(posterior_map(own_BCHW, localizer_BC), (64, 96), config)
        torch.testing.assert_close(found.foreground_BHW[:, :48, :70], mask_BHW[:, :48, :70])  # to mid-cell
        assert not found.foreground_BHW[~valid].any()
        seen = padded * found.foreground_BHW.unsqueeze(1)
        maps_BCHW = net.classifier(net.backbone(seen)[-1])[1]
        torch.testing.assert_close(found.scores_BC, net.classifier.pooling(maps_BCHW[..., :2, :3]))
        torch.testing.assert_close(net.forward_classifier(padded, valid)[0], found.scores_BC)


def test_what_the_padding_shows_is_not_seen_by_the_classifier() -> None:
    net = predictor().double()
    valid = torch.zeros(1, 64, 64, dtype=torch.bool)
    valid[:, :, :40] = True
    seen: list[torch.Tensor] = []
    hook = net.classifier.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    tile = torch.randn(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        found = net.predict(tile, valid)
        blank = torch.where(valid[:, None], tile * found.foreground_BHW.unsqueeze(1), 0.0)
        expected = net.backbone(blank)[-1]
    hook.remove()
    torch.testing.assert_close(seen[0], expected)


def test_the_classifier_sees_masked_tiles_at_half_their_size_where_that_is_asked_for() -> None:
    torch.manual_seed(0)
    whole, half = predictor(), predictor(MinMaxConfig(classifier_scale=0.5))
    half.load_state_dict(whole.state_dict())
    tiles = torch.randn(2, 3, 128, 192)
    smaller = torch.nn.functional.interpolate(tiles, size=(64, 96), mode="bilinear", align_corners=False)
    with torch.no_grad():
        torch.testing.assert_close(half.classify(tiles), whole.classify(smaller))
        torch.testing.assert_close(half.localize(tiles)[1], whole.localize(tiles)[1])
        odd = half.classify(torch.randn(1, 3, 32, 32))  # a cell is the least there is
    assert odd.shape == (1, 3)
