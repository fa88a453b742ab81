"""What an evaluation tells: rows by method and rule, JSON, pictures, and data it cannot be asked of."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax

from histoloop.acquisition.linear_probe import LinearProbe
from histoloop.cli import main
from histoloop.errors import DataError, ModelError
from histoloop.inference.tile_views import predict_in_views
from histoloop.localisation.methods import posterior_of
from histoloop.networks.arrays import to_arrays
from histoloop.networks.build import with_mask_classes
from histoloop.progress import finish
from histoloop.store.model_folder import save_model
from histoloop.training.datasets import read_dataset
from histoloop.training.ddn import DdnSettings
from histoloop.training.measures.figures import MaskTally
from histoloop.training.measures.intervals import FiguresByCase
from histoloop.workflows.cluster.spread import Spread
from histoloop.workflows.experiments import evaluate
from histoloop.workflows.experiments.evaluate import Evaluation, EvaluationSettings, evaluate_model
from histoloop.workflows.experiments.train import train_model
from histoloop.workflows.prediction.loaded_model import load_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from histoloop.acquisition.linear_probe import ProbeKind
    from histoloop.progress import Work

WHOLE = EvaluationSettings(split="whole", pictures=2)
METHODS = {
    "labels": [("cam", "predicted"), ("cam", "true-label"), ("grad-cam", "predicted"), ("grad-cam", "true-label")],
    "attention": [("attention", "predicted"), ("attention", "true-label"), ("attention-half", "predicted"),
                  ("attention-half", "true-label"), ("cam", "predicted"), ("cam", "true-label")],
    "sizes": [("size", "")],
    "min-max": [("min-max", ""), ("cam", "predicted"), ("cam", "true-label")],
    "hybrid": [("decoder", ""), ("cam", "predicted"), ("cam", "true-label"), ("grad-cam", "predicted"),
               ("grad-cam", "true-label")],
}  # fmt: skip


@pytest.fixture(scope="module")
def model_of(
    tmp_path_factory: pytest.TempPathFactory, discs: Path, write_recipe: Callable[..., str]
) -> Callable[[str], Path]:
    """Each kind is trained once, when it is first asked for."""
    folder = tmp_path_factory.mktemp("models")

    def model(kind: str) -> Path:
        out = folder / kind
        if not out.exists():
            recipe = write_recipe(folder, kind)
            finish(train_model(recipe=recipe, data=discs, out=out, device="cpu", mpp=1.0))
        return out

    return model


def evaluated(model: Path, data: Path, settings: EvaluationSettings = WHOLE, **files: Path) -> Evaluation:
    return finish(evaluate_model(model, data=data, settings=settings, device="cpu", mpp=1.0, **files))


@pytest.mark.parametrize("kind", METHODS)
def test_there_is_a_row_for_each_drawing_and_rule_and_one_for_all_foreground(
    kind: str, model_of: Callable[[str], Path], discs: Path
) -> None:
    found = evaluated(model_of(kind), discs)
    rows = [(row.method, row.rule) for row in found.table.rows]
    assert rows == [("all foreground", ""), *((f"{kind}: {name}", rule) for name, rule in METHODS[kind])]
    for row in found.table.rows:
        assert row.figures["tiles"] == 16
        shares = ("f1_foreground", "f1_background", "dice_pooled", "dice_classes")
        assert all(0 <= row.figures[name] <= 1 for name in shares)  # type: ignore[operator]
        for name in ("error", "balanced_accuracy", "mean_average_precision"):
            assert (row.figures[name] is None) == (row.method == "all foreground")
    assert found.about["tiles"] == 16
    assert found.about["part"] == "test"


def test_figures_are_those_of_the_masks_one_by_one(model_of: Callable[[str], Path], discs: Path) -> None:
    found = {(row.method, row.rule): row.figures for row in evaluated(model_of("labels"), discs).table.rows}
    loaded = load_model(model_of("labels"), torch.device("cpu"))
    tiles = finish(read_dataset(discs, split="whole", mpp=1.0)).test
    tally, everywhere, wrong = MaskTally(), MaskTally(), 0
    for tile in tiles:
        output = loaded.predict_tile(tile.pixels)
        assert tile.mask is not None
        assert tile.label is not None
        value = loaded.card.scheme.mask_value_of_label(tile.label)
        mask = output.foreground("cam", label=tile.label) > 0.5
        tally.add((mask * value).astype(np.uint8), (tile.mask * value).astype(np.uint8))
        everywhere.add(np.full(tile.mask.shape, value, np.uint8), (tile.mask * value).astype(np.uint8))
        wrong += output.label != tile.label
    figures, baseline = found["labels: cam", "true-label"], found["all foreground", ""]
    for name in ("f1_foreground", "f1_background", "dice_pooled", "dice_classes"):
        assert figures[name] == pytest.approx(getattr(tally.figures(), name))
        assert baseline[name] == pytest.approx(getattr(everywhere.figures(), name))
    assert figures["error"] == pytest.approx(wrong / 16)


def test_with_views_masks_are_means_over_mirror_images_and_scales(
    model_of: Callable[[str], Path], discs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr(
        evaluate, "predict_in_views", lambda predict, pixels: (looked.append(1), predict_in_views(predict, pixels))[1]
    )
    found = evaluated(model_of("labels"), discs, dataclasses.replace(WHOLE, views=True))
    rows = {(row.method, row.rule): row.figures for row in found.table.rows}
    loaded = load_model(model_of("labels"), torch.device("cpu"))
    tally = MaskTally()
    for tile in finish(read_dataset(discs, split="whole", mpp=1.0)).test:
        output = predict_in_views(loaded.predict_tile, tile.pixels)
        assert tile.mask is not None
        assert tile.label is not None
        value = loaded.card.scheme.mask_value_of_label(tile.label)
        mask = output.foreground("cam", label=tile.label) > 0.5
        tally.add((mask * value).astype(np.uint8), (tile.mask * value).astype(np.uint8))
    assert rows["labels: cam", "true-label"]["dice_pooled"] == pytest.approx(tally.figures().dice_pooled)
    assert found.about["views"] == 8
    assert len(looked) == found.about["tiles"]


def test_a_min_max_model_and_a_decoder_can_be_measured_in_views(model_of: Callable[[str], Path], discs: Path) -> None:
    for kind in ("min-max", "hybrid", "attention"):
        rows = evaluated(model_of(kind), discs, dataclasses.replace(WHOLE, views=True)).table.rows
        assert [(row.method, row.rule) for row in rows[1:]] == [
            (f"{kind}: {name}", rule) for name, rule in METHODS[kind]
        ]


def test_figures_have_intervals_by_case_but_for_counts(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path
) -> None:
    with (tmp_path / "tiles.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label", "mask", "case"])
        for name in ("benign", "malignant"):
            for number in range(8):
                mask = discs / name / f"{number}_mask.png"
                rows.writerow([discs / name / f"{number}.png", name, mask, f"{name} {number // 4}"])
    settings = dataclasses.replace(WHOLE, pictures=1)
    baseline, *own = evaluated(model_of("labels"), tmp_path / "tiles.csv", settings).table.rows
    assert set(baseline.intervals) == {"f1_foreground", "f1_background", "dice_pooled", "dice_classes"}
    for row in own:
        assert set(row.figures) - set(row.intervals) <= {"tiles"}
        for name, (low, high) in row.intervals.items():
            assert low <= high
            if name in ("f1_foreground", "error", "log_loss"):  # means lie among those of the draws
                assert low - 1e-9 <= row.figures[name] <= high + 1e-9  # type: ignore[operator]
    one_case = tmp_path / "one.csv"
    one_case.write_text((tmp_path / "tiles.csv").read_text().replace("malignant 0", "x").replace("malignant 1", "x")
                        .replace("benign 0", "x").replace("benign 1", "x"))  # fmt: skip
    assert not any(row.intervals for row in evaluated(model_of("labels"), one_case, settings).table.rows)


def test_a_temperature_changes_what_is_stated_and_no_label(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path
) -> None:
    hot = tmp_path / "hot"
    shutil.copytree(model_of("labels"), hot)
    text = (hot / "card.md").read_text(encoding="utf-8")
    (hot / "card.md").write_text(text.replace('scores = "softmax"', 'scores = "softmax"\ntemperature = 50.0'))
    before = evaluated(model_of("labels"), discs).table.rows[1].figures
    after = evaluated(hot, discs).table.rows[1].figures
    assert after["error"] == before["error"]
    assert after["log_loss"] == pytest.approx(np.log(2), abs=0.05)  # both labels are about as likely
    tile = finish(read_dataset(discs, split="whole", mpp=1.0)).test[0]
    stated = [
        posterior_of(output.scores, output.config)
        for output in (
            load_model(path, torch.device("cpu")).predict_tile(tile.pixels) for path in (model_of("labels"), hot)
        )
    ]
    assert stated[1] == pytest.approx(softmax(np.log(stated[0]) / 50), rel=1e-4)


def test_files_tell_what_the_table_tells(model_of: Callable[[str], Path], discs: Path, tmp_path: Path) -> None:
    written, page = tmp_path / "out" / "e.json", tmp_path / "page"
    found = evaluated(model_of("labels"), discs, json=written, pictures=page)
    content = json.loads(written.read_text(encoding="utf-8"))
    assert [(row["method"], row["rule"]) for row in content["rows"]] == [
        (row.method, row.rule) for row in found.table.rows
    ]
    assert content["about"]["model"] == "labels"
    assert content["about"]["split"] == "whole"
    for given, kept in zip(found.table.rows, content["rows"], strict=True):
        assert kept["figures"] == pytest.approx(dict(given.figures))
    html = (page / "index.html").read_text(encoding="utf-8")
    assert html.count("<tr>") == 3
    assert "true-label" in html
    with Image.open(page / "comparison.png") as sheet:
        assert sheet.width > sheet.height / 4
    assert len(list((page / "pictures").iterdir())) == 2 * (2 + 4)


def test_pictures_measured_side_by_side_give_the_same_table_and_page(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("histoloop.workflows.experiments.evaluate.SHARE", 5)
    model, options = model_of("labels"), {"data": discs, "settings": WHOLE, "device": "cpu", "mpp": 1.0}
    here = finish(evaluate_model(model, **options, pictures=tmp_path / "here"))
    there = finish(evaluate_model(model, **options, pictures=tmp_path / "there", spread=Spread(2)))
    assert there.about == here.about
    for own, other in zip(here.table.rows, there.table.rows, strict=True):
        assert dict(other.figures) == pytest.approx(dict(own.figures), abs=1e-6)
    names = [sorted(path.name for path in (tmp_path / which / "pictures").iterdir()) for which in ("here", "there")]
    assert names[0] == names[1] != []


def test_a_part_is_the_part_of_the_data_set(model_of: Callable[[str], Path], discs: Path) -> None:
    dataset = finish(read_dataset(discs, mpp=1.0))
    for part, tiles in (("train", dataset.training), ("val", dataset.validation), ("test", dataset.test)):
        found = evaluated(model_of("labels"), discs, EvaluationSettings(part=part, pictures=1))  # type: ignore[arg-type]
        assert found.about["tiles"] == len(tiles)
    with pytest.raises(DataError, match="no val part"):
        evaluated(model_of("labels"), discs, EvaluationSettings(part="val", split="whole"))


def test_a_layer_adds_its_grad_cam_and_the_last_one_is_that_of_the_class_maps(
    model_of: Callable[[str], Path], discs: Path
) -> None:
    settings = EvaluationSettings(split="whole", pictures=1, layer="classifier.backbone.features.18")
    rows = {(row.method, row.rule): row.figures for row in evaluated(model_of("labels"), discs, settings).table.rows}
    added = f"labels: grad-cam at {settings.layer}"
    assert {rule for method, rule in rows if method == added} == {"predicted", "true-label"}
    assert rows[added, "true-label"]["dice_pooled"] == pytest.approx(
        rows["labels: grad-cam", "true-label"]["dice_pooled"], abs=0.1
    )
    with pytest.raises(ModelError, match="features"):
        evaluated(model_of("labels"), discs, EvaluationSettings(split="whole", layer="classifier.backbone.features.99"))


def test_robustness_is_measured_on_some_tiles_and_told_in_the_rows_of_the_model(
    model_of: Callable[[str], Path], discs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "ROBUSTNESS_TILES", 3)
    monkeypatch.setattr(evaluate, "DdnSettings", lambda: DdnSettings(steps=4))
    found = evaluated(model_of("min-max"), discs, EvaluationSettings(split="whole", pictures=1, robustness=True))
    baseline, *own = found.table.rows
    assert not any(name.startswith("attack") for name in baseline.figures)
    for row in own:
        assert row.figures["attack_tiles"] == 3
        assert 0 <= row.figures["attack_success_rate"] <= 1  # type: ignore[operator]


def test_an_attack_is_quantised_and_targeted_where_that_is_asked_for(
    model_of: Callable[[str], Path], discs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int | None, int | None]] = []

    def attack(*_: object, settings: DdnSettings, target: int | None, **__: object) -> Work[FiguresByCase]:
        asked.append((settings.quantise_levels, target))
        yield from ()
        return FiguresByCase()

    monkeypatch.setattr(evaluate, "attack_figures", attack)
    plain = EvaluationSettings(split="whole", pictures=0, robustness=True)
    evaluated(model_of("labels"), discs, plain)
    evaluated(model_of("labels"), discs, dataclasses.replace(plain, quantise_levels=256, target="malignant"))
    assert asked == [(None, None), (256, 1)]


# --- what is not known of every tile --------------------------------------------------------------------------------


@pytest.fixture
def patchy(discs: Path, tmp_path: Path) -> Path:
    """A table of the same tiles: labels and masks of some, of none, of others."""
    with (tmp_path / "tiles.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label", "mask"])
        for number in range(4):
            rows.writerow([discs / "benign" / f"{number}.png", "benign", discs / "benign" / f"{number}_mask.png"])
            rows.writerow([discs / "malignant" / f"{number}.png", "malignant" if number % 2 else "", ""])
            rows.writerow(
                [discs / "malignant" / f"{number + 4}.png", "", discs / "malignant" / f"{number + 4}_mask.png"]
            )
    return tmp_path / "tiles.csv"


def test_tiles_without_label_or_mask_count_where_they_can(
    model_of: Callable[[str], Path], patchy: Path, tmp_path: Path
) -> None:
    settings = EvaluationSettings(split="whole", pictures=12)
    found = evaluated(model_of("labels"), patchy, settings, pictures=tmp_path / "page")
    tiles = {(row.method, row.rule): row.figures["tiles"] for row in found.table.rows}
    assert tiles["labels: cam", "predicted"] == 8
    assert tiles["labels: cam", "true-label"] == 4
    assert tiles["all foreground", ""] == 8
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert page.count("<tr>") == 1 + 6  # those with a label, so that every row has every column


def test_without_masks_there_is_one_row_of_labels(model_of: Callable[[str], Path], discs: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(discs, bare, ignore=shutil.ignore_patterns("*_mask.png"))
    (row,) = evaluated(model_of("labels"), bare, pictures=tmp_path / "page").table.rows
    assert (row.method, row.rule) == ("labels", "")
    assert set(row.figures) == {
        "error", "balanced_accuracy", "mean_average_precision", "calibration_error", "log_loss", "brier_score", "tiles",
    }  # fmt: skip
    assert (tmp_path / "page" / "index.html").is_file()


def renamed(discs: Path, folder: Path, benign: str, malignant: str, *, masks: bool = True) -> Path:
    """The same tiles with other names of their classes, perhaps without masks."""
    shutil.copytree(discs / "benign", folder / benign)
    shutil.copytree(discs / "malignant", folder / malignant)
    for mask in folder.glob("*/*_mask.png") if not masks else ():
        mask.unlink()
    return folder


def masks_of(found: Evaluation, *names: str) -> list[dict[str, float | None]]:
    kept = names or ("f1_foreground", "f1_background", "dice_pooled")
    return [{name: row.figures.get(name) for name in kept} for row in found.table.rows if row.rule != "true-label"]


def test_other_labels_leave_the_masks_and_their_classes_to_be_measured(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path
) -> None:
    other = renamed(discs, tmp_path / "other", "adenoma", "carcinoma")  # gland and tumour, as the model's
    same, found = evaluated(model_of("hybrid"), discs), evaluated(model_of("hybrid"), other)
    assert masks_of(found) == masks_of(same)
    assert masks_of(found, "dice_classes") == masks_of(same, "dice_classes")
    for row in found.table.rows:
        assert row.rule != "true-label"
        assert not {"error", "balanced_accuracy", "mean_average_precision"} & set(row.figures)
    (said,) = [warning for warning in found.warnings if "labelled" in warning]
    assert "16 of the 16 tiles are labelled 'adenoma', 'carcinoma'" in said
    assert "benign, malignant" in said


def test_other_mask_classes_are_compared_as_foreground_alone(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path
) -> None:
    other = renamed(discs, tmp_path / "other", "a", "b")
    same, found = evaluated(model_of("hybrid"), discs), evaluated(model_of("hybrid"), other)
    assert masks_of(found) == masks_of(same)
    assert "dice_classes" not in found.table.columns
    assert [warning for warning in found.warnings if "foreground alone" in warning]


def test_labels_that_the_model_knows_are_measured_beside_those_it_does_not(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path
) -> None:
    other = renamed(discs, tmp_path / "other", "Benign", "malignent", masks=False)
    found = evaluated(model_of("labels"), other, pictures=tmp_path / "page")
    (row,) = found.table.rows
    assert 0 <= row.figures["error"] <= 1  # type: ignore[operator]
    assert [warning for warning in found.warnings if "'malignent' (did you mean 'malignant'?)" in warning]
    assert "Benign, predicted" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")


def test_robustness_is_left_out_where_no_label_is_known(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path
) -> None:
    other = renamed(discs, tmp_path / "other", "a", "b")
    found = evaluated(model_of("labels"), other, EvaluationSettings(split="whole", pictures=1, robustness=True))
    assert not [name for name in found.table.columns if name.startswith("attack")]
    assert [warning for warning in found.warnings if "Robustness is not measured" in warning]


def test_tiles_without_masks_or_a_known_label_are_refused_and_nothing_is_written(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path
) -> None:
    other = renamed(discs, tmp_path / "other", "a", "b", masks=False)
    with pytest.raises(DataError, match=r"benign, malignant; theirs: a, b"):
        evaluated(model_of("labels"), other, json=tmp_path / "e.json", pictures=tmp_path / "page")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_the_class_of_a_mask_whose_tile_has_no_label_is_not_guessed(
    model_of: Callable[[str], Path], patchy: Path
) -> None:
    found = evaluated(model_of("labels"), patchy)
    assert "dice_classes" not in found.table.columns


def test_finer_data_are_read_at_the_resolution_of_the_model(model_of: Callable[[str], Path], discs: Path) -> None:
    found = finish(evaluate_model(model_of("labels"), data=discs, settings=WHOLE, device="cpu", mpp=0.5))
    assert found.about["mpp"] == pytest.approx(1.0)


# --- several labels -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_of_several(
    tmp_path_factory: pytest.TempPathFactory, discs_of_several: Path, write_recipe: Callable[..., str]
) -> Path:
    folder = tmp_path_factory.mktemp("several")
    recipe = write_recipe(folder, "several", epochs=4)
    return finish(train_model(recipe=recipe, data=discs_of_several, out=folder / "m", device="cpu", mpp=1.0))


def test_every_label_has_a_row_and_masks_are_of_all_labels(
    model_of_several: Path, discs_of_several: Path, tmp_path: Path
) -> None:
    found = evaluated(model_of_several, discs_of_several, pictures=tmp_path / "page")
    rows = {(row.method, row.rule): row.figures for row in found.table.rows}
    assert list(rows) == [
        ("all foreground", ""),
        *((f"m: {name}", rule) for name in ("sigmoid", "cam", "grad-cam") for rule in ("predicted", "true-label")),
        ("m: label gland", ""),
        ("m: label tumour", ""),
    ]
    loaded = load_model(model_of_several, torch.device("cpu"))
    tiles = finish(read_dataset(discs_of_several, split="whole", mpp=1.0)).test
    tally, wrong = MaskTally(), np.zeros(2)
    for tile in tiles:
        output = loaded.predict_tile(tile.pixels)
        foreground = np.maximum.reduce([output.foreground("sigmoid", label=label) for label in tile.labels]) > 0.5
        assert tile.mask is not None
        tally.add(foreground, tile.mask)
        wrong += [(output.scores[label] > 0) != (label in tile.labels) for label in (0, 1)]
    for name in ("f1_foreground", "f1_background", "dice_pooled"):
        assert rows["m: sigmoid", "true-label"][name] == pytest.approx(getattr(tally.figures(), name))
    errors = [rows[f"m: label {name}", ""]["label_error"] for name in ("gland", "tumour")]
    assert errors == pytest.approx(wrong / 24)
    assert rows["m: label gland", ""]["tiles_with_label"] == 16
    assert rows["m: cam", "predicted"]["label_error"] == pytest.approx(np.mean(wrong) / 24)
    precisions = [rows[f"m: label {name}", ""]["average_precision"] for name in ("gland", "tumour")]
    assert rows["m: cam", "predicted"]["mean_average_precision"] == pytest.approx(np.mean(precisions))
    assert "error" not in rows["m: cam", "predicted"]
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert page.count("sigmoid<small>gland</small>") == 1
    assert len(list((tmp_path / "page" / "pictures").iterdir())) == 2 * (2 + 6 + 2)


def test_the_class_of_any_of_a_tiles_labels_is_right(model_of_several: Path, discs_of_several: Path) -> None:
    rows = {(row.method, row.rule): row.figures for row in evaluated(model_of_several, discs_of_several).table.rows}
    true = rows["m: sigmoid", "true-label"]
    assert true["dice_classes"] == pytest.approx(true["dice_pooled"])


def test_a_part_without_tiles_of_several_labels_is_measured_as_the_others_are(
    model_of_several: Path, discs_of_several: Path, tmp_path: Path
) -> None:
    fewer = tmp_path / "fewer"
    shutil.copytree(discs_of_several, fewer)
    rows = (fewer / "manifest.csv").read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if not row.endswith("test") or ";" not in row]
    (fewer / "manifest.csv").write_text("\n".join(kept), encoding="utf-8")
    found = evaluated(model_of_several, fewer, EvaluationSettings(pictures=0))
    assert found.about["tiles"] == 4
    assert "label_error" in found.table.columns


def test_a_model_whose_labels_exclude_each_other_is_not_measured_on_tiles_with_several(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path
) -> None:
    table = tmp_path / "tiles.csv"
    table.write_text(f"image,label\n{discs / 'benign' / '0.png'},benign;malignant\n", encoding="utf-8")
    with pytest.raises(DataError, match="exclude each other"):
        evaluated(model_of("labels"), table)


def test_robustness_of_several_labels_is_of_the_tiles_with_one(
    model_of_several: Path, discs_of_several: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "DdnSettings", lambda: DdnSettings(steps=2))
    found = evaluated(
        model_of_several, discs_of_several, EvaluationSettings(split="whole", pictures=0, robustness=True)
    )
    assert found.table.rows[1].figures["attack_tiles"] == 16


def test_a_decoder_of_classes_is_measured_by_the_classes_it_gives(
    model_of: Callable[[str], Path], discs: Path, tmp_path: Path
) -> None:
    plain = load_model(model_of("hybrid"), torch.device("cpu"))
    network = with_mask_classes(plain.network, len(plain.card.scheme.masks))
    assert network.config.mask_classes == 2
    grown = plain.with_network(network)
    folder = save_model(tmp_path / "grown", grown.card, to_arrays(network.state_dict()), recipe="", half=True)
    found = {(row.method, row.rule): row.figures for row in evaluated(folder, discs).table.rows}
    loaded, tally = load_model(folder, torch.device("cpu")), MaskTally()
    dataset = finish(read_dataset(discs, split="whole", mpp=1.0, model_mpp=1.0))
    for tile in dataset.test:
        assert tile.mask is not None
        assert tile.label is not None
        value = loaded.card.scheme.mask_value_of_label(tile.label)
        tally.add(loaded.predict_classes(tile.pixels), (tile.mask * np.uint8(value)).astype(np.uint8))
    figures = tally.figures()
    assert found["hybrid: decoder", ""]["dice_classes"] == pytest.approx(figures.dice_classes)
    assert found["hybrid: decoder", ""]["dice_pooled"] == pytest.approx(figures.dice_pooled)


# --- pictures that fail -----------------------------------------------------------------------------------------------


@pytest.fixture
def with_damage(discs: Path, tmp_path: Path) -> Path:
    """The discs, of which one picture and the mask of another are cut off."""
    data = tmp_path / "damaged"
    shutil.copytree(discs, data)
    for name in ("benign/3.png", "malignant/5_mask.png"):
        (data / name).write_bytes((data / name).read_bytes()[:60])
    return data


def test_a_picture_that_cannot_be_read_is_left_out_and_named(
    model_of: Callable[[str], Path], with_damage: Path, discs: Path
) -> None:
    found = evaluated(model_of("hybrid"), with_damage)
    assert {name.rpartition("/")[2] for name, _reason in found.failed} == {"3.png", "5.png"}
    assert found.about["tiles"] == 14
    assert evaluated(model_of("hybrid"), discs).failed == ()


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), MemoryError(), KeyError("x")])
def test_a_picture_that_cannot_be_measured_is_left_out_and_named(
    model_of: Callable[[str], Path], discs: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    draw, calls = evaluate._draw, []

    def failing(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise error
        return draw(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate, "_draw", failing)
    found = evaluated(model_of("hybrid"), discs)
    assert len(found.failed) == 1
    assert found.about["tiles"] == 15
    assert {row.figures["tiles"] for row in found.table.rows if "tiles" in row.figures} == {15}


def test_where_every_picture_fails_the_error_names_them(
    model_of: Callable[[str], Path], discs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_arguments: object) -> object:
        raise RuntimeError("no")

    monkeypatch.setattr(evaluate, "_draw", failing)
    with pytest.raises(DataError, match=r"No picture of discs could be measured: .*RuntimeError: no"):
        evaluated(model_of("hybrid"), discs)


def test_evaluate_ends_with_3_where_some_pictures_failed(
    model_of: Callable[[str], Path], with_damage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--model", str(model_of("hybrid")), "--by", "whole", "--mpp", "1", "--device", "cpu"]
    assert main([*command, "--data", str(with_damage)]) == 3
    told = capsys.readouterr()
    assert "3.png" in told.err
    assert "5_mask.png" in told.err
    assert "decoder" in told.out


# --- probes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "svm"])
def test_a_probe_measures_the_labels_by_the_features_of_the_training_part(
    kind: ProbeKind, model_of: Callable[[str], Path], discs: Path
) -> None:
    found = evaluated(model_of("labels"), discs, EvaluationSettings(split="case", pictures=0, probe=kind))
    row = found.table.rows[-1]
    assert row.method == f"labels: {kind} probe"
    assert row.figures["tiles"] == found.about["tiles"]
    loaded = load_model(model_of("labels"), torch.device("cpu"))
    dataset = finish(read_dataset(discs, split="case", mpp=1.0))
    known, unseen = (
        np.stack([loaded.features(tile.pixels).embedding for tile in part]) for part in (dataset.training, dataset.test)
    )
    trained = [tile.labels[0] for tile in dataset.training]
    probe = LinearProbe.fit(known, range(len(known)), trained, kind=kind, classes=2)
    wrong = [label != tile.label for label, tile in zip(probe.predict(unseen), dataset.test, strict=True)]
    assert row.figures["error"] == pytest.approx(np.mean(wrong))


def test_a_probe_that_nothing_teaches_says_so(model_of: Callable[[str], Path], discs: Path) -> None:
    with pytest.raises(DataError, match="training tiles of at least two labels"):
        evaluated(model_of("labels"), discs, dataclasses.replace(WHOLE, probe="linear"))
    with pytest.raises(ModelError, match="no features that a probe"):
        evaluated(model_of("min-max"), discs, dataclasses.replace(WHOLE, probe="linear"))


def test_the_command_line_has_the_probe(
    model_of: Callable[[str], Path], discs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--model", str(model_of("labels")), "--data", str(discs), "--by", "case", "--mpp", "1.0"]
    assert main(["evaluate", *given, "--probe", "svm", "--device", "cpu"]) == 0
    assert "labels: svm probe" in capsys.readouterr().out
