from __future__ import annotations

import pytest
import torch

from histoloop.networks.loss_prediction import LossPrediction, pool_stages

CHANNELS = (4, 6, 10)


def stages(batch: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, channels, 5, 3, generator=generator) for channels in CHANNELS]


def test_every_tile_has_one_predicted_loss_whatever_its_batch_mates() -> None:
    torch.manual_seed(0)
    module, pooled = LossPrediction(CHANNELS), pool_stages(stages(7))
    losses_B = module(pooled)
    assert losses_B.shape == (7,)
    torch.testing.assert_close(module([stage[2:3] for stage in pooled]), losses_B[2:3])


def test_each_stage_is_averaged_over_its_cells_in_float32() -> None:
    features = stages(2)
    for pooled, whole in zip(pool_stages([stage.half() for stage in features]), features, strict=True):
        assert pooled.dtype == torch.float32
        torch.testing.assert_close(pooled, whole.mean(dim=(2, 3)), rtol=1e-2, atol=1e-3)


def test_every_stage_counts() -> None:
    torch.manual_seed(0)
    module, pooled = LossPrediction(CHANNELS), list(pool_stages(stages(2)))
    for index, stage in enumerate(pooled):
        changed = [*pooled[:index], stage + 1, *pooled[index + 1 :]]
        assert not torch.allclose(module(changed), module(pooled))


def test_the_layers_are_those_of_the_paper() -> None:
    module = LossPrediction(CHANNELS)
    assert [tuple(linear.weight.shape) for linear in module.stages] == [(128, 4), (128, 6), (128, 10)]
    assert tuple(module.head.weight.shape) == (1, 3 * 128)


def test_a_missing_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        LossPrediction(CHANNELS)(pool_stages(stages(2))[:2])
    with pytest.raises(ValueError, match="stage"):
        LossPrediction([])
