"""Small pieces of the window that need no project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass
from histoloop.exchange.heat import heat
from histoloop.geometry import Region
from histoloop.gui.canvas.borders import Border, borders
from histoloop.gui.canvas.canvas_overlay import scale_bar
from histoloop.gui.canvas.composing import ClassStyle, OverlayStyle, overlay_of
from histoloop.gui.canvas.rendering import SceneMap
from histoloop.gui.dialogs.keys_dialog import key_rows
from histoloop.gui.dialogs.new_project import folder_name
from histoloop.gui.kit.actions import actions_in
from histoloop.gui.panels.job_bar import JobBar
from histoloop.gui.panels.slides.slide_row import describe
from histoloop.gui.window.job_control import _kind
from histoloop.gui.window.menus import MENUS
from histoloop.gui.work import tasks
from histoloop.gui.work.jobs import Job
from histoloop.network_config import NetworkConfig
from histoloop.progress import Progress, Stage
from histoloop.slides.tiling import Window
from histoloop.store.maps import MapWriter, open_map
from histoloop.store.records import MppFrom, SlideRecord

WHITE = np.full((20, 20, 3), 255, np.uint8)


@pytest.mark.parametrize(
    ("zoom", "mpp", "expected"),
    [
        (1.0, 0.5, (100.0, "50 \N{MICRO SIGN}m")),
        (0.01, 0.25, (80.0, "200 \N{MICRO SIGN}m")),
        (0.001, 0.5, (100.0, "50 mm")),
        (2.0, None, (100.0, "50 px")),
    ],
)
def test_the_scale_bar_has_a_round_length_and_says_pixels_where_mpp_is_unknown(
    zoom: float, mpp: float | None, expected: tuple[float, str]
) -> None:
    length, text = scale_bar(zoom, mpp)
    if text.endswith("m") and mpp is not None:
        value, unit = text.split()
        micrometres = float(value) * (1000 if unit == "mm" else 1)
        assert length == pytest.approx(micrometres / mpp * zoom)
    assert 64 <= length <= 160
    if zoom in (1.0, 2.0):
        assert (length, text) == expected


def test_the_bar_tells_the_time_left_and_whether_it_is_that_of_a_part(qtbot, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("histoloop.gui.panels.job_bar.time.monotonic", lambda: clock[0])
    bar = JobBar()
    qtbot.addWidget(bar)

    def shown(*, in_parts: bool, earlier: tuple[Stage, ...] = ()) -> str:
        bar.begin("Retraining", earlier=earlier, in_parts=in_parts)
        for second in range(11):
            clock[0] = float(second)
            bar.show_step(Progress("Reading", second, 20))
        return bar.text.text().rpartition("\N{MIDDLE DOT} ")[2]

    assert shown(in_parts=False) == "10 s left"
    assert shown(in_parts=True) == "10 s left in this step"
    assert bar.stages() == [Stage("Reading", 10.0, 20)]
    assert shown(in_parts=True, earlier=(Stage("Reading", 20.0), Stage("Learning", 100.0))) == "1 min 50 s left"


def test_the_time_of_earlier_work_is_kept_by_how_it_was_done_and_how_many_questions_were_wanted() -> None:
    kinds = [
        _kind(Job("Asking", tasks.ask, {"strategy": strategy, "count": count, "seed": 1, "device": "cpu"}))
        for strategy, count in (("entropy", 4), ("entropy", 8), ("mc-dropout", 8))
    ]
    assert kinds == ["ask entropy 4 cpu", "ask entropy 8 cpu", "ask mc-dropout 8 cpu"]


def test_borders_are_those_that_their_definition_gives_pixel_by_pixel() -> None:
    mask = np.random.default_rng(3).integers(0, 3, (6, 7)).astype(np.uint8).repeat(5, axis=0).repeat(5, axis=1)
    kind, owner = borders(mask, line_px=2, hairline_px=1)
    edge = np.zeros(mask.shape, bool)
    for row, column in np.ndindex(mask.shape):
        beside = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
        there = [mask[place] for place in beside if 0 <= place[0] < mask.shape[0] and 0 <= place[1] < mask.shape[1]]
        edge[row, column] = any(value != mask[row, column] for value in there)
    for row, column in np.ndindex(mask.shape):
        near = [
            np.s_[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
            for reach in range(3)
        ]
        if mask[row, column]:
            wanted = Border.LINE if edge[near[1]].any() else Border.INSIDE if edge[near[2]].any() else Border.NONE
            assert (kind[row, column], owner[row, column]) == (wanted, mask[row, column])
        else:
            assert kind[row, column] == (Border.OUTSIDE if mask[near[1]].any() else Border.NONE)
            assert owner[row, column] == mask[near[1]].max()


def test_a_filled_class_is_tinted_and_an_outlined_one_only_at_its_edge() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[4:16, 4:16] = 1
    red = ClassStyle("#ff0000")
    filled = overlay_of(OverlayStyle((red,), opacity=0.5), mask=mask, foreground=None).over(WHITE)
    assert tuple(filled[10, 10]) == (255, 127, 127)
    assert tuple(filled[4, 4]) == (255, 0, 0)
    assert tuple(filled[0, 0]) == (255, 255, 255)
    outlined = overlay_of(OverlayStyle((ClassStyle("#ff0000", filled=False),)), mask=mask, foreground=None).over(WHITE)
    assert tuple(outlined[10, 10]) == (255, 255, 255)
    assert tuple(outlined[4, 10]) == (255, 0, 0)


def test_hidden_classes_and_switched_off_masks_leave_the_slide_as_it_is() -> None:
    mask = np.ones((20, 20), np.uint8)
    hidden = OverlayStyle((ClassStyle("#ff0000", visible=False),))
    assert np.array_equal(overlay_of(hidden, mask=mask, foreground=None).over(WHITE), WHITE)
    off = OverlayStyle((ClassStyle("#ff0000"),), masks=False)
    assert np.array_equal(overlay_of(off, mask=mask, foreground=None).over(WHITE), WHITE)


def test_the_heatmap_goes_from_dark_to_light_with_the_probability() -> None:
    brightness = heat(np.linspace(0, 1, 11, dtype=np.float32)[None]).sum(axis=2)[0]
    assert np.all(np.diff(brightness) > 0)
    assert tuple(heat(np.zeros((1, 1), np.float32))[0, 0]) == (0, 0, 4)
    assert tuple(heat(np.ones((1, 1), np.float32))[0, 0]) == (252, 255, 164)


@pytest.mark.parametrize(
    ("name", "folder"), [("Colon 3", "Colon 3"), ("a/b:c", "a-b-c"), (" . ", "Project"), ("x" * 3, "xxx")]
)
def test_a_projects_folder_is_named_after_it_without_what_file_systems_refuse(name: str, folder: str) -> None:
    assert folder_name(name) == folder


def test_the_list_of_shortcuts_names_every_one() -> None:
    keys = [row.keys for row in key_rows(MENUS)]
    specs = [row for rows in MENUS.values() for row in actions_in(rows) if row.shortcut]
    assert keys[: len(specs)] == [spec.keys for spec in specs]
    for more in ("1 … 9", "Left Up Right Down", "Space", "Tab Shift+Tab"):
        assert more in keys


@pytest.mark.parametrize(
    ("predicted", "told"),
    [
        ({"benign": 0.3, "malignant": 0.7}, "malignant 70%"),
        ({"benign": 0.6, "malignant": 0.9, "fat": 0.2}, "malignant 90%, benign 60%"),
        ({"benign": 0.2, "malignant": 0.1}, "benign 20%"),
    ],
)
def test_all_labels_that_are_likelier_than_not_are_told(predicted: dict[str, float], told: str) -> None:
    slide = SlideRecord(1, Path("a.png"), "a.png", "f", 8, 8, 0.5, "picture", None, predicted, None)
    assert describe(slide) == f"a.png\n{told}"


@pytest.mark.parametrize(
    ("unlike", "mpp_from", "told"),
    [
        (0.99, MppFrom.STATED, "benign 90%"),
        (None, MppFrom.NOT_KEPT, "benign 90%"),
        (1.01, MppFrom.STATED, "Unlike the training data"),
        (1.01, MppFrom.OBJECTIVE, "Unlike the training data \N{MIDDLE DOT} resolution estimated"),
        (0.5, MppFrom.OBJECTIVE, "benign 90% \N{MIDDLE DOT} resolution estimated"),
    ],
)
def test_the_list_says_unlike_the_training_data_in_place_of_a_label(
    unlike: float | None, mpp_from: MppFrom, told: str
) -> None:
    slide = SlideRecord(
        1, Path("a.png"), "a.png", "f", 8, 8, 0.5, "picture", None, {"benign": 0.9}, None, unlike, mpp_from
    )
    assert describe(slide) == f"a.png\n{told}"


def test_masks_of_a_decoder_of_classes_are_its_likeliest_and_the_heatmap_may_be_of_one(tmp_path: Path) -> None:
    scheme = ClassScheme(
        (LabelClass("benign", "gland"), LabelClass("malignant", "tumour")),
        (MaskClass("gland", "#00a0ff"), MaskClass("tumour", "#d01020")),
    )
    with MapWriter(
        tmp_path / "map",
        slide_width=64,
        slide_height=32,
        downsample=1.0,
        labels=scheme.label_names,
        stride_px=32,
        model_hash="aa",
        mask_classes=scheme.mask_names,
    ) as writer:
        planes = np.zeros((2, 32, 64), np.float32)
        planes[0, :, :32], planes[1, :, :32], planes[1, :, 32:] = 0.3125, 0.25, 0.75
        writer.write(Window(0, 0, 64, 32), planes, np.zeros((2, 1, 2), np.float32))
    scene = SceneMap(open_map(tmp_path / "map"), scheme, NetworkConfig(2, mask_classes=2), {})
    place, size = Region(0, 0, 64, 32), (64, 32)
    plain = scene.view(place, size, OverlayStyle())
    assert (plain.mask[4:28, 4:28] == 0).all()  # foreground is likelier than background, but no class of it is
    assert (plain.mask[4:28, 36:60] == 2).all()
    assert plain.foreground[16, 16] == pytest.approx(0.5625)
    of_tumour = scene.view(place, size, OverlayStyle(heatmap=True, heat_of="tumour"))
    assert of_tumour.foreground[16, 16] == pytest.approx(0.25)
    assert of_tumour.foreground[16, 48] == pytest.approx(0.75)
