"""The loop learns, keeps the best epoch, is reproducible, and says when it goes wrong."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch

from histoloop.errors import DataError, RecipeError
from histoloop.inference.model import Model
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.networks.build import with_mask_classes
from histoloop.networks.colours import Colours
from histoloop.networks.hybrid import Hybrid
from histoloop.networks.minmax import MinMax
from histoloop.progress import Progress, Work, finish
from histoloop.training.augment import AugmentSettings
from histoloop.training.checkpoint import Checkpoint
from histoloop.training.classify import ClassifySettings, classify, train_classifier
from histoloop.training.loop import FitResult, LoopSettings
from histoloop.training.objectives import SizeSettings
from histoloop.training.pseudo_labels import learn_with_pseudo_labels, weight_of_pseudo
from histoloop.training.samples import Batch, TrainingTile, collate
from histoloop.training.segment import SegmentSettings, segmentation_figures, train_decoder
from histoloop.training.teacher import ConsistencySettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from histoloop.networks.network import SlideNetwork

CPU = torch.device("cpu")
COLOURS = Colours((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
GENTLE = AugmentSettings(scale_min=1, scale_max=1, stain=0.02, brightness=0.02)


def tiles(count: int, seed: int) -> list[TrainingTile]:
    """Dark discs on a light ground; label 1 where the disc is reddish."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :64]
    made = []
    for number in range(count):
        label = number % 2
        disc = (rows - rng.integers(20, 44)) ** 2 + (columns - rng.integers(20, 44)) ** 2 < rng.integers(10, 18) ** 2
        pixels = np.full((64, 64, 3), 230, np.uint8)
        pixels[disc] = (180, 40, 60) if label else (60, 40, 180)
        made.append(TrainingTile(pixels, label, disc, f"tile {number}"))
    return made


def network(backbone: str = "mobilenet_v3_small") -> Hybrid:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="average", modalities=1)
    return Hybrid(NetworkConfig(2, backbone=backbone, pooling=pooling, decoder_channels=(32, 16, 16, 8, 8)))


def classifier_trained(hybrid: Hybrid, steps: list[Progress] | None = None, *, count: int, epochs: int) -> FitResult:
    loop = LoopSettings(epochs=epochs, batch_size=8, learning_rate=2e-3)
    work = train_classifier(
        Model(hybrid, COLOURS, CPU), training=tiles(count, 0), validation=tiles(8, 1),
        settings=ClassifySettings(loop=loop), augmentation=GENTLE, seed=0,
    )  # fmt: skip
    return finish(work, steps.append if steps is not None else None)


def test_the_classifier_learns_labels_and_reports_its_figures() -> None:
    steps: list[Progress] = []
    result = classifier_trained(network("resnet18"), steps, count=32, epochs=4)
    assert result.figures["balanced_accuracy"] == 1.0
    assert steps[-1].fraction == 1.0
    assert {"loss", "balanced_accuracy"} <= set(steps[-1].figures)


def min_max() -> MinMax:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="average", modalities=1)
    return MinMax(
        NetworkConfig(2, backbone="mobilenet_v3_small", pooling=pooling, decoder_channels=(), minmax=MinMaxConfig())
    )


def min_max_trained(
    network: MinMax, *, epochs: int, supervision: Literal["labels", "min-max"] = "min-max"
) -> FitResult:
    loop = LoopSettings(epochs=epochs, batch_size=4, learning_rate=1e-3)
    work = train_classifier(
        Model(network, COLOURS, CPU), training=tiles(8, 0), validation=tiles(4, 1),
        settings=ClassifySettings(loop=loop, supervision=supervision), augmentation=GENTLE, seed=0,
    )  # fmt: skip
    return finish(work)


def overflowing(network: SlideNetwork, *, until: float) -> None:
    """In evaluation the features overflow, as long as the network was evaluated fewer than `until` times."""
    seen = 0

    def overflow(module: torch.nn.Module, _tiles: object, stages: Sequence[torch.Tensor]) -> list[torch.Tensor] | None:
        nonlocal seen
        if module.training:
            return None
        seen += 1
        return [stage * torch.inf for stage in stages] if seen <= until else None

    network.backbone.register_forward_hook(overflow)


def test_min_max_from_random_weights_ends_with_figures_that_are_numbers() -> None:
    figures = min_max_trained(min_max(), epochs=2).figures
    assert all(np.isfinite(list(figures.values())))
    assert "balanced_accuracy" in figures


def test_a_training_that_ends_with_predictions_that_are_no_numbers_says_what_to_do() -> None:
    network = min_max()
    overflowing(network, until=np.inf)
    with pytest.raises(RecipeError, match=r"not numbers\. Lower learning_rate") as refused:
        min_max_trained(network, epochs=1)
    assert "nothing was saved or changed" in refused.value.advice


def test_an_epoch_whose_predictions_are_no_numbers_yet_is_not_the_best() -> None:
    network = min_max()
    overflowing(network, until=1)  # the first tile of the first epoch's validation, which ends there
    result = min_max_trained(network, epochs=2)
    assert "balanced_accuracy" not in result.history[0]
    assert result.figures["epoch"] == 2


def test_the_decoder_learns_masks_over_a_trained_classifier() -> None:
    hybrid = network()
    classifier_trained(hybrid, count=8, epochs=1)
    loop = LoopSettings(epochs=6, batch_size=8, learning_rate=8e-3)
    settings = SegmentSettings(loop=loop, loss="bce+dice")
    finish(
        train_decoder(
            Model(hybrid, COLOURS, CPU), training=tiles(16, 0), validation=tiles(8, 1), settings=settings,
            augmentation=GENTLE, seed=0,
        )
    )  # fmt: skip
    fresh = tiles(1, 7)[0]
    found = Model(hybrid, COLOURS, CPU).predict_tile(fresh.pixels).foreground() > 0.5
    assert fresh.mask is not None
    overlap = 2 * (found & fresh.mask).sum() / (found.sum() + fresh.mask.sum())
    assert overlap > 0.8


def test_the_same_seed_gives_the_same_weights_on_the_cpu() -> None:
    first, second = (classifier_trained(network(), count=16, epochs=2) for _ in range(2))
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


def test_training_the_decoder_leaves_the_classifier_as_it_was() -> None:
    hybrid = network()
    before = {name: value.clone() for name, value in hybrid.classifier.state_dict().items()}
    settings = SegmentSettings(loop=LoopSettings(epochs=1, batch_size=4))
    finish(
        train_decoder(
            Model(hybrid, COLOURS, CPU), training=tiles(4, 0), validation=[], settings=settings,
            augmentation=GENTLE, seed=0,
        )
    )  # fmt: skip
    after = hybrid.classifier.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_loss_that_is_not_a_number_stops_with_advice() -> None:
    hybrid = network()
    torch.nn.init.constant_(hybrid.classifier.head.weight, float("nan"))
    settings = ClassifySettings(loop=LoopSettings(epochs=1, batch_size=4))
    with pytest.raises(RecipeError, match="learning_rate"):
        finish(
            train_classifier(
                Model(hybrid, COLOURS, CPU), training=tiles(4, 0), validation=[], settings=settings,
                augmentation=GENTLE, seed=0,
            )
        )  # fmt: skip


def test_tiles_without_masks_cannot_train_a_decoder() -> None:
    bare = TrainingTile(np.zeros((32, 32, 3), np.uint8), 0, None, "bare tile")
    with pytest.raises(ValueError, match="bare tile"):
        finish(
            train_decoder(
                Model(network(), COLOURS, CPU), training=[bare], validation=[], settings=SegmentSettings(),
                augmentation=GENTLE, seed=0,
            )
        )  # fmt: skip


def test_scores_do_not_depend_on_batch_mates() -> None:
    model = Model(network().eval(), COLOURS, CPU)
    some = tiles(3, 0)
    with torch.inference_mode():
        together = classify(model, some)
        alone = classify(model, some[1:2])
    torch.testing.assert_close(together[1:2], alone)


# --- learning from pseudo-masks ---------------------------------------------------------------------------------------


def test_annotated_tiles_are_learned_from_as_often_however_many_are_pseudo_labelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[list[str]] = []

    def watched(some: Sequence[TrainingTile], **how: Any) -> Batch:
        seen.append([f"{tile.name} {tile.weight:.2f}" for tile in some])
        return collate(some, **how)

    monkeypatch.setattr("histoloop.training.augment.collate", watched)
    annotated = [dataclasses.replace(tile, name="annotated") for tile in tiles(3, 0)]
    pseudo = [dataclasses.replace(tile, name="pseudo") for tile in tiles(20, 1)]
    settings = SegmentSettings(loop=LoopSettings(epochs=1, batch_size=2), steps_per_epoch=3)
    finish(
        train_decoder(
            Model(network(), COLOURS, CPU), training=annotated, validation=[], pseudo=pseudo, settings=settings,
            augmentation=GENTLE, seed=0,
        )
    )  # fmt: skip
    weight = f"pseudo {0.1 * 20 / 3:.2f}"
    assert seen == [["annotated 1.00"] * 2 + [weight] * 2] * 3


def test_a_pool_of_hundreds_weighs_no_more_than_what_is_annotated() -> None:
    assert weight_of_pseudo(pseudo=59, annotated=8) == pytest.approx(0.7375)
    assert weight_of_pseudo(pseudo=600, annotated=6) == 1


def test_a_round_learns_twice_and_labels_in_between() -> None:
    heard: list[list[int]] = []

    def fit(masks: Sequence[Any]) -> Work[int]:
        heard.append([int(mask.sum()) for mask in masks])
        yield Progress("fitting", 0, 1)
        return len(heard)

    def label(fitted: int) -> list[Any]:
        return [np.ones((fitted, 1), bool)]

    found, masks = finish(learn_with_pseudo_labels(fit, label, (), count=1))
    assert (found, heard, masks[0].sum()) == (2, [[], [1]], 2)
    heard.clear()
    assert finish(learn_with_pseudo_labels(fit, label, (), count=0)) == (1, ())


# --- learning from tiles without masks ----------------------------------------------------------------------------


def unmasked(count: int) -> list[TrainingTile]:
    return [TrainingTile(tile.pixels, None, None, tile.name) for tile in tiles(count, 5)]


def decoder_work(consistency: ConsistencySettings, *, freeze: bool = True, epochs: int = 2, **more: Any) -> Any:
    loop = LoopSettings(epochs=epochs, batch_size=4)
    settings = SegmentSettings(loop=loop, freeze=freeze, keep="last", consistency=consistency)
    return train_decoder(
        Model(network(), COLOURS, CPU), training=tiles(8, 0), validation=[], settings=settings,
        augmentation=GENTLE, seed=0, **more,
    )  # fmt: skip


def same(one: FitResult, other: FitResult) -> bool:
    return all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())


def test_without_weight_or_without_unlabelled_tiles_nothing_changes() -> None:
    plain = finish(decoder_work(ConsistencySettings()))
    assert same(plain, finish(decoder_work(ConsistencySettings(weight=0.0), unlabelled=unmasked(6))))
    assert same(plain, finish(decoder_work(ConsistencySettings(weight=0.05))))


@pytest.mark.parametrize("freeze", [True, False])
def test_unlabelled_tiles_change_what_is_learned_and_add_to_the_loss(freeze: bool) -> None:
    settings = ConsistencySettings(weight=5.0, unlabelled_per_step=2)
    plain = finish(decoder_work(ConsistencySettings(), freeze=freeze, epochs=1))
    trained = finish(decoder_work(settings, freeze=freeze, epochs=1, unlabelled=unmasked(3)))
    assert not same(plain, trained)
    assert trained.figures["loss"] > plain.figures["loss"]
    classifier = [name for name in plain.weights if name.startswith("classifier.")]
    unchanged = all(torch.equal(plain.weights[name], trained.weights[name]) for name in classifier)
    assert unchanged == freeze


def test_consistency_that_was_stopped_goes_on_as_if_it_had_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpoint, "EVERY_SECONDS", 0.0)
    settings = ConsistencySettings(weight=1.0, unlabelled_per_step=3)
    whole = finish(decoder_work(settings, unlabelled=unmasked(4)))
    cut = decoder_work(settings, unlabelled=unmasked(4), checkpoint=Checkpoint(tmp_path / "state", "a"))
    for step in cut:
        if step.done > 1:
            break
    cut.close()
    resumed = finish(decoder_work(settings, unlabelled=unmasked(4), checkpoint=Checkpoint(tmp_path / "state", "a")))
    assert same(whole, resumed)
    assert whole.figures == resumed.figures
    assert whole.earlier.keys() == resumed.earlier.keys()
    assert all(torch.equal(value, resumed.earlier[name]) for name, value in whole.earlier.items())


def classifier_work(consistency: ConsistencySettings, *, scores: str = "softmax", **more: Any) -> Any:
    loop = LoopSettings(epochs=2, batch_size=4)
    torch.manual_seed(0)
    config = NetworkConfig(2, decoder_channels=(), scores=scores)  # type: ignore[arg-type]
    return train_classifier(
        Model(Hybrid(config), COLOURS, CPU), training=tiles(8, 0), validation=[],
        settings=ClassifySettings(loop=loop, keep="last", scores=scores, consistency=consistency),  # type: ignore[arg-type]
        augmentation=GENTLE, seed=0, **more,
    )  # fmt: skip


@pytest.mark.parametrize(("outputs", "scores"), [("logit", "softmax"), ("softmax", "softmax"), ("softmax", "sigmoid")])
def test_tiles_without_labels_change_what_a_classifier_learns(outputs: Any, scores: str) -> None:
    plain = finish(classifier_work(ConsistencySettings(), scores=scores))
    assert same(plain, finish(classifier_work(ConsistencySettings(), scores=scores, unlabelled=unmasked(4))))
    assert same(plain, finish(classifier_work(ConsistencySettings(weight=1.0, outputs=outputs), scores=scores)))
    light, heavy = (
        finish(
            classifier_work(
                ConsistencySettings(weight=weight, unlabelled_per_step=2, outputs=outputs),
                scores=scores,
                unlabelled=unmasked(4),
            )
        )
        for weight in (1.0, 9.0)
    )
    assert not same(plain, light)
    assert not same(light, heavy)  # by the distance itself, not by the batch norms that see more tiles


def test_consistency_is_refused_for_what_has_no_scores_of_whole_tiles() -> None:
    with pytest.raises(ValueError, match="min-max"):
        ClassifySettings(supervision="min-max", consistency=ConsistencySettings(weight=0.05))


def test_sizes_that_stay_wrong_are_made_so_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def noisy(known: Sequence[TrainingTile], settings: SizeSettings, *, seed: int) -> list[TrainingTile]:
        asked.append((len(known), settings, seed))
        return list(known)

    monkeypatch.setattr("histoloop.training.classify.with_fixed_noise", noisy)
    sizes = SizeSettings(noise=0.1, noise_per="tile")
    pooling = PoolingConfig(name="average", modalities=1)
    sized = NetworkConfig(2, backbone="mobilenet_v3_small", pooling=pooling, background=True, decoder_channels=())
    settings = ClassifySettings(loop=LoopSettings(epochs=1, batch_size=8), supervision="sizes", sizes=sizes)
    work = train_classifier(
        Model(Hybrid(sized), COLOURS, CPU), training=tiles(8, 0), validation=[], settings=settings,
        augmentation=GENTLE, seed=5,
    )  # fmt: skip
    finish(work)
    assert asked == [(8, sizes, 5)]


def tiles_of_several(count: int, seed: int) -> list[TrainingTile]:
    """A blue disc on the left (label 0), a red one on the right (label 1), or both."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:64, :64]
    made = []
    for number in range(count):
        labels = ((0,), (1,), (0, 1))[number % 3]
        pixels = np.full((64, 64, 3), 230, np.uint8)
        for label in labels:
            middle = 16 + 32 * label + rng.integers(-3, 4)
            disc = (rows - rng.integers(20, 44)) ** 2 + (columns - middle) ** 2 < 12**2
            pixels[disc] = ((60, 40, 180), (180, 40, 60))[label]
        made.append(TrainingTile(pixels, labels[0], None, f"tile {number}", other_labels=labels[1:]))
    return made


def test_tiles_with_several_labels_are_learned_and_none_is_left_out() -> None:
    torch.manual_seed(0)
    pooling = PoolingConfig(name="deep-mil", modalities=1, zeroed=0.1)
    made = Hybrid(NetworkConfig(2, pooling=pooling, decoder_channels=(), scores="sigmoid"))
    loop = LoopSettings(epochs=8, batch_size=8, learning_rate=2e-3)
    result = finish(
        train_classifier(
            Model(made, COLOURS, CPU), training=tiles_of_several(48, 0), validation=tiles_of_several(12, 1),
            settings=ClassifySettings(scores="sigmoid", loop=loop), augmentation=GENTLE, seed=0,
        )
    )  # fmt: skip
    assert result.figures["mean_average_precision"] > 0.95
    assert result.figures["label_error"] < 0.2
    assert "balanced_accuracy" not in result.figures
    best = max(figures["mean_average_precision"] for figures in result.history)
    assert result.figures["mean_average_precision"] == best
    found = [set(Model(made, COLOURS, CPU).predict_tile(tile.pixels).labels) for tile in tiles_of_several(9, 2)]
    assert {0, 1} in found


def test_a_softmax_refuses_tiles_with_several_labels() -> None:
    with pytest.raises(DataError, match="sigmoid"):
        finish(
            train_classifier(
                Model(network(), COLOURS, CPU), training=tiles_of_several(3, 0), validation=[],
                settings=ClassifySettings(), augmentation=GENTLE, seed=0,
            )
        )  # fmt: skip


def test_a_decoder_learns_classes_as_they_are_painted_and_nothing_where_nobody_says_anything() -> None:
    hybrid = network()
    classifier_trained(hybrid, count=8, epochs=1)
    grown = with_mask_classes(hybrid, 2)
    settings = SegmentSettings(loop=LoopSettings(epochs=8, batch_size=8, learning_rate=8e-3), loss="bce+dice")
    finish(
        train_decoder(
            Model(grown, COLOURS, CPU), training=as_classes(tiles(16, 0)), validation=as_classes(tiles(8, 1)),
            settings=settings, augmentation=GENTLE, seed=0,
        )
    )  # fmt: skip
    found = segmentation_figures(Model(grown, COLOURS, CPU), as_classes(tiles(8, 7)))
    assert found["class_dice"] > 0.7
    assert found["class_dice"] > 0.8 * found["pooled_dice"]


def as_classes(plain: list[TrainingTile]) -> list[TrainingTile]:
    """Discs as the class of their label; columns of which nobody says anything are painted wrong beneath."""
    made = []
    for tile in plain:
        assert tile.mask is not None
        assert tile.label is not None
        values = (tile.mask * np.uint8(tile.label + 1)).astype(np.uint8)
        known = np.ones(values.shape, np.bool_)
        known[:, :4], values[:, :4] = False, 2
        made.append(dataclasses.replace(tile, mask=values, known=known))
    return made
