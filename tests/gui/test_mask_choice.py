"""What makes the masks: models, drawings, evidence, and two of them side by side."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import press
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from histoloop import paths
from histoloop.gui.canvas.mask_chooser import LIKELIEST, MaskChooser
from histoloop.gui.canvas.mask_source import MaskSource
from histoloop.gui.dialogs.add_model import AddModelDialog
from histoloop.network_config import MinMaxConfig, NetworkConfig, PoolingConfig
from histoloop.slides.tiling import Window
from histoloop.store.cards import CARD, WEIGHTS, card_text, load_card
from histoloop.store.maps import MapWriter, open_map
from histoloop.store.project import Project
from histoloop.store.records import ModelStatus
from histoloop.store.shipped import DEFAULT_MODEL
from histoloop.workflows.add_model import add_model
from histoloop.workflows.contents.mask_choices import live_masks

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtWidgets import QComboBox, QWidget

    from histoloop.gui.canvas.mask_pane import MaskPane
    from histoloop.gui.canvas.viewer import SlideViewer
    from histoloop.gui.window.main_window import MainWindow

JOB_MS = 240_000
MINMAX = NetworkConfig(6, pooling=PoolingConfig("average"), minmax=MinMaxConfig(), decoder_channels=())


def shipped() -> Path:
    return paths.shipped_models() / DEFAULT_MODEL


def write_model(folder: Path, **changes: object) -> Path:
    """The shipped model under another card, its weights with it."""
    card = dataclasses.replace(load_card(shipped()), name=folder.name, title=f"{folder.name}, in full", **changes)
    folder.mkdir(parents=True)
    (folder / CARD).write_text(card_text(card), encoding="utf-8")
    shutil.copyfile(shipped() / WEIGHTS, folder / WEIGHTS)
    return folder


def bring_in_minmax(project_folder: Path, tmp_path: Path) -> int:
    """A min-max model with maps of the first slide written by hand; evidence for the first label on the left."""
    with Project.open(project_folder) as project:
        model = add_model(project, write_model(tmp_path / "minmax", network=MINMAX))
        slide = project.slides.all()[0]
        names = project.scheme.label_names
        folder = project.maps.new_folder(slide.id, model.id)
        with MapWriter(
            folder,
            slide_width=slide.width,
            slide_height=slide.height,
            downsample=2.0,
            labels=names,
            stride_px=32,
            model_hash=model.hash,
        ) as writer:
            cells = np.zeros((len(names), writer.rows, writer.columns), np.float32)
            cells[0, :, : writer.columns // 2] = 9
            whole = np.where(cells[0].repeat(32, axis=0).repeat(32, axis=1) > 0, 0.95, 0.05)
            writer.write(Window(0, 0, whole.shape[1], whole.shape[0]), whole, cells)
        project.maps.add(slide.id, model.id, folder.name)
        project.predictions.add(slide.id, model.id, {name: float(name == names[0]) for name in names})
    return model.id


def make_candidate(window: MainWindow) -> int:
    """What a retraining leaves: a model that nobody decided about, with maps of all slides."""
    project = window.session.project
    assert project is not None
    base = project.models.current()
    folder = write_model(project.models.folder / "round-001-test")
    model = project.models.add(folder.name, hash="candidate", parent=base.id, round=1)
    for slide in project.slides.all():
        maps = project.maps.new_folder(slide.id, model.id)
        shutil.copytree(project.maps.find(slide.id), maps)
        project.maps.add(slide.id, model.id, maps.name)
        project.predictions.add(slide.id, model.id, project.predictions.find(slide.id, base.id))
    project.rounds.add(model.id, base.id, {"held_out": 0.0}, 2)
    window.session.models_changed.emit()
    window.session.maps_changed.emit()
    return model.id


def pick(combo: QComboBox, text: str) -> None:
    """Choose an entry by its text, as a hand does: with the keyboard."""
    index = combo.findText(text)
    assert index >= 0, [combo.itemText(n) for n in range(combo.count())]
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def pixels(viewer: SlideViewer) -> np.ndarray:
    image = viewer.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine()).astype(int)


def differ(one: np.ndarray, other: np.ndarray) -> float:
    """Share of values that are clearly not the same."""
    return float(np.mean(np.abs(one - other) > 10))


def settled(window: MainWindow, qtbot) -> None:
    qtbot.waitUntil(lambda: not any(pane.opener.busy for pane in window.split.panes()), timeout=20_000)
    assert window.split.wait_until_loaded()


def idle(window: MainWindow) -> bool:
    return window.session.jobs.current is None


def cameras(window: MainWindow) -> list[tuple[float, ...]]:
    found = [pane.viewer.camera() for pane in window.split.panes()]
    return [(round(camera.x, 3), round(camera.y, 3), round(camera.zoom, 6)) for camera in found]


@pytest.fixture
def compared(opened: MainWindow, qtbot) -> MaskPane:
    """The second pane, shown beside the first."""
    opened.actions_["compare"].trigger()
    settled(opened, qtbot)
    assert opened.split.second is not None
    return opened.split.second


# --- drawings ---------------------------------------------------------------------------------------------------------


def test_another_drawing_changes_the_masks_without_running_anything(opened: MainWindow, qtbot) -> None:
    started: list[object] = []
    opened.session.jobs.started.connect(started.append)
    chooser = opened.overlay_panel.chooser
    before = pixels(opened.viewer)
    pick(chooser.method, "Class activation map")
    settled(opened, qtbot)
    cam = pixels(opened.viewer)
    assert differ(before, cam) > 0.01
    assert opened.overlay_panel.note.isVisible()
    assert "export" in opened.overlay_panel.note.text()
    opened.actions_["next_method"].trigger()
    settled(opened, qtbot)
    assert chooser.method.currentText() == "Grad-CAM"
    assert differ(cam, pixels(opened.viewer)) > 0.01
    opened.overlay_panel.note.linkActivated.emit("own")
    settled(opened, qtbot)
    assert chooser.method.currentText() == "Decoder"
    assert differ(before, pixels(opened.viewer)) < 0.001
    assert not opened.overlay_panel.note.isVisible()
    assert not started


def test_each_models_drawing_is_remembered_by_the_project(opened: MainWindow, project_folder: Path, qtbot) -> None:
    pick(opened.overlay_panel.chooser.method, "Grad-CAM")
    pick(opened.overlay_panel.chooser.label, "Adenocarcinoma")
    chosen = {"1": {"drawing": "grad-cam", "label": "Adenocarcinoma"}}
    qtbot.waitUntil(lambda: opened.session.project.settings.get("drawings") == chosen)
    opened.session.close_project()
    assert opened.session.open_project(project_folder)
    settled(opened, qtbot)
    chooser = opened.overlay_panel.chooser
    assert chooser.method.currentText() == "Grad-CAM"
    assert chooser.label.currentText() == "Adenocarcinoma"
    assert opened.viewer.overlay_style.method == "grad-cam"


def test_a_label_can_be_asked_for_where_a_drawing_is_of_one(opened: MainWindow, qtbot) -> None:
    chooser = opened.overlay_panel.chooser
    assert not chooser.label.isVisible()
    pick(chooser.method, "Grad-CAM")
    assert chooser.label.currentText() == LIKELIEST
    settled(opened, qtbot)
    before = pixels(opened.viewer)
    likeliest = max(opened.session.slides()[0].predicted.items(), key=lambda entry: entry[1])[0]
    pick(chooser.label, "Polyp" if likeliest != "Polyp" else "Normal")
    settled(opened, qtbot)
    assert differ(before, pixels(opened.viewer)) > 0.01


def test_the_threshold_cuts_the_masks_live_and_each_drawing_keeps_its_own(opened: MainWindow, qtbot) -> None:
    chooser = opened.overlay_panel.chooser
    pick(chooser.method, "Grad-CAM")
    settled(opened, qtbot)
    scene, areas = opened.viewer.scene, []
    drawn = scene.predicted.method(opened.viewer.overlay_style)
    bare_style = dataclasses.replace(opened.viewer.overlay_style, masks=False)
    bare = scene.render(scene.slide.extent, 4, bare_style).pixels
    for value in (30, 60, 90):
        chooser.threshold.setValue(value)
        settled(opened, qtbot)
        shown = scene.render(scene.slide.extent, 4, opened.viewer.overlay_style).pixels
        areas.append(float(np.mean(np.any(shown != bare, axis=2))))
    assert areas[0] > areas[1] > areas[2]
    assert chooser.figure.text() == "0.90"
    assert opened.viewer.scene is scene
    assert scene.predicted.method(opened.viewer.overlay_style) is drawn  # summed up once
    pick(chooser.method, "Decoder")
    assert chooser.figure.text() == "0.50"
    pick(chooser.method, "Grad-CAM")
    assert chooser.figure.text() == "0.90"


def test_a_list_of_models_that_changes_still_shows_the_one_that_is_chosen(qtbot) -> None:
    source = MaskSource()
    chooser = MaskChooser(source)
    qtbot.addWidget(chooser)
    live = live_masks(2)
    first, chosen = (dataclasses.replace(live, id=number, name=name) for number, name in ((1, "start"), (2, "round 1")))
    source.show_models([first, chosen], chosen.id)
    for models in ([first, chosen, live], [first, chosen]):
        source.show_models(models, chosen.id)
        assert chooser.model.currentData() == source.choice.model.id == chosen.id


def test_the_mask_that_an_annotation_starts_with_stays_the_models_own(opened: MainWindow, qtbot) -> None:
    pick(opened.overlay_panel.chooser.method, "Grad-CAM")
    opened.overlay_panel.chooser.threshold.setValue(1)
    opened.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: opened.viewer.annotating is not None, timeout=30_000)
    active, project = opened.session.active, opened.session.project
    foreground = open_map(project.maps.find(active.record.slide_id)).read_foreground(active.record.region)
    expected = float(np.mean(foreground > project.models.current_card().threshold))
    assert np.mean(active.predicted > 0) == pytest.approx(expected, abs=0.03)


# --- evidence ---------------------------------------------------------------------------------------------------------


def test_min_max_models_show_the_evidence_for_and_against(
    window: MainWindow, project_folder: Path, tmp_path: Path, qtbot
) -> None:
    bring_in_minmax(project_folder, tmp_path)
    window.session.open_project(project_folder)
    settled(window, qtbot)
    panel = window.overlay_panel
    first = window.session.slides()[0].id
    window.slides_panel.choose(first)
    settled(window, qtbot)
    assert not panel.evidence.isVisible()
    pick(panel.chooser.model, "minmax")
    settled(window, qtbot)
    assert panel.evidence.isVisible()
    assert panel.evidence.buttons[0].isChecked()

    def heat() -> tuple[float, float]:
        """Brightness left and right."""
        scene = window.viewer.scene
        view = scene.predicted.view(scene.slide.extent, (90, 50), window.viewer.overlay_style)
        left, right = view.foreground[:, 5:35], view.foreground[:, 55:85]
        return float(np.median(left)), float(np.median(right))  # some of it is glass

    qtbot.mouseClick(panel.evidence.buttons[1], Qt.MouseButton.LeftButton)
    assert panel.heatmap.isChecked()
    assert not panel.masks.isChecked()
    assert window.actions_["show_heatmap"].isChecked()
    assert heat() == pytest.approx((0.95, 0.05), abs=0.01)
    qtbot.mouseClick(panel.evidence.buttons[2], Qt.MouseButton.LeftButton)
    assert heat() == pytest.approx((0.05, 0.95), abs=0.01)
    window.actions_["show_heatmap"].trigger()
    window.actions_["show_masks"].trigger()
    assert panel.evidence.buttons[0].isChecked()
    qtbot.mouseClick(panel.evidence.buttons[2], Qt.MouseButton.LeftButton)
    pick(panel.chooser.method, "Class activation map")
    assert not panel.evidence.isVisible()
    assert not window.viewer.overlay_style.against


# --- models -----------------------------------------------------------------------------------------------------------


def test_a_model_that_is_added_draws_and_is_run_on_the_slide_that_is_shown(
    opened: MainWindow, tmp_path: Path, qtbot
) -> None:
    slide_id = opened.opener.current
    opened.session.add_model(write_model(tmp_path / "second", threshold=0.45))
    chooser = opened.overlay_panel.chooser
    qtbot.waitUntil(lambda: chooser.model.currentText() == "second", timeout=30_000)
    qtbot.waitUntil(lambda: not opened.opener.busy and chooser.missing.isVisible(), timeout=20_000)
    assert not idle(opened)
    assert not chooser.missing.this_slide.isVisible()
    qtbot.waitUntil(lambda: idle(opened), timeout=JOB_MS)
    settled(opened, qtbot)
    assert not chooser.missing.isVisible()
    assert chooser.figure.text() == "0.45"
    project = opened.session.project
    other = next(slide.id for slide in opened.session.slides() if slide.id != slide_id)
    assert project.maps.find(slide_id, 2) is not None
    assert project.maps.find(other, 2) is None
    opened.slides_panel.choose(other)
    settled(opened, qtbot)
    assert chooser.missing.this_slide.isVisible()
    assert idle(opened)
    qtbot.mouseClick(chooser.missing.this_slide, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: idle(opened), timeout=JOB_MS)
    settled(opened, qtbot)
    assert project.maps.find(other, 2) is not None
    assert not chooser.missing.isVisible()
    assert project.models.current().id == 1


def test_a_model_that_does_not_fit_is_refused_with_advice(opened: MainWindow, tmp_path: Path, qtbot) -> None:
    scheme = load_card(shipped()).scheme
    nerves = dataclasses.replace(
        scheme,
        labels=tuple(dataclasses.replace(label, mask="nerve") for label in scheme.labels),
        masks=(dataclasses.replace(scheme.masks[0], name="nerve"),),
    )
    folder = write_model(tmp_path / "nerves", scheme=nerves)
    dialog = AddModelDialog(opened, project=opened.session.project, place=str(tmp_path))
    qtbot.addWidget(dialog)
    ok = dialog.buttons.button(dialog.buttons.StandardButton.Ok)
    assert "already" in dialog.note.text()
    assert not ok.isEnabled()
    dialog.choose(folder)
    assert "nerve" in dialog.note.text()
    assert "new project" in dialog.note.text()
    assert not ok.isEnabled()
    dialog.choose(write_model(tmp_path / "fits"))
    assert ok.isEnabled()
    assert dialog.source().name == "fits"
    opened.session.add_model(folder)
    qtbot.waitUntil(lambda: opened.banner.isVisible(), timeout=20_000)
    assert "nerve" in opened.banner.text.text()
    assert len(opened.session.project.models.all()) == 1


def test_the_menus_offer_models_and_drawings(opened: MainWindow) -> None:
    menus = opened.actions_.submenus
    for name in ("model", "method"):
        menus[name].aboutToShow.emit()
    assert [action.text() for action in menus["model"].actions()] == [f"{DEFAULT_MODEL} (in use)"]
    localisation_methods = menus["method"].actions()
    assert [action.text() for action in localisation_methods] == ["Decoder", "Class activation map", "Grad-CAM"]
    assert [action.isChecked() for action in localisation_methods] == [True, False, False]
    localisation_methods[2].trigger()
    assert opened.overlay_panel.chooser.method.currentText() == "Grad-CAM"


def test_the_wheel_over_a_list_chooses_nothing(opened: MainWindow) -> None:
    chooser = opened.overlay_panel.chooser
    chooser.method.setFocus()
    send_wheel(chooser.method)
    assert chooser.method.currentText() == "Decoder"


def send_wheel(widget: QWidget) -> None:
    from PySide6.QtCore import QCoreApplication, QPoint, QPointF
    from PySide6.QtGui import QWheelEvent

    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(widget.mapToGlobal(middle.toPoint())),
        QPoint(0, 0),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QCoreApplication.sendEvent(widget, event)


# --- side by side -----------------------------------------------------------------------------------------------------


def test_two_canvases_look_at_one_place_whichever_is_moved(opened: MainWindow, compared: MaskPane, qtbot) -> None:
    assert compared.opener.current == opened.opener.current
    assert opened.actions_["compare"].isChecked()
    assert len(set(cameras(opened))) == 1
    assert compared.viewer.canvas.width() == pytest.approx(opened.viewer.canvas.width(), abs=8)
    opened.viewer.look_at(600, 300, zoom=1.5)
    assert set(cameras(opened)) == {(600, 300, 1.5)}
    compared.viewer.look_at(900, 500, zoom=0.7)
    assert set(cameras(opened)) == {(900, 500, 0.7)}
    opened.actions_["zoom_in"].trigger()
    assert len(set(cameras(opened))) == 1
    settled(opened, qtbot)


def test_comparing_shows_nothing_beside_the_window_whatever_the_method_chooses_among(
    opened: MainWindow, compared: MaskPane, qtbot
) -> None:
    press(opened, Qt.Key.Key_D, Qt.KeyboardModifier.ShiftModifier)
    settled(opened, qtbot)
    choosers = opened.split.findChildren(MaskChooser)
    assert any(each.label.isVisible() and each.label.isEnabled() for each in choosers)
    assert [each for each in QApplication.topLevelWidgets() if each.isVisible()] == [opened]


def test_each_canvas_has_its_own_drawing_and_threshold_and_both_one_style(
    opened: MainWindow, compared: MaskPane, qtbot
) -> None:
    first, second = opened.split.first.header, compared.header
    assert first.method.currentText() == "Decoder"
    assert second.method.currentText() == "Class activation map"  # another drawing where there is no other model
    assert differ(pixels(opened.viewer), pixels(compared.viewer)) > 0.01
    second.threshold.setValue(80)
    pick(second.method, "Grad-CAM")
    assert (first.figure.text(), first.method.currentText()) == ("0.50", "Decoder")
    pick(first.method, "Grad-CAM")
    assert opened.overlay_panel.chooser.method.currentText() == "Grad-CAM"
    settled(opened, qtbot)
    assert differ(pixels(opened.viewer), pixels(compared.viewer)) < 0.001
    opened.actions_["show_heatmap"].trigger()
    assert compared.viewer.overlay_style.heatmap
    assert opened.session.project.settings.get("drawings") in (None, {"1": {"drawing": "grad-cam", "label": None}})


def test_both_follow_slides_themes_and_painting(opened: MainWindow, compared: MaskPane, qtbot) -> None:
    other = next(slide.id for slide in opened.session.slides() if slide.id != opened.opener.current)
    opened.slides_panel.choose(other)
    settled(opened, qtbot)
    assert (opened.opener.current, compared.opener.current) == (other, other)
    assert len(set(cameras(opened))) == 1
    opened.preferences.set_theme("dark")
    opened.preferences.set_theme("light")
    opened.actions_["next_question"].trigger()
    qtbot.waitUntil(lambda: opened.viewer.annotating is not None, timeout=30_000)
    settled(opened, qtbot)
    assert compared.viewer.annotating is None
    assert compared.opener.current == opened.opener.current
    assert len(set(cameras(opened))) == 1
    opened.actions_["leave"].trigger()
    settled(opened, qtbot)
    assert compared.viewer.scene is not None


def test_leaving_frees_the_second_canvas(opened: MainWindow, qtbot) -> None:
    def threads() -> int:
        return sum(thread.name == "histoloop-viewer" for thread in threading.enumerate())

    before, alone = threads(), cameras(opened)
    for _time in range(2):
        opened.actions_["compare"].trigger()
        settled(opened, qtbot)
        assert threads() == before + 3
        second = opened.split.second
        scene, gone = second.viewer.scene, []
        second.destroyed.connect(lambda _object=None, gone=gone: gone.append(True))
        close = next(
            button
            for button in second.header.findChildren(type(opened.overlay_panel.evidence.buttons[0]))
            if button.accessibleName()
        )
        qtbot.mouseClick(close, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda gone=gone: bool(gone))
        assert threads() == before
        assert opened.split.second is None
        assert not opened.actions_["compare"].isChecked()
        assert not opened.split.first.header.isVisible()
        with pytest.raises(ValueError, match="closed"):
            scene.slide.thumbnail(8)
    qtbot.waitUntil(lambda: cameras(opened) == alone)  # the whole slide as before
    settled(opened, qtbot)


def test_the_window_closes_while_two_are_compared(opened: MainWindow, compared: MaskPane) -> None:
    assert opened.close()
    assert opened.split.second is None


def test_another_project_ends_the_comparison(opened: MainWindow, compared: MaskPane, qtbot) -> None:
    opened.actions_["close_project"].trigger()
    assert opened.split.second is None
    assert not opened.actions_["compare"].isChecked()
    assert not opened.actions_["compare"].isEnabled()


def test_after_retraining_the_new_masks_are_beside_those_in_use(opened: MainWindow, qtbot) -> None:
    candidate = make_candidate(opened)
    settled(opened, qtbot)
    chooser, decision = opened.overlay_panel.chooser, opened.training_panel.decision
    assert chooser.model.currentText() == "Round 1 (new)"
    opened.actions_["compare"].trigger()
    settled(opened, qtbot)
    second = opened.split.second
    assert second.header.model.currentText() == f"{DEFAULT_MODEL} (in use)"
    decision.show_new.setChecked(False)
    settled(opened, qtbot)
    assert chooser.model.currentText() == f"{DEFAULT_MODEL} (in use)"
    pick(chooser.model, "Round 1 (new)")
    assert decision.show_new.isChecked()
    opened.actions_["keep"].trigger()
    settled(opened, qtbot)
    assert opened.session.project.models.current().id == candidate
    assert chooser.model.currentText() == "Round 1 (in use)"
    assert second.header.model.currentText() == DEFAULT_MODEL
    assert opened.session.project.models.get(1).status is ModelStatus.KEPT
