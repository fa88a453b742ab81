"""The whole loop on a real slide with mouse and keyboard: classes of one's own, from an encoder alone to an export."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from keyboard import bring_up, press
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QFileDialog

from histoloop.annotations.records import AnnotationStatus, Counts
from histoloop.gui.dialogs.choice_dialog import ChoiceDialog
from histoloop.gui.dialogs.new_project import NewProjectDialog
from histoloop.gui.mouse import drag
from histoloop.workflows.contents.live_masks import LIVE_MODEL_ID

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from histoloop.gui.window.main_window import MainWindow

MS, JOB_MS = 600_000, 900_000
SCREENSHOTS = os.environ.get("HISTOLOOP_SCREENSHOTS", "")
DATA = os.environ.get("HISTOLOOP_DATA", "")
SLIDE = Path(DATA) / "slides" / "CMU-1-Small-Region.svs"
CLASSES = ("tumour", "stroma", "fat")
LEFT = Qt.MouseButton.LeftButton

pytestmark = pytest.mark.skipif(
    not DATA or not SLIDE.exists(), reason="needs slides/CMU-1-Small-Region.svs in the folder HISTOLOOP_DATA"
)


class Walk:
    """A person at the window: clicks, keys and strokes, and a picture of each step for whoever asked for some."""

    def __init__(self, window: MainWindow, qtbot) -> None:
        self.window, self.qtbot = window, qtbot
        self._pictures = 0

    def picture(self, name: str, widget: QWidget | None = None) -> None:
        self._pictures += 1
        if SCREENSHOTS:
            QApplication.processEvents()
            shown = (widget or self.window).grab()
            shown.save(str(Path(SCREENSHOTS) / f"{self._pictures:02}-{name}.png"))

    def click(self, widget: QWidget) -> None:
        assert widget.isVisible()
        assert widget.isEnabled()
        self.qtbot.mouseClick(widget, LEFT)

    def wait(self, until, ms: int = MS) -> None:
        self.qtbot.waitUntil(until, timeout=ms)

    def idle(self) -> None:
        self.wait(lambda: self.window.session.jobs.current is None, JOB_MS)

    def tab(self, title: str) -> None:
        """Click the tab of the work dock that is called so."""
        bar = self.window.work.tabBar()
        number = next(n for n in range(bar.count()) if bar.tabText(n) == title)
        self.qtbot.mouseClick(bar, LEFT, pos=bar.tabRect(number).center())
        assert self.window.work.currentIndex() == number

    def stroke(self, value: int, row: float, *, brush: int = 60) -> None:
        """Take a class by its key and paint across the region at a share of its height."""
        press(self.window, Qt.Key(Qt.Key.Key_0 + value))
        self.window.annotation_panel.brush.setValue(round(brush * self.window.viewer.camera().zoom))
        region, viewer = self.window.viewer.annotating, self.window.viewer
        y = region.y + row * region.height
        before = viewer.painted_mask
        drag(viewer.canvas, [viewer.to_canvas(region.x + n * region.width / 20, y) for n in range(3, 18)])
        self.wait(lambda: not np.array_equal(viewer.painted_mask, before))

    def region(self) -> None:
        self.wait(lambda: self.window.viewer.annotating is not None)
        assert self.window.viewer.wait_until_loaded(MS / 1000)

    def answer(self, title: str) -> None:
        """Take the first answer to a question that is asked."""

        def asked() -> list[ChoiceDialog]:
            return [one for one in QApplication.topLevelWidgets() if isinstance(one, ChoiceDialog) and one.isVisible()]

        self.wait(lambda: len(asked()) == 1)
        (dialog,) = asked()
        assert dialog.windowTitle() == title
        self.picture("question", dialog)
        self.click(dialog.answers[0])

    def done(self, *, replacing: bool = False) -> None:
        """Return, and wait until it is kept; `replacing` what was done before, which the window asks about."""
        number = self.window.session.active.record.id
        press(self.window, Qt.Key.Key_Return)
        if replacing:
            self.answer("Replace the finished region?")
        annotations = self.window.session.project.annotations
        self.wait(lambda: annotations.get(number).status is AnnotationStatus.DONE)


@pytest.fixture
def walk(window: MainWindow, qtbot, tmp_path: Path) -> Walk:
    window.settings.set("projects", str(tmp_path / "projects"))
    window.annotation_panel.brush.setValue(60)
    return Walk(window, qtbot)


def test_from_classes_of_ones_own_to_an_export_with_mouse_and_keyboard(
    walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = walk.window
    project_of_own_classes(walk)
    no_prediction_is_shown_before_anything_is_trained(walk)
    first_questions_cover_the_tissue(walk)
    strokes_alone_bring_live_masks(walk)
    retrained_it_is_in_use_and_retrained_again_it_is_kept(walk)
    a_class_is_renamed(walk)
    an_annotation_is_reopened_and_changed(walk)
    out = tmp_path / "export"
    out.mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(out))
    press(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    walk.wait(lambda: "written to" in window.banner.text.text(), JOB_MS)
    walk.picture("exported")
    names_and_areas_are_those_of_the_masks(out, mpp=window.session.slides()[0].mpp)


def project_of_own_classes(walk: Walk) -> None:
    window, qtbot = walk.window, walk.qtbot

    def fill() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, NewProjectDialog)
        bring_up(dialog)
        qtbot.keyClicks(dialog.name, "Breast")
        dialog.template.setFocus()
        qtbot.keyClick(dialog.template, Qt.Key.Key_End)
        dialog.template.activated.emit(dialog.template.currentIndex())
        for number, name in enumerate(CLASSES):
            field = dialog.table.rows[number].name
            walk.wait(field.hasFocus)
            qtbot.keyClicks(field, name)
            if number < len(CLASSES) - 1:
                qtbot.keyClick(field, Qt.Key.Key_Return)
        assert dialog.beginning.encoder_only
        walk.picture("new-project", dialog)
        walk.click(dialog.buttons.button(QDialogButtonBox.StandardButton.Ok))

    bring_up(window)
    window.welcome.setFocus()
    QTimer.singleShot(0, fill)
    QTest.keyClick(window.welcome, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert window.session.project is not None
    assert window.session.project.name == "Breast"
    assert window.session.project.scheme.mask_names == CLASSES
    walk.tab("Training")
    box = window.training_panel.live.box
    walk.qtbot.mouseClick(box, LEFT, pos=QPoint(8, box.height() // 2))
    assert window.session.live.is_on
    walk.picture("project")


def no_prediction_is_shown_before_anything_is_trained(walk: Walk) -> None:
    window = walk.window
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(SLIDE))])
    window.dropEvent(
        QDropEvent(QPointF(400, 300), Qt.DropAction.CopyAction, mime, LEFT, Qt.KeyboardModifier.NoModifier)
    )
    walk.wait(lambda: window.opener.current is not None)
    walk.idle()
    assert window.viewer.wait_until_loaded(MS / 1000)
    assert window.viewer.scene.predicted is None
    assert window.session.slides()[0].predicted is None
    hint = window.split.first.hint
    walk.wait(hint.isVisible)
    assert "no model has been trained here" in hint.text.text()
    assert hint.text.text().endswith("live masks appear after the first finished region.")
    assert window.live_line.text().strip() == "Live masks will appear after the first finished region"
    walk.picture("nothing-trained")


def first_questions_cover_the_tissue(walk: Walk) -> None:
    window = walk.window
    walk.tab("Questions")
    options = window.queue_panel.options
    options.count.setValue(4)
    walk.click(options.ask)
    walk.wait(window.banner.isVisible, JOB_MS)  # the slide is small, and so are the places on it
    assert "instead of 4. There is no other area with enough tissue." in window.banner.text.text()
    walk.picture("fewer-questions")
    walk.click(window.banner.close_button)
    walk.idle()
    options.side.setCurrentIndex(options.side.findData(256))
    walk.click(options.ask)
    walk.wait(lambda: len(window.queue_panel.shown_ids()) == 4, JOB_MS)
    asked = window.session.queries()
    assert {query.strategy for query in asked} == {"k-center"}
    assert not any(one.region.overlaps(other.region) for one in asked for other in asked if one is not other)
    assert not window.banner.isVisible()
    walk.picture("questions")


def strokes_alone_bring_live_masks(walk: Walk) -> None:
    window = walk.window
    press(window, Qt.Key.Key_N)
    walk.region()
    assert not window.viewer.painted_mask.any()  # nothing is suggested
    walk.click(window.annotation_panel.counting.buttons[Counts.STROKES])
    for value, row in ((1, 0.25), (2, 0.5), (3, 0.75)):
        walk.stroke(value, row)
    walk.picture("strokes")
    with walk.qtbot.waitSignal(window.session.live.view_is_new, timeout=JOB_MS):
        walk.done()
    walk.wait(lambda: window.source.choice.model.id == LIVE_MODEL_ID)
    assert window.overlay_panel.note.text().startswith("Trained while you paint, not measured.")
    assert "Not trained yet" not in window.overlay_panel.note.text()
    first = window.session.project.annotations.finished()[0]
    assert first.counts is Counts.STROKES
    for _question in range(2):  # the next ones come by themselves
        walk.region()
        if window.paint_control.counts is not Counts.STROKES:
            walk.click(window.annotation_panel.counting.buttons[Counts.STROKES])
        for value, row in ((1, 0.2), (2, 0.45), (3, 0.8)):
            walk.stroke(value, row)
        walk.done()
    walk.region()
    press(window, Qt.Key.Key_Escape)
    walk.wait(lambda: window.viewer.annotating is None)
    press(window, Qt.Key.Key_0, Qt.KeyboardModifier.ControlModifier)
    there = "Live masks are up to date: learned from 2 regions"  # of three one is held out
    walk.wait(lambda: window.live_line.text().strip() == there, JOB_MS)
    assert window.session.live.map.covers(window.session.slides()[0].extent)
    assert window.viewer.wait_until_loaded(MS / 1000)
    walk.picture("live-masks")


def retrained_it_is_in_use_and_retrained_again_it_is_kept(walk: Walk) -> None:
    window, panel = walk.window, walk.window.training_panel
    walk.tab("Training")
    pace = panel.options.pace
    pace.setCurrentIndex(pace.findData("quick"))
    pace.activated.emit(pace.currentIndex())
    walk.picture("training")
    walk.click(panel.retrain)
    walk.wait(lambda: window.session.is_trained, JOB_MS)
    walk.idle()
    assert "in use" in window.banner.text.text()
    walk.picture("first-model")
    walk.click(window.banner.close_button)
    walk.click(panel.retrain)
    walk.wait(lambda: window.session.candidate() is not None, JOB_MS)
    walk.idle()
    walk.wait(panel.decision.isVisible)
    walk.picture("decision")
    candidate = window.session.candidate().model_id
    walk.click(panel.decision.keep)
    walk.wait(lambda: window.session.project.models.current().id == candidate)
    assert window.session.candidate() is None
    walk.idle()
    walk.picture("kept")


def a_class_is_renamed(walk: Walk) -> None:
    window, qtbot = walk.window, walk.qtbot
    press(window, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    dialog = window.class_control.dialog
    walk.wait(dialog.isVisible)
    bring_up(dialog)
    field = dialog.table.rows[2].name
    qtbot.mouseClick(field, LEFT)
    field.selectAll()
    qtbot.keyClicks(field, "adipose")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    walk.wait(lambda: window.session.project.scheme.mask_names == ("tumour", "stroma", "adipose"))
    walk.picture("classes", dialog)
    dialog.close()
    walk.picture("renamed")


def an_annotation_is_reopened_and_changed(walk: Walk) -> None:
    window, panel = walk.window, walk.window.annotations_panel
    annotations = window.session.project.annotations
    walk.tab("Annotations")
    first = annotations.finished()[0]
    walk.wait(lambda: first.id in panel.shown_ids() and window.details.idle)
    assert any("adipose" in panel.list.model().index(n, 0).data() for n in range(len(panel.shown_ids())))
    walk.picture("annotations")
    row = panel.list.model().index(panel.shown_ids().index(first.id), 0)
    walk.qtbot.mouseClick(panel.list.viewport(), LEFT, pos=panel.list.visualRect(row).center() + QPoint(0, 4))
    assert panel.selected_ids() == [first.id]
    walk.click(panel.reopen)
    walk.region()
    assert window.viewer.annotating == first.region
    before = int((window.viewer.painted_mask == 3).sum())
    walk.stroke(3, 0.9)
    assert int((window.viewer.painted_mask == 3).sum()) > before
    walk.picture("reopened")
    walk.done(replacing=True)
    walk.wait(lambda: first.id not in [record.id for record in annotations.finished()])
    again = next(record for record in annotations.finished() if record.region == first.region)
    mask, _origin = annotations.load_mask(again.id)
    assert int((mask == 3).sum()) > before
    if window.viewer.annotating is not None:
        press(window, Qt.Key.Key_Escape)
    walk.wait(lambda: window.viewer.annotating is None)


def names_and_areas_are_those_of_the_masks(out: Path, *, mpp: float) -> None:
    stem = SLIDE.stem
    features = json.loads((out / f"{stem}.geojson").read_text(encoding="utf-8"))["features"]
    names = {one["properties"]["classification"]["name"] for one in features if "classification" in one["properties"]}
    assert names - {"Ignore*"} <= {"tumour", "stroma", "adipose"}  # Ignore*: what was not painted beside the strokes
    assert {"adipose", "Ignore*"} <= names
    with Image.open(out / f"{stem}-mask.png") as picture:
        mask = np.array(picture)
        side = mpp * slide_width() / picture.width
    for value, name in enumerate(("tumour", "stroma", "adipose"), start=1):
        outlined = sum(
            area_of(one["geometry"])
            for one in features
            if one["properties"].get("classification", {}).get("name") == name
        )
        of_mask = np.count_nonzero(mask == value) * side**2
        assert outlined * mpp**2 == pytest.approx(of_mask, rel=0.05, abs=2_000)


def slide_width() -> int:
    from histoloop.slides.reader import open_slide

    with open_slide(SLIDE) as slide:
        return slide.width


def area_of(geometry: dict) -> float:
    """In square level-0 pixels; rings after the first of a polygon are holes."""
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return sum(ring_area(rings[0]) - sum(map(ring_area, rings[1:])) for rings in polygons)


def ring_area(ring: list[list[float]]) -> float:
    x, y = np.array(ring, float).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
